r"""Approximate inverses of the normal operator, which conjugate gradients converge faster with.

Of lines on a Cartesian grid it is one over the diagonal: maps end softly where the object does, and
what is faint there would come last. That of samples anywhere is a convolution cut to the image,
blurred a little by the coils. The circulant matrix nearest to the convolution (T. Chan: SIAM J Sci
Stat Comput 1988;9:766, doi:10.1137/0909051) is diagonal in k-space, its values the density of the
samples smoothed over one cell; one over them undoes what makes radial and spiral scans slow, the
many samples in the middle.

Beyond the hull of the samples it undoes what the image is held with there (`beyond`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics import fft
from ultrahand.recon.beyond import beyond_samples, norm_of
from ultrahand.recon.normal import Spectra
from ultrahand.records.arrays import Complex, Complex64, Float32, Float64, require

SPARSE: Final = 0.3
"""Densities below this part of their median, among sampled cells, count as that: between spokes
coils, not the density, say what is known."""
FAINT: Final = 0.3
"""Maps of less norm count as of that: where they end, the operator does too."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CirculantInverse:
    """Applies ``m F^H (1 / (d + mu + lambda)) F m``, m one over the norm of the maps."""

    support: Float32
    """m, ``(sets, z, y, x)``, 0 where no coil sees anything."""
    gains: Float32
    """``1 / (d + mu + lambda)``, ``(z, y, x)``, origin at index 0; see `SPARSE` for the least d."""
    held: Float32
    """mu: see `beyond.beyond_samples`."""
    noise_power: float
    """About what whitened noise adds to ``r^H M r``, both parts together: the trace of ``M N``
    twice."""
    threads: int

    def __call__(self, r: Complex, /) -> Complex64:
        """Apply it to ``(1, sets, z, y, x)``."""
        work = (r * self.support).astype(np.complex64)
        work = fft.fftn(work, (2, 3, 4), workers=self.threads)
        work *= self.gains
        work = fft.ifftn(work, (2, 3, 4), workers=self.threads)
        work *= self.support
        made: Complex64 = work
        return made


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class DiagonalInverse:
    """Multiplies by one over the diagonal of ``A^H W A + D F^H mu F D + lambda``."""

    values: Float32
    """``(sets, z, y, x)``, 0 where no coil sees anything."""
    noise_power: float
    """As of `CirculantInverse`."""

    def __call__(self, r: Complex, /) -> Complex64:
        """Apply it to ``(1, sets, z, y, x)``."""
        return (r * self.values).astype(np.complex64)


def diagonal_inverse(
    spectra: Spectra, maps: Complex64, damping: float, held: Float32
) -> DiagonalInverse:
    """Return one over the diagonal of the normal operator of a Cartesian grid.

    Parameters
    ----------
    spectra, maps, damping
        As of `circulant_inverse`.
    held
        mu: see `beyond.beyond_mask`.
    """
    power = norm_of(maps).astype(np.float64) ** 2
    sampled = power * float(spectra.values[0].mean(dtype=np.float64))
    diagonal = sampled + power * float(held.mean(dtype=np.float64)) + damping
    values = np.divide(1.0, diagonal, out=np.zeros(power.shape), where=power > 0)
    return DiagonalInverse(
        values=values.astype(np.float32), noise_power=2.0 * float((values * sampled).sum())
    )


def circulant_inverse(
    spectra: Spectra, maps: Complex64, damping: float, *, threads: int = 1
) -> CirculantInverse:
    """Return the approximate inverse of ``A^H W A + D F^H mu F D + lambda``.

    Parameters
    ----------
    spectra
        Of samples anywhere, one component.
    maps
        ``(coils, sets, z, y, x)``.
    damping
        lambda.
    threads
        Of the transforms; the result is the same for any number.
    """
    require(spectra.n_components == 1, "one image, not components of a subspace")
    density = smoothed_density(spectra, threads=threads)
    held, inside = beyond_samples(density)
    floor = SPARSE * float(np.median(density[inside]))
    gains = 1.0 / (np.where(inside, np.maximum(density, floor), density + held) + damping)
    norm = norm_of(maps)
    return CirculantInverse(
        support=np.where(norm > 0, 1.0 / np.maximum(norm, FAINT), 0.0).astype(np.float32),
        gains=gains.astype(np.float32),
        held=held,
        noise_power=2.0 * float((density * gains).mean()) * int((norm > 0).sum()),
        threads=threads,
    )


def smoothed_density(spectra: Spectra, *, threads: int = 1) -> Float64:
    """Return the eigenvalues of the nearest circulant matrix, ``(z, y, x)``, origin at index 0.

    Each lag l of a convolution occurs ``n - |l|`` times in a matrix of n, so a circulant's entry is
    the mean of those it replaces: the point spread function, weighted by a triangle, wrapped.
    """
    whole = np.broadcast_to(spectra.values[0], spectra.grid)
    spread = fft.ifftn(whole.astype(np.complex64), workers=threads)
    for axis, (n, m) in enumerate(zip(spectra.shape, spectra.grid, strict=True)):
        spread = _wrapped(spread, axis, n, m)
    density: Float64 = fft.fftn(np.ascontiguousarray(spread), workers=threads).real.astype(
        np.float64
    )
    return np.maximum(density, 0.0)


def _wrapped(spread: Complex, axis: int, n: int, m: int) -> Complex:
    """Fold lags -n + 1 to n - 1 of one axis to n, each weighted by ``1 - |l| / n``."""
    if m == n:
        return spread
    lag = np.arange(n)
    weight = (1.0 - lag / n).reshape([-1 if a == axis else 1 for a in range(spread.ndim)])
    ahead = spread.take(lag, axis) * weight
    behind = spread.take((lag - n) % m, axis) * (1.0 - weight)
    return np.where(weight == 1.0, ahead, ahead + behind)
