"""Finite differences of images, and the steps of a primal-dual solver that live on them.

Images are complex64 ``(frames, z, y, x)``, dual fields complex64 ``(axes, frames, z, y, x)``. The
difference along an axis is ``x[j + 1] - x[j]`` times the axis's factor, and nothing at the end of
the axis: there a dual field stays 0, which `subtract_divergence` counts on. Every row of an output
has one owner, and sums are kept a row: the result is the same for any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel
from ultrahand.kernels._rows import place, room, row_before, stride

_FLAGS = {"contract", "nsz"}


@njit(fastmath=_FLAGS)
def _gradient_row(x, axes, factors, guide, row, out):
    """Write the row of the gradient, without its part along the guide, to `out`."""
    shape, here, first = x.shape, place(row, x.shape), row * x.shape[3]
    flat = x.reshape(x.size)
    for i in range(len(axes)):
        step, n = stride(axes[i], shape), room(axes[i], 1, here, shape)
        for j in range(n):
            at = first + j
            out[i, j] = factors[i] * (flat[at + step] - flat[at])
        for j in range(n, shape[3]):
            out[i, j] = 0.0
    if len(guide) > 0:
        _across(guide, first, out)


@njit(fastmath=_FLAGS)
def _across(guide, first, vectors):
    """Take the part along the guide, ``(axes, voxels of one or more frames)``, from vectors."""
    for j in range(vectors.shape[1]):
        at = (first + j) % guide.shape[1]
        along = vectors[0, j] * guide[0, at]
        for i in range(1, len(guide)):
            along += vectors[i, j] * guide[i, at]
        for i in range(len(guide)):
            vectors[i, j] -= along * guide[i, at]


@njit(fastmath=_FLAGS)
def _power(value):
    return value.real * value.real + value.imag * value.imag


@njit(fastmath=_FLAGS)
def _shrink(vectors, radius, together):
    """Project onto the balls of a radius: of each voxel's vector, or of each of its entries."""
    for j in range(vectors.shape[1]):
        total = np.float32(0)
        for i in range(len(vectors)):
            power = _power(vectors[i, j])
            if together:
                total += power
            elif power > radius * radius:
                vectors[i, j] *= radius / np.sqrt(power)
        if total > radius * radius:
            scale = radius / np.sqrt(total)
            for i in range(len(vectors)):
                vectors[i, j] *= scale


@kernel(parallel=True, fastmath=_FLAGS)
def ascend_gradient(x, axes, factors, guide, offset, sigma, radius, together, out):
    """Step a dual field: project ``p + sigma (P grad x - offset)`` onto balls of a radius.

    ``axes``: int64, of the four; ``factors``: float32; ``guide``: float32 ``(axes, voxels)`` of
    unit vectors or shorter, P takes away what lies along them, or ``(0, 0)``; ``offset``: a field,
    or without axes; ``together``: whether the radius bounds a voxel's vector or each entry;
    ``out``: p.
    """
    rows = x.shape[0] * x.shape[1] * x.shape[2]
    width = x.shape[3]
    field = out.reshape(len(axes), rows, width)
    apart = offset.reshape(len(offset), rows, width)
    for number in prange(rows):
        row = np.int64(number)  # prange counts without a sign
        gradient = np.empty((len(axes), width), np.complex64)
        _gradient_row(x, axes, factors, guide, row, gradient)
        for i in range(len(offset)):
            for j in range(width):
                gradient[i, j] -= apart[i, row, j]
        for i in range(len(axes)):
            for j in range(width):
                gradient[i, j] = field[i, row, j] + sigma * gradient[i, j]
        _shrink(gradient, radius, together)
        for i in range(len(axes)):
            for j in range(width):
                field[i, row, j] = gradient[i, j]


@njit(fastmath=_FLAGS)
def _field_row(field, guide, row, first, out):
    """Write a row of a dual field, without its part along the guide, to `out`."""
    for i in range(len(field)):
        for j in range(field.shape[2]):
            out[i, j] = field[i, row, j]
    if len(guide) > 0:
        _across(guide, first, out)


@kernel(parallel=True, fastmath=_FLAGS)
def subtract_divergence(p, axes, factors, guide, out):
    """Add the adjoint of ``P grad`` of a dual field to an image. Arguments as `ascend_gradient`."""
    shape = out.shape
    rows, width = shape[0] * shape[1] * shape[2], shape[3]
    field, image = p.reshape(len(axes), rows, width), out.reshape(rows, width)
    for number in prange(rows):
        row = np.int64(number)  # prange counts without a sign
        line = np.empty((len(axes), width), np.complex64)
        _field_row(field, guide, row, row * width, line)
        for i in range(len(axes)):
            for j in range(width):
                image[row, j] -= factors[i] * line[i, j]
            if axes[i] == 3:
                for j in range(1, width):
                    image[row, j] += factors[i] * line[i, j - 1]
        for i in range(len(axes)):
            before = row_before(axes[i], row, shape)
            if 0 <= before < row:
                _field_row(field, guide, before, before * width, line)
                for j in range(width):
                    image[row, j] += factors[i] * line[i, j]


@kernel(parallel=True)
def gradient_sums(x, axes, factors, guide, offset, p, together, out):
    """Write each row's sums of ``|g|`` and ``Re <g, p>``, ``g = P grad x - offset``.

    Arguments as `ascend_gradient`; ``out``: float64 ``(rows, 2)``.
    """
    rows, width = len(out), x.shape[3]
    field = p.reshape(len(axes), rows, width)
    apart = offset.reshape(len(offset), rows, width)
    for number in prange(rows):
        row = np.int64(number)  # prange counts without a sign
        gradient = np.empty((len(axes), width), np.complex64)
        _gradient_row(x, axes, factors, guide, row, gradient)
        for i in range(len(offset)):
            for j in range(width):
                gradient[i, j] -= apart[i, row, j]
        length, product = 0.0, 0.0
        for j in range(width):
            total = 0.0
            for i in range(len(axes)):
                power = np.float64(_power(gradient[i, j]))
                total += power if together else np.sqrt(power)
                product += (gradient[i, j].conjugate() * field[i, row, j]).real
            length += np.sqrt(total) if together else total
        out[row, 0], out[row, 1] = length, product
