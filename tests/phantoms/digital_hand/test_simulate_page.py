"""docs/simulate.md says what the code does."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.cli.simulate_plan import plan_of, total_bytes
from ultrahand.phantoms.digital_hand import subject as subjects
from ultrahand.phantoms.digital_hand.lesion_script import _DRAWN, _FIELDS, parse
from ultrahand.phantoms.digital_hand.lesion_truth import lesion_rows
from ultrahand.phantoms.digital_hand.lesions import ARTERIES, FINGER_JOINTS, JOINTS, SITES
from ultrahand.phantoms.digital_hand.person import draw_scale
from ultrahand.phantoms.digital_hand.protocol import PROTOCOLS, SIZES
from ultrahand.phantoms.digital_hand.protocol_page import protocol_table
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.digital_hand.subject import make_subject
from ultrahand.phantoms.digital_hand.vessels import TRUNKS
from ultrahand.physics.tissues import tissue

PAGE = Path(__file__).parents[3] / "docs" / "simulate.md"
TEXT = PAGE.read_text(encoding="utf-8")


@cache
def written():
    return protocol_table()


def test_the_page_holds_the_protocols():
    assert written() in TEXT


def test_the_table_has_a_row_for_every_series():
    rows = [line.strip("| ").split(" | ") for line in written().splitlines()]
    expected = [(size, s.name) for size in SIZES for s in PROTOCOLS[size].series]
    assert [(row[0], row[1]) for row in rows[2:]] == expected
    assert len({len(row) for row in rows[:1] + rows[2:]}) == 1
    sodium = rows[2 + expected.index(("full", "sodium"))]
    readouts, samples = (int(n) for n in sodium[8].split(" x "))
    series = PROTOCOLS["full"].series[4]
    assert readouts == series.n_spokes * 2
    assert samples == round(series.readout_s / series.sample_time_s)
    assert float(sodium[9]) == pytest.approx(readouts * samples * 8 * 8e-6, rel=5e-3)


def test_every_key_of_the_script_is_on_the_page():
    table = {
        line.split("|")[1].strip(" `[]"): line
        for line in TEXT.splitlines()
        if line.startswith("| `")
    }
    for kind, keys in _FIELDS.items():
        for key, (_, words, default) in keys.items():
            assert f"`{key}`" in table[kind], (kind, key)
            if words.startswith("a number"):
                low, high = re.findall(r"[0-9.]+", words)
                assert f"{low} to {high}" in table[kind], (kind, key)
            if isinstance(default, (str, int, float)):
                assert (
                    f"`{key}`: {default:g}" in table[kind]
                    if not isinstance(default, str)
                    else f"`{key}`: {default}" in table[kind]
                )
    for key in _DRAWN:
        assert f"`{key}`" in table["drawn"]


def test_the_example_has_every_kind_and_every_key_and_fits():
    example = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)[1]
    lesions = parse(example, "left")
    for kind, keys in _FIELDS.items():
        assert f"[[{kind}]]" in example
        for key in keys:
            assert f"\n{key} = " in example, key
    assert {s.present for s in lesions.arteries.values()} == {True, False}
    subject = make_subject(1, "healthy", "right", example)
    assert len(subject.solids) > 200
    healthy = tissue("cartilage").sodium.concentration_mmol_per_l
    assert max(lesions.cartilage.values()) < 0.85 * healthy


def expanded(text):
    """Return names where the page writes `mc1` to `mc5`."""
    found = set(re.findall(r"`(\w+)`", text))
    for word, low, high in re.findall(r"`([a-z]+)(\d)` to `[a-z]+(\d)`", text):
        found |= {f"{word}{n}" for n in range(int(low), int(high) + 1)}
    return found


def test_the_page_names_every_site_and_joint():
    bones, joints = re.search(
        r"Sites of bones: (.*?) Finger joints: (.*?)\n\n", TEXT, re.DOTALL
    ).groups()
    named = expanded(bones)
    whole = {f"{n}_{end}" for n in named for end in ("base", "head")} | named
    assert set(SITES) <= whole
    assert set(FINGER_JOINTS) <= expanded(joints)
    assert set(JOINTS) == expanded(joints)
    assert len(ARTERIES) == 10 + len(TRUNKS)
    arteries = next(line for line in TEXT.splitlines() if line.startswith("| `artery`"))
    for name in TRUNKS:
        assert f"`{name}`" in arteries


def test_the_page_names_the_columns_of_the_tables():
    from ultrahand.phantoms.digital_hand import truth, vessel_truth
    from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of

    subject = hands.subject(1, "ssc_severe", "right")
    for rows in (
        truth.joint_rows(subject),
        vessel_truth.vessel_rows(subject, arrivals_of(subject)),
        vessel_truth.transit_rows(subject, arrivals_of(subject)),
        lesion_rows(subject),
        truth.solid_rows(subject),
        truth.landmark_rows(subject),
    ):
        for name in rows[0]:
            if not re.fullmatch(r"((start|end)_)?[xyz]_mm", name):
                assert f"`{name}`" in TEXT, name


LARGEST = 0.95 * 1.10
"""Of a person's hands over the published means: no larger one is drawn."""


@pytest.mark.long
@pytest.mark.parametrize("size", [None, LARGEST], ids=["drawn", "largest"])
@pytest.mark.parametrize("seed", [1, 2, 9])
def test_raw_data_of_both_hands_in_full_are_4_to_6_gb(seed, size, monkeypatch):
    """Of swollen hands: their field of view is the larger one."""
    if size is not None:
        monkeypatch.setattr(subjects, "draw_scale", lambda _: size)
    one = make_subject(seed, "ssc_severe", "both")
    protocol = PROTOCOLS["full"]
    setting = Setting(subject=one, fields=None, protocol=protocol, seed=seed, threads=1)
    assert 4e9 < total_bytes(plan_of(setting)) < 6e9


def test_no_person_is_larger_than_the_largest():
    drawn = [draw_scale(np.random.default_rng(seed)) for seed in range(2000)]
    assert max(drawn) == pytest.approx(LARGEST)


@pytest.mark.parametrize("size", PROTOCOLS)
def test_frames_of_the_dynamic_series_share_its_spokes_out(size):
    series = PROTOCOLS[size].series[-1]
    assert series.n_spokes % series.frame_spokes == 0
