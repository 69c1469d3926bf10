"""What a reading of the vessels would say of a hand."""

import json

import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.hand_truth import DEFINITIONS, hands_truth

ILL = """
[drawn]
lumen_mm2 = [0.5, 0.0]
vein_count = [2.0, 0.0]
transit_s = [8.0, 0.0]
[[artery]]
name = "ulnar_artery"
state = "occluded"
at = 0.2
[[artery]]
name = "1_radial"
state = "absent"
[[artery]]
name = "2_ulnar"
state = "absent"
[[artery]]
name = "3_radial"
state = "occluded"
at = 0.5
[[veins]]
digit = 4
count = 0
[[veins]]
digit = 5
count = 0
"""


def reading(script=None, **case):
    (found,) = hands_truth(hands.subject(script=script, **case))["hands"]
    return found


def test_a_healthy_hand_has_nothing_wrong():
    found = reading()
    assert (found["pattern_type"], found["subtype"], found["n_arch_connections"]) == (1, "n/a", 2)
    assert set(found["reach"].values()) == {3}
    assert len(found["reach"]) == 10
    assert found["n_damaged_10"] == found["n_damaged_8"] == 0
    assert found["venous_return_absent_proximal_percent"] == 0.0


def test_what_is_closed_is_told():
    """The ulnar artery ends above the wrist: both arches are open, fed from one side."""
    found, healthy = reading(ILL), reading()
    assert (found["pattern_type"], found["subtype"], found["n_arch_connections"]) == (2, "n/a", 0)
    assert (found["n_damaged_10"], found["n_damaged_8"]) == (2, 1)
    assert found["reach"]["1_radial"] == found["reach"]["2_ulnar"] == 0
    assert 0 < found["reach"]["3_radial"] < 3
    others = {n for n in healthy["reach"] if n not in ("1_radial", "2_ulnar", "3_radial")}
    assert {found["reach"][n] for n in others} == {3}
    veins = found["n_veins_proximal"]
    assert veins == {"1": 3, "2": 3, "3": 3, "4": 0, "5": 0}  # two dorsal, one palmar
    assert found["venous_return_absent_proximal_percent"] == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("radial_artery", (3, "n/a", 0)),
        ("superficial_arch", (1, "A", 1)),
        ("radial_superficial_branch", (1, "n/a", 1)),
        ("deep_palmar_branch", (1, "n/a", 1)),
        ("deep_arch", (1, "B", 1)),
    ],
)
def test_each_trunk_takes_its_part_in_the_arches(name, expected):
    found = reading(f'[[artery]]\nname = "{name}"\nstate = "absent"\n')
    got = (found["pattern_type"], found["subtype"], found["n_arch_connections"])
    assert got == expected


def test_every_column_is_defined_and_the_file_is_plain():
    found = hands_truth(hands.subject(1, "ssc_severe", "both"))
    assert json.loads(json.dumps(found)) == found
    assert [hand["side"] for hand in found["hands"]] == ["right", "left"]
    for hand in found["hands"]:
        assert set(hand) == {"side", *DEFINITIONS}
