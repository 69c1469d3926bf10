"""Samples anywhere to a fine grid and back, tile by tile: the core of a non-uniform transform.

The fine grid is cut into tiles, and samples are sorted by the tile in which their first cell lies.
A tile, with the cells beyond it that its samples reach, is a buffer in the cache, worked on for
`COILS` coils at once. Tiles that lie one after the other along x are a column; a column is one
thread's work. Columns that are neighbours reach the same cells of the grid, so spreading goes in
four turns, of columns with even and odd numbers along z and y: the sums are made in one order,
and the result has the same bits for any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel
from ultrahand.kernels._points import (
    CELL,
    PAD,
    axis_weights,
    collect,
    collect_one,
    gather,
    scatter,
    scatter_one,
)

_FLAGS = {"contract", "nsz"}
PART = 4096
"""Samples that are added up before their sum is added to the grid: a sum of single precision loses
more the longer it grows, and where spokes cross, a cell gets a hundred thousand."""


@njit
def _wrapped(cell, size):
    return cell - size if cell >= size else cell


@njit
def _weigh(table, fractions, j, planes, weights):
    """Write the weights along x, y and z of a sample."""
    terms = len(table) // PAD
    axis_weights(table, terms, fractions[j, 0], weights, 0)
    axis_weights(table, terms, fractions[j, 1], weights, PAD)
    if planes > 1:
        axis_weights(table, terms, fractions[j, 2], weights, 2 * PAD)
    else:
        weights[2 * PAD] = 1.0


@njit(fastmath=_FLAGS)
def _add_tile(tile, cell, extent, edges, grid):
    """Add a buffer's cells to the grid, which goes round: see `spread`."""
    depth, rows, length = extent
    z0, y0, x0 = edges
    coils, mz, my, mx = grid.shape
    before = min(length, mx - x0)  # cells before the end of the grid
    for z in range(depth):
        gz = _wrapped(z0 + z, mz)
        for y in range(rows):
            gy = _wrapped(y0 + y, my)
            first = (z * rows + y) * length
            for c in range(coils):
                line, at = grid[c, gz, gy], first * cell + 2 * c
                for x in range(before):
                    line[x0 + x] += complex(tile[at + x * cell], tile[at + x * cell + 1])
                for x in range(before, length):
                    line[x0 + x - mx] += complex(tile[at + x * cell], tile[at + x * cell + 1])


@njit
def _read_tile(grid, cell, extent, edges, tile):
    """Copy the cells of the grid that belong to a tile; see `_add_tile`."""
    depth, rows, length = extent
    z0, y0, x0 = edges
    coils, mz, my, mx = grid.shape
    before = min(length, mx - x0)
    for z in range(depth):
        gz = _wrapped(z0 + z, mz)
        for y in range(rows):
            gy = _wrapped(y0 + y, my)
            first = (z * rows + y) * length
            for c in range(coils):
                line, at = grid[c, gz, gy], first * cell + 2 * c
                for x in range(before):
                    tile[at + x * cell] = line[x0 + x].real
                    tile[at + x * cell + 1] = line[x0 + x].imag
                for x in range(before, length):
                    tile[at + x * cell] = line[x0 + x - mx].real
                    tile[at + x * cell + 1] = line[x0 + x - mx].imag


@njit
def _extent(tile, edges_z, edges_y, edges_x, reach):
    """Return a tile's sides with what its samples reach, and its first cell."""
    tiles_y, tiles_x = len(edges_y) - 1, len(edges_x) - 1
    z, y, x = tile // (tiles_y * tiles_x), tile // tiles_x % tiles_y, tile % tiles_x
    width, planes = reach
    sides = (
        edges_z[z + 1] - edges_z[z] + planes - 1,
        edges_y[y + 1] - edges_y[y] + width - 1,
        edges_x[x + 1] - edges_x[x] + width - 1,
    )
    return sides, (edges_z[z], edges_y[y], edges_x[x])


@njit
def _first_cell(cells, j, sides, cell):
    """Return where a sample's first cell stands in the buffer."""
    return ((cells[j, 0] * sides[1] + cells[j, 1]) * sides[2] + cells[j, 2]) * cell


@kernel(parallel=True, error_model="numpy")
def spread(samples, points, tiles, columns, chunks, table, reach, buffers, out):
    """Add samples to the fine grid.

    ``samples``: complex64 ``(1 to COILS, samples)``; ``points``: number of each sample, int32, its
    first cell in its tile, int16 ``(samples, 3)`` as z, y, x, and where it lies between cells,
    float32 ``(samples, 3)`` as x, y, z; all in the order of tiles; ``tiles``: the first point of
    each and one more, and the edges of tiles along z, y, x; ``columns``: numbers of columns, turn
    after turn; ``chunks``: int64 ``(turns, chunks + 1)``, where each chunk's columns begin;
    ``table``: see `_points.axis_weights`; ``reach``: the kernel's width in cells, and along z;
    ``buffers``: how many numbers the largest tile has, `PAD` cells beyond its last one included,
    and those of a cell: `CELL`, or 2 for one coil alone; ``out``: complex64 ``(coils, mz, my,
    mx)``.
    """
    order, cells, fractions = points
    starts, edges_z, edges_y, edges_x = tiles
    tiles_x = len(edges_x) - 1
    turns, parts = chunks.shape[0], chunks.shape[1] - 1
    width, planes = reach
    numbers, cell = buffers
    flat = samples.reshape(-1)
    for turn in range(turns):
        for chunk in prange(parts):
            buffer = np.zeros(numbers, np.float32)
            value, weights = np.zeros(CELL, np.float32), np.zeros(3 * PAD, np.float32)
            for place in range(chunks[turn, chunk], chunks[turn, chunk + 1]):
                first = columns[place] * tiles_x
                for tile in range(first, first + tiles_x):
                    begin, end = starts[tile], starts[tile + 1]
                    if begin == end:
                        continue
                    sides, edges = _extent(tile, edges_z, edges_y, edges_x, reach)
                    row, plane = sides[2] * cell, sides[1] * sides[2] * cell
                    for part in range(begin, end, PART):
                        buffer[: sides[0] * plane] = 0.0
                        for j in range(part, min(part + PART, end)):
                            gather(flat, order[j], samples.shape[1], len(samples) - 1, value)
                            _weigh(table, fractions, j, planes, weights)
                            at = _first_cell(cells, j, sides, cell)
                            if cell == CELL:
                                scatter(width, planes, value, weights, at, row, plane, buffer)
                            else:
                                scatter_one(width, planes, value, weights, at, row, plane, buffer)
                        _add_tile(buffer, cell, sides, edges, out)


@kernel(parallel=True, error_model="numpy")
def interpolate(grid, points, tiles, columns, chunks, table, reach, buffers, out):
    """Read samples from the fine grid; as `spread`, with ``out`` complex64 ``(coils, samples)``."""
    order, cells, fractions = points
    starts, edges_z, edges_y, edges_x = tiles
    tiles_x = len(edges_x) - 1
    turns, parts = chunks.shape[0], chunks.shape[1] - 1
    width, planes = reach
    numbers, cell = buffers
    for turn in range(turns):
        for chunk in prange(parts):
            buffer = np.zeros(numbers, np.float32)
            value, weights = np.zeros(CELL, np.float32), np.zeros(3 * PAD, np.float32)
            for place in range(chunks[turn, chunk], chunks[turn, chunk + 1]):
                first = columns[place] * tiles_x
                for tile in range(first, first + tiles_x):
                    begin, end = starts[tile], starts[tile + 1]
                    if begin == end:
                        continue
                    sides, edges = _extent(tile, edges_z, edges_y, edges_x, reach)
                    row, plane = sides[2] * cell, sides[1] * sides[2] * cell
                    _read_tile(grid, cell, sides, edges, buffer)
                    for j in range(begin, end):
                        _weigh(table, fractions, j, planes, weights)
                        at = _first_cell(cells, j, sides, cell)
                        if cell == CELL:
                            collect(width, planes, buffer, weights, at, row, plane, value)
                        else:
                            collect_one(width, planes, buffer, weights, at, row, plane, value)
                        for c in range(len(out)):
                            out[c, order[j]] = complex(value[2 * c], value[2 * c + 1])


@njit
def _place(position, size, width):
    """Return a sample's first cell, and how far it lies from the middle of a cell's polynomial."""
    first = np.ceil(position - 0.5 * width)
    between = first - (position - 0.5 * width) - 0.5
    return int(first) % size, np.float32(between)


@kernel(error_model="numpy")
def sort_points(cycles, tiles, tile_edges, reach, out):
    """Sort samples by tile, those of a tile in their own order.

    ``cycles``: float64 ``(samples, 2 or 3)``, positions in cycles per voxel, along x, y, z;
    ``tiles``: the tile of each cell along z, y, x; ``tile_edges``: the edges of tiles along z, y,
    x; ``reach``: as in `spread`; ``out``: scratch int32 ``(samples,)``, the first point of each
    tile and one more, int64, and the ``points`` of `spread`.
    """
    where, starts, order, cells, fractions = out
    width, planes = reach
    tiles_y, tiles_x = len(tile_edges[1]) - 1, len(tile_edges[2]) - 1
    starts[:] = 0
    for j in range(len(cycles)):
        x, _ = _place(cycles[j, 0] * len(tiles[2]), len(tiles[2]), width)
        y, _ = _place(cycles[j, 1] * len(tiles[1]), len(tiles[1]), width)
        z = 0
        if planes > 1:
            z, _ = _place(cycles[j, 2] * len(tiles[0]), len(tiles[0]), width)
        where[j] = (tiles[0][z] * tiles_y + tiles[1][y]) * tiles_x + tiles[2][x]
        starts[where[j] + 1] += 1
    for tile in range(len(starts) - 1):
        starts[tile + 1] += starts[tile]
    for j in range(len(cycles)):
        tile = where[j]
        to = starts[tile]
        starts[tile] += 1
        order[to] = j
        x, fractions[to, 0] = _place(cycles[j, 0] * len(tiles[2]), len(tiles[2]), width)
        y, fractions[to, 1] = _place(cycles[j, 1] * len(tiles[1]), len(tiles[1]), width)
        z = 0
        if planes > 1:
            z, fractions[to, 2] = _place(cycles[j, 2] * len(tiles[0]), len(tiles[0]), width)
        cells[to, 0] = z - tile_edges[0][tiles[0][z]]
        cells[to, 1] = y - tile_edges[1][tiles[1][y]]
        cells[to, 2] = x - tile_edges[2][tiles[2][x]]
    for tile in range(len(starts) - 1, 0, -1):  # each had moved on to the next one's first
        starts[tile] = starts[tile - 1]
    starts[0] = 0
