"""Interpolation of many grids at once, each result a sum of them with factors of its own."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel

POINTS = 64
"""Points that share one set of work arrays."""

_FLAGS = {"reassoc", "contract", "nsz", "arcp"}


@njit(fastmath=_FLAGS)
def _weights(place, size, pieces, out):
    """Write a point's weights along an axis; return their first cell and their number."""
    if size == 1:
        out[0] = 1.0
        return 0, 1
    width = len(pieces)
    first = np.ceil(place - 0.5 * width)
    f = first + 0.5 * width - place - 0.5
    for i in range(width):
        value = 0.0
        for power in range(pieces.shape[1] - 1, -1, -1):
            value = value * f + pieces[i, power]
        out[i] = value
    return int(first), width


@njit(fastmath=_FLAGS)
def _gather(grid, first, number, weights, row, sums):
    """Add up a point's cells, for all grids side by side.

    The cells along the last axis lie side by side too: rows of them are added first, since one
    long loop runs several times as fast as many short ones.
    """
    n_grids = len(sums)
    start, length = first[2] * n_grids, number[2] * n_grids
    row[:length] = 0.0
    for a in range(number[0]):
        for b in range(number[1]):
            weight = np.float32(weights[0, a] * weights[1, b])
            cells = grid[first[0] + a, first[1] + b, start : start + length]
            for j in range(length):
                row[j] += weight * cells[j]
    sums[:] = 0.0
    for c in range(number[2]):
        weight = np.float32(weights[2, c])
        for v in range(n_grids):
            sums[v] += weight * row[c * n_grids + v]


@kernel(parallel=True, fastmath=_FLAGS)
def interpolate_sums(places, grid, pieces, shot, row, courses, basis, out):
    """Add ``sum_v courses[shot, v] basis[row, v] grid_ov(place)`` at every point to each output o.

    ``places``: float64 ``(points, 3)`` in cells; ``grid``: float32 ``(n0, n1, n2, outputs * V *
    2)``, real and imaginary parts in turns, not interpolated along an axis of one cell and
    elsewhere wide enough for all weights; ``pieces``: ``(width, degree + 1)``, see
    `KaiserBessel.pieces`; ``shot``, ``row``: int64 ``(points,)``; ``courses``: float32 ``(shots,
    V)``; ``basis``: complex64 ``(rows, V)``; ``out``: complex64 ``(outputs, points)``.
    """
    n_points, n_grids = len(places), courses.shape[1]
    rows = grid.reshape(grid.shape[0], grid.shape[1], -1)
    for chunk in prange((n_points + POINTS - 1) // POINTS):
        sums = np.empty(grid.shape[3], np.float32)
        row_sums = np.empty(len(pieces) * grid.shape[3], np.float32)
        weights = np.empty((3, len(pieces)))
        first = np.empty(3, np.int64)
        number = np.empty(3, np.int64)
        for i in range(chunk * POINTS, min(chunk * POINTS + POINTS, n_points)):
            for axis in range(3):
                first[axis], number[axis] = _weights(
                    places[i, axis], grid.shape[axis], pieces, weights[axis]
                )
            _gather(rows, first, number, weights, row_sums, sums)
            for output in range(len(out)):
                real = 0.0
                imag = 0.0
                for v in range(n_grids):
                    at = 2 * (output * n_grids + v)
                    factor = basis[row[i], v]
                    a, b = courses[shot[i], v] * factor.real, courses[shot[i], v] * factor.imag
                    real += a * sums[at] - b * sums[at + 1]
                    imag += a * sums[at + 1] + b * sums[at]
                out[output, i] += np.complex64(complex(real, imag))
