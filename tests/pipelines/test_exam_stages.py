"""What is done in an examination, and the table of what became of it."""

from pathlib import Path

import pytest

from making import planned
from ultrahand.io.exam_file import KINDS, Examination, ExamSeries
from ultrahand.phantoms import CartesianScan, five_fingers, simulate, uniform_coil
from ultrahand.pipelines.exam import (
    COLUMNS,
    NOT_RECONSTRUCTED,
    PLACES,
    StageResult,
    Status,
    as_objects,
    as_tsv,
    is_complete,
    missing_lines_reason,
    row_of,
    stages_of,
)
from ultrahand.pipelines.memory import size_text
from ultrahand.records.findings import Finding, Level

FOV_M = (0.12, 0.12, 0.005)
DONE = StageResult(status=Status.DONE, outputs=("a.nii.gz", "a.json"), n_findings=2)
REFUSAL = Finding(
    level=Level.ERROR, field="t1.h5: file", found="x", expected="y", remedy="copy it again"
)
FAILED = StageResult(status=Status.FAILED, reason="t1.h5: refused", refusal=REFUSAL)


def series(name="T1", kind="morphology"):
    return ExamSeries(
        name=name,
        file=Path("t1.h5"),
        written="t1.h5",
        kind=kind,
        aif=None,
        reference=None,
        options={},
    )


def exam(*all_series):
    nothing = dict.fromkeys(("landmarks", "vials", "labels", "spheres", "protocol"))
    return Examination(
        file=Path("exam.toml"), subject="01", session="2", hand="left", series=all_series, **nothing
    )


def test_every_kind_is_either_reconstructed_or_has_a_reason_not_to_be():
    assert sorted([*PLACES, *NOT_RECONSTRUCTED]) == sorted(KINDS)


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(8 * 10**9, "8.00 GB"), (10**6, "1 MB"), (999, "0.999 kB")]
)
def test_sizes_are_never_none_at_all(n_bytes, text):
    assert size_text(n_bytes) == text


def test_places_tell_kinds_apart():
    assert len({(place.folder, place.suffix) for place in PLACES.values()}) == len(PLACES)
    assert all(place.suffix.isalnum() for place in PLACES.values())


def test_every_series_has_one_reconstruction_in_the_order_of_the_file():
    made = stages_of(exam(series("b"), series("a", "ct"), series("c", "noise")))
    assert [stage.name for stage in made] == [f"sub-01_ses-2_recon_{n}" for n in "bac"]
    assert [stage.skipped is None for stage in made] == [True, False, False]
    assert all(stage.skipped.startswith("not reconstructed: ") for stage in made[1:])


def test_a_row_sums_up_its_stages_and_the_first_that_is_not_done_decides():
    later = StageResult(status=Status.NOT_RUN)
    row = row_of(series(), [DONE, FAILED, later])
    assert (row.status, row.reason) == (Status.FAILED, "t1.h5: refused")
    assert row.outputs == DONE.outputs
    assert row.n_findings == 2
    assert row.refusal is FAILED.refusal
    row = row_of(series(), [DONE, DONE])
    assert row.refusal is None
    assert (row.status, row.n_findings, len(row.outputs)) == (Status.DONE, 4, 4)


@pytest.mark.parametrize("status", Status)
def test_an_examination_is_complete_when_all_is_done_or_skipped(status):
    rows = [row_of(series(), [DONE]), row_of(series(), [StageResult(status=status)])]
    assert is_complete(rows) is (status in (Status.DONE, Status.SKIPPED))


def test_the_table_is_tsv_with_na_for_what_is_missing():
    rows = [row_of(series("T1"), [DONE]), row_of(series("T2"), [FAILED])]
    assert as_tsv(rows) == (
        "series\tkind\tstatus\treason\toutputs\tn_findings\n"
        "T1\tmorphology\tdone\tn/a\ta.nii.gz,a.json\t2\n"
        "T2\tmorphology\tfailed\tt1.h5: refused\tn/a\tn/a\n"
    )


def test_the_table_as_json_has_the_same_columns():
    (row,) = as_objects([row_of(series(), [FAILED])])
    assert tuple(row) == COLUMNS
    assert row["status"] == "failed"
    assert row["outputs"] == []
    assert row["n_findings"] is None


# --- missing lines --------------------------------------------------------------------------------


def plan(rng, method="auto", **options):
    given = {"matrix": (16, 24, 1), "fov_m": FOV_M, "dimension": 2}
    scan = CartesianScan(**(given | options))
    return planned(simulate(five_fingers(FOV_M), uniform_coil(), scan, rng), method=method)


def test_gaps_between_lines_need_parallel_imaging(rng):
    made = plan(rng, acceleration=(2, 1), calibration_lines=(6, 0))
    assert made.encodings[0].undersampled
    assert "encoding 0" in missing_lines_reason(made)


def test_who_asks_for_zeros_gets_them(rng):
    assert missing_lines_reason(plan(rng, method="fft", acceleration=(2, 1))) is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"partial_fourier_1": (6, 0)},
        {"repetitions": 2},
        {"averages": 2, "last_average_lines": (4, 9)},
    ],
    ids=["complete", "partial Fourier", "repetitions", "an incomplete average"],
)
def test_lines_in_one_piece_do_not(options, rng):
    made = plan(rng, **options)
    assert not made.encodings[0].undersampled
    assert missing_lines_reason(made) is None


def test_no_gap_is_seen_in_a_3d_grid_with_a_missing_end_and_one_is_in_its_partitions(rng):
    options = {"matrix": (16, 12, 8), "fov_m": (0.12, 0.12, 0.08), "dimension": 3}
    assert missing_lines_reason(plan(rng, **options, partial_fourier_2=(2, 0))) is None
    assert missing_lines_reason(plan(rng, **options, acceleration=(1, 2))) is not None


def test_statuses_are_words_for_people():
    assert [status.value for status in Status] == [
        "done",
        "failed",
        "skipped",
        "needs parallel imaging",
        "not run",
    ]
