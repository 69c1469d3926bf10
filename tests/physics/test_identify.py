import pytest

from ultrahand.errors import UsageError
from ultrahand.physics.identify import (
    identify_nucleus,
    measured_frequency_hz,
    parse_nucleus,
)
from ultrahand.physics.nuclei import frequency_hz
from ultrahand.records.header import Encoding, EncodingSpace, Header

SPACE = EncodingSpace(matrix=(8, 8, 1), fov_m=(0.1, 0.1, 0.01))
ENCODING = Encoding(
    trajectory="cartesian", encoded=SPACE, recon=SPACE, limits={}, acceleration=None
)


def header(measured=None, **parameters):
    return Header(
        encodings=(ENCODING,),
        field_strength_t=7.0,
        frequency_hz=frequency_hz(measured, 7.0) if measured else None,
        user_parameters=parameters,
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((t, "23Na") for t in ("23Na", "Na23", "na-23", "23-NA", " 23na ", "Sodium", "sodium ")),
        *(("proton", "1H"), ("1h", "1H"), ("H1", "1H"), ("Phosphorus", "31P"), ("129Xe", "129Xe")),
        *((t, None) for t in ("Na", "23", "", "24Na", "23Na23", "sodium chloride", "N15N")),
    ],
)
def test_names_of_nuclei(text, name):
    assert parse_nucleus(text) == name


def test_what_is_asked_for_decides():
    found, (note, frequency) = identify_nucleus(header("1H", nucleus="31P"), "sodium")
    assert found == "23Na"
    assert "--nucleus" in note.found
    assert frequency.field == "H1resonanceFrequency_Hz"
    with pytest.raises(UsageError, match="unobtainium"):
        identify_nucleus(header("1H"), "unobtainium")


@pytest.mark.parametrize("nucleus", ["1H", "2H", "13C", "15N", "19F", "23Na", "31P"])
def test_frequency_over_field(nucleus):
    found, (note,) = identify_nucleus(header(nucleus), None)
    assert found == nucleus
    assert note.level == "info"


def test_a_user_parameter_comes_before_a_proton_frequency_without_complaint():
    found, notes = identify_nucleus(header("1H", imagingNucleus="sodium"), None)
    assert found == "23Na"
    assert [(n.level, n.field) for n in notes] == [
        ("info", "nucleus"),
        ("info", "H1resonanceFrequency_Hz"),
    ]


@pytest.mark.parametrize("parameters", [{}, {"Nucleus2": "19F"}])
def test_contradictions_are_said(parameters):
    by_frequency = None if parameters else "31P"
    found, (note, *_) = identify_nucleus(header(by_frequency, Nucleus="23Na", **parameters), None)
    assert found == "23Na"
    assert note.level == "warning"
    assert ("19F" if parameters else "31P") in note.found


def test_a_user_parameter_that_names_none_is_said():
    found, notes = identify_nucleus(header("23Na", nucleus="natrium"), None)
    assert found == "23Na"
    assert [(n.level, n.field) for n in notes] == [
        ("warning", "user parameter nucleus"),
        ("info", "nucleus"),
    ]
    assert identify_nucleus(header(None, nucleus="natrium"), None)[0] is None


@pytest.mark.parametrize(
    ("field_t", "hz", "known"),
    [(7.0, 78.6e6, True), (7.0, 297.2e6, False), (None, 78.6e6, True), (None, 1.4e14, False)],
)
def test_a_frequency_of_another_nucleus_is_not_the_imaging_frequency(field_t, hz, known):
    made = Header(encodings=(ENCODING,), field_strength_t=field_t, frequency_hz=hz)
    assert measured_frequency_hz(made, "23Na") == (hz if known else None)
    assert measured_frequency_hz(made, None) is None
