"""Where in k-space the samples were taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrahand.records.arrays import Float64, freeze, require


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """Sample positions in cycles per metre along read, phase and slice."""

    k_per_m: Float64
    """Shape ``(samples, dims)``, dims 2 or 3 in the order read, phase, slice."""
    origin: str
    """Where the numbers came from and how their unit was decided, in words."""

    def __post_init__(self) -> None:
        k = np.asarray(self.k_per_m, np.float64)
        require(k.ndim == 2 and k.shape[1] in (2, 3), f"k_per_m must be (n, 2|3), got {k.shape}")
        require(bool(np.isfinite(k).all()), "k_per_m must be finite")
        freeze(self, k_per_m=k)

    @property
    def k_max_per_m(self) -> Float64:
        """Largest ``|k|`` along each axis, shape ``(dims,)``."""
        return np.abs(self.k_per_m).max(axis=0)
