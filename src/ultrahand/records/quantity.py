"""A physical quantity per voxel: never without unit, place, uncertainty and validity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrahand.records.arrays import Bools, Float32, freeze, require
from ultrahand.records.geometry import Geometry
from ultrahand.records.provenance import Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantityMap:
    """Values with their standard errors; what is not quantifiable is marked, not zero."""

    name: str
    """The field's standard term (CAPLEX, BIDS), for example ``Ktrans``."""
    values: Float32
    """Shape ``(z, y, x)``; NaN where not valid."""
    standard_error: Float32
    """Same shape and unit as `values` (k = 1)."""
    unit: str
    valid: Bools
    """Same shape; False where the value is not quantifiable."""
    geometry: Geometry
    provenance: Provenance

    def __post_init__(self) -> None:
        require(bool(self.name), "a quantity needs a name")
        require(bool(self.unit), "a quantity needs a unit; '1' for a pure number")
        values = np.asarray(self.values, np.float32)
        error = np.asarray(self.standard_error, np.float32)
        valid = np.asarray(self.valid, np.bool_)
        require(
            values.shape == error.shape == valid.shape == self.geometry.shape,
            f"values {values.shape}, standard_error {error.shape} and valid {valid.shape} "
            f"must have the geometry's shape {self.geometry.shape}",
        )
        require(bool(np.isfinite(values[valid]).all()), "valid values must be finite")
        require(bool((error[valid] >= 0).all()), "standard errors must not be negative or NaN")
        freeze(self, values=values, standard_error=error, valid=valid)
