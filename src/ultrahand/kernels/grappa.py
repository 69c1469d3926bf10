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
def _any_wanted(mask, place, step, cells, targets, nearest):
    for t in range(len(targets)):
        for j in range(cells):
            here = (place[0], place[1], place[2] + j * step)
            if _wants(mask, here, targets[t], nearest[t]):
                return True
    return False


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
            if last > first:
                line = kspace[coil, z, y]
                for j in range(first, last):
                    row[j] = line[x + j * step]
            row[last:] = 0


@njit
def _scatter(mask, place, step, targets, nearest, found, kspace):
    coils = len(kspace)
    for t in range(len(targets)):
        z, y, x = place[0] + targets[t, 0], place[1] + targets[t, 1], place[2] + targets[t, 2]
        for j in range(found.shape[1]):
            here = (place[0], place[1], place[2] + j * step)
            if _wants(mask, here, targets[t], nearest[t]):
                for coil in range(coils):
                    kspace[coil, z, y, x + j * step] = found[t * coils + coil, j]


@kernel(parallel=True)
def fill_lattice(lines, step, cells, mask, window, weights, out):
    """Give the missing samples as a linear combination of acquired ones.

    ``lines``: int64 ``(lines, 3)``, the first cell of each line of the lattice along x; ``step``:
    from cell to cell; ``cells``: on a line; ``mask``: bool ``(z, y, x)``; ``window``: sources
    ``(sources, 3)``, targets ``(targets, 3)`` and lattice positions nearest to each ``(targets,
    most, 3)``; ``weights``: complex64 ``(targets coils, coils sources)``; ``out``: k-space,
    complex64 ``(coils, z, y, x)``, of which the samples acquired are read and the missing ones
    written, and two buffers for each chunk, complex64 ``(chunks, coils sources, run)`` and
    ``(chunks, targets coils, run)``. Chunks change no bit: a run is a product of its own.
    """
    sources, targets, nearest = window
    kspace, gathered, found = out
    run = gathered.shape[2]
    for chunk in prange(len(gathered)):
        first, last = _part(chunk, len(gathered), len(lines)), _part(
            chunk + 1, len(gathered), len(lines)
        )
        for line in range(first, last):
            for start in range(0, cells, run):
                place = (lines[line, 0], lines[line, 1], lines[line, 2] + start * step)
                if _any_wanted(mask, place, step, run, targets, nearest):
                    _gather(kspace, place, step, sources, gathered[chunk])
                    np.dot(weights, gathered[chunk], found[chunk])
                    _scatter(mask, place, step, targets, nearest, found[chunk], kspace)
