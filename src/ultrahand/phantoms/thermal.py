"""Thermal noise of a receive array, with noise readouts ahead of the scan."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import final

import numpy as np

from ultrahand.records.arrays import Complex, Complex64, freeze, require


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ThermalNoise:
    """Noise of the imaging samples, and how it is measured ahead of them.

    White noise has a variance proportional to the receiver's bandwidth, one over the dwell time.
    Noise readouts of dwell ``T_n`` whose filter passes the fraction b of that bandwidth have the
    covariance ``C b T / T_n`` when imaging data of dwell T have C (Kellman and McVeigh, Magn
    Reson Med 2005;54:1439, doi:10.1002/mrm.20713).
    """

    covariance: Complex
    """C of an imaging sample, ``E[n n^H]``, shape ``(coils, coils)``, positive definite."""
    n_readouts: int = 0
    """Noise readouts at the start of the file."""
    n_samples: int = 256
    dwell_s: float = 5e-6
    relative_bandwidth: float = 1.0
    """b; written as ``relativeReceiverNoiseBandwidth``."""

    def __post_init__(self) -> None:
        covariance = np.array(self.covariance, np.complex128)
        square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1]
        require(square, f"covariance must be square, got shape {covariance.shape}")
        require(
            bool(np.allclose(covariance, covariance.conj().T))
            and bool((np.linalg.eigvalsh(covariance) > 0).all()),
            "covariance must be Hermitian and positive definite",
        )
        require(self.dwell_s > 0 and self.relative_bandwidth > 0, "dwell and bandwidth must be > 0")
        freeze(self, covariance=covariance)

    def imaging(self, rng: np.random.Generator, n_readouts: int, n_samples: int) -> Complex64:
        """Draw noise of imaging samples, shape ``(readouts, coils, samples)``."""
        return self._draw(rng, n_readouts, n_samples, 1.0)

    def readouts(
        self, rng: np.random.Generator, imaging_dwell_s: float, n_readouts: int | None = None
    ) -> Complex64:
        """Draw noise readouts, all or so many, shape ``(readouts, coils, samples)``."""
        scale = imaging_dwell_s / self.dwell_s * self.relative_bandwidth
        n = self.n_readouts if n_readouts is None else n_readouts
        return self._draw(rng, n, self.n_samples, scale)

    def _draw(
        self, rng: np.random.Generator, n_readouts: int, n_samples: int, scale: float
    ) -> Complex64:
        root = np.linalg.cholesky(self.covariance) * sqrt(0.5 * scale)
        white = complex_normal(rng, (n_readouts, len(root), n_samples))
        return np.matmul(root.astype(np.complex64), white)


def random_covariance(rng: np.random.Generator, n_coils: int, variance: float) -> Complex:
    """Return a covariance of correlated coils with unequal noise.

    Parameters
    ----------
    rng
        Source of randomness.
    n_coils
        Number of coils.
    variance
        Mean variance ``E|n|^2`` of a coil's samples.
    """
    mix = np.eye(n_coils) + 0.3 / sqrt(n_coils) * (
        rng.standard_normal((n_coils, n_coils)) + 1j * rng.standard_normal((n_coils, n_coils))
    )
    covariance = mix @ mix.conj().T
    return covariance * (variance * n_coils / np.trace(covariance).real)


def complex_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Complex64:
    """Draw complex numbers whose real and imaginary parts have unit variance, single precision."""
    parts = rng.standard_normal((*shape, 2), dtype=np.float32)
    return parts.view(np.complex64)[..., 0]
