"""When blood comes to each vessel: along their graph, never before it comes to what feeds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from ultrahand.phantoms.digital_hand.person import Ray
from ultrahand.phantoms.digital_hand.vessels import PHALANX, SIDES, ArteryState, Vessel
from ultrahand.units import M_PER_MM

HEALTHY_S: Final[Mapping[str, float]] = {
    "radial_artery": 0.0,
    "ulnar_artery": 0.0,
    "radial_superficial_branch": 0.0,
    "deep_palmar_branch": 0.0,
    "superficial_arch": 1.0,
    "deep_arch": 1.0,
    "common_23": 1.0,
    "common_34": 1.0,
    "common_45": 1.0,
    "P": 2.0,
    "M": 3.0,
    "D": 4.0,
}
"""Arrival in health after that at the wrist, by trunk or level of a digit (assumed: some 5 to 10
cm/s in small arteries). Their differences are the steps from a feeder to what it feeds."""
COLLATERAL_S: Final = 1.0
"""What has no feeder left fills so much later after the wrist than in health (assumed): through
collaterals that are not drawn."""
BONE: Final = {"P": "pp", "M": "mp", "D": "dp"}
"""Bone of each level of a digit."""
_AT_WRIST: Final = ("radial_artery", "ulnar_artery")
_REACHED: Final = 0.5
"""Share of a phalanx along which an artery must run to count as reaching it."""


def filled(
    vessels: Sequence[Vessel],
    states: Mapping[str, ArteryState],
    rays: Mapping[int, Ray],
    wrist_s: float,
    transit_s: Mapping[int, float],
) -> tuple[Vessel, ...]:
    """Return the vessels of a hand with their arrivals.

    Parameters
    ----------
    vessels
        All of them: arteries before what they feed.
    states
        What is wrong, by name of an artery.
    rays
        The digits.
    wrist_s
        When blood comes to the wrist.
    transit_s
        From the first artery of a digit to its veins, by digit.
    """
    arteries = list(_arteries((v for v in vessels if v.kind == "artery"), states, wrist_s))
    veins = [v for v in vessels if v.kind == "vein"]
    digits: dict[int, float | None] = {}
    for digit, ray in rays.items():
        first = first_artery(arteries, ray, digit)
        digits[digit] = None if first is None else time_of(first) + transit_s[digit]
    return (*arteries, *(replace(v, arrival_s=_vein_s(v, veins, digits)) for v in veins))


def _arteries(
    arteries: Iterable[Vessel], states: Mapping[str, ArteryState], wrist_s: float
) -> Iterable[Vessel]:
    """Yield arteries with their arrivals, the feeder by which each fills first."""
    at: dict[str, float] = {}  # less the healthy way from the wrist: all alike in health
    for piece in arteries:
        own = HEALTHY_S[piece.level or piece.name]
        feeders = tuple(sorted(piece.feeders, key=lambda name: at[name]))
        if feeders:
            start = at[feeders[0]]
        elif piece.name in _AT_WRIST:
            start = wrist_s
        else:
            start = min((at[name] for name in _AT_WRIST if name in at), default=wrist_s)
            start += COLLATERAL_S
        if not piece.level or piece.level == PHALANX[piece.digit][0]:
            name = f"{piece.digit}_{piece.side}" if piece.digit else piece.name
            start += states.get(name, ArteryState()).delay_s
        at[piece.name] = start
        yield replace(piece, feeders=feeders, arrival_s=start + own)


def _vein_s(
    vein: Vessel, veins: Sequence[Vessel], digits: Mapping[int, float | None]
) -> float | None:
    """Return when a vein fills: with its digit, on the back with the first that drains into it.

    A vein of the back into which nothing drains fills with the first digit that it lies between
    and that has veins, through veins that are not drawn. None where no agent comes.
    """
    if vein.digit:
        return digits[vein.digit]
    times = [_vein_s(other, veins, digits) for other in veins if other.drains_into == vein.name]
    if not times:
        there = {other.digit for other in veins}
        times = [digits[d] for d in map(int, vein.name[-2:]) if d in there]
    return min((time for time in times if time is not None), default=None)


def time_of(vessel: Vessel) -> float:
    """Return a vessel's arrival; infinity where no agent comes."""
    return inf if vessel.arrival_s is None else vessel.arrival_s


def first_artery(vessels: Iterable[Vessel], ray: Ray, digit: int) -> Vessel | None:
    """Return the proximal piece of the artery by which blood comes to a digit first.

    None where no artery reaches its proximal phalanx.
    """
    own = [v for v in vessels if v.kind == "artery" and v.digit == digit]
    reaching = [side for side in SIDES if levels_reached(own, ray, digit, side)]
    pieces = (v for v in own if v.level == PHALANX[digit][0] and v.side in reaching)
    return min(pieces, key=time_of, default=None)


def levels_reached(vessels: Iterable[Vessel], ray: Ray, digit: int, side: str) -> str:
    """Return the levels that a proper artery reaches, each with all before it: ``PM`` for example.

    It reaches a phalanx where it runs along at least half of it.
    """
    own = [
        v.stack.ends_m for v in vessels if v.kind == "artery" and (v.digit, v.side) == (digit, side)
    ]
    low = min((ends[0] for ends in own), default=0.0) / M_PER_MM
    high = max((ends[1] for ends in own), default=0.0) / M_PER_MM
    reached = ""
    for level in PHALANX[digit]:
        first, last = ray.z_mm[BONE[level]]
        if min(high, last) - max(low, first) < _REACHED * (last - first):
            break
        reached += level
    return reached
