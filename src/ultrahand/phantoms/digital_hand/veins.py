"""Veins of the digits: on the back of each and at its side, a piece for each phalanx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import cos, radians, sin
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.back_veins import Back, back_veins, knuckle_veins, way_of
from ultrahand.phantoms.digital_hand.joints import between
from ultrahand.phantoms.digital_hand.person import DIGITS, Person
from ultrahand.phantoms.digital_hand.soft_tissue import Knot, Swelling, levels_of, outlines
from ultrahand.phantoms.digital_hand.solids import Solid, crossing, settle
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.phantoms.digital_hand.vessels import JUNCTION_MM, PHALANX, Vessel, as_solid, gap_mm
from ultrahand.units import M_PER_MM

ANGLES_DEG: Final = (42.0, 138.0, 61.0, 119.0, 20.0, 160.0)
"""Where the first, second ... dorsal vein of a digit lies, from the radial side (assumed)."""
PALMAR_DEG: Final = -24.0
RADIUS_MM: Final = (0.5, 0.35)
"""Assumed, of a digital vein where the digit begins and at its last joint; below 1 mm in
ultrasound."""
PALMAR_RADIUS_MM: Final = (0.4, 0.3)
"""Assumed: smaller, beside the arteries."""
_TIP_SHARE: Final = 0.55
"""Of the last phalanx, at which dorsal veins begin (assumed)."""


def veins(
    person: Person,
    swelling: Swelling,
    solids: Sequence[Solid],
    counts: Mapping[int, int],
) -> list[Vessel]:
    """Return the veins of digits and back, each with the piece that it drains into.

    Parameters
    ----------
    person, swelling
        Whose, and how swollen.
    solids
        What is there already: a course is moved aside where it would cross something.
    counts
        Dorsal veins of each digit; a digit with any has a palmar one too.
    """
    found = list(_digital_veins(person, swelling, solids, counts))
    there = [*solids, *map(as_solid, found)]
    first = {piece.name: piece for piece in found if piece.level == "P"}
    skin = {d: person.skin_mm + swelling.skin.get(d, 0.0) for d in (0, *DIGITS)}
    side = Back(person=person, surface=outlines(person, swelling), skin_mm=skin)
    back = list(back_veins(side, there, first))
    there += map(as_solid, back)
    arches = [piece for piece in back if piece.name.startswith("vein_arch")]
    knuckles = list(knuckle_veins(side, there, first, arches))
    joined = [_joined(piece, [*knuckles, *back], first) for piece in found]
    return [*joined, *knuckles, *back]


def _digital_veins(
    person: Person,
    swelling: Swelling,
    solids: Sequence[Solid],
    counts: Mapping[int, int],
) -> Iterator[Vessel]:
    """Yield the pieces of the digits' veins, from where the digit begins up to the last joint.

    Dorsal ones go on in the last phalanx where there is room.
    """
    surface = outlines(person, swelling)
    for d in DIGITS:
        skin = person.skin_mm + swelling.skin.get(d, 0.0)
        angles = [(f"dorsal{i + 1}", a) for i, a in enumerate(ANGLES_DEG[: counts.get(d, 0)])]
        if angles:
            angles.append(("palmar", PALMAR_DEG))
        for name, angle in angles:
            whole = settle(solids, tube_mm(_course(person, surface[f"digit{d}"], d, angle, skin)))
            pieces = _pieces(person, d, whole)
            tip = tube_mm(_tip(person, surface[f"digit{d}"], d, angle, skin, whole))
            if angle > 0 and crossing(solids, tip) is None:
                pieces["D"] = tip
            next_one = None
            for level, stack in pieces.items():
                yield Vessel(
                    name=f"vein_{d}_{name}_{level}",
                    kind="vein",
                    stack=stack,
                    drains_into=next_one,
                    digit=d,
                    side="dorsal" if angle > 0 else "palmar",
                    level=level,
                    backwards=True,
                )
                next_one = f"vein_{d}_{name}_{level}"


def _joined(piece: Vessel, ways: Sequence[Vessel], first: Mapping[str, Vessel]) -> Vessel:
    """Return a piece with what it drains into: its own way, else that of a neighbour.

    Parameters
    ----------
    piece
        A piece of a digital vein.
    ways
        Veins that lead to the wrist; those over knuckles are named after the piece they continue.
    first
        The first pieces of all digital veins.
    """
    if piece.name not in first or piece.side != "dorsal":
        return piece
    own = [way for way in ways if way.name == way_of(piece.name)]
    led = {way.name for way in ways}
    beside = [one for one in first.values() if one.digit == piece.digit and way_of(one.name) in led]
    near = [way for way in ways if way.digit == piece.digit]
    for other in (*own, *near, *beside):
        if gap_mm(piece.stack, piece.ends_m[1], other.stack) <= JUNCTION_MM:
            return replace(piece, drains_into=other.name)
    return piece


def _pieces(person: Person, digit: int, whole: Stack) -> dict[str, Stack]:
    """Divide a vein at the joints, proximal piece first."""
    low, high = (end / M_PER_MM for end in whole.ends_m)
    bounds = (
        [low, high]
        if digit == 1
        else [low, 0.5 * sum(person.rays[digit].z_mm[f"pip{digit}"]), high]
    )
    levels = zip(PHALANX[digit], pairwise(bounds), strict=False)
    return {level: between(whole, *ends) for level, ends in levels}


def _course(
    person: Person, outline: Stack, digit: int, angle_deg: float, skin_mm: float
) -> list[Knot]:
    """Return a vein under the skin of a digit."""
    ray, s = person.rays[digit], person.scale
    level = levels_of(person)
    start = {1: level.thumb, 5: level.little}.get(digit, level.fingers)
    joints = ["ip1"] if digit == 1 else [f"pip{digit}", f"dip{digit}"]
    stations = [start, *(0.5 * sum(ray.z_mm[j]) for j in joints)]
    stations[-1] += 1.0 * s
    middles = [0.5 * (a + b) for a, b in pairwise(stations)]
    course = []
    for z in sorted([*stations, *middles]):
        widths = RADIUS_MM if angle_deg > 0 else PALMAR_RADIUS_MM
        r = float(np.interp(z, [stations[0], stations[-1]], widths))
        course.append((z, *_below_skin(outline, z, angle_deg, skin_mm, r), r, r))
    return course


def _tip(
    person: Person, outline: Stack, digit: int, angle_deg: float, skin_mm: float, before: Stack
) -> list[Knot]:
    """Return a vein's piece in the last phalanx, which goes on from the one before it."""
    low, high = person.rays[digit].z_mm["dp"]
    start, end, r = before.ends_m[1], low + _TIP_SHARE * (high - low), RADIUS_MM[1]
    x, y = (before.at(np.array(start))[0] / M_PER_MM).tolist()
    first = start / M_PER_MM
    later = (0.5 * (first + end), end)
    below = ((z, *_below_skin(outline, z, angle_deg, skin_mm, r), r, r) for z in later)
    return [(first, x, y, r, r), *below]


def _below_skin(
    outline: Stack, z: float, angle_deg: float, skin_mm: float, radius: float
) -> tuple[float, float]:
    """Return a place just under the skin at an angle from the radial side."""
    centre, semi = (v / M_PER_MM for v in outline.at(np.array(z * M_PER_MM)))
    depth = skin_mm + radius + 0.45
    x = centre[0] + (semi[0] - depth) * cos(radians(angle_deg))
    y = centre[1] + (semi[1] - depth) * sin(radians(angle_deg))
    return float(x), float(y)
