"""Hands of many people fit together; solids that cross are refused by name."""

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.errors import RecordError
from ultrahand.phantoms.digital_hand.lesion_script import PRESETS
from ultrahand.phantoms.digital_hand.solids import (
    AIR,
    Solid,
    check_nesting,
    crossing,
    cut,
    first_free,
    innermost,
    settle,
)
from ultrahand.phantoms.digital_hand.stack import ellipsoid_mm, tube_mm
from ultrahand.phantoms.digital_hand.subject import make_subject

SIDES = ("left", "right", "both")
FEW = [
    (1, "healthy", "right"),
    (2, "healthy", "left"),
    (1, "ssc_mild", "right"),
    (2, "ssc_mild", "left"),
    (1, "ssc_severe", "right"),
    (1, "ssc_severe", "left"),
]


def assert_fits(subject):
    names = [item.name for item in subject.solids]
    assert len(set(names)) == len(names)
    check_nesting(subject.solids)
    # In the middle of each solid its surroundings are not itself, and of the hand's own.
    for number, item in enumerate(subject.solids):
        middle = item.stack.points(np.array([0.5 * sum(item.stack.ends_m)]))
        assert item.stack.contains(middle)[0]
        parent = innermost(subject.solids, range(number), middle)[0]
        outer = item.tissue in ("skin", "fibrotic_skin", "holder")
        assert (parent == AIR) == outer, item.name
        assert outer or subject.side[parent] == subject.side[number]


@pytest.mark.parametrize(("seed", "preset", "side"), FEW)
def test_a_hand_of_every_preset_fits_together(seed, preset, side):
    assert_fits(hands.subject(seed, preset, side))


@pytest.mark.long
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("seed", range(25))
def test_the_hands_of_many_people_fit_together(seed, preset):
    for sides in SIDES:
        assert_fits(make_subject(seed, preset, sides))


def solid(name, stack, tissue="muscle"):
    return Solid(name=name, tissue=tissue, stack=stack)


def test_a_solid_that_crosses_another_is_refused_with_both_names():
    outer = solid("finger", ellipsoid_mm((0, 0, 0), (10, 10, 10)), "skin")
    inner = solid("vessel", tube_mm([(-5, 6, 0, 1, 1), (5, 9.5, 0, 1, 1)]))
    with pytest.raises(RecordError, match=r"vessel lies in finger but reaches into air at \["):
        check_nesting([outer, inner])


def test_a_vessel_outside_of_the_hand_is_refused():
    outer = solid("finger", ellipsoid_mm((0, 0, 0), (10, 10, 10)), "skin")
    lost = solid("vessel", tube_mm([(-5, 16, 0, 1, 1), (5, 16, 0, 1, 1)]))
    with pytest.raises(RecordError, match="vessel lies in air at"):
        check_nesting([outer, lost])


def test_a_vessel_pushed_into_a_bone_of_a_whole_hand_is_refused():
    solids = list(hands.subject().solids)
    number = hands.subject().index["proper_3_radial_P"]
    bone = hands.subject().solids[hands.subject().index["pp3_cortex"]].stack
    vessel = solids[number]
    middle = np.array([0.5 * sum(vessel.stack.ends_m)])
    shift = (bone.points(middle) - vessel.stack.points(middle))[0] * 0.5
    moved = vessel.stack.moved(shift, mirrored=False)
    solids[number] = Solid(name=vessel.name, tissue=vessel.tissue, stack=moved)
    with pytest.raises(RecordError) as refused:
        check_nesting(solids)
    assert "proper_3_radial_P lies in" in str(refused.value)
    assert "reaches into" in str(refused.value)


def test_a_solid_may_pass_from_one_to_the_next_where_they_meet():
    lower = solid("lower", tube_mm([(0, 0, 0, 5, 5), (10, 0, 0, 5, 5)]), "skin")
    upper = solid("upper", tube_mm([(10, 0, 0, 4, 4), (20, 0, 0, 4, 4)]), "skin")
    through = solid("vessel", tube_mm([(2, 0, 0, 1, 1), (18, 1, 0, 1, 1)]))
    solids = [lower, upper, through]
    check_nesting(solids)
    pieces = cut(solids, 500.0)
    mine = pieces.solid == 2
    z = pieces.plates.centre_m[mine, 2]
    np.testing.assert_array_equal(pieces.parent[mine], np.where(z < 10e-3, 0, 1))
    below = pieces.plates.weight_m[mine][z < 10e-3].sum()
    assert below == pytest.approx(8e-3, rel=1e-12)


def test_a_course_settles_beside_what_is_in_its_way():
    around = solid("fat", tube_mm([(0, 0, 0, 10, 10), (30, 0, 0, 10, 10)]))
    tendon = solid("tendon", tube_mm([(10, 0, 0, 1, 1), (20, 0, 0, 1, 1)]))
    path = tube_mm([(1, 4, 0, 0.5, 0.5), (15, 1.2, 0, 0.5, 0.5), (29, 4, 0, 0.5, 0.5)])
    assert crossing([around, tendon], path) is not None
    moved = settle([around, tendon], path)
    assert crossing([around, tendon], moved) is None
    np.testing.assert_array_equal(moved.shape_m[[0, -1]], path.shape_m[[0, -1]])
    shift = np.linalg.norm(moved.shape_m[1] - path.shape_m[1])
    assert 0.0 < shift < 1.0e-3  # 0.6 mm would do, in steps of 0.6
    assert first_free([around, tendon], [path, path]) is None
    assert first_free([around, tendon], [path, moved]) is moved
