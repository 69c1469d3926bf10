r"""Paths that leave the centre and wind about z on a cone, as functions of their radius.

.. math:: k \mapsto k\, (\sin\theta \cos\phi(k),\ \sin\theta \sin\phi(k),\ \cos\theta)

with the polar angle :math:`\theta`; a plane is the cone :math:`\theta = \pi / 2`. From the
derivatives :math:`p', p''` in :math:`k` follow what limits the speed along the path: its length
:math:`|p'|` and its curvature :math:`|p' \times p''| / |p'|^3`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ultrahand.records.arrays import Float64


class Twist(Protocol):
    """The azimuth as a function of the radius, and its derivatives; ``(patterns, radii)``."""

    def angle_rad(self, k_per_m: Float64) -> Float64: ...
    def slope_rad_m(self, k_per_m: Float64) -> Float64: ...
    def bend_rad_m2(self, k_per_m: Float64) -> Float64: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PolynomialTwist:
    """``linear * k + quadratic * k^2``: Archimedes' spiral, and Fermat's."""

    linear_rad_m: Float64 | float
    quadratic_rad_m2: Float64 | float

    def angle_rad(self, k_per_m: Float64) -> Float64:
        return k_per_m * (self.linear_rad_m + self.quadratic_rad_m2 * k_per_m)

    def slope_rad_m(self, k_per_m: Float64) -> Float64:
        return self.linear_rad_m + 2.0 * self.quadratic_rad_m2 * k_per_m

    def bend_rad_m2(self, k_per_m: Float64) -> Float64:
        return 2.0 * self.quadratic_rad_m2 * np.ones_like(k_per_m)


@dataclass(frozen=True, kw_only=True, eq=False)
class TwistedPath:
    """One path for each polar angle."""

    polar_rad: Float64
    """Shape ``(patterns,)``."""
    twist: Twist

    def position_per_m(self, k_per_m: Float64) -> Float64:
        """Return positions at radii ``(patterns, radii)``, shape ``(patterns, radii, 3)``."""
        ring = k_per_m * np.sin(self.polar_rad)[:, None]
        angle = self.twist.angle_rad(k_per_m)
        height = k_per_m * np.cos(self.polar_rad)[:, None]
        return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=-1)

    def tangent(self, k_per_m: Float64) -> Float64:
        """Return ``dp / dk`` at radii ``(patterns, radii)``, shape ``(patterns, radii, 3)``."""
        sin = np.sin(self.polar_rad)[:, None]
        angle, slope = self.twist.angle_rad(k_per_m), self.twist.slope_rad_m(k_per_m)
        turned = (1.0 + 1j * k_per_m * slope) * np.exp(1j * angle) * sin
        height = np.broadcast_to(np.cos(self.polar_rad)[:, None], turned.shape)
        return np.stack([turned.real, turned.imag, height], axis=-1)

    def length(self, k_per_m: Float64) -> Float64:
        """Return ``|dp / dk|`` at radii ``(patterns, radii)``, of the same shape."""
        sin = np.sin(self.polar_rad)[:, None]
        return np.sqrt(1.0 + (k_per_m * sin * self.twist.slope_rad_m(k_per_m)) ** 2)

    def curvature_m(self, k_per_m: Float64) -> Float64:
        """Return the curvature at radii ``(patterns, radii)``, of the same shape."""
        sin2 = np.sin(self.polar_rad)[:, None] ** 2
        slope = self.twist.slope_rad_m(k_per_m)
        sideways = 2.0 * slope + k_per_m * self.twist.bend_rad_m2(k_per_m)
        inwards = k_per_m * slope**2
        length2 = 1.0 + sin2 * (k_per_m * slope) ** 2
        bend2 = sin2 * (sideways**2 + inwards**2)
        along = sin2 * (k_per_m * slope * sideways - inwards)
        return np.sqrt(np.maximum(length2 * bend2 - along**2, 0.0) / length2**3)
