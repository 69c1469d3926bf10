"""The AcquisitionHeader of ISMRMRD v1, 340 bytes packed, and its table of readouts."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.records.arrays import Structured
from ultrahand.records.readouts import COUNTERS, READOUT_DTYPE
from ultrahand.units import S_PER_US

HEAD_DTYPE: Final = np.dtype(
    [
        ("version", "<u2"),
        ("flags", "<u8"),
        ("measurement_uid", "<u4"),
        ("scan_counter", "<u4"),
        ("acquisition_time_stamp", "<u4"),
        ("physiology_time_stamp", "<u4", (3,)),
        ("number_of_samples", "<u2"),
        ("available_channels", "<u2"),
        ("active_channels", "<u2"),
        ("channel_mask", "<u8", (16,)),
        ("discard_pre", "<u2"),
        ("discard_post", "<u2"),
        ("center_sample", "<u2"),
        ("encoding_space_ref", "<u2"),
        ("trajectory_dimensions", "<u2"),
        ("sample_time_us", "<f4"),
        ("position", "<f4", (3,)),
        ("read_dir", "<f4", (3,)),
        ("phase_dir", "<f4", (3,)),
        ("slice_dir", "<f4", (3,)),
        ("patient_table_position", "<f4", (3,)),
        ("idx", [*((name, "<u2") for name in COUNTERS), ("user", "<u2", (8,))]),
        ("user_int", "<i4", (8,)),
        ("user_float", "<f4", (8,)),
    ]
)
HEAD_BYTES: Final = HEAD_DTYPE.itemsize

_SAME_NAME: Final = (
    *("flags", "scan_counter", "acquisition_time_stamp", "number_of_samples"),
    *("active_channels", "discard_pre", "discard_post", "center_sample"),
    *("encoding_space_ref", "trajectory_dimensions", "read_dir", "phase_dir", "slice_dir"),
)


def readouts_of(heads: NDArray[Any]) -> Structured:
    """Turn acquisition heads into the table of readouts, in SI units.

    Parameters
    ----------
    heads
        Shape ``(readouts,)``, a structured array with the standard's field names; offsets, sizes
        and byte order of the fields are the writer's own.

    Raises
    ------
    InputError
        A field is missing or is not of the right shape.
    """
    names = heads.dtype.names or ()
    wanted = (*_SAME_NAME, "sample_time_us", "position", "idx")
    missing = [name for name in wanted if name not in names]
    if not missing:
        counters = heads.dtype["idx"].names or ()
        missing = [f"idx.{name}" for name in (*COUNTERS, "user") if name not in counters]
    if missing:
        raise InputError(
            "data set data",
            found=f"a head without {', '.join(missing[:4])}",
            expected="the AcquisitionHeader of ISMRMRD v1",
            remedy="check that this is an ISMRMRD v1 file",
        )
    table = np.zeros(len(heads), READOUT_DTYPE)
    idx = heads["idx"]
    for name in _SAME_NAME:
        _fill(table, name, heads[name])
    _fill(table, "position_mm", heads["position"])
    _fill(table, "sample_time_s", heads["sample_time_us"])
    table["sample_time_s"] *= S_PER_US
    for name in (*COUNTERS, "user"):
        _fill(table, name, idx[name])
    return table


def _fill(table: Structured, name: str, values: NDArray[Any]) -> None:
    """Copy one field of all heads; whole numbers must be whole, fit, and not be negative."""
    column = np.asarray(table[name])
    whole = column.dtype.kind != "f"
    fits = values.shape == column.shape and values.dtype.kind in ("iu" if whole else "f")
    if fits:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
            column[...] = values
    if not fits or (whole and not (np.all(column == values) and np.all(values >= 0))):
        raise InputError(
            "data set data",
            found=f"{name} of type {values.dtype}, shape {values.shape}, that does not fit",
            expected="the types of the ISMRMRD v1 AcquisitionHeader",
            remedy="check that this is an ISMRMRD v1 file",
        )
