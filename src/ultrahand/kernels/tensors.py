"""Symmetrised derivatives of a vector field, for second-order total generalised variation.

Fields are complex64 ``(axes, frames, z, y, x)``, tensors ``(pairs, frames, z, y, x)``: the pairs
``a <= b`` of axes row by row, ``E v[a, b] = (D_b v_a + D_a v_b) / 2``, those with a < b times
sqrt(2), so that the plain length of the entries is the tensor's. D are forward differences. The
component v_a lies between two voxels along a and is nothing at the end of a: a tensor's entry is
nothing where it would need that, so that the gradient of an affine image has none at all.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel
from ultrahand.kernels._rows import place, room, row_before, stride

_FLAGS = {"contract", "nsz"}
_HALF = np.float32(math.sqrt(0.5))


@njit
def _extent(a, b, at, shape):
    """Return how many voxels of a row have the entry of a pair of axes."""
    if a == b:
        return room(a, 2, at, shape)
    return min(room(a, 1, at, shape), room(b, 1, at, shape))


@njit(fastmath=_FLAGS)
def _tensor_row(v, shape, axes, factors, row, out):
    """Write a row of the symmetrised derivative of `v`, ``(axes, voxels)``, to `out`."""
    here, first, pair = place(row, shape), row * shape[3], 0
    for a in range(len(axes)):
        for b in range(a, len(axes)):
            n = _extent(axes[a], axes[b], here, shape)
            to_a, to_b = stride(axes[a], shape), stride(axes[b], shape)
            fa, fb = factors[a], factors[b]
            for j in range(n):
                at = first + j
                if a == b:
                    out[pair, j] = fa * (v[a, at + to_a] - v[a, at])
                else:
                    turned = fb * (v[a, at + to_b] - v[a, at]) + fa * (v[b, at + to_a] - v[b, at])
                    out[pair, j] = _HALF * turned
            for j in range(n, shape[3]):
                out[pair, j] = 0.0
            pair += 1


@kernel(parallel=True, fastmath=_FLAGS)
def ascend_tensor(v, axes, factors, sigma, radius, out):
    """Step a dual tensor: project ``q + sigma E v`` onto the balls of a radius.

    ``axes``: int64, of the four; ``factors``: float32; ``out``: q.
    """
    shape = v.shape[1:]
    rows, width, pairs = shape[0] * shape[1] * shape[2], shape[3], len(out)
    field, tensor = v.reshape(len(axes), rows * width), out.reshape(pairs, rows, width)
    for number in prange(rows):
        row = np.int64(number)  # prange counts without a sign
        turned = np.empty((pairs, width), np.complex64)
        _tensor_row(field, shape, axes, factors, row, turned)
        for j in range(width):
            total = np.float32(0)
            for i in range(pairs):
                value = tensor[i, row, j] + sigma * turned[i, j]
                total += value.real * value.real + value.imag * value.imag
                turned[i, j] = value
            scale = np.float32(1)
            if total > radius * radius:
                scale = radius / np.sqrt(total)
            for i in range(pairs):
                tensor[i, row, j] = scale * turned[i, j]


@njit(fastmath=_FLAGS)
def _add_difference(tensor, row, factor, before, out):
    """Add the adjoint of a difference along an axis; `before`: the row of the neighbours."""
    for j in range(len(out)):
        out[j] -= factor * tensor[row, j]
    if before == row:
        for j in range(1, len(out)):
            out[j] += factor * tensor[row, j - 1]
    elif before >= 0:
        for j in range(len(out)):
            out[j] += factor * tensor[before, j]


@njit(fastmath=_FLAGS)
def _adjoint_row(tensor, shape, axes, factors, row, out):
    """Write a row of ``E^H q`` to `out`."""
    pair = 0
    out[:] = 0.0
    for a in range(len(axes)):
        for b in range(a, len(axes)):
            before_a = row_before(axes[a], row, shape)
            before_b = row_before(axes[b], row, shape)
            if a == b:
                _add_difference(tensor[pair], row, factors[a], before_a, out[a])
            else:
                _add_difference(tensor[pair], row, _HALF * factors[b], before_b, out[a])
                _add_difference(tensor[pair], row, _HALF * factors[a], before_a, out[b])
            pair += 1


@kernel(parallel=True, fastmath=_FLAGS)
def descend_field(p, q, axes, factors, tau, out):
    """Step a vector field down ``r = E^H q - p`` and reach out as far again.

    ``out``: v, replaced by ``v - tau r``; a field for ``v - 2 tau r``; float64 ``(rows,)`` for the
    sums of ``|r|^2``.
    """
    v, ahead, sums = out
    shape = v.shape[1:]
    rows, width = shape[0] * shape[1] * shape[2], shape[3]
    dual, tensor = p.reshape(len(axes), rows, width), q.reshape(len(q), rows, width)
    field, beyond = v.reshape(len(axes), rows, width), ahead.reshape(len(axes), rows, width)
    for number in prange(rows):
        row = np.int64(number)  # prange counts without a sign
        r = np.empty((len(axes), width), np.complex64)
        _adjoint_row(tensor, shape, axes, factors, row, r)
        total = 0.0
        for i in range(len(axes)):
            for j in range(width):
                value = r[i, j] - dual[i, row, j]
                total += np.float64(value.real) ** 2 + np.float64(value.imag) ** 2
                moved = field[i, row, j] - tau * value
                field[i, row, j] = moved
                beyond[i, row, j] = moved - tau * value
        sums[row] = total


@kernel(parallel=True)
def tensor_sums(v, axes, factors, q, out):
    """Write each row's sums of ``|E v|`` and ``Re <E v, q>`` to `out`, float64 ``(rows, 2)``."""
    shape = v.shape[1:]
    rows, width, pairs = len(out), shape[3], len(q)
    field, tensor = v.reshape(len(axes), rows * width), q.reshape(pairs, rows, width)
    for number in prange(rows):
        row = np.int64(number)  # prange counts without a sign
        turned = np.empty((pairs, width), np.complex64)
        _tensor_row(field, shape, axes, factors, row, turned)
        length, product = 0.0, 0.0
        for j in range(width):
            total = 0.0
            for i in range(pairs):
                value = turned[i, j]
                total += np.float64(value.real) ** 2 + np.float64(value.imag) ** 2
                product += (value.conjugate() * tensor[i, row, j]).real
            length += np.sqrt(total)
        out[row, 0], out[row, 1] = length, product
