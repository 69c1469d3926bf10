"""Veins as a tree: from the last phalanx over the knuckle and the arch to the wrist."""

import re

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of
from ultrahand.phantoms.digital_hand.subject import make_subject
from ultrahand.phantoms.digital_hand.vessel_truth import vessel_rows
from ultrahand.phantoms.digital_hand.vessels import JUNCTION_MM

CASES = [
    (1, "healthy", "right"),
    (4, "healthy", "right"),
    (1, "ssc_mild", "both"),
    (1, "ssc_severe", "left"),
]
SIX = "[[veins]]\ndigit = 3\ncount = 6\n[[veins]]\ndigit = 1\ncount = 4\n"


def veins(subject):
    """Return the veins of a subject's hands, by side and name."""
    return {
        side: {v.name: v for v in hand.vessels if v.kind == "vein"}
        for side, hand in subject.hands.items()
    }


def way(pieces, name):
    """Return the names of what a piece drains through, itself first."""
    found = [name]
    while pieces[found[-1]].drains_into is not None:
        found.append(pieces[found[-1]].drains_into)
        assert len(found) == len(set(found)), "veins go round in a circle"
    return found


def gap_mm(vein, other):
    """Return the gap between the lumina: of an end of either, from 2001 points of the other."""
    gaps = []
    for one, its in ((vein.stack, other.stack), (other.stack, vein.stack)):
        at = np.linspace(*its.ends_m, 2001)
        for end in one.ends_m:
            far = np.linalg.norm(its.points(at) - one.points(np.array(end)), axis=1)
            radii = [
                np.sqrt(stack.at(np.array(level))[1].prod())
                for stack, level in ((one, end), (its, at[far.argmin()]))
            ]
            gaps.append(1e3 * (far.min() - sum(radii)))
    return min(gaps)


@pytest.mark.parametrize("case", CASES)
def test_no_vein_drains_over_a_gap_of_more_than_3_mm(case):
    for pieces in veins(hands.subject(*case)).values():
        for piece in pieces.values():
            if piece.drains_into:
                assert gap_mm(piece, pieces[piece.drains_into]) <= JUNCTION_MM == 3.0, piece.name


@pytest.mark.parametrize("case", CASES)
def test_a_vein_that_drains_nowhere_is_at_the_wrist_or_on_the_page(case):
    for pieces in veins(hands.subject(*case)).values():
        for name in pieces:
            last = way(pieces, name)[-1]
            low = pieces[last].stack.ends_m[0]
            palmar = re.fullmatch(r"vein_\d_palmar_P", last)
            assert low < -20e-3 or palmar, last
            assert bool(palmar) == ("palmar" in name)


def connected(subject):
    """Return how many dorsal veins of fingers reach the wrist, and how many there are."""
    reached = total = 0
    for pieces in veins(subject).values():
        for name in pieces:
            if re.fullmatch(r"vein_[2-5]_dorsal\d_P", name):
                total += 1
                reached += way(pieces, name)[-1].startswith("vein_back_")
    return reached, total


@pytest.mark.parametrize("case", CASES)
def test_dorsal_veins_of_fingers_reach_the_wrist(case):
    reached, total = connected(hands.subject(*case))
    assert reached >= 0.9 * total


@pytest.mark.long
def test_dorsal_veins_of_twenty_healthy_hands_reach_the_wrist():
    found = np.array([connected(make_subject(seed, "healthy", "right")) for seed in range(1, 21)])
    reached, total = found.sum(axis=0)
    assert total > 200
    assert reached > 0.9 * total


def test_a_vein_s_pieces_follow_each_other_to_the_wrist():
    pieces = veins(hands.subject(4, "healthy", "right"))["right"]
    for digit, levels in ((1, "DP"), (2, "DMP"), (5, "DMP")):
        names = way(pieces, f"vein_{digit}_dorsal1_D")
        own = [f"vein_{digit}_dorsal1_{level}" for level in levels]
        assert names[: len(own)] == own
        assert names[len(own)] == f"vein_{digit}_knuckle1"
        for near, far in zip(own[1:], own, strict=False):
            ends = (pieces[far].stack.ends_m[0], pieces[near].stack.ends_m[1])
            assert ends[0] == ends[1]
            points = [
                pieces[n].stack.points(np.array(e)) for n, e in zip((far, near), ends, strict=True)
            ]
            np.testing.assert_allclose(*points, atol=1e-9)
            assert pieces[far].level != pieces[near].level
    arch = way(pieces, "vein_3_dorsal1_P")[2]
    assert arch.startswith("vein_arch_")


def test_veins_grow_towards_the_wrist():
    pieces = veins(hands.subject(4, "healthy", "right"))["right"]
    for name, piece in pieces.items():
        if piece.drains_into and not name.startswith(("vein_arch", "vein_1_arch")):
            into = pieces[piece.drains_into]
            narrow, wide = (one.stack.shape_m[:, 2:].prod(axis=1).min() for one in (piece, into))
            assert wide >= narrow * (1 - 1e-9), name  # as drawn: across the hand's axis


def test_veins_that_are_many_join_those_beside_them():
    pieces = veins(hands.subject(script=SIX))["right"]
    assert len([n for n in pieces if re.fullmatch(r"vein_3_dorsal\d_P", n)]) == 6
    for number in range(1, 7):
        assert way(pieces, f"vein_3_dorsal{number}_P")[-1].startswith("vein_back_")
    assert pieces["vein_1_dorsal3_P"].drains_into is not None


def test_the_table_tells_what_a_vein_drains_into_and_what_feeds_it():
    subject = hands.subject(1, "ssc_mild", "both")
    rows = {r["name"]: r for r in vessel_rows(subject, arrivals_of(subject)) if r["kind"] == "vein"}
    pieces = veins(subject)
    for name, row in rows.items():
        into = pieces[row["side"]][name[2:]].drains_into
        assert row["drains_into"] == (f"{name[:2]}{into}" if into else None)
        feeding = {n for n, other in rows.items() if other["drains_into"] == name}
        assert set((row["feeders"] or "").split()) == feeding
        assert row["upstream"] in (feeding or {None})
        first, last = ([row[f"{end}_{k}_mm"] for k in "xyz"] for end in ("start", "end"))
        if "arch" not in name:
            assert first[2] > last[2]  # blood runs to the wrist
    arteries = [r for r in vessel_rows(subject, arrivals_of(subject)) if r["kind"] == "artery"]
    assert {r["drains_into"] for r in arteries} == {None}
