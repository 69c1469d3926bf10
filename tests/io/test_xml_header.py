import time
from contextlib import suppress

import pytest

from damage import XML
from ultrahand.errors import InputError
from ultrahand.io.xml_header import read_header
from ultrahand.records import Level, Limit

FULL = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <subjectInformation><patientName>Zaphod^Beeblebrox</patientName><patientID>P-4242</patientID>
    <patientBirthdate>1953-07-11</patientBirthdate></subjectInformation>
  <studyInformation><studyDate>2026-07-09</studyDate><studyID>S-77</studyID></studyInformation>
  <measurementInformation><measurementID>M-1</measurementID><patientPosition>HFP</patientPosition>
    <protocolName>Hand of Beeblebrox</protocolName></measurementInformation>
  <acquisitionSystemInformation>
    <systemVendor>SIEMENS</systemVendor><systemModel>Terra</systemModel>
    <systemFieldStrength_T>6.98</systemFieldStrength_T>
    <relativeReceiverNoiseBandwidth>0.793</relativeReceiverNoiseBandwidth>
    <coilLabel><coilNumber>1</coilNumber><coilName>C2</coilName></coilLabel>
    <coilLabel><coilNumber>0</coilNumber><coilName>C1</coilName></coilLabel>
    <institutionName>Maximegalon</institutionName>
    <deviceSerialNumber>55501</deviceSerialNumber>
  </acquisitionSystemInformation>
  <experimentalConditions>
    <H1resonanceFrequency_Hz>78611032</H1resonanceFrequency_Hz>
  </experimentalConditions>
  <encoding>
    <encodedSpace><matrixSize><x>64</x><y>33</y><z>5</z></matrixSize>
      <fieldOfView_mm><x>400</x><y>180.5</y><z>62.5</z></fieldOfView_mm></encodedSpace>
    <reconSpace><matrixSize><x>32</x><y>33</y><z>4</z></matrixSize>
      <fieldOfView_mm><x>200</x><y>180.5</y><z>50</z></fieldOfView_mm></reconSpace>
    <encodingLimits>
      <kspace_encoding_step_1><minimum>0</minimum><maximum>32</maximum><center>16</center>
      </kspace_encoding_step_1>
      <slice><maximum>2</maximum></slice>
    </encodingLimits>
    <trajectory>Spiral</trajectory>
    <parallelImaging><accelerationFactor><kspace_encoding_step_1>2</kspace_encoding_step_1>
      <kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor></parallelImaging>
  </encoding>
  <sequenceParameters><TR>11.5</TR><TE>0.2</TE><TE>4.3</TE><TI>900</TI>
    <flipAngle_deg>11</flipAngle_deg></sequenceParameters>
  <userParameters>
    <userParameterLong><name>count</name><value>3</value></userParameterLong>
    <userParameterDouble><name>delay</name><value>-1.5e-3</value></userParameterDouble>
    <userParameterString><name>trajectory_unit</name><value>1/m</value></userParameterString>
    <userParameterBase64><name>blob</name><value>AAAA</value></userParameterBase64>
  </userParameters>
</ismrmrdHeader>
"""


def read(document=FULL, *changes):
    for old, new in changes:
        assert document.count(old) == 1, old
        document = document.replace(old, new)
    return read_header(document.encode())


def refusal(*changes, document=FULL):
    with pytest.raises(InputError) as caught:
        read(document, *changes)
    return caught.value


def test_a_full_header_is_read_in_si_units():
    header, findings = read()
    assert findings == ()
    (encoding,) = header.encodings
    assert encoding.trajectory == "spiral"
    assert encoding.encoded.matrix == (64, 33, 5)
    assert encoding.encoded.fov_m == pytest.approx((0.4, 0.1805, 0.0625), rel=1e-15)
    assert encoding.recon.matrix == (32, 33, 4)
    assert encoding.recon.fov_m == pytest.approx((0.2, 0.1805, 0.05), rel=1e-15)
    assert encoding.acceleration == (2, 1)
    assert header.field_strength_t == 6.98
    assert header.frequency_hz == 78611032
    assert (header.vendor, header.model) == ("SIEMENS", "Terra")
    assert header.patient_position == "HFP"
    assert header.relative_noise_bandwidth == 0.793
    assert header.repetition_times_s == pytest.approx((0.0115,), rel=1e-15)
    assert header.echo_times_s == pytest.approx((0.0002, 0.0043), rel=1e-15)
    assert header.inversion_times_s == pytest.approx((0.9,), rel=1e-15)
    assert header.flip_angles_deg == (11.0,)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("<TR>11.5", "<TR>1e300"), "repetition_times_s"),
        (("<TE>4.3", "<TE>-4.3"), "echo_times_s"),
        (("<TI>900", "<TI>1000001"), "inversion_times_s"),
        (("<flipAngle_deg>11", "<flipAngle_deg>-11"), "flip_angles_deg"),
        (("<flipAngle_deg>11", "<flipAngle_deg>11000"), "flip_angles_deg"),
    ],
)
def test_impossible_sequence_parameters_are_left_out_and_said(change, field):
    header, (finding,) = read(FULL, change)
    assert getattr(header, field) == ()
    assert finding.field.startswith("sequenceParameters")
    assert finding.level == "warning"


def test_limits_say_none_where_the_header_is_silent():
    (encoding,) = read()[0].encodings
    assert encoding.limits == {
        "kspace_encoding_step_1": Limit(minimum=0, maximum=32, center=16),
        "slice": Limit(minimum=None, maximum=2, center=None),
    }


def test_coil_labels_stand_in_the_order_of_their_numbers():
    assert read()[0].coil_labels == ("C1", "C2")


def test_user_parameters_are_numbers_and_texts():
    assert read()[0].user_parameters == {"count": 3, "delay": -1.5e-3, "trajectory_unit": "1/m"}


@pytest.mark.parametrize(
    "secret",
    ["Beeblebrox", "P-4242", "1953", "2026", "S-77", "M-1", "Maximegalon", "55501", "Hand of"],
)
def test_nothing_that_identifies_is_kept(secret):
    header, findings = read()
    assert secret not in repr(header) + repr(findings)


def test_refusals_do_not_quote_what_identifies():
    error = refusal(("<z>5</z></matrixSize>", "<z>five</z></matrixSize>"))
    assert "Beeblebrox" not in str(error)
    assert error.field == "xml encoding/encodedSpace/matrixSize/z"


# --- what real files do differently ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ([(' xmlns="http://www.ismrm.org/ISMRMRD"', "")], "xml namespace"),
        ([("www.ismrm.org", "example.org")], "xml namespace"),
        ([("<x>64</x>", "<x>63.9996</x>")], "xml encoding/encodedSpace/matrixSize/x"),
        ([("<TR>", "<novelty/><TR>")], "xml sequenceParameters"),
        ([(">6.98<", ">0<")], "systemFieldStrength_T"),
        ([(">0.793<", ">0<")], "relativeReceiverNoiseBandwidth"),
        ([(">78611032<", ">-0<")], "H1resonanceFrequency_Hz"),
        ([(">HFP<", ">on the back<")], "patientPosition"),
        ([("<value>3</value>", "<value>three</value>")], "userParameters"),
    ],
)
def test_oddities_are_noted_and_read_all_the_same(changes, field):
    header, findings = read(FULL, *changes)
    assert [finding.field for finding in findings] == [field]
    assert findings[0].level is Level.WARNING
    assert header.encodings[0].encoded.matrix == (64, 33, 5)


def test_a_missing_recon_space_is_the_encoded_one():
    start, end = FULL.index("<reconSpace>"), FULL.index("</reconSpace>") + len("</reconSpace>")
    header, findings = read(FULL[:start] + FULL[end:])
    assert header.encodings[0].recon == header.encodings[0].encoded
    assert [finding.field for finding in findings] == ["reconSpace"]


def test_missing_limits_are_noted():
    start, end = FULL.index("<encodingLimits>"), FULL.index("</encodingLimits>") + 17
    header, findings = read(FULL[:start] + FULL[end:])
    assert header.encodings[0].limits == {}
    assert [finding.field for finding in findings] == ["encodingLimits"]


def test_prefixed_elements_are_read():
    prefixed = (
        FULL.replace("<", "<r:")
        .replace("<r:/", "</r:")
        .replace("<r:?", "<?")
        .replace("xmlns=", "xmlns:r=")
    )
    header, findings = read(prefixed)
    assert findings == ()
    assert header == read()[0]


def test_unknown_elements_are_noted_by_name_never_by_content():
    _, findings = read(FULL, ("<TR>", "<comment>for Beeblebrox</comment><TR>"))
    assert "comment" in findings[0].found
    assert "Beeblebrox" not in repr(findings)


def test_control_characters_in_a_text_are_neutral():
    header, _ = read(FULL, ("Terra", "Ter\u200bra &#10; x&#9;y"))
    assert header.model == "Ter?ra x y"


def test_long_texts_are_cut():
    header, _ = read(FULL, ("Terra", "T" * 5000))
    assert len(header.model) == 64


@pytest.mark.parametrize("tail", [b"\0", b"\0\0\0", b"\n\0 \0"])
def test_trailing_nuls_are_dropped(tail):
    assert read_header(FULL.encode() + tail)[0] == read()[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_are_understood(encoding):
    text = FULL.replace("UTF-8", "UTF-16" if "16" in encoding else "UTF-8")
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    assert read_header((mark + text).encode(encoding))[0] == read()[0]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "found"),
    [
        ([("<x>64</x>", "<x>0</x>")], "encoding/encodedSpace/matrixSize/x", "0"),
        ([("<x>64</x>", "<x>65536</x>")], "encoding/encodedSpace/matrixSize/x", "65536"),
        ([("<x>64</x>", "<x>64.4</x>")], "encoding/encodedSpace/matrixSize/x", "64.4"),
        ([("<x>64</x>", "")], "encoding/encodedSpace/matrixSize/x", "no such element"),
        ([("<x>400</x>", "<x>0.4</x>")], "encoding/encodedSpace/fieldOfView_mm/x", "0.4"),
        ([("<z>62.5</z>", "<z>1e300</z>")], "encoding/encodedSpace/fieldOfView_mm/z", "1e+300"),
        ([("<z>62.5</z>", "<z>-5</z>")], "encoding/encodedSpace/fieldOfView_mm/z", "-5"),
        ([("<maximum>32</maximum>", "<maximum>1e9</maximum>")], "kspace_encoding_step_1", "1000"),
        ([("<TR>11.5</TR>", "<TR>11,5</TR>")], "sequenceParameters/TR", "11,5"),
        ([("<TR>11.5</TR>", "<TR>\u0661\u0661</TR>")], "sequenceParameters/TR", "\u0661"),
        ([(">6.98<", ">-7<")], "systemFieldStrength_T", "-7"),
        ([(">0.793<", ">79.3<")], "relativeReceiverNoiseBandwidth", "79.3"),
        ([("<TI>900</TI>", "<TI>1e999</TI>")], "sequenceParameters/TI", "1e999"),
        ([("<trajectory>", "<trajectory>x</trajectory><trajectory>")], "trajectory", "2 elements"),
    ],
)
def test_numbers_that_are_none_are_refused(changes, field, found):
    error = refusal(*changes)
    assert field in error.field
    assert found in error.found
    assert error.remedy


def test_a_header_without_encoding_is_refused():
    start, end = FULL.index("<encoding>"), FULL.index("</encoding>") + len("</encoding>")
    assert "no encoding" in refusal(document=FULL[:start] + FULL[end:]).found


def test_another_root_is_refused():
    assert "images" in refusal(document="<images/>").found


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "empty"),
        (b"\0\0\n", "empty"),
        (b"\xff\xfe", "well-formed"),
        (b"<a>", "well-formed"),
        (b"<a/><b/>", "well-formed"),
        (b"<!DOCTYPE a><a/>", "DOCTYPE"),
        (b'<?xml version="1.0" encoding="rot13"?><a/>', "well-formed"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "well-formed"),
        (b"<a>" * 41, "depth 41"),
        (b" " * (8 * 2**20 + 1), "bytes"),
    ],
)
def test_documents_that_are_none_are_refused(document, words):
    with pytest.raises(InputError, match=words):
        read_header(document)


# --- what would take long or much -----------------------------------------------------------------

LONG = "n" * 2_000_000

BOMBS = {
    "digits that end in a letter": FULL.replace("<TR>11.5", "<TR>" + "9" * 4_000_000 + "x"),
    "a long name above many elements": f"<r><{LONG}>{'<a/>' * 500_000}</{LONG}></r>",
    "a long namespace for many elements": (f'<a xmlns="{LONG}">' + "<b/>" * 500_000 + "</a>"),
    "a million attributes": "<a " + " ".join(f'a{i}=""' for i in range(700_000)) + "/>",
    "a million elements": "<a>" + "<b/>" * 1_000_000 + "</a>",
    "elements without end": "<a>" * 1_000_000,
    "a billion laughs": (
        '<!DOCTYPE x [<!ENTITY l0 "ha">'
        + "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
        + "]><x>&l11;</x>"
    ),
    "one long comment": FULL.replace("<TR>", f"<!-- {'x' * 8_000_000} --><TR>"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_or_read_in_a_moment(name):
    document = BOMBS[name].encode()
    start = time.process_time()
    with suppress(InputError):
        read_header(document)
    assert time.process_time() - start < 4


def test_the_small_header_of_the_other_tests_is_sound():
    assert read(XML)[1] == ()
