"""What is true of the vessels: their graph, when each piece fills, and how wide it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ultrahand.phantoms.digital_hand.anatomy import Hand
from ultrahand.phantoms.digital_hand.filling import BONE, first_artery, time_of
from ultrahand.phantoms.digital_hand.lumina import lumen_mm2
from ultrahand.phantoms.digital_hand.person import DIGITS
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.phantoms.digital_hand.truth import Rows, place_ras
from ultrahand.phantoms.digital_hand.vessels import Vessel
from ultrahand.units import M_PER_MM


def vessel_rows(subject: Subject, arrival_s: Mapping[str, float]) -> Rows:
    """Return the pieces of all vessels: the graph, when each fills, how wide it is.

    Parameters
    ----------
    subject
        The examination's.
    arrival_s
        Of each piece to which the agent comes, as the signal has it: merged where arrivals are
        too many.
    """
    rows: Rows = []
    for side, hand in subject.hands.items():
        prefix = subject.prefix(side)
        feeders = {v.name: list(v.feeders) for v in hand.vessels}
        for v in hand.vessels:
            if v.drains_into:
                feeders[v.drains_into].append(v.name)
        time = {v.name: time_of(v) for v in hand.vessels}
        for v in hand.vessels:
            feeding = sorted(feeders[v.name], key=lambda name: time[name])
            ends = [v.stack.points(np.array(end)) for end in v.ends_m]
            first, last = (place_ras(subject, side, p) for p in ends)
            rows.append(
                {
                    "name": prefix + v.name,
                    "side": side,
                    "kind": v.kind,
                    "digit": v.digit or None,
                    "digit_side": v.side or None,
                    "level": v.level or None,
                    "upstream": prefix + feeding[0] if feeding else None,
                    "feeders": " ".join(prefix + name for name in feeding) or None,
                    "drains_into": prefix + v.drains_into if v.drains_into else None,
                    "arrival_s": arrival_s.get(prefix + v.name),
                    "drawn_arrival_s": v.arrival_s,
                    "lumen_area_mm2": v.lumen_mm2,
                    "min_lumen_area_mm2": v.min_lumen_mm2,
                    "mid_phalanx_lumen_area_mm2": _mid_phalanx_mm2(hand, v),
                    "stenosis_percent": v.stenosis_percent,
                    "length_mm": v.length_mm,
                    **{f"start_{k}": value for k, value in first.items()},
                    **{f"end_{k}": value for k, value in last.items()},
                }
            )
    return rows


def _mid_phalanx_mm2(hand: Hand, vessel: Vessel) -> float | None:
    """Return the lumen half way up the phalanx of a piece; None where it does not get there."""
    if not vessel.level:
        return None
    low, high = hand.person.rays[vessel.digit].z_mm[BONE[vessel.level]]
    middle = 0.5 * (low + high) * M_PER_MM
    first, last = vessel.stack.ends_m
    return float(lumen_mm2(vessel.stack, np.array(middle))) if first <= middle <= last else None


def transit_rows(subject: Subject, arrival_s: Mapping[str, float]) -> Rows:
    """Return each digit's veins and transit time; the times are a working assumption.

    Parameters
    ----------
    subject
        The examination's.
    arrival_s
        Of each piece of a vessel as the signal has it: merged where arrivals are too many.
    """
    return [
        {
            "digit": d,
            "side": side,
            "n_dorsal_veins": hand.vein_count[d],
            "transit_s": _transit_s(subject, side, d, arrival_s),
            "drawn_transit_s": hand.transit_s[d] if _filled_vein(hand, d) else None,
            "basis": "working assumption: no transit time of the hand is published",
        }
        for side, hand in subject.hands.items()
        for d in DIGITS
    ]


def _filled_vein(hand: Hand, digit: int) -> Vessel | None:
    """Return a vein of a digit to which the agent comes; all of them fill at once."""
    own = (v for v in hand.vessels if v.kind == "vein" and v.digit == digit)
    return next((v for v in own if v.arrival_s is not None), None)


def _transit_s(
    subject: Subject, side: str, digit: int, arrival_s: Mapping[str, float]
) -> float | None:
    """Return a digit's transit time in the signal: from its first artery to its veins.

    None where it has no veins, or no artery reaches it.
    """
    hand, prefix = subject.hands[side], subject.prefix(side)
    first = first_artery(hand.vessels, hand.person.rays[digit], digit)
    vein = _filled_vein(hand, digit)
    if first is None or vein is None:
        return None
    return arrival_s[prefix + vein.name] - arrival_s[prefix + first.name]
