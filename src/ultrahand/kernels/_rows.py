"""Where the rows of an image ``(frames, z, y, x)`` lie, for the kernels that go along them."""

from __future__ import annotations

from numba import njit


@njit
def place(row, shape):
    """Return the coordinates of the first voxel of a row."""
    return row // (shape[1] * shape[2]), row // shape[2] % shape[1], row % shape[2], 0


@njit
def stride(axis, shape):
    """Return the way to the next voxel along an axis."""
    step = 1
    for other in range(axis + 1, 4):
        step *= shape[other]
    return step


@njit
def room(axis, further, at, shape):
    """Return how many voxels of the row at `at` have as many more along the axis."""
    if axis == 3:
        return max(0, shape[3] - further)
    return shape[3] if at[axis] + further < shape[axis] else 0


@njit
def row_before(axis, row, shape):
    """Return the row of the neighbours before along an axis, -1 where there are none."""
    if axis == 3:
        return row
    return row - stride(axis, shape) // shape[3] if place(row, shape)[axis] > 0 else -1
