"""Veins of the back of the hand: between the metacarpals, an arch over these, the knuckles'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import sqrt
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.person import Person
from ultrahand.phantoms.digital_hand.soft_tissue import Knot, levels_of
from ultrahand.phantoms.digital_hand.solids import Solid, first_free, settle
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.phantoms.digital_hand.vessels import (
    JUNCTION_MM,
    Vessel,
    as_solid,
    gap_mm,
    junction_mm,
)
from ultrahand.units import M_PER_MM

_BACK_MM: Final = (0.9, 0.55)
"""Assumed semi-axes of the flat veins of the back of the hand."""
_MIDDLE_MM: Final = 0.5
"""Assumed radius of a vein over a knuckle, and of the arch."""
_CLEAR_MM: Final = 0.3
"""Between a vein and the skin, or the vein that it joins."""
_AT_KNUCKLE_MM: Final = {1: 3.4, 2: -3.4, 3: 1.2, 4: -1.2}
"""Places of a finger's first veins over its knuckle, from the ray's line at scale 1 (assumed)."""
_PAIRS: Final = ((2, 3), (3, 4), (4, 5))
_BELOW_HEAD_MM: Final = {2: 10.0, 3: 9.0, 4: 7.5, 5: 5.2}
"""Assumed: the arch runs so far from the ends of the metacarpals, where tendons lie deepest."""
_DEPTHS_MM: Final = (0.0, 0.6, 1.2, 2.0, 3.0)
"""Below the skin at scale 1, the likeliest first."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Back:
    """The back of one hand."""

    person: Person
    surface: Mapping[str, Stack]
    """Of each region."""
    skin_mm: Mapping[int, float]
    """Thickness, by digit; 0 is the palm's."""

    def height_mm(self, region: str, z: float, x: float, depth: float = 0.0) -> float:
        """Return how high the middle of a vein lies just under the skin, or deeper."""
        digit = int(region[-1]) if region.startswith("digit") else 0
        below = self.skin_mm[digit] + _MIDDLE_MM + 1.5 * _CLEAR_MM
        centre, semi = (v / M_PER_MM for v in self.surface[region].at(np.array(z * M_PER_MM)))
        share = min(abs(x - centre[0]) / (semi[0] - below), 1.0)
        return float(centre[1] + (semi[1] - below) * sqrt(1.0 - share**2)) - depth


def back_veins(
    back: Back,
    solids: Sequence[Solid],
    first: Mapping[str, Vessel],
) -> Iterator[Vessel]:
    """Yield the veins of the back of the hand with their arch, and the thumb's.

    Parameters
    ----------
    back
        Whose.
    solids
        What is there: what finds no free place is left out, but for those along the metacarpals.
    first
        The proximal pieces of the digits' veins.
    """
    drained = {piece.digit for piece in first.values()}
    for pair in _PAIRS:
        if not drained & set(pair):
            continue
        name = f"vein_back_{pair[0]}{pair[1]}"
        arch = first_free(solids, _arch(back, *pair))
        path = _back(back.person, *pair)
        if arch is not None:
            last = _up_to(arch, back.person, *pair)
            path = [*(knot for knot in path if knot[0] < last[0] - 1.5), last]
        stack = settle(solids, tube_mm(path))
        yield _vein(name, stack, None)
        if arch is not None:
            into = name if junction_mm(arch, stack) <= JUNCTION_MM else None
            yield _vein(name.replace("back", "arch"), arch, into)
    thumb = first.get("vein_1_dorsal1_P")
    along = first_free(solids, _along_thumb(back.person, thumb)) if thumb else None
    if thumb is not None and along is not None:
        yield _vein(way_of(thumb.name), along, None, digit=1)
        other = first.get("vein_1_dorsal2_P")
        over = first_free(solids, _over_thumb(back, thumb.stack, other.stack)) if other else None
        if over is not None:
            found = _vein("vein_1_arch", over, thumb.name, digit=1)
            yield replace(found, backwards=False)


def _vein(name: str, stack: Stack, into: str | None, *, digit: int = 0) -> Vessel:
    return Vessel(
        name=name,
        kind="vein",
        stack=stack,
        drains_into=into,
        digit=digit,
        side="dorsal" if digit else "",
        backwards=True,
    )


def way_of(name: str) -> str:
    """Return the name of the piece that goes on from a digital vein's proximal piece."""
    return name.removesuffix("_P").replace("dorsal", "knuckle")


def knuckle_veins(
    back: Back,
    solids: Sequence[Solid],
    first: Mapping[str, Vessel],
    arches: Sequence[Vessel],
) -> Iterator[Vessel]:
    """Yield what joins the dorsal veins of fingers to the arch of the back, over their knuckles.

    Parameters
    ----------
    back
        Whose.
    solids
        All that is there: a vein takes the first free way; where there is none, it is left out.
    first
        The proximal pieces of the digits' veins.
    arches
        The pieces of the arch.
    """
    there = list(solids)
    for piece in first.values():
        number = int(piece.name[-3]) if piece.side == "dorsal" else 0
        if piece.digit == 1 or number not in _AT_KNUCKLE_MM:
            continue
        stacks = {
            stack: arch for arch in arches for stack in _over_knuckle(back, piece, number, arch)
        }
        stack = first_free(there, stacks)
        if stack is not None:
            into = stacks[stack].name
            found = _vein(way_of(piece.name), stack, into, digit=piece.digit)
            there.append(as_solid(found))
            yield found


def _over_knuckle(back: Back, piece: Vessel, number: int, arch: Vessel) -> Iterator[Stack]:
    """Yield ways from a finger's vein over its knuckle to a piece of the arch, shallow ones first.

    Parameters
    ----------
    back
        Whose.
    piece, number
        The vein of the finger, and which of its veins.
    arch
        What it shall join; nothing is yielded where it does not get there.
    """
    ray, s, r = back.person.rays[piece.digit], back.person.scale, _MIDDLE_MM
    first = piece.stack.ends_m[0] / M_PER_MM
    x, y = (piece.stack.at(np.array(piece.stack.ends_m[0]))[0] / M_PER_MM).tolist()
    head, web, off = ray.z_mm["mc"][1], levels_of(back.person).little, x - ray.at(first)[0]
    aim = _AT_KNUCKLE_MM[number] * s
    to_x = ray.at(head)[0] + aim
    low, high = (end / M_PER_MM for end in arch.stack.ends_m)
    at = min(max(to_x, low), high)
    if abs(at - to_x) > JUNCTION_MM:
        return
    to_y, to_z = (arch.stack.at(np.array(at * M_PER_MM))[0] / M_PER_MM).tolist()
    end = to_z + r + _CLEAR_MM + 0.3 * s
    to_y = min(to_y, back.height_mm("palm2", end, to_x))
    up = min(head + 2.0, web - 1.5)
    over = up, ray.at(up)[0] + aim
    region = "palm3" if web < first - 4.0 else "palm2"

    def below(z: float, share: float, high: float) -> Knot:
        place = ray.at(z)[0] + off + share * (aim - off)
        return z, place, min(high, back.height_mm(region, z, place)), r, r

    for depth in _DEPTHS_MM:
        path = [(end, to_x, to_y, r, r), (*over, back.height_mm("palm2", *over, depth * s), r, r)]
        if region == "palm3":  # beside the web of the little finger, which stands apart there
            at_web = ray.at(web)[0] + 0.5 * (off + aim)
            high = ray.at(web)[1] + (9.5 - depth) * s
            high = min(high, back.height_mm("palm2", web, at_web) - 0.2 * s)
            path += [below(web, 0.5, high), below(first - 2.5, 0.3, 0.7 * y + 0.3 * high)]
        stack = tube_mm([*path, below(first, 0.15, y)])
        if gap_mm(stack, stack.ends_m[0], arch.stack) <= JUNCTION_MM - _CLEAR_MM:
            yield stack


def _arch(back: Back, proximal: int, distal: int) -> Iterator[Stack]:
    """Yield places for the arch between two rays, below their knuckles; it begins and ends there.

    At the sides of the hand it reaches beyond the ray to the veins there.
    """
    rays, s, r = back.person.rays, back.person.scale, _MIDDLE_MM
    ends = []
    for d in (distal, proximal):
        z = rays[d].z_mm["mc"][1] - _BELOW_HEAD_MM[d] * s
        beyond = {2: 3.6, 5: -3.6}.get(d, 0.3 if d == distal else -0.3) * s
        ends.append((rays[d].at(z)[0], z, beyond))
    (left, low, out), (right, high, over) = ends
    for depth in _DEPTHS_MM:
        path = []
        for x in np.linspace(left + out, right + over, 7).tolist():
            z = float(np.interp(x, [left, right], [low, high]))
            path.append((x, back.height_mm("palm2", z, x, depth * s), z, r, r))
        yield tube_mm(path, axis=0)


def _up_to(arch: Stack, person: Person, proximal: int, distal: int) -> Knot:
    """Return the last knot of a vein between two rays: where it meets the arch."""
    a, b = (person.scale * v for v in _BACK_MM)
    z = arch.box_m[0, 2] / M_PER_MM
    x = 0.5 * (person.rays[proximal].at(z)[0] + person.rays[distal].at(z)[0])
    y, z = (arch.at(np.array(x * M_PER_MM))[0] / M_PER_MM).tolist()
    return z - _MIDDLE_MM - _CLEAR_MM - 0.3 * person.scale, x, y - _CLEAR_MM, a, b


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


def _along_thumb(person: Person, vein: Vessel) -> Iterator[Stack]:
    """Yield ways of the thumb's vein along the back of its metacarpal to the wrist."""
    s, (a, b) = person.scale, _BACK_MM
    end = vein.stack.ends_m[0]
    x, y = (vein.stack.at(np.array(end))[0] / M_PER_MM).tolist()
    r = _MIDDLE_MM
    for up, aside, down in product((0.0, -0.8, 0.8), (0.0, 0.8, -0.8), (2.6, 2.0, 3.2)):
        path = [(s * z, s * (at + aside), s * (high + up), a, b) for z, at, high in _THUMB_MM]
        yield tube_mm([*path, (end / M_PER_MM, x + 0.2 * s, y - down * s, r, r)])


def _over_thumb(back: Back, radial: Stack, ulnar: Stack) -> Iterator[Stack]:
    """Yield places for what joins the thumb's ulnar veins to a radial one, below those between."""
    s, r = back.person.scale, _MIDDLE_MM
    for depth, up in product((1.1, 1.5, 0.8, 1.9), (1.2, 2.2, 3.4)):
        z = radial.ends_m[0] / M_PER_MM + up * s
        sides = [float(v.at(np.array(z * M_PER_MM))[0][0]) / M_PER_MM for v in (ulnar, radial)]
        apart = 2.0 * r + _CLEAR_MM
        across = np.linspace(sides[0] + apart, sides[1] - apart, 7).tolist()
        path = [(x, back.height_mm("digit1", z, x, depth * s), z, r, r) for x in across]
        yield tube_mm(path, axis=0)


# Assumed, at scale 1: level and centre, radial of the thumb's extensor tendon.
_THUMB_MM: Final = (
    (-29.0, 18.0, 8.0),
    (0.0, 20.0, 7.8),
    (18.0, 23.5, 8.5),
    (30.0, 30.0, 6.5),
    (44.0, 39.8, 1.0),
)
