"""Arteries of the hand: radial and ulnar, the two palmar arches, common and proper digital ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import pi, sqrt
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.bones import capsule_semi
from ultrahand.phantoms.digital_hand.joints import between
from ultrahand.phantoms.digital_hand.person import DIGITS, Person
from ultrahand.phantoms.digital_hand.soft_tissue import Swelling, levels_of
from ultrahand.phantoms.digital_hand.solids import Solid, settle
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.units import M_PER_MM

SIDES: Final = ("radial", "ulnar")
PROPER: Final = tuple((d, side) for d in DIGITS for side in SIDES)
"""The ten proper palmar digital arteries."""
PHALANX: Final = {1: "PD", 2: "PMD", 3: "PMD", 4: "PMD", 5: "PMD"}
"""Levels of each digit: proximal, middle, distal phalanx."""
RADIUS_MM: Final = {
    "radial_artery": 1.2,
    "ulnar_artery": 1.1,
    "radial_superficial_branch": 0.6,
    "superficial_arch": 0.8,
    "deep_arch": 0.7,
    "common": 0.65,
}
"""Assumed, between ultrasound's 2 to 2.6 mm for the radial artery and the proper digital ones."""
_SEEN: Final = 201
"""Levels at which the width of a piece is looked at, beside its knots."""
_HALF_STENOSIS_MM: Final = 3.0
"""Half the length of a narrowing (assumed)."""
HEALTHY_LUMEN_MM2: Final = (0.53, 0.26)
SSC_LUMEN_MM2: Final = (0.13, 0.06)
"""Proper palmar digital arteries, mean and standard deviation, 8 and 8 people at 3 T (Wang et al.,
Rheumatology 2008)."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Vessel:
    """A piece of a vessel with one arrival time."""

    name: str
    kind: str
    """``artery`` or ``vein``."""
    stack: Stack
    upstream: str | None
    """Name of the piece that feeds it; None at the wrist."""
    arrival_s: float
    """From the start of the injection to half of the peak."""
    digit: int = 0
    side: str = ""
    level: str = ""
    """``P``, ``M``, ``D`` in a digit; empty in the palm."""
    stenosis_percent: float | None = None
    """Of the diameter, where this piece is narrowest against its course in health."""

    @property
    def lumen_mm2(self) -> float:
        """Area of the middle cross-section, across the stack's axis."""
        low, high = self.stack.ends_m
        _, semi = self.stack.at(np.array(0.5 * (low + high)))
        return float(pi * semi[0] * semi[1] / M_PER_MM**2)

    @property
    def min_lumen_mm2(self) -> float:
        """Area of the smallest cross-section, across the stack's axis."""
        levels = np.union1d(self.stack.knots_m, np.linspace(*self.stack.ends_m, _SEEN))
        _, semi = self.stack.at(levels)
        return float(pi * semi.prod(axis=1).min() / M_PER_MM**2)


@final
@dataclass(frozen=True, kw_only=True)
class ArteryState:
    """What is wrong with one proper digital artery; the default is nothing."""

    present: bool = True
    occluded_at: float | None = None
    """Share of the way from its origin to the tip at which it ends."""
    stenosis_percent: float = 0.0
    """Of the diameter, half way up the proximal phalanx."""
    delay_s: float = 0.0


def palm_arteries(
    person: Person, solids: Sequence[Solid], arrival: Mapping[str, float]
) -> Iterator[Vessel]:
    """Yield the arteries of wrist and palm; `arrival` has one time for each of `RADIUS_MM`.

    `solids` is what is there already: a course is moved aside where it would cross something.
    """
    s = person.scale
    scaled = {name: [[s * v for v in knot] for knot in path] for name, path in _PALM_PATHS.items()}
    fed_by = {
        "radial_artery": None,
        "ulnar_artery": None,
        "radial_superficial_branch": "radial_artery",
        "superficial_arch": "ulnar_artery",
        "deep_arch": "radial_artery",
    }
    for name, path in scaled.items():
        r = RADIUS_MM[name]
        yield Vessel(
            name=name,
            kind="artery",
            stack=settle(
                solids, tube_mm([[*knot, r, r] for knot in path], axis=0 if "arch" in name else 2)
            ),
            upstream=fed_by[name],
            arrival_s=arrival[name],
        )
    for proximal, distal in ((2, 3), (3, 4), (4, 5)):
        name = f"common_{proximal}{distal}"
        r = RADIUS_MM["common"]
        path = [[*knot, r, r] for knot in _common_path(person, proximal, distal)]
        yield Vessel(
            name=name,
            kind="artery",
            stack=settle(solids, tube_mm(path)),
            upstream="superficial_arch",
            arrival_s=arrival["common"],
        )


def proper_arteries(
    person: Person,
    swelling: Swelling,
    solids: Sequence[Solid],
    states: Mapping[tuple[int, str], ArteryState],
    lumen_mm2: Mapping[tuple[int, str], float],
    arrival: Mapping[tuple[int, str, str], float],
) -> Iterator[Vessel]:
    """Yield the pieces of the ten proper digital arteries, proximal first.

    Parameters
    ----------
    person, swelling
        Whose, and how swollen.
    solids
        What is there already: a course is moved aside where it would cross something.
    states
        What is wrong, by digit and side.
    lumen_mm2
        Area half way up the proximal phalanx, by digit and side.
    arrival
        Seconds, by digit, side and level.
    """
    for digit, side in PROPER:
        state = states.get((digit, side), ArteryState())
        if not state.present:
            continue
        radius = sqrt(lumen_mm2[digit, side] / pi)
        course = tube_mm(_proper_path(person, swelling, digit, side, radius, state))
        whole = settle(solids, course)
        plain = tube_mm(_proper_path(person, swelling, digit, side, radius, ArteryState()))
        narrow_mm = 0.5 * sum(person.rays[digit].z_mm["pp"])
        upstream = _origin(digit, side)
        low, high = (end / M_PER_MM for end in whole.ends_m)
        stop = high if state.occluded_at is None else low + state.occluded_at * (high - low)
        for level, (start, end) in _levels(person, digit, low, high).items():
            if start >= stop - 1.0:
                break
            name = f"proper_{digit}_{side}_{level}"
            stack = between(whole, start, min(end, stop))
            narrow = _narrowing_percent(stack, plain, narrow_mm) if state.stenosis_percent else None
            yield Vessel(
                name=name,
                kind="artery",
                stack=stack,
                upstream=upstream,
                arrival_s=arrival[digit, side, level] + state.delay_s,
                digit=digit,
                side=side,
                level=level,
                stenosis_percent=narrow,
            )
            upstream = name


def _narrowing_percent(stack: Stack, plain: Stack, middle_mm: float) -> float | None:
    """Return how much of its diameter a piece has lost; None where no narrowing lies in it.

    Parameters
    ----------
    stack
        The piece.
    plain
        The whole artery's course in health.
    middle_mm
        Where the artery is narrowest.
    """
    reach = _HALF_STENOSIS_MM * M_PER_MM
    ends = np.clip(middle_mm * M_PER_MM + np.array([-reach, reach]), *stack.ends_m)
    if ends[1] <= ends[0]:
        return None
    levels = np.union1d(np.linspace(ends[0], ends[1], _SEEN), np.clip(middle_mm * M_PER_MM, *ends))
    area = stack.at(levels)[1].prod(axis=1) / plain.at(levels)[1].prod(axis=1)
    return float(100.0 * (1.0 - np.sqrt(area.min())))


def _origin(digit: int, side: str) -> str:
    """Return what feeds a proper digital artery (assumed: the commonest arrangement)."""
    own = {(1, "radial"): "radial_superficial_branch", (1, "ulnar"): "deep_arch"}
    own |= {(2, "radial"): "deep_arch", (5, "ulnar"): "superficial_arch"}
    web = (digit, digit + 1) if side == "ulnar" else (digit - 1, digit)
    return own.get((digit, side), f"common_{web[0]}{web[1]}")


def _levels(
    person: Person, digit: int, low: float, high: float
) -> Mapping[str, tuple[float, float]]:
    """Return the levels between which each piece runs: joints divide them."""
    ray = person.rays[digit]
    joints = ["ip1"] if digit == 1 else [f"pip{digit}", f"dip{digit}"]
    bounds = [low, *(0.5 * sum(ray.z_mm[j]) for j in joints), high]
    return dict(zip(PHALANX[digit], pairwise(bounds), strict=True))


# Assumed courses in mm at scale 1: level and centre, clear of bones and tendons.
_PALM_PATHS: Final[Mapping[str, Sequence[tuple[float, float, float]]]] = {
    "radial_artery": (
        (-30.0, 19.5, -11.6),
        (-6.0, 21.0, -11.4),
        (6.0, 25.5, -8.6),
        (18.0, 25.0, 3.7),
        (31.0, 20.4, 3.7),
        (38.0, 21.6, 0.5),
        (46.5, 21.0, -6.9),
    ),
    "ulnar_artery": (
        (-30.0, -14.0, -12.6),
        (8.0, -13.0, -13.6),
        (30.0, -15.0, -15.6),
        (46.0, -18.8, -15.2),
    ),
    "radial_superficial_branch": (
        (-3.0, 19.6, -13.0),
        (20.0, 18.0, -16.2),
        (40.0, 16.0, -16.2),
        (55.6, 14.4, -15.2),
    ),
    "superficial_arch": (
        (-19.4, -15.0, 46.8),
        (-12.0, -15.2, 55.0),
        (0.0, -15.2, 59.4),
        (14.4, -15.0, 56.4),
    ),
    "deep_arch": ((-18.0, -7.3, 48.0), (0.0, -7.1, 50.0), (21.0, -7.0, 47.2)),
}


def _common_path(person: Person, proximal: int, distal: int) -> list[tuple[float, float, float]]:
    s = person.scale
    level = levels_of(person)
    fork = (level.little if distal == 5 else level.fingers) - 6.0 * s
    arch = tube_mm(
        [(*(s * v for v in k), 1.0, 1.0) for k in _PALM_PATHS["superficial_arch"]], axis=0
    )
    x = {2: 10.4, 3: -0.6, 4: -11.0}[proximal] * s
    near = np.array([x - 0.8, x, x + 0.8])
    y, _ = arch.at(near[1] * M_PER_MM)[0] / M_PER_MM
    z = float(arch.at(near * M_PER_MM)[0][:, 1].max() / M_PER_MM)

    def midway(at: float) -> float:
        return 0.5 * (person.rays[proximal].at(at)[0] + person.rays[distal].at(at)[0])

    half = 0.5 * (z + fork)
    return [
        (z + RADIUS_MM["superficial_arch"] + 0.05, x, y),
        (half, midway(half), -12.0 * s),
        (fork, midway(fork), -8.6 * s),
    ]


def _proper_path(
    person: Person,
    swelling: Swelling,
    digit: int,
    side: str,
    radius: float,
    state: ArteryState,
) -> list[tuple[float, float, float, float, float]]:
    """Return the course of a proper digital artery, from its origin to the pulp of the finger."""
    ray, s = person.rays[digit], person.scale
    out = 1.0 if side == "radial" else -1.0
    joints = ["ip1"] if digit == 1 else [f"pip{digit}", f"dip{digit}"]
    origin = _start(person, digit, side)
    low, high = ray.z_mm["pp"]
    middle = 0.5 * (low + high)
    course = [*origin, (middle, *_beside(person, swelling, digit, "pp", middle, out))]
    if _origin(digit, side).startswith("common"):
        course[1:1] = _through_web(person, digit, out, middle)
    for joint in joints:
        z = 0.5 * sum(ray.z_mm[joint])
        course.append((z, *_beside(person, swelling, digit, joint, z, out)))
        if joint.startswith("pip"):
            z = 0.5 * sum(ray.z_mm["mp"])
            course.append((z, *_beside(person, swelling, digit, "mp", z, out)))
    tip = ray.z_mm["dp"][0] + 0.62 * (ray.z_mm["dp"][1] - ray.z_mm["dp"][0])
    x, y = ray.at(tip)
    course.append((tip, x + out * 4.0 * s, y - 3.0 * s))
    first, last = course[0][0], course[-1][0]
    path = []
    for z, x, y in course:
        taper = 1.0 + 0.3 * (middle - z) / (middle - first) if z < middle else 1.0
        taper = 1.0 - 0.3 * (z - middle) / (last - middle) if z > middle else taper
        path.append((z, x, y, radius * taper, radius * taper))
    return _narrowed(path, middle, state.stenosis_percent)


def _through_web(
    person: Person, digit: int, out: float, before: float
) -> list[tuple[float, float, float]]:
    """Return where an artery that comes from a fork passes the planes at which digits begin."""
    ray, s = person.rays[digit], person.scale
    level = levels_of(person)
    start = level.little if digit == 5 else level.fingers
    found = [(start - 0.5, ray.at(start)[0] + out * 5.3 * s, ray.at(start)[1] - 5.9 * s)]
    if (digit, out) == (4, -1.0):  # the palm's edge is near
        found = [(start - 0.5, ray.at(start)[0] - 4.3 * s, ray.at(start)[1] - 6.2 * s)]
        z = level.little - 1.0
        found.insert(0, (z, ray.at(z)[0] - 3.8 * s, ray.at(z)[1] - 6.4 * s))
    return [knot for knot in found if knot[0] < before - 0.5]


def _narrowed(
    path: list[tuple[float, float, float, float, float]], middle: float, percent: float
) -> list[tuple[float, float, float, float, float]]:
    """Narrow an artery over twice `_HALF_STENOSIS_MM` around the middle of the proximal phalanx."""
    if percent <= 0:
        return path
    stack = tube_mm(path)
    extra = []
    for z in (middle - _HALF_STENOSIS_MM, middle + _HALF_STENOSIS_MM):
        centre, semi = (v / M_PER_MM for v in stack.at(np.array(z * M_PER_MM)))
        extra.append((z, *centre, *semi))
    kept = [
        (z, x, y, a * (1 - percent / 100), b * (1 - percent / 100))
        if z == middle
        else (z, x, y, a, b)
        for z, x, y, a, b in path
        if z == middle or abs(z - middle) > _HALF_STENOSIS_MM + 0.5
    ]
    return sorted([*kept, *extra])


def _beside(
    person: Person, swelling: Swelling, digit: int, where: str, z: float, out: float
) -> tuple[float, float]:
    """Return a place palmar and to one side of bone and tendon, within the fat."""
    ray, s = person.rays[digit], person.scale
    thick = {1: 1.12, 2: 1.0, 3: 1.0, 4: 0.97, 5: 0.9}[digit] * s
    x, y = ray.at(z)
    off = {"pp": (6.0, -5.0), "pip": (5.9, -5.0), "ip": (5.6, -4.4), "mp": (5.2, -4.4)}
    dx, dy = off.get(where.rstrip("12345"), (5.0, -4.2))
    swollen = swelling.capsule.get(where, 0.0) + 0.5 * swelling.sheath.get(digit, 0.0)
    return x + out * (thick * dx + 0.8 * swollen), y + thick * dy - 0.5 * swollen


def _start(person: Person, digit: int, side: str) -> list[tuple[float, float, float]]:
    """Return the first knots of a proper digital artery."""
    ray, s = person.rays[digit], person.scale
    origin = _origin(digit, side)
    out = 1.0 if side == "radial" else -1.0
    if origin.startswith("common"):
        fork, x, y = _common_path(person, int(origin[-2]), int(origin[-1]))[-1]
        return [(fork, x - out * 0.75, y)]
    head = ray.z_mm["mc"][1]
    joint = f"mcp{digit}"
    a, b = capsule_semi(person, digit, joint)
    at_head = (head, ray.at(head)[0] + out * 0.86 * a, ray.at(head)[1] - b - 1.9 * s)
    shaft = head - 14.0 * s
    x, y = ray.at(shaft)
    beside = (shaft, x + out * 6.4 * s, y - 5.4 * s)
    first = {
        (1, "radial"): (24.0 * s, 19.6 * s, -16.2 * s),
        (1, "ulnar"): (48.6 * s, 22.4 * s, -7.2 * s),
        (2, "radial"): (48.6 * s, 20.4 * s, -7.2 * s),
        (5, "ulnar"): (49.6 * s, -18.6 * s, -14.6 * s),
    }[digit, side]
    if digit == 1:
        x, y = ray.at(head - 4.0 * s)
        over = [(33.0 * s, 25.0 * s, -13.5 * s), (46.0 * s, 38.5 * s, -13.2 * s)]
        return [
            first,
            *(over if side == "radial" else []),
            (head - 4.0 * s, x + out * 6.6 * s, y - 6.4 * s),
            at_head,
        ]
    if digit == 5:  # over its flexor tendon
        return [first, (60.0 * s, -29.0 * s, -13.6 * s), beside, at_head]
    return [first, beside, at_head]
