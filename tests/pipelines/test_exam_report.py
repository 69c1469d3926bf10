"""The report of an examination: what it shows of each series, and what it says of what is not."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ultrahand import __version__
from ultrahand.cli.exam_page import _told_apart
from ultrahand.io.exam_file import KINDS, Examination, ExamSeries
from ultrahand.pipelines.citations import citations
from ultrahand.pipelines.exam import Row, Status
from ultrahand.pipelines.exam_frames import frame_labels, places_s
from ultrahand.pipelines.exam_images import SeriesPart
from ultrahand.pipelines.exam_noise import LoadedImage, noise_facts, signal_of, volume_tables
from ultrahand.pipelines.exam_pictures import part_of
from ultrahand.pipelines.exam_report import (
    NO_PICTURES,
    failure_of,
    report_of,
    section_of,
)
from ultrahand.pipelines.exam_results import EXPECTED, expected_results
from ultrahand.records import Geometry
from ultrahand.records.findings import Finding, Level
from ultrahand.report.content import Fact
from ultrahand.report.content import Status as Shown
from ultrahand.report.page import render

SHAPE = (6, 16, 20)
SIDECAR = {
    "Manufacturer": "maker",
    "MagneticFieldStrength": 7.0,
    "ResonantNucleus": "23Na",
    "EchoTime": [0.0005, 0.012],
    "NumberOfVolumes": 2,
    "FourthDimension": "echo",
    "Units": "SNR",
    "VoxelSize_mm": [3.0, 3.0, 4.0],
    "ReconstructionMethod": "gridding",
    "CoilCombination": "rss",
    "NumberOfReceiveChannels": 1,
    "Provenance": {
        "Findings": [
            {
                "level": "warning",
                "field": "studyTime",
                "found": "none",
                "expected": "hhmmss",
                "remedy": "none needed",
            }
        ]
    },
}
NOISE_SD = 0.5


def geometry():
    return Geometry(
        shape=SHAPE,
        voxel_size_m=(3e-3, 3e-3, 4e-3),
        position_mm=np.zeros(3),
        read_dir=np.array([0, 0, 1.0]),
        phase_dir=np.array([1.0, 0, 0]),
        slice_dir=np.array([0, 1.0, 0]),
        known=True,
    )


def block():
    inside = np.zeros(SHAPE, bool)
    inside[1:5, 4:12, 5:15] = True
    return inside


def loaded(levels=(40.0, 10.0), *, errors=True, **fields):
    values = np.stack([np.where(block(), level, 0.2) for level in levels]).astype(np.float32)
    return LoadedImage(
        name="",
        sidecar=SIDECAR | fields,
        values=values,
        standard_error=np.full_like(values, NOISE_SD) if errors else None,
        geometry=geometry(),
    )


def row(name="na", kind="sodium", status=Status.DONE, reason=None, **more):
    told = {"outputs": (), "n_findings": None} | more
    return Row(series=name, kind=kind, status=status, reason=reason, **told)


def made(image=None, *, draw=False):
    image = image or loaded()
    part = part_of(image, title="na", draw=draw, limit_bytes=20_000)
    return SeriesPart(sidecar=image.sidecar, shape=image.values.shape, n_images=1, parts=(part,))


def exam(**fields):
    nothing = dict.fromkeys(("landmarks", "vials", "labels", "spheres", "protocol"))
    series = ExamSeries(
        name="na",
        file=Path("na.h5"),
        written="na.h5",
        kind="sodium",
        aif=None,
        reference=None,
        options={},
    )
    given = {"subject": "07", "session": "1", "hand": "left", "series": (series,)} | nothing
    return Examination(file=Path("exam.toml"), **(given | fields))


def facts(found):
    return {fact.name: fact.value for fact in found}


# --- numbers --------------------------------------------------------------------------------------


def test_noise_is_of_the_signal_and_in_its_unit():
    """Of a block of 40 in noise of 0.5, the ratio is 80 whatever lies around it."""
    image = loaded()
    found = facts(noise_facts(image, signal_of(image), 0, ("0.5 ms", "12 ms")))
    assert found["Standard error, median, 0.5 ms"] == "0.5"
    assert found["Signal to noise, median, 0.5 ms"] == "80"
    assert found["Signal to noise, 5th to 95th percentile, 0.5 ms"] == "80 to 80"
    assert found["Signal"].startswith(f"{block().sum()} voxels above 20 %")
    assert found["Unit of the values"].startswith("SNR: the noise of one whitened sample")
    (table,) = volume_tables(image, signal_of(image), ("0.5 ms", "12 ms"))
    assert table.rows == (("0.5 ms", "40", "0.5", "80"), ("12 ms", "10", "0.5", "20"))


def test_where_no_noise_is_known_none_is_told():
    image = loaded(errors=False)
    found = facts(noise_facts(image, signal_of(image), 0, ("a", "b")))
    assert found == {"Standard error": "none: the noise level is not known"}
    (table,) = volume_tables(image, signal_of(image), ("a", "b"))
    assert table.rows[0] == ("a", "40", "unknown", "unknown")


@pytest.mark.parametrize("channels", [1, 16])
def test_noise_alone_is_no_signal(channels):
    """Magnitudes of pure noise, whose brightest voxels are above any fraction of the brightest."""
    rng = np.random.default_rng(channels)
    noise = rng.standard_normal((2, channels, 40, 40, 40, 2))
    magnitude = np.sqrt((noise**2).sum(axis=(1, 5))).astype(np.float32)
    image = replace(
        loaded(NumberOfReceiveChannels=channels),
        values=magnitude,
        standard_error=np.ones_like(magnitude),
    )
    # Of 128,000 draws of a chi law with 2 n degrees, 2e-4 at most are above sqrt(2 n) + 5.
    assert signal_of(image).sum() == 0
    image.values[:, 3, 3, 3] += math.sqrt(2 * channels) + 6
    assert signal_of(image).sum() == 1


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "labels", "at_s"),
    [
        ({}, ("0.5 ms", "12 ms"), (0.0005, 0.012)),
        (
            {"FourthDimension": "frame", "FrameTimesMean": [2.0, 146.04]},
            ("2.0 s", "146.0 s"),
            (2.0, 146.04),
        ),
        ({"FourthDimension": "set", "FlipAngle": [3.0, 18.0]}, ("set 1: 3°", "set 2: 18°"), None),
        (
            {"FourthDimension": "set", "InversionTime": [0.05, 1.2]},
            ("set 1: TI 0.05 s", "set 2: TI 1.2 s"),
            None,
        ),
        (
            {"FourthDimension": "set", "RepetitionTime": [0.02, 0.1]},
            ("set 1: TR 20 ms", "set 2: TR 100 ms"),
            None,
        ),
        ({"EchoTime": [0.001, None]}, ("echo 1", "echo 2"), None),
        ({"FourthDimension": "rep"}, ("rep 1", "rep 2"), None),
    ],
)
def test_volumes_are_named_by_what_tells_them_apart(fields, labels, at_s):
    assert frame_labels(SIDECAR | fields, 2) == labels
    assert places_s(SIDECAR | fields, 2) == at_s


# --- sections -------------------------------------------------------------------------------------


def test_a_finished_series_has_pictures_numbers_findings_and_provenance():
    section = section_of(row(), made(draw=True), drawn=True)
    assert section.status is Shown.DONE
    assert section.reason == ""
    assert [p.title for p in section.pictures] == [
        "na, 0.5 ms: three planes",
        "na: its volumes side by side",
    ]
    assert section.volume is not None
    assert section.volume.frames == ("0.5 ms", "12 ms")
    assert "20 x 16 x 6 voxels of 3 x 3 x 4 mm" in section.summary
    assert "2 volumes along echo" in section.summary
    assert "median signal to noise 80" in section.summary
    assert facts(section.facts)["EchoTime"] == "0.0005, 0.012"
    assert [(f.level, f.field) for f in section.findings] == [(Level.WARNING, "studyTime")]


def test_a_phase_is_shown_without_numbers_of_signal():
    part = part_of(
        replace(loaded(Units="rad"), name="part-phase"), title="na", draw=True, limit_bytes=None
    )
    assert [p.title for p in part.pictures] == ["na, 0.5 ms: three planes"]
    assert "through the centre of the field of view" in part.pictures[0].caption
    assert (part.noise, part.tables, part.volume) == ((), (), None)


def several(*, names=("echo-1", "echo-2"), n_shown=2):
    images = [
        replace(loaded((level,), EchoTime=echo, FourthDimension=None), name=name)
        for level, echo, name in zip((40.0, 10.0), (0.0005, 0.012), names, strict=True)
    ]
    parts = [
        part_of(im, title=f"na, {im.name}", draw=False, limit_bytes=None if i else 20_000)
        for i, im in enumerate(images[:n_shown])
    ]
    return SeriesPart(
        sidecar=images[0].sidecar,
        shape=images[0].values.shape,
        n_images=2,
        parts=tuple(parts),
        images=tuple((image.name, image.sidecar) for image in images),
    )


def test_of_several_images_the_page_says_which_one_the_numbers_are_of():
    section = section_of(row(), several(), drawn=True)
    assert section.summary.startswith("2 images; the first, echo-1: 23Na, 20 x 16 x 6 voxels")
    assert section.summary.endswith("median signal to noise 80")
    first = section.facts[0]
    assert first.value == "of the first, echo-1, alone; the table has all 2"
    table = section.tables[0]
    assert table.columns == ("image", "EchoTime / s", "signal to noise, median")
    assert table.rows == (("echo-1", "0.0005", "80"), ("echo-2", "0.012", "20"))
    page = render(report_of(exam(), [row()], [section], [], provenance=()))
    assert "Open na: sodium, echo-1 in the viewer" in page
    assert '"title": "na: sodium, echo-1"' in page


def test_images_are_called_what_sets_them_apart():
    names = [f"a/sub-1_acq-na_{middle}MEGRE.nii.gz" for middle in ("echo-1_", "echo-2_")]
    assert _told_apart(names) == ["echo-1", "echo-2"]
    parts = [f"sub-1_{part}MEGRE.nii.gz" for part in ("", "part-phase_")]
    assert _told_apart(parts) == ["magnitude", "part-phase"]
    assert _told_apart(parts[:1]) == [""]


def test_an_image_that_is_not_shown_has_its_row_and_no_number():
    (table,) = section_of(row(), several(n_shown=1), drawn=True).tables
    assert table.rows[1] == ("echo-2", "0.012", "not computed")
    (table,) = section_of(row(), several(names=("magnitude", "part-phase")), drawn=True).tables
    assert [r[0] for r in table.rows] == ["magnitude", "part-phase"]


def test_a_series_of_one_image_has_no_table_of_images():
    section = section_of(row(), made(), drawn=True)
    assert "images" not in section.summary
    assert [t.title for t in section.tables] == ["Signal and noise of each volume"]
    page = render(report_of(exam(), [row()], [section], [], provenance=()))
    assert "Open na: sodium in the viewer" in page


def in_time(levels, **fields):
    n = len(levels)
    told = {"FourthDimension": "frame", "FrameTimesMean": [5.0 * i + 2 for i in range(n)]}
    return loaded(levels, **(told | {"FrameDuration": [5.0] * n} | fields))


RISING = (20.0, 20.1, 20.0, 30.0, 33.0, 34.0, 35.0, 36.0, 37.0, 38.0, 39.0, 45.0)


def test_frames_in_time_are_differences_and_the_caption_says_against_which():
    short = [5.0] * 11 + [2.0]
    part = part_of(in_time(RISING, FrameDuration=short), title="dce", draw=True, limit_bytes=None)
    words = part.pictures[1].caption
    assert "against the mean of volumes 1 to 2 (2.0 s to 7.0 s)" in words
    assert "open circles in the curve: 1 of 12 volumes, shorter than 80 %" in words
    whole = part_of(in_time(RISING), title="dce", draw=True, limit_bytes=None).pictures[1]
    assert "volumes 1 to 3 (2.0 s to 12.0 s)" in whole.caption
    assert "open circles" not in whole.caption


@pytest.mark.parametrize(
    ("levels", "fields", "why"),
    [
        (RISING, {"FourthDimension": "rep"}, "volumes along rep are not taken for"),
        (RISING, {"FourthDimension": "phase"}, "volumes along phase are not taken for"),
        (RISING[:3], {}, "fewer than 4"),
        (RISING[:4], {"FrameDuration": [5.0, 5.0, 5.0, 1.0]}, "fewer than 4"),
        (RISING, {"FourthDimension": "echo"}, ""),
    ],
)
def test_what_is_no_contrast_series_is_shown_as_it_is(levels, fields, why):
    part = part_of(in_time(levels, **fields), title="dce", draw=True, limit_bytes=None)
    words = part.pictures[1].caption
    assert "against the mean" not in words
    assert why in words
    assert ("No differences are shown" in words) is bool(why)


def test_the_words_of_a_picture_say_how_many_planes_and_which_object():
    """Two hands in view: one of them is cut, and a single slice has one plane."""
    hands = loaded((40.0,), FourthDimension=None)
    hands.values[:] = 0.2
    hands.values[:, 1:5, 1:6, 3:17] = hands.values[:, 1:5, 10:15, 3:17] = 40.0
    (picture,) = part_of(hands, title="na", draw=True, limit_bytes=None).pictures
    assert picture.title == "na: three planes"
    words = "Three planes through the centre of one of 2 separate objects, that towards R."
    assert picture.caption.startswith(words)
    flat = replace(
        hands,
        values=hands.values[:, 3:4, :8],
        standard_error=None,
        geometry=replace(geometry(), shape=(1, 8, 20)),
    )
    (picture,) = part_of(flat, title="na", draw=True, limit_bytes=None).pictures
    assert picture.title == "na: one plane"
    assert picture.caption.startswith("One plane through the centre of the signal. ")


def test_a_phase_is_cut_where_its_magnitude_is():
    """Phases are as large in the air as in a hand: they have no signal to look for."""
    magnitude = loaded((40.0,), FourthDimension=None)
    phase = replace(loaded((40.0,), Units="rad", FourthDimension=None), name="part-phase")
    phase.values[:] = np.random.default_rng(2).uniform(-3, 3, phase.values.shape)
    cut = part_of(magnitude, title="na", draw=False, limit_bytes=None).cut
    assert cut.centre == pytest.approx((2.5, 7.5, 9.5), abs=1)
    drawn, again = (
        part_of(phase, title="na", draw=True, limit_bytes=None, magnitude=where).pictures[0]
        for where in (cut, replace(cut, centre=(0, 0, 0)))
    )
    assert "through the centre of the signal" in drawn.caption
    assert drawn.png != again.png


def test_where_nothing_is_above_the_noise_that_is_said():
    section = section_of(row(), made(loaded((1.0, 0.9))), drawn=True)
    assert facts(section.facts)["Signal to noise, 0.5 ms"] == "no voxel is above the noise"
    assert "median" not in section.summary
    assert section.tables == ()


def test_without_matplotlib_there_are_numbers_and_the_way_to_pictures():
    section = section_of(row(), made(), drawn=False)
    assert section.pictures == ()
    assert section.reason == NO_PICTURES
    assert "ultrahand[report]" in section.reason
    assert section.volume is not None


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (Status.FAILED, Shown.FAILED),
        (Status.SKIPPED, Shown.SKIPPED),
        (Status.NOT_RUN, Shown.MISSING),
        (Status.NEEDS_PARALLEL_IMAGING, Shown.FAILED),
    ],
)
def test_a_series_that_is_not_done_says_why(status, shown):
    section = section_of(row(status=status, reason="na.h5: readout 3"), None, drawn=True)
    assert section.status is shown
    assert section.reason.endswith("na.h5: readout 3")
    assert ("parallel imaging" in section.reason) is (status is Status.NEEDS_PARALLEL_IMAGING)


# --- expected results -----------------------------------------------------------------------------


def reasons(*rows):
    return {section.title: section.reason for section in expected_results(rows)}


def test_every_expected_result_says_why_it_is_not_there():
    whole = reasons(*(row(kind, kind) for kind in KINDS))
    assert len(whole) == len(EXPECTED) == 6
    assert set(whole.values()) == {f"not computed by this version of ultrahand ({__version__})"}
    assert {section.status for section in expected_results(())} == {Shown.MISSING}


def test_the_nearest_reason_is_told():
    found = reasons(row("na", "sodium"), row("dce", "dynamic", Status.FAILED, "damaged"))
    assert found["Articular sodium concentration"].startswith("not computed by this version")
    assert found["Perfusion maps"] == "its series dce (dynamic) is not done: failed"
    assert found["Calcinosis"] == "no series of kind multiecho in the examination"
    joints = "Joints: erosions, oedema, synovitis"
    assert found[joints] == "no series of kind morphology in the examination"
    both = reasons(row())[joints]
    assert both == "no series of kind morphology and none of kind dynamic in the examination"


def test_kinds_of_expected_results_are_kinds():
    assert {kind for result in EXPECTED for kind in result.kinds} <= set(KINDS)


# --- the whole ------------------------------------------------------------------------------------


def whole(**fields):
    rows = [row(), row("ct", "ct", Status.SKIPPED, "comes as images")]
    sections = [section_of(rows[0], made(), drawn=False), section_of(rows[1], None, drawn=False)]
    sidecars = [made().sidecar]
    provenance = [Fact(name="exam.toml, sha256", value="ab12")]
    return report_of(exam(**fields), rows, sections, sidecars, provenance=provenance)


def test_the_first_lines_say_who_and_what():
    report = whole(protocol="hand, 7 T", vials=Path("vials.tsv"))
    assert report.subtitle == "subject 07 (pseudonym), session 1"
    assert report.hand == "left"
    found = facts(report.facts)
    assert found["Protocol"] == "hand, 7 T"
    assert found["Field strength"] == "7"
    assert found["Nuclei"] == "23Na"
    assert found["Given beside the series"] == "vials"
    assert facts(report.provenance)["exam.toml, sha256"] == "ab12"


def test_the_same_parts_give_the_same_page():
    assert render(whole()) == render(whole())


def test_text_of_headers_and_of_the_protocol_stays_text():
    bad = "<script>window.spoiled = 1</script>"
    image = loaded(Manufacturer=bad, StandardError=bad)
    section = section_of(row(), made(image), drawn=False)
    report = report_of(exam(protocol=bad), [row()], [section], [image.sidecar], provenance=[])
    page = render(report)
    assert bad not in page
    assert page.count("&lt;script&gt;window.spoiled") >= 4  # protocol, scanner, two parameters


def test_what_was_used_is_cited_once():
    assert citations([]) == citations([{}])
    found = citations([SIDECAR, SIDECAR, {"ReconstructionMethod": "fft"}])
    assert len(found) == len(set(found)) == 4
    assert any("Pipe" in text for text in found)
    assert not any("Walsh" in text for text in found)


# --- refusals -------------------------------------------------------------------------------------


REFUSAL = Finding(
    level=Level.ERROR,
    field="na.h5: file",
    found="'a: found b, expected c; d'",
    expected="e; f",
    remedy="copy it again",
)


def test_a_refusal_keeps_its_parts_whatever_its_words():
    """Text of a damaged file can be anything, our own words among it."""
    reason = f"{REFUSAL.field}: found {REFUSAL.found}, expected {REFUSAL.expected}"
    failed = row(status=Status.FAILED, reason=reason, refusal=REFUSAL)
    assert section_of(failed, None, drawn=True).findings == (REFUSAL,)


@pytest.mark.parametrize("words", ["na.h5: cannot be read", "a: found b, expected c; d"])
def test_another_failure_is_an_error_too(words):
    found = failure_of(row(status=Status.FAILED, reason=words))
    assert (found.level, found.field, found.found) == (Level.ERROR, "series", words)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.DONE])
def test_only_what_failed_is_an_error(status):
    section = section_of(row(status=status, reason="why"), None, drawn=True)
    assert [f.level for f in section.findings] == [Level.ERROR] * (status is Status.FAILED)


def test_a_page_with_a_refused_series_does_not_say_that_nothing_is_wrong():
    failed = row(status=Status.FAILED, reason="na.h5: file: odd", refusal=REFUSAL)
    section = section_of(failed, None, drawn=True)
    text = render(report_of(exam(), [failed], [section], [], provenance=()))
    assert "No errors and no warnings" not in text
    assert "1 error in headers and data" in text
    first = text[text.index('id="findings"') : text.index('id="overview"')]
    for words in ("na.h5: file", "copy it again", 'href="#'):
        assert words in first
