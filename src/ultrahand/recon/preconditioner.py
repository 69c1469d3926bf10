r"""An approximate inverse of the normal operator, which conjugate gradients converge faster with.

The normal operator of samples anywhere is a convolution cut to the image, blurred a little by the
coils. The circulant matrix nearest to the convolution (T. Chan: SIAM J Sci Stat Comput 1988;9:766,
doi:10.1137/0909051) is diagonal in k-space, its values the density of the samples smoothed over one
cell; one over them undoes what makes radial and spiral scans slow, the many samples in the middle.

Nothing was measured beyond the convex hull of the samples (the corners about a disc), and there the
inverse is 0. Conjugate gradients then look for the image among those without that part of k-space:
it stays zero, as in gridding, where an exact solution would be noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.recon.normal import Spectra
from ultrahand.records.arrays import Bools, Complex, Complex64, Float32, Float64, require

SAMPLED: Final = 0.05
"""Cells hold samples whose density is above this part of the mean."""
SPARSE: Final = 0.3
"""Densities below this part of their median, among sampled cells, count as that: between spokes
coils, not the density, say what is known."""
DIRECTIONS: Final = 128
"""In which the reach of the samples is taken."""
FAINT: Final = 0.3
"""Maps of less norm count as of that: where they end, the operator does too."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CirculantInverse:
    """Applies ``m F^H (1 / (d + lambda)) F m``, m one over the norm of the maps."""

    support: Float32
    """m, ``(sets, z, y, x)``, 0 where no coil sees anything."""
    gains: Float32
    """``1 / (d + lambda)``, 0 beyond the samples; origin at index 0, ``(z, y, x)``."""
    noise_power: float
    """About what whitened noise adds to ``r^H M r``, both parts together: the trace of ``M N``
    twice."""
    threads: int

    def __call__(self, r: Complex, /) -> Complex64:
        """Apply it to ``(1, sets, z, y, x)``."""
        import scipy.fft

        work = (r * self.support).astype(np.complex64)
        work = scipy.fft.fftn(work, axes=(2, 3, 4), overwrite_x=True, workers=self.threads)
        work *= self.gains
        work = scipy.fft.ifftn(work, axes=(2, 3, 4), overwrite_x=True, workers=self.threads)
        work *= self.support
        return work


def circulant_inverse(
    spectra: Spectra, maps: Complex64, damping: float, *, threads: int = 1
) -> CirculantInverse:
    """Return the approximate inverse of ``A^H W A + lambda``.

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
    inside = hull(density > SAMPLED * density.mean())
    floor = SPARSE * float(np.median(density[inside]))
    gains = np.where(inside, 1.0 / (np.maximum(density, floor) + damping), 0.0)
    norm = np.sqrt((maps.real**2 + maps.imag**2).sum(axis=0))
    return CirculantInverse(
        support=np.where(norm > 0, 1.0 / np.maximum(norm, FAINT), 0.0).astype(np.float32),
        gains=gains.astype(np.float32),
        noise_power=2.0 * float((density * gains).mean()) * int((norm > 0).sum()),
        threads=threads,
    )


def hull(cells: Bools) -> Bools:
    """Return the convex hull of some cells of k-space, as far as `DIRECTIONS` show it.

    Parameters
    ----------
    cells
        ``(z, y, x)``, origin at index 0.
    """
    axes = [np.fft.fftfreq(n, 1.0 / n) if n > 1 else np.zeros(1) for n in cells.shape]
    scale = [max(n // 2, 1) for n in cells.shape]
    grid = np.stack(
        [g.ravel() / s for g, s in zip(np.meshgrid(*axes, indexing="ij"), scale, strict=True)]
    )
    found = grid[:, cells.ravel()]
    inside = np.ones(cells.size, np.bool_)
    for direction in _directions([n > 1 for n in cells.shape]):
        reach = (direction @ found).max(initial=0.0)
        inside &= direction @ grid <= reach + 1e-6
    return inside.reshape(cells.shape)


def _directions(long: list[bool]) -> Float64:
    """Return unit vectors spread over a sphere, or a circle where only two axes are long."""
    number = np.arange(DIRECTIONS) + 0.5
    turn = np.pi * (3.0 - np.sqrt(5.0)) * number
    if all(long):
        z = 1.0 - 2.0 * number / DIRECTIONS
        around = np.sqrt(1.0 - z**2)
        return np.stack([z, around * np.cos(turn), around * np.sin(turn)], axis=1)
    angle = 2.0 * np.pi * number / DIRECTIONS
    vectors = np.zeros((DIRECTIONS, 3))
    pair = [axis for axis in range(3) if long[axis]][-2:]
    for axis, part in zip(pair, (np.cos(angle), np.sin(angle)), strict=False):
        vectors[:, axis] = part
    return vectors


def smoothed_density(spectra: Spectra, *, threads: int = 1) -> Float64:
    """Return the eigenvalues of the nearest circulant matrix, ``(z, y, x)``, origin at index 0.

    Each lag l of a convolution occurs ``n - |l|`` times in a matrix of n, so a circulant's entry is
    the mean of those it replaces: the point spread function, weighted by a triangle, wrapped.
    """
    import scipy.fft

    whole = np.broadcast_to(spectra.values[0], spectra.grid)
    spread = scipy.fft.ifftn(whole, workers=threads)
    for axis, (n, m) in enumerate(zip(spectra.shape, spectra.grid, strict=True)):
        spread = _wrapped(spread, axis, n, m)
    density: Float64 = scipy.fft.fftn(spread, workers=threads).real.astype(np.float64)
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
