r"""The noise of SENSE voxel by voxel, from the voxels that alias onto each other alone.

The point spread function of a regular pattern has a few peaks. A voxel and those at the lags of the
peaks make a small principal block A of the normal operator, and with it

.. math:: C = (A + \lambda)^{-1} A (A + \lambda)^{-1}

(Pruessmann, Weiger, Scheidegger, Boesiger: MRM 1999;42:952, doi:10.1002/(SICI)1522-2594(199911)42:5
<952::AID-MRM16>3.0.CO;2-S, without damping). It is exact for a lattice that divides the matrix and
nothing else sampled, with every peak in the block; elsewhere it has the right edges, where masked
sensitivities begin and end and where their aliases do, and is wrong by a factor that varies slowly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ultrahand.recon.normal import Spectra
from ultrahand.records.arrays import Bools, Complex64, Float64

Complex128 = NDArray[np.complex128]
Triple = tuple[int, int, int]

PEAK: Final = 0.1
"""Of the point spread function's middle: a lower lag changes the noise by the square of it."""
MOST: Final = 16
"""Voxels in a block."""
_VOXELS: Final = 4096
"""At a time."""


def spread_of(spectra: Spectra) -> Complex64:
    """Return the point spread function, lag 0 first; 1 long along axes where it is an impulse."""
    import scipy.fft

    return scipy.fft.ifftn(spectra.values[0])


def peaks(spread: Complex64, shape: Triple) -> list[Triple]:
    """Return lag 0 and the lags of the peaks, the highest first; neighbours of one are none."""
    from scipy import ndimage

    height = np.abs(spread)
    sizes = [3 if n > 1 else 1 for n in spread.shape]
    top = height == ndimage.maximum_filter(height, sizes, mode="wrap")
    at = np.argwhere(top & (height >= PEAK * height[0, 0, 0]))
    order = np.argsort(-height[tuple(at.T)], kind="stable")
    lags: list[Triple] = [(0, 0, 0)]
    for lag in at[order]:
        z, y, x = (
            int(i) - g if 2 * i > g else int(i) for i, g in zip(lag, spread.shape, strict=True)
        )
        inside = all(abs(i) < n for i, n in zip((z, y, x), shape, strict=True))
        if inside and any((z, y, x)) and len(lags) < MOST:
            lags.append((z, y, x))
    return lags


def aliased_variance(
    spectra: Spectra, maps: Complex64, damping: float, support: Bools, *, spread: Complex64
) -> Float64:
    """Return the diagonal of C, ``(sets, z, y, x)``, of unit noise in each part of a sample.

    Parameters
    ----------
    spectra, maps, damping
        As of `ultrahand.recon.sense.sense`.
    support
        Voxels to do, ``(z, y, x)``; 0 is returned elsewhere.
    spread
        From `spread_of`.
    """
    lags = peaks(spread, spectra.shape)
    wraps = [g == n for g, n in zip(spectra.grid, spectra.shape, strict=True)]
    lag_table = np.array(lags)
    between = lag_table[:, None] - lag_table[None]  # of the members a, b
    coupling = spread[tuple(np.moveaxis(between % spread.shape, -1, 0))].astype(np.complex128)
    # Along an axis where the spread is an impulse every lag but 0 couples nothing; all peaks are 0.
    sets = maps.shape[1]
    out = np.zeros((sets, *spectra.shape))
    for at in _parts(support):
        seen = _members(maps, at, lag_table, wraps)  # voxels, members, sets, coils
        voxels = len(seen)
        flat = seen.reshape(voxels, -1, seen.shape[-1])
        gram = flat.conj() @ flat.transpose(0, 2, 1)
        block = gram * np.repeat(np.repeat(coupling, sets, 0), sets, 1)
        out[:, at[0], at[1], at[2]] = _first_variances(block, damping, sets).T
    return out


def _parts(support: Bools) -> Iterator[tuple[np.ndarray, ...]]:
    at = np.nonzero(support)
    for first in range(0, len(at[0]), _VOXELS):
        yield tuple(index[first : first + _VOXELS] for index in at)


def _members(
    maps: Complex64, at: tuple[np.ndarray, ...], lags: np.ndarray, wraps: list[bool]
) -> Complex128:
    """Return the sensitivities of a voxel and those at its lags; 0 beyond an edge."""
    places, inside = [], np.ones((len(at[0]), len(lags)), np.bool_)
    for axis, (index, n) in enumerate(zip(at, maps.shape[2:], strict=True)):
        place = index[:, None] + lags[:, axis]
        if not wraps[axis]:
            inside &= (place >= 0) & (place < n)
        places.append(place % n)
    found = maps[(slice(None), slice(None), *places)].astype(np.complex128) * inside
    return np.ascontiguousarray(found.transpose(2, 3, 1, 0))


def _first_variances(block: Complex128, damping: float, sets: int) -> Float64:
    """Return the diagonal of C for the first member, ``(voxels, sets)``."""
    size = block.shape[-1]
    trace = np.trace(block, axis1=1, axis2=2).real
    ridge = damping + 1e-7 * trace + math.ulp(0.0)  # where the maps are 0 nothing is known
    regular = block + np.eye(size) * np.maximum(ridge, 1e-30)[:, None, None]
    column = np.linalg.solve(
        regular, np.broadcast_to(np.eye(size)[:, :sets], (len(block), size, sets))
    )
    return np.einsum("vas,vab,vbs->vs", column.conj(), block, column).real
