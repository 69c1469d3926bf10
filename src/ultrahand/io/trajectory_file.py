"""Read an external trajectory: HDF5, NumPy, or an ISMRMRD file that carries one."""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import h5py
import numpy as np

from ultrahand.errors import InputError, UsageError, one_line
from ultrahand.io.container import Container, container_of, first_bytes, is_hdf5
from ultrahand.io.file_bytes import naming
from ultrahand.io.hdf5_file import data_set, follow, has, is_inside, names_in, open_file, unreadable
from ultrahand.io.read_raw import read_raw
from ultrahand.records.header import declared_unit
from ultrahand.records.readouts import Kind, kinds_of

if TYPE_CHECKING:
    from ultrahand.records.arrays import Real

_UNIT_ATTRIBUTES: Final = ("unit", "units", "k_unit")
_MAX_UNIT: Final = 64
_NUMPY_MAGIC: Final = b"\x93NUMPY"
_ZIP_MAGIC: Final = b"PK\x03\x04"
_MAX_ZIP_DIRECTORY: Final = 2**20


def read_trajectory(path: Path, inside: str | None, *, most: int) -> tuple[Real, str | None]:
    """Read the numbers of a trajectory and the unit the file declares, if it does.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, HDF5, or ISMRMRD raw data (HDF5 or stream).
    inside
        Data set of an HDF5 file, array of an ``.npz`` or group of an ISMRMRD file; needed only
        where there are several.
    most
        How many numbers a trajectory of the measurement can have: more are not read.

    Returns
    -------
    ndarray, str or None
        Shape as in the file; for ISMRMRD ``(shots, samples, dims)`` in the order of acquisition.

    Raises
    ------
    UsageError
        No such file or data set, or several and no choice.
    InputError
        Not numbers, not of two or three dimensions, or too many.
    """
    with naming(path):
        start = first_bytes(path)
        if start.startswith(_NUMPY_MAGIC):
            return _npy(path, most), None
        if start.startswith(_ZIP_MAGIC):
            return _npz(path, inside, most), None
        if is_hdf5(path, start):
            return _hdf5(path, inside, most)
        if container_of(path) is Container.STREAM:
            return _from_raw(path, None, most)
        raise AssertionError("container_of refuses everything else")


def _npy(path: Path, most: int) -> Real:
    with path.open("rb") as file, _as_refusal():
        _check(*_numpy_head(file), most)
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def _npz(path: Path, inside: str | None, most: int) -> Real:
    _check_directory(path)
    with _as_refusal(), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if inside is None and len(names) == 1:
            inside = names[0]
        if inside not in names:
            raise UsageError(f"--trajectory {path.name}: name one of {', '.join(names[:8])}")
        member = archive.infolist()[names.index(inside)]
        with archive.open(member) as file:
            _check(*_numpy_head(file), most)
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)


@contextmanager
def _as_refusal() -> Iterator[None]:
    """Turn what NumPy and the archives raise on damage into a refusal."""
    try:
        yield
    except (
        *(ValueError, TypeError, SyntaxError, OSError, EOFError, KeyError, MemoryError),
        RuntimeError,  # an archive with a password, a literal that is nested too deep
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
    ) as error:
        raise _refuse(f"no readable NumPy file ({error})", "an array of numbers") from None


def _check_directory(path: Path) -> None:
    """Refuse a list of contents that is itself too large: it is read whole."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - 65557, 0))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or len(end) < place + 22:
        raise _refuse("no readable NumPy archive (no directory)", "arrays of numbers")
    (length,) = struct.unpack_from("<I", end, place + 12)
    if length > _MAX_ZIP_DIRECTORY:
        raise _refuse(f"an archive whose directory has {length} bytes", "a few arrays")


def _numpy_head(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read type and shape without the numbers."""
    first = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _hdf5(path: Path, inside: str | None, most: int) -> tuple[Real, str | None]:
    with open_file(path) as file, unreadable(inside or "trajectory"):
        if not _is_raw(file, inside):
            return _from_hdf5(file, inside, most)
    return _from_raw(path, inside, most)


def _is_raw(file: h5py.File, inside: str | None) -> bool:
    groups = [follow(file, name) for name in ([inside] if inside else names_in(file))]
    return any(g is not None and has(g, "xml") and has(g, "data") for g in groups)


def _from_hdf5(file: h5py.File, inside: str | None, most: int) -> tuple[Real, str | None]:
    if inside is None:
        inside_it = [name for name in names_in(file) if is_inside(file, name)]
        names = [n for n in inside_it if file.get(n, getclass=True) is h5py.Dataset]
        if len(names) != 1:
            shown = ", ".join(names[:8]) or "no data set at the root"
            raise UsageError(f"--trajectory: choose a data set with FILE:DATASET; found {shown}")
        inside = names[0]
    parent, _, name = inside.strip("/").rpartition("/")
    group = follow(file, parent) if parent else file
    if group is None or not has(group, name):
        raise UsageError(f"--trajectory: no data set {inside} in the file")
    stored = data_set(group, name)
    _check(stored.shape, stored.dtype, most)
    return stored[()], _unit(stored)


def _unit(stored: h5py.Dataset) -> str | None:
    """Return the unit that an attribute declares."""
    for key in _UNIT_ATTRIBUTES:
        if key in stored.attrs:
            attribute = stored.attrs.get_id(key)
            text = h5py.check_string_dtype(attribute.dtype)
            if text is None or math.prod(attribute.shape) != 1 or (text.length or 0) > _MAX_UNIT:
                raise _refuse(f"attribute {key} of type {attribute.dtype}", "one short text")
            value = np.asarray(stored.attrs[key]).ravel()[0]
            return one_line(
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value),
                _MAX_UNIT,
            )
    return None


def _from_raw(path: Path, group: str | None, most: int) -> tuple[Real, str | None]:
    """Return the shots in the order of their counter, where that names each once."""
    raw = read_raw(path, group=group)
    kinds = kinds_of(raw.readouts["flags"])
    rows = np.flatnonzero((kinds == Kind.IMAGING) & (raw.readouts["trajectory_dimensions"] > 0))
    shapes = {
        (int(raw.readouts["number_of_samples"][r]), int(raw.readouts["trajectory_dimensions"][r]))
        for r in rows
    }
    if len(shapes) != 1:
        raise _refuse(
            f"{len(rows)} readouts with a trajectory, of {len(shapes)} shapes",
            "imaging readouts with a trajectory of one shape",
        )
    _check((len(rows), *shapes.pop()), np.dtype(np.float32), most)
    steps = raw.readouts["kspace_encode_step_1"][rows]
    if np.array_equal(np.sort(steps), np.arange(len(rows))):
        rows = rows[np.argsort(steps)]
    return raw.source.trajectory(rows), declared_unit(raw.header)


def _check(shape: tuple[int, ...], dtype: np.dtype, most: int) -> None:
    """Refuse, before a number is read, what cannot be the trajectory of the measurement."""
    if dtype.kind not in "fiu" or len(shape) not in (2, 3) or min(shape, default=0) < 1:
        raise _refuse(
            f"type {dtype}, shape {shape}",
            "real numbers, shape (shots, samples, dims) in any order, or (shots * samples, dims)",
        )
    if math.prod(shape) > most:
        raise _refuse(
            f"shape {shape}, {math.prod(shape)} numbers",
            f"at most {most}, a few for each sample of the measurement",
        )


def _refuse(found: str, expected: str) -> InputError:
    return InputError(
        "trajectory file",
        found=found,
        expected=expected,
        remedy="give the trajectory of this measurement as numbers",
    )
