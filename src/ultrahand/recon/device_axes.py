"""The axes of the gradient coils, and how a patient lies among them.

Device axes are those in which a patient on the back, head first, has the left hand towards +x, the
chest towards +y and the feet towards +z: ``x = L, y = -P, z = -H`` of patient LPS (Siemens' device
coordinates). y points up. The other positions follow by turning the patient: prone is half a turn
about z, lying on a side a quarter of one, feet first half a turn about y.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.arrays import Float64, require

_AXES: Final = {"+L": (1, 0, 0), "-L": (-1, 0, 0), "+P": (0, 1, 0), "-P": (0, -1, 0)}
_SIGNS: Final = {
    "HFS": ("+L", "-P", -1),
    "HFP": ("-L", "+P", -1),
    "HFDR": ("+P", "+L", -1),
    "HFDL": ("-P", "-L", -1),
    "FFS": ("-L", "-P", 1),
    "FFP": ("+L", "+P", 1),
    "FFDR": ("-P", "+L", 1),
    "FFDL": ("+P", "-L", 1),
}

LPS_TO_DEVICE: Final[Mapping[str, Float64]] = MappingProxyType(
    {
        name: np.array([_AXES[x], _AXES[y], (0, 0, z)], np.float64)
        for name, (x, y, z) in _SIGNS.items()
    }
)
"""Rotation from patient LPS to device axes, for each position in ISMRMRD's words."""


def logical_to_device(
    patient_position: str | None, read_dir: Float64, phase_dir: Float64, slice_dir: Float64
) -> Float64:
    """Return what turns gradients along read, phase, slice to gradients of the coils.

    Parameters
    ----------
    patient_position
        ``patientPosition`` of the header.
    read_dir, phase_dir, slice_dir
        Orthonormal, patient LPS; of either handedness, as scanners write both.

    Returns
    -------
    ndarray
        Shape ``(3, 3)``; its inverse is its transpose.

    Raises
    ------
    InputError
        A position that is none of the eight.
    """
    if patient_position is None or patient_position not in LPS_TO_DEVICE:
        raise InputError(
            "patientPosition",
            found=patient_position or "nothing",
            expected=f"one of {', '.join(LPS_TO_DEVICE)}: it says which coil plays which gradient",
            remedy="state the position, or leave gradients uncorrected",
        )
    logical = np.stack([read_dir, phase_dir, slice_dir], axis=1)
    require(
        logical.shape == (3, 3) and bool(np.allclose(logical.T @ logical, np.eye(3), atol=1e-3)),
        "read_dir, phase_dir and slice_dir must be orthonormal",
    )
    return LPS_TO_DEVICE[patient_position] @ logical
