"""The lesion script: every key, its default, and what is refused with which words."""

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.lesion_script import (
    PRESETS,
    SKIN_MOST_MM,
    parse,
    preset,
    preset_text,
)
from ultrahand.phantoms.digital_hand.lesion_truth import lesion_rows, lesion_script
from ultrahand.phantoms.digital_hand.lesions import Deposit, Erosion, Lesions, Oedema
from ultrahand.phantoms.digital_hand.script_hands import check_hands
from ultrahand.phantoms.digital_hand.subject import lesions_of, make_subject
from ultrahand.phantoms.digital_hand.vessels import ArteryState
from ultrahand.physics.tissues import tissue

EVERY = """
[drawn]
lumen_mm2 = [0.4, 0.2]
vein_count = [2, 1]
transit_s = [9, 2.5]
[[erosion]]
site = "mc2_head"
volume_mm3 = 40
side = "ulnar"
[[bone_oedema]]
site = "lunate"
share = 0.5
[[synovitis]]
joint = "mcp2"
thickness_mm = 0.8
[[effusion]]
joint = "pip3"
thickness_mm = 0.6
[[tenosynovitis]]
digit = 3
thickness_mm = 0.5
[[calcinosis]]
place = "pulp"
digit = 2
shape = "cluster"
size_mm = 3.0
[[skin]]
digit = 0
added_mm = 0.3
[[artery]]
name = "3_ulnar"
state = "occluded"
at = 0.55
[[veins]]
digit = 4
count = 0
[[cartilage]]
joint = "cmc1"
concentration_mmol_per_l = 190
"""


def test_every_key_is_read():
    found = parse(EVERY, "right")
    assert found.lumen_mm2 == (0.4, 0.2)
    assert found.vein_count == (2.0, 1.0)
    assert found.transit_s == (9.0, 2.5)
    assert found.erosions == (Erosion(site="mc2_head", volume_mm3=40, side="ulnar"),)
    assert found.oedemas == (Oedema(site="lunate", share=0.5),)
    assert found.deposits == (Deposit(place="pulp", digit=2, shape="cluster", size_mm=3.0),)
    assert dict(found.synovitis_mm) == {"mcp2": 0.8}
    assert dict(found.effusion_mm) == {"pip3": 0.6}
    assert dict(found.sheath_mm) == {3: 0.5}
    assert dict(found.skin_mm) == {0: 0.3}
    assert dict(found.arteries) == {"3_ulnar": ArteryState(occluded_at=0.55)}
    assert dict(found.veins) == {4: 0}
    assert dict(found.cartilage) == {"cmc1": 190}


def test_what_is_not_said_has_its_default():
    text = """
    [drawn]
    [[erosion]]
    site = "mc2_head"
    volume_mm3 = 40
    [[calcinosis]]
    place = "palm"
    size_mm = 5
    [[artery]]
    name = "1_radial"
    state = "occluded"
    [[artery]]
    name = "2_radial"
    state = "stenosed"
    [[artery]]
    name = "3_radial"
    state = "delayed"
    [[artery]]
    name = "4_radial"
    state = "absent"
    """
    found = parse(text, "left")
    assert found.erosions[0].side == "radial"
    assert (found.deposits[0].digit, found.deposits[0].shape) == (5, "nodule")
    assert dict(found.arteries) == {
        "1_radial": ArteryState(occluded_at=0.3),
        "2_radial": ArteryState(stenosis_percent=60.0),
        "3_radial": ArteryState(delay_s=6.0),
        "4_radial": ArteryState(present=False),
    }
    healthy = Lesions()
    assert found.lumen_mm2 == healthy.lumen_mm2 == (0.53, 0.26)
    assert found.vein_count == healthy.vein_count == (3.13, 0.99)
    assert found.transit_s == healthy.transit_s == (8.0, 3.0)


def test_an_artery_may_be_narrow_and_late():
    entry = '[[artery]]\nname = "2_ulnar"\nstate = "{}"\n'
    found = parse(entry.format("stenosed") + entry.format("delayed"), "right")
    state = ArteryState(stenosis_percent=60.0, delay_s=6.0)
    assert dict(found.arteries) == {"2_ulnar": state}


@pytest.mark.parametrize(
    ("hand", "left", "right"), [("left", 1, 0), ("right", 0, 1), ("both", 1, 1)]
)
def test_a_lesion_is_in_the_hand_that_it_names(hand, left, right):
    text = f'[[erosion]]\nsite = "lunate"\nvolume_mm3 = 20\nhand = "{hand}"\n'
    assert len(parse(text, "left").erosions) == left
    assert len(parse(text, "right").erosions) == right


def test_a_script_comes_on_top_of_its_preset():
    more = '[[skin]]\ndigit = 2\nadded_mm = 0.1\n[[erosion]]\nsite = "hamate"\nvolume_mm3 = 9\n'
    found, base = lesions_of("ssc_severe", "right", more), preset("ssc_severe", "right")
    assert found.skin_mm[2] == 0.1
    assert found.skin_mm[3] == base.skin_mm[3] == 1.0
    assert [e.site for e in found.erosions] == [*(e.site for e in base.erosions), "hamate"]
    assert found.transit_s == base.transit_s == (20.0, 6.0)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_script(name):
    assert parse(preset_text(name), "right").lumen_mm2 == preset(name, "right").lumen_mm2


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "healthy"])
def test_a_preset_s_cartilage_has_clearly_lost_sodium(name):
    healthy = tissue("cartilage").sodium.concentration_mmol_per_l
    values = preset(name, "right").cartilage.values()
    assert values
    assert max(values) < 0.85 * healthy


def nearly(key):
    """Return a key with a letter too many."""
    return key + "s" if key[-1] != "s" else key[:-1]


SOUND = {
    "erosion": {"site": '"mc2_head"', "volume_mm3": "40", "side": '"radial"'},
    "bone_oedema": {"site": '"lunate"', "share": "0.5"},
    "synovitis": {"joint": '"mcp2"', "thickness_mm": "0.8"},
    "effusion": {"joint": '"pip3"', "thickness_mm": "0.6"},
    "tenosynovitis": {"digit": "3", "thickness_mm": "0.5"},
    "calcinosis": {"place": '"pulp"', "digit": "2", "shape": '"nodule"', "size_mm": "3"},
    "skin": {"digit": "2", "added_mm": "0.3"},
    "artery": {
        "name": '"3_ulnar"',
        "state": '"occluded"',
        "at": "0.5",
        "percent": "50",
        "delay_s": "5",
    },
    "veins": {"digit": "4", "count": "0"},
    "cartilage": {"joint": '"cmc1"', "concentration_mmol_per_l": "190"},
}
REQUIRED = {
    "erosion": ("site", "volume_mm3"),
    "bone_oedema": ("site", "share"),
    "synovitis": ("joint", "thickness_mm"),
    "effusion": ("joint", "thickness_mm"),
    "tenosynovitis": ("digit", "thickness_mm"),
    "calcinosis": ("place", "size_mm"),
    "skin": ("digit", "added_mm"),
    "artery": ("name", "state"),
    "veins": ("digit", "count"),
    "cartilage": ("joint", "concentration_mmol_per_l"),
}
RANGES = {
    ("erosion", "volume_mm3"): (0.5, 120),
    ("bone_oedema", "share"): (0.05, 1.0),
    ("synovitis", "thickness_mm"): (0.1, 3.0),
    ("effusion", "thickness_mm"): (0.2, 2.0),
    ("tenosynovitis", "thickness_mm"): (0.1, 2.0),
    ("calcinosis", "size_mm"): (0.5, 25.0),
    ("skin", "added_mm"): (0.0, 1.5),
    ("artery", "at"): (0.05, 0.95),
    ("artery", "percent"): (1, 95),
    ("artery", "delay_s"): (0, 60),
    ("cartilage", "concentration_mmol_per_l"): (0, 400),
}
KEYS = [(kind, key) for kind, keys in SOUND.items() for key in keys]


STATES = {"at": "occluded", "percent": "stenosed", "delay_s": "delayed"}


def entry(kind, **changes):
    """Return an entry; an artery has the state that uses the key which is changed."""
    keys = {k: v for k, v in (SOUND[kind] | changes).items() if v is not None}
    if kind == "artery":
        used = next((key for key in STATES if key in changes), "at")
        if "state" not in changes:
            keys["state"] = f'"{STATES[used]}"'
        keys = {k: v for k, v in keys.items() if k not in STATES or k == used or k in changes}
    return f"[[{kind}]]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items()) + "\n"


def refusal(text):
    with pytest.raises(InputError) as refused:
        parse(text, "right")
    return refused.value


@pytest.mark.parametrize("kind", [*SOUND, "drawn"])
def test_an_unknown_kind_is_refused_with_the_nearest(kind):
    near = nearly(kind)
    text = f"[{near}]\n" if kind == "drawn" else entry(kind).replace(kind, near, 1)
    error = refusal(text)
    assert error.found == f"unknown key {near}"
    assert error.remedy == f"did you mean {kind}?"
    assert kind in error.expected


@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_an_unknown_key_is_refused_with_the_nearest(kind, key):
    near = key + "x"
    error = refusal(entry(kind, **{key: None, near: SOUND[kind][key]}))
    assert error.field == f"script [[{kind}]] 1"
    assert error.found == f"unknown key {near}"
    assert error.remedy == f"did you mean {key}?"


def test_a_key_that_resembles_none_is_refused_with_all():
    error = refusal(entry("veins", zzzzz="1"))
    assert error.expected == "one of digit, count, hand"
    assert error.remedy == "see docs/simulate.md"


@pytest.mark.parametrize(
    ("kind", "key"), [(k, key) for k, keys in REQUIRED.items() for key in keys]
)
def test_a_missing_key_is_refused(kind, key):
    error = refusal(entry(kind) + entry(kind, **{key: None}))
    assert error.field == f"script [[{kind}]] 2 {key}"
    assert error.found == "nothing"


@pytest.mark.parametrize(("kind", "key"), KEYS)
@pytest.mark.parametrize("value", ['"elsewhere"', "true", "[1]", "nan", "1979-05-27"])
def test_a_value_of_another_type_is_refused(kind, key, value):
    error = refusal(entry(kind, **{key: value}))
    assert error.field == f"script [[{kind}]] 1 {key}"
    assert error.expected.startswith(("a number from", "one of"))


ONCE = [kind for kind in SOUND if kind != "calcinosis"]
"""Kinds that a place can have one of."""


@pytest.mark.parametrize("kind", ONCE)
def test_two_of_a_kind_at_one_place_are_refused(kind):
    error = refusal(entry(kind) + entry(kind))
    assert error.field == f"script [[{kind}]] 2"
    assert f"[[{kind}]] 1 names it already" in error.found
    assert error.expected.startswith("one ")
    with pytest.raises(InputError):
        parse(entry(kind, hand='"left"') + entry(kind), "left")
    parse(entry(kind, hand='"left"') + entry(kind, hand='"right"'), "left")


def test_deposits_may_share_a_place():
    assert len(parse(2 * entry("calcinosis"), "right").deposits) == 2


def test_two_erosions_of_one_bone_end_are_refused_with_the_reason():
    error = refusal(entry("erosion") + entry("erosion", side='"ulnar"'))
    assert "there is no room" in error.expected
    assert "site mc2_head" in error.found
    other = entry("erosion") + entry("erosion", site='"mc2_base"')
    assert len(parse(other, "right").erosions) == 2


@pytest.mark.parametrize(("kind", "name"), [("erosion", "erosions"), ("bone_oedema", "oedemas")])
def test_a_bone_s_lesion_replaces_the_preset_s(kind, name):
    base = parse(entry(kind), "right")
    found = parse(entry(kind), "right", base=base)
    assert getattr(found, name) == getattr(base, name)


@pytest.mark.parametrize("first", [True, False])
def test_an_absent_artery_has_no_other_state(first):
    absent, late = entry("artery", state='"absent"', at=None), entry("artery", delay_s="5")
    one, other = (absent, late) if first else (late, absent)
    error = refusal(one + other)
    assert error.field == "script [[artery]] 2"
    assert "none beside absent" in error.expected
    on_top = parse(other, "right", base=parse(one, "right")).arteries["3_ulnar"]
    assert on_top == parse(other, "right").arteries["3_ulnar"]


@pytest.mark.parametrize("state", ["absent", *STATES.values()])
@pytest.mark.parametrize("key", STATES)
def test_a_key_that_the_state_does_not_use_is_refused(state, key):
    keys = {k: SOUND["artery"][k] if k == key else None for k in STATES}
    text = entry("artery", state=f'"{state}"', **keys)
    if STATES[key] == state:
        parse(text, "right")
        return
    error = refusal(text)
    assert error.field == f"script [[artery]] 1 {key}"
    assert error.found == f"{key} with state = {state}"
    assert error.expected == f"{key} only with state = {STATES[key]}"


def test_a_deposit_of_the_palm_has_no_other_digit():
    error = refusal(entry("calcinosis", place='"palm"', digit="2"))
    assert error.field == "script [[calcinosis]] 1 digit"
    assert "ulnar border" in error.expected
    parse(entry("calcinosis", place='"palm"', digit="5"), "right")


@pytest.mark.parametrize(
    ("kind", "key", "value", "meant"),
    [
        ("erosion", "site", "mc2head", "mc2_head"),
        ("bone_oedema", "site", "lunatum", "lunate"),
        ("synovitis", "joint", "mpc2", "mcp2"),
        ("artery", "name", "3_ulna", "3_ulnar"),
        ("artery", "name", "ulna_artery", "ulnar_artery"),
        ("artery", "state", "ocluded", "occluded"),
    ],
)
def test_an_unknown_place_is_refused_with_the_nearest(kind, key, value, meant):
    assert refusal(entry(kind, **{key: f'"{value}"'})).remedy == f"did you mean {meant}?"


@pytest.mark.parametrize(("kind", "key"), RANGES)
def test_numbers_are_taken_up_to_their_bounds_and_no_further(kind, key):
    low, high = RANGES[kind, key]
    for value in (low, high):
        assert parse(entry(kind, **{key: value}), "right") is not None
    for value in (low - 0.01, high + 0.01):
        error = refusal(entry(kind, **{key: value}))
        assert error.found == repr(value)
        assert error.expected == f"a number from {low:g} to {high:g}"


@pytest.mark.parametrize(("kind", "key"), RANGES)
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_huge_number_is_refused_as_infinity_is(kind, key, sign):
    for digits, shown in (("1" + "0" * 400, "1" + "0" * 19), ("0x1" + "0" * 4000, "a number")):
        if sign and digits.startswith("0x"):
            continue  # TOML has none
        error = refusal(entry(kind, **{key: sign + digits}))
        assert error.field == f"script [[{kind}]] 1 {key}"
        assert error.found.removeprefix(sign).startswith(shown[:19])
        assert len(error.found) < 80
    assert refusal(entry(kind, **{key: "1" + "0" * 5000})).expected == "TOML"
    assert refusal(entry(kind, **{key: sign + "inf"})).found == sign + "inf"


@pytest.mark.parametrize("digit", SKIN_MOST_MM)
def test_skin_is_taken_as_thick_as_its_place_allows_and_no_thicker(digit):
    most = SKIN_MOST_MM[digit]
    parse(entry("skin", digit=digit, added_mm=most), "right")
    error = refusal(entry("skin", digit=digit, added_mm=most + 0.01))
    assert error.field == "script [[skin]] 1 added_mm"
    assert f"to {most:g}" in error.expected


def test_brackets_without_end_are_refused():
    assert refusal("erosion = " + "[" * 100_000).expected == "TOML"


@pytest.mark.parametrize(
    ("hands_", "hand", "left_out"),
    [
        (("right",), "both", []),
        (("right",), "right", []),
        (("left", "right"), "left", []),
        (("left",), "right", None),
    ],
)
def test_a_script_for_no_hand_that_is_made_is_refused(hands_, hand, left_out):
    text = entry("veins", hand=f'"{hand}"')
    if left_out is None:
        with pytest.raises(InputError, match="choose --hand right or both"):
            check_hands(text, hands_, "script")
        more = text + entry("skin")
        assert check_hands(more, hands_, "script") == ["[[veins]] 1"]
        assert check_hands(text + "[drawn]\n", hands_, "script") == ["[[veins]] 1"]
    else:
        assert check_hands(text, hands_, "script") == left_out
    assert check_hands("", hands_, "script") == []


@pytest.mark.parametrize("key", ["lumen_mm2", "vein_count", "transit_s"])
@pytest.mark.parametrize("value", ["1.0", "[1.0]", "[1.0, 2.0, 3.0]", "[-1.0, 1.0]", '["a", 1.0]'])
def test_what_is_drawn_is_a_mean_and_a_deviation(key, value):
    error = refusal(f"[drawn]\n{key} = {value}\n")
    assert error.field == f"script [drawn] {key}"
    assert error.expected.startswith("[mean, standard deviation]")


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("this is no TOML", "script", "TOML"),
        ("[erosion]\nsite = 1\n", "script erosion", "a list of tables, [[erosion]]"),
        ("erosion = 3\n", "script erosion", "a list of tables, [[erosion]]"),
        ("erosion = [3]\n", "script [[erosion]] 1", "a table"),
        ("drawn = 3\n", "script [drawn]", "a table"),
        (
            entry("erosion", hand='"middle"'),
            "script [[erosion]] 1 hand",
            "one of left, right, both",
        ),
    ],
)
def test_what_is_no_script_is_refused(text, field, expected):
    error = refusal(text)
    assert error.field == field
    assert error.expected == expected
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (entry("erosion", site='"dp5_head"', volume_mm3=120), "a hole that leaves marrow"),
        (entry("erosion", site='"pisiform"', volume_mm3=120), "a hole that leaves marrow"),
        (entry("calcinosis", size_mm=25), "a size that the fat there has room for"),
        pytest.param(
            entry("synovitis", joint='"pip5"', thickness_mm=3.0),
            "swellings that leave",
            marks=pytest.mark.long,  # eight hands are tried
        ),
    ],
)
def test_a_lesion_that_does_not_fit_is_refused(text, words):
    with pytest.raises(InputError) as refused:
        make_subject(1, "healthy", "right", text)
    assert words in refused.value.expected
    assert refused.value.exit_code == 3


def test_every_lesion_of_a_script_is_in_the_truth():
    subject = hands.subject(script=EVERY)
    rows = {(row["kind"], row["site"]): row for row in lesion_rows(subject)}
    kinds = {kind for kind, _ in rows}
    assert kinds == {
        "erosion",
        "bone_oedema",
        "synovitis",
        "effusion",
        "tenosynovitis",
        "calcinosis",
        "skin",
        "artery",
        "veins",
        "cartilage",
    }
    assert rows["erosion", "mc2_head"]["volume_mm3"] == pytest.approx(40.0, rel=0.02)
    asked = {
        ("erosion", "mc2_head"): {"asked_volume_mm3": 40.0, "aspect": "ulnar", "digit": 2},
        ("bone_oedema", "lunate"): {"asked_share": 0.5, "digit": None},
        ("synovitis", "mcp2"): {"thickness_mm": 0.8, "solids": "mcp2_synovium"},
        ("effusion", "pip3"): {"thickness_mm": 0.6},
        ("tenosynovitis", "flexor3"): {"thickness_mm": 0.5, "digit": 3},
        ("calcinosis", "pulp2"): {"shape": "cluster", "size_mm": 3.0},
        ("skin", "palm"): {"thickness_mm": 0.3, "volume_mm3": None, "digit": None},
        ("artery", "3_ulnar"): {"state": "occluded", "at_share": 0.55, "delay_s": None},
        ("veins", "digit4"): {"state": "absent", "vein_count": 0, "solids": None},
        ("cartilage", "cmc1"): {"concentration_mmol_per_l": 190.0},
    }
    for key, cells in asked.items():
        assert {name: rows[key][name] for name in cells} == cells
    assert len(rows["calcinosis", "pulp2"]["solids"].split()) == 5  # the nodules of a cluster
    assert len({tuple(row) for row in rows.values()}) == 1
    tissues = {item.name: item for item in subject.solids}
    assert tissues["cmc1_cartilage_distal"].concentration_mmol_per_l == 190
    assert tissues["mcp1_cartilage_distal"].concentration_mmol_per_l is None
    assert not [name for name in tissues if name.startswith("vein_4")]
    assert {tissues[f"palm{n}_skin"].tissue for n in (1, 2, 3)} == {"fibrotic_skin"}
    assert {tissues[f"digit{n}_skin"].tissue for n in range(1, 6)} == {"skin"}


STATES_OF_ARTERIES = """
[[artery]]
name = "1_radial"
state = "absent"
[[artery]]
name = "2_ulnar"
state = "occluded"
at = 0.5
[[artery]]
name = "3_radial"
state = "stenosed"
percent = 40
[[artery]]
name = "3_radial"
state = "delayed"
delay_s = 5.0
[[veins]]
digit = 5
count = 4
[[skin]]
digit = 2
added_mm = 0.0
"""


def test_arteries_have_a_row_for_each_state_with_its_place():
    subject = hands.subject(script=STATES_OF_ARTERIES)
    found = [row for row in lesion_rows(subject) if row["kind"] == "artery"]
    assert [row["name"] for row in found] == [
        "1_radial_absent",
        "2_ulnar_occluded",
        "3_radial_stenosed",
        "3_radial_delayed",
    ]
    absent, closed, narrow, late = found
    assert absent["solids"] is None
    vessels = {v.name: v for v in subject.hands["right"].vessels}
    last = vessels[f"proper_2_ulnar_{closed['level']}"]
    assert not [n for n in vessels if n.startswith("proper_2_ulnar") and n > last.name]
    for row, point in (
        (closed, last.stack.points(np.array(last.stack.ends_m[1]))),
        (narrow, narrowest(vessels["proper_3_radial_P"].stack)),
    ):
        lps_mm = 1e3 * subject.placement.to_patient(point)
        place = np.array([row[f"{axis}_mm"] for axis in "xyz"])
        assert np.linalg.norm(place - lps_mm * [-1, -1, 1]) < 0.1
    assert (narrow["level"], narrow["stenosis_percent"], late["delay_s"]) == ("P", 40.0, 5.0)
    assert (late["level"], late["x_mm"], narrow["delay_s"]) == (None, None, None)
    rest = {(row["kind"], row["state"], row["vein_count"]) for row in lesion_rows(subject)}
    assert ("veins", "set", 4) in rest
    assert not [row for row in lesion_rows(subject) if row["kind"] == "skin"]  # nothing was added


def narrowest(stack):
    s = np.linspace(stack.knots_m[0], stack.knots_m[-1], 4001)
    return stack.points(s[stack.at(s)[1].prod(axis=1).argmin()])


@pytest.mark.parametrize(
    ("case", "script"),
    [
        ((1, "healthy", "right"), EVERY),
        ((1, "healthy", "right"), STATES_OF_ARTERIES),
        ((1, "ssc_severe", "left"), None),
        ((1, "ssc_mild", "both"), None),
    ],
)
def test_the_script_of_the_truth_gives_the_same_lesions(case, script):
    subject = hands.subject(*case, script)
    text = lesion_script(subject)
    for side, hand in subject.hands.items():
        assert lesions_of("healthy", side, text) == hand.lesions


def test_swellings_are_as_thick_as_asked():
    """Beside the middle of the joint: the lining's semi-axes grow by the thickness."""
    plain, swollen = hands.subject(), hands.subject(script=EVERY)
    for name, added in (
        ("mcp2_synovium", 0.8e-3),
        ("pip3_synovium", 0.6e-3),
        ("flexor3_sheath", 0.5e-3),
        ("palm1_skin", 0.3e-3),
    ):
        stacks = [s.solids[s.index[name]].stack for s in (plain, swollen)]
        middle = [np.array(0.5 * sum(s.ends_m)) for s in stacks]
        before, after = (s.at(m)[1] for s, m in zip(stacks, middle, strict=True))
        assert after[0] - before[0] == pytest.approx(added, abs=2e-5), name
