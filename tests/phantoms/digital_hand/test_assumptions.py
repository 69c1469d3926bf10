"""What is assumed is said once, in the same words in the docs, and with the numbers in use."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from ultrahand.phantoms.digital_hand import person, vials
from ultrahand.phantoms.digital_hand.assumptions import ASSUMPTIONS
from ultrahand.physics.tissues import tissue

PAGE = Path(__file__).parents[3] / "docs" / "simulate.md"


def listed():
    """The entries of the page's list, each on one line."""
    section = PAGE.read_text(encoding="utf-8").split("## What is assumed")[1]
    entries = re.findall(r"^- (.+(?:\n  .+)*)", section, re.MULTILINE)
    return [" ".join(entry.split()) for entry in entries]


def test_the_page_has_the_list_word_by_word():
    assert listed() == list(ASSUMPTIONS)


@pytest.mark.parametrize("name", ["healthy", "ssc_mild", "ssc_severe"])
def test_numbers_of_the_presets_are_those_in_use(name):
    text = (files("ultrahand.phantoms.digital_hand") / "presets" / f"{name}.toml").read_text()
    given = tomllib.loads(text)
    mean, sd = given["drawn"]["transit_s"]
    (transit,) = [line for line in ASSUMPTIONS if line.startswith("transit")]
    assert f"{mean:g} +- {sd:g} s ({name})" in transit
    (loss,) = [line for line in ASSUMPTIONS if line.startswith("the loss of sodium")]
    low, high, healthy = (float(number) for number in re.findall(r"[\d.]*\d", loss))
    assert healthy == tissue("cartilage").sodium.concentration_mmol_per_l
    values = [entry["concentration_mmol_per_l"] for entry in given.get("cartilage", [])]
    assert all(low <= value <= high for value in values)
    assert values or name == "healthy"


def test_numbers_of_the_hand_are_those_in_use():
    (thickness,) = [line for line in ASSUMPTIONS if line.startswith("thickness of cartilage")]
    low, high = min(person.CARTILAGE_MM.values()), max(person.CARTILAGE_MM.values())
    assert f"({low:g} to {high:g} mm a side)" in thickness
    (error,) = [line for line in ASSUMPTIONS if line.startswith("error of the vials")]
    assert f"{100 * vials.RELATIVE_STDERR:g} %" in error
