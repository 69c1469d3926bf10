"""Sums of thin elliptic plates: at single points of k-space, and along an axis of a grid.

Both kernels own their outputs and add in one order, so that the bits do not depend on the number
of threads. A plate's own transform ``2 J1(q)/q`` is read from a table of polynomials; sine and
cosine are polynomials without a branch, as only those are vectorised.
"""

from __future__ import annotations

from math import factorial, pi

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel

PLATES = 256
"""Plates worked on at a time: what belongs to them stays in the first-level cache."""
POINTS = 8
"""Points of k-space that share one set of work arrays."""
LINES = 64
"""Lines side by side in the innermost loop of `spread_plates`."""
PER_UNIT = 2.0
"""Rows of the table per unit of q."""

_SIN = tuple((-1.0) ** n * pi ** (2 * n + 1) / factorial(2 * n + 1) for n in range(10))
_COS = tuple((-1.0) ** n * pi ** (2 * n) / factorial(2 * n) for n in range(11))
_FLAGS = {"reassoc", "contract", "nsz", "arcp"}


@njit(fastmath=_FLAGS, inline="always")
def _turn(cycles):
    """Return cosine and sine of ``2 pi cycles``, to 1e-14 beside the rounding of `cycles`.

    Taylor series of half the angle, at most a quarter turn, where the first terms left out are
    (pi/2)^22/22! = 2e-17 and (pi/2)^21/21! = 3e-16; then the angle is doubled.
    """
    r = cycles - np.rint(cycles)
    y = r * r
    s = _SIN[8] + y * _SIN[9]
    s = _SIN[4] + y * (_SIN[5] + y * (_SIN[6] + y * (_SIN[7] + y * s)))
    s = r * (_SIN[0] + y * (_SIN[1] + y * (_SIN[2] + y * (_SIN[3] + y * s))))
    c = _COS[8] + y * (_COS[9] + y * _COS[10])
    c = _COS[4] + y * (_COS[5] + y * (_COS[6] + y * (_COS[7] + y * c)))
    c = _COS[0] + y * (_COS[1] + y * (_COS[2] + y * (_COS[3] + y * c)))
    return 1.0 - 2.0 * s * s, 2.0 * s * c


@njit(fastmath=_FLAGS, inline="always")
def _jinc(q, table):
    """Return ``2 J1(q)/q``: row ``floor(PER_UNIT q)``, a polynomial about its middle."""
    place = PER_UNIT * q
    i = np.uint64(place)
    f = place - i - 0.5
    high = table[i, 4] + f * (table[i, 5] + f * (table[i, 6] + f * table[i, 7]))
    return table[i, 0] + f * (table[i, 1] + f * (table[i, 2] + f * (table[i, 3] + f * high)))


@njit(fastmath=_FLAGS)
def _strengths(terms, first, last, decays, time, courses, plate, work, strength):
    """Write what the plates from `plate` on carry at a time: their terms `first` to `last`."""
    owner, real, imag, rate, frequency, curve = terms
    strength[:] = 0.0
    for start in range(first, last, PLATES):
        n = min(PLATES, last - start)
        for j in range(n):
            c, s = _turn(frequency[start + j] * time)
            work[0, j] = real[start + j] * c - imag[start + j] * s
            work[1, j] = real[start + j] * s + imag[start + j] * c
        for j in range(n):
            t = start + j
            factor = decays[rate[t]] * courses[curve[t]]
            strength[0, owner[t] - plate] += factor * work[0, j]
            strength[1, owner[t] - plate] += factor * work[1, j]


@njit(fastmath=_FLAGS)
def _sum_at(k, plates, first, n, strength, table, q):
    """Return the sum of `n` plates from `first` on at one position."""
    x, y, z = 2.0 * pi * k[0], 2.0 * pi * k[1], 2.0 * pi * k[2]
    for j in range(n):
        p = first + j
        u = x * plates[3, p] + y * plates[4, p] + z * plates[5, p]
        v = x * plates[6, p] + y * plates[7, p] + z * plates[8, p]
        q[j] = np.sqrt(u * u + v * v)
    for j in range(n):
        q[j] = _jinc(q[j], table)
    real = 0.0
    imag = 0.0
    for j in range(n):
        p = first + j
        c, s = _turn(k[0] * plates[0, p] + k[1] * plates[1, p] + k[2] * plates[2, p])
        real += q[j] * (strength[0, j] * c + strength[1, j] * s)
        imag += q[j] * (strength[1, j] * c - strength[0, j] * s)
    return real, imag


@kernel(parallel=True, fastmath=_FLAGS)
def sum_plates(k, time, shot, waves, plates, offsets, terms, rates, curves, table, out):
    """Write the signal of plates at any positions, as each plane wave shifts them.

    ``k``: ``(points, 3)`` per m, ``time``: ``(points,)`` s, ``shot``: int64 ``(points,)``;
    ``waves``: ``(waves, 3)``; ``plates``: ``(9, plates)``, centre and two semi-axes in m;
    ``offsets``: int64 ``(plates + 1,)``, the first term of each plate; ``terms``: six arrays
    ``(terms,)`` in order of the plates: plate, real and imaginary part of amplitude times volume,
    row in ``rates``, Hz, column in ``curves``; ``rates``: ``(rates,)`` per s; ``curves``:
    ``(shots, columns)``; ``table``: `bessel_table`; ``out``: complex128 ``(points, waves)``.
    """
    n_points, n_plates, n_waves = k.shape[0], plates.shape[1], waves.shape[0]
    for chunk in prange((n_points + POINTS - 1) // POINTS):
        strength = np.empty((2, PLATES))
        work = np.empty((2, PLATES))
        q = np.empty(PLATES)
        shifted = np.empty(3)
        for i in range(chunk * POINTS, min(chunk * POINTS + POINTS, n_points)):
            decays = np.exp(-rates * time[i])
            courses = curves[shot[i]]
            out[i] = 0.0
            for first in range(0, n_plates, PLATES):
                n = min(PLATES, n_plates - first)
                low, high = offsets[first], offsets[first + n]
                _strengths(terms, low, high, decays, time[i], courses, first, work, strength)
                for m in range(n_waves):
                    for axis in range(3):
                        shifted[axis] = k[i, axis] - waves[m, axis]
                    real, imag = _sum_at(shifted, plates, first, n, strength, table, q)
                    out[i, m] += complex(real, imag)


@njit(fastmath=_FLAGS)
def _values(lines, first, n, plates, p, strength, row, table, q, value):
    """Write what a plate carries on `n` lines from `first` on, and then i times that.

    ``value``: ``(2, 2 * LINES)``, real parts and then imaginary parts.
    """
    for j in range(n):
        x, y = 2.0 * pi * lines[0, first + j], 2.0 * pi * lines[1, first + j]
        u = x * plates[2, p] + y * plates[3, p]
        v = x * plates[4, p] + y * plates[5, p]
        q[j] = np.sqrt(u * u + v * v)
    for j in range(n):
        q[j] = _jinc(q[j], table)
    for j in range(n):
        c, s = _turn(lines[0, first + j] * plates[0, p] + lines[1, first + j] * plates[1, p])
        value[0, j] = q[j] * c
        value[0, LINES + j] = -q[j] * s
    if len(strength) > 0:
        for j in range(n):
            a = strength[row[first + j], p]
            real, imag = value[0, j], value[0, LINES + j]
            value[0, j] = real * a.real - imag * a.imag
            value[0, LINES + j] = real * a.imag + imag * a.real
    for j in range(n):
        value[1, j] = -value[0, LINES + j]
        value[1, LINES + j] = value[0, j]


@njit(fastmath=_FLAGS)
def _spread(value, turn, weights, low, high, cell, grid):
    """Add a plate, turned, to the cells that it reaches; one product for both parts."""
    for i in range(low, high):
        weight = weights[i] * turn
        a, b = weight.real, weight.imag
        lines = grid[cell + i - low]
        for j in range(2 * LINES):
            lines[j] += a * value[0, j] + b * value[1, j]


@kernel(parallel=True, fastmath=_FLAGS)
def spread_plates(lines, row, plates, strength, turns, runs, weights, table, out):
    """Write plates, spread over the cells of a fine periodic grid along one axis, for many lines.

    ``lines``: ``(2, lines)`` per m along the two other axes, ``row``: int64 ``(lines,)``, which
    row of ``strength`` a line takes; ``plates``: ``(6, plates)``, centre and two semi-axes along
    those axes; ``strength``: complex128 ``(rows, plates)``, or no rows for 1 on all lines;
    ``turns``: complex128 ``(turns, plates)``, a factor for each grid; ``runs``: int64 ``(4,
    runs)``: plate, first cell, first and one past the last of its ``weights``, in order of plates;
    ``weights``: complex128; ``out``: complex128 ``(turns, cells, lines)``.
    """
    n_turns, n_cells, n_lines = out.shape
    n_runs = runs.shape[1]
    longest = 0
    for i in range(n_runs):
        longest = max(longest, runs[3, i] - runs[2, i])
    for block in prange((n_lines + LINES - 1) // LINES):
        first = block * LINES
        n = min(LINES, n_lines - first)
        grid = np.zeros((n_turns, n_cells + longest, 2 * LINES))
        value = np.zeros((2, 2 * LINES))
        q = np.empty(LINES)
        last = -1
        for i in range(n_runs):
            p = runs[0, i]
            if p != last:
                _values(lines, first, n, plates, p, strength, row, table, q, value)
                last = p
            for m in range(n_turns):
                _spread(value, turns[m, p], weights, runs[2, i], runs[3, i], runs[1, i], grid[m])
        for m in range(n_turns):
            for cell in range(n_cells, n_cells + longest):
                # The grid is periodic; a run may be longer than it.
                grid[m, cell % n_cells] += grid[m, cell]
            for cell in range(n_cells):
                for j in range(n):
                    out[m, cell, first + j] = complex(grid[m, cell, j], grid[m, cell, LINES + j])
