"""A map of off-resonance as it comes: on voxels of its own, of a nucleus of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np

from ultrahand.records.arrays import Float64, freeze, require

FieldUnit = Literal["Hz", "rad/s", "T"]
FIELD_UNITS: Final[tuple[FieldUnit, ...]] = ("Hz", "rad/s", "T")
"""As of a field map in BIDS."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FieldImage:
    """Resonance frequency less that of the demodulation, where it was measured."""

    values: Float64
    """Shape ``(x, y, z)`` as a NIfTI file's axes; NaN where nothing was measured."""
    unit: FieldUnit = "Hz"
    ras_affine: Float64
    """From voxel ``(i, j, k)`` to RAS millimetres."""
    nucleus: str
    """Whose frequency it is, by BIDS name; of a map in tesla it does not matter."""

    def __post_init__(self) -> None:
        field, affine = (np.array(a, np.float64) for a in (self.values, self.ras_affine))
        require(field.ndim == 3, f"a field map has three axes, got {field.shape}")
        require(affine.shape == (4, 4), f"ras_affine must be (4, 4), got {affine.shape}")
        regular = bool(np.isfinite(affine).all()) and abs(np.linalg.det(affine[:3, :3])) > 0
        require(regular, "ras_affine must be finite and regular")
        require(bool(np.isfinite(field).any()), "a field map without a measured voxel")
        freeze(self, values=field, ras_affine=affine)
