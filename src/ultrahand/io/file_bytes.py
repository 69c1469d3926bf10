"""Bytes of a file by their place, for files that are larger than memory and not to be trusted.

Nothing is mapped: mapped pages count as memory of the process, and a file that shrinks under a
mapping ends it. A source remembers what file it belongs to and opens it again for every block.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from ultrahand.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ultrahand.records.arrays import Ints


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give every refusal from within the name of the file at fault."""
    try:
        yield
    except InputError as error:
        error.file = error.file or path.name
        raise


@final
@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file as it was found: later reads refuse another one under its name."""

    path: Path
    mark: tuple[int, int, int]
    """Inode, size, and time of the last change in nanoseconds."""

    @classmethod
    def now(cls, path: Path) -> Unchanged:
        """Remember the file that stands at a path."""
        return cls(path.absolute(), _mark(path.stat()))

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.mark[1]

    @contextmanager
    def open(self) -> Iterator[io.FileIO]:
        """Open it for reading.

        Raises
        ------
        InputError
            The file was removed, replaced or written to since.
        """
        try:
            file = io.FileIO(self.path)
        except FileNotFoundError:
            file = None
        with naming(self.path):
            if file is None:
                raise _changed("no file any more")
            with file:
                if _mark(os.fstat(file.fileno())) != self.mark:
                    raise _changed("a file that changed while it was read")
                yield file


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _changed(found: str) -> InputError:
    return InputError(
        "file",
        found=found,
        expected="one that stays as it is",
        remedy="wait until it is complete and run again",
    )


def read_at(file: io.FileIO, offset: int, count: int) -> bytes:
    """Return up to ``count`` bytes from a place; fewer at the end of the file."""
    file.seek(offset)
    parts = []
    while count > 0 and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_into(file: io.FileIO, offset: int, out: memoryview) -> bool:
    """Fill a buffer from a place in the file; False if the file ends before."""
    file.seek(offset)
    done = 0
    while done < len(out):
        count = file.readinto(out[done:])
        if not count:
            return False
        done += count
    return True


def gather(file: io.FileIO, starts: Ints, length: int) -> NDArray[np.uint8]:
    """Read ``length`` bytes from each place, shape ``(places, length)``.

    Raises
    ------
    ValueError
        A place beyond the end of the file.
    """
    out = np.empty((len(starts), length), np.uint8)
    flat = out.reshape(-1).data
    for place, start in enumerate(starts.tolist()):
        if not read_into(file, start, flat[place * length : (place + 1) * length]):
            raise ValueError(f"bytes {start} to {start + length} lie beyond the end of the file")
    return out
