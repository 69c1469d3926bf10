"""A hand of a few ellipsoids: nothing in it is symmetric, so every flip and transpose shows."""

from __future__ import annotations

from math import cos, sin
from typing import Final

import numpy as np

from ultrahand.phantoms.objects import Ellipsoid
from ultrahand.records.arrays import Float64
from ultrahand.records.header import Lengths
from ultrahand.units import RAD_PER_DEG

# Centre x, y, z, semi-axes across, thick, long (fractions of the field of view), tilt, density.
_FINGERS: Final = (
    (+0.27, -0.03, -0.08, 0.045, 0.045, 0.13, +38.0, 1.00),
    (+0.15, +0.01, +0.20, 0.040, 0.042, 0.17, +12.0, 0.80),
    (+0.04, +0.02, +0.24, 0.042, 0.044, 0.19, +3.0, 0.90),
    (-0.07, +0.02, +0.21, 0.039, 0.041, 0.17, -6.0, 0.70),
    (-0.17, +0.00, +0.13, 0.033, 0.034, 0.13, -16.0, 1.10),
)
# Centre and radius as fractions of the field of view, density added to what is there.
_SPHERES: Final = (
    (+0.24, +0.14, +0.33, 0.035, 1.5),
    (-0.30, -0.10, -0.05, 0.030, 1.2),
    (-0.05, +0.02, -0.12, 0.050, -0.4),
    (+0.10, -0.02, -0.20, 0.025, 0.6),
    (+0.03, +0.02, +0.30, 0.015, -0.7),
)


def five_fingers(fov_m: Lengths) -> tuple[Ellipsoid, ...]:
    """Return a palm, five unequal fingers and five spheres.

    Parameters
    ----------
    fov_m
        Extent of the box around the patient's origin that the hand fills, along LPS x, y, z. The
        fingers point to +z (head), lie side by side along x and are thinnest along y; the thumb is
        on the left of the patient (+x).
    """
    scale = np.array(fov_m)
    palm = Ellipsoid(
        centre_m=np.array([-0.01, 0.0, -0.13]) * scale,
        semi_axes_m=np.array([0.19, 0.075, 0.21]) * scale,
        density=0.6,
    )
    fingers = tuple(
        Ellipsoid(
            centre_m=np.array([x, y, z]) * scale,
            semi_axes_m=np.array([across, thick, long]) * scale,
            axes=_tilted(degrees),
            density=density,
        )
        for x, y, z, across, thick, long, degrees, density in _FINGERS
    )
    spheres = tuple(
        Ellipsoid(
            centre_m=np.array([x, y, z]) * scale,
            semi_axes_m=np.full(3, radius) * scale.min(),
            density=density,
        )
        for x, y, z, radius, density in _SPHERES
    )
    return (palm, *fingers, *spheres)


def _tilted(degrees: float) -> Float64:
    """Return the axes of a finger whose tip leans towards +x."""
    angle = degrees * RAD_PER_DEG
    return np.array(
        [[cos(angle), 0.0, -sin(angle)], [0.0, 1.0, 0.0], [sin(angle), 0.0, cos(angle)]]
    )
