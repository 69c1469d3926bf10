"""Hands as they are built: what is drawn is what lies there, and hardly a draw is refused."""

import re
from functools import cache

import numpy as np
import pytest

from phantoms.digital_hand.test_hand_vessels import clipped_normal, rounded_normal
from ultrahand.errors import RecordError
from ultrahand.phantoms.digital_hand.anatomy import _draw_vessels, build_hand
from ultrahand.phantoms.digital_hand.lesion_script import preset
from ultrahand.phantoms.digital_hand.person import DIGITS, draw_person, draw_scale
from ultrahand.phantoms.digital_hand.vessels import PROPER

LESIONS = preset("healthy", "right")


@cache
def drawn(seed):
    """Return lumina, counts of veins and the hand of a draw; None where it is refused."""
    size = draw_scale(np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 2])
    draw_person(rng, size)
    counts, _, lumen = _draw_vessels(rng, LESIONS)
    try:
        return lumen, counts, build_hand(np.random.default_rng([seed, 2]), LESIONS, size)
    except RecordError:
        return lumen, counts, None


def built(n):
    return [hand for hand in (drawn(seed)[2] for seed in range(n)) if hand is not None]


def lumen_mm2(hand, digit, side):
    """Return the area half way up the proximal phalanx: the ellipse times the cosine."""
    (piece,) = (v for v in hand.vessels if v.name == f"proper_{digit}_{side}_P")
    middle = 0.5e-3 * sum(hand.person.rays[digit].z_mm["pp"])
    ends = piece.stack.points(middle + np.array([-1e-6, 1e-6]))
    cosine = 2e-6 / np.linalg.norm(ends[1] - ends[0])
    return float(1e6 * np.pi * piece.stack.at(np.array(middle))[1].prod() * cosine)


def dorsal_veins(hand, digit):
    return sum(bool(re.fullmatch(rf"vein_{digit}_dorsal\d_P", v.name)) for v in hand.vessels)


def test_hands_have_the_lumina_and_veins_that_are_drawn():
    """Also where an artery runs obliquely; what is moved aside keeps its lumen."""
    seen = 0
    for seed in range(12):
        lumen, counts, hand = drawn(seed)
        for digit, side in PROPER if hand else ():
            assert lumen_mm2(hand, digit, side) == pytest.approx(lumen[digit, side], rel=1e-3)
            assert dorsal_veins(hand, digit) == counts[digit]
            seen += 1
    assert seen >= 100


def assert_from_the_draws(hands):
    """Four standard errors: of each artery over the hands, and of all of them."""
    mean, sd = clipped_normal(0.53, 0.26, 0.05, 0.53 + 2 * 0.26)
    found = np.array([[lumen_mm2(hand, *key) for key in PROPER] for hand in hands])
    assert (np.abs(found.mean(axis=0) - mean) < 4 * sd / np.sqrt(len(hands))).all()
    assert abs(found.mean() - mean) < 4 * sd / np.sqrt(found.size)
    assert abs(found.std() - sd) < 4 * sd / np.sqrt(2 * found.size)
    mean, sd = rounded_normal(3.13, 0.99, 0, 6)
    veins = np.array([[dorsal_veins(hand, digit) for digit in DIGITS] for hand in hands])
    assert (np.abs(veins.mean(axis=0) - mean) < 4 * sd / np.sqrt(len(hands))).all()
    assert abs(veins.mean() - mean) < 4 * sd / np.sqrt(veins.size)


def test_built_hands_have_the_lumina_and_veins_that_are_published():
    """Refusals must not choose: a thick artery that found no room would be rare."""
    hands = built(12)
    assert len(hands) >= 11
    assert_from_the_draws(hands)


@pytest.mark.long
def test_of_forty_draws_of_a_healthy_hand_two_at_most_are_refused():
    hands = built(40)
    assert len(hands) >= 38
    assert_from_the_draws(hands)
