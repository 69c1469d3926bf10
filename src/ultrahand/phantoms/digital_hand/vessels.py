"""A piece of a vessel, what can be wrong with an artery, and where pieces join."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi, sqrt
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.lumina import length_mm, lumen_mm2
from ultrahand.phantoms.digital_hand.person import DIGITS
from ultrahand.phantoms.digital_hand.solids import Solid
from ultrahand.phantoms.digital_hand.stack import Stack
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM

SIDES: Final = ("radial", "ulnar")
PROPER: Final = tuple((d, side) for d in DIGITS for side in SIDES)
"""The ten proper palmar digital arteries."""
TRUNKS: Final = (
    "radial_artery",
    "ulnar_artery",
    "radial_superficial_branch",
    "superficial_arch",
    "deep_palmar_branch",
    "deep_arch",
    "common_23",
    "common_34",
    "common_45",
)
"""Arteries of wrist and palm."""
PHALANX: Final = {1: "PD", 2: "PMD", 3: "PMD", 4: "PMD", 5: "PMD"}
"""Levels of each digit: proximal, middle, distal phalanx."""
JUNCTION_MM: Final = 3.0
"""Largest gap between the lumina of two pieces that join: a longer one is an occlusion."""
_SEEN: Final = 201
"""Levels at which a piece is looked at, beside its knots."""
_PART_STEP_M: Final = 0.5e-3
"""Between the knots of a part of a course: it then differs from the course by micrometres."""
_HALF_STENOSIS_MM: Final = 3.0
"""Half the length of a narrowing (assumed)."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Vessel:
    """A piece of a vessel with one arrival time."""

    name: str
    kind: str
    """``artery`` or ``vein``."""
    stack: Stack
    feeders: tuple[str, ...] = ()
    """Of an artery: names of the pieces that feed it; none at the wrist, or where they are lost."""
    drains_into: str | None = None
    """Of a vein: name of the next piece towards the wrist; None there, or where none is near."""
    arrival_s: float | None = None
    """From the start of the injection to half of the peak; None where no agent comes."""
    digit: int = 0
    side: str = ""
    level: str = ""
    """``P``, ``M``, ``D`` in a digit; empty in the palm."""
    backwards: bool = False
    """Blood enters where the stack ends."""
    stenosis_percent: float | None = None
    """Of the diameter, where this piece is narrowest against its course in health."""
    narrowest_m: float | None = None
    """Level of that place."""

    @property
    def ends_m(self) -> tuple[float, float]:
        """Where along the stack's axis blood enters and leaves it."""
        low, high = self.stack.ends_m
        return (high, low) if self.backwards else (low, high)

    @property
    def lumen_mm2(self) -> float:
        """Area in the middle, perpendicular to the course."""
        return float(lumen_mm2(self.stack, np.array(0.5 * sum(self.stack.ends_m))))

    @property
    def min_lumen_mm2(self) -> float:
        """Smallest area, perpendicular to the course."""
        levels = np.union1d(self.stack.knots_m, np.linspace(*self.stack.ends_m, _SEEN))
        return float(lumen_mm2(self.stack, levels).min())

    @property
    def length_mm(self) -> float:
        """Length of the middle line."""
        return length_mm(self.stack)


@final
@dataclass(frozen=True, kw_only=True)
class ArteryState:
    """What is wrong with one artery; the default is nothing."""

    present: bool = True
    occluded_at: float | None = None
    """Share of the way from its origin to its end at which it ends."""
    stenosis_percent: float = 0.0
    """Of the diameter: half way up the proximal phalanx, of a trunk in the middle of its course."""
    delay_s: float = 0.0


def as_solid(vessel: Vessel) -> Solid:
    """Return a piece as a solid filled with blood."""
    return Solid(name=vessel.name, tissue=f"{vessel.kind}_blood", stack=vessel.stack)


def area_mm2(stack: Stack, level_m: float) -> float:
    """Return the area of a cross-section across the stack's axis: no lumen, see `lumen_mm2`."""
    _, semi = stack.at(np.array(level_m))
    return float(pi * semi.prod() / M_PER_MM**2)


def nearest_m(stack: Stack, point_m: Float64) -> tuple[float, float]:
    """Return the level at which a stack's middle line is nearest to a point, and how near."""
    levels = np.linspace(*stack.ends_m, _SEEN)
    apart = np.linalg.norm(stack.points(levels) - point_m, axis=1)
    best = int(apart.argmin())
    return float(levels[best]), float(apart[best])


def gap_mm(stack: Stack, end_m: float, other: Stack) -> float:
    """Return how far a stack's end is from another stack: of the lumina, not the middle lines.

    Parameters
    ----------
    stack, end_m
        The piece, and the level of the end that is asked for.
    other
        What it may join, anywhere along its way.
    """
    level, apart = nearest_m(other, stack.points(np.array(end_m)))
    radii = sqrt(area_mm2(stack, end_m) / pi) + sqrt(area_mm2(other, level) / pi)
    return apart / M_PER_MM - radii


def junction_mm(stack: Stack, other: Stack) -> float:
    """Return the gap at a junction: between an end of either piece and the other one's way."""
    ends = [(stack, end, other) for end in stack.ends_m]
    ends += [(other, end, stack) for end in other.ends_m]
    return min(gap_mm(*one) for one in ends)


def part(stack: Stack, low_m: float, high_m: float) -> Stack:
    """Return the part of a stack between two levels, on the same course: its knots are dense."""
    inner = stack.knots_m[(stack.knots_m > low_m + 1e-9) & (stack.knots_m < high_m - 1e-9)]
    steps = ceil((high_m - low_m) / _PART_STEP_M)
    even = np.linspace(low_m, high_m, steps + 1)
    apart = np.abs(even[:, None] - inner).min(axis=1, initial=np.inf) > 1e-9
    knots = np.union1d(inner, even[apart])
    centre, semi = stack.at(knots)
    return Stack(axis=stack.axis, knots_m=knots, shape_m=np.hstack([centre, semi]))


def narrowed(stack: Stack, middle_m: float, percent: float) -> Stack:
    """Narrow a stack's diameter over `_HALF_STENOSIS_MM` to either side of a level."""
    if percent <= 0:
        return stack
    reach = _HALF_STENOSIS_MM * M_PER_MM
    ends = np.array(stack.ends_m)
    extra = np.clip(middle_m + np.array([-reach, 0.0, reach]), *ends)
    inner = stack.knots_m[1:-1]
    kept = inner[np.abs(inner - middle_m) > reach + 0.5 * M_PER_MM]
    knots = np.unique([*ends, *kept, *extra])
    centre, semi = stack.at(knots)
    depth = np.clip(1.0 - np.abs(knots - middle_m) / reach, 0.0, 1.0)
    semi = semi * (1.0 - depth * percent / 100.0)[:, None]
    return Stack(axis=stack.axis, knots_m=knots, shape_m=np.hstack([centre, semi]))


def narrowing(
    stack: Stack, plain: Stack, middle_m: float, percent: float
) -> tuple[float | None, float | None]:
    """Return how much of its diameter a piece has lost, in percent, and at which level.

    Both are None where no narrowing lies in it.

    Parameters
    ----------
    stack
        The piece.
    plain
        The whole artery's course in health.
    middle_m
        Where the artery is narrowest.
    percent
        Of the diameter, there; 0 for no narrowing.
    """
    reach = _HALF_STENOSIS_MM * M_PER_MM
    ends = np.clip(middle_m + np.array([-reach, reach]), *stack.ends_m)
    if ends[1] <= ends[0] or percent <= 0:
        return None, None
    at = float(np.clip(middle_m, *ends))
    levels = np.union1d(np.linspace(ends[0], ends[1], _SEEN), at)
    area = stack.at(levels)[1].prod(axis=1) / plain.at(levels)[1].prod(axis=1)
    return float(100.0 * (1.0 - np.sqrt(area.min()))), at
