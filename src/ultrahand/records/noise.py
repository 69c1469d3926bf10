"""The thermal noise of a receive array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrahand.records.arrays import Complex, freeze, require


@dataclass(frozen=True, kw_only=True, eq=False)
class Noise:
    """Noise covariance of one readout sample as it stands in the imaging data."""

    covariance: Complex
    """``E[n n^H]``, shape ``(coils, coils)``, in the square of the data's unit."""
    n_samples: int
    """How many noise samples it was estimated from."""
    scale: float
    """Factor already applied for dwell time and receiver bandwidth."""
    origin: str
    """Where it came from, in words."""

    def __post_init__(self) -> None:
        covariance = np.asarray(self.covariance, np.complex128)
        square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1]
        require(square, f"covariance must be square, got shape {covariance.shape}")
        require(bool(np.isfinite(covariance).all()), "covariance must be finite")
        require(
            bool(np.allclose(covariance, covariance.conj().T, rtol=1e-5, atol=0)),
            "covariance must be Hermitian",
        )
        freeze(self, covariance=covariance)
