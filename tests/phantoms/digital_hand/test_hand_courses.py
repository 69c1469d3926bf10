"""How the contrast agent passes vessels and tissues, and what the signal makes of it."""

from functools import cache

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.courses import courses_in, make_courses
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of, signal_arrivals_of
from ultrahand.phantoms.digital_hand.fields import make_fields
from ultrahand.physics.contrast_agents import R2STAR_PER_S_PER_MMOL_PER_L, r1_relaxivity
from ultrahand.physics.tissues import tissue

SEQUENCE = {"flip_rad": 0.3, "tr_s": 5.5e-3, "te_s": 2e-3}
FED = """
[[artery]]
name = "2_radial"
state = "absent"
[[artery]]
name = "3_radial"
state = "absent"
[[artery]]
name = "3_ulnar"
state = "absent"
[[artery]]
name = "4_radial"
state = "delayed"
delay_s = 6.0
[[artery]]
name = "4_ulnar"
state = "delayed"
delay_s = 4.0
[[artery]]
name = "5_radial"
state = "occluded"
at = 0.6
"""


@cache
def courses(preset, script, last=130.0, step=0.05):
    """Return subject, fields, times and courses."""
    subject = hands.subject(preset=preset, script=script)
    fields = make_fields(subject, np.random.default_rng(0))
    t = np.arange(0.0, last, step)
    return subject, fields, t, make_courses(subject, fields, arrivals_of(subject), t, **SEQUENCE)


def signal(subject, fields, number, agent, sequence=SEQUENCE):
    """Return the signal over time relative to the baseline, from the equation."""
    r1, r2 = r1_relaxivity("gadobutrol").value, R2STAR_PER_S_PER_MMOL_PER_L.value
    stack = subject.solids[number].stack
    middle = stack.points(np.array([0.5 * sum(stack.ends_m)]))
    flip = sequence["flip_rad"] * fields.transmit_at("1H", np.array([number]), middle)[0]
    rate = 1.0 / tissue(subject.solids[number].tissue).proton.t1_s
    e0, e = (np.exp(-sequence["tr_s"] * r) for r in (rate, rate + r1 * agent))
    now = (1 - e) / (1 - np.cos(flip) * e) * np.exp(-sequence["te_s"] * r2 * agent)
    return now / ((1 - e0) / (1 - np.cos(flip) * e0))


@pytest.mark.parametrize(("preset", "script"), [("healthy", FED), ("ssc_mild", None)])
def test_a_course_is_at_half_of_its_peak_when_its_vessel_fills(preset, script):
    subject, _, t, found = courses(preset, script)
    arrivals, seen = arrivals_of(subject), 0
    for item, course in zip(subject.solids, found.course, strict=True):
        if item.name in arrivals:
            curve = found.concentration[course]
            peak = int(curve.argmax())
            half = np.interp(0.5 * curve.max(), curve[: peak + 1], t[: peak + 1])
            assert half == pytest.approx(arrivals[item.name], abs=0.05)
            assert course.tissue == item.tissue.removesuffix("_blood")
            seen += 1
    assert seen == len(arrivals) > 40


def test_signal_courses_are_those_of_the_concentration():
    """The low-rank form against the signal equation, for every solid that enhances."""
    subject, fields, _, found = courses("ssc_mild", None, 100.0, 0.5)
    made = found.weights @ found.functions
    numbers = [n for n, course in enumerate(found.course) if course]
    vessel = np.array([s.name in arrivals_of(subject) for s in subject.solids])
    largest = [np.abs(made[vessel == kind]).max() for kind in (False, True)]
    assert largest[0] < 0.5 * largest[1]
    for number in numbers:
        agent = found.concentration[found.course[number]]
        expected = signal(subject, fields, number, agent) - 1.0
        bound = 1.001e-3 * largest[int(vessel[number])]
        np.testing.assert_allclose(made[number], expected, rtol=0, atol=bound)
    rest = np.setdiff1d(np.arange(len(subject.solids)), numbers)
    assert not found.weights[rest].any()
    assert {subject.solids[n].tissue for n in rest} >= {"tendon", "cortical_bone", "cartilage"}


def test_signals_arrive_when_they_are_half_way_up():
    """Of a vessel's own signal at its own flip angle; saturation brings it before the agent's."""
    setting = hands.setting(preset="ssc_mild")
    series = next(s for s in setting.protocol.series if s.kind == "dynamic")
    sequence = {"flip_rad": np.radians(series.flip_deg), "tr_s": series.tr_s}
    sequence["te_s"] = series.echo_time_s
    subject, arrivals = setting.subject, arrivals_of(setting.subject)
    rises = signal_arrivals_of(setting, series)
    assert set(rises) == set(arrivals)
    t = np.arange(0.0, 130.0, 0.01)
    found = {c: c.concentration(t) for c in set(courses_in(subject, arrivals)) if c}
    for number, course in enumerate(courses_in(subject, arrivals)):
        item = subject.solids[number]
        if item.name not in arrivals:
            continue
        curve = signal(subject, setting.fields, number, found[course], sequence)
        first = int(np.argmax(curve >= 1.0 + 0.5 * (curve.max() - 1.0)))
        assert rises[item.name] == pytest.approx(t[first], abs=0.06)
        agent = np.interp(rises[item.name], t, found[course]) / found[course].max()
        assert 0.02 < agent < 0.51  # the signal is concave in the agent


# --- what feeds a tissue -----------------------------------------------------------------------


def fed(script):
    subject = hands.subject(script=script)
    found = courses_in(subject, arrivals_of(subject))
    return {s.name: course for s, course in zip(subject.solids, found, strict=True)}


def test_tissue_takes_up_what_its_arteries_bring():
    """Of digit 2 one artery is left, of 3 none; 4 is late, of 5 one ends in the middle phalanx."""
    arrivals, found = arrivals_of(hands.subject(script=FED)), fed(FED)
    wrist = min(arrivals["radial_artery"], arrivals["ulnar_artery"])
    for name in ("palm1_skin", "palm_core1", "mcp3_synovium", "interosseus2"):
        assert (found[name].arrival_s, found[name].supply) == (wrist, 1.0)
    expected = {
        1: ("proper_1_radial_P", 1.0),
        2: ("proper_2_ulnar_P", 0.5),
        4: ("proper_4_ulnar_P", 1.0),
        5: ("proper_5_ulnar_P", 2 / 3),
    }
    for digit, (artery, supply) in expected.items():
        for part in ("skin", "fat"):
            course = found[f"digit{digit}_{part}"]
            assert course.arrival_s == arrivals[artery]
            assert course.supply == pytest.approx(supply)
    for name in ("digit3_skin", "digit3_fat", "pip3_synovium", "dip3_synovium"):
        assert found[name] is None


def test_uptake_is_tofts_model_scaled_by_the_supply():
    """Integrated numerically from the artery's own course, three seconds later."""
    from ultrahand.phantoms.digital_hand.courses import Course

    t = np.arange(0.0, 120.0, 0.02)
    artery = Course("artery", 22.0).concentration(t)
    for name, ktrans, ve in (("skin", 0.08, 0.25), ("muscle", 0.04, 0.10)):
        kernel = ktrans / 60.0 * np.exp(-ktrans / 60.0 / ve * t)
        late = np.interp(t - 3.0, t, artery, left=0.0) / (1.0 - 0.42)
        expected = np.convolve(late, kernel)[: len(t)] * 0.02
        found = Course(name, 22.0, 0.5).concentration(t)
        np.testing.assert_allclose(found, 0.5 * expected, rtol=0, atol=3e-3 * expected.max())
        assert found.max() > 0.03


def test_columns_of_courses_have_names_of_their_own():
    found = {course for course in fed(FED).values() if course}
    names = {course.name for course in found}
    assert len(names) == len(found)
    assert any(name.endswith("_50_percent") for name in names)
