r"""The noise of SENSE voxel by voxel, from the voxels that alias onto each other alone.

The point spread function of a regular pattern has a few peaks. A voxel and those at the lags of the
peaks make a small principal block A of the normal operator, and with it

.. math:: C = (A + \lambda)^{-1} A (A + \lambda)^{-1}

(Pruessmann, Weiger, Scheidegger, Boesiger: MRM 1999;42:952, doi:10.1002/(SICI)1522-2594(199911)42:5
<952::AID-MRM16>3.0.CO;2-S, without damping). It is exact for a lattice that divides the matrix and
nothing else sampled, with every peak in the block; elsewhere it has the right edges, where masked
sensitivities begin and end and where their aliases do, and is wrong by a factor that varies slowly.

Sensitivities are smooth, so they couple neighbours in k-space only: parts of k-space sampled each
in its own way (a calibration block and the lattice around it) add their variances by their shares,
but for the seams, as in `ultrahand.recon.grappa_noise`. What was not sampled adds none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ultrahand.numerics import fft
from ultrahand.recon.normal import Spectra
from ultrahand.records.arrays import Bools, Complex64, Float64

Complex128 = NDArray[np.complex128]
Triple = tuple[int, int, int]

PEAK: Final = 0.1
"""Of the point spread function's middle: a lower lag changes the noise by the square of it."""
MOST: Final = 16
"""Voxels in a block."""
REACH: Final = 4
"""Cells on either side that are empty on a lattice at most."""
_VOXELS: Final = 4096
"""At a time."""


def spread_of(spectra: Spectra) -> Complex64:
    """Return the point spread function, lag 0 first; 1 long along axes where it is an impulse."""
    made: Complex64 = fft.ifftn(spectra.values[0].astype(np.complex64))
    return made


def parts_of(spectra: Spectra) -> list[tuple[float, Complex64]]:
    """Return shares of k-space, and the point spread function each would have as the whole.

    On the image's own grid these are where every cell was sampled, and where some were; of samples
    anywhere there is one.
    """
    from scipy import ndimage

    values = spectra.values[0]
    sizes = [1 if n == 1 else 3 for n in values.shape]
    if any(g != n for g, n in zip(spectra.grid, spectra.shape, strict=True)):
        return [(1.0, spread_of(spectra))]
    sampled = values > 0
    eroded = ndimage.minimum_filter(sampled, sizes, mode="wrap")
    dense = ndimage.maximum_filter(eroded, sizes, mode="wrap")
    near = [1 if n == 1 else 2 * min(REACH, (n - 1) // 2) + 1 for n in values.shape]
    grown = ndimage.maximum_filter(sampled, near, mode="wrap")
    some = ndimage.minimum_filter(grown, near, mode="wrap") & ~dense
    parts = []
    for part in (dense, some):
        share = float(part.mean())
        if share > 0:
            mine = fft.ifftn(np.where(part, values, 0).astype(np.complex64)) / np.float32(share)
            parts.append((share, mine.astype(np.complex64)))
    if share_of_dense := float(dense.mean()):
        # Whatever its shape, within it every cell was measured: nothing aliases.
        parts[0] = (share_of_dense, parts[0][1][:1, :1, :1])
    return parts


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


def aliased_variance(spectra: Spectra, maps: Complex64, damping: float, support: Bools) -> Float64:
    """Return the diagonal of C, ``(sets, z, y, x)``, of unit noise in each part of a sample.

    Parameters
    ----------
    spectra, maps, damping
        As of `ultrahand.recon.sense.sense`.
    support
        Voxels to do, ``(z, y, x)``; 0 is returned elsewhere.
    """
    wraps = [g == n for g, n in zip(spectra.grid, spectra.shape, strict=True)]
    out = np.zeros((maps.shape[1], *spectra.shape))
    for share, spread in parts_of(spectra):
        lags = np.array(peaks(spread, spectra.shape))
        between = (lags[:, None] - lags[None]) % spread.shape  # of the members a, b
        coupling = spread[tuple(np.moveaxis(between, -1, 0))].astype(np.complex128)
        for at in _blocks(support):
            block = _gram(maps, at, lags, wraps) * coupling[:, None, :, None]
            out[:, at[0], at[1], at[2]] += share * _first_variances(block, damping)
    return out


def _blocks(support: Bools) -> Iterator[tuple[np.ndarray, ...]]:
    at = np.nonzero(support)
    for first in range(0, len(at[0]), _VOXELS):
        yield tuple(index[first : first + _VOXELS] for index in at)


def _gram(
    maps: Complex64, at: tuple[np.ndarray, ...], lags: np.ndarray, wraps: list[bool]
) -> Complex128:
    """Return the products over coils of a voxel and those at its lags, 0 beyond an edge.

    Shape ``(voxels, members, sets, members, sets)``.
    """
    places, inside = [], np.ones((len(at[0]), len(lags)), np.bool_)
    for axis, (index, n) in enumerate(zip(at, maps.shape[2:], strict=True)):
        place = index[:, None] + lags[:, axis]
        if not wraps[axis]:
            inside &= (place >= 0) & (place < n)
        places.append(place % n)
    found = maps[(slice(None), slice(None), *places)].astype(np.complex128) * inside
    coils, sets, voxels, members = found.shape
    seen = found.transpose(2, 3, 1, 0).reshape(voxels, members * sets, coils)
    gram = seen.conj() @ seen.transpose(0, 2, 1)
    return gram.reshape(voxels, members, sets, members, sets)


def _first_variances(block: Complex128, damping: float) -> Float64:
    """Return the diagonal of C for the first member, ``(sets, voxels)``."""
    voxels, members, sets = block.shape[:3]
    size = members * sets
    normal = block.reshape(voxels, size, size)
    # Where the maps are 0 nothing is known; a little more than 0 keeps the system regular.
    ridge = np.maximum(damping, 1e-7 * np.trace(normal, axis1=1, axis2=2).real) + 1e-30
    unit = np.broadcast_to(np.eye(size)[:, :sets], (voxels, size, sets))
    column = np.linalg.solve(normal + ridge[:, None, None] * np.eye(size), unit)
    return np.einsum("vas,vab,vbs->sv", column.conj(), normal, column, optimize=True).real
