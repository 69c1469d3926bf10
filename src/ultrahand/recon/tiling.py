"""A fine grid cut into tiles, samples sorted by tile, and columns of tiles shared among threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ultrahand.records.arrays import Float64, Ints

SIDE_3D, SIDE_2D = 12, 32
"""Least cells along a side of a tile: its buffer fits into a core's cache."""
EMPTY_TILE = 1000
"""As much work as this many samples: what a tile costs beside its samples."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Tiling:
    """Where samples lie on a fine grid; in the words of `kernels.spread`."""

    points: tuple[NDArray[np.int32], NDArray[np.int16], NDArray[np.float32]]
    tiles: tuple[NDArray[np.int64], Ints, Ints, Ints]
    columns: NDArray[np.int64]
    chunks: NDArray[np.int64]
    reach: tuple[int, int]
    buffer: tuple[int, int]
    """Numbers in the buffer of the largest tile, and in a cell."""


def tile_samples(
    cycles: Float64, grid: tuple[int, ...], width: int, cell: int, threads: int
) -> Tiling:
    """Sort samples into tiles.

    Parameters
    ----------
    cycles
        Positions in cycles per voxel of the image, ``(samples, 2 or 3)``, along x, y, z.
    grid
        Cells along z (1 in two dimensions), y, x.
    width
        Of the kernel in cells.
    cell
        Numbers in a cell of a buffer: `kernels.CELL`, or 2 for one coil alone.
    threads
        To share columns among; they change no result.
    """
    from ultrahand import kernels

    flat = cycles.shape[1] == 2
    reach, side = (width, 1 if flat else width), SIDE_2D if flat else SIDE_3D
    edge_z, edge_y, edge_x = edges = [_edges(size, width, side) for size in grid]
    tile_of = tuple(np.repeat(np.arange(len(e) - 1), np.diff(e)).astype(np.int32) for e in edges)
    counts = [len(e) - 1 for e in edges]
    n = len(cycles)
    starts = np.zeros(int(np.prod(counts)) + 1, np.int64)
    points = (np.empty(n, np.int32), np.empty((n, 3), np.int16), np.zeros((n, 3), np.float32))
    kernels.sort_points(
        cycles, tile_of, tuple(edges), reach, (np.empty(n, np.int32), starts, *points)
    )
    columns, chunks = _share(starts, counts, threads)
    sides = [int(np.diff(e).max()) for e in edges]
    cells = (sides[0] + reach[1] - 1) * (sides[1] + width - 1) * (sides[2] + width - 1)
    return Tiling(
        points=points,
        tiles=(starts, edge_z, edge_y, edge_x),
        columns=columns,
        chunks=chunks,
        reach=reach,
        buffer=((cells + kernels.PAD) * cell, cell),
    )


def _edges(size: int, width: int, side: int) -> Ints:
    """Cut an axis into one tile or an even number, so that those two apart share no cell."""
    count = max(1, 2 * (size // (2 * max(side, width))))
    edges: Ints = np.arange(count + 1) * size // count
    return edges


def _share(
    starts: NDArray[np.int64], counts: list[int], threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Put columns into turns, and cut each turn into chunks of about the same work."""
    samples = np.diff(starts).reshape(counts)
    work = np.where(samples > 0, samples + EMPTY_TILE, 0).sum(axis=2)
    numbers = np.arange(work.size).reshape(work.shape)
    columns: list[int] = []
    chunks = []
    for z in range(min(2, counts[0])):
        for y in range(min(2, counts[1])):
            mine = numbers[z::2, y::2].ravel()
            shares = _even_shares(mine, work.ravel()[mine], threads)
            chunks.append(np.cumsum([len(columns), *map(len, shares)]))
            columns += [number for share in shares for number in share]
    return np.array(columns, np.int64), np.array(chunks, np.int64)


def _even_shares(numbers: Ints, work: Ints, threads: int) -> list[list[int]]:
    """Give the largest first, each to the thread that has least."""
    shares: list[list[int]] = [[] for _ in range(threads)]
    load = np.zeros(threads)
    for place in np.argsort(-work, kind="stable"):
        if work[place] == 0:
            break
        least = int(np.argmin(load))
        shares[least].append(int(numbers[place]))
        load[least] += work[place]
    return shares
