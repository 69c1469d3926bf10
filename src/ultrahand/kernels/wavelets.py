"""Orthonormal wavelet transforms of images and the soft threshold between them.

Images are complex64 ``(frames, z, y, x)``. An axis of n voxels is split into pairs; a voxel left
over (odd n, or n = 1) joins the coarse half as it is, so that the transform stays orthonormal for
every size.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel
from ultrahand.kernels._rows import stride

_FLAGS = {"contract", "nsz"}
_HALF = np.float32(math.sqrt(0.5))


@njit(fastmath=_FLAGS)
def _magnitude(value):
    return np.sqrt(value.real * value.real + value.imag * value.imag)


@njit(fastmath=_FLAGS)
def _butterflies(v, paired):
    """Take sums and differences along the paired axes (bits) of eight values; its own inverse."""
    for bit in (1, 2, 4):
        if paired & bit:
            for i in range(8):
                if not i & bit:
                    a, b = v[i], v[i | bit]
                    v[i], v[i | bit] = _HALF * (a + b), _HALF * (a - b)


@njit
def _members(place, sizes, split, shift):
    """Return which axes of a coarse voxel are pairs, and its fine coordinates, two an axis."""
    paired = 0
    lows, highs = np.empty(3, np.int64), np.empty(3, np.int64)
    for axis in range(3):
        n, at = sizes[axis], place[axis]
        if split[axis]:
            at = 2 * at
            if at + 1 < n:
                paired |= 4 >> axis
        lows[axis] = (at + shift[axis]) % n
        highs[axis] = (at + 1 + shift[axis]) % n
    return paired, lows, highs


@njit(fastmath=_FLAGS)
def _cell(x, place, split, shift, threshold, v, detail):
    """Split the voxels of one coarse voxel; return its mean part and the sum of the others."""
    paired, lows, highs = _members(place, x.shape, split, shift)
    for i in range(8):
        v[i] = 0.0
        if i & paired == i:
            z = highs[0] if i & 4 else lows[0]
            y = highs[1] if i & 2 else lows[1]
            v[i] = x[z, y, highs[2] if i & 1 else lows[2]]
    _butterflies(v, paired)
    total = 0.0
    for i in range(1, 8):
        size = _magnitude(v[i])
        if size <= threshold:
            v[i] = 0.0
        else:
            v[i] *= np.float32(1) - threshold / size
            total += np.float64(size - threshold)
    mean = v[0]
    v[0] = 0.0
    _butterflies(v, paired)
    for i in range(8):
        if i & paired == i:
            z = highs[0] if i & 4 else lows[0]
            y = highs[1] if i & 2 else lows[1]
            detail[z, y, highs[2] if i & 1 else lows[2]] = v[i]
    return mean, total


@kernel(parallel=True, fastmath=_FLAGS)
def haar_down(x, split, shift, threshold, out):
    """Split an image into a coarse one and the rest, the rest's coefficients shrunk.

    ``split``: of z, y, x; ``shift``: int64, voxel 0 of the transform lies there; ``threshold``:
    float32; ``out``: the rest, shape of x, which may be x itself; the coarse image; float64
    ``(frames, z, y)`` of the coarse image for the sums of the shrunk coefficients' sizes.
    """
    rest, coarse, sums = out
    frames, nz, ny, nx = coarse.shape
    for number in prange(frames * nz * ny):
        row = np.int64(number)  # prange counts without a sign
        f, z, y = row // (nz * ny), row // ny % nz, row % ny
        v = np.empty(8, np.complex64)
        total = 0.0
        for i in range(nx):
            mean, size = _cell(x[f], (z, y, i), split, shift, threshold, v, rest[f])
            coarse[f, z, y, i] = mean
            total += size
        sums[f, z, y] = total


@kernel(parallel=True, fastmath=_FLAGS)
def haar_up(coarse, split, shift, out):
    """Add a coarse image to the rest, undoing `haar_down`; ``out``: the image."""
    frames, nz, ny, nx = coarse.shape
    for number in prange(frames * nz * ny):
        row = np.int64(number)  # prange counts without a sign
        f, z, y = row // (nz * ny), row // ny % nz, row % ny
        image = out[f]
        for i in range(nx):
            paired, lows, highs = _members((z, y, i), image.shape, split, shift)
            value = coarse[f, z, y, i]
            for bit in (1, 2, 4):
                if paired & bit:
                    value *= _HALF
            for k in range(2 if paired & 4 else 1):
                for j in range(2 if paired & 2 else 1):
                    line = image[highs[0] if k else lows[0], highs[1] if j else lows[1]]
                    line[lows[2]] += value
                    if paired & 1:
                        line[highs[2]] += value


@njit(fastmath=_FLAGS)
def _split_line(line, filters, even, out):
    """Write coarse, left over and detail coefficients of a line to `out`."""
    half, n, taps = even // 2, len(line), filters.shape[1]
    for k in range(half):
        low, high = np.complex64(0), np.complex64(0)
        for m in range(taps):
            value = line[(2 * k + m) % even]
            low += filters[0, m] * value
            high += filters[1, m] * value
        out[k], out[n - half + k] = low, high
    if even < n:
        out[half] = line[even]


@njit(fastmath=_FLAGS)
def _join_line(line, filters, even, out):
    """Undo `_split_line`."""
    half, n, taps = even // 2, len(line), filters.shape[1]
    out[:] = 0.0
    for k in range(half):
        low, high = line[k], line[n - half + k]
        for m in range(taps):
            out[(2 * k + m) % even] += filters[0, m] * low + filters[1, m] * high
    if even < n:
        out[even] = line[half]


@kernel(parallel=True)
def wavelet_lines(filters, sizes, axis, shift, back, out):
    """Transform a corner of an image along one axis, in place.

    ``filters``: float32 ``(2, taps)``, the coarse and the detail one; ``sizes``: of the corner, z,
    y, x; ``axis``: 1, 2, 3 for z, y, x; ``shift``: the voxel at which lines begin; ``back``:
    whether to undo it; ``out``: the image.
    """
    n, shape, image = sizes[axis - 1], out.shape, out.reshape(out.size)
    others = sizes[1 if axis == 1 else 0], sizes[1 if axis == 3 else 2]
    steps = stride(2 if axis == 1 else 1, shape), stride(2 if axis == 3 else 3, shape)
    step, even = stride(axis, shape), n // 2 * 2
    for number in prange(shape[0] * others[0]):
        job = np.int64(number)  # prange counts without a sign
        line, turned = np.empty(n, np.complex64), np.empty(n, np.complex64)
        first = job // others[0] * stride(0, shape) + job % others[0] * steps[0]
        for j in range(others[1]):
            begin = first + j * steps[1]
            if back:
                for k in range(n):
                    line[k] = image[begin + k * step]
                _join_line(line, filters, even, turned)
                for k in range(n):
                    image[begin + (k + shift) % n * step] = turned[k]
            else:
                for k in range(n):
                    line[k] = image[begin + (k + shift) % n * step]
                _split_line(line, filters, even, turned)
                for k in range(n):
                    image[begin + k * step] = turned[k]


@kernel(parallel=True, fastmath=_FLAGS)
def shrink_details(corner, threshold, out):
    """Soft-threshold an image outside its first `corner` voxels along z, y, x.

    ``out``: the image; float64 ``(frames, z, y)`` for the sums of what is left of the sizes.
    """
    image, sums = out
    frames, nz, ny, nx = image.shape
    for number in prange(frames * nz * ny):
        row = np.int64(number)  # prange counts without a sign
        f, z, y = row // (nz * ny), row // ny % nz, row % ny
        total = 0.0
        for i in range(corner[2] if z < corner[0] and y < corner[1] else 0, nx):
            size = _magnitude(image[f, z, y, i])
            if size <= threshold:
                image[f, z, y, i] = 0.0
            else:
                image[f, z, y, i] *= np.float32(1) - threshold / size
                total += np.float64(size - threshold)
        sums[f, z, y] = total
