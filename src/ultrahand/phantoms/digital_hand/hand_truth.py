"""What a reading of the vessels would say of each hand, from its geometry: truth for `vessels`.

The definitions are working ones: no published reading of the hand's vessels is a computable rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ultrahand.phantoms.digital_hand.anatomy import Hand
from ultrahand.phantoms.digital_hand.filling import levels_reached
from ultrahand.phantoms.digital_hand.person import DIGITS
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.phantoms.digital_hand.vessels import PROPER
from ultrahand.units import M_PER_MM

_NUMBER: Final = {"P": 1, "M": 2, "D": 3}
_WRIST_M: Final = 0.0
"""Plane of the wrist: the radiocarpal joint."""
_TYPES: Final = {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}
"""By patency of the radial and the ulnar artery."""
DEFINITIONS: Final[Mapping[str, str]] = {
    "pattern_type": (
        "patency at the plane of the radiocarpal joint: 1 radial and ulnar artery, 2 ulnar lost, "
        "3 radial lost, 4 both lost (types 2 and 4 as Leyden et al., J Hand Surg 2019; 1 and 3 a "
        "working definition)"
    ),
    "subtype": (
        "arch that is lost (absent, occluded or fed by nothing), whatever the arteries at the "
        "wrist: A superficial, B deep, C both, n/a none (A as Leyden et al.; B and C a working "
        "definition)"
    ),
    "n_arch_connections": "complete palmar arches between radial and ulnar artery, 0 to 2",
    "reach": (
        "by proper artery, the most distal phalanx (1 proximal, 2 middle, 3 distal) of which it "
        "runs along at least half, with all before; 0 none (working definition)"
    ),
    "n_damaged_10": (
        "proper arteries with reach 0, of ten; arrival is not considered (working definition "
        "after Allanore et al., Arthritis Rheum 2007;56:2747)"
    ),
    "n_damaged_8": "the same without the thumb's two",
    "n_veins_proximal": (
        "by digit, veins that cross the middle of the proximal phalanx; none where no artery "
        "reaches the digit, as its veins then have no agent (working definition)"
    ),
    "venous_return_absent_proximal_percent": (
        "digits of which no vein with agent, dorsal or palmar, crosses the middle of the proximal "
        "phalanx, of five; when it arrives is not considered (working definition)"
    ),
}


def hands_truth(subject: Subject) -> dict[str, object]:
    """Return definitions, and what they come to in each hand."""
    rows = [{"side": side, **_hand(hand)} for side, hand in subject.hands.items()]
    return {"definitions": dict(DEFINITIONS), "hands": rows}


def _hand(hand: Hand) -> dict[str, object]:
    patent = tuple(_at_wrist(hand, name) for name in ("radial_artery", "ulnar_artery"))
    open_arches, complete = _arches(hand)
    reach = {f"{d}_{side}": reach_of(hand, d, side) for d, side in PROPER}
    fingers = [value for name, value in reach.items() if not name.startswith("1")]
    veins = {str(d): _veins(hand, d) for d in DIGITS}
    absent = sum(count == 0 for count in veins.values())
    return {
        "pattern_type": _TYPES[patent[0], patent[1]],
        "subtype": {(True, True): "n/a", (False, True): "A", (True, False): "B"}.get(
            open_arches, "C"
        ),
        "n_arch_connections": sum(complete),
        "reach": reach,
        "n_damaged_10": sum(value == 0 for value in reach.values()),
        "n_damaged_8": sum(value == 0 for value in fingers),
        "n_veins_proximal": veins,
        "venous_return_absent_proximal_percent": 100.0 * absent / len(DIGITS),
    }


def _at_wrist(hand: Hand, name: str) -> bool:
    """Tell whether an artery is open from where it enters to the plane of the wrist."""
    own = [v.stack.ends_m for v in hand.vessels if v.name == name]
    return bool(own) and own[0][0] <= _WRIST_M <= own[0][1]


def _arches(hand: Hand) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    """Tell of superficial and deep arch whether each is open, and whether fed from both sides."""
    feeders = {v.name: set(v.feeders) for v in hand.vessels if v.kind == "artery"}
    is_open, complete = [], []
    for arch, branch, artery in (
        ("superficial_arch", "radial_superficial_branch", "ulnar_artery"),
        ("deep_arch", "deep_palmar_branch", "radial_artery"),
    ):
        fed = feeders.get(arch, set())
        is_open.append(_uncut(hand, arch) and bool(fed))
        complete.append(is_open[-1] and {branch, artery} <= fed and bool(feeders[branch]))
    return (is_open[0], is_open[1]), (complete[0], complete[1])


def _uncut(hand: Hand, name: str) -> bool:
    state = hand.lesions.arteries.get(name)
    return state is None or (state.present and state.occluded_at is None)


def reach_of(hand: Hand, digit: int, side: str) -> int:
    """Return the most distal phalanx that a proper artery reaches, with all before: 0 to 3."""
    levels = levels_reached(hand.vessels, hand.person.rays[digit], digit, side)
    return _NUMBER[levels[-1]] if levels else 0


def _veins(hand: Hand, digit: int) -> int:
    """Return how many veins with agent cross the middle of a digit's proximal phalanx."""
    middle = 0.5 * sum(hand.person.rays[digit].z_mm["pp"]) * M_PER_MM
    own = (v for v in hand.vessels if v.kind == "vein" and v.digit == digit)
    ends = (v.stack.ends_m for v in own if v.arrival_s is not None)
    return sum(low <= middle <= high for low, high in ends)
