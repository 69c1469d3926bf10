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
    noise_sd: Float32 | None
    """Standard deviation of the noise in each of the real and imaginary parts, or of the
    magnitude for real values; same shape as `values`; None where it is not known."""
    noise_note: str
    """How `noise_sd` was made and where it holds, or why there is none."""

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        require(values.ndim in (3, 4), f"values must be (frames,) z, y, x, got {values.shape}")
        require(
            values.shape[-3:] == self.geometry.shape,
            f"values {values.shape} do not fit the geometry's {self.geometry.shape}",
        )
        freeze(self, values=values)
        if self.noise_sd is not None:
            noise_sd = np.asarray(self.noise_sd, np.float32)
            require(noise_sd.shape == values.shape, "noise_sd must have the shape of values")
            freeze(self, noise_sd=noise_sd)
