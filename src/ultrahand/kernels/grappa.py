"""Fill the missing samples of an undersampled Cartesian grid from the acquired ones around them."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel


@njit
def _part(chunk, chunks, n):
    """Return where a chunk of n jobs begins."""
    return chunk * n // chunks


@njit
def _inside(place, shape):
    return (
        place[0] >= 0
        and place[0] < shape[0]
        and place[1] >= 0
        and place[1] < shape[1]
        and place[2] >= 0
        and place[2] < shape[2]
    )


@njit
def _wants(mask, place, target, nearest):
    """Say whether the target of a cell is missing and within the acquired region."""
    at = (place[0] + target[0], place[1] + target[1], place[2] + target[2])
    if not _inside(at, mask.shape) or mask[at]:
        return False
    for near in nearest:
        by = (place[0] + near[0], place[1] + near[1], place[2] + near[2])
        if not _inside(by, mask.shape) or mask[by]:
            return True
    return False


@njit
def _mark(mask, place, step, targets, nearest, wanted):
    """Set which targets of a run of cells are wanted, ``(targets, cells)``; return whether any."""
    some = False
    for t in range(len(targets)):
        for j in range(wanted.shape[1]):
            here = (place[0], place[1], place[2] + j * step)
            wanted[t, j] = _wants(mask, here, targets[t], nearest[t])
            some |= wanted[t, j]
    return some


@njit
def _gather(kspace, place, step, sources, gathered):
    """Copy the sources of a run of cells, zero outside the grid, to ``(coils sources, cells)``."""
    cells = gathered.shape[1]
    n_z, n_y, n_x = kspace.shape[1:]
    for s in range(len(sources)):
        z, y, x = place[0] + sources[s, 0], place[1] + sources[s, 1], place[2] + sources[s, 2]
        first, last = 0, 0
        if z >= 0 and z < n_z and y >= 0 and y < n_y:
            first = min(max(0, -(x // step)), cells)
            last = max(first, min(cells, (n_x - 1 - x) // step + 1))
        for coil in range(len(kspace)):
            row = gathered[coil * len(sources) + s]
            row[:first] = 0
            row[last:] = 0
            if last > first:
                end = x + (last - 1) * step + 1
                row[first:last] = kspace[coil, z, y, x + first * step : end : step]


@njit
def _scatter(wanted, place, step, targets, found, kspace):
    coils = len(kspace)
    for t in range(len(targets)):
        z, y, x = place[0] + targets[t, 0], place[1] + targets[t, 1], place[2] + targets[t, 2]
        for coil in range(coils):
            for j in range(found.shape[1]):
                if wanted[t, j]:
                    kspace[coil, z, y, x + j * step] = found[t * coils + coil, j]


@kernel(parallel=True)
def keep_acquired(kspace, mask, out):
    """Copy what was acquired, zero elsewhere.

    ``kspace``: complex64 ``(coils, z, y, x)``; ``mask``: bool ``(z, y, x)``; ``out``: as `kspace`,
    and may be it.
    """
    coils, n_z, n_y, n_x = kspace.shape
    for row in prange(coils * n_z):
        coil, z = row // n_z, row % n_z
        for y in range(n_y):
            for x in range(n_x):
                out[coil, z, y, x] = kspace[coil, z, y, x] if mask[z, y, x] else 0


@kernel(parallel=True)
def fill_lattice(lines, step, cells, mask, window, weights, out):
    """Give the missing samples as a linear combination of acquired ones.

    ``lines``: int64 ``(lines, 3)``, the first cell of each line of the lattice along x; ``step``:
    from cell to cell; ``cells``: on a line; ``mask``: bool ``(z, y, x)``; ``window``: sources
    ``(sources, 3)``, targets ``(targets, 3)`` and lattice positions nearest to each ``(targets,
    most, 3)``; ``weights``: complex64 ``(targets coils, coils sources)``; ``out``: k-space,
    complex64 ``(coils, z, y, x)``, of which the samples acquired are read and the missing ones
    written, and buffers for each chunk: complex64 ``(chunks, coils sources, run)`` and ``(chunks,
    targets coils, run)``, bool ``(chunks, targets, run)``. Chunks change no bit: each run is a
    product of its own.
    """
    sources, targets, nearest = window
    kspace, gathered, found, wanted = out
    chunks, run = len(gathered), gathered.shape[2]
    for chunk in prange(chunks):
        rows, here = gathered[chunk], found[chunk]
        for line in range(_part(chunk, chunks, len(lines)), _part(chunk + 1, chunks, len(lines))):
            for start in range(0, cells, run):
                place = (lines[line, 0], lines[line, 1], lines[line, 2] + start * step)
                if _mark(mask, place, step, targets, nearest, wanted[chunk]):
                    _gather(kspace, place, step, sources, rows)
                    np.dot(weights, rows, here)
                    _scatter(wanted[chunk], place, step, targets, here, kspace)
