"""Both ends of every documented range, at every place, come to a row of the truth or a refusal."""

import numpy as np
import pytest

from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.lesion_script import SKIN_MOST_MM
from ultrahand.phantoms.digital_hand.lesion_truth import lesion_rows
from ultrahand.phantoms.digital_hand.lesions import ARTERIES, FINGER_JOINTS, JOINTS, SITES
from ultrahand.phantoms.digital_hand.painting import paint
from ultrahand.phantoms.digital_hand.person import DIGITS
from ultrahand.phantoms.digital_hand.subject import make_subject

HEADS = [site for site in SITES if not site.endswith("_base")]  # carpal bones among them
BASES = [site for site in SITES if site.endswith("_base")]


def script(kind, key, places, **values):
    """Return one entry of a kind for each place."""
    said = "\n".join(f"{name} = {value}" for name, value in values.items())
    shown = (f'"{place}"' if isinstance(place, str) else place for place in places)
    return "".join(f"[[{kind}]]\n{key} = {place}\n{said}\n" for place in shown)


def rows_of(text, seed=1, preset="healthy"):
    return lesion_rows(make_subject(seed, preset, "right", text))


@pytest.mark.parametrize("share", [0.05, 0.34, 1.0])
@pytest.mark.parametrize("sites", [HEADS, BASES], ids=["heads", "bases"])
def test_the_share_of_a_bone_s_marrow_that_is_wet_is_the_asked_one(sites, share):
    rows = rows_of(script("bone_oedema", "site", sites, share=share))
    assert [row["site"] for row in rows] == sites
    for row in rows:
        assert row["asked_share"] == share
        assert row["share"] == pytest.approx(share, rel=1e-4), row["site"]
        assert row["volume_mm3"] > 0.5


def test_the_wet_marrow_is_the_asked_share_of_what_is_painted_near_the_joint():
    """Counted on voxels, of all marrow less than 1 cm from the metacarpal's head."""
    for share in (0.1, 0.34):
        subject = make_subject(
            1, "healthy", "right", script("bone_oedema", "site", ["mc3_head"], share=share)
        )
        bone = subject.solids[subject.index["mc3_cortex"]].stack
        low, high = bone.box_m[0].copy(), bone.box_m[1]
        low[2] = high[2] - 10e-3
        axes = [np.arange(a, b, 0.15e-3) + 0.075e-3 for a, b in zip(low, high, strict=True)]
        names = np.array([*(item.name for item in subject.solids), "air"])
        found = names[paint(subject.solids, axes)]
        wet, dry = (found == "mc3_head_oedema1").sum(), (found == "mc3_marrow").sum()
        assert wet / (wet + dry) == pytest.approx(share, abs=0.01)


def test_both_ends_of_a_short_bone_share_its_marrow_and_say_so():
    rows = rows_of(script("bone_oedema", "site", ["dp5_base", "dp5_head"], share=1.0))
    assert rows[0]["share"] == pytest.approx(1.0, rel=1e-4)
    assert 0.1 < rows[1]["share"] < 0.9


@pytest.mark.parametrize(
    ("kind", "key", "places", "values"),
    [
        ("erosion", "site", HEADS, {"volume_mm3": 0.5}),
        ("erosion", "site", BASES, {"volume_mm3": 0.5}),
        ("synovitis", "joint", FINGER_JOINTS, {"thickness_mm": 0.1}),
        ("effusion", "joint", FINGER_JOINTS, {"thickness_mm": 0.2}),
        ("tenosynovitis", "digit", DIGITS, {"thickness_mm": 0.1}),
        ("calcinosis", "digit", DIGITS, {"size_mm": 0.5, "place": '"pulp"'}),
        ("veins", "digit", DIGITS, {"count": 0}),
        ("veins", "digit", DIGITS, {"count": 6}),
        ("cartilage", "joint", JOINTS, {"concentration_mmol_per_l": 0}),
        ("cartilage", "joint", JOINTS, {"concentration_mmol_per_l": 400}),
        ("artery", "name", ARTERIES, {"state": '"occluded"', "at": 0.05}),
        ("artery", "name", ARTERIES, {"state": '"occluded"', "at": 0.95}),
        ("artery", "name", ARTERIES, {"state": '"stenosed"', "percent": 1}),
        ("artery", "name", ARTERIES, {"state": '"stenosed"', "percent": 95}),
        ("artery", "name", ARTERIES, {"state": '"delayed"', "delay_s": 60}),
    ],
)
def test_the_ends_of_a_range_are_right_at_every_place_at_once(kind, key, places, values):
    rows = [row for row in rows_of(script(kind, key, places, **values)) if row["kind"] == kind]
    assert len(rows) == len(places)
    if "volume_mm3" in values:
        for row in rows:
            assert row["volume_mm3"] == pytest.approx(0.5, rel=1e-3), row["site"]


@pytest.mark.parametrize(
    "seed",
    [1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 13))],
)
@pytest.mark.parametrize("digit", SKIN_MOST_MM)
def test_every_hand_has_room_for_the_thickest_skin_of_each_place(digit, seed):
    (row,) = rows_of(script("skin", "digit", [digit], added_mm=SKIN_MOST_MM[digit]), seed)
    assert row["thickness_mm"] == SKIN_MOST_MM[digit]


@pytest.mark.parametrize(
    ("kind", "key", "places", "values"),
    [
        ("erosion", "site", ["mc2_head", "dp5_head", "lunate", "pisiform"], {"volume_mm3": 120}),
        ("calcinosis", "digit", [3], {"size_mm": 25, "place": '"pulp"'}),
        pytest.param("erosion", "site", SITES, {"volume_mm3": 120}, marks=pytest.mark.long),
    ],
)
def test_what_is_too_large_for_a_place_is_refused_and_nothing_else(kind, key, places, values):
    fitting = 0
    for place in places:
        try:
            rows = rows_of(script(kind, key, [place], **values))
        except InputError:
            continue
        assert rows[0]["volume_mm3"] == pytest.approx(values["volume_mm3"], rel=1e-3)
        fitting += 1
    assert (fitting > 0) == (kind == "erosion")
