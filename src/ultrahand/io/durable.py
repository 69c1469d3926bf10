"""Writes that a power cut cannot undo, and disks' refusals in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ultrahand.errors import ResourceError, UsageError

FULL_DISK: Final = "the disk is full; finished series stay: make room and run again"
READ_ONLY: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk: a rename alone may be lost."""
    with suppress(OSError):  # systems and file systems that cannot: their renames are in order
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def put(place: Path, path: Path) -> None:
    """Give a file, whose bytes are on the disk, its name; the old one of that name goes."""
    place.replace(path)
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, and wait until their names are on the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Turn what a disk refuses into errors with a remedy.

    Raises
    ------
    ResourceError
        The disk is full or read-only, or permissions make it so.
    UsageError
        The folder cannot be written, as its name is too long.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(FULL_DISK) from error
        words = f"{folder.name or folder} cannot be written ({error.strerror})"
        if error.errno in READ_ONLY:
            raise ResourceError(f"{words}; allow writing there or choose another -o") from error
        raise UsageError(f"{words}; choose another -o") from None
