"""Rows of an HDF5 data set as they lie in the file, without the HDF5 library's conversions.

The library copies variable-length members into memory whose size it takes from the row, and fills
it with what the heap holds: damaged rows overrun it. Here the library only says where the chunks
are; layout and filters as in the HDF5 File Format Specification (version 3.0, sections IV.A.2.i
and IV.A.2.l).
"""

from __future__ import annotations

import io
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.io.file_bytes import gather, read_at
from ultrahand.io.hdf5_heap import REFERENCE

BLOCK_BYTES: Final = 4 * 2**20
MAX_INFLATION: Final = 32
"""Rows point at samples that are stored plainly, so a whole file cannot shrink further."""

Bytes = NDArray[np.uint8]


def row_width(stored: h5py.Dataset) -> int:
    """Return the bytes of one row in the file.

    The library gives the size in memory, which differs for a text of variable length alone.
    """
    stored_type = stored.id.get_type()
    if isinstance(stored_type, h5py.h5t.TypeStringID) and stored_type.is_variable_str():
        return REFERENCE.itemsize
    return int(stored_type.get_size())


def row_blocks(stored: h5py.Dataset, file: io.FileIO) -> Iterator[Bytes]:
    """Yield the bytes of all rows in order, in blocks of shape ``(rows, width)``.

    Raises
    ------
    ValueError
        A layout, filter or chunk index that cannot be right or is not supported.
    """
    width, count = row_width(stored), int(stored.size)
    creation = stored.id.get_create_plist()
    filtered = creation.get_nfilters() > 0
    size = file.seek(0, io.SEEK_END)
    if width * count > size * (MAX_INFLATION if filtered else 1):
        raise ValueError(f"{count} rows of {width} bytes in a file of {size}")
    layout = creation.get_layout()
    if layout == h5py.h5d.CONTIGUOUS:
        start = stored.id.get_offset()
        if start is None:
            raise ValueError("rows that were never written")
        yield from _stretch(file, start, width, count)
    elif layout == h5py.h5d.CHUNKED:
        yield from _chunked(stored, file, width, count)
    else:
        raise ValueError("a layout that is neither contiguous nor chunked")


def _stretch(file: io.FileIO, start: int, width: int, count: int) -> Iterator[Bytes]:
    """Yield rows that lie one after the other."""
    step = max(BLOCK_BYTES // width, 1)
    for first in range(0, count, step):
        n = min(step, count - first)
        yield _as_rows(read_at(file, start + first * width, n * width), n, width)


def _chunked(stored: h5py.Dataset, file: io.FileIO, width: int, count: int) -> Iterator[Bytes]:
    per_chunk = int(stored.chunks[0])
    plain = width * per_chunk
    first_rows, places, sizes, skipped = _chunk_index(stored, -(-count // per_chunk))
    if stored.id.get_create_plist().get_nfilters() or stored.file.userblock_size:
        if sizes.max(initial=0) > 2 * plain + 1024:
            raise ValueError(f"a packed chunk of {sizes.max()} bytes for {plain}")
        chunks = _unpacked(stored, first_rows, skipped, plain)
        yield from _joined((chunk.reshape(-1, width) for chunk in chunks), count)
        return
    if (sizes != plain).any():
        raise ValueError(f"a chunk of {sizes[sizes != plain][0]} bytes, not {plain}")
    if plain > BLOCK_BYTES:
        for row, place in zip(first_rows.tolist(), places.tolist(), strict=True):
            yield from _stretch(file, place, width, min(per_chunk, count - row))
        return
    step = BLOCK_BYTES // plain
    for first in range(0, len(places), step):
        rows = gather(file, places[first : first + step], plain).reshape(-1, width)
        yield rows[: count - first * per_chunk]


def _chunk_index(stored: h5py.Dataset, expected: int) -> tuple[NDArray[np.int64], ...]:
    """Return first row, byte, stored size and skipped filters of each chunk, sorted by rows."""
    fields = tuple(array("q") for _ in range(4))

    def take(info: h5py.h5d.StoreInfo) -> bool | None:
        values = (info.chunk_offset[0], info.byte_offset, info.size, info.filter_mask)
        for field, value in zip(fields, values, strict=True):
            field.append(value)
        return True if len(fields[0]) > expected else None

    try:
        stored.id.chunk_iter(take)
    except (OverflowError, TypeError):  # an address that is none
        raise ValueError("a chunk index that points nowhere") from None
    order = np.argsort(np.array(fields[0]), kind="stable")
    index = tuple(np.array(field)[order] for field in fields)
    if not np.array_equal(index[0], np.arange(expected, dtype=np.int64) * stored.chunks[0]):
        raise ValueError(f"{len(order)} chunks for {stored.size} rows; {expected} expected")
    return index


def _unpacked(
    stored: h5py.Dataset, first_rows: NDArray[np.int64], skipped: NDArray[np.int64], plain: int
) -> Iterator[Bytes]:
    """Yield chunks with their filters undone, last filter first."""
    creation = stored.id.get_create_plist()
    numbers = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
    unknown = [number for number in numbers if number not in _UNDO]
    if unknown:
        raise InputError(
            f"data set {str(stored.name).rpartition('/')[2]}",
            found=f"rows packed by HDF5 filter {unknown[0]}",
            expected="rows that are plain, or packed by deflate, shuffle or fletcher32",
            remedy="repack the file: h5repack -f GZIP=1",
        )
    width = row_width(stored)
    for row, mask in zip(first_rows.tolist(), skipped.tolist(), strict=True):
        _, data = stored.id.read_direct_chunk((row,))
        for i in reversed(range(len(numbers))):
            if not mask & (1 << i):
                data = _UNDO[numbers[i]](data, width, plain)
        yield _as_rows(data, 1, plain)


def _joined(pieces: Iterable[Bytes], count: int) -> Iterator[Bytes]:
    """Join small pieces to blocks; drop what follows the last row."""
    held: list[Bytes] = []
    rows = 0
    for piece in pieces:
        held.append(piece[: count - rows])
        rows += len(held[-1])
        if rows == count or sum(part.nbytes for part in held) >= BLOCK_BYTES or len(held) > 8192:
            yield np.concatenate(held)
            held = []


def _inflate(data: bytes, _width: int, plain: int) -> bytes:
    """Undo deflate, into no more than a chunk and its checksum."""
    try:
        return zlib.decompressobj().decompress(data, plain + 5)
    except zlib.error as error:
        raise ValueError(f"a compressed chunk that is damaged ({error})") from None


def _unshuffle(data: bytes, width: int, _plain: int) -> bytes:
    """Bring the bytes of each row together again; the rest that fills no row stays."""
    rows = len(data) // width
    body = np.frombuffer(data, np.uint8, rows * width).reshape(width, rows)
    return body.T.tobytes() + data[rows * width :]


def _check_sum(data: bytes, _width: int, _plain: int) -> bytes:
    """Check and drop the Fletcher-32 sum that follows the data.

    Two sums modulo 65535 over big-endian 16-bit words, the second one of the first's running
    values; written with the second in the upper half, little-endian.
    """
    body = data[:-4]
    words = np.frombuffer(body + b"\0" * (len(body) % 2), ">u2").astype(np.uint64)
    first = int(words.sum()) % 65535
    second = int((words * np.arange(len(words), 0, -1, dtype=np.uint64)).sum()) % 65535
    found = int.from_bytes(data[-4:], "little")
    if len(data) < 4 or (found & 0xFFFF) % 65535 != first or (found >> 16) % 65535 != second:
        raise ValueError("a chunk whose checksum is wrong")
    return body


_UNDO: Final = {
    h5py.h5z.FILTER_DEFLATE: _inflate,
    h5py.h5z.FILTER_SHUFFLE: _unshuffle,
    h5py.h5z.FILTER_FLETCHER32: _check_sum,
}


def _as_rows(data: bytes, rows: int, width: int) -> Bytes:
    if len(data) != rows * width:
        raise ValueError("rows that lie beyond the end of the file")
    return np.frombuffer(data, np.uint8).reshape(rows, width)
