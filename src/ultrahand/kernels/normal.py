r"""The normal operator of a coil array, a whole pass over the Fourier grid kept in the cache.

.. math:: (N x)_{ks} = \sum_c \bar S_{sc}\\, P^T F^{-1} H_{kj} F P \sum_{s'} S_{s'c}\\, x_{js'}

with :math:`P` zero padding from an image of n voxels to a grid of m, F the (unshifted) Fourier
transform over z, y, x, and H real spectra: of a point spread function (Toeplitz embedding: m >= 2 n
- 1) or a mask (m = n). k, j count components of a subspace, s sets of coil maps.

A pass has three parts. z is transformed for all x of a row, then each plane of the grid for
itself: y, then x, times H, and back, in a working set of one plane; then z back. So the whole grid
is never stored, only its planes before the transform of y: `work`, ``(coils, K, mz, ny, blocks,
ELEMENT)`` with x in blocks of `LANES`. Every output has one owner: the result is the same for any
number of threads.
"""

from __future__ import annotations

from numba import njit, prange

from ultrahand.kernels._butterflies import LANES
from ultrahand.kernels._jit import kernel
from ultrahand.kernels.lines import ELEMENT, transform

_FLAGS = {"contract", "nsz"}


@njit
def _part(number, chunks, total):
    """Return where a part of some jobs begins."""
    return number * total // chunks


@njit
def _clear(buffer, first, last):
    for i in range(first * ELEMENT, last * ELEMENT):
        buffer[i] = 0.0


@njit
def _copy(source, target, element):
    """Write an element of a line buffer."""
    at = element * ELEMENT
    for v in range(ELEMENT):
        target[at + v] = source[v]


@njit(fastmath=_FLAGS)
def _coil_row(x, coils, z, y, block, target, element):
    """Write the coil's image of `LANES` voxels: the sum over sets of map times image."""
    first, at = block * LANES, element * ELEMENT
    for v in range(ELEMENT):
        target[at + v] = 0.0
    for s in range(x.shape[0]):
        image, sensitivity = x[s, z, y], coils[s, z, y]
        for v in range(min(LANES, len(image) - first)):
            value = image[first + v] * sensitivity[first + v]
            target[at + v] += value.real
            target[at + LANES + v] += value.imag


@kernel(parallel=True)
def coils_to_planes(x, coils, plan_z, out):
    """Write coil images, transformed along z, to `work`.

    ``x``: complex64 ``(K, sets, nz, ny, nx)``; ``coils``: complex64 ``(coils, sets, nz, ny, nx)``;
    ``plan_z``: radices and twiddles; ``out``: `work` and float32 ``(chunks, 2, length)``, two line
    buffers a chunk.
    """
    work, buffers = out
    radices, twiddles = plan_z
    nz, ny = x.shape[2:4]
    mz, blocks = work.shape[2], work.shape[4]
    for chunk in prange(len(buffers)):
        jobs = len(coils) * ny
        for job in range(_part(chunk, len(buffers), jobs), _part(chunk + 1, len(buffers), jobs)):
            c, y = job // ny, job % ny
            for k in range(len(x)):
                for block in range(blocks):
                    a, b = buffers[chunk, 0], buffers[chunk, 1]
                    for z in range(nz):
                        _coil_row(x[k], coils[c], z, y, block, a, z)
                    _clear(a, nz, mz)
                    a, b = transform(a, b, mz, radices, twiddles, 0)
                    for z in range(mz):
                        work[c, k, z, y, block] = a[z * ELEMENT : (z + 1) * ELEMENT]


@njit
def _turn_in(rows, line):
    """Write `LANES` rows of blocks, lanes along x, as a line along x, lanes across the rows."""
    for block in range(rows.shape[1]):
        for v in range(LANES):
            row = rows[v, block]
            at = block * LANES * ELEMENT + v
            for u in range(ELEMENT // 2):
                line[at + u * ELEMENT] = row[u]
                line[at + u * ELEMENT + LANES] = row[u + LANES]


@njit
def _turn_out(line, rows):
    """Undo `_turn_in`."""
    for block in range(rows.shape[1]):
        for v in range(LANES):
            row = rows[v, block]
            at = block * LANES * ELEMENT + v
            for u in range(ELEMENT // 2):
                row[u] = line[at + u * ELEMENT]
                row[u + LANES] = line[at + u * ELEMENT + LANES]


@njit(fastmath=_FLAGS)
def _weigh(line, spectrum):
    for e in range(len(spectrum)):
        at = e * ELEMENT
        for v in range(LANES):
            line[at + v] *= spectrum[e, v]
        for v in range(LANES):
            line[at + LANES + v] *= spectrum[e, v]


@njit(fastmath=_FLAGS)
def _mix(lines, spectra, mixed):
    """Multiply the components at every frequency by a symmetric matrix of spectra."""
    number = len(lines)
    for e in range(spectra.shape[1]):
        at = e * ELEMENT
        for j in range(number):
            for v in range(ELEMENT):
                mixed[j, v] = 0.0
            for k in range(number):
                high, low = max(j, k), min(j, k)
                factor = spectra[high * (high + 1) // 2 + low, e]
                for v in range(LANES):
                    mixed[j, v] += factor[v] * lines[k, at + v]
                    mixed[j, LANES + v] += factor[v] * lines[k, at + LANES + v]
        for j in range(number):
            for v in range(ELEMENT):
                lines[j, at + v] = mixed[j, v]


@njit
def _columns_in(rows, lines, plan_y, plane):
    """Transform one plane of `work`, ``(ny, blocks, ELEMENT)``, along y."""
    radices, twiddles, my = plan_y
    for block in range(rows.shape[1]):
        for y in range(len(rows)):
            _copy(rows[y, block], lines[0], y)
        _clear(lines[0], len(rows), my)
        found, _ = transform(lines[0], lines[1], my, radices, twiddles, 0)
        for y in range(my):
            plane[y, block] = found[y * ELEMENT : (y + 1) * ELEMENT]


@njit
def _columns_out(plane, lines, plan_y, rows):
    """Undo `_columns_in`, for the rows that are wanted."""
    radices, twiddles, my = plan_y
    for block in range(rows.shape[1]):
        for y in range(my):
            _copy(plane[y, block], lines[0], y)
        found, _ = transform(lines[0], lines[1], my, radices, twiddles, LANES)
        for y in range(len(rows)):
            rows[y, block] = found[y * ELEMENT : (y + 1) * ELEMENT]


@njit
def _rows_through(rows, lines, widths, plan_x, spectra, mixed):
    """Take `LANES` rows of each component along x through the spectra.

    ``rows``: ``(K, LANES, blocks, ELEMENT)``; ``spectra``: ``(pairs, mx, LANES)``.
    """
    radices, twiddles = plan_x
    nx, mx = widths
    number, odd = len(rows), len(radices) % 2
    there, free = lines[odd * number :][:number], lines[(1 - odd) * number :][:number]
    for k in range(number):
        _turn_in(rows[k], lines[k])
        _clear(lines[k], nx, mx)
        transform(lines[k], lines[number + k], mx, radices, twiddles, 0)
    if number == 1:
        _weigh(there[0], spectra[0])
    else:
        _mix(there, spectra, mixed)
    for k in range(number):
        found, _ = transform(there[k], free[k], mx, radices, twiddles, LANES)
        _turn_out(found, rows[k])


@kernel(parallel=True)
def planes_through_spectrum(widths, plan_y, plan_x, spectra, out):
    """Transform each plane of `work` along y and x, multiply by the spectra, and go back.

    ``widths``: nx, mx; ``plan_y``: radices, twiddles, my; ``plan_x``: radices, twiddles;
    ``spectra``: float32 ``(K (K + 1) / 2, mz or 1, blocks of my, mx, LANES)``, the lower triangle
    row by row, y in blocks of lanes; ``out``: `work`, line buffers (2 K a chunk), float32
    ``(chunks, K, rows, blocks, ELEMENT)`` for a plane, rows a multiple of `LANES` from my on, and
    float32 ``(chunks, K, ELEMENT)``.
    """
    work, buffers, planes, mixed = out
    number, mz = work.shape[1:3]
    for chunk in prange(len(buffers)):
        lines, plane = buffers[chunk], planes[chunk]
        jobs = len(work) * mz
        for job in range(_part(chunk, len(buffers), jobs), _part(chunk + 1, len(buffers), jobs)):
            c, z = job // mz, job % mz
            for k in range(number):
                _columns_in(work[c, k, z], lines, plan_y, plane[k])
            for y in range(spectra.shape[2]):
                rows = plane[:, y * LANES : (y + 1) * LANES]
                here = spectra[:, z % spectra.shape[1], y]
                _rows_through(rows, lines, widths, plan_x, here, mixed[chunk])
            for k in range(number):
                _columns_out(plane[k], lines, plan_y, work[c, k, z])


@njit(fastmath=_FLAGS)
def _add_row(line, element, sensitivity, first, image):
    at = element * ELEMENT
    for v in range(min(LANES, len(image) - first)):
        value = complex(line[at + v], line[at + LANES + v])
        image[first + v] += sensitivity[first + v].conjugate() * value


@kernel(parallel=True)
def planes_to_image(coils, plan_z, out):
    """Transform `work` back along z and add it, times the conjugate maps, to the image.

    ``coils``, ``plan_z``: as in `coils_to_planes`; ``out``: `work`, line buffers, complex64 ``(K,
    sets, nz, ny, nx)``.
    """
    work, buffers, image = out
    radices, twiddles = plan_z
    mz, ny, blocks = work.shape[2:5]
    for chunk in prange(len(buffers)):
        for y in range(_part(chunk, len(buffers), ny), _part(chunk + 1, len(buffers), ny)):
            for k in range(len(image)):
                for c in range(len(coils)):
                    for block in range(blocks):
                        a, b = buffers[chunk, 0], buffers[chunk, 1]
                        for z in range(mz):
                            _copy(work[c, k, z, y, block], a, z)
                        a, b = transform(a, b, mz, radices, twiddles, LANES)
                        for s in range(image.shape[1]):
                            for z in range(image.shape[2]):
                                row = coils[c, s, z, y]
                                _add_row(a, z, row, block * LANES, image[k, s, z, y])
