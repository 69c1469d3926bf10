"""Adaptive combination of coils: local covariance, its dominant eigenvector, the combined image.

The kernels own their output voxels or cells and add in one order, so that the bits do not depend
on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel

MAX_STEPS = 64
CHANGE_SQUARED = 1e-14
"""Stop the power iteration when a step moves the unit vector by less than 1e-7. Where there is only
noise it never does, and any unit vector near the dominant ones will do."""


@njit
def _add_outer(re, im, cov_re, cov_im):
    """Add ``v v^H`` for one voxel; rows over columns, so that the inner loop vectorises."""
    n = re.size
    for a in range(n):
        for b in range(n):
            cov_re[a, b] += re[a] * re[b] + im[a] * im[b]
            cov_im[a, b] += im[a] * re[b] - re[a] * im[b]


@njit
def _local_covariance(images, centre, radius, cov_re, cov_im):
    """Sum ``v v^H`` over the block around `centre`, clipped at the edges, in float64."""
    n_coils, n_z, n_y, n_x = images.shape
    cov_re[:] = 0.0
    cov_im[:] = 0.0
    re = np.empty(n_coils, np.float64)
    im = np.empty(n_coils, np.float64)
    for z in range(max(0, centre[0] - radius[0]), min(n_z, centre[0] + radius[0] + 1)):
        for y in range(max(0, centre[1] - radius[1]), min(n_y, centre[1] + radius[1] + 1)):
            for x in range(max(0, centre[2] - radius[2]), min(n_x, centre[2] + radius[2] + 1)):
                for coil in range(n_coils):
                    re[coil] = images[coil, z, y, x].real
                    im[coil] = images[coil, z, y, x].imag
                _add_outer(re, im, cov_re, cov_im)


@njit
def _dominant(cov_re, cov_im, out):
    """Write the dominant eigenvector; the loudest coil's component is real and positive.

    Power iteration from the covariance's column of the loudest coil. Zero covariance gives zero.
    """
    n = out.size
    loudest = 0
    for a in range(1, n):
        if cov_re[a, a] > cov_re[loudest, loudest]:
            loudest = a
    scale = cov_re[loudest, loudest]
    if not scale > 0.0:
        out[:] = 0.0
        return
    vector = np.zeros(n, np.complex128)
    vector[loudest] = 1.0
    image = np.empty(n, np.complex128)
    for _ in range(MAX_STEPS):
        power = 0.0
        for a in range(n):
            total = 0.0j
            for b in range(n):
                total += complex(cov_re[a, b] / scale, cov_im[a, b] / scale) * vector[b]
            image[a] = total
            power += total.real * total.real + total.imag * total.imag
        norm = np.sqrt(power)
        change = 0.0
        for a in range(n):
            moved = image[a] / norm - vector[a]
            vector[a] += moved
            change += moved.real * moved.real + moved.imag * moved.imag
        if change < CHANGE_SQUARED:
            break
    phase = vector[loudest].conjugate() / abs(vector[loudest])
    for a in range(n):
        out[a] = vector[a] * phase


@kernel(parallel=True)
def walsh(images, z_at, y_at, x_at, radius, out):
    """Write the dominant eigenvector of the local coil covariance at some positions.

    ``images``: complex64 ``(coils, z, y, x)``; ``z_at, y_at, x_at``: int64 voxel indices;
    ``radius``: int64 ``(3,)``, half widths of the block along z, y, x; ``out``: complex64
    ``(len(z_at), len(y_at), len(x_at), coils)``, of unit norm, or 0 where the block is 0.
    """
    n_coils = images.shape[0]
    n_z, n_y, n_x = z_at.size, y_at.size, x_at.size
    for position in prange(n_z * n_y * n_x):
        i, j, k = position // (n_y * n_x), position // n_x % n_y, position % n_x
        cov_re = np.empty((n_coils, n_coils), np.float64)
        cov_im = np.empty((n_coils, n_coils), np.float64)
        _local_covariance(images, (z_at[i], y_at[j], x_at[k]), radius, cov_re, cov_im)
        _dominant(cov_re, cov_im, out[i, j, k])


@kernel(parallel=True)
def plane_covariances(images, out):
    """Write the sum of ``v v^H`` over each plane.

    ``images``: complex64 ``(coils, z, y, x)``; ``out``: complex128 ``(z, coils, coils)``.
    """
    n_coils, n_z, n_y, n_x = images.shape
    for z in prange(n_z):
        cov_re = np.zeros((n_coils, n_coils), np.float64)
        cov_im = np.zeros((n_coils, n_coils), np.float64)
        re = np.empty(n_coils, np.float64)
        im = np.empty(n_coils, np.float64)
        for y in range(n_y):
            for x in range(n_x):
                for coil in range(n_coils):
                    re[coil] = images[coil, z, y, x].real
                    im[coil] = images[coil, z, y, x].imag
                _add_outer(re, im, cov_re, cov_im)
        for a in range(n_coils):
            for b in range(n_coils):
                out[z, a, b] = complex(cov_re[a, b], cov_im[a, b])


@kernel()
def dominant_eigenvector(covariance, out):
    """Write the dominant eigenvector of one complex128 matrix ``(coils, coils)`` to `out`."""
    _dominant(covariance.real.copy(), covariance.imag.copy(), out)


@njit
def _corners(weights, cells, corners):
    """Copy a cell's eight vectors."""
    for corner in range(8):
        i = cells[0, corner >> 2]
        j = cells[1, (corner >> 1) & 1]
        k = cells[2, corner & 1]
        for coil in range(weights.shape[3]):
            corners[corner, coil] = weights[i, j, k, coil]


@njit
def _combined(images, voxel, parts, corners, weight):
    """Interpolate the weight at a voxel, make it unit, apply it."""
    z, y, x = voxel
    n_coils = weight.size
    weight[:] = 0.0
    for corner in range(8):
        share = parts[0, corner >> 2] * parts[1, (corner >> 1) & 1] * parts[2, corner & 1]
        if share > 0.0:
            for coil in range(n_coils):
                weight[coil] += share * corners[corner, coil]
    power = 0.0
    total = 0.0j
    for coil in range(n_coils):
        w = weight[coil]
        power += w.real * w.real + w.imag * w.imag
        total += np.conj(w) * images[coil, z, y, x]
    if not power > 0.0:
        return 0.0j
    return total / np.sqrt(power)


@njit
def _bracket(at, cell, size, low_high):
    """Return a cell's voxels ``first:stop`` and write the indices of its two positions."""
    low_high[0] = cell
    low_high[1] = min(cell + 1, at.size - 1)
    last = cell + 2 >= at.size
    return at[cell], size if last else at[cell + 1]


@njit
def _shares(at, low_high, index, parts):
    """Write the linear interpolation's two shares at a voxel."""
    width = at[low_high[1]] - at[low_high[0]]
    parts[1] = (index - at[low_high[0]]) / width if width > 0 else 0.0
    parts[0] = 1.0 - parts[1]


@kernel(parallel=True)
def combine(images, weights, z_at, y_at, x_at, out):
    """Write ``w^H m`` at every voxel, with unit weights interpolated from a coarser grid.

    ``images``: complex64 ``(coils, z, y, x)``; ``weights``: complex64 ``(len(z_at), len(y_at),
    len(x_at), coils)``, of one phase, as `steady` writes them; ``z_at, y_at, x_at``: int64,
    rising, the first 0 and the last the last voxel; ``out``: complex64 ``(z, y, x)``.
    """
    n_coils, n_z, n_y, n_x = images.shape
    cells_z, cells_y, cells_x = (
        max(1, z_at.size - 1),
        max(1, y_at.size - 1),
        max(1, x_at.size - 1),
    )
    for cell in prange(cells_z * cells_y * cells_x):
        cells = np.empty((3, 2), np.int64)
        parts = np.empty((3, 2), np.float64)
        corners = np.empty((8, n_coils), np.complex128)
        weight = np.empty(n_coils, np.complex128)
        z0, z1 = _bracket(z_at, cell // (cells_y * cells_x), n_z, cells[0])
        y0, y1 = _bracket(y_at, cell // cells_x % cells_y, n_y, cells[1])
        x0, x1 = _bracket(x_at, cell % cells_x, n_x, cells[2])
        _corners(weights, cells, corners)
        for z in range(z0, z1):
            _shares(z_at, cells[0], z, parts[0])
            for y in range(y0, y1):
                _shares(y_at, cells[1], y, parts[1])
                for x in range(x0, x1):
                    _shares(x_at, cells[2], x, parts[2])
                    out[z, y, x] = _combined(images, (z, y, x), parts, corners, weight)
