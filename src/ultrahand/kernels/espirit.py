r"""Eigenvectors of the ESPIRiT operator in every voxel, `LANES` voxels of a row at a time.

In a voxel the operator is a Hermitian matrix over coils, a short Fourier series in the position:

.. math:: M(r) = \sum_l h(l)\, e^{-2 \pi i\, l \cdot r / N}

so it is summed where it is needed and never stored. No eigenvalue is above 1, and those wanted are
close to 1: inverse iteration from just above 1 finds their vectors in a few steps.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._butterflies import LANES
from ultrahand.kernels._elements import product_sum
from ultrahand.kernels._jit import kernel
from ultrahand.kernels.lines import ELEMENT

_FLAGS = {"contract", "nsz"}
_add, _add_conjugate = product_sum(), product_sum(conjugate=True)
_sub, _sub_conjugate = product_sum(negative=True), product_sum(conjugate=True, negative=True)


@njit(fastmath=_FLAGS)
def _series_of_row(series, turn_z, turn_y, out):
    """Sum over the lags along z and y: ``(pairs, z, y, x)`` to ``(pairs, x)``."""
    for pair in range(series.shape[0]):
        for lx in range(series.shape[3]):
            out[pair, lx] = 0.0
        for lz in range(series.shape[1]):
            for ly in range(series.shape[2]):
                turn = turn_z[lz] * turn_y[ly]
                for lx in range(series.shape[3]):
                    out[pair, lx] += turn * series[pair, lz, ly, lx]


@njit(fastmath=_FLAGS)
def _matrices(row, turns, factor, matrix):
    """Sum over the lags along x, for `LANES` voxels; ``turns``: elements of one block of voxels."""
    matrix[: len(row) * ELEMENT] = 0.0
    for pair in range(len(row)):
        for lag in range(row.shape[1]):
            value = row[pair, lag]
            for v in range(LANES):
                factor[v] = value.real
                factor[LANES + v] = value.imag
            _add(factor, 0, turns, lag, matrix, pair)


@njit(fastmath=_FLAGS)
def _apply(matrix, vector, n_coils, out):
    """Multiply by the Hermitian matrix whose lower triangle is given row by row."""
    out[: n_coils * ELEMENT] = 0.0
    pair = 0
    for i in range(n_coils):
        for j in range(i):
            _add(matrix, pair, vector, j, out, i)
            _add_conjugate(matrix, pair, vector, i, out, j)
            pair += 1
        _add(matrix, pair, vector, i, out, i)
        pair += 1


@njit(fastmath=_FLAGS)
def _factor(matrix, n_coils, shift, factor, inverse):
    """Write the Cholesky factor of ``shift - matrix``, and the inverse of its diagonal."""
    for i in range(n_coils * (n_coils + 1) // 2 * ELEMENT):
        factor[i] = -matrix[i]
    for j in range(n_coils):
        own = j * (j + 1) // 2
        for v in range(LANES):
            factor[(own + j) * ELEMENT + v] += shift
        for i in range(j, n_coils):
            row = i * (i + 1) // 2
            for k in range(j):
                _sub_conjugate(factor, own + k, factor, row + k, factor, row + j)
        for v in range(LANES):
            power = max(factor[(own + j) * ELEMENT + v], np.float32(1e-6))
            inverse[j * LANES + v] = np.float32(1.0) / np.sqrt(power)
        for i in range(j, n_coils):
            _scale(factor, i * (i + 1) // 2 + j, inverse, j)


@njit(fastmath=_FLAGS)
def _scale(a, i, reals, j):
    for v in range(LANES):
        a[i * ELEMENT + v] *= reals[j * LANES + v]
        a[i * ELEMENT + LANES + v] *= reals[j * LANES + v]


@njit(fastmath=_FLAGS)
def _solve(factor, inverse, n_coils, x):
    """Replace x by the solution of a system whose Cholesky factor is given."""
    for i in range(n_coils):
        for k in range(i):
            _sub(factor, i * (i + 1) // 2 + k, x, k, x, i)
        _scale(x, i, inverse, i)
    for i in range(n_coils - 1, -1, -1):
        for k in range(i + 1, n_coils):
            _sub_conjugate(factor, k * (k + 1) // 2 + i, x, k, x, i)
        _scale(x, i, inverse, i)


@njit(fastmath=_FLAGS)
def _project_out(vector, other, n_coils, overlap):
    """Take away from a vector what it has of another one, of unit norm."""
    overlap[:ELEMENT] = 0.0
    for c in range(n_coils):
        _add_conjugate(other, c, vector, c, overlap, 0)
    for c in range(n_coils):
        _sub(overlap, 0, other, c, vector, c)


@njit(fastmath=_FLAGS)
def _normalise(vector, n_coils, norms):
    """Make unit vectors."""
    norms[:LANES] = 0.0
    for c in range(n_coils):
        for v in range(LANES):
            re, im = vector[c * ELEMENT + v], vector[c * ELEMENT + LANES + v]
            norms[v] += re * re + im * im
    for v in range(LANES):
        norms[v] = np.float32(1.0) / np.sqrt(norms[v]) if norms[v] > 0.0 else np.float32(0.0)
    for c in range(n_coils):
        _scale(vector, c, norms, 0)


@njit(fastmath=_FLAGS)
def _eigenvectors(factor, inverse, start, n_coils, steps, vectors, work):
    for s in range(len(vectors)):
        vectors[s] = start[s]
        for _ in range(steps):
            _solve(factor, inverse, n_coils, vectors[s])
            for earlier in range(s):
                _project_out(vectors[s], vectors[earlier], n_coils, work)
            _normalise(vectors[s], n_coils, work)


@njit(fastmath=_FLAGS)
def _write(vector, applied, virtual, n_coils, voxels, maps, values):
    """Write the vectors of some voxels with the phase of the virtual coil, and their quotients."""
    for v in range(voxels):
        power, phase = np.float32(0.0), np.complex64(0.0)
        for c in range(n_coils):
            at = c * ELEMENT + v
            power += vector[at] * applied[at] + vector[at + LANES] * applied[at + LANES]
            phase += np.conj(virtual[c]) * np.complex64(complex(vector[at], vector[at + LANES]))
        size = abs(phase)
        turn = np.conj(phase) / size if size > 0.0 else np.complex64(1.0)
        values[v] = power
        for c in range(n_coils):
            at = c * ELEMENT + v
            maps[c, v] = turn * np.complex64(complex(vector[at], vector[at + LANES]))


@kernel(parallel=True)
def espirit_maps(series, turns, blocks, start, virtual, shift, steps, out):
    """Write the leading eigenvectors and eigenvalues of every voxel.

    ``series``: complex64 ``(pairs, lags z, lags y, lags x)``, the lower triangle of h row by row;
    ``turns``: complex64 ``(nz, lags z)`` and ``(ny, lags y)``; ``blocks``: float32 ``(blocks of nx,
    lags x, ELEMENT)``, the turns along x in lanes; ``start``: float32 ``(sets, coils ELEMENT)``;
    ``virtual``: complex64 ``(coils,)``, the coil whose phase the maps get; ``shift``: float32,
    above all eigenvalues; ``steps`` of inverse iteration; ``out``: complex64 ``(coils, sets, nz,
    ny, nx)`` and float32 ``(sets, nz, ny, nx)``.
    """
    maps, values = out
    n_coils, sets, nz, ny, nx = maps.shape
    pairs = len(series)
    for job in prange(nz * ny):
        z, y = job // ny, job % ny
        row = np.empty((pairs, series.shape[3]), np.complex64)
        matrix = np.empty(pairs * ELEMENT, np.float32)
        factor = np.empty(pairs * ELEMENT, np.float32)
        vectors = np.empty((sets, n_coils * ELEMENT), np.float32)
        work = np.empty(max(n_coils, 1) * ELEMENT, np.float32)
        inverse = np.empty(n_coils * LANES, np.float32)
        _series_of_row(series, turns[0][z], turns[1][y], row)
        for block in range(len(blocks)):
            first, last = block * LANES, min((block + 1) * LANES, nx)
            _matrices(row, blocks[block].reshape(-1), work, matrix)
            _factor(matrix, n_coils, shift, factor, inverse)
            _eigenvectors(factor, inverse, start, n_coils, steps, vectors, work)
            for s in range(sets):
                _apply(matrix, vectors[s], n_coils, work)
                here = maps[:, s, z, y, first:last]
                found = values[s, z, y, first:last]
                _write(vectors[s], work, virtual, n_coils, last - first, here, found)
