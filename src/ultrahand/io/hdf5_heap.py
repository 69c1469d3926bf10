"""Objects of an HDF5 global heap: where variable-length members keep what they hold.

HDF5 File Format Specification, version 3.0, section III.E. A collection begins with ``GCOL``, a
version and its size; each object in it has a number (2 bytes), a count of references (2), 4 bytes
of nothing, its size (8), and its bytes, filled up to a multiple of 8. Number 0 is free space.
"""

from __future__ import annotations

import io
import struct
from typing import Final, final

import numpy as np

from ultrahand.io.file_bytes import read_at, read_into
from ultrahand.records.arrays import Structured

REFERENCE: Final = np.dtype([("count", "<u4"), ("address", "<u8"), ("number", "<u4")])
"""A variable-length member as it stands in a row: how many numbers, and where they are."""

_AHEAD: Final = 4096
_COLLECTION: Final = struct.Struct("<4sB3xQ")
_OBJECT: Final = struct.Struct("<HHIQ")


@final
class HeapError(ValueError):
    """A reference that leads nowhere; ``place`` says which of those asked for."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def fill(file: io.FileIO, base: int, references: Structured, out: memoryview, length: int) -> None:
    """Read one object of ``length`` bytes for each reference, one after the other.

    Parameters
    ----------
    file
        Open HDF5 file.
    base
        Where its addresses begin (the size of its user block).
    references
        Of `REFERENCE`.
    out
        Bytes, ``length`` for each reference.
    length
        Size that every object must have.

    Raises
    ------
    HeapError
        No such object, or one of another size.
    """
    # In the order of addresses each collection is walked once, however many objects it has.
    order = np.argsort(references["address"], kind="stable").tolist()
    addresses, numbers = references["address"].tolist(), references["number"].tolist()
    size = file.seek(0, io.SEEK_END)
    collection: _Collection | None = None
    for place in order:
        if collection is None or collection.address != addresses[place]:
            try:
                collection = _Collection(file, base, addresses[place], size)
            except ValueError as error:
                raise HeapError(place, str(error)) from None
        collection.copy(place, numbers[place], out[place * length : (place + 1) * length])


def fetch(file: io.FileIO, base: int, reference: Structured, most: int) -> bytes:
    """Return the bytes of one object, such as a string.

    Raises
    ------
    ValueError
        No such object, shorter than it claims to be, or longer than ``most``.
    """
    count = int(reference["count"])
    if count > most:
        raise ValueError(f"{count} bytes, at most {most}")
    collection = _Collection(file, base, int(reference["address"]), file.seek(0, io.SEEK_END))
    start, size = collection.find(0, int(reference["number"]))
    found = read_at(file, start, min(count, size))
    if len(found) < count:
        raise ValueError(f"{len(found)} bytes where {count} are claimed")
    return found


class _Collection:
    """One collection, walked as far as it was asked for."""

    def __init__(self, file: io.FileIO, base: int, address: int, end: int) -> None:
        self.address = address
        self._file = file
        self._start = base + address
        if self._start > end:
            raise ValueError(f"heap address {address} beyond the end of the file")
        self._ahead = memoryview(read_at(file, self._start, _AHEAD))
        if len(self._ahead) < _COLLECTION.size:
            raise ValueError(f"heap address {address} beyond the end of the file")
        magic, version, self._size = _COLLECTION.unpack_from(self._ahead)
        if magic != b"GCOL" or version != 1:
            raise ValueError(f"no heap at address {address}")
        self._places: dict[int, tuple[int, int]] = {}
        self._next = _COLLECTION.size

    def copy(self, place: int, number: int, out: memoryview) -> None:
        """Copy an object that must be as long as the buffer."""
        start, size = self.find(place, number)
        if size != len(out):
            raise HeapError(place, f"a heap object of {size} bytes, not {len(out)}")
        here = start - self._start
        if here + size <= len(self._ahead):
            out[:] = self._ahead[here : here + size]
        elif not read_into(self._file, start, out):
            raise HeapError(place, "a heap object beyond the end of the file")

    def find(self, place: int, number: int) -> tuple[int, int]:
        """Return where an object's bytes begin in the file, and how many there are."""
        while number not in self._places:
            if not self._step():
                raise HeapError(place, f"no object {number} in the heap at {self.address}")
        return self._places[number]

    def _step(self) -> bool:
        """Walk on by one object; False at the end."""
        at = self._next
        if at + _OBJECT.size > self._size:
            return False
        head = self._ahead[at : at + _OBJECT.size]
        if len(head) < _OBJECT.size:
            head = memoryview(read_at(self._file, self._start + at, _OBJECT.size))
        if len(head) < _OBJECT.size:
            return False
        number, _, _, size = _OBJECT.unpack(head)
        if number == 0 or size > self._size:
            return False
        self._places.setdefault(number, (self._start + at + _OBJECT.size, size))
        self._next = at + _OBJECT.size + (size + 7) // 8 * 8
        return True
