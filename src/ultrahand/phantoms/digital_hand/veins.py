"""Veins: on the back of each digit and at its side, and those of the back of the hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import cos, radians, sin
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.person import DIGITS, Person
from ultrahand.phantoms.digital_hand.soft_tissue import Knot, Swelling, levels_of, outlines
from ultrahand.phantoms.digital_hand.solids import Solid, first_free, settle
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.phantoms.digital_hand.vessels import Vessel
from ultrahand.units import M_PER_MM

HEALTHY_COUNT: Final = (3.13, 0.99)
SSC_COUNT: Final = (0.63, 1.06)
"""Visible dorsal digital veins, mean and standard deviation (Wang et al., Rheumatology 2008)."""
ANGLES_DEG: Final = (42.0, 138.0, 61.0, 119.0, 20.0, 160.0)
"""Where the first, second ... dorsal vein of a digit lies, from the radial side (assumed)."""
_AT_KNUCKLE_MM: Final = (3.4, -3.4, 1.2, -1.2)
"""Their places over the knuckle, from the ray's line."""
PALMAR_DEG: Final = -24.0
RADIUS_MM: Final = 0.42
"""Assumed, of a digital vein; below 1 mm in ultrasound."""
_ROUND: Final = (RADIUS_MM, RADIUS_MM)
_BACK_MM: Final = (0.9, 0.55)
"""Assumed semi-axes of the flat veins of the back of the hand."""


def digital_veins(
    person: Person,
    swelling: Swelling,
    solids: Sequence[Solid],
    counts: Mapping[int, int],
    palmar: Mapping[int, bool],
    arrival: Mapping[int, float],
) -> Iterator[Vessel]:
    """Yield the veins of the digits, from the last joint down to where the digit begins.

    Parameters
    ----------
    person, swelling
        Whose, and how swollen.
    solids
        What is there already: a course is moved aside where it would cross something.
    counts
        Dorsal veins of each digit.
    palmar
        Whether a digit has its palmar vein.
    arrival
        Seconds until a digit's veins fill.
    """
    surface = outlines(person, swelling)
    for d in DIGITS:
        skin = person.skin_mm + swelling.skin.get(d, 0.0)
        angles = [(f"dorsal{i + 1}", a) for i, a in enumerate(ANGLES_DEG[: counts.get(d, 0)])]
        if palmar.get(d, False):
            angles.append(("palmar", PALMAR_DEG))
        for name, angle in angles:
            yield Vessel(
                name=f"vein_{d}_{name}",
                kind="vein",
                stack=settle(
                    solids, tube_mm(_course(person, surface[f"digit{d}"], d, angle, skin))
                ),
                arrival_s=arrival[d],
                digit=d,
                side="dorsal" if angle > 0 else "palmar",
                level="P",
            )


def back_veins(
    person: Person,
    solids: Sequence[Solid],
    counts: Mapping[int, int],
    arrival: Mapping[int, float],
) -> Iterator[Vessel]:
    """Yield the veins of the back of the hand: over the knuckles, then between the metacarpals.

    They fill with the digits that they drain: arrival times are few.

    Parameters
    ----------
    person
        Whose.
    solids
        All that is there: a vein takes the first free place over its knuckle; where there is
        none, it is left out.
    counts, arrival
        As `digital_veins`.
    """
    level, there = levels_of(person), list(solids)
    for d in DIGITS[1:]:
        knuckle = person.rays[d].z_mm["mc"][1] - 2.0
        planes = (level.little,) if d == 5 else (level.little, level.fingers)
        pieces = [knuckle, *(plane for plane in planes if plane > knuckle + 1.0)]
        for number in range(min(counts.get(d, 0), len(_AT_KNUCKLE_MM))):
            for piece, (low, high) in enumerate(pairwise(pieces)):
                options = _over_knuckle(person, d, number, low, high - 0.1)
                stack = first_free(there, options)
                if stack is not None:
                    name = f"vein_{d}_knuckle{number + 1}" + "ab"[piece]
                    there.append(Solid(name=name, tissue="vein_blood", stack=stack))
                    yield Vessel(
                        name=name,
                        kind="vein",
                        stack=stack,
                        feeders=(f"vein_{d}_dorsal{number + 1}",),
                        arrival_s=arrival[d],
                        digit=d,
                        side="dorsal",
                    )
    for proximal, distal in ((2, 3), (3, 4), (4, 5)):
        feeding = [d for d in (proximal, distal) if counts.get(d, 0)]
        if feeding:
            yield Vessel(
                name=f"vein_back_{proximal}{distal}",
                kind="vein",
                stack=settle(there, tube_mm(_back(person, proximal, distal))),
                arrival_s=min(arrival[d] for d in feeding),
            )


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
    levels = sorted([*stations, *middles])
    return [(z, *_below_skin(outline, z, angle_deg, skin_mm), *_ROUND) for z in levels]


def _over_knuckle(
    person: Person, digit: int, number: int, low: float, high: float
) -> Iterator[Stack]:
    """Yield places for a vein over a knuckle, from the bone upwards and from side to middle."""
    ray, s = person.rays[digit], person.scale
    inward = {2: -1.0, 4: 1.0, 5: 1.0}.get(digit, 0.0)
    for aside in (0.0, 0.6, 1.2, 1.8):
        off = (_AT_KNUCKLE_MM[number] + inward * aside) * s
        for up in np.arange(3.0, 11.0, 0.4) * s:
            path = [(z, ray.at(z)[0] + off, ray.at(z)[1] + up, *_ROUND) for z in (low, high)]
            yield tube_mm(path)


def _below_skin(outline: Stack, z: float, angle_deg: float, skin_mm: float) -> tuple[float, float]:
    """Return a place just under the skin at an angle from the radial side."""
    centre, semi = (v / M_PER_MM for v in outline.at(np.array(z * M_PER_MM)))
    depth = skin_mm + RADIUS_MM + 0.45
    x = centre[0] + (semi[0] - depth) * cos(radians(angle_deg))
    y = centre[1] + (semi[1] - depth) * sin(radians(angle_deg))
    return float(x), float(y)


def _back(person: Person, proximal: int, distal: int) -> list[Knot]:
    """Return a vein of the back of the hand, between two rays, from wrist to knuckles."""
    s = person.scale
    rays = person.rays[proximal], person.rays[distal]
    high = min(ray.z_mm["mc"][1] for ray in rays) - 9.0 * s
    lane = {2: 4.8, 3: -1.7, 4: -8.0}[proximal] * s
    a, b = (s * v for v in _BACK_MM)

    def knot(z: float, share: float, y: float) -> Knot:
        midway = 0.5 * sum(ray.at(z)[0] for ray in rays)
        return z, lane + share * (midway - lane), s * y, a, b

    path = [(-29.0 * s, 0.9 * lane, 10.4 * s, a, b), knot(16.0 * s, 0.0, 10.2)]
    path.append(knot(27.0 * s, 0.18, 9.4))  # between the tendons, before they part
    y = 7.2 if proximal == 4 else 8.2  # the hand is thinner there
    return [*path, knot(0.5 * (16.0 * s + high), 1.0, y), knot(high, 1.0, y)]
