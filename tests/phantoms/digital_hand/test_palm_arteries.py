"""Arteries of wrist and palm: what feeds what, and what a closed, narrow or late one changes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of
from ultrahand.phantoms.digital_hand.lesion_truth import lesion_rows, lesion_script
from ultrahand.phantoms.digital_hand.palm_arteries import trunks_of
from ultrahand.phantoms.digital_hand.solids import crossing
from ultrahand.phantoms.digital_hand.subject import lesions_of
from ultrahand.phantoms.digital_hand.vessel_truth import vessel_rows
from ultrahand.phantoms.digital_hand.vessels import TRUNKS, ArteryState, gap_mm, nearest_m


def entry(name, state, more=""):
    return f'[[artery]]\nname = "{name}"\nstate = "{state}"\n{more}\n'


SCRIPTS = {
    "healthy": "",
    "ulnar": entry("ulnar_artery", "occluded", "at = 0.5"),
    "radial": entry("radial_artery", "occluded", "at = 0.2"),
    "arch": entry("superficial_arch", "occluded", "at = 0.5"),
    "deep": entry("deep_arch", "occluded", "at = 0.25"),
    "narrow": entry("ulnar_artery", "stenosed", "percent = 40")
    + entry("superficial_arch", "stenosed", "percent = 70")
    + entry("common_34", "delayed", "delay_s = 5.0"),
    "absent": entry("superficial_arch", "absent") + entry("radial_superficial_branch", "absent"),
}


@cache
def arteries(case):
    """Return the arteries of a hand by name."""
    (hand,) = hands.subject(script=SCRIPTS[case]).hands.values()
    return {v.name: v for v in hand.vessels if v.kind == "artery"}


@cache
def table(case):
    subject = hands.subject(script=SCRIPTS[case])
    return {row["name"]: row for row in vessel_rows(subject, arrivals_of(subject))}


def feeders(case):
    return {name: vessel.feeders for name, vessel in arteries(case).items()}


def test_a_healthy_hand_has_every_junction():
    found = feeders("healthy")
    assert found["radial_artery"] == found["ulnar_artery"] == ()
    assert found["radial_superficial_branch"] == ("radial_artery",)
    assert found["superficial_arch"] == ("ulnar_artery", "radial_superficial_branch")
    assert found["deep_palmar_branch"] == ("ulnar_artery",)
    assert found["deep_arch"] == ("radial_artery", "deep_palmar_branch")
    assert found["common_34"] == ("superficial_arch",)
    assert found["proper_3_ulnar_P"] == ("common_34",)
    assert found["proper_3_ulnar_M"] == ("proper_3_ulnar_P",)
    assert all(found[name] for name in set(found) - {"radial_artery", "ulnar_artery"})


@pytest.mark.parametrize(
    ("case", "lost"),
    [
        ("ulnar", {"superficial_arch": "ulnar_artery", "deep_palmar_branch": "ulnar_artery"}),
        (
            "radial",
            {"radial_superficial_branch": "radial_artery", "deep_arch": "radial_artery"},
        ),
        (
            "arch",
            {
                "superficial_arch": "radial_superficial_branch",
                "common_23": "superficial_arch",
                "common_34": "superficial_arch",
            },
        ),
        ("deep", {"deep_arch": "deep_palmar_branch"}),
        ("narrow", {}),
    ],
)
def test_what_lies_beyond_an_occlusion_is_not_fed_through_it(case, lost):
    healthy, found = feeders("healthy"), feeders(case)
    assert set(found) == set(healthy)  # what lies beyond is there, and fills
    for name, names in healthy.items():
        gone = set(names) - set(found[name])
        assert gone == ({lost[name]} if name in lost else set()), name


def test_what_an_absent_artery_fed_has_no_feeder():
    found = feeders("absent")
    assert not {"superficial_arch", "radial_superficial_branch"} & set(found)
    for name in ("common_23", "common_34", "common_45", "proper_1_radial_P", "proper_5_ulnar_P"):
        assert found[name] == ()
        assert table("absent")[name]["upstream"] is None
    named = {feeder for names in found.values() for feeder in names}
    assert named <= set(found)


@pytest.mark.parametrize("case", [case for case in SCRIPTS if case != "narrow"])
def test_collaterals_fill_a_second_later_than_the_artery_would(case):
    """And what they feed with them, unless another feeder is sooner."""
    found, healthy = arteries(case), arteries("healthy")
    for name, vessel in found.items():
        at_wrist = name in ("radial_artery", "ulnar_artery")
        later = [found[one].arrival_s - healthy[one].arrival_s for one in vessel.feeders]
        least = min(later, default=0.0 if at_wrist else 1.0)
        assert vessel.arrival_s == healthy[name].arrival_s + least, name


def test_an_occluded_artery_keeps_the_share_next_to_its_origin():
    for case, name, share in (
        ("ulnar", "ulnar_artery", 0.5),
        ("arch", "superficial_arch", 0.5),
        ("deep", "deep_arch", 0.25),
    ):
        whole, left = arteries("healthy")[name], arteries(case)[name]
        assert left.stack.length_m == pytest.approx(share * whole.stack.length_m, rel=1e-9)
        assert left.ends_m[0] == whole.ends_m[0]
    radial = arteries("healthy")["radial_artery"].stack
    origin = arteries("deep")["deep_arch"].stack.points(
        np.array(arteries("deep")["deep_arch"].ends_m[0])
    )
    assert np.linalg.norm(origin - radial.points(np.array(radial.ends_m[1]))) < 1e-3


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_arteries_of_the_palm_do_not_begin_inside_of_what_feeds_them(seed):
    """An occluded arch has knots closer to its ends: it would be refused for what is there."""
    solids = hands.subject(seed).hands["right"].solids
    for index, item in enumerate(solids):
        if item.name in TRUNKS:
            assert crossing(solids[:index], item.stack, samples=200) is None, item.name


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_what_is_left_of_an_artery_runs_as_the_whole_did(share):
    hand = hands.subject().hands["right"]
    for name, trunk in trunks_of(hand.person, (), {}).items():
        left = replace(trunk, state=ArteryState(occluded_at=share)).left
        levels = np.linspace(*left.ends_m, 1001)
        apart = np.abs(left.at(levels)[0] - trunk.whole.at(levels)[0]).max()
        assert apart < 10e-6, name


def test_the_deep_branch_passes_between_the_flexor_tendons_to_the_end_of_the_arch():
    hand = hands.subject().hands["right"]
    stacks = {item.name: item.stack for item in hand.solids}
    branch = stacks["deep_palmar_branch"]
    assert branch.axis != 1  # see `_AXIS`
    for point in branch.points(np.linspace(*branch.ends_m, 50)):
        for finger, sign in (("4", 1.0), ("5", -1.0)):
            tendon = stacks[f"flexor{finger}_tendon_palm"]
            centre, semi = tendon.at(np.array(point[2]))
            assert sign * (centre[0] - point[0]) > semi[0]
    ulnar, arch = stacks["ulnar_artery"], stacks["deep_arch"]
    assert gap_mm(branch, branch.ends_m[0], ulnar) < 1.0
    assert gap_mm(branch, branch.ends_m[1], arch) < 1.0
    level, _ = nearest_m(arch, branch.points(np.array(branch.ends_m[1])))
    assert level < arch.ends_m[0] + 0.1 * arch.length_m  # its ulnar end


def test_the_table_tells_ends_in_the_direction_of_the_blood():
    rows = table("healthy")
    deep, radial = rows["deep_arch"], rows["radial_artery"]
    near, far = (
        np.linalg.norm([deep[f"{end}_{k}_mm"] - radial[f"end_{k}_mm"] for k in "xyz"])
        for end in ("start", "end")
    )
    assert near < 2.0
    assert far > 25.0


def test_an_artery_of_the_palm_is_narrowest_in_the_middle_of_its_course():
    """Perpendicular to it: across its axis less the angle at which it runs there."""
    rows, healthy = table("narrow"), table("healthy")
    for name, percent in (("ulnar_artery", 40.0), ("superficial_arch", 70.0)):
        assert rows[name]["stenosis_percent"] == pytest.approx(percent, abs=1e-6)
        left = (1.0 - percent / 100.0) ** 2
        stack, whole = (arteries(case)[name].stack for case in ("narrow", "healthy"))
        middle = np.array(0.5 * sum(whole.ends_m))
        ends = stack.points(middle + np.array([-1e-6, 1e-6]))
        least = left * 1e6 * np.pi * whole.at(middle)[1].prod()
        least *= 2e-6 / np.linalg.norm(ends[1] - ends[0])
        assert rows[name]["min_lumen_area_mm2"] == pytest.approx(least, rel=1e-3)
    others = {row["stenosis_percent"] for name, row in healthy.items()}
    assert others == {None}


def test_a_delay_is_that_of_the_named_artery_and_of_what_it_feeds():
    for name, vessel in arteries("narrow").items():
        late = ("common_34", "proper_3_ulnar", "proper_4_radial")
        later = 5.0 if name.startswith(late) else 0.0
        assert vessel.arrival_s == arteries("healthy")[name].arrival_s + later


def test_lesions_of_the_palm_are_in_the_table_with_their_place():
    for case, name, state in (
        ("deep", "deep_arch", "occluded"),
        ("ulnar", "ulnar_artery", "occluded"),
        ("narrow", "superficial_arch", "stenosed"),
        ("narrow", "common_34", "delayed"),
        ("absent", "superficial_arch", "absent"),
    ):
        subject = hands.subject(script=SCRIPTS[case])
        rows = {row["name"]: row for row in lesion_rows(subject)}
        row = rows[f"{name}_{state}"]
        assert (row["kind"], row["site"], row["digit"], row["level"]) == (
            ("artery", name, None, None)
        )
        assert row["solids"] == (name if state != "absent" else None)
        if state in ("occluded", "stenosed"):
            vessel = arteries(case)[name]
            at = vessel.ends_m[1] if state == "occluded" else 0.5 * sum(vessel.ends_m)
            lps = 1e3 * subject.placement.to_patient(vessel.stack.points(np.array(at)))
            place = [row[f"{k}_mm"] for k in "xyz"]
            np.testing.assert_allclose(place, lps * [-1, -1, 1], atol=1e-3)


@pytest.mark.parametrize("case", SCRIPTS)
def test_the_script_of_the_truth_gives_the_same_arteries(case):
    subject = hands.subject(script=SCRIPTS[case])
    found = lesions_of("healthy", "right", lesion_script(subject)).arteries
    assert found == subject.hands["right"].lesions.arteries


def test_every_artery_of_the_palm_may_have_every_state():
    """Each alone, on a hand of its own: it builds, and has what was asked for."""
    script = "".join(entry(name, "stenosed") + entry(name, "delayed") for name in TRUNKS)
    hand = hands.subject(script=script).hands["right"]
    state = ArteryState(stenosis_percent=60.0, delay_s=6.0)
    assert dict(hand.lesions.arteries) == dict.fromkeys(TRUNKS, state)
    narrow = {v.name for v in hand.vessels if v.stenosis_percent is not None}
    assert narrow == set(TRUNKS)


def test_a_severe_hand_has_lost_its_ulnar_artery():
    hand = hands.subject(preset="ssc_severe").hands["right"]
    assert hand.lesions.arteries["ulnar_artery"] == ArteryState(occluded_at=0.25)
    arch = next(v for v in hand.vessels if v.name == "superficial_arch")
    assert arch.feeders == ("radial_superficial_branch",)


# --- junctions ---------------------------------------------------------------------------------


def apart_mm(stack, end, other):
    """Return the gap between the lumina at one end of a piece, from 2001 points of the other."""
    at = np.linspace(*other.ends_m, 2001)
    far = np.linalg.norm(other.points(at) - stack.points(np.array(end)), axis=1)
    radii = [
        np.sqrt(s.at(np.array(level))[1].prod())
        for s, level in ((stack, end), (other, at[far.argmin()]))
    ]
    return 1e3 * (far.min() - sum(radii))


def claimed_gaps_mm(subject):
    """Return the gap of every junction of arteries that the table claims."""
    pieces = {
        subject.prefix(side) + v.name: v for side, h in subject.hands.items() for v in h.vessels
    }
    found = {}
    for row in vessel_rows(subject, arrivals_of(subject)):
        if row["kind"] == "artery":
            piece, names = pieces[row["name"]], (row["feeders"] or "").split()
            assert row["upstream"] == (names[0] if names else None)
            ends = piece.ends_m if "arch" in row["name"] else piece.ends_m[:1]
            for name in names:
                gaps = [apart_mm(piece.stack, end, pieces[name].stack) for end in ends]
                found[row["name"], name] = min(gaps)
    return found


@pytest.mark.parametrize("preset", ["healthy", "ssc_severe"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_junction_has_a_gap_of_more_than_3_mm(seed, preset):
    """A longer gap is an occlusion for whoever reads the pictures."""
    gaps = claimed_gaps_mm(hands.subject(seed, preset))
    assert len(gaps) >= (36 if preset == "healthy" else 25)
    assert max(gaps.values()) <= 3.0


def test_a_feeder_that_is_far_away_is_not_listed():
    """The same pieces, but the arch moved aside by 6 mm: what it fed is not fed by it."""
    hand = hands.subject().hands["right"]
    trunks = dict(trunks_of(hand.person, (), {}))
    arch, common = trunks["superficial_arch"], trunks["common_34"]
    assert arch.feeds(common.whole, common.ends_m[0])
    moved = replace(arch, whole=arch.whole.moved(np.array([0.0, 6e-3, 0.0]), mirrored=False))
    assert not moved.feeds(common.whole, common.ends_m[0])


def test_the_lumen_half_way_up_a_phalanx_is_in_the_table():
    hand = hands.subject().hands["right"]
    for name, row in table("healthy").items():
        vessel = next(v for v in hand.vessels if v.name == name)
        inside = None
        if vessel.level:
            bone = {"P": "pp", "M": "mp", "D": "dp"}[vessel.level]
            middle = 0.5e-3 * sum(hand.person.rays[vessel.digit].z_mm[bone])
            low, high = vessel.stack.ends_m
            if low <= middle <= high:
                inside = np.pi * vessel.stack.at(np.array(middle))[1].prod() * 1e6
                ends = vessel.stack.points(middle + np.array([-1e-6, 1e-6]))
                inside *= 2e-6 / np.linalg.norm(ends[1] - ends[0])
        found = row["mid_phalanx_lumen_area_mm2"]
        assert (found is None) == (inside is None), name
        assert found is None or found == pytest.approx(inside, rel=1e-4), name
        assert inside is not None or not name.startswith("proper")
    assert table("healthy")["radial_artery"]["mid_phalanx_lumen_area_mm2"] is None
