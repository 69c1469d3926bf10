"""Places of the tables: each is the middle of what is painted there, found on a grid of its own."""

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of
from ultrahand.phantoms.digital_hand.lesion_truth import lesion_rows
from ultrahand.phantoms.digital_hand.painting import paint
from ultrahand.phantoms.digital_hand.truth import joint_rows, vial_rows
from ultrahand.phantoms.digital_hand.vessel_truth import vessel_rows

CASES = [(1, "ssc_severe", "left"), (3, "ssc_mild", "right")]
POINTS = 64
"""Of a grid along each side of an object's box: its centre is then right to half of one."""
FINEST = 240
"""Points at most: more than `POINTS` where a vessel is thin beside the box of its course."""
ROUNDED_MM = 1e-3


def placed(row, prefix=""):
    return np.array([row[f"{prefix}{axis}_mm"] for axis in "xyz"])


def to_frame_mm(subject, ras_mm):
    """Return a place of a table in the common frame."""
    return 1e3 * subject.placement.from_patient(ras_mm * [-1e-3, -1e-3, 1e-3])


def painted(subject, names, alone):
    """Return the middle of what is seen of some solids and half the grid's steps, both in mm.

    Or of all of one solid, `alone`.
    """
    numbers = [subject.index[name] for name in names]
    boxes = np.array([subject.solids[n].stack.box_m for n in numbers])
    low, high = boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)
    thin = min(subject.solids[n].stack.shape_m[:, 2:].min() for n in numbers)
    counts = np.maximum(POINTS, np.ceil(2.0 * (high - low) / thin).clip(max=FINEST)).astype(int)
    axes = [
        a + (b - a) * (np.arange(n) + 0.5) / n for a, b, n in zip(low, high, counts, strict=True)
    ]
    if alone:
        found = np.argwhere(paint([subject.solids[numbers[0]]], axes) == 0)
    else:
        found = np.argwhere(np.isin(paint(subject.solids, axes), numbers))
    assert len(found), names
    middle = [axis[found[:, n]].mean() for n, axis in enumerate(axes)]
    return 1e3 * np.array(middle), 0.5e3 * (high - low) / counts


def assert_lies_there(subject, names, row, more_mm=0.0, *, alone=False):
    middle, reach = painted(subject, names, alone)
    off = np.abs(to_frame_mm(subject, placed(row)) - middle)
    assert (off < reach + ROUNDED_MM + more_mm).all(), (row["name"], off.round(3), reach.round(3))


@pytest.mark.parametrize("case", CASES)
def test_joints_and_vials_lie_where_the_tables_say(case):
    subject = hands.subject(*case)
    for row in joint_rows(subject):
        parts = ("cartilage_proximal", "fluid", "cartilage_distal")
        assert_lies_there(subject, [f"{row['name']}_{part}" for part in parts], row)
    for row in vial_rows(subject, 7.5, 0.01, 0.1):
        assert_lies_there(subject, [row["name"]], row)


@pytest.mark.parametrize("case", CASES)
def test_lesions_lie_where_the_table_says(case):
    subject = hands.subject(*case)
    rows = [row for row in lesion_rows(subject) if row["visible_mm3"] is not None]
    assert len(rows) > 4
    for row in rows:
        assert_lies_there(subject, row["solids"].split(), row)


def test_vessels_lie_between_their_ends():
    """Half way between both ends, but for the bow of the course and where it is wider.

    Others may be painted over its ends: a piece is looked at alone.
    """
    subject = hands.subject(*CASES[0])
    for row in vessel_rows(subject, arrivals_of(subject)):
        stack = subject.solids[subject.index[row["name"]]].stack
        share = np.linspace(0.0, 1.0, 201)[:, None]
        course = 1e3 * stack.points(stack.ends_m[0] + share[:, 0] * stack.length_m)
        chord = course[:1] * (1 - share) + course[-1:] * share
        area = stack.at(stack.ends_m[0] + share[:, 0] * stack.length_m)[1].prod(axis=1)
        wider = abs((area @ share).item() / area.sum() - 0.5) * np.abs(course[-1] - course[0])
        ends = [to_frame_mm(subject, placed(row, f"{end}_")) for end in ("start", "end")]
        place = subject.placement.to_patient(0.5e-3 * (ends[0] + ends[1]))
        middle = dict(zip(("x_mm", "y_mm", "z_mm"), 1e3 * place * [-1, -1, 1], strict=True))
        # A level of a thin vessel has some ten points: their number is right to a third by chance.
        chance = 2.0 / 3.0 * np.abs(course[-1] - course[0]) / np.sqrt(12 * FINEST)
        more = np.abs(course - chord).max(axis=0) + wider + chance
        assert_lies_there(subject, [row["name"]], {"name": row["name"], **middle}, more, alone=True)


SWOLLEN = """
[[synovitis]]
joint = "mcp2"
thickness_mm = 0.5
[[synovitis]]
joint = "pip3"
thickness_mm = 0.1
[[effusion]]
joint = "pip3"
thickness_mm = 0.4
[[tenosynovitis]]
digit = 4
thickness_mm = 0.3
"""


def test_the_volume_of_a_swelling_is_what_it_adds_to_health():
    healthy, ill = hands.subject(), hands.subject(script=SWOLLEN)
    rows = {row["name"]: row for row in lesion_rows(ill)}
    for name, solid in (
        ("mcp2_synovitis", "mcp2_synovium"),
        ("pip3_synovitis", "pip3_synovium"),
        ("flexor4_tenosynovitis", "flexor4_sheath"),
    ):
        seen = [1e9 * s.visible_m3[s.index[solid]] for s in (healthy, ill)]
        assert rows[name]["visible_mm3"] == pytest.approx(seen[1], rel=1e-6)
        assert rows[name]["volume_mm3"] == pytest.approx(seen[1] - seen[0], rel=5e-3)
    fluid = rows["pip3_effusion"]
    assert fluid["volume_mm3"] == fluid["visible_mm3"]


def test_a_healthy_lining_is_thin():
    """Everywhere a third of a millimetre beside the bone: it is no swelling."""
    subject = hands.subject()
    scale = subject.hands["right"].person.scale
    for joint, bones in (("mcp2", ("mc2", "pp2")), ("pip3", ("pp3", "mp3"))):
        lining = subject.solids[subject.index[f"{joint}_synovium"]].stack
        for bone in bones:
            stack = subject.solids[subject.index[f"{bone}_cortex"]].stack
            low = max(lining.ends_m[0], stack.ends_m[0]) + 1e-6
            high = min(lining.ends_m[1], stack.ends_m[1]) - 1e-6
            s = np.linspace(low, high, 20)
            gap = 1e3 * (lining.at(s)[1] - stack.at(s)[1])
            np.testing.assert_allclose(gap, 0.3 * scale, atol=0.03)
