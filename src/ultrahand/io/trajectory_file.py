"""Read an external trajectory: HDF5, NumPy, or an ISMRMRD file that carries one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ultrahand.errors import InputError, UsageError
from ultrahand.io.container import HDF5_MAGIC, Container, container_of, first_bytes
from ultrahand.io.hdf5_file import data_set, open_file
from ultrahand.io.read_raw import read_raw
from ultrahand.records.readouts import Kind, kinds_of

if TYPE_CHECKING:
    from ultrahand.records.arrays import Real

MAX_BYTES = 8 * 2**30
_UNIT_ATTRIBUTES = ("unit", "units", "k_unit")


def split_name(text: str) -> tuple[Path, str | None]:
    """Split ``FILE[:DATASET]``; a colon that is part of an existing file's name stays there."""
    if Path(text).exists() or ":" not in text:
        return Path(text), None
    name, _, inside = text.rpartition(":")
    return Path(name), inside


def read_trajectory(path: Path, inside: str | None) -> tuple[Real, str | None]:
    """Read the numbers of a trajectory and the unit the file declares, if it does.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, HDF5, or ISMRMRD raw data (HDF5 or stream).
    inside
        Data set of an HDF5 file, array of an ``.npz`` or group of an ISMRMRD file; needed only
        where there are several.

    Returns
    -------
    ndarray, str or None
        Shape as in the file; for ISMRMRD ``(shots, samples, dims)`` in the order of acquisition.

    Raises
    ------
    UsageError
        No such file or data set, or several and no choice.
    InputError
        Not numbers, or not of two or three dimensions.
    """
    start = first_bytes(path)
    if start.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        return _checked(_numpy(path, inside)), None
    if start.startswith(HDF5_MAGIC):
        with open_file(path) as file:
            if _is_raw(file, inside):
                return _from_raw(path, inside), None
            return _from_hdf5(file, inside)
    if container_of(path) is Container.STREAM:
        return _from_raw(path, None), None
    raise AssertionError("container_of refuses everything else")


def _numpy(path: Path, inside: str | None) -> Real:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _refuse(f"no readable NumPy file ({error})", "numbers, no Python objects") from None
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        names = list(loaded.files)
        if inside is None and len(names) == 1:
            inside = names[0]
        if inside not in names:
            raise UsageError(f"--trajectory {path.name}: name one of {', '.join(names[:8])}")
        try:
            array: Real = loaded[inside]
        except ValueError as error:
            raise _refuse(f"no readable array ({error})", "numbers, no Python objects") from None
        return array


def _is_raw(file: h5py.File, inside: str | None) -> bool:
    if inside is not None:
        return isinstance(file.get(inside), h5py.Group)
    groups = [name for name in list(file)[:1000] if isinstance(file.get(name), h5py.Group)]
    return any("xml" in file[name] and "data" in file[name] for name in groups)


def _from_hdf5(file: h5py.File, inside: str | None) -> tuple[Real, str | None]:
    if inside is None:
        names = [name for name in list(file)[:1000] if isinstance(file.get(name), h5py.Dataset)]
        if len(names) != 1:
            shown = ", ".join(names[:8]) or "no data set at the root"
            raise UsageError(f"--trajectory: choose a data set with FILE:DATASET; found {shown}")
        inside = names[0]
    parent, _, name = inside.strip("/").rpartition("/")
    group = file[parent] if parent and parent in file else file
    if name not in group:
        raise UsageError(f"--trajectory: no data set {inside} in the file")
    stored = data_set(group, name)
    if stored.size * stored.dtype.itemsize > MAX_BYTES:
        raise _refuse(f"{stored.size} numbers", f"at most {MAX_BYTES} bytes")
    units = [stored.attrs[key] for key in _UNIT_ATTRIBUTES if key in stored.attrs]
    unit = (
        units[0].decode() if units and isinstance(units[0], bytes) else units[0] if units else None
    )
    return _checked(stored[()]), None if unit is None else str(unit)


def _from_raw(path: Path, group: str | None) -> Real:
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
    return raw.source.trajectory(rows)


def _checked(array: Real) -> Real:
    if array.dtype.kind not in "fiu" or array.ndim not in (2, 3) or not array.size:
        raise _refuse(
            f"type {array.dtype}, shape {array.shape}",
            "real numbers, shape (shots, samples, dims) in any order, or (shots * samples, dims)",
        )
    return array


def _refuse(found: str, expected: str) -> InputError:
    return InputError(
        "trajectory file", found=found, expected=expected, remedy="give the trajectory as numbers"
    )
