"""Readouts of an ISMRMRD HDF5 file: heads in one sweep, samples in blocks, when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import h5py
import numpy as np

from ultrahand.errors import InputError
from ultrahand.io.acquisition_head import readouts_of
from ultrahand.io.hdf5_file import data_set, unreadable
from ultrahand.io.hdf5_heap import REFERENCE, HeapError, fetch, fill
from ultrahand.io.hdf5_rows import row_blocks
from ultrahand.io.xml_tree import MAX_BYTES
from ultrahand.records.arrays import Complex64, Float32, Ints, Structured
from ultrahand.records.readouts import name_readout

if TYPE_CHECKING:
    from ultrahand.io.file_bytes import Unchanged

_MEMBERS: Final = ("head", "traj", "data")
_NUMBERS: Final = (np.dtype("<f4"), np.dtype(">f4"))


def read_xml(group: h5py.Group, file: Unchanged) -> bytes:
    """Return the header's bytes, whichever string type the writer chose."""
    stored = data_set(group, "xml")
    with unreadable("xml"):
        kind = h5py.check_string_dtype(stored.dtype)
        if kind is None or stored.size != 1:
            raise InputError(
                "data set xml",
                found=f"type {stored.dtype}, shape {stored.shape}",
                expected="one string",
                remedy="convert the measurement again",
            )
        if stored.id.get_create_plist().get_layout() == h5py.h5d.COMPACT:
            value = stored[()] if stored.shape == () else stored[:].ravel()[0]
            return value.encode() if isinstance(value, str) else bytes(value)
        with file.open() as bytes_of_file:
            row = next(row_blocks(stored, bytes_of_file)).reshape(-1)
            if kind.length is not None:
                return row.tobytes()
            reference = row.view(REFERENCE)[0]
            if reference["count"] > MAX_BYTES:
                raise InputError(
                    "data set xml",
                    found=f"{reference['count']} bytes",
                    expected=f"at most {MAX_BYTES}",
                    remedy="convert the measurement again",
                )
            return fetch(bytes_of_file, _base(stored), reference, MAX_BYTES)


def read_readouts(group: h5py.Group, file: Unchanged) -> tuple[Structured, Hdf5Source]:
    """Read every head and return the table of readouts with the source of their samples.

    Raises
    ------
    InputError
        No readouts, or not the compound type of ISMRMRD v1.
    """
    stored = data_set(group, "data")
    with unreadable("data"):
        _check_type(stored)
        row = _row_type(stored)
        tables, traj, data = [], [], []
        with file.open() as bytes_of_file:
            for block in row_blocks(stored, bytes_of_file):
                rows = np.ascontiguousarray(block).reshape(-1).view(row)
                tables.append(readouts_of(rows["head"]))
                traj.append(rows["traj"].copy())
                data.append(rows["data"].copy())
        members = {
            name: _Member(np.concatenate(parts), h5py.check_vlen_dtype(stored.dtype[name]))
            for name, parts in (("traj", traj), ("data", data))
        }
        readouts = np.concatenate(tables)
        return readouts, Hdf5Source(file, _base(stored), readouts, members)


@dataclass(frozen=True, slots=True)
class _Member:
    """Where the numbers of every row are, and how they are written."""

    references: Structured
    numbers: np.dtype[np.floating]


@final
class Hdf5Source:
    """Samples of an HDF5 file, read past its library, in blocks of many rows."""

    def __init__(
        self, file: Unchanged, base: int, readouts: Structured, members: dict[str, _Member]
    ) -> None:
        self._file = file
        self._base = base
        self._readouts = readouts
        self._members = members

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

    def _read(self, rows: Ints, name: str, length: int) -> Float32:
        """Read one member of some rows, each of the same length, one after the other."""
        member = self._members[name]
        references = member.references[rows]
        with self._file.open() as bytes_of_file:
            self._check_lengths(references["count"], rows, name, length)
            self._check_claim(rows, name, length)
            out = np.empty(len(rows) * length, member.numbers)
            if out.size:
                width = length * member.numbers.itemsize
                buffer = out.view(np.uint8).data
                try:
                    fill(bytes_of_file, self._base, references, buffer, width)
                except HeapError as error:
                    row = int(rows[error.place])
                    raise InputError(
                        f"{name_readout(self._readouts, row)}, {name}",
                        found=str(error),
                        expected=f"{length} numbers",
                        remedy="copy or convert the measurement again",
                    ) from None
        return out.astype(np.float32, copy=False)

    def _check_lengths(self, counts: Ints, rows: Ints, name: str, length: int) -> None:
        wrong = np.flatnonzero(counts != length)
        if wrong.size:
            row = int(rows[wrong[0]])
            raise InputError(
                f"{name_readout(self._readouts, row)}, {name}",
                found=f"{counts[wrong[0]]} numbers",
                expected=f"{length} (number_of_samples times "
                f"{'2 active_channels' if name == 'data' else 'trajectory_dimensions'})",
                remedy="the file is damaged, or a readout is longer than 65535 samples; "
                "convert the measurement again",
            )

    def _check_claim(self, rows: Ints, name: str, length: int) -> None:
        """Refuse readouts that claim more bytes than the file has, before memory is asked for."""
        claimed = 4 * length * len(rows)
        if claimed > self._file.size:
            raise InputError(
                f"{name_readout(self._readouts, int(rows[0]))}, {name}",
                found=f"{len(rows)} readouts of {length} numbers: {claimed} bytes",
                expected=f"no more than the {self._file.size} bytes of the file",
                remedy="copy or convert the measurement again",
            )


def _row_type(stored: h5py.Dataset) -> np.dtype[np.void]:
    """Return how a row lies in the file: the writer's own offsets, sizes and byte order."""
    compound = stored.id.get_type()
    places = {
        compound.get_member_name(i).decode(): (
            compound.get_member_offset(i),
            compound.get_member_type(i).get_size(),
        )
        for i in range(compound.get_nmembers())
    }
    head = stored.dtype["head"]
    sizes = [places[name][1] for name in _MEMBERS]
    expected = [head.itemsize, REFERENCE.itemsize, REFERENCE.itemsize]
    if sizes != expected or head.hasobject:
        raise ValueError(f"members of {sizes} bytes, not {expected}")
    return np.dtype(
        {
            "names": list(_MEMBERS),
            "formats": [head, REFERENCE, REFERENCE],
            "offsets": [places[name][0] for name in _MEMBERS],
            "itemsize": compound.get_size(),
        }
    )


def _base(stored: h5py.Dataset) -> int:
    """Return where the addresses of a file begin."""
    if stored.file.id.get_create_plist().get_sizes() != (8, 8):
        raise ValueError("addresses that are not of 8 bytes; repack the file with h5repack")
    return int(stored.file.userblock_size)


def _check_type(stored: h5py.Dataset) -> None:
    names = stored.dtype.names or ()
    fits = stored.ndim == 1 and set(_MEMBERS) <= set(names)
    for member in ("traj", "data"):
        base = h5py.check_vlen_dtype(stored.dtype[member]) if fits else None
        fits = fits and base in _NUMBERS
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
