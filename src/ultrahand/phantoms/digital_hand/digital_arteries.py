"""The ten proper palmar digital arteries, a piece for each phalanx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import pi, sqrt

from ultrahand.phantoms.digital_hand.bones import capsule_semi
from ultrahand.phantoms.digital_hand.joints import between
from ultrahand.phantoms.digital_hand.lumina import upright
from ultrahand.phantoms.digital_hand.palm_arteries import Trunk, fork_mm
from ultrahand.phantoms.digital_hand.person import Person
from ultrahand.phantoms.digital_hand.soft_tissue import Swelling, levels_of
from ultrahand.phantoms.digital_hand.solids import Solid, settle
from ultrahand.phantoms.digital_hand.stack import tube_mm
from ultrahand.phantoms.digital_hand.vessels import (
    PHALANX,
    PROPER,
    ArteryState,
    Vessel,
    narrowed,
    narrowing,
)
from ultrahand.units import M_PER_MM


def proper_arteries(
    person: Person,
    swelling: Swelling,
    solids: Sequence[Solid],
    trunks: Mapping[str, Trunk],
    states: Mapping[str, ArteryState],
    lumen_mm2: Mapping[tuple[int, str], float],
) -> Iterator[Vessel]:
    """Yield the pieces of the ten proper digital arteries, proximal first.

    Parameters
    ----------
    person, swelling
        Whose, and how swollen.
    solids
        What is there already: a course is moved aside where it would cross something.
    trunks
        The arteries of the palm, which feed them.
    states
        What is wrong, by name, as ``3_ulnar``.
    lumen_mm2
        Area half way up the proximal phalanx, perpendicular to the artery, by digit and side.
    """
    for digit, side in PROPER:
        state = states.get(f"{digit}_{side}", ArteryState())
        if not state.present:
            continue
        radius = sqrt(lumen_mm2[digit, side] / pi)
        middle = 0.5 * sum(person.rays[digit].z_mm["pp"]) * M_PER_MM
        plain = upright(tube_mm(_proper_path(person, swelling, digit, side, radius)))
        whole = settle(solids, narrowed(plain, middle, state.stenosis_percent))
        origin = _origin(digit, side)
        feeders = (origin,) if trunks[origin].feeds(whole, whole.ends_m[0]) else ()
        low, high = (end / M_PER_MM for end in whole.ends_m)
        stop = high if state.occluded_at is None else low + state.occluded_at * (high - low)
        for level, (start, end) in _levels(person, digit, low, high).items():
            if start >= stop - 1.0:
                break
            name = f"proper_{digit}_{side}_{level}"
            stack = between(whole, start, min(end, stop))
            lost, place = narrowing(stack, plain, middle, state.stenosis_percent)
            yield Vessel(
                name=name,
                kind="artery",
                stack=stack,
                feeders=feeders,
                digit=digit,
                side=side,
                level=level,
                stenosis_percent=lost,
                narrowest_m=place,
            )
            feeders = (name,)


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


def _proper_path(
    person: Person,
    swelling: Swelling,
    digit: int,
    side: str,
    radius: float,
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
    return path


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
        fork, x, y = fork_mm(person, origin)
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
