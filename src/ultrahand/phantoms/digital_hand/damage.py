"""Bones with erosions and oedema, and deposits of calcium under the skin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import pi
from typing import Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.bones import CARPALS, carpal_mm, girth, long_bone, marrow_of
from ultrahand.phantoms.digital_hand.joints import between
from ultrahand.phantoms.digital_hand.lesions import Deposit, Erosion, Lesions, Oedema
from ultrahand.phantoms.digital_hand.oedema import assessed_level_m, beyond, wet_level_m
from ultrahand.phantoms.digital_hand.person import DIGITS, SEGMENTS, Person
from ultrahand.phantoms.digital_hand.solids import Solid, first_free
from ultrahand.phantoms.digital_hand.stack import Stack, ellipsoid_mm, tube_mm
from ultrahand.units import M_PER_MM

_ASIDE: Final = {"radial": (0, 1.0), "ulnar": (0, -1.0), "dorsal": (1, 1.0), "palmar": (1, -1.0)}
"""Axis of the cross-section and direction of each side."""
_FLATNESS: Final = 0.78
"""An erosion's semi-axes across the bone, relative to the one along it (assumed)."""
_RIM_MM: Final = 0.45
"""Cortex left between an erosion and the marrow (a sclerotic rim; assumed)."""
_CORTEX_MM: Final = 0.7


def carpal_bones(person: Person, lesions: Lesions) -> Iterator[Solid]:
    """Yield the carpal bones with what is wrong with them."""
    for name, (centre, semi) in CARPALS.items():
        at = np.array(centre) * person.scale
        size = np.array(semi) * person.scale
        inner, place = size - _CORTEX_MM * person.scale, at.copy()
        yield Solid(name=f"{name}_cortex", tissue="cortical_bone", stack=carpal_mm(at, size))
        for erosion in (e for e in lesions.erosions if e.site == name):
            axis, sign = _ASIDE[erosion.side]
            across, along = _erosion_size(erosion)
            hole = at.copy()
            hole[axis] += sign * (0.86 * size[axis] - across)
            edge = sign * hole[axis] - across - _RIM_MM  # of the marrow, on the erosion's side
            far = sign * at[axis] - inner[axis]
            if edge - far < 2.0:
                raise _too_large(erosion)
            inner *= 0.8  # as it moves away from the middle
            inner[axis], place[axis] = 0.5 * (edge - far), sign * 0.5 * (edge + far)
            stack = ellipsoid_mm(hole, (across, across, along))
            yield Solid(name=f"{name}_erosion", tissue="erosion", stack=stack)
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
                hole, pieces = _eroded(outer, pieces, erosion)
                yield Solid(name=f"{erosion.site}_erosion", tissue="erosion", stack=hole)
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


def _erosion_size(erosion: Erosion) -> tuple[float, float]:
    """Return the semi-axes across and along the bone, in mm."""
    along = (erosion.volume_mm3 / (4.0 / 3.0 * pi * _FLATNESS**2)) ** (1 / 3)
    return _FLATNESS * along, along


def _eroded(outer: Stack, marrow: Sequence[Stack], erosion: Erosion) -> tuple[Stack, list[Stack]]:
    """Cut an ellipsoid into a bone's end, at its surface; push the marrow aside."""
    axis, sign = _ASIDE[erosion.side]
    across, along = _erosion_size(erosion)
    low, high = (end / M_PER_MM for end in outer.ends_m)
    middle = high - along - 1.0 if erosion.site.endswith("head") else low + along + 1.0
    if not low + along < middle < high - along:
        raise _too_large(erosion)
    levels = (middle - along, middle, middle + along)
    path, kept = [], []
    for z in levels:
        centre, semi = (v / M_PER_MM for v in outer.at(np.array(z * M_PER_MM)))
        place = centre.copy()
        place[axis] += sign * (0.94 * semi[axis] - across)
        path.append((z, *place, across, across))
        edge = sign * place[axis] - across - _RIM_MM
        far = sign * centre[axis] - semi[axis] + 0.9
        if edge - far < 1.2:
            raise _too_large(erosion)
        middle_of, half = centre.copy(), 0.8 * (semi - 0.9)
        middle_of[axis], half[axis] = sign * 0.5 * (edge + far), 0.5 * (edge - far)
        kept.append((z, *middle_of, *half))
    kept[0] = (kept[0][0] - 0.3, *kept[0][1:])
    kept[-1] = (kept[-1][0] + 0.3, *kept[-1][1:])
    below, rest = _split(list(marrow), kept[0][0], above=False)
    above, _ = _split(rest, kept[-1][0], above=True)
    aside = tube_mm(kept)
    ends = (marrow[0].ends_m[0] / M_PER_MM, marrow[-1].ends_m[1] / M_PER_MM)
    aside = between(aside, max(kept[0][0], ends[0]), min(kept[-1][0], ends[1]))
    return tube_mm(path, caps=(along, along)), [*below, aside, *above]


def _split(pieces: list[Stack], z_mm: float, *, above: bool) -> tuple[list[Stack], list[Stack]]:
    """Divide pieces at a level: those on the asked side, and the rest."""
    lower, upper = [], []
    for piece in pieces:
        low, high = (end / M_PER_MM for end in piece.ends_m)
        first, last = (cap / M_PER_MM for cap in piece.caps_m)
        cut = min(max(z_mm, low + first), high - last)  # a rounded end is not cut
        if z_mm <= low + first:
            upper.append(piece)
        elif z_mm >= high - last:
            lower.append(piece)
        else:
            lower.append(between(piece, low, cut))
            upper.append(between(piece, cut, high))
    return (upper, lower) if above else (lower, upper)


def _too_large(erosion: Erosion) -> InputError:
    return InputError(
        f"erosion {erosion.site}",
        found=f"{erosion.volume_mm3:g} mm3 on its {erosion.side} side",
        expected="a hole that leaves marrow in this bone's end",
        remedy="make it smaller or put it on a wider side",
    )


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
