"""Skin, fat, muscle and tendons: what the hand is made of around its bones.

The palm is three pieces that end where the thumb, the little finger and the other fingers part
from it; there the digits begin, side by side with the palm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.bones import (
    CAPSULE_MM,
    HALF_CAPSULE_MM,
    capsule_semi,
    girth,
    semi_at,
)
from ultrahand.phantoms.digital_hand.person import DIGITS, SEGMENTS, Person, joint_names
from ultrahand.phantoms.digital_hand.solids import Solid
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.units import M_PER_MM

Knot = tuple[float, float, float, float, float]
FINGER_GIRTH: Final = {1: 1.22, 2: 1.02, 3: 1.03, 4: 0.98, 5: 0.93}
"""Assumed: thickness of a digit beside the index finger's."""
FAT_MM: Final = (2.4, 2.0)
"""Assumed: fat under the skin of wrist and palm, at the sides and at palm and back."""
SEPTUM_MM: Final = 0.4
"""Assumed: fat between a muscle and what lies beside it."""
SHEATH_MM: Final = 0.25
"""Assumed: fluid around a flexor tendon in its sheath."""

_BESIDE: Final = {"palm2": -1.0, "palm3": 1.0}
"""Direction away from the digit that a piece of the palm lies beside, thumb and little finger:
thicker skin grows outwards on that side only, on the other one inwards."""


@final
@dataclass(frozen=True, kw_only=True)
class Swelling:
    """How much thicker a joint's or sheath's surroundings are than in health, in mm."""

    capsule: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Synovium and effusion, by joint."""
    sheath: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    """By digit."""
    skin: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    """By digit; 0 is the palm."""


@final
@dataclass(frozen=True, kw_only=True)
class Levels:
    """Where the palm ends, in mm."""

    wrist: float
    thumb: float
    little: float
    fingers: float


def levels_of(person: Person) -> Levels:
    """Return the planes where the digits part from the palm: half way up the first phalanges."""

    def half_way(digit: int) -> float:
        low, high = person.rays[digit].z_mm["pp"]
        return low + (0.52 if digit == 5 else 0.45) * (high - low)

    low, high = person.rays[1].z_mm["mc"]
    return Levels(
        wrist=-30.0 * person.scale,
        thumb=low + 0.93 * (high - low),
        little=half_way(5),
        fingers=min(half_way(d) for d in (2, 3, 4)),
    )


def layers(person: Person, swelling: Swelling) -> Iterator[Solid]:
    """Yield skin, fat and what fills the wrist, outermost first."""
    for name, outer in outlines(person, swelling).items():
        digit = int(name.removeprefix("digit")) if name.startswith("digit") else 0
        skin = person.skin_mm + swelling.skin.get(digit, 0.0)
        kind = "fibrotic_skin" if swelling.skin.get(digit, 0.0) > 0 else "skin"
        yield Solid(name=f"{name}_skin", tissue=kind, stack=outer)
        yield Solid(name=f"{name}_fat", tissue="subcutaneous_fat", stack=_inside(outer, skin, name))
    yield from _cores(person, swelling)


def outlines(person: Person, swelling: Swelling) -> Mapping[str, Stack]:
    """Return the surface of each region: ``palm1`` to ``palm3``, ``digit1`` to ``digit5``."""
    level = levels_of(person)
    knuckles = max(swelling.capsule.get(f"mcp{d}", 0.0) for d in DIGITS[1:])
    sheath = 2.6 * max(swelling.sheath.get(d, 0.0) for d in (2, 3, 4))
    more = swelling.skin.get(0, 0.0)
    found = {}
    for name, path in _palm(person, level).items():
        thick = more + {"palm1": 0.0, "palm2": 1.7 * knuckles}.get(name, 1.7 * knuckles + sheath)
        aside, wide = _BESIDE.get(name, 0.0) * 0.5 * more, more * (0.5 if name in _BESIDE else 1.0)
        found[name] = tube_mm([(z, x + aside, y, a + wide, b + thick) for z, x, y, a, b in path])
    starts = {1: level.thumb, 5: level.little}
    for d in DIGITS:
        more = swelling.skin.get(d, 0.0)
        path = _finger(person, swelling, d, starts.get(d, level.fingers), more)
        found[f"digit{d}"] = tube_mm(path, caps=(0.0, 6.0 * person.scale))
    return found


def _inside(outer: Stack, depth_mm: float, name: str) -> Stack:
    """Return a surface at a depth below another; flat ends stay where they are."""
    table = np.column_stack([outer.knots_m, outer.shape_m]) / M_PER_MM
    table[:, 3:] -= depth_mm
    cap = outer.caps_m[1] / M_PER_MM
    if name.startswith("digit"):
        table[-1, 0] -= depth_mm
        cap -= 0.5 * depth_mm
    return tube_mm([tuple(row) for row in table], caps=(0.0, cap))


def _palm(person: Person, level: Levels) -> Mapping[str, list[Knot]]:
    """Return the palm's outline in mm; assumed, around the rays of this person."""
    s = person.scale
    index, little = person.rays[2], person.rays[5]
    mcp = index.z_mm["mcp2"][0]

    def across(z: float, left: float, right: float, y: float, b: float) -> Knot:
        return (z, 0.5 * (left + right), s * y, 0.5 * (right - left), s * b)

    def thumb_at(z: float) -> float:
        return person.rays[1].at(z)[0]

    def ulnar(z: float, beside: float) -> float:
        return little.at(z)[0] - beside * s

    def radial(z: float, beside: float) -> float:
        return index.at(z)[0] + beside * s

    def web(z: float) -> float:
        return little.at(z)[0] + _room(person, 5, z) + 0.8 * s

    first, last, middle = level.thumb, level.little, 0.5 * (level.thumb + mcp)
    return {
        "palm1": [
            across(level.wrist, -29.5 * s, 30.0 * s, -2.6, 19.6),
            across(0.0, -31.5 * s, 32.0 * s, -2.6, 20.0),
            across(22.0 * s, -36.0 * s, 44.0 * s, -3.4, 20.2),
            across(44.0 * s, ulnar(44.0 * s, 16.5), thumb_at(44.0 * s) + 14.0 * s, -4.6, 19.8),
            across(first, ulnar(first, 16.5), thumb_at(first) + 17.0 * s, -5.6, 19.8),
        ],
        "palm2": [
            across(first, ulnar(first, 16.0), radial(first, 14.0), -3.4, 18.4),
            across(middle, ulnar(middle, 14.0), radial(middle, 15.0), -2.4, 17.4),
            across(last, ulnar(last, 11.5), radial(last, 15.0), -0.8, 16.9),
        ],
        "palm3": [
            across(last, web(last), radial(last, 15.0), -0.6, 17.0),
            across(level.fingers, web(level.fingers), radial(level.fingers, 13.2), -0.4, 14.2),
        ],
    }


def _finger(
    person: Person, swelling: Swelling, digit: int, start: float, more: float
) -> list[Knot]:
    """Return a digit's outline in mm: from where it parts from the palm to the tip."""
    s = person.scale * FINGER_GIRTH[digit]
    ray = person.rays[digit]
    tip = ray.tip_mm + 4.2 * person.scale

    inside = max(swelling.capsule.get(joint, 0.0) for joint in joint_names(digit)[-2:])
    sheath = swelling.sheath.get(digit, 0.0)
    knuckle = swelling.capsule.get(f"mcp{digit}", 0.0)
    wide, thick = (
        more + inside + sheath,
        more + inside + 2.6 * sheath + 0.7 * knuckle,
    )  # the whole digit swells

    def knot(z: float, a: float, b: float) -> Knot:
        x, y = ray.at(min(z, ray.tip_mm))
        half = min(s * a + wide, _room(person, digit, z))
        return (z, x, y - 0.5 * s, half, s * b + thick)

    def middle(name: str) -> float:
        return 0.5 * sum(ray.z_mm[name])

    path = [knot(start, 10.0, 12.2 if digit == 1 else 11.4)]
    path.append(knot(0.5 * (start + middle(joint_names(digit)[1])), 9.9, 10.4))
    for joint in joint_names(digit):
        if middle(joint) > start + 10.0:
            a, b = (8.6, 8.3) if joint.startswith("dip") else (10.0, 9.9)
            path.append(knot(middle(joint), a, b))
            after = "mp" if joint.startswith("pip") else "dp"
            if after == "mp":
                path.append(knot(middle("mp"), 9.0, 8.8))
    path += [knot(ray.tip_mm - 5.0 * s, 8.0, 6.9), knot(tip, 7.6, 6.4)]
    return path


def _room(person: Person, digit: int, z: float) -> float:
    """Return how wide half a digit may be beside its neighbours; the thumb stands apart."""
    found = [np.inf]
    for other in {digit - 1, digit + 1} & {2, 3, 4, 5}:
        if digit > 1 and z < person.rays[other].tip_mm + 8.0:
            apart = abs(person.rays[digit].at(z)[0] - person.rays[other].at(z)[0])
            share = FINGER_GIRTH[digit] / (FINGER_GIRTH[digit] + FINGER_GIRTH[other])
            found.append(apart * share - 0.3)
    return min(found)


def _cores(person: Person, swelling: Swelling) -> Iterator[Solid]:
    """Yield what fills wrist and palm inside of their fat: muscle up to below the knuckles.

    They meet in flat planes; beyond the last one `muscles` go on in fat, each to its own end.
    """
    s, level, surface = person.scale, levels_of(person), outlines(person, swelling)
    depth = person.skin_mm + swelling.skin.get(0, 0.0)
    base = person.rays[5].z_mm["mc"][0] + 0.6 * s
    for name, region, low, high in (
        ("wrist_core", "palm1", level.wrist, base),
        ("palm_core1", "palm1", base, level.thumb),
        ("palm_core2", "palm2", level.thumb, _core_end_mm(person)),
    ):
        path = []
        for z in np.linspace(low, high, 4):
            centre, semi = (v / M_PER_MM for v in surface[region].at(np.array(z * M_PER_MM)))
            a, b = (float(v) - depth - fat * s for v, fat in zip(semi, FAT_MM, strict=True))
            path.append((float(z), float(centre[0]), float(centre[1]), a, b))
        yield Solid(name=name, tissue="muscle", stack=tube_mm(path))


def _core_end_mm(person: Person) -> float:
    """Return where the muscles of the palm begin to end, each for itself."""
    return person.rays[5].z_mm["mc"][1] - 13.0 * person.scale


def muscles(person: Person, swelling: Swelling) -> Iterator[Solid]:
    """Yield the muscles between the metacarpals and beside the fifth, each in a thin layer of fat.

    The other muscles of the palm are not told apart: they end in a plane below the knuckles.
    """
    s, rays, level = person.scale, person.rays, levels_of(person)

    def belly(name: str, path: list[Knot], caps: tuple[float, float]) -> Iterator[Solid]:
        thin = SEPTUM_MM * s
        inner = [(z, x, y, a - min(thin, 0.5 * a), b - thin) for z, x, y, a, b in path]
        yield Solid(
            name=f"{name}_septum", tissue="subcutaneous_fat", stack=tube_mm(path, caps=caps)
        )
        yield Solid(name=name, tissue="muscle", stack=tube_mm(inner, caps=caps))

    for d in (2, 3, 4):
        low = max(rays[n].z_mm["mc"][0] for n in (d, d + 1)) + 3.0 * s
        high = min(rays[n].z_mm["mc"][1] for n in (d, d + 1)) - 6.0 * s
        path: list[Knot] = []
        for z, deep in zip(np.linspace(low, high, 4).tolist(), (0.0, 0.8, 1.4, 1.2), strict=True):
            (left, y), (right, other) = rays[d + 1].at(z), rays[d].at(z)
            inner = left + semi_at(person, d + 1, z)[0], right - semi_at(person, d, z)[0]
            half = 0.5 * (inner[1] - inner[0]) - 0.7 * s
            middle = 0.5 * (y + other) - (0.2 + 0.7 * deep) * s
            path.append((z, 0.5 * sum(inner), middle, half, (4.8 + 0.7 * deep) * s))
        yield from belly(f"interosseus{d}", path, (8.0 * s, 12.0 * s))
    low, high = 50.5 * s, level.thumb
    first: list[Knot] = []
    for z in (low, 0.5 * (low + high), high):
        left, right = rays[2].at(z)[0] + 8.4 * s, rays[1].at(z)[0] - 9.4 * s
        half = max(0.5 * (right - left), 0.5)
        first.append((z, 0.5 * (left + right), 0.4 * s, half, 5.6 * s))
    yield from belly("interosseus1", first, (3.0 * s, 3.0 * s))
    yield from belly("hypothenar", _hypothenar(person, swelling), (0.0, 8.0 * s))


def _hypothenar(person: Person, swelling: Swelling) -> list[Knot]:
    """Return what goes on of the muscle on the little finger's side, to below its knuckle."""
    s = person.scale
    surface = outlines(person, swelling)["palm2"]
    depth = person.skin_mm + swelling.skin.get(0, 0.0) + FAT_MM[0] * s
    path: list[Knot] = []
    for z in np.linspace(_core_end_mm(person), person.rays[5].z_mm["mc"][1] - 4.5 * s, 3).tolist():
        centre, semi = (v / M_PER_MM for v in surface.at(np.array(z * M_PER_MM)))
        x, y = person.rays[5].at(z)
        left, right = float(centre[0] - semi[0]) + depth, x - semi_at(person, 5, z)[0] - 0.7 * s
        path.append((z, 0.5 * (left + right), y + 0.3 * s, 0.5 * (right - left), 4.5 * s))
    return path


def tendons(person: Person, swelling: Swelling) -> Iterator[Solid]:
    """Yield each digit's flexor sheath and tendon and its extensor tendon."""
    for d in DIGITS:
        flexor = _flexor(person, swelling, d)
        fluid = SHEATH_MM * person.scale + swelling.sheath.get(d, 0.0)
        first = next(i for i, k in enumerate(flexor) if k[0] > person.rays[d].z_mm["mc"][1] - 12.0)
        sheath = tube_mm([(z, x, y, a + fluid, b + fluid) for z, x, y, a, b in flexor[first:]])
        yield Solid(name=f"flexor{d}_sheath", tissue="tendon_sheath_fluid", stack=sheath)
        for name, path in (("palm", flexor[: first + 1]), ("digit", flexor[first:])):
            yield Solid(name=f"flexor{d}_tendon_{name}", tissue="tendon", stack=tube_mm(path))
        extensor = tube_mm(_extensor(person, swelling, d))
        yield Solid(name=f"extensor{d}_tendon", tissue="tendon", stack=extensor)


def _stations(person: Person, digit: int) -> list[tuple[float, str]]:
    """Return levels along a digit at which its tendons are placed, each with its joint if any."""
    ray = person.rays[digit]
    low, high = ray.z_mm["mc"]
    found = [(low + 0.55 * (high - low), ""), (high - 10.0, "")]
    for joint, bone in zip(joint_names(digit), SEGMENTS[digit][1:], strict=True):
        middle = 0.5 * sum(ray.z_mm[joint])
        reach = HALF_CAPSULE_MM[joint.rstrip("12345")] * person.scale
        found += [(middle - reach, joint), (middle + reach, joint)]
        if bone != "dp":
            found.append((0.5 * sum(ray.z_mm[bone]), ""))
    return found


def _clearance(person: Person, digit: int, z: float, joint: str, swelling: Swelling) -> float:
    """Return how far bone, capsule and swelling reach from the ray's line to palm or back."""
    if not joint:
        return semi_at(person, digit, z)[1]
    capsule = CAPSULE_MM * person.scale + swelling.capsule.get(joint, 0.0)
    return capsule_semi(person, digit, joint)[1] + capsule


def _flexor(person: Person, swelling: Swelling, digit: int) -> list[Knot]:
    ray, s = person.rays[digit], person.scale
    fluid = SHEATH_MM * s + swelling.sheath.get(digit, 0.0)
    lane = {1: 10.6, 2: 5.6, 3: 0.6, 4: -4.4, 5: -9.4}[digit] * s
    path: list[Knot] = [
        (-30.0 * s, 0.9 * lane, -11.2 * s, 1.9 * s, 1.7 * s),
        (18.0 * s, lane, -12.4 * s, 1.9 * s, 1.7 * s),
    ]
    if digit > 1:
        path.append((52.0 * s, ray.at(52.0 * s)[0], -11.4 * s, 2.2 * s, 1.6 * s))
    stations = _stations(person, digit)
    for z, joint in stations:
        thin = 1.0 if not joint or joint.startswith("mcp") else 0.8
        if joint.startswith(("dip", "ip")):
            thin = 0.6
        b = 1.5 * s * thin * min(girth(person, digit) / s, 1.0)
        gap = 0.35 * s + fluid + b
        y = ray.at(z)[1] - _clearance(person, digit, z, joint, swelling) - gap
        path.append((z, ray.at(z)[0], y, 2.6 * s * min(FINGER_GIRTH[digit], 1.0) * thin**0.5, b))
    return path


def _extensor(person: Person, swelling: Swelling, digit: int) -> list[Knot]:
    ray, s = person.rays[digit], person.scale
    lane = {1: 15.0, 2: 8.0, 3: 1.5, 4: -5.0, 5: -11.0}[digit] * s
    path: list[Knot] = [(-30.0 * s, 0.9 * lane, 9.9 * s, 1.9 * s, 0.7 * s)]
    path.append((16.0 * s, lane, 9.8 * s, 1.9 * s, 0.7 * s))
    for z, joint in _stations(person, digit):
        b = 0.45 * s if joint.startswith(("dip", "ip")) else 0.6 * s
        y = ray.at(z)[1] + _clearance(person, digit, z, joint, swelling) + 0.3 * s + b
        path.append((z, ray.at(z)[0], y, 2.3 * s * min(FINGER_GIRTH[digit], 1.0), b))
    return path
