r"""The normal operator of a coil array, a whole pass over the Fourier grid kept in the cache.

.. math:: (N x)_{ks} = \sum_c \bar S_{sc}\\, P^T F^{-1} H_{kj} F P \sum_{s'} S_{s'c}\\, x_{js'}

with :math:`P` zero padding from an image of n voxels to a grid of m, F the (unshifted) Fourier
transform over z, y, x, and H real spectra: of a point spread function (Toeplitz embedding: m >= 2 n
- 1) or a mask (m = n). k, j count components of a subspace, s sets of coil maps.

A pass has three parts. z is transformed for all x of a row, then each plane of the grid for
itself: y, then x, times H, and back, in a working set of one plane; then z back. So the whole grid
is never stored, only its planes before the transform of y: `work`, ``(coils, K, mz, ny + 1, blocks,
ELEMENT)`` with x in blocks of `LANES`. Its last row is never used: it keeps planes from lying a
power of two apart, where the elements of a line along z would drive each other out of the cache.
Every output has one owner: the result is the same for any number of threads.
"""

from __future__ import annotations

from numba import njit, prange

from ultrahand.kernels._butterflies import LANES
from ultrahand.kernels._elements import add_coil, coil_image, copy, fetch, turn, weigh
from ultrahand.kernels._jit import kernel
from ultrahand.kernels.lines import ELEMENT, transform

_FLAGS = {"contract", "nsz"}


@njit
def _part(number, chunks, total):
    """Return where a part of some jobs begins."""
    return number * total // chunks


@njit(fastmath=_FLAGS)
def _coil_row(x, row, coils, coil_row, sets, first, target, element):
    """Write the coil's image of the voxels of one block: the sum over sets of map times image.

    ``row``, ``coil_row``: the numbers of their first voxels, in flat arrays, and how far apart two
    sets are; ``first``: of the block's voxels, and how many the row has.
    """
    at, apart = element * ELEMENT, row[1]
    target[at : at + ELEMENT] = 0.0
    start, nx = first
    for s in range(sets):
        i, j = row[0] + s * apart + start, coil_row + s * apart + start
        if start + LANES <= nx:
            coil_image(x, i, coils, j, target, element)
        else:
            for v in range(nx - start):
                value = x[i + v] * coils[j + v]
                target[at + v] += value.real
                target[at + LANES + v] += value.imag


@njit
def _fetch_below(x, row, coils, coil_row, first, ny):
    """Ask for the same block of the next z: a processor foresees no steps of many kilobytes."""
    start, nx = first
    fetch(x, row + start + ny * nx)
    fetch(coils, coil_row + start + ny * nx)


@njit
def _tiles(line, nz, columns):
    """Return how many columns fit into a line buffer, an element apart, and how many such tiles.

    Columns along z that lie side by side are taken together: so an image is read kilobytes at a
    time, where one column would touch every page of it for each 128 bytes. The element between
    them keeps a power of two from sending all of them to the same places of the cache.
    """
    tile = min(columns, max(1, len(line) // ((nz + 1) * ELEMENT)))
    return tile, (columns + tile - 1) // tile


@kernel(parallel=True, error_model="numpy")
def coils_to_planes(x, coils, plan_z, out):
    """Write coil images, transformed along z, to `work`.

    ``x``: complex64 ``(K, sets, nz, ny, nx)``; ``coils``: complex64 ``(coils, sets, nz, ny, nx)``;
    ``plan_z``: from `line_plan`; ``out``: `work` and float32 ``(chunks, buffers, length)``, three
    line buffers a chunk.
    """
    work, buffers = out
    number, sets, nz, ny, nx = x.shape
    mz, blocks, apart = work.shape[2], work.shape[4], work.shape[3] * work.shape[4]
    voxels, columns = nz * ny * nx, ny * blocks
    direct = len(plan_z[0]) == 0  # nothing is transformed along z
    images, maps, flat = x.reshape(-1), coils.reshape(-1), work.reshape(-1)
    tile, tiles = _tiles(buffers[0, 0], nz, columns)
    for chunk in prange(len(buffers)):
        line, a, b = buffers[chunk, 0], buffers[chunk, 1], buffers[chunk, 2]
        parts = len(coils) * number
        jobs = parts * tiles
        for job in range(_part(chunk, len(buffers), jobs), _part(chunk + 1, len(buffers), jobs)):
            part, begin = job % parts, job // parts * tile
            c, k = part // number, part % number
            end, to = min(begin + tile, columns), part * mz * apart
            for z in range(nz):
                for column in range(begin, end):
                    y, block = column // blocks, column % blocks
                    voxel, first = (z * ny + y) * nx, (block * LANES, nx)
                    row = (k * sets * voxels + voxel, voxels)
                    coil_row = c * sets * voxels + voxel
                    if z + 1 < nz:
                        _fetch_below(images, row[0], maps, coil_row, first, ny)
                    if direct:
                        element = to + z * apart + column
                        _coil_row(images, row, maps, coil_row, sets, first, flat, element)
                    else:
                        element = (column - begin) * (nz + 1) + z
                        _coil_row(images, row, maps, coil_row, sets, first, line, element)
            for column in range(begin, begin if direct else end):
                source = (line, (column - begin) * (nz + 1), 1, nz)
                transform(source, (flat, to + column, apart, mz), a, b, plan_z, 0)


@njit(fastmath=_FLAGS)
def _mix(line, length, stride, spectra, place, mixed):
    """Multiply K components at every frequency by a symmetric matrix of spectra.

    ``line``: the components' lines one after the other, `stride` elements apart; ``spectra``:
    flat, ``place``: of the first real number of a pair's, and how far apart pairs are.
    """
    number = len(mixed) // ELEMENT
    at, apart = place
    for e in range(length):
        for j in range(number):
            for v in range(ELEMENT):
                mixed[j * ELEMENT + v] = 0.0
            for k in range(number):
                high, low = max(j, k), min(j, k)
                first = at + (high * (high + 1) // 2 + low) * apart + e * LANES
                own = (k * stride + e) * ELEMENT
                for v in range(LANES):
                    mixed[j * ELEMENT + v] += spectra[first + v] * line[own + v]
                    mixed[j * ELEMENT + LANES + v] += spectra[first + v] * line[own + LANES + v]
        for j in range(number):
            copy(mixed, j, line, j * stride + e)


@njit(fastmath=_FLAGS)
def _rows_through(plane, rows, lines, plan_x, nx, spectra, place, mixed):
    """Take `LANES` rows of each component along x through the spectra.

    ``plane``: flat; ``rows``: the first row's element, how far apart components are, and blocks
    of a row; ``lines``: buffers of K lines each, and the length of a line; ``place``: see `_mix`.
    """
    first, apart, blocks = rows
    one, other, a, b, stride = lines
    mx = plan_x[2]
    number = len(mixed) // ELEMENT
    for k in range(number):
        for block in range(blocks):
            at = first + k * apart + block
            turn(plane, at, blocks, one, block * LANES, 1)
        transform((one, 0, 1, nx), (other, k * stride, 1, mx), a, b, plan_x, 0)
    if number == 1:
        for e in range(mx):
            weigh(other, e, spectra, place[0] + e * LANES)
    else:
        _mix(other, mx, stride, spectra, place, mixed)
    for k in range(number):
        transform((other, k * stride, 1, mx), (one, 0, 1, nx), a, b, plan_x, LANES)
        for block in range(blocks):
            at = first + k * apart + block
            turn(one, block * LANES, 1, plane, at, blocks)


@njit(fastmath=_FLAGS)
def _rows_scaled(plane, shape, spectra, at, mx):
    """Multiply each row along y by its spectrum, which does not vary along x; no x transform.

    ``shape``: of the plane, rows and blocks of a row; ``at``: the plane's first spectrum.
    """
    rows, blocks = shape
    for y in range(rows):
        weight = spectra[at + (y // LANES) * mx * LANES + y % LANES]
        for i in range(y * blocks * ELEMENT, (y + 1) * blocks * ELEMENT):
            plane[i] *= weight


@kernel(parallel=True, error_model="numpy")
def planes_through_spectrum(size, plan_y, plan_x, spectra, out):
    """Transform each plane of `work` along y and x, multiply by the spectra, and go back.

    ``size``: ny and nx; ``plan_y``, ``plan_x``: from `line_plan`; ``spectra``: float32 ``(K (K + 1)
    / 2, mz or 1, blocks of my, mx, LANES)``, the lower triangle row by row, y in blocks of lanes;
    ``out``: `work`; float32 ``(chunks, 4, length)``, line buffers, the second of K lines; float32
    ``(chunks, K, rows, blocks, ELEMENT)`` for a plane, rows a multiple of `LANES` from my on; and
    float32 ``(chunks, K ELEMENT)``.
    """
    work, buffers, planes, mixed = out
    number, mz, rows_each, blocks = work.shape[1:5]
    ny, nx = size
    my, mx = plan_y[2], plan_x[2]
    apart = planes.shape[2] * blocks
    stride = buffers.shape[2] // (number * ELEMENT)
    flat, values = work.reshape(-1), spectra.reshape(-1)
    planes_z, blocks_y = spectra.shape[1:3]
    pairs_apart = planes_z * blocks_y * mx * LANES
    for chunk in prange(len(buffers)):
        plane = planes[chunk].reshape(-1)
        one, other = buffers[chunk, 0], buffers[chunk, 1]
        a, b = buffers[chunk, 2], buffers[chunk, 3]
        jobs = len(work) * mz
        for job in range(_part(chunk, len(buffers), jobs), _part(chunk + 1, len(buffers), jobs)):
            c, z = job // mz, job % mz
            for k in range(number):
                start = ((c * number + k) * mz + z) * rows_each * blocks
                for block in range(blocks):
                    source = (flat, start + block, blocks, ny)
                    target = (plane, k * apart + block, blocks, my)
                    transform(source, target, a, b, plan_y, 0)
            scaled = len(plan_x[0]) == 0 and number == 1
            if scaled:
                at = z % planes_z * blocks_y * mx * LANES
                _rows_scaled(plane, (my, blocks), values, at, mx)
            for y in range(0 if scaled else blocks_y):
                rows = (y * LANES * blocks, apart, blocks)
                place = ((z % planes_z * blocks_y + y) * mx * LANES, pairs_apart)
                lines = (one, other, a, b, stride)
                _rows_through(plane, rows, lines, plan_x, nx, values, place, mixed[chunk])
            for k in range(number):
                start = ((c * number + k) * mz + z) * rows_each * blocks
                for block in range(blocks):
                    source = (plane, k * apart + block, blocks, my)
                    target = (flat, start + block, blocks, ny)
                    transform(source, target, a, b, plan_y, LANES)


@njit(fastmath=_FLAGS)
def _add_row(line, element, coils, coil_row, sets, first, image, row):
    """Add an element times the conjugate maps to the image of each set; see `_coil_row`."""
    at, apart = element * ELEMENT, row[1]
    start, nx = first
    for s in range(sets):
        i, j = row[0] + s * apart + start, coil_row + s * apart + start
        if start + LANES <= nx:
            add_coil(line, element, coils, j, image, i)
        else:
            for v in range(nx - start):
                value = complex(line[at + v], line[at + LANES + v])
                image[i + v] += coils[j + v].conjugate() * value


@kernel(parallel=True, error_model="numpy")
def planes_to_image(coils, plan_z, out):
    """Transform `work` back along z and add it, times the conjugate maps, to the image.

    ``coils``, ``plan_z``: as in `coils_to_planes`; ``out``: `work`, line buffers, complex64 ``(K,
    sets, nz, ny, nx)``.
    """
    work, buffers, image = out
    number, sets, nz, ny, nx = image.shape
    mz, blocks, apart = work.shape[2], work.shape[4], work.shape[3] * work.shape[4]
    voxels, columns = nz * ny * nx, ny * blocks
    direct = len(plan_z[0]) == 0
    images, maps, flat = image.reshape(-1), coils.reshape(-1), work.reshape(-1)
    tile, tiles = _tiles(buffers[0, 0], nz, columns)
    for chunk in prange(len(buffers)):
        line, a, b = buffers[chunk, 0], buffers[chunk, 1], buffers[chunk, 2]
        jobs = number * tiles
        for job in range(_part(chunk, len(buffers), jobs), _part(chunk + 1, len(buffers), jobs)):
            k, begin = job // tiles, job % tiles * tile
            end = min(begin + tile, columns)
            for c in range(len(coils)):
                at = (c * number + k) * mz * apart
                for column in range(begin, begin if direct else end):
                    target = (line, (column - begin) * (nz + 1), 1, nz)
                    transform((flat, at + column, apart, mz), target, a, b, plan_z, LANES)
                for z in range(nz):
                    for column in range(begin, end):
                        y, block = column // blocks, column % blocks
                        voxel, first = (z * ny + y) * nx, (block * LANES, nx)
                        row = (k * sets * voxels + voxel, voxels)
                        coil_row = c * sets * voxels + voxel
                        if z + 1 < nz:
                            _fetch_below(images, row[0], maps, coil_row, first, ny)
                        if direct:
                            element = at + z * apart + column
                            _add_row(flat, element, maps, coil_row, sets, first, images, row)
                        else:
                            element = (column - begin) * (nz + 1) + z
                            _add_row(line, element, maps, coil_row, sets, first, images, row)
