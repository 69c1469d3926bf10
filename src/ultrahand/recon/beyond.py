r"""What lies beyond the samples of k-space: taken as measured, and zero.

Nothing was measured outside the convex hull of the samples: the corners about a disc, the empty
side of partial Fourier. Coils see a few cells farther, and what they say of the rest is noise
alone. So the image is held to zero there,

.. math:: (N + \lambda + D F^H \mu F D) x = b,

with :math:`\mu` zero within the hull and what a sampled cell weighs beyond it, and D the norm of
the maps: what is held is the image that the coils see. Without it the solution would depend on the
iteration at which one stops: those parts of k-space converge last, and to noise. Gridding and zero
filling leave them zero too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics import fft
from ultrahand.recon.normal import NormalOperator, Spectra
from ultrahand.records.arrays import Bools, Complex, Complex64, Float32, Float64

SAMPLED: Final = 0.05
"""Cells hold samples whose density is above this part of the mean."""
DIRECTIONS: Final = 128
"""In which the reach of the samples is taken."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOperator:
    """``N + D F^H mu F D``; ``(1, sets, z, y, x)`` to the same."""

    normal: NormalOperator
    weight: Float32
    """mu, ``(z, y, x)``, origin at index 0; 1 long on axes along which it does not vary."""
    norm: Float32
    """D, of the maps, ``(sets, z, y, x)``."""

    @property
    def domain(self) -> tuple[int, ...]:
        return self.normal.domain

    def forward(self, x: Complex64, /) -> Complex64:
        """Apply it."""
        return self.normal.forward(x) + self.hold(x)

    def hold(self, x: Complex, /) -> Complex64:
        """Apply ``D F^H mu F D`` alone."""
        axes = tuple(2 + axis for axis, n in enumerate(self.weight.shape) if n > 1)
        if not axes:
            return np.zeros(x.shape, np.complex64)
        work = (x * self.norm).astype(np.complex64)
        work = fft.fftn(work, axes, workers=self.normal.threads)
        work *= self.weight
        work = fft.ifftn(work, axes, workers=self.normal.threads)
        work *= self.norm
        made: Complex64 = work
        return made


def norm_of(maps: Complex64) -> Float32:
    """Return the norm over coils of each set of maps, ``(sets, z, y, x)``."""
    norm: Float32 = np.sqrt((maps.real**2 + maps.imag**2).sum(axis=0))
    return norm


def beyond_mask(spectra: Spectra) -> Float32:
    """Return mu of lines on the image's own grid, ``(z, y, x)``, 1 long where it does not vary.

    A lattice ends up to a gap before the matrix does: the last lines, which have no next ones,
    count as within the hull.
    """
    from scipy import ndimage

    values = spectra.values[0]
    sampled = np.fft.fftshift(values > 0)
    inside = hull(np.fft.ifftshift(sampled))
    far = ndimage.distance_transform_cdt(~sampled, "chessboard")
    gap = 2 * int(far[np.fft.fftshift(inside)].max(initial=0))
    if gap and not inside.all():
        for axis, n in enumerate(sampled.shape):
            along = np.arange(n).reshape([-1 if a == axis else 1 for a in range(3)])
            rim = (along < gap) | (along >= n - gap)
            sampled |= ndimage.maximum_filter1d(sampled, 2 * gap + 1, axis, mode="constant") & rim
        inside = hull(np.fft.ifftshift(sampled))
    level = float(values[inside].mean()) if inside.any() else 0.0
    return np.where(inside, 0.0, level).astype(np.float32)


def beyond_samples(density: Float64) -> tuple[Float32, Bools]:
    """Return mu of samples anywhere, and where it is zero: the hull of the sampled cells.

    Parameters
    ----------
    density
        Of the samples, smoothed over a cell: see `preconditioner.smoothed_density`.
    """
    inside = hull(density > SAMPLED * density.mean())
    level = float(np.median(density[inside]))
    return np.where(inside, 0.0, level).astype(np.float32), inside


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
