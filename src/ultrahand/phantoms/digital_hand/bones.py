"""Bones with cortex and marrow, and the joints between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.person import DIGITS, SEGMENTS, Person, Ray, joint_names
from ultrahand.phantoms.digital_hand.solids import Solid
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM

_FRACTION: Final = (0.0, 0.16, 0.5, 0.84, 1.0)
"""Where a long bone's profile is given: base, shaft, head."""
_CORTEX_MM: Final = (0.6, 0.9, 1.25, 0.9, 0.6)
"""Assumed thickness there: thick in the shaft, thin at the ends."""
# Assumed semi-axes in mm (sideways, from palm to back) of base, shaft and head at scale 1.
PROFILE: Final[Mapping[str, tuple[tuple[float, float], ...]]] = {
    "mc": ((5.6, 5.4), (4.1, 4.0), (6.6, 6.2)),
    "pp": ((6.6, 5.4), (4.5, 3.6), (5.3, 4.4)),
    "mp": ((5.6, 4.4), (3.9, 3.1), (4.7, 3.6)),
    "dp": ((4.8, 3.5), (2.8, 2.4), (3.8, 2.3)),
}
GIRTH: Final = {1: 1.12, 2: 1.0, 3: 1.03, 4: 0.97, 5: 0.86}
"""Assumed: how thick a digit's bones are beside the index finger's."""
# Assumed centres and semi-axes of the carpal bones in mm at scale 1: some 1 mm apart in each row.
CARPALS: Final[Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "scaphoid": ((13.9, 0.0, 9.1), (6.4, 7.2, 7.3)),
    "lunate": ((0.5, 0.3, 9.1), (6.0, 7.6, 7.3)),
    "triquetrum": ((-12.3, 0.8, 9.1), (5.7, 6.8, 7.2)),
    "pisiform": ((-18.6, -9.0, 9.0), (3.6, 3.4, 4.6)),
    "trapezium": ((23.6, -4.6, 18.7), (5.8, 6.2, 4.3)),
    "trapezoid": ((12.4, 0.8, 28.2), (4.7, 6.4, 8.4)),
    "capitate": ((0.4, -0.4, 28.6), (6.2, 8.0, 8.9)),
    "hamate": ((-13.6, 0.0, 26.9), (6.7, 7.2, 7.2)),
}
BLOCK_ROUND: Final = 0.6
"""Assumed: share of a carpal bone's half length over which each end is rounded."""
CAPSULE_MM: Final = 0.6
"""Assumed room for a healthy synovial lining with its capsule, below tendons and vessels."""
LINING_MM: Final = 0.3
"""Assumed thickness of the healthy lining itself; fat lies between it and tendons."""
HALF_CAPSULE_MM: Final = {"mcp": 4.5, "ip": 3.6, "pip": 3.6, "dip": 3.0}
"""Assumed reach of the capsule to either side of the joint."""


def girth(person: Person, digit: int) -> float:
    """Return the factor from the table's semi-axes to a digit's."""
    return person.scale * GIRTH[digit]


def semi_at(person: Person, digit: int, z: float) -> tuple[float, float]:
    """Return the semi-axes in mm of whatever bone a digit has at a level, or of the nearest."""
    ray = person.rays[digit]
    bone = min(SEGMENTS[digit], key=lambda s: max(ray.z_mm[s][0] - z, z - ray.z_mm[s][1], 0.0))
    _, semi = long_bone(person, digit, bone).at(np.array(z * M_PER_MM))
    return float(semi[0] / M_PER_MM), float(semi[1] / M_PER_MM)


def capsule_semi(person: Person, digit: int, joint: str) -> tuple[float, float]:
    """Return the largest semi-axes in mm that the bones have within a joint's capsule."""
    middle = 0.5 * sum(person.rays[digit].z_mm[joint])
    reach = HALF_CAPSULE_MM[joint.rstrip("12345")] * person.scale
    levels = np.linspace(middle - reach, middle + reach, 9)
    a, b = zip(*(semi_at(person, digit, z) for z in levels), strict=True)
    return max(a), max(b)


def long_bone(person: Person, digit: int, segment: str) -> Stack:
    """Return the outer surface of a metacarpal or phalanx."""
    ray = person.rays[digit]
    base, shaft, head = PROFILE[segment]
    semis = np.array([base, shaft, shaft, shaft, head])
    semis[1] = 0.6 * np.array(shaft) + 0.4 * np.array(base)
    semis[3] = 0.6 * np.array(shaft) + 0.4 * np.array(head)
    low, high = ray.z_mm[segment]
    levels = [low + f * (high - low) for f in _FRACTION]
    semis *= girth(person, digit)
    return tube_mm([(z, *ray.at(z), *ab) for z, ab in zip(levels, semis, strict=True)])


def marrow_of(cortex: Stack, scale: float) -> Stack:
    """Return the marrow space of a bone: what the cortex leaves."""
    low, high = (end / M_PER_MM for end in cortex.ends_m)
    end = 0.9 * scale
    path = []
    for f, thick in zip(_FRACTION, _CORTEX_MM, strict=True):
        z = min(max(low + f * (high - low), low + end), high - end)
        centre, semi = cortex.at(np.array(z * M_PER_MM))
        path.append((z, *(centre / M_PER_MM), *(semi / M_PER_MM - thick * scale)))
    return tube_mm(path, caps=(1.5 * scale, 1.5 * scale))


def carpal_mm(centre: Float64, semi: Float64) -> Stack:
    """Return a carpal bone: an elliptic block with rounded ends, which fills its row better."""
    (x, y, z), (a, b, c) = centre.tolist(), semi.tolist()
    round_mm = BLOCK_ROUND * c
    return tube_mm([(z - c, x, y, a, b), (z + c, x, y, a, b)], caps=(round_mm, round_mm))


def forearm(person: Person) -> Iterator[Solid]:
    """Yield the ends of radius and ulna; names end in ``_cortex`` and ``_marrow``."""
    for name, path in _FOREARM.items():
        outer = tube_mm([[person.scale * v for v in knot] for knot in _top(path, person)])
        yield Solid(name=f"{name}_cortex", tissue="cortical_bone", stack=outer)
        inner = marrow_of(outer, person.scale)
        yield Solid(name=f"{name}_marrow", tissue="yellow_marrow", stack=inner)


# Assumed: level, centre and semi-axes in mm at scale 1; the last level is the joint's.
_FOREARM: Final = {
    "radius": ((-30.0, 9.0, 0.0, 7.0, 6.0), (-14.0, 8.5, 0.0, 9.5, 7.6), (-1.4, 7.5, 0, 12, 8.2)),
    "ulna": (
        (-30.0, -14.5, 1.5, 4.6, 4.6),
        (-12.0, -15.5, 1.5, 6, 6),
        (-5.5, -15.5, 1.5, 5.6, 5.6),
    ),
}


def _top(
    path: Sequence[tuple[float, ...]], person: Person
) -> list[tuple[float, float, float, float, float]]:
    """End the radius where the cartilage of its joint begins, whatever that one's thickness."""
    half = person.cartilage_mm["rcj"] + 0.5 * person.fluid_mm
    knots = [(k[0], k[1], k[2], k[3], k[4]) for k in path]
    if path[-1][0] > -2.0:
        knots[-1] = (-half / person.scale, *knots[-1][1:])
    return knots


def slabs(person: Person) -> Mapping[str, tuple[tuple[float, float], Stack]]:
    """Return each joint's slab: its levels in mm along its axis, and the solid between the bones.

    The slab is one disc; cartilage and fluid share its thickness.
    """
    found: dict[str, tuple[tuple[float, float], Stack]] = {}
    for d in DIGITS:
        ray = person.rays[d]
        for joint in joint_names(d):
            low, high = ray.z_mm[joint]
            a, b = (0.97 * min(p) for p in zip(*_faces(person, d, low, high), strict=True))
            found[joint] = (low, high), _disc(ray, low, high, a, b)
    scale = person.scale
    half = {n: person.cartilage_mm[n] + 0.5 * person.fluid_mm for n in ("rcj", "mcj", "druj")}
    for joint, (x, y, z, a, b) in {
        "rcj": (4.0, 0.0, 0.0, 15.0, 7.6),
        "mcj": (-1.0, 0.5, 18.1, 17.0, 6.2),
    }.items():
        levels = scale * z - half[joint], scale * z + half[joint]
        size = (scale * x, scale * y, scale * a, scale * b)
        found[joint] = levels, tube_mm([(level, *size) for level in levels])
    levels = scale * -6.7 - half["druj"], scale * -6.7 + half["druj"]
    size = (scale * 1.0, scale * -11.0, scale * 4.4, scale * 3.6)
    found["druj"] = levels, tube_mm([(level, *size) for level in levels], axis=0)
    top = person.rays[1].z_mm["mc"][0]
    levels = top - 2 * person.cartilage_mm["cmc1"] - person.fluid_mm, top
    a, b = (0.97 * v * girth(person, 1) for v in PROFILE["mc"][0])
    found["cmc1"] = levels, _disc(person.rays[1], *levels, a, b)
    return found


def _faces(person: Person, digit: int, low: float, high: float) -> list[tuple[float, float]]:
    return [semi_at(person, digit, low - 1e-3), semi_at(person, digit, high + 1e-3)]


def _disc(ray: Ray, low: float, high: float, a: float, b: float) -> Stack:
    return tube_mm([(low, *ray.at(low), a, b), (high, *ray.at(high), a, b)])
