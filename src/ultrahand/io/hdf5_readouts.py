"""Readouts of an ISMRMRD HDF5 file: heads in one sweep, samples in blocks, when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.io.acquisition_head import readouts_of
from ultrahand.io.hdf5_file import data_set
from ultrahand.records.arrays import Complex64, Float32, Ints, Structured
from ultrahand.records.readouts import name_readout

BLOCK_ROWS: Final = 1024
"""Rows of one HDF5 read: large enough that its overhead is spread, small against memory."""


def read_xml(group: h5py.Group) -> bytes:
    """Return the header's bytes, whichever string type the writer chose."""
    stored = data_set(group, "xml")
    is_text = h5py.check_string_dtype(stored.dtype) is not None
    if not is_text or stored.size != 1:
        raise InputError(
            "data set xml",
            found=f"type {stored.dtype}, shape {stored.shape}",
            expected="one string",
            remedy="convert the measurement again",
        )
    try:
        value = stored[()] if stored.shape == () else stored[:].ravel()[0]
    except (OSError, UnicodeError, ValueError) as error:
        raise _unreadable("xml", error) from None
    return value.encode() if isinstance(value, str) else bytes(value)


def read_readouts(group: h5py.Group) -> tuple[Structured, Hdf5Source]:
    """Read every head and return the table of readouts with the source of their samples.

    Raises
    ------
    InputError
        No readouts, or not the compound type of ISMRMRD v1.
    """
    stored = data_set(group, "data")
    _check_type(stored)
    try:
        readouts = readouts_of(_heads(stored))
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise _unreadable("data", error) from None
    return readouts, Hdf5Source(stored, readouts)


@final
class Hdf5Source:
    """Samples of an open HDF5 file, read in blocks of many rows."""

    def __init__(self, stored: h5py.Dataset, readouts: Structured) -> None:
        self._stored = stored
        self._readouts = readouts
        self._path = Path(stored.file.filename)
        self._fingerprint = fingerprint(self._path)

    def samples(self, rows: Ints) -> Complex64:
        first = self._readouts[rows[0]]
        coils, samples = int(first["active_channels"]), int(first["number_of_samples"])
        flat = self._read(rows, "data", 2 * coils * samples)
        block = flat.view(np.complex64).reshape(len(rows), coils, samples)
        return block.transpose(1, 0, 2)

    def trajectory(self, rows: Ints) -> Float32:
        first = self._readouts[rows[0]]
        dims, samples = int(first["trajectory_dimensions"]), int(first["number_of_samples"])
        return self._read(rows, "traj", dims * samples).reshape(len(rows), samples, dims)

    def _read(self, rows: Ints, member: str, length: int) -> Float32:
        """Read one member of some rows, each of the same length, into one array."""
        if fingerprint(self._path) != self._fingerprint:
            raise InputError(
                "file",
                found="a file that changed while it was read",
                expected="one that stays as it is",
                remedy="wait until it is complete and run again",
            )
        out = np.empty((len(rows), length), np.float32)
        order = np.argsort(rows, kind="stable")
        for part in _runs(rows[order]):
            wanted = order[part]
            first, last = int(rows[wanted[0]]), int(rows[wanted[-1]])
            try:
                cells = self._stored[first : last + 1][member]
            except (OSError, RuntimeError, ValueError, MemoryError) as error:
                raise _unreadable("data", error) from None
            cells = cells[rows[wanted] - first]
            self._check_lengths(cells, rows[wanted], member, length)
            if (
                length
                and wanted[-1] - wanted[0] == len(wanted) - 1
                and np.all(np.diff(wanted) == 1)
            ):
                np.concatenate(cells, out=out[wanted[0] : wanted[-1] + 1].reshape(-1))
            elif length:
                out[wanted] = np.concatenate(cells).reshape(len(wanted), length)
        return out.reshape(-1)

    def _check_lengths(self, cells: NDArray[Any], rows: Ints, member: str, length: int) -> None:
        lengths = np.fromiter((cell.size for cell in cells), np.int64, len(cells))
        wrong = np.flatnonzero(lengths != length)
        if wrong.size:
            row = int(rows[wrong[0]])
            raise InputError(
                f"{name_readout(self._readouts, row)}, {member}",
                found=f"{lengths[wrong[0]]} numbers",
                expected=f"{length} (number_of_samples times "
                f"{'2 active_channels' if member == 'data' else 'trajectory_dimensions'})",
                remedy="the file is damaged, or a readout is longer than 65535 samples; "
                "convert the measurement again",
            )


def fingerprint(path: Path) -> tuple[int, int, int]:
    """Tell whether a file was replaced: inode, size and time of change."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _runs(rows: Ints) -> list[slice]:
    """Cut sorted rows into stretches that one HDF5 read each can cover."""
    runs, start = [], 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i] - rows[start] >= BLOCK_ROWS:
            runs.append(slice(start, i))
            start = i
    return runs


def _heads(stored: h5py.Dataset) -> NDArray[Any]:
    """Read all heads; straight from the file's bytes where they are stored as they are."""
    head = stored.dtype["head"]
    offset = int(stored.dtype.fields["head"][1])
    width = stored.id.get_type().get_size()
    starts = _row_offsets(stored, width)
    if starts is None:
        only_head = np.empty(len(stored), np.dtype([("head", head)]))
        stored.id.read(h5py.h5s.ALL, h5py.h5s.ALL, only_head)
        return only_head["head"]
    size = Path(stored.file.filename).stat().st_size
    if starts.size and (starts.min() < 0 or int(starts.max()) + width > size):
        raise ValueError("rows lie outside the file")
    bytes_of_file = np.memmap(stored.file.filename, np.uint8, "r")
    columns = np.arange(offset, offset + head.itemsize)
    heads = np.empty((len(starts), head.itemsize), np.uint8)
    for first in range(0, len(starts), 8 * BLOCK_ROWS):
        part = slice(first, first + 8 * BLOCK_ROWS)
        heads[part] = bytes_of_file[starts[part, None] + columns]
    return heads.reshape(-1).view(head)


def _row_offsets(stored: h5py.Dataset, width: int) -> NDArray[np.int64] | None:
    """Byte offset of every row in the file; None where filters or a user block hide them."""
    creation = stored.id.get_create_plist()
    user_block = stored.file.userblock_size
    if creation.get_nfilters() or user_block:
        return None
    if creation.get_layout() == h5py.h5d.CONTIGUOUS:
        return stored.id.get_offset() + width * np.arange(len(stored), dtype=np.int64)
    if creation.get_layout() != h5py.h5d.CHUNKED:
        return None
    chunks: list[tuple[int, int]] = []
    stored.id.chunk_iter(lambda c: chunks.append((c.chunk_offset[0], c.byte_offset)))
    rows_per_chunk = stored.chunks[0]
    if len(chunks) != -(-len(stored) // rows_per_chunk):
        raise ValueError(f"{len(chunks)} chunks are stored for {len(stored)} rows")
    first = np.array(sorted(chunks), np.int64)[:, 1]
    rows = first[:, None] + width * np.arange(rows_per_chunk, dtype=np.int64)
    return rows.reshape(-1)[: len(stored)]


def _check_type(stored: h5py.Dataset) -> None:
    names = stored.dtype.names or ()
    fits = stored.ndim == 1 and {"head", "traj", "data"} <= set(names)
    for member in ("traj", "data"):
        base = h5py.check_vlen_dtype(stored.dtype[member]) if fits else None
        fits = fits and base is not None and base == np.dtype("<f4")
    if not fits or stored.dtype["head"].names is None:
        raise InputError(
            "data set data",
            found=f"shape {stored.shape}, members {', '.join(names[:6]) or 'none'}",
            expected="rows of head, traj and data (vlen float32)",
            remedy="check that this is an ISMRMRD v1 file",
        )
    if len(stored) == 0:
        raise InputError(
            "data set data",
            found="0 readouts",
            expected="at least one",
            remedy="the measurement was stopped before it began; measure again",
        )


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(
        f"data set {name}",
        found=f"damaged HDF5 ({error or type(error).__name__})",
        expected="readable rows",
        remedy="copy or convert the measurement again",
    )
