"""The table of readouts: one row a readout, columns named as in ISMRMRD.

Kinds follow from the acquisition flags (bit ``n`` of the standard is ``1 << (n - 1)``;
ISMRMRD ``ismrmrd.h``, https://ismrmrd.readthedocs.io).
"""

from __future__ import annotations

import enum
from typing import Final

import numpy as np

from ultrahand.records.arrays import Ints, Structured

COUNTERS: Final = (
    "kspace_encode_step_1",
    "kspace_encode_step_2",
    "average",
    "slice",
    "contrast",
    "phase",
    "repetition",
    "set",
    "segment",
)

READOUT_DTYPE: Final = np.dtype(
    [
        ("flags", np.uint64),
        ("scan_counter", np.uint32),
        ("acquisition_time_stamp", np.uint32),  # ticks; their length depends on the vendor
        ("number_of_samples", np.int32),
        ("active_channels", np.int32),
        ("discard_pre", np.int32),
        ("discard_post", np.int32),
        ("center_sample", np.int32),
        ("encoding_space_ref", np.int32),
        ("trajectory_dimensions", np.int32),
        ("sample_time_s", np.float64),
        ("position_mm", np.float32, (3,)),  # patient LPS
        ("read_dir", np.float32, (3,)),
        ("phase_dir", np.float32, (3,)),
        ("slice_dir", np.float32, (3,)),
        *((name, np.int32) for name in COUNTERS),
        ("user", np.int32, (8,)),
    ]
)


class Kind(enum.IntEnum):
    """What a readout is for; exactly one kind each."""

    IMAGING = 0
    CALIBRATION = 1
    NOISE = 2
    NAVIGATION = 3
    PHASE_CORRECTION = 4
    DUMMY = 5
    FEEDBACK = 6
    SURFACE_COIL = 7
    PHASE_STABILISATION = 8

    @property
    def label(self) -> str:
        """The kind in words."""
        return self.name.lower().replace("_", " ")


def bit(number: int) -> int:
    """Return the flag of the standard's one-based bit number."""
    return 1 << (number - 1)


NOISE_FLAG: Final = bit(19)
CALIBRATION_FLAG: Final = bit(20)
CALIBRATION_AND_IMAGING_FLAG: Final = bit(21)
REVERSE_FLAG: Final = bit(22)
LAST_IN_MEASUREMENT_FLAG: Final = bit(25)
COMPRESSED_FLAGS: Final = bit(53) | bit(54) | bit(55) | bit(56)

# First match wins. Siemens sets 23 and 28 together for one navigator line.
_KIND_OF_BIT: Final = (
    (19, Kind.NOISE),
    (27, Kind.DUMMY),
    (23, Kind.NAVIGATION),
    (24, Kind.PHASE_CORRECTION),
    (26, Kind.FEEDBACK),
    (28, Kind.FEEDBACK),
    (29, Kind.SURFACE_COIL),
    (30, Kind.PHASE_STABILISATION),
    (31, Kind.PHASE_STABILISATION),
)


def kinds_of(flags: Ints) -> Ints:
    """Sort readouts into kinds.

    Parameters
    ----------
    flags
        Acquisition flags, shape ``(readouts,)``, unsigned 64 bit.

    Returns
    -------
    ndarray
        `Kind` of each readout, shape ``(readouts,)``, int8.
    """
    flags = np.asarray(flags, np.uint64)
    calibration_only = has(flags, CALIBRATION_FLAG) & ~has(flags, CALIBRATION_AND_IMAGING_FLAG)
    kinds = np.where(calibration_only, Kind.CALIBRATION, Kind.IMAGING).astype(np.int8)
    for number, kind in reversed(_KIND_OF_BIT):
        kinds[has(flags, bit(number))] = kind
    return kinds


def has(flags: Ints, mask: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which readouts carry any flag of the mask."""
    return (np.asarray(flags, np.uint64) & np.uint64(mask)) != 0


def name_readout(readouts: Structured, row: int) -> str:
    """Name one readout in an error: its row and the scanner's own counter."""
    return f"readout {row} (scan_counter {int(readouts['scan_counter'][row])})"
