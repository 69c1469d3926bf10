r"""Coil sensitivities found on a coarse grid, interpolated where they are used.

The matrix whose eigenvector they are (`espirit`) has no more than five periods along an axis of the
field of view, so a coarse grid holds it, and a cubic spline between points of that grid (`COARSE`
of them to an axis) errs by less than 1e-6 in the median of a hand. Memory and time of the maps then
do not grow with the matrix of the image.

Beyond the object there is nothing to find, and the eigenvalue says so: it falls from 1 to where
noise is. Maps are weighted by a smooth step of it, so that voxels without signal take no part in
the unfolding of others. An image that was made with such weights is multiplied by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.espirit import CoilMaps, espirit
from ultrahand.records.arrays import Complex64, Float32, Float64, require

COARSE: Final = 64
"""Points along an axis, at most."""
NOTHING: Final = 0.5
"""Eigenvalue below which a voxel holds no object."""
OBJECT: Final = 0.9
"""Eigenvalue above which it holds one: in voxels of signal above 16 times the noise 999 in 1,000
are above 0.94, in those of 8 to 16 times 98 in 100 are above 0.9."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MapGrid:
    """Maps on a coarse grid over the field of view of an image."""

    coarse: CoilMaps
    shape: tuple[int, int, int]
    """Of the image, ``(z, y, x)``."""

    @property
    def seen(self) -> float:
        """Voxels of the image that hold an object, each by the square of its weight."""
        weights = soft_step(self.coarse.eigenvalues[0]).astype(np.float64)
        return float(np.mean(weights**2)) * float(np.prod(self.shape))

    @cached_property
    def splines(self) -> tuple[Float32, ...]:
        """For each axis the matrix from coarse points to voxels."""
        coarse = self.coarse.maps.shape[2:]
        return tuple(spline_matrix(m, n) for m, n in zip(coarse, self.shape, strict=True))

    def columns(self, part: slice, *, soft: bool = True) -> tuple[Complex64, Float32]:
        """Return maps and weights of some columns along x.

        Parameters
        ----------
        part
            Of the x axis of the image.
        soft
            Whether maps end where the object does; else their norm is 1 and the weights are 1.

        Returns
        -------
        Complex64, Float32
            Maps ``(coils, sets, z, y, x)``, their norm over coils the weights; weights ``(sets, z,
            y, x)``, 0 to 1.
        """
        along = (*self.splines[:2], self.splines[2][part])
        with one_blas_thread():
            maps = _interpolated(self.coarse.maps, along)
            values = _interpolated(self.coarse.eigenvalues, along)
        norm = np.sqrt((maps.real**2 + maps.imag**2).sum(axis=0))
        weights = soft_step(values) if soft else np.ones_like(norm)
        maps *= np.divide(weights, norm, out=np.zeros_like(norm), where=norm > 0)
        return maps, weights


def find_maps(
    calibration: Complex64, shape: tuple[int, int, int], *, sets: int = 1, threads: int = 1
) -> MapGrid:
    """Find the maps of an image by ESPIRiT.

    Parameters
    ----------
    calibration, sets, threads
        See `espirit.espirit`.
    shape
        Of the image, ``(z, y, x)``.

    Raises
    ------
    InputError
        As `espirit.espirit` does.
    """
    require(len(shape) == 3, "shape must be (z, y, x)")
    coarse = (min(COARSE, shape[0]), min(COARSE, shape[1]), min(COARSE, shape[2]))
    return MapGrid(coarse=espirit(calibration, coarse, sets=sets, threads=threads), shape=shape)


def soft_step(values: Float32) -> Float32:
    """Return 0 below `NOTHING`, 1 above `OBJECT`, and a cubic between."""
    t = np.clip((values - NOTHING) / (OBJECT - NOTHING), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)


def spline_matrix(coarse: int, fine: int) -> Float32:
    """Return the periodic cubic spline from points to voxels of one field of view.

    Parameters
    ----------
    coarse, fine
        How many; the origin of both is at ``n // 2``.

    Returns
    -------
    ndarray
        float32 ``(fine, coarse)``.
    """
    if coarse == fine:
        return np.eye(fine, dtype=np.float32)
    places = ((np.arange(fine) - fine // 2) * coarse / fine + coarse // 2) % coarse
    return _spline(coarse, places).astype(np.float32)


def _spline(coarse: int, places: Float64) -> Float64:
    from scipy.interpolate import make_interp_spline

    if coarse < 4:  # no room for a cubic: nothing so narrow varies
        return np.eye(coarse)[np.rint(places).astype(int) % coarse]
    knots = np.arange(coarse + 1)
    values: Float64 = make_interp_spline(knots, np.eye(coarse)[knots % coarse], bc_type="periodic")(
        places
    )
    return values


def _interpolated(array: np.ndarray, along: tuple[Float32, ...]) -> np.ndarray:
    """Apply a matrix along each of the last three axes, x first: its columns may be few."""
    for axis, matrix in zip((-1, -2, -3), reversed(along), strict=True):
        array = np.moveaxis(np.tensordot(array, matrix, (axis, 1)), -1, axis)
    return np.ascontiguousarray(array)
