"""Receive coils whose sensitivities are finite sums of plane waves.

Multiplying an object by ``exp(2 pi i q.r)`` shifts its transform by q, so the k-space that such a
coil sees is known exactly: ``sum_m a_cm F(k - q_m)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import pi
from typing import final

import numpy as np

from ultrahand.records.arrays import Complex, Float64, freeze, require
from ultrahand.records.header import Lengths


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Coils:
    """An array of receive coils: ``s_c(r) = sum_m weights[c, m] exp(2 pi i waves[m].r)``."""

    waves_per_m: Float64
    """Wave vectors q_m along patient LPS, shape ``(waves, 3)``."""
    weights: Complex
    """Shape ``(coils, waves)``."""

    def __post_init__(self) -> None:
        waves = np.array(self.waves_per_m, np.float64)
        weights = np.array(self.weights, np.complex128)
        require(
            waves.ndim == 2 and waves.shape[1] == 3 and weights.shape[1:] == waves.shape[:1],
            f"waves_per_m {waves.shape} and weights {weights.shape} must be (m, 3) and (c, m)",
        )
        freeze(self, waves_per_m=waves, weights=weights)

    @property
    def n_coils(self) -> int:
        return self.weights.shape[0]

    def values(self, r_m: Float64) -> Complex:
        """Return the sensitivities at points.

        Parameters
        ----------
        r_m
            Patient LPS, shape ``(..., 3)``.

        Returns
        -------
        ndarray
            Shape ``(coils, ...)``.
        """
        waves = np.exp(2j * pi * (r_m @ self.waves_per_m.T))
        return np.moveaxis(waves @ self.weights.T, -1, 0)


def uniform_coil() -> Coils:
    """Return one coil with sensitivity 1 everywhere."""
    return Coils(waves_per_m=np.zeros((1, 3)), weights=np.ones((1, 1), np.complex128))


def smooth_coils(
    n_coils: int,
    fov_m: Lengths,
    *,
    centre_m: Lengths = (0.0, 0.0, 0.0),
    order: int = 2,
) -> Coils:
    """Return an array around an elliptic cylinder along z: smooth, complex, no two coils alike.

    Each coil is a bump near its place on the cylinder, a short Fourier series of twice the field
    of view so that nothing repeats inside of it; fewer than four leave dark places. With the
    default order 16 coils are linearly independent in space (19 waves) and 9 in an axial plane;
    order 4 gives 33 and 13 and tells points better apart, for accelerations of 3 and more along
    one direction.

    Parameters
    ----------
    n_coils
        Number of coils, at least 1.
    fov_m
        Extent ``(x, y, z)`` along patient LPS that the array surrounds.
    centre_m
        Its centre, patient LPS.
    order
        Largest squared length of a harmonic ``(nx, ny, nz)``.
    """
    require(n_coils >= 1, f"n_coils must be at least 1, got {n_coils}")
    fov = np.array(fov_m)
    reach = range(-int(order**0.5), int(order**0.5) + 1)
    harmonics = np.array([n for n in product(reach, repeat=3) if np.dot(n, n) <= order])
    waves = harmonics / (2.0 * fov)
    number = np.arange(n_coils)
    angle = 2.0 * pi * number / n_coils + 0.3
    level = np.where(number % 2 == 0, 0.25, -0.25) if n_coils > 3 else np.zeros(n_coils)
    places = np.stack([0.5 * np.cos(angle), 0.5 * np.sin(angle), level], axis=1) * fov + centre_m
    tangents = np.stack([-np.sin(angle), np.cos(angle), 0.5 * np.cos(3 * angle)], axis=1)
    # A bump has real weights, even in n, times the phase of its place; the tilt along the tangent
    # makes it complex.
    bump = 0.8 ** (harmonics**2).sum(axis=1)
    tilt = 1.0 + 0.25 * (tangents @ harmonics.T)
    phase = np.exp(-2j * pi * (places @ waves.T) + 1j * angle[:, None])
    return Coils(waves_per_m=waves, weights=bump / bump.sum() * tilt * phase)
