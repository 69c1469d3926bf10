"""Objects with a closed Fourier transform, in patient LPS metres.

The transform is ``F(k) = integral rho(r) exp(-2 pi i k.r) d3r`` with k in cycles per metre. After
excitation an object's signal changes as ``exp(-r2star t) exp(-2 pi i f t)``: a field that is above
that of the demodulation turns the phase as a gradient's does (`ultrahand.physics.off_resonance`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import pi
from typing import Protocol, final

import numpy as np

from ultrahand.phantoms.forms import ball, length
from ultrahand.phantoms.sections import Ellipse, GaussianSlab, Slice
from ultrahand.records import Geometry
from ultrahand.records.arrays import Complex, Float64, Real, freeze, require
from ultrahand.units import M_PER_MM


class Part(Protocol):
    """Anything with a transform: an object in space or its section."""

    @property
    def centre_m(self) -> Float64:
        """Patient LPS, shape ``(3,)``."""

    @property
    def r2star_per_s(self) -> float: ...

    @property
    def off_resonance_hz(self) -> float: ...

    def form(self, k_per_m: Float64, /) -> Complex | Real:
        """Return the transform about the own centre; k ``(..., 3)`` in LPS, result ``(...)``."""
        ...


class PhantomObject(Part, Protocol):
    """An object in space."""

    def value(self, r_m: Float64, /) -> Float64:
        """Return the density at points ``(..., 3)``, result ``(...)``."""
        ...

    def section(self, where: Slice, /) -> Part | None:
        """Return what a slice sees of the object, per unit of thickness; None if nothing."""
        ...


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Ellipsoid:
    """A homogeneous ellipsoid."""

    centre_m: Float64
    semi_axes_m: Float64
    """Shape ``(3,)``."""
    axes: Float64 = field(default_factory=lambda: np.eye(3))
    """Row i is the direction of semi-axis i, orthonormal, shape ``(3, 3)``."""
    density: float
    r2star_per_s: float = 0.0
    off_resonance_hz: float = 0.0

    def __post_init__(self) -> None:
        axes = np.array(self.axes, np.float64)
        require(
            axes.shape == (3, 3) and bool(np.allclose(axes @ axes.T, np.eye(3), atol=1e-9)),
            f"axes must be orthonormal, got {axes.tolist()}",
        )
        freeze(
            self,
            centre_m=_three(self.centre_m, "centre_m"),
            semi_axes_m=_three(self.semi_axes_m, "semi_axes_m"),
            axes=axes,
        )
        require(bool((self.semi_axes_m > 0).all()), "semi_axes_m must be positive")

    def form(self, k_per_m: Float64, /) -> Real:
        volume = 4.0 / 3.0 * pi * float(np.prod(self.semi_axes_m))
        u = k_per_m @ (2.0 * pi * self.axes.T * self.semi_axes_m)
        return 3.0 * self.density * volume * ball(length(u))

    def value(self, r_m: Float64, /) -> Float64:
        u = (r_m - self.centre_m) @ self.axes.T / self.semi_axes_m
        return np.where((u**2).sum(axis=-1) <= 1.0, self.density, 0.0)

    def section(self, where: Slice, /) -> Ellipse | None:
        """Cut by the middle plane of the slice, whatever its thickness.

        With the quadric ``d^T M d <= 1`` about the centre and points ``p + E u`` of the plane,
        ``u^T P u + 2 b.u + g <= 1`` where ``P = E^T M E``, ``b = E^T M d``, ``g = d^T M d``: an
        ellipse about ``-P^-1 b``, empty where ``h = 1 - g + b^T P^-1 b`` is not positive.
        """
        quadric = self.axes.T @ np.diag(self.semi_axes_m**-2) @ self.axes
        plane = where.in_plane
        d = where.position_m - self.centre_m
        p = plane @ quadric @ plane.T
        middle = -np.linalg.solve(p, plane @ quadric @ d)
        h = 1.0 - d @ quadric @ d + middle @ p @ middle
        if h <= 0.0:
            return None
        return Ellipse(
            centre_m=where.position_m + middle @ plane,
            span_m=np.linalg.cholesky(h * np.linalg.inv(p)).T @ plane,
            density=self.density,
            r2star_per_s=self.r2star_per_s,
            off_resonance_hz=self.off_resonance_hz,
        )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class GaussianBead:
    """An isotropic Gaussian: band-limited, so that images of it can be known to many digits."""

    centre_m: Float64
    sigma_m: float
    density: float
    """At the centre."""
    r2star_per_s: float = 0.0
    off_resonance_hz: float = 0.0

    def __post_init__(self) -> None:
        freeze(self, centre_m=_three(self.centre_m, "centre_m"))
        require(self.sigma_m > 0, f"sigma_m must be positive, got {self.sigma_m}")

    def form(self, k_per_m: Float64, /) -> Real:
        mass = self.density * (2.0 * pi) ** 1.5 * self.sigma_m**3
        return mass * np.exp(-2.0 * (pi * self.sigma_m) ** 2 * (k_per_m**2).sum(axis=-1))

    def value(self, r_m: Float64, /) -> Float64:
        distance = ((r_m - self.centre_m) ** 2).sum(axis=-1)
        return self.density * np.exp(-distance / (2.0 * self.sigma_m**2))

    def section(self, where: Slice, /) -> GaussianSlab:
        return GaussianSlab(
            centre_m=self.centre_m,
            where=where,
            sigma_m=self.sigma_m,
            density=self.density,
            r2star_per_s=self.r2star_per_s,
            off_resonance_hz=self.off_resonance_hz,
        )


def transform(part: Part, k_per_m: Float64) -> Complex:
    """Return the Fourier transform of an object or of its section.

    Parameters
    ----------
    part
        An object in space, or what `PhantomObject.section` returns.
    k_per_m
        Cycles per metre along patient LPS, shape ``(..., 3)``.

    Returns
    -------
    ndarray
        Shape ``(...)``: density times m3 for an object, times m2 for a section.
    """
    return part.form(k_per_m) * np.exp(-2j * pi * (k_per_m @ part.centre_m))


def truth(objects: Iterable[PhantomObject], geometry: Geometry) -> Float64:
    """Return the objects' summed density at the centre of each voxel.

    Parameters
    ----------
    objects
        Where they overlap their densities add.
    geometry
        The frame of the image.

    Returns
    -------
    ndarray
        Shape ``(z, y, x)``.
    """
    z, y, x = np.indices(geometry.shape)
    affine = geometry.lps_affine() * M_PER_MM
    r_m = np.stack([x, y, z], axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    return sum((item.value(r_m) for item in objects), np.zeros(geometry.shape))


def _three(vector: Float64, name: str) -> Float64:
    array = np.array(vector, np.float64)
    require(array.shape == (3,), f"{name} must have shape (3,), got {array.shape}")
    require(bool(np.isfinite(array).all()), f"{name} must be finite, got {array}")
    return array
