"""The vascular truth: arrivals, transit times, lumina, the graph, and what goes wrong with it."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import norm

from phantoms.digital_hand import hands, integrals
from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.anatomy import _draw_vessels, draw_wrist_s
from ultrahand.phantoms.digital_hand.courses import MAX_CLASSES, arrival_classes
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of
from ultrahand.phantoms.digital_hand.lesion_script import preset
from ultrahand.phantoms.digital_hand.lumina import lumen_mm2
from ultrahand.phantoms.digital_hand.vessel_truth import transit_rows, vessel_rows
from ultrahand.phantoms.digital_hand.vessels import PROPER

LEVELS = {1: "PD", 2: "PMD", 3: "PMD", 4: "PMD", 5: "PMD"}
EVEN = """
[drawn]
lumen_mm2 = [0.5, 0.0]
vein_count = [2.0, 0.0]
transit_s = [8.0, 0.0]
"""
ILL = (
    EVEN
    + """
[[artery]]
name = "1_radial"
state = "absent"
[[artery]]
name = "2_radial"
state = "occluded"
at = 0.4
[[artery]]
name = "3_radial"
state = "stenosed"
percent = 40
[[artery]]
name = "4_radial"
state = "delayed"
delay_s = 5.0
[[veins]]
digit = 5
count = 0
"""
)


@cache
def table(script):
    """Return the vessels of a hand as the truth tells them, by name."""
    subject = hands.subject(script=script)
    return {row["name"]: row for row in vessel_rows(subject, arrivals_of(subject))}


def transits(*case, **options):
    subject = hands.subject(*case, **options)
    return transit_rows(subject, arrivals_of(subject))


@cache
def vessels(script):
    return {v.name: v for v in hands.subject(script=script).hands["right"].vessels}


# --- when --------------------------------------------------------------------------------------


def test_every_proper_artery_fills_when_its_level_does():
    """At the wrist when the person's blood is there, then 2, 3 and 4 s later: as the page says."""
    rows, wrist = table(EVEN), hands.subject(script=EVEN).hands["right"].wrist_s
    assert len([n for n in rows if n.startswith("proper")]) == 28
    for digit, side in PROPER:
        for level in LEVELS[digit]:
            row = rows[f"proper_{digit}_{side}_{level}"]
            assert row["arrival_s"] == wrist + {"P": 2.0, "M": 3.0, "D": 4.0}[level]
            assert (row["digit"], row["digit_side"], row["level"]) == (digit, side, level)
    for name, later in (("radial_artery", 0), ("ulnar_artery", 0), ("superficial_arch", 1)):
        assert rows[name]["arrival_s"] == wrist + later


def test_blood_comes_to_both_wrists_of_a_person_at_once_and_differs_between_persons():
    both, right = hands.subject(1, "healthy", "both").hands, hands.subject(1).hands["right"]
    assert both["left"].wrist_s == both["right"].wrist_s == right.wrist_s
    for hand in both.values():
        first = {v.arrival_s for v in hand.vessels if not v.feeders and v.kind == "artery"}
        assert first == {hand.wrist_s}
    drawn = [draw_wrist_s(np.random.default_rng(n)) for n in range(2000)]
    assert set(drawn) == set(range(14, 27))  # whole seconds, cut at two standard deviations
    assert np.mean(drawn) == pytest.approx(20.0, abs=0.3)
    assert np.std(drawn) == pytest.approx(2.9, abs=0.2)


def test_veins_follow_the_arteries_by_the_transit_time():
    rows, transit = table(EVEN), transits(script=EVEN)
    for row in transit:
        digit = row["digit"]
        first = rows[f"proper_{digit}_ulnar_P"]["arrival_s"]
        veins = [r for n, r in rows.items() if re.fullmatch(rf"vein_{digit}_dorsal\d_P", n)]
        assert len(veins) == row["n_dorsal_veins"] == 2
        for vein in [*veins, rows[f"vein_{digit}_palmar_P"]]:
            assert vein["arrival_s"] - first == row["transit_s"] == 8.0
        assert "assumption" in row["basis"]


def test_drawn_transit_times_are_those_of_the_vessels():
    """Before arrivals are merged into classes, for every digit of a hand as drawn."""
    hand = hands.subject(preset="ssc_mild").hands["right"]
    arrivals = {v.name: v.arrival_s for v in hand.vessels}
    delayed = {(2, "radial"): 4.0}
    found = 0
    for digit, side in PROPER:
        first = arrivals[f"proper_{digit}_{side}_P"] - delayed.get((digit, side), 0.0)
        veins = [
            v for v in hand.vessels if v.digit == digit and v.kind == "vein" and v.level == "P"
        ]
        assert {v.arrival_s - first for v in veins} <= {hand.transit_s[digit]}
        found += len(veins)
    assert found >= 5
    assert len(set(hand.transit_s.values())) > 1


@pytest.mark.parametrize(
    ("case", "merged"),
    [
        ((1, "healthy", "right"), False),
        ((1, "healthy", "both", "[drawn]\ntransit_s = [16.0, 8.0]\n"), True),
    ],
)
def test_transit_times_are_the_differences_of_the_vessels_arrivals(case, merged):
    """Both hands may have more than 12 arrivals: what is merged is merged in both tables."""
    subject = hands.subject(*case)
    rows, seen = vessel_rows(subject, arrivals_of(subject)), 0
    assert (len({row["drawn_arrival_s"] for row in rows}) > MAX_CLASSES) == merged
    assert any(row["arrival_s"] != row["drawn_arrival_s"] for row in rows) == merged
    for transit in transit_rows(subject, arrivals_of(subject)):
        own = [r for r in rows if (r["side"], r["digit"]) == (transit["side"], transit["digit"])]
        first = [r for r in own if r["kind"] == "artery" and r["level"] == "P"]
        for vein in (r for r in own if r["kind"] == "vein"):
            for artery in first:
                for drawn in ("", "drawn_"):
                    key = f"{drawn}arrival_s"
                    difference = vein[key] - artery[key]
                    assert difference == pytest.approx(transit[f"{drawn}transit_s"], abs=1e-9)
                seen += 1
    assert seen >= 20


def test_few_arrivals_stay_and_many_are_merged_nearest_first():
    few = {f"v{n}": float(n // 2) for n in range(2 * MAX_CLASSES)}
    assert arrival_classes(few) == few
    many = few | {"late": 11.25, "later": 30.0}
    merged = arrival_classes(many)
    assert len(set(merged.values())) == MAX_CLASSES
    # 11.25 joins the two at 11; then 14 values are 13: the first of the nearest pairs, 0 and 1.
    assert merged["late"] == merged["v22"] == pytest.approx((2 * 11.0 + 11.25) / 3)
    assert merged["v0"] == merged["v2"] == 0.5
    assert merged["later"] == 30.0
    order = sorted(many, key=lambda n: many[n])
    assert (np.diff([merged[n] for n in order]) >= 0).all()


# --- how wide, where ---------------------------------------------------------------------------


@pytest.mark.parametrize("script", [EVEN, ILL])
def test_the_lumen_of_the_table_is_perpendicular_and_the_length_along_the_course(script):
    for name, row in table(script).items():
        stack = vessels(script)[name].stack
        middle = 0.5 * (stack.knots_m[0] + stack.knots_m[-1])
        lumen = perpendicular_mm2(stack, np.array([middle]))[0]
        assert row["lumen_area_mm2"] == pytest.approx(lumen, rel=1e-4)
        points = centres(stack, np.linspace(stack.knots_m[0], stack.knots_m[-1], 5001))
        length = 1e3 * np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
        assert row["length_mm"] == pytest.approx(length, rel=1e-4)


def centres(stack, at):
    """Return points of the middle line: along the axis, and the two others."""
    return np.column_stack([at, integrals.profile(stack, at)[:, :2]])


def perpendicular_mm2(stack, at):
    """Return areas perpendicular to the middle line: those across the axis times the cosine."""
    low, high = np.maximum(at - 1e-5, stack.knots_m[0]), np.minimum(at + 1e-5, stack.knots_m[-1])
    cosine = (high - low) / np.linalg.norm(centres(stack, high) - centres(stack, low), axis=1)
    return 1e6 * np.pi * integrals.profile(stack, at)[:, 2:].prod(axis=1) * cosine


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("radial_artery", 0.5),
        ("radial_artery", 0.85),
        ("proper_5_ulnar_P", 0.1),
        ("proper_1_radial_P", 0.35),
        ("proper_4_radial_P", 0.05),
        ("superficial_arch", 0.2),
        ("vein_1_knuckle1", 0.6),
    ],
)
def test_a_lumen_is_that_of_a_cut_through_the_solid(name, share):
    """Points of a plane perpendicular to the course that lie in the solid, 20 micrometres apart."""
    stack = vessels(EVEN)[name].stack
    low, high = stack.knots_m[0], stack.knots_m[-1]
    at = np.array([low + share * (high - low)])
    ends = stack.points(at[0] + np.array([-1e-5, 1e-5]))
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    aside = np.linalg.svd(along[None])[2][1:]
    step = np.arange(-3e-3, 3e-3, 2e-5)
    plane = np.stack(np.meshgrid(step, step), axis=-1) @ aside + stack.points(at)[0]
    cut = 1e6 * stack.contains(plane).sum() * (step[1] - step[0]) ** 2
    assert float(lumen_mm2(stack, at)[0]) == pytest.approx(cut, rel=0.03)
    oblique = abs(along[stack.axis]) < 0.95
    across = 1e6 * np.pi * integrals.profile(stack, at)[0, 2:].prod()
    assert oblique
    assert across > 1.05 * cut


def test_a_proper_artery_has_its_drawn_lumen_half_way_up_the_first_phalanx():
    """Perpendicular to the artery; of the next phalanx, tapered as the page says."""
    rays = hands.subject(script=EVEN).hands["right"].person.rays
    for digit, side in PROPER:
        middle = 0.5e-3 * sum(rays[digit].z_mm["pp"])
        row = table(EVEN)[f"proper_{digit}_{side}_P"]
        assert row["mid_phalanx_lumen_area_mm2"] == pytest.approx(0.5, rel=1e-6)
        pieces = [vessels(EVEN)[f"proper_{digit}_{side}_{level}"] for level in LEVELS[digit]]
        last = pieces[-1].stack.knots_m[-1]
        for piece in pieces[1:]:
            bone = {"M": "mp", "D": "dp"}[piece.level]
            at = 0.5e-3 * sum(rays[digit].z_mm[bone])
            taper = 1.0 - 0.3 * (at - middle) / (last - middle)
            found = perpendicular_mm2(piece.stack, np.array([at]))[0]
            assert found == pytest.approx(0.5 * taper**2, rel=0.02), piece.name


def test_every_vessel_is_fed_by_one_of_the_table():
    for script in (EVEN, ILL):
        rows = table(script)
        for name, row in rows.items():
            seen = [name]
            while rows[seen[-1]]["upstream"] is not None:
                seen.append(rows[seen[-1]]["upstream"])
                assert len(seen) == len(set(seen))
            if row["kind"] == "artery":
                assert seen[-1] in ("radial_artery", "ulnar_artery")
                times = [rows[n]["arrival_s"] for n in seen]
                assert times == sorted(times, reverse=True) or name.startswith("proper_4_radial")


def test_pieces_of_one_artery_follow_each_other():
    rows = table(EVEN)
    for digit, side in PROPER:
        for first, second in zip(LEVELS[digit], LEVELS[digit][1:], strict=False):
            near, far = (rows[f"proper_{digit}_{side}_{level}"] for level in (first, second))
            assert far["upstream"] == near["name"]
            for axis in "xyz":
                assert near[f"end_{axis}_mm"] == pytest.approx(far[f"start_{axis}_mm"], abs=1e-3)


# --- what goes wrong ---------------------------------------------------------------------------


def test_an_absent_artery_is_not_there():
    assert not [n for n in table(ILL) if n.startswith("proper_1_radial")]
    assert [n for n in table(ILL) if n.startswith("proper_1_ulnar")]


def test_an_occluded_artery_ends_where_it_is_told_to():
    pieces = [v.stack for n, v in vessels(EVEN).items() if n.startswith("proper_2_radial")]
    low, high = pieces[0].knots_m[0], pieces[-1].knots_m[-1]
    left = [v.stack for n, v in vessels(ILL).items() if n.startswith("proper_2_radial")]
    assert left[0].knots_m[0] == pytest.approx(low, abs=1e-9)
    assert left[-1].knots_m[-1] == pytest.approx(low + 0.4 * (high - low), abs=1e-9)
    assert len(left) < len(pieces)


def test_a_stenosis_narrows_the_diameter_by_its_percentage():
    ray = hands.subject(script=ILL).hands["right"].person.rays[3]
    middle = 0.5e-3 * sum(ray.z_mm["pp"])
    narrow, wide = (vessels(s)["proper_3_radial_P"].stack for s in (ILL, EVEN))
    at = middle + np.array([0.0, -3.0e-3, 3.0e-3])
    here, there = (integrals.profile(stack, at)[:, 2] for stack in (narrow, wide))
    np.testing.assert_allclose(here / there, [0.6, 1.0, 1.0], rtol=1e-2)
    assert here[0] / there[0] == pytest.approx(0.6, rel=1e-9)


@pytest.mark.parametrize(("name", "at"), [("3_radial", 0.1), ("common_34", 0.2)])
def test_a_stenosis_beyond_an_occlusion_is_refused(name, at):
    """It would be in the list of lesions and nowhere in the hand."""
    script = f"""
[[artery]]
name = "{name}"
state = "occluded"
at = {at}
[[artery]]
name = "{name}"
state = "stenosed"
"""
    with pytest.raises(InputError, match=f"artery {name}") as refused:
        hands.subject(script=script)
    assert f"at = {at}" in str(refused.value)
    (hand,) = hands.subject(script=script.replace(f"at = {at}", "at = 0.8")).hands.values()
    assert [v.narrowest_m for v in hand.vessels if v.narrowest_m is not None]


def test_a_stenosis_shows_in_the_table():
    narrow, wide = (table(s)["proper_3_radial_P"] for s in (ILL, EVEN))
    assert narrow["stenosis_percent"] == pytest.approx(40.0, abs=0.1)
    assert narrow["min_lumen_area_mm2"] == pytest.approx(0.36 * 0.5, rel=1e-3)
    assert narrow["min_lumen_area_mm2"] < 0.5 * wide["min_lumen_area_mm2"]
    others = {row["stenosis_percent"] for row in table(EVEN).values()}
    others |= {r["stenosis_percent"] for n, r in table(ILL).items() if n != "proper_3_radial_P"}
    assert others == {None}


def test_the_least_lumen_is_that_of_the_narrowest_cross_section():
    for script in (EVEN, ILL):
        for name, row in table(script).items():
            stack = vessels(script)[name].stack
            at = np.linspace(stack.knots_m[0], stack.knots_m[-1], 1001)
            least = perpendicular_mm2(stack, at).min()
            assert row["min_lumen_area_mm2"] == pytest.approx(least, rel=1e-3)
            assert row["min_lumen_area_mm2"] <= row["lumen_area_mm2"] * (1 + 1e-9)


def test_a_delayed_artery_fills_later_at_every_level():
    for level in "PMD":
        name = f"proper_4_radial_{level}"
        assert table(ILL)[name]["arrival_s"] == table(EVEN)[name]["arrival_s"] + 5.0
        other = f"proper_4_ulnar_{level}"
        assert table(ILL)[other]["arrival_s"] == table(EVEN)[other]["arrival_s"]


def test_a_digit_without_veins_has_none_and_no_transit_time():
    assert not [n for n in table(ILL) if n.startswith("vein_5")]
    row = transits(script=ILL)[4]
    assert (row["digit"], row["n_dorsal_veins"], row["transit_s"]) == (5, 0, None)
    assert [n for n in table(EVEN) if n.startswith("vein_5_dorsal")]


# --- how often ---------------------------------------------------------------------------------


@cache
def drawn(name):
    """Return transit times, lumina and numbers of veins of 200 hands."""
    lesions = preset(name, "right")
    counts, transit, lumen = zip(
        *(_draw_vessels(np.random.default_rng(n), lesions) for n in range(200)), strict=True
    )
    free = [d for d in range(1, 6) if d not in lesions.veins]
    return (
        np.array([list(t.values()) for t in transit]).ravel(),
        np.array([list(t.values()) for t in lumen]).ravel(),
        np.array([[c[d] for d in free] for c in counts]).ravel(),
    )


def clipped_normal(mean, sd, low, high):
    """Return mean and sd of a normal variable whose values beyond the bounds lie on them."""
    x = np.linspace(low, high, 20001)
    weight = norm.pdf(x, mean, sd) * (x[1] - x[0])
    weight[[0, -1]] *= 0.5
    weight[0] += norm.cdf(low, mean, sd)
    weight[-1] += norm.sf(high, mean, sd)
    expected = weight @ x
    return expected, np.sqrt(weight @ (x - expected) ** 2)


def rounded_normal(mean, sd, low, high):
    """Return mean and sd of a normal variable rounded to whole numbers, then clipped."""
    x = np.arange(low, high + 1)
    upper = norm.cdf(x + 0.5, mean, sd)
    upper[-1] = 1.0
    weight = np.diff(upper, prepend=0.0)
    expected = weight @ x
    return expected, np.sqrt(weight @ (x - expected) ** 2)


def assert_drawn_from(values, mean, sd):
    """Four standard errors either way, of the mean and (kurtosis 3) of the deviation."""
    n = len(values)
    assert abs(values.mean() - mean) < 4 * sd / np.sqrt(n)
    assert abs(values.std() - sd) < 4 * sd / np.sqrt(2 * n)


def test_transit_times_are_drawn_as_assumed():
    values = drawn("healthy")[0]
    mean, sd = rounded_normal(8.0, 3.0, 2, 60)
    assert (values == np.rint(values)).all()
    assert_drawn_from(values, mean, sd)
    assert abs(mean - 8.0) < 0.05  # what rounding and the least of 2 s change of the assumption
    assert abs(sd - 3.0) < 0.1


@pytest.mark.parametrize(
    ("name", "mean", "sd"), [("healthy", 0.53, 0.26), ("ssc_severe", 0.13, 0.06)]
)
def test_lumina_are_drawn_as_published(name, mean, sd):
    """Cutting at 0.05 mm2 and at two standard deviations changes little."""
    values = drawn(name)[1]
    cut_mean, cut_sd = clipped_normal(mean, sd, 0.05, mean + 2 * sd)
    assert_drawn_from(values, cut_mean, cut_sd)
    assert values.min() >= 0.05
    assert abs(cut_mean - mean) < 0.05 * sd
    assert 0.88 * sd < cut_sd < sd


@pytest.mark.parametrize("pair", [(0.0, 0.0), (0.02, 0.01), (0.04, 0.3)])
def test_no_lumen_is_drawn_below_the_least(pair):
    lesions = replace(preset("healthy", "right"), lumen_mm2=pair)
    for seed in range(20):
        lumen = _draw_vessels(np.random.default_rng(seed), lesions)[2]
        assert min(lumen.values()) >= 0.05


@pytest.mark.parametrize(
    ("name", "mean", "sd", "shift"),
    [("healthy", 3.13, 0.99, 0.02), ("ssc_severe", 0.63, 1.06, 0.25)],
)
def test_veins_are_drawn_as_published(name, mean, sd, shift):
    """Whole numbers from 0 on: where the mean is below one standard deviation, that raises it."""
    values = drawn(name)[2]
    whole_mean, whole_sd = rounded_normal(mean, sd, 0, 6)
    assert_drawn_from(values, whole_mean, whole_sd)
    assert abs(whole_mean - mean) < shift
    assert abs(whole_sd - sd) < 0.25
