"""Sizes of one person's hand: published lengths of bones, varied by the seed.

Millimetres, in the frame of a right hand: x to the thumb, y to the back of the hand, z to the
fingertips, the origin in the radiocarpal joint. A left hand is the mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final, final

import numpy as np

from ultrahand.records.arrays import Float64

DIGITS: Final = (1, 2, 3, 4, 5)
SEGMENTS: Final[Mapping[int, tuple[str, ...]]] = {
    d: ("mc", "pp", "dp") if d == 1 else ("mc", "pp", "mp", "dp") for d in DIGITS
}
"""Metacarpal and phalanges of each digit, from the palm to the tip."""

BONE_LENGTH_MM: Final[Mapping[str, tuple[float, ...]]] = {
    "mc": (46.22, 68.12, 64.60, 58.00, 53.69),
    "pp": (31.57, 39.78, 44.63, 41.37, 32.74),
    "mp": (0.0, 22.38, 26.33, 25.65, 18.11),
    "dp": (21.67, 15.82, 17.40, 17.30, 15.96),
}
"""Means of 66 adults' radiographs, thumb to little finger (Buryanov and Kotiuk, Int J Morphol
2010;28:755, doi:10.4067/S0717-95022010000300015)."""
CARTILAGE_MM: Final[Mapping[str, float]] = {
    "cmc": 0.9,
    "mcp": 0.8,
    "pip": 0.6,
    "ip": 0.6,
    "dip": 0.5,
    "rcj": 1.0,
    "mcj": 0.9,
    "druj": 0.8,
}
"""Assumed: 0.5 to 1 mm a side; no source measures all joints of a hand."""
FLUID_MM: Final = 0.35
"""Assumed: a film between the cartilages."""

# Assumed places of the metacarpals' bases and how far x and y advance for each mm of z.
_BASE: Final = {
    1: (24.5, -3.5, 26.0),
    2: (13.5, 0.5, 37.5),
    3: (1.0, 1.2, 38.5),
    4: (-11.0, 0.8, 37.0),
    5: (-22.0, -0.5, 35.0),
}
_SLOPE_X: Final = {
    1: (0.56, 0.34, 0.20),
    2: (0.18, 0.13, 0.09, 0.07),
    3: (0.055, 0.03, 0.02, 0.02),
    4: (-0.09, -0.065, -0.05, -0.04),
    5: (-0.21, -0.17, -0.12, -0.10),
}
_SLOPE_Y: Final = {1: -0.02, 2: 0.0, 3: 0.0, 4: 0.0, 5: -0.01}
_LIMIT: Final = 2.0
"""Variations are cut at two standard deviations."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Ray:
    """One digit: the line through its bones and where they begin and end."""

    digit: int
    z_mm: Mapping[str, tuple[float, float]]
    """First and last level of each bone and of each joint's slab, by name."""
    knots: Float64
    """``(n, 3)``: z, x, y of the line."""

    def at(self, z: float) -> tuple[float, float]:
        """Return x and y of the line at a level, in mm."""
        table = self.knots
        return (
            float(np.interp(z, table[:, 0], table[:, 1])),
            float(np.interp(z, table[:, 0], table[:, 2])),
        )

    @property
    def tip_mm(self) -> float:
        return self.z_mm["dp"][1]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """Everything that differs from hand to hand, drawn from the seed."""

    scale: float
    """Of the whole hand."""
    rays: Mapping[int, Ray]
    cartilage_mm: Mapping[str, float]
    """Thickness of one side, by joint."""
    skin_mm: float
    fluid_mm: float


def joint_names(digit: int) -> tuple[str, ...]:
    """Return a digit's joints from the metacarpal's head to the tip."""
    if digit == 1:
        return ("mcp1", "ip1")
    return (f"mcp{digit}", f"pip{digit}", f"dip{digit}")


def draw_scale(rng: np.random.Generator) -> float:
    """Draw the size of a person's hands beside the published means of both sexes.

    Most patients with systemic sclerosis are women: 5 % smaller, and 5 % of spread (assumed).
    """
    return 0.95 * _varied(rng, 0.05)


def draw_person(rng: np.random.Generator, size: float) -> Person:
    """Draw a hand: its scale (1 %), each bone (2 %) and each cartilage (10 %) vary.

    Parameters
    ----------
    rng
        Source of randomness.
    size
        Of both hands of this person, from `draw_scale`.
    """

    def varied(relative: float) -> float:
        return _varied(rng, relative)

    scale = size * varied(0.01)
    names = [n for d in DIGITS for n in joint_names(d)] + ["cmc1", "rcj", "mcj", "druj"]
    cartilage = {n: CARTILAGE_MM[n.rstrip("12345")] * varied(0.1) for n in names}
    rays = {d: _draw_ray(d, scale, cartilage, varied) for d in DIGITS}
    return Person(
        scale=scale,
        rays=rays,
        cartilage_mm=cartilage,
        skin_mm=1.2 * scale * varied(0.1),
        fluid_mm=FLUID_MM,
    )


def _varied(rng: np.random.Generator, relative: float) -> float:
    return 1.0 + relative * float(np.clip(rng.standard_normal(), -_LIMIT, _LIMIT))


def _draw_ray(
    digit: int, scale: float, cartilage: Mapping[str, float], varied: Callable[[float], float]
) -> Ray:
    x, y, z = (scale * v for v in _BASE[digit])
    levels: dict[str, tuple[float, float]] = {}
    knots = [(z, x, y)]
    joints = joint_names(digit)
    for number, segment in enumerate(SEGMENTS[digit]):
        slope = _SLOPE_X[digit][number]
        length = scale * BONE_LENGTH_MM[segment][digit - 1] * varied(0.02) / sqrt(1 + slope**2)
        gap = 2.0 * cartilage[joints[number]] + FLUID_MM if number < len(joints) else 0.0
        levels[segment] = (z, z + length)
        if gap:
            levels[joints[number]] = (z + length, z + length + gap)
        rise = length + gap
        x, y, z = x + slope * rise, y + _SLOPE_Y[digit] * rise, z + rise
        knots.append((z, x, y))
    return Ray(digit=digit, z_mm=levels, knots=np.array(knots))
