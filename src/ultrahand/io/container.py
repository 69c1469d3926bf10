"""Tell by content what a raw file is; refuse what is no file or no raw data."""

from __future__ import annotations

import enum
import stat
import struct
from typing import TYPE_CHECKING, Final

from ultrahand.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"


class Container(enum.Enum):
    """What holds the readouts."""

    HDF5 = "ISMRMRD v1, HDF5"
    STREAM = "MRD v1, byte stream"


def container_of(path: Path) -> Container:
    """Look at the first bytes of a file.

    Raises
    ------
    UsageError
        No such file.
    InputError
        Not a regular readable file, empty, or neither ISMRMRD HDF5 nor an MRD v1 stream.
    """
    start = first_bytes(path)
    if is_hdf5(path, start):
        return Container.HDF5
    if b"yardl" in start[:16]:
        raise InputError(
            "file",
            found="an MRD v2 (yardl) stream",
            expected="ISMRMRD v1 (HDF5 or byte stream)",
            remedy="convert it with mrd_to_ismrmrd of the mrd tools",
        )
    if _begins_a_stream(start):
        return Container.STREAM
    raise InputError(
        "file",
        found=f"a file that begins with {start[:4]!r}",
        expected="an ISMRMRD v1 file (HDF5) or MRD v1 byte stream",
        remedy="convert the scanner's file with siemens_to_ismrmrd, ge_to_ismrmrd, ...",
    )


def first_bytes(path: Path, count: int = 64) -> bytes:
    """Read the start of a regular file without ever waiting on a pipe or device."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "a pipe, device or socket"
            raise InputError(
                "file", found=kind, expected="a regular file", remedy="give the raw data file"
            )
        with path.open("rb") as file:
            start = file.read(count)
    except FileNotFoundError:
        raise UsageError(f"{path.name}: no such file; check the name and the folder") from None
    except OSError as error:
        raise InputError(
            "file",
            found=error.strerror or "an unreadable file",
            expected="a file that can be read",
            remedy="check its permissions and the disk",
        ) from None
    if not start:
        raise InputError(
            "file", found="0 bytes", expected="raw data", remedy="copy or convert it again"
        )
    return start


def is_hdf5(path: Path, start: bytes) -> bool:
    """Look for the signature of HDF5: at 0 or, behind a user block, at 512, 1024, 2048 ..."""
    if start.startswith(HDF5_MAGIC):
        return True
    with path.open("rb") as file:
        place, size = 512, file.seek(0, 2)
        while place < size:
            file.seek(place)
            if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
                return True
            place *= 2
    return False


def _begins_a_stream(start: bytes) -> bool:
    """Recognise a stream: a configuration (1, 2) or the header (3) comes first."""
    if len(start) < 6:
        return False
    message, length = struct.unpack_from("<HI", start)
    text = start[6:7]
    return (
        message == 1
        or (message == 2 and length > 0 and (text.isspace() or text.isascii()))
        or (message == 3 and length > 0 and text in (b"<", b"\xef", b"\xff", b"\xfe", b" ", b"\n"))
    )
