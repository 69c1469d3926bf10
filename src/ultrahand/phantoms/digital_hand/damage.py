"""Bones with erosions and oedema, and deposits of calcium under the skin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.bones import CARPALS, carpal_mm, girth, long_bone, marrow_of
from ultrahand.phantoms.digital_hand.erosions import SIDES, beside, bite, pushed_aside
from ultrahand.phantoms.digital_hand.lesions import Deposit, Lesions, Oedema
from ultrahand.phantoms.digital_hand.oedema import assessed_level_m, beyond, wet_level_m
from ultrahand.phantoms.digital_hand.person import DIGITS, SEGMENTS, Person
from ultrahand.phantoms.digital_hand.solids import Solid, first_free
from ultrahand.phantoms.digital_hand.stack import Stack, ellipsoid_mm

_CORTEX_MM: Final = 0.7


def carpal_bones(person: Person, lesions: Lesions) -> Iterator[Solid]:
    """Yield the carpal bones with what is wrong with them."""
    for name, (centre, semi) in CARPALS.items():
        at = np.array(centre) * person.scale
        size = np.array(semi) * person.scale
        inner, place = size - _CORTEX_MM * person.scale, at.copy()
        bone = carpal_mm(at, size)
        yield Solid(name=f"{name}_cortex", tissue="cortical_bone", stack=bone)
        for erosion in (e for e in lesions.erosions if e.site == name):
            axis, sign = SIDES[erosion.side]
            hole = bite(bone, erosion)
            edge = float(size[axis] - hole.depth_mm.max())
            shift, inner = beside(inner, axis, edge, erosion)
            place[axis] += sign * shift
            yield Solid(name=f"{name}_erosion", tissue="erosion", stack=hole.stack)
        yield Solid(name=f"{name}_marrow", tissue="yellow_marrow", stack=carpal_mm(place, inner))
        for oedema in (o for o in lesions.oedemas if o.site == name):
            part = inner * oedema.share ** (1 / 3)
            stack = carpal_mm(place, part)
            yield Solid(name=f"{name}_oedema", tissue="marrow_oedema", stack=stack)


def long_bones(person: Person, lesions: Lesions) -> Iterator[Solid]:
    """Yield metacarpals and phalanges with what is wrong with their ends."""
    for d in DIGITS:
        for segment in SEGMENTS[d]:
            outer = long_bone(person, d, segment)
            bone = f"{segment}{d}"
            yield Solid(name=f"{bone}_cortex", tissue="cortical_bone", stack=outer)
            pieces = [marrow_of(outer, girth(person, d))]
            for erosion in (e for e in lesions.erosions if e.site.startswith(f"{bone}_")):
                hole = bite(outer, erosion)
                pieces = pushed_aside(outer, pieces, erosion, hole)
                yield Solid(name=f"{erosion.site}_erosion", tissue="erosion", stack=hole.stack)
            for number, stack in enumerate(pieces, 1):
                suffix = "" if number == 1 else f"{number}"
                yield Solid(name=f"{bone}_marrow{suffix}", tissue="yellow_marrow", stack=stack)
            yield from _wet(outer, pieces, [o for o in lesions.oedemas if o.site.startswith(bone)])


def _wet(bone: Stack, marrow: list[Stack], oedemas: Sequence[Oedema]) -> Iterator[Solid]:
    """Yield the wet parts of a long bone's marrow; those of its two ends do not overlap."""
    dry = marrow
    for oedema in oedemas:
        head = oedema.site.endswith("head")
        limit = assessed_level_m(bone, head=head)
        level = wet_level_m(marrow, limit, oedema.share, head=head)
        for number, stack in enumerate(beyond(dry, level, head=head), 1):
            name = f"{oedema.site}_oedema{number}"
            yield Solid(name=name, tissue="marrow_oedema", stack=stack)
        dry = beyond(dry, level, head=not head)


def deposits(person: Person, lesions: Lesions, solids: Sequence[Solid]) -> Iterator[Solid]:
    """Yield deposits in the first places near their site that cross nothing.

    Raises
    ------
    InputError
        There is no room for one.
    """
    there = list(solids)
    for number, deposit in enumerate(lesions.deposits, 1):
        for part, (size, shift) in enumerate(_parts(deposit)):
            options = (
                ellipsoid_mm(place + shift, size) for place in _places(person, deposit, size)
            )
            stack = first_free(there, (s for s in options if _in_fat(there, s)))
            if stack is None:
                raise InputError(
                    f"calcinosis {number}",
                    found=f"{deposit.size_mm:g} mm in the {deposit.place} of digit {deposit.digit}",
                    expected="a size that the fat there has room for",
                    remedy="make it smaller or choose another place",
                )
            suffix = "" if deposit.shape != "cluster" else "abcde"[part]
            solid = Solid(name=f"calcinosis{number}{suffix}", tissue="calcinosis", stack=stack)
            there.append(solid)
            yield solid


def _parts(deposit: Deposit) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the semi-axes of each part of a deposit and where it lies in it, in mm."""
    half = 0.5 * deposit.size_mm
    if deposit.shape == "nodule":
        return [(half * np.array([0.75, 0.6, 1.0]), np.zeros(3))]
    if deposit.shape == "plate":
        thin, wide = (0.13, 0.3) if deposit.place == "palm" else (0.5, 0.13)
        return [(half * np.array([thin, wide, 1.0]), np.zeros(3))]
    shifts = half * np.array(
        [[0.5, 0, 0.7], [-0.5, 0.1, 0.6], [0, -0.1, 0], [0.55, 0, -0.7], [-0.5, 0, -0.65]]
    )
    return [(half * np.array([0.25, 0.25, 0.3]), shift) for shift in shifts]


def _places(person: Person, deposit: Deposit, size: np.ndarray) -> Iterator[np.ndarray]:
    """Yield places to try, the most likely first."""
    ray, s = person.rays[deposit.digit], person.scale
    if deposit.place == "pulp":
        low, high = ray.z_mm["dp"]
        for f, down, aside in product(
            (0.75, 0.6, 0.9, 0.45), np.arange(3.0, 7.0, 0.25), (0.0, 0.8, -0.8)
        ):
            z = low + f * (high - low)
            x, y = ray.at(z)
            yield np.array([x + aside, y - down * s - 0.0 * size[1], z])
        return
    little = person.rays[5]
    middle = sum(little.z_mm["mc"]) / 2
    for up, out, z in product(
        (-2.0, -4.0, 0.0, -6.0, 2.0),
        np.arange(8.5, 17.0, 0.25),
        (middle, middle + 8, middle - 8, middle + 14),
    ):
        yield np.array([little.at(z)[0] - out * s, little.at(z)[1] + up * s, z])
    for d, below, down in product((4, 3), (9.0, 5.0, 13.0), np.arange(9.0, 16.0, 0.25)):
        z = person.rays[d].z_mm["mc"][1] - below * s  # in the pad below the knuckles
        yield np.array([person.rays[d].at(z)[0], -down * s, z])


def _in_fat(solids: Sequence[Solid], stack: Stack) -> bool:
    """Tell whether the middle of a stack lies in subcutaneous fat."""
    low, high = stack.ends_m
    point = stack.points(np.array([0.5 * (low + high)]))
    inside = [item.tissue for item in solids if item.stack.contains(point)[0]]
    return bool(inside) and inside[-1] == "subcutaneous_fat"
