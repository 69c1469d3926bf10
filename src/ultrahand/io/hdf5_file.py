"""Open an ISMRMRD HDF5 file read-only, trusting nothing in it.

HDF5 can point into other files, name filters to be loaded, or claim sizes it never stored; each
is checked before a byte of data is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import h5py

from ultrahand.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_ROOT_NAMES: Final = 1000
MAX_CHUNK: Final = 2**28
MAX_PACKED_CHUNK: Final = 2**26
"""Bytes; a packed chunk is unpacked whole."""
MAX_INFLATION: Final = 1100
"""Deflate cannot shrink data further than 1032 to 1 (zlib technical details, zlib.net)."""
_ALLOWED_FILTERS: Final = {
    h5py.h5z.FILTER_DEFLATE: "deflate",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    h5py.h5z.FILTER_LZF: "lzf",
}


# What h5py raises on damaged files, found by changing bytes at random.
_H5_ERRORS: Final = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, IndexError),
    *(MemoryError, OverflowError, SystemError),
)


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; a file that a scanner still writes is refused."""
    try:
        file = h5py.File(path, "r", locking="best-effort")
    except _H5_ERRORS as error:
        raise _cannot_open(str(error)) from None
    with file:
        yield file


def _cannot_open(text: str) -> InputError:
    if "truncated" in text:
        found, remedy = "a truncated HDF5 file", "copy or convert it again"
    elif "unable to lock" in text:
        found, remedy = "a file locked by a writer", "wait until the measurement is finished"
    elif "open for write" in text:
        found = "a file that its writer never closed"
        remedy = "wait until the measurement is finished; after a crash run h5clear -s on a copy"
    else:
        found, remedy = f"HDF5 that cannot be opened ({text})", "copy or convert it again"
    return InputError("file", found=found, expected="a complete HDF5 file", remedy=remedy)


@contextmanager
def unreadable(name: str) -> Iterator[None]:
    """Turn what h5py raises on damage into a refusal of the data set ``name``."""
    try:
        yield
    except _H5_ERRORS as error:
        raise InputError(
            f"data set {name}",
            found=f"damaged HDF5 ({error or type(error).__name__})",
            expected="readable rows",
            remedy="copy or convert the measurement again",
        ) from None


def measurement_group(file: h5py.File, name: str | None) -> h5py.Group:
    """Find the group that holds a measurement.

    Raises
    ------
    UsageError
        Several groups and no choice, or a choice that is not there.
    InputError
        No group holds ISMRMRD raw data.
    """
    with unreadable("groups"):
        return _measurement_group(file, name)


def _measurement_group(file: h5py.File, name: str | None) -> h5py.Group:
    if name is not None:
        group = follow(file, name)
        if group is None:
            raise UsageError(
                f"--group {name}: no such group; found {_contents(file, names_in(file))}"
            )
        return group
    names = names_in(file)
    groups = {name: follow(file, name) for name in names}
    parts = {n: (has(g, "xml"), has(g, "data")) for n, g in groups.items() if g}
    # A group of images has data too; a lone half is a measurement whose fault is named later.
    found = [n for n, has_them in parts.items() if all(has_them)]
    found = found or [n for n, has_them in parts.items() if any(has_them)]
    measurements = {name: groups[name] for name in found}
    if not measurements:
        raise InputError(
            "file",
            found=f"HDF5 with {_contents(file, names)}",
            expected="a group with the data sets data and xml (ISMRMRD raw data)",
            remedy="give the raw data file, not images or another HDF5 format",
        )
    if len(measurements) > 1 or len(names) >= MAX_ROOT_NAMES:
        raise UsageError(
            "several measurements in the file: choose with --group (FILE:GROUP for another input) "
            f"one of {_listing(measurements)}"
        )
    return groups[found[0]]


def _contents(file: h5py.File, names: list[str]) -> str:
    """Say what is at the root of a file, links marked as such: they are not followed."""
    if len(names) >= MAX_ROOT_NAMES:
        return f"{MAX_ROOT_NAMES} names and more, {_listing(names[:3])}, none a measurement"
    links = sum(not is_inside(file, name) for name in names)
    note = f", {links} of them links, which are not followed" if links else ""
    return (_listing(names) or "no groups") + note


def data_set(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return a data set whose bytes are in this file, in filters we know, of honest size."""
    with unreadable(name):
        return _data_set(group, name)


def _data_set(group: h5py.Group, name: str) -> h5py.Dataset:
    if not has(group, name):
        raise _refuse(name, "no such data set", f"the data sets data and xml in {group.name}")
    if not is_inside(group, name):
        raise _refuse(name, "a link to elsewhere", "a data set inside this file")
    found = group[name]
    if not isinstance(found, h5py.Dataset):
        raise _refuse(name, "a group", "a data set")
    creation = found.id.get_create_plist()
    if found.is_virtual or creation.get_external_count() > 0:
        raise _refuse(name, "data stored in another file", "data inside this file")
    for index in range(creation.get_nfilters()):
        number = creation.get_filter(index)[0]
        if number not in _ALLOWED_FILTERS:
            raise _refuse(name, f"HDF5 filter {number}", f"{_listing(_ALLOWED_FILTERS.values())}")
    if found.shape is None:
        raise _refuse(name, "an empty data set", "rows")
    _check_size(name, found, creation)
    return found


def _check_size(name: str, found: h5py.Dataset, creation: h5py.h5p.PropDCID) -> None:
    width = found.id.get_type().get_size()
    packed = creation.get_nfilters() > 0
    if creation.get_layout() == h5py.h5d.CHUNKED:
        chunk = creation.get_chunk()
        if len(chunk) != len(found.shape):
            raise _refuse(
                name, f"chunks of rank {len(chunk)}", f"rank {len(found.shape)} as the data"
            )
        size, most = math.prod((width, *chunk)), MAX_PACKED_CHUNK if packed else MAX_CHUNK
        if size > most:
            raise _refuse(name, f"chunks of {size} bytes", f"at most {most}")
    claimed, stored = found.size * width, found.id.get_storage_size()
    if claimed > min(stored, found.file.id.get_filesize()) * (MAX_INFLATION if packed else 1):
        raise _refuse(
            name,
            f"{found.size} rows of {width} bytes, of which {stored} bytes are stored",
            "no rows but those that were written",
        )


def names_in(group: h5py.Group) -> list[str]:
    """List the names in a group, stopping early: a hostile file may hold a million.

    In the file's own order, since sorting would read all of them first.
    """
    names: list[str] = []

    def take(name: bytes) -> bool | None:
        names.append(name.decode("utf-8", "surrogateescape"))
        return True if len(names) >= MAX_ROOT_NAMES else None

    group.id.links.iterate(take, order=h5py.h5.ITER_NATIVE)
    return sorted(names)


def follow(file: h5py.File, path: str) -> h5py.Group | None:
    """Walk hard links only, so that no link leads out of the file or in a circle."""
    place: h5py.Group = file
    parts = [part for part in path.split("/") if part]
    if not 1 <= len(parts) <= 16:
        return None
    for part in parts:
        if not is_inside(place, part) or place.get(part, getclass=True) is not h5py.Group:
            return None
        place = place[part]
    return place


def has(place: h5py.Group, name: str) -> bool:
    """Tell whether a group has a name, whatever it leads to; h5py's ``in`` would follow a link."""
    return bool(place.id.links.exists(_encoded(name)))


def is_inside(place: h5py.Group, name: str) -> bool:
    """Tell whether a name leads to something in this file: no link that is soft or external."""
    links = place.id.links
    return has(place, name) and links.get_info(_encoded(name)).type == h5py.h5l.TYPE_HARD


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _listing(names: object, limit: int = 8) -> str:
    shown = [str(name)[:40] for name in list(names)]  # type: ignore[call-overload]
    rest = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + rest


def _refuse(name: str, found: str, expected: str) -> InputError:
    return InputError(
        f"data set {name}",
        found=found,
        expected=expected,
        remedy="copy or convert the measurement again",
    )
