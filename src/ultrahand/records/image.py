"""A reconstructed image with its place in the patient and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrahand.records.arrays import Complex, Float32, Real, freeze, require
from ultrahand.records.geometry import Geometry


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """Voxel values, real or complex, of one volume or a series of volumes."""

    values: Complex | Real
    """Shape ``(z, y, x)`` or ``(frames, z, y, x)``."""
    geometry: Geometry
    unit: str
    """``SNR`` (noise of one real part is 1) for whitened data, else ``arbitrary``."""
    standard_error: Float32 | None
    """Standard error of each voxel in the same unit and shape (of complex values: of the real and
    of the imaginary part); None where no noise level is known."""
    standard_error_note: str
    """How `standard_error` was made and where it holds, or why there is none."""

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        require(values.ndim in (3, 4), f"values must be (frames,) z, y, x, got {values.shape}")
        require(
            values.shape[-3:] == self.geometry.shape,
            f"values {values.shape} do not fit the geometry's {self.geometry.shape}",
        )
        freeze(self, values=values)
        if self.standard_error is not None:
            error = np.asarray(self.standard_error, np.float32)
            require(error.shape == values.shape, "standard_error must have the shape of values")
            freeze(self, standard_error=error)
