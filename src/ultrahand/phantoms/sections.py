"""What a slice sees of an object: the density averaged over the slice's thickness."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import final

import numpy as np

from ultrahand.phantoms.forms import cut_gaussian, disk, length
from ultrahand.records.arrays import Complex, Float64, Real, freeze, require


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """A slab of patient space with a rectangular profile."""

    position_m: Float64
    """A point of its middle plane, patient LPS, shape ``(3,)``."""
    read_dir: Float64
    phase_dir: Float64
    """Orthonormal directions that span the plane, shape ``(3,)``."""
    thickness_m: float

    def __post_init__(self) -> None:
        freeze(
            self,
            position_m=np.array(self.position_m, np.float64),
            read_dir=np.array(self.read_dir, np.float64),
            phase_dir=np.array(self.phase_dir, np.float64),
        )
        require(
            bool(np.allclose(self.in_plane @ self.in_plane.T, np.eye(2), atol=1e-6)),
            "read_dir and phase_dir must be orthonormal",
        )
        require(self.thickness_m > 0, f"thickness_m must be positive, got {self.thickness_m}")

    @property
    def in_plane(self) -> Float64:
        """The two directions as rows, shape ``(2, 3)``."""
        return np.stack([self.read_dir, self.phase_dir])

    @property
    def normal(self) -> Float64:
        """Shape ``(3,)``; its sign is of no consequence."""
        return np.cross(self.read_dir, self.phase_dir)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Ellipse:
    """The cross-section of an ellipsoid: a slice so thin that the object is constant across it."""

    centre_m: Float64
    """Patient LPS, in the plane."""
    span_m: Float64
    """Two conjugate semi-axes as rows, shape ``(2, 3)``: they map the unit disk to the ellipse."""
    density: float
    r2star_per_s: float
    off_resonance_hz: float

    def __post_init__(self) -> None:
        freeze(self, centre_m=np.array(self.centre_m), span_m=np.array(self.span_m))

    def form(self, k_per_m: Float64, /) -> Real:
        area = pi * float(np.linalg.norm(np.cross(self.span_m[0], self.span_m[1])))
        u = k_per_m @ (2.0 * pi * self.span_m.T)
        return 2.0 * self.density * area * disk(length(u))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class GaussianSlab:
    """A Gaussian cut by the two faces of a slice."""

    centre_m: Float64
    """Of the Gaussian, patient LPS; it may lie outside the slice."""
    where: Slice
    sigma_m: float
    density: float
    r2star_per_s: float
    off_resonance_hz: float

    def form(self, k_per_m: Float64, /) -> Complex:
        along = k_per_m @ self.where.normal
        middle = float((self.where.position_m - self.centre_m) @ self.where.normal)
        half = 0.5 * self.where.thickness_m
        mean = cut_gaussian(along, middle - half, middle + half, self.sigma_m) / (2.0 * half)
        across = (k_per_m**2).sum(axis=-1) - along**2
        mass = self.density * 2.0 * pi * self.sigma_m**2
        return mass * np.exp(-2.0 * (pi * self.sigma_m) ** 2 * across) * mean
