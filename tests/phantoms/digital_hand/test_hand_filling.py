"""When vessels fill: never before what feeds them, and not at all where no artery is left."""

import re

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.courses import courses_in
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of, signal_arrivals_of
from ultrahand.phantoms.digital_hand.hand_truth import hands_truth
from ultrahand.phantoms.digital_hand.lesions import ARTERIES
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.digital_hand.vessel_truth import transit_rows, vessel_rows

WRIST = ("radial_artery", "ulnar_artery")


def entry(name, state, more=""):
    return f'[[artery]]\nname = "{name}"\nstate = "{state}"\n{more}\n'


def both(digit, state, more=""):
    return "".join(entry(f"{digit}_{side}", state, more) for side in ("radial", "ulnar"))


def drawn_at_random(seed):
    """Return a script of lesions that change when arteries fill."""
    rng = np.random.default_rng(seed)
    text = ""
    for name in rng.choice(ARTERIES, 7, replace=False):
        state = rng.choice(["absent", "occluded", "delayed"])
        more = {
            "absent": "",
            "occluded": f"at = {rng.uniform(0.05, 0.95):.2f}",
            "delayed": f"delay_s = {rng.integers(1, 40)}.0",
        }
        text += entry(name, state, more[str(state)])
    return text


def rows_of(subject):
    return {row["name"]: row for row in vessel_rows(subject, arrivals_of(subject))}


def reaching(subject, side, digit):
    """Return the names of a digit's first pieces of the arteries that reach it."""
    (reach,) = (h["reach"] for h in hands_truth(subject)["hands"] if h["side"] == side)
    prefix = subject.prefix(side)
    sides = [one for one in ("radial", "ulnar") if reach[f"{digit}_{one}"]]
    return [f"{prefix}proper_{digit}_{one}_P" for one in sides]


def assert_causal(subject, key):
    rows = rows_of(subject)
    time = {name: np.inf if row[key] is None else row[key] for name, row in rows.items()}
    for name, row in rows.items():
        prefix = subject.prefix(row["side"])
        feeders = (row["feeders"] or "").split()
        earliest = min((time[feeder] for feeder in feeders), default=None)
        if feeders:
            assert time[row["upstream"]] == earliest <= time[name], name
        elif row["kind"] == "artery" and name.removeprefix(prefix) not in WRIST:
            left = [time[prefix + one] for one in WRIST if prefix + one in rows]
            wrist = subject.hands[row["side"]].wrist_s
            step = 1.0 if key.startswith("drawn") else 0.0  # those merged may be one
            assert time[name] >= min(left, default=wrist) + step, name
        if row["kind"] == "vein" and row["digit"]:
            first = reaching(subject, row["side"], row["digit"])
            assert (row[key] is None) == (not first), name
            assert all(time[artery] > 0 for artery in first)
            assert not first or time[name] >= min(time[artery] for artery in first), name
        elif row["kind"] == "vein" and feeders:
            assert time[name] == earliest, name


CASES = [
    *((seed, preset, "right", None) for seed in (1, 4) for preset in ("healthy", "ssc_severe")),
    (1, "ssc_mild", "both", None),
    *((1, "healthy", "right", drawn_at_random(seed)) for seed in range(4)),
    (3, "ssc_severe", "both", drawn_at_random(6)),
]


@pytest.mark.parametrize("case", CASES)
def test_no_vessel_fills_before_what_feeds_it(case):
    subject = hands.subject(*case)
    for key in ("drawn_arrival_s", "arrival_s"):
        assert_causal(subject, key)
    drawn = {row["drawn_arrival_s"] for row in rows_of(subject).values()} - {None}
    assert all(time == int(time) for time in drawn)  # whole seconds: few classes


@pytest.mark.parametrize("case", CASES)
def test_the_transit_time_is_from_the_first_artery_that_reaches_the_digit_to_its_veins(case):
    subject = hands.subject(*case)
    rows = rows_of(subject)
    for row in transit_rows(subject, arrivals_of(subject)):
        own = [r for r in rows.values() if (r["side"], r["digit"]) == (row["side"], row["digit"])]
        veins = [r for r in own if r["kind"] == "vein"]
        arteries = [rows[name] for name in reaching(subject, row["side"], row["digit"])]
        for drawn in ("", "drawn_"):
            found = row[f"{drawn}transit_s"]
            assert (found is None) == (not (veins and arteries))
            if found is not None:
                first = min(r[f"{drawn}arrival_s"] for r in arteries)
                assert {r[f"{drawn}arrival_s"] - first for r in veins} == {found}


def test_veins_wait_for_delayed_arteries():
    """Both arteries of a digit come 30 s later: so do its veins, and no others."""
    late = rows_of(hands.subject(script=both(3, "delayed", "delay_s = 30.0")))
    healthy = rows_of(hands.subject())
    for name, row in late.items():
        own = re.match(r"proper_3_|vein_3_", name)
        later = 30.0 if own else 0.0
        if own or not name.startswith("vein_"):
            assert row["drawn_arrival_s"] == healthy[name]["drawn_arrival_s"] + later, name


@pytest.mark.parametrize("script", [both(3, "absent"), both(3, "occluded", "at = 0.05")])
def test_a_digit_that_no_artery_reaches_stays_without_agent(script):
    """Its veins are there and without agent, as its skin is; the reading says so."""
    subject = hands.subject(script=script)
    rows, arrivals = rows_of(subject), arrivals_of(subject)
    veins = [row for name, row in rows.items() if name.startswith("vein_3_")]
    assert len(veins) > 5
    for row in veins:
        assert row["arrival_s"] is row["drawn_arrival_s"] is None
        assert row["name"] not in arrivals
    found = {s.name: c for s, c in zip(subject.solids, courses_in(subject, arrivals), strict=True)}
    assert not [
        name
        for name, course in found.items()
        if course and re.match(r"vein_3_|digit3_|pip3_|dip3_", name)
    ]
    transit = transit_rows(subject, arrivals)[2]
    assert (transit["transit_s"], transit["drawn_transit_s"]) == (None, None)
    (reading,) = hands_truth(subject)["hands"]
    assert reading["reach"]["3_radial"] == reading["reach"]["3_ulnar"] == 0
    assert reading["n_veins_proximal"]["3"] == 0
    assert reading["n_veins_proximal"]["2"] > 0
    assert reading["venous_return_absent_proximal_percent"] == pytest.approx(20.0)


def test_the_signal_of_a_vein_without_agent_has_no_arrival():
    one = hands.setting()
    subject = hands.subject(script=both(3, "absent"))
    setting = Setting(subject=subject, fields=one.fields, protocol=one.protocol, seed=1, threads=2)
    series, _ = hands.series_of(one.protocol, "dynamic")
    rises = signal_arrivals_of(setting, series)
    assert set(rises) == set(rows_of(subject))
    for name, row in rows_of(subject).items():
        assert (rises[name] is None) == (row["arrival_s"] is None), name


def test_a_delayed_trunk_delays_all_that_it_feeds():
    late, healthy = (
        rows_of(hands.subject(script=script))
        for script in (entry("common_23", "delayed", "delay_s = 20.0"), None)
    )
    for name, row in late.items():
        own = re.match(r"common_23|proper_2_ulnar|proper_3_radial", name)
        later = 20.0 if own else 0.0  # the veins have a sooner artery
        assert row["drawn_arrival_s"] == healthy[name]["drawn_arrival_s"] + later, name


def test_a_trunk_fed_from_both_sides_fills_by_the_sooner():
    late, healthy = (
        rows_of(hands.subject(script=script))
        for script in (entry("ulnar_artery", "delayed", "delay_s = 9.0"), None)
    )
    assert late["superficial_arch"]["upstream"] == "radial_superficial_branch"
    assert healthy["superficial_arch"]["upstream"] == "ulnar_artery"
    for name in ("superficial_arch", "deep_arch", "common_45", "proper_5_ulnar_D"):
        assert late[name]["drawn_arrival_s"] == healthy[name]["drawn_arrival_s"], name
    for name in ("ulnar_artery", "deep_palmar_branch"):
        assert late[name]["drawn_arrival_s"] == healthy[name]["drawn_arrival_s"] + 9.0, name


def test_what_has_no_feeder_left_fills_through_collaterals():
    """A second later than in health, after the first artery that is left at the wrist."""
    healthy = rows_of(hands.subject())
    severe = hands.subject(1, "ssc_severe")
    wrist, rows = severe.hands["right"].wrist_s, rows_of(severe)
    assert rows["deep_palmar_branch"]["feeders"] is None
    assert rows["deep_palmar_branch"]["drawn_arrival_s"] == wrist + 1.0
    assert rows["deep_arch"]["drawn_arrival_s"] == wrist + 1.0
    lost = entry("superficial_arch", "absent")
    for more, later in (
        ("", 1.0),
        ("".join(entry(name, "delayed", "delay_s = 7.0") for name in WRIST), 8.0),
        ("".join(entry(name, "absent") for name in WRIST), 1.0),
    ):
        rows = rows_of(hands.subject(script=lost + more))
        for name in ("common_23", "proper_3_radial_P", "proper_5_ulnar_D"):
            assert rows[name]["drawn_arrival_s"] == healthy[name]["drawn_arrival_s"] + later, name


def test_a_hand_without_any_artery_has_no_agent_at_all():
    subject = hands.subject(script="".join(entry(name, "absent") for name in ARTERIES))
    assert arrivals_of(subject) == {}
    assert set(courses_in(subject, {})) == {None}
    assert {row["arrival_s"] for row in rows_of(subject).values()} == {None}
