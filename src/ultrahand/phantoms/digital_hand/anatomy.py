"""One hand put together: all its solids in the order they are painted, and its vessels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.bones import forearm, slabs
from ultrahand.phantoms.digital_hand.damage import carpal_bones, deposits, long_bones
from ultrahand.phantoms.digital_hand.digital_arteries import proper_arteries
from ultrahand.phantoms.digital_hand.filling import filled
from ultrahand.phantoms.digital_hand.joints import capsules, cartilages
from ultrahand.phantoms.digital_hand.lesions import Lesions
from ultrahand.phantoms.digital_hand.palm_arteries import palm_arteries, trunks_of
from ultrahand.phantoms.digital_hand.person import DIGITS, Person, draw_person
from ultrahand.phantoms.digital_hand.soft_tissue import Swelling, layers, muscles, tendons
from ultrahand.phantoms.digital_hand.solids import Solid, check_nesting
from ultrahand.phantoms.digital_hand.stack import Stack
from ultrahand.phantoms.digital_hand.veins import veins
from ultrahand.phantoms.digital_hand.vessels import PROPER, ArteryState, Vessel, as_solid

WRIST_S: Final = 20.0
"""Arrival at the wrist after the start of the injection, mean (assumed: arm to hand)."""
_WRIST_SD_S: Final = 3.0
"""From person to person (assumed); draws are cut at two of these."""
MIN_LUMEN_MM2: Final = 0.05
"""Thinner is no artery any more: draws are cut here."""
_TRANSIT_S: Final = (2.0, 60.0)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Hand:
    """A right hand (a left one is its mirror image) in its own frame."""

    person: Person
    lesions: Lesions
    solids: tuple[Solid, ...]
    vessels: tuple[Vessel, ...]
    vein_count: Mapping[int, int]
    """Dorsal veins of each digit."""
    wrist_s: float
    """Arrival at the wrist, from the start of the injection: one for both hands of a person."""
    transit_s: Mapping[int, float]
    """From the first artery of the proximal phalanx to its veins, by digit."""
    joints: Mapping[str, tuple[float, float, float]]
    """Centre of each joint in metres."""


def draw_wrist_s(rng: np.random.Generator) -> float:
    """Draw a person's arrival at the wrist, in whole seconds: arrival times are few."""
    low, high = WRIST_S - 2.0 * _WRIST_SD_S, WRIST_S + 2.0 * _WRIST_SD_S
    return float(np.clip(np.rint(rng.normal(WRIST_S, _WRIST_SD_S)), low, high))


def build_hand(
    rng: np.random.Generator, lesions: Lesions, size: float, wrist_s: float = WRIST_S
) -> Hand:
    """Build a hand.

    Parameters
    ----------
    rng
        Source of everything that differs from hand to hand.
    lesions
        What is wrong, and what vessels are drawn from.
    size
        Of the person's hands, from `draw_scale`.
    wrist_s
        When blood comes to the person's wrists, from `draw_wrist_s`; the rest follows it.

    Raises
    ------
    InputError
        A lesion does not fit into this hand.
    """
    person = draw_person(rng, size)
    counts, transit, lumen = _draw_vessels(rng, lesions)
    swelling = Swelling(
        capsule=_added(lesions.synovitis_mm, lesions.effusion_mm),
        sheath=lesions.sheath_mm,
        skin=lesions.skin_mm,
    )
    solids = [
        *layers(person, swelling),
        *muscles(person, swelling),
        *capsules(person, lesions.synovitis_mm, lesions.effusion_mm),
        *tendons(person, swelling),
        *forearm(person),
        *carpal_bones(person, lesions),
        *long_bones(person, lesions),
        *cartilages(person, lesions.cartilage),
    ]
    vessels: list[Vessel] = []

    def paint(pieces: Iterable[Vessel]) -> None:
        for piece in pieces:
            vessels.append(piece)
            solids.append(as_solid(piece))

    states = lesions.arteries
    trunks = trunks_of(person, tuple(solids), states)
    paint(palm_arteries(trunks))
    paint(proper_arteries(person, swelling, tuple(solids), trunks, states, lumen))
    paint(veins(person, swelling, tuple(solids), counts))
    _check_narrowings(vessels, states)
    solids += deposits(person, lesions, solids)
    check_nesting(solids)
    return Hand(
        person=person,
        lesions=lesions,
        solids=tuple(solids),
        vessels=filled(vessels, states, person.rays, wrist_s, transit),
        vein_count=counts,
        wrist_s=wrist_s,
        transit_s=transit,
        joints={name: _centre(stack) for name, (_, stack) in slabs(person).items()},
    )


def _check_narrowings(vessels: Sequence[Vessel], states: Mapping[str, ArteryState]) -> None:
    """Refuse a narrowing that lies beyond the place where its artery ends: it has no effect."""
    narrowed = {
        f"{v.digit}_{v.side}" if v.digit else v.name for v in vessels if v.narrowest_m is not None
    }
    for name, state in states.items():
        if state.occluded_at is not None and state.stenosis_percent > 0 and name not in narrowed:
            raise InputError(
                f"artery {name}",
                found=f"stenosed beyond where it is occluded, at = {state.occluded_at:g}",
                expected="a narrowing in what is left of it: that of a digit lies half way up the "
                "proximal phalanx, that of a trunk in the middle of its course",
                remedy="occlude it further on, or leave one of the two out",
            )


def _added(one: Mapping[str, float], other: Mapping[str, float]) -> Mapping[str, float]:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {*one, *other}}


def _centre(stack: Stack) -> tuple[float, float, float]:
    low, high = stack.ends_m
    x, y, z = stack.points(np.array(0.5 * (low + high))).tolist()
    return x, y, z


def _draw_vessels(
    rng: np.random.Generator, lesions: Lesions
) -> tuple[dict[int, int], dict[int, float], dict[tuple[int, str], float]]:
    """Draw numbers of veins, transit times in whole seconds and lumen areas."""
    mean, sd = lesions.vein_count
    drawn = {d: int(np.clip(np.rint(rng.normal(mean, sd)), 0, 6)) for d in DIGITS}
    counts = {d: int(lesions.veins.get(d, drawn[d])) for d in DIGITS}
    mean, sd = lesions.transit_s
    transit = {d: float(np.clip(np.rint(rng.normal(mean, sd)), *_TRANSIT_S)) for d in DIGITS}
    mean, sd = lesions.lumen_mm2
    top = max(mean + 2.0 * sd, MIN_LUMEN_MM2)
    lumen = {key: float(np.clip(rng.normal(mean, sd), MIN_LUMEN_MM2, top)) for key in PROPER}
    return counts, transit, lumen
