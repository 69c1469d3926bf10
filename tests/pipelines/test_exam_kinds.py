"""What is said of a measurement that is not what its kind says."""

from types import SimpleNamespace

import pytest

from ultrahand.io.exam_file import KINDS
from ultrahand.pipelines.exam import PLACES
from ultrahand.pipelines.exam_kinds import COUNTERS, NUCLEI, kind_findings
from ultrahand.recon.sorting import Series, Volume
from ultrahand.records.findings import Level


def plan(nucleus="1H", **counters):
    """A plan of one volume for each value of a counter."""
    values = counters or {"set": [0]}
    volumes = [
        Volume(encoding=0, counters={"set": 0, "contrast": 0} | {name: n}, slices={})
        for name, numbers in values.items()
        for n in numbers
    ]
    series = Series(entities={}, frame_axis=None, volumes=tuple(volumes))
    return SimpleNamespace(nucleus=nucleus, series=(series,))


def fields(kind, made):
    found = kind_findings(kind, made)
    assert {f.level for f in found} <= {Level.WARNING}
    return [f.field for f in found]


def test_every_kind_that_is_reconstructed_has_its_nucleus():
    assert set(NUCLEI) == set(PLACES)
    assert set(COUNTERS) < set(NUCLEI)


@pytest.mark.parametrize("kind", KINDS)
def test_a_measurement_that_fits_its_kind_has_no_finding(kind):
    counter = COUNTERS.get(kind, ("set", ""))[0]
    assert fields(kind, plan(NUCLEI.get(kind), **{counter: [0, 1]})) == []


@pytest.mark.parametrize("kind", NUCLEI)
def test_another_nucleus_is_found_and_an_unknown_one_is_not(kind):
    other = "1H" if NUCLEI[kind] == "23Na" else "23Na"
    counter = COUNTERS.get(kind, ("set", ""))[0]
    assert fields(kind, plan(other, **{counter: [0, 1]})) == ["nucleus"]
    assert fields(kind, plan(None, **{counter: [0, 1]})) == []


@pytest.mark.parametrize("kind", COUNTERS)
def test_one_flip_angle_or_echo_alone_is_found(kind):
    counter, _ = COUNTERS[kind]
    other = {"set": "contrast", "contrast": "set"}[counter]
    assert fields(kind, plan(NUCLEI[kind])) == [f"idx.{counter}"]
    assert fields(kind, plan(NUCLEI[kind], **{other: [0, 1]})) == [f"idx.{counter}"]
