"""``ultrahand exam``: a whole examination, and what a run that is broken off leaves."""

import errno
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import nibabel
import pytest
from commands import ultrahand
from exams import cartesian, exam_text, small_exam, table, write_exam

from test_house import loaded_by
from ultrahand.cli import exam_report
from ultrahand.cli.arguments import SERIES_OPTIONS
from ultrahand.cli.exam_stage import Digests
from ultrahand.cli.main import build_parser
from ultrahand.io.work_store import HIDDEN, WorkStore
from ultrahand.io.write_ismrmrd import write_hdf5

# Root reads and writes whatever the permissions say, unless these rights are dropped.
ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
ANAT, PERF = "sub-01/ses-1/anat", "sub-01/ses-1/perf"
T1 = f"{ANAT}/sub-01_ses-1_acq-T1_morphology"
ECHOES = f"{ANAT}/sub-01_ses-1_acq-echoes"
DCE = f"{PERF}/sub-01_ses-1_acq-dce_dynamic"
ALL_FILES = {
    *(T1 + ending for ending in (".nii.gz", "_stderr.nii.gz", ".json")),
    *(
        f"{ECHOES}{part}_MEGRE{ending}"
        for part in ("", "_part-phase")
        for ending in (".nii.gz", "_stderr.nii.gz", ".json")
    ),
    *(DCE + ending for ending in (".nii.gz", "_stderr.nii.gz", ".json")),
    "dataset_description.json",
    "exam.tsv",
    "report.html",
}


def tree(folder):
    """Every file below a folder with its bytes, the store's records too; not the empty lock."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.name != "lock"}


def seen(folder):
    """The files that a user sees."""
    return {path for path in tree(folder) if not path.startswith(HIDDEN)}


def marks(folder):
    """Which file stands under each name, and when it was written."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}


def rows(folder):
    """The table by series."""
    lines = [line.split("\t") for line in (folder / "exam.tsv").read_text().splitlines()]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[1:]}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """An examination of three series, and its folder of derivatives."""
    folder = tmp_path_factory.mktemp("sources")
    small_exam(folder / "given")
    ended = ultrahand("exam", folder / "given" / "exam.toml", "-o", folder / "out", folder=folder)
    assert ended.code == 0, ended.err
    (folder / "seconds").write_text(str(ended.seconds))
    return folder


@pytest.fixture
def given(sources, tmp_path):
    """A copy of the examination."""
    return shutil.copytree(sources / "given", tmp_path / "given")


@pytest.fixture
def done(sources, tmp_path):
    """A copy of its derivatives."""
    return shutil.copytree(sources / "out", tmp_path / "out")


@pytest.fixture
def run(tmp_path):
    def of(exam, *arguments, out="out", **options):
        given = ("exam", exam, "-o", tmp_path / out, *arguments)
        ended = ultrahand(*given, folder=tmp_path, **options)
        assert "Traceback" not in ended.err
        return ended

    return of


@pytest.fixture
def assert_as_undisturbed(run, tmp_path):
    """Hold a folder against that of a fresh run of the same examination."""

    def check(exam, code=0):
        assert run(exam, out="fresh").code == code
        assert tree(tmp_path / "out") == tree(tmp_path / "fresh")

    return check


def assert_refused(ended, code, *words):
    assert ended.code == code, ended.err
    line = ended.the_line("")
    for word in words:
        assert word in line


# --- the whole of it ------------------------------------------------------------------------------


def test_every_series_is_in_its_place(sources):
    out = sources / "out"
    assert seen(out) == ALL_FILES
    assert len(tree(out)) == len(ALL_FILES) + 5  # the records and the claim are compared too
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "ultrahand"
    assert nibabel.load(out / f"{T1}.nii.gz").shape == (16, 12, 1)
    assert nibabel.load(out / f"{ECHOES}_MEGRE.nii.gz").shape == (16, 12, 1, 2)
    dynamic = nibabel.load(out / f"{DCE}.nii.gz")
    assert dynamic.shape == (16, 16, 1, 4)
    assert dynamic.header["pixdim"][4] == pytest.approx(0.2, abs=1e-6)


def test_frames_stand_in_the_sidecar_with_their_times(sources):
    sidecar = json.loads((sources / "out" / f"{DCE}.json").read_text())
    assert sidecar["FourthDimension"] == "frame"
    assert sidecar["FrameTimesStart"] == [0.0, 0.2, 0.4, 0.6]
    assert sidecar["FrameDuration"] == [0.2] * 4
    assert sidecar["Provenance"]["Options"]["frame_time_s"] == 0.2
    fields = {finding["field"] for finding in sidecar["Provenance"]["Findings"]}
    assert {"frames", "undersampled frames"} <= fields


def test_the_table_is_printed_and_written(given, run, tmp_path):
    ended = run(given / "exam.toml")
    assert ended.code == 0
    assert ended.out == (tmp_path / "out" / "exam.tsv").read_text()
    found = rows(tmp_path / "out")
    assert list(found) == ["T1", "echoes", "dce"]
    assert {row["status"] for row in found.values()} == {"done"}
    assert found["T1"]["outputs"].split(",")[0] == f"{T1}.nii.gz"
    listed = {path for row in found.values() for path in row["outputs"].split(",")}
    assert listed == {path for path in ALL_FILES if "/" in path}
    assert int(found["T1"]["n_findings"]) > 0


def test_images_are_those_of_recon_and_the_sidecar_says_how_to_make_them(done, given):
    for name in (T1, f"{ECHOES}_MEGRE", DCE):
        command = json.loads((done / f"{name}.json").read_text())["Provenance"]["Command"]
        words = command.split()
        assert words[:2] == ["ultrahand", "recon"]
        ended = ultrahand(*words[1:], folder=given)
        assert ended.code == 0, ended.err
        made = given / Path(name).name
        for ending in (".nii.gz", "_stderr.nii.gz"):
            one, two = (Path(f"{place}{ending}").read_bytes() for place in (made, done / name))
            assert one == two


def test_the_table_as_json(given, run):
    ended = run(given / "exam.toml", "--json")
    assert [row["series"] for row in ended.json["series"]] == ["T1", "echoes", "dce"]
    assert ended.json["series"][0]["outputs"][0] == f"{T1}.nii.gz"


def test_findings_name_their_series_and_quiet_leaves_them_out(given, run):
    assert "ultrahand: dce: warning: undersampled frames" in run(given / "exam.toml").err
    assert run(given / "exam.toml", "-q", out="quiet").err == ""


def test_times_go_to_the_log_alone(given, run, tmp_path):
    assert run(given / "exam.toml", "--log", tmp_path / "exam.log").code == 0
    log = (tmp_path / "exam.log").read_text()
    assert log.count(" s\n") == 3
    assert "T1: done after" in log


def test_kinds_without_raw_data_are_skipped_and_no_failure(given, run, tmp_path):
    (given / "dicom").mkdir()
    write_exam(
        given,
        table("noise", "noise", "t1.h5"),
        table("wrist-ct", "ct", "dicom"),
        table("film", "xray", "dicom"),
        table("T1", "morphology", "t1.h5", options={"noise": "echoes.h5"}),
    )
    assert run(given / "exam.toml").code == 0
    found = rows(tmp_path / "out")
    assert [row["status"] for row in found.values()] == ["skipped"] * 3 + ["done"]
    assert found["wrist-ct"]["reason"].startswith("not reconstructed: ")
    sidecar = json.loads((tmp_path / "out" / f"{T1}.json").read_text())
    assert sidecar["Provenance"]["Options"]["noise"] == "file"


def test_the_options_of_a_series_are_options_of_recon():
    given = ["recon", "raw.h5", "-o", "image.nii.gz"]
    values = {"method": "fft", "combine": "rss", "partial-fourier": "pocs", "parts": "mag"}
    values |= {"conjugate": "no", "trajectory-unit": "1/m", "trajectory-offset": "1"}
    values |= {
        "frame-time": "2",
        "prior": "tv",
        "prior-weight": "2",
        "dynamic": "subspace",
        "engine": "sigpy",
    }
    values |= {"gradient-delays": "none", "replicas": "4"}
    for name in SERIES_OPTIONS:
        options = build_parser().parse_args([*given, f"--{name}", values.get(name, "x")])
        assert str(getattr(options, name.replace("-", "_"))) in (values.get(name, "x"), "2.0")


def test_help_loads_nothing_heavy():
    code = (
        "from ultrahand.cli.main import build_parser\n"
        "try:\n    build_parser().parse_args(['exam', '-h'])\nexcept SystemExit:\n    pass"
    )
    assert loaded_by(code) == []


# --- the report -----------------------------------------------------------------------------------


def page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def article(text, title):
    """The part of a page about one series or result."""
    return next(part for part in text.split("<article")[1:] if f"<h3>{title}" in part)


def test_the_report_shows_every_series_and_says_what_is_not_there(sources):
    text = page(sources / "out")
    assert "3 of 3 series done. 0 of 6 results done, 6 missing." in text
    assert "subject 01 (pseudonym), session 1" in text
    assert text.index("undersampled frames") < text.index("Overview")
    assert article(text, "T1: morphology").count("<img ") == 1
    # Three planes and a series of the magnitude, three planes of the phase.
    assert article(text, "echoes: multi-echo").count("<img ") == 3
    assert article(text, "dce: dynamic").count("<img ") == 2
    assert "690 ms" in text  # the mean of spokes 20 ms apart from 0.6 s on, in the viewer
    for name in ("T1: morphology", "echoes: multi-echo", "dce: dynamic"):
        assert "Signal to noise" in article(text, name)
        assert "ultrahand recon" in article(text, name)
    assert "no series of kind sodium" in article(text, "Articular sodium concentration")
    assert "not computed by this version" in article(text, "Calcinosis")
    assert str(sources) not in text


@pytest.mark.usefixtures("done")
def test_the_report_s_place_is_said_and_in_the_json(given, run, tmp_path):
    ended = run(given / "exam.toml", "--json")
    assert ended.json["report"] == str(tmp_path / "out" / "report.html")
    line = f"report: {tmp_path / 'out' / 'report.html'} (kept: nothing in it changed)\n"
    assert ended.err.count(line) == 1
    (tmp_path / "out" / "report.html").unlink()
    assert run(given / "exam.toml").err.count("report.html (made)\n") == 1


def test_a_run_that_changes_nothing_writes_no_report(given, done, run):
    before = marks(done)["report.html"]
    assert run(given / "exam.toml").code == 0
    assert marks(done)["report.html"] == before


def test_a_full_disk_under_the_report_says_what_stays(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exam_report, "page_of", full)
    note = io.BytesIO()
    assert exam_report._in_child(None, tmp_path, note, verbose=False) == 5
    assert note.getvalue() == b"the disk is full; finished series stay: make room and run again"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_report_that_is_gone_is_made_again_to_the_byte(threads, given, done, run, sources):
    (done / "report.html").unlink()
    assert run(given / "exam.toml", "--threads", threads).code == 0
    assert tree(done) == tree(sources / "out")


def test_a_report_does_not_outlive_the_images_that_it_shows(given, done):
    """A run that is broken off before its end leaves no page of other data."""
    change_input(given, done)
    damage(given / "dynamic.h5")
    process = started(given, done)
    wait_for(lambda: not (done / "report.html").exists() or process.poll() is not None)
    assert process.poll() is None, "the page is taken away before its end"
    process.kill()
    process.communicate()
    assert not (done / "report.html").exists()


def test_a_series_that_failed_stands_in_the_report_with_its_reason(given, run, tmp_path):
    damage(given / "echoes.h5")
    assert run(given / "exam.toml").code == 4
    text = page(tmp_path / "out")
    assert "2 of 3 series done, 1 failed." in text
    assert "1 error, " in text[: text.index("Findings in the headers")]
    failed = article(text, "echoes: multi-echo")
    assert "echoes.h5: readout" in failed
    assert "<img " not in failed
    assert "its series echoes (multiecho) is not done: failed" in article(text, "Calcinosis")
    before = marks(tmp_path / "out")["report.html"]
    assert run(given / "exam.toml").code == 4
    assert marks(tmp_path / "out")["report.html"] == before


def test_the_parts_of_a_refusal_stand_in_cells_of_their_own(given, run, tmp_path):
    """A file's name can be anything, the words of our refusals among it."""
    name = "a: found b, expected c; d.h5"
    (given / name).write_bytes(b"not raw")
    write_exam(given, table("T1", "morphology", "t1.h5"), table("odd", "morphology", name))
    assert run(given / "exam.toml").code == 4
    text = page(tmp_path / "out")
    findings = text[text.index('id="findings"') : text.index('id="overview"')]
    assert f'data-label="field">{name}: file</th>' in findings
    assert 'data-label="found">a file that begins with' in findings
    assert 'data-label="remedy">convert the scanner' in findings


def test_where_everything_failed_there_is_a_report_too(given, run, tmp_path):
    assert run(given / "exam.toml", "--max-memory", "10MB").code == 5
    assert "0 of 3 series done, 3 failed." in page(tmp_path / "out")


def test_what_is_skipped_says_why_in_the_report(given, run, tmp_path):
    write_exam(given, table("film", "xray", "t1.h5"), table("T1", "morphology", "t1.h5"))
    assert run(given / "exam.toml").code == 0
    assert "not reconstructed: radiographs" in article(page(tmp_path / "out"), "film: radiograph")


def test_without_matplotlib_there_is_a_report_without_pictures(given, run, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\nsys.modules['matplotlib'] = None  # as where it is not installed\n"
    )
    ended = run(given / "exam.toml", environment={"PYTHONPATH": str(hidden)})
    assert ended.code == 0, ended.err
    assert ended.err.count("ultrahand[report]") == 1
    text = page(tmp_path / "out")
    assert "<img " not in text
    assert "pip install &#x27;ultrahand[report]&#x27;" in text
    assert "Signal to noise" in text
    assert "ultrahand[report]" not in run(given / "exam.toml").err
    assert article(page(tmp_path / "out"), "T1: morphology").count("<img ") == 1


def test_a_header_cannot_put_markup_into_the_report(given, run, tmp_path):
    bad = "<script>window.spoiled = 1</script>"
    write_hdf5(cartesian(vendor=bad), given / "t1.h5")
    assert run(given / "exam.toml").code == 0
    text = page(tmp_path / "out")
    assert bad not in text
    assert "&lt;script&gt;window.spoiled = 1&lt;/script&gt;" in text


def test_a_page_of_others_is_kept_without_force(given, run, tmp_path):
    out = tmp_path / "out"
    assert run(given / "exam.toml").code == 0
    shutil.rmtree(out / HIDDEN)
    for path in out.rglob("*"):
        if path.is_file() and path.name not in ("report.html", "dataset_description.json"):
            path.unlink()
    (out / "report.html").write_text("mine")
    assert_refused(run(given / "exam.toml"), 2, "report.html exists")
    assert (out / "report.html").read_text() == "mine"
    assert run(given / "exam.toml", "--force").code == 0
    assert "3 of 3 series done" in page(out)


def test_an_image_that_was_changed_in_place_is_no_page_and_no_crash(given, done, run):
    change_bytes(done / f"{T1}.nii.gz", back=True)
    (done / "report.html").unlink()
    ended = run(given / "exam.toml")
    assert ended.code == 3
    assert "acq-T1_morphology.nii.gz: image: found" in ended.err
    assert "--verify" in ended.err
    assert not (done / "report.html").exists()
    assert run(given / "exam.toml", "--verify").code == 0


# --- going on -------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again_whatever_the_times_of_files(given, done, run):
    for path in (*given.iterdir(), *done.rglob("*")):
        os.utime(path, (1, 1))
    before = tree(done)
    images = {path: mark for path, mark in marks(done).items() if "/sub-" in path}
    ended = run(given / "exam.toml", "--threads", "1", "--max-memory", "2GB", "--verify")
    assert ended.code == 0
    assert ended.err.count("is done, not done again\n") == 3
    assert ended.cpu_seconds < 3
    assert tree(done) == before
    assert {path: mark for path, mark in marks(done).items() if "/sub-" in path} == images


def remade(ended):
    """Series that a run did not find done."""
    kept = {line.split(": ")[1] for line in ended.err.splitlines() if "is done" in line}
    return {"T1", "echoes", "dce"} - kept


def change_option(given, _):
    path = given / "exam.toml"
    path.write_text(path.read_text().replace('"mag,phase"', '"complex"'))


def change_input(given, _):
    write_hdf5(cartesian(seed=9, echo_times_s=(3e-3, 6e-3)), given / "echoes.h5")


def delete_output(_, done):
    (done / f"{ECHOES}_part-phase_MEGRE_stderr.nii.gz").unlink()


def cut_output(_, done):
    path = done / f"{ECHOES}_MEGRE.json"
    path.write_bytes(path.read_bytes()[:-1])


def change_kind(given, _):
    path = given / "exam.toml"
    path.write_text(path.read_text().replace('"multiecho"', '"t1"'))


@pytest.mark.parametrize("change", [change_option, change_input, change_kind])
def test_only_what_changed_is_made_anew(change, given, done, run, assert_as_undisturbed):
    change(given, done)
    ended = run(given / "exam.toml")
    assert ended.code == 0, ended.err
    assert remade(ended) == {"echoes"}
    assert_as_undisturbed(given / "exam.toml")


@pytest.mark.parametrize("change", [delete_output, cut_output])
def test_only_what_is_not_there_any_more_is_made_anew(change, given, done, run, sources):
    change(given, done)
    ended = run(given / "exam.toml")
    assert ended.code == 0, ended.err
    assert remade(ended) == {"echoes"}
    assert tree(done) == tree(sources / "out")


def change_bytes(path, *, back):
    """Change a byte, not the size; ``back``: nor the time of change, as a failing disk does."""
    time_ns = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    if back:
        os.utime(path, ns=(time_ns, time_ns))


def test_bytes_that_changed_in_place_are_found_by_their_time(given, done, run, sources):
    change_bytes(done / f"{T1}.nii.gz", back=False)
    assert remade(run(given / "exam.toml")) == {"T1"}
    assert tree(done) == tree(sources / "out")


def test_bytes_that_changed_without_their_time_are_found_on_request(given, done, run, sources):
    change_bytes(done / f"{T1}.nii.gz", back=True)
    assert remade(run(given / "exam.toml")) == set()
    assert remade(run(given / "exam.toml", "--verify")) == {"T1"}
    assert tree(done) == tree(sources / "out")


def test_what_no_series_makes_any_more_goes(given, done, run, assert_as_undisturbed):
    write_exam(given, table("T1b", "morphology", "t1.h5"))
    assert run(given / "exam.toml").code == 0
    assert not any("acq-T1_" in path or "echoes" in path for path in tree(done))
    assert_as_undisturbed(given / "exam.toml")


def test_notes_of_the_user_stay(given, done, run):
    notes = [done / "notes.txt", done / ANAT / "sub-01_ses-1_acq-T1_desc-mine_mask.nii.gz"]
    for path in notes:
        path.write_bytes(b"mine")
    assert run(given / "exam.toml").code == 0
    assert [path.read_bytes() for path in notes] == [b"mine"] * 2


def test_the_table_says_what_is_there_at_every_moment(given, done):
    """While one series is made anew, the others are done."""
    change_option(given, done)
    process = started(given, done)
    found = []
    while process.poll() is None:
        found.append({name: row["status"] for name, row in rows(done).items()})
    process.communicate()
    assert {status["T1"] for status in found} == {"done"}
    assert {status["echoes"] for status in found} == {"done", "not run"}


def test_a_damaged_record_is_as_good_as_none(given, done, run, sources):
    (path,) = (done / HIDDEN / "records").glob("*recon_T1.json")
    path.write_text(path.read_text().replace("n_findings", "findings"))
    assert remade(run(given / "exam.toml")) == {"T1"}
    assert tree(done) == tree(sources / "out")


@pytest.mark.parametrize("gone", [False, True])
def test_an_exam_file_that_changes_under_a_run_is_the_next_run_s(gone, given, run, tmp_path):
    """The page shows what was read, with its hash; the next run is as undisturbed."""
    exam, out = given / "exam.toml", tmp_path / "out"
    before = exam.read_bytes()
    process = started(given, out)
    wait_for((out / "exam.tsv").exists)
    if gone:
        exam.unlink()
    else:
        exam.write_bytes(before.replace(b'hand = "right"', b'hand = "left"'))
    process.communicate(timeout=60)
    assert process.returncode == 0
    text = page(out)
    assert "right hand" in text
    assert hashlib.sha256(before).hexdigest() in text
    if not gone:
        assert run(exam).code == 0
        assert "left hand" in page(out)
        assert run(exam, out="fresh").code == 0
        assert tree(out) == tree(tmp_path / "fresh")


# --- series that fail -----------------------------------------------------------------------------


def damage(path):
    with h5py.File(path, "r+") as file:
        data = file["dataset/data"][:]
        data["head"]["idx"]["kspace_encode_step_1"][-1] = 99
        file["dataset/data"][:] = data


def test_a_series_that_fails_is_named_and_leaves_the_others(given, run, tmp_path, sources):
    sound = (given / "echoes.h5").read_bytes()
    damage(given / "echoes.h5")
    ended = run(given / "exam.toml")
    assert ended.code == 4
    assert "ultrahand: echoes: failed: echoes.h5: readout" in ended.err
    found = rows(tmp_path / "out")
    assert [row["status"] for row in found.values()] == ["done", "failed", "done"]
    assert found["echoes"]["reason"].startswith("echoes.h5: readout")
    assert (found["echoes"]["outputs"], found["echoes"]["n_findings"]) == ("n/a", "n/a")
    assert not any("echoes" in path for path in tree(tmp_path / "out"))
    (given / "echoes.h5").write_bytes(sound)
    ended = run(given / "exam.toml")
    assert ended.code == 0
    assert remade(ended) == {"echoes"}
    assert tree(tmp_path / "out") == tree(sources / "out")


def test_images_of_before_do_not_stand_for_a_series_that_fails(
    given, done, run, assert_as_undisturbed
):
    damage(given / "echoes.h5")
    assert run(given / "exam.toml").code == 4
    assert not any("echoes" in path for path in seen(done))
    assert_as_undisturbed(given / "exam.toml", code=4)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "0 bytes"), (b"not raw", "begins with"), (b"\x89HDF\r\n\x1a\n" + bytes(99), "t1.h5")],
    ids=["empty", "another file", "cut"],
)
def test_a_file_that_is_no_raw_data_fails_its_series(data, words, given, run, tmp_path):
    (given / "t1.h5").write_bytes(data)
    assert run(given / "exam.toml").code == 4
    found = rows(tmp_path / "out")
    assert [row["status"] for row in found.values()] == ["failed", "done", "done"]
    assert words in found["T1"]["reason"]


def test_a_series_that_is_not_of_its_kind_is_said_everywhere(given, run, tmp_path):
    write_exam(given, table("na", "sodium", "t1.h5"), table("echoes", "multiecho", "t1.h5"))
    ended = run(given / "exam.toml")
    assert ended.code == 0
    assert "na: warning: nucleus: found 1H in a series of kind sodium, expected 23Na" in ended.err
    assert "echoes: warning: idx.contrast: found one contrast" in ended.err
    sidecar = tmp_path / "out/sub-01/ses-1/sodium/sub-01_ses-1_acq-na_sodium.json"
    found = json.loads(sidecar.read_text())["Provenance"]["Findings"]
    assert [f["level"] for f in found if f["field"] == "nucleus"][-1:] == ["warning"]
    assert rows(tmp_path / "out")["na"]["n_findings"] == str(len(found))
    assert "1H in a series of kind sodium" in article(page(tmp_path / "out"), "na: sodium")


def test_options_that_do_not_fit_the_measurement_fail_its_series(given, run, tmp_path):
    write_exam(
        given,
        table("T1", "morphology", "t1.h5", options={"frame-time": 1}),
        table("dce", "dynamic", "dynamic.h5"),
    )
    assert run(given / "exam.toml").code == 4
    found = rows(tmp_path / "out")
    assert "--frame-time cuts non-Cartesian" in found["T1"]["reason"]
    assert found["dce"]["status"] == "done"


def test_a_file_without_read_permission_fails_its_series(given, run, tmp_path, ordinary):
    (given / "t1.h5").chmod(0)
    assert run(given / "exam.toml", program=ordinary).code == 4
    assert "Permission denied" in rows(tmp_path / "out")["T1"]["reason"]


def test_a_file_that_cannot_be_read_for_once_costs_no_images(given, done, run, ordinary):
    (given / "t1.h5").chmod(0)
    assert run(given / "exam.toml", program=ordinary).code == 4
    assert rows(done)["T1"]["reason"].endswith("(images of an earlier run stay)")
    assert f"{T1}.nii.gz" in seen(done)


def test_names_of_files_cannot_tear_the_table(given, run, tmp_path):
    (given / "a\tb\nc.h5").write_bytes(b"no data")
    write_exam(given, table("T1", "morphology", "a\\tb\\nc.h5"))
    ended = run(given / "exam.toml")
    assert ended.code == 4
    assert len(ended.err.splitlines()) == 2  # the series, and where the report is
    lines = (tmp_path / "out" / "exam.tsv").read_text().splitlines()
    assert [len(line.split("\t")) for line in lines] == [6, 6]


def test_gaps_between_lines_are_no_image_unless_asked_for(given, run, tmp_path):
    write_hdf5(cartesian(acceleration=(2, 1), calibration_lines=(4, 0)), given / "t1.h5")
    ended = run(given / "exam.toml")
    assert ended.code == 4
    assert "T1: needs parallel imaging" in ended.err
    row = rows(tmp_path / "out")["T1"]
    assert row["status"] == "needs parallel imaging"
    assert row["outputs"] == "n/a"
    assert not any("acq-T1_" in path for path in tree(tmp_path / "out"))
    write_exam(given, table("T1", "morphology", "t1.h5", options={"method": "fft"}))
    assert run(given / "exam.toml").code == 0
    assert f"{T1}.nii.gz" in seen(tmp_path / "out")


def test_too_little_memory_ends_in_code_5_and_the_table_says_what_is_needed(given, run, tmp_path):
    assert run(given / "exam.toml", "--max-memory", "10MB").code == 5
    found = rows(tmp_path / "out")
    assert {row["status"] for row in found.values()} == {"failed"}
    assert "--max-memory 10 MB is too small" in found["dce"]["reason"]


def test_an_input_that_changes_under_a_run_is_noticed(tmp_path):
    path = tmp_path / "raw.h5"
    path.write_bytes(b"one")
    digests = Digests()
    first = digests.of(path)
    assert not digests.changed(path)
    path.write_bytes(b"other")
    assert digests.changed(path)
    assert digests.of(path) == first  # what was read was hashed before


# --- what is refused as a whole -------------------------------------------------------------------


@pytest.fixture
def ordinary():
    """Return what runs a command without root's rights over files."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root without setpriv (util-linux) cannot drop its rights over files")
    return ORDINARY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[exam\n", "line 1"),
        (exam_text(table("T1", "morphology", "none.h5")), "no such file: none.h5"),
        (exam_text(table("T1", "b1", "t1.h5"), subject="Doe, J"), "pseudonym"),
        (
            exam_text(table("T1", "b1", "t1.h5", options={"method": "grip"})),
            "series 'T1', options.method: found invalid choice: 'grip'",
        ),
        (
            exam_text(table("T1", "b1", "t1.h5", options={"frame-time": -1})),
            "options.frame-time: found '-1': expected seconds above 0",
        ),
        (
            exam_text(table("T1", "b1", "t1.h5", options={"noise": "none.h5:group"})),
            "options.noise: found no such file: none.h5",
        ),
        (
            exam_text(table("T1", "b1", "t1.h5", options={"max-memory": "1GB"})),
            "max-memory: found an unknown key",
        ),
    ],
)
def test_a_wrong_exam_file_is_refused_before_anything_is_made(text, words, given, run, tmp_path):
    (given / "exam.toml").write_text(text)
    assert_refused(run(given / "exam.toml"), 3, "exam.toml: ", words)
    assert not (tmp_path / "out").exists()


def test_no_exam_file_is_wrong_use(given, run):
    assert_refused(run(given / "none.toml"), 2, "none.toml: no such file")


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("none/out", "the folder of out does not exist"),
        ("given/usage.txt", "usage.txt is a file"),
        ("n" * 300, "cannot be"),
    ],
)
def test_a_folder_that_cannot_be_is_wrong_use(out, words, given, run):
    (given / "usage.txt").write_text("mine")
    before = tree(given)
    assert_refused(run(given / "exam.toml", out=out), 2, words)
    assert tree(given) == before


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
@pytest.mark.parametrize("out", ["given/exam.toml", "given/t1.h5/out", "given/ct/out", "given/ct"])
def test_outputs_inside_an_input_are_refused(out, force, given, run):
    (given / "ct").mkdir()
    (given / "ct" / "1.dcm").write_bytes(b"x")
    write_exam(given, table("T1", "morphology", "t1.h5"), table("wrist", "ct", "ct"))
    before = tree(given)
    ended = run(given / "exam.toml", *force, out=out)
    assert_refused(ended, 3, "it is or lies in the input", "choose another -o")
    assert tree(given) == before


@pytest.mark.parametrize("out", ["given", "given/../given", "link", "."])
def test_a_folder_that_holds_inputs_is_refused(out, given, run, tmp_path):
    (tmp_path / "link").symlink_to(given)
    before = tree(given)
    ended = run(given / "exam.toml", out=out)
    assert_refused(ended, 3, "it holds the input", "apart from the inputs")
    assert tree(given) == before


def test_a_folder_of_others_is_used_by_force_and_theirs_stays(given, run):
    before = tree(given)
    assert run(given / "exam.toml", "--force", out="given").code == 0
    found = tree(given)
    assert {path: found[path] for path in before} == before
    assert seen(given) >= ALL_FILES


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
def test_another_data_set_is_never_written_into(force, given, run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "dataset_description.json").write_text('{"Name": "raw", "BIDSVersion": "1.8.0"}')
    before = tree(out)
    assert_refused(run(given / "exam.toml", *force), 2, "holds another data set")
    assert tree(out) == before


def test_inputs_among_outputs_of_before_are_refused(given, done, run):
    for path in given.iterdir():
        shutil.copy(path, done)
    assert_refused(run(done / "exam.toml"), 3, "it holds the input")
    assert run(done / "exam.toml", "--force").code == 0


def test_a_link_does_not_lead_outputs_into_an_input(given, done, run):
    (given / "ct").mkdir()
    (given / "ct" / "1.dcm").write_bytes(b"x")
    write_exam(given, table("T1", "morphology", "t1.h5"), table("wrist", "ct", "ct"))
    shutil.rmtree(done / "sub-01")
    (done / "sub-01").symlink_to(given / "ct")
    assert_refused(run(given / "exam.toml"), 3, "it is or lies in the input ct")
    assert [path.name for path in (given / "ct").iterdir()] == ["1.dcm"]


def test_links_in_a_circle_are_wrong_use(given, done, run, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert_refused(run(given / "exam.toml", out="loop"), 2, "loop")
    (done / "report.html").unlink()
    (done / "report.html").symlink_to("report.html")
    assert_refused(run(given / "exam.toml"), 2, "report.html")


def test_another_examination_needs_a_folder_of_its_own(given, done, run):
    before = tree(done)
    write_exam(given, table("T1", "morphology", "t1.h5"), subject="02")
    for force in ((), ("--force",)):
        ended = run(given / "exam.toml", *force)
        assert_refused(ended, 2, "out holds another examination", "sub-02_ses-1")
    assert tree(done) == before


def guide(number):
    """A shell script of the guide's section on trials."""
    page = Path(__file__).parents[2] / "docs" / "exam.md"
    section = page.read_text(encoding="utf-8").split("## A whole trial")[1]
    return section.split("```sh\n")[number].split("```")[0]


@pytest.fixture
def trial(tmp_path):
    """Three examinations, one of them damaged, and what runs a script beside them."""
    for name, subject in (("one", "01"), ("two", "02"), ("three", "03")):
        (tmp_path / "raw" / name).mkdir(parents=True)
        write_hdf5(cartesian(), tmp_path / "raw" / name / "t1.h5")
        write_exam(tmp_path / "raw" / name, table("T1", "morphology", "t1.h5"), subject=subject)
    damage(tmp_path / "raw" / "three" / "t1.h5")
    program = tmp_path / "bin" / "ultrahand"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ultrahand "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}

    def script(text):
        return subprocess.run(
            ["sh", "-c", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return script


def test_a_trial_runs_as_the_guide_says(trial, tmp_path):
    ended = trial(guide(1))
    assert (ended.stdout, ended.returncode) == ("three\t4\n", 0), ended.stderr
    codes = (tmp_path / "logs" / "codes.tsv").read_text().splitlines()
    assert sorted(codes) == ["one\t0", "three\t4", "two\t0"]
    assert "T1: failed" in (tmp_path / "logs" / "three.log").read_text()
    ended = trial(guide(2))
    assert ended.returncode == 0, ended.stderr
    dataset = tmp_path / "dataset"
    assert {p.name for p in dataset.iterdir()} == {
        *("sub-01", "sub-02", "dataset_description.json"),
        *(f"sub-{n}_ses-1{end}" for n in ("01", "02") for end in (".html", "_exam.tsv")),
    }
    for number, name in (("01", "one"), ("02", "two")):
        made = tmp_path / "derivatives" / name
        assert tree(dataset / f"sub-{number}") == tree(made / f"sub-{number}")
        assert "done" in (dataset / f"sub-{number}_ses-1_exam.tsv").read_text()


def test_sessions_of_one_name_are_not_put_over_each_other(trial, tmp_path):
    for name in ("one", "two"):
        out = tmp_path / "derivatives" / name
        (out / "sub-01" / "ses-1").mkdir(parents=True)
        for file in ("exam.tsv", "report.html", "dataset_description.json"):
            (out / file).write_text(name)
    ended = trial(guide(2))
    assert ended.returncode == 1
    assert ended.stderr == "sub-01/ses-1 comes twice: also in derivatives/two\n"
    assert (tmp_path / "dataset" / "sub-01_ses-1.html").read_text() == "one"


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
def test_another_examination_s_folder_is_refused_before_its_first_series_is_done(
    force, given, done, run
):
    """As where that run was killed at once, or all its series failed: its table stays."""
    shutil.rmtree(done / "sub-01")
    for path in (done / HIDDEN / "records").iterdir():
        path.unlink()
    (done / "report.html").unlink()
    before = tree(done)
    assert "exam.tsv" in before
    write_exam(given, table("T1", "morphology", "t1.h5"), session="2")
    ended = run(given / "exam.toml", *force)
    assert_refused(ended, 2, "out holds another examination (sub-01_ses-1)", "sub-01_ses-2")
    assert tree(done) == before


@pytest.mark.parametrize("content", [None, b"", b"\xff"], ids=["none", "empty", "no text"])
def test_a_folder_of_an_earlier_version_has_no_claim_and_goes_on(
    content, given, done, run, sources
):
    claim = done / HIDDEN / "examination"
    claim.unlink()
    if content is not None:
        claim.write_bytes(content)
    assert remade(run(given / "exam.toml")) == set()
    assert tree(done) == tree(sources / "out")


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
def test_an_output_that_is_an_input_is_refused(force, given, done, run):
    """A raw file, or a link to one, under the name that an output would have."""
    place = done / f"{T1}.nii.gz"
    place.unlink()
    place.hardlink_to(given / "t1.h5")
    before = (given / "t1.h5").read_bytes()
    ended = run(given / "exam.toml", *force)
    assert_refused(ended, 3, "acq-T1_morphology.nii.gz is an input", "never overwritten")
    assert (given / "t1.h5").read_bytes() == before
    assert place.samefile(given / "t1.h5")


def test_a_file_of_others_under_an_output_s_name_is_kept_without_force(given, run, tmp_path):
    assert run(given / "exam.toml").code == 0
    write_exam(given, table("T1", "morphology", "t1.h5"), table("T2", "morphology", "t1.h5"))
    place = tmp_path / "out" / T1.replace("T1", "T2")
    place = place.with_name(f"{place.name}.nii.gz")
    place.write_bytes(b"mine")
    assert_refused(run(given / "exam.toml"), 2, "not of this examination")
    assert place.read_bytes() == b"mine"
    assert run(given / "exam.toml", "--force").code == 0
    assert nibabel.load(place).shape == (16, 12, 1)


@pytest.mark.parametrize("name", ["t1.h5", "exam.toml"])
def test_the_log_is_never_an_input(name, given, run):
    before = tree(given)
    ended = run(given / "exam.toml", "--log", given / name)
    assert_refused(ended, 2, f"--log {name}", "never overwritten")
    assert tree(given) == before


def test_the_log_may_stand_in_the_folder(given, run, tmp_path):
    (tmp_path / "out").mkdir()
    assert run(given / "exam.toml", "--log", tmp_path / "out" / "exam.log").code == 0


def test_a_folder_without_write_permission_ends_in_code_5(given, done, run, ordinary, tmp_path):
    (tmp_path / "fresh").mkdir(mode=0o555)
    ended = run(given / "exam.toml", out="fresh", program=ordinary)
    assert_refused(ended, 5, "fresh cannot be written")
    change_input(given, done)
    (done / ANAT).chmod(0o555)
    ended = run(given / "exam.toml", "-q", program=ordinary)
    assert_refused(ended, 5, "out cannot be written")
    assert "\techoes" not in ended.out
    assert {line.split("\t")[2] for line in ended.out.splitlines()[1:]} == {"failed", "done"}
    assert ended.out == (done / "exam.tsv").read_text()
    (done / ANAT).chmod(0o755)
    assert run(given / "exam.toml").code == 0


def test_a_second_run_at_once_is_refused(given, done, run):
    before = tree(done)
    with WorkStore(done, inputs=(), force=False):
        ended = run(given / "exam.toml")
    assert_refused(ended, 2, "out is in use by another run")
    assert tree(done) == before


# --- broken off -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system that has room for the first series and not for the second."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(folder)]
    made = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
    if not made or made.returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_in_code_5_and_finished_series_stay(given, small_disk, run, tmp_path):
    big = cartesian(seed=4, matrix=(256, 12, 1), echo_times_s=(3e-3, 6e-3))
    write_hdf5(big, given / "echoes.h5")
    ended = run(given / "exam.toml", out="disk/out")
    assert ended.code == 5, ended.err
    assert "the disk is full" in ended.err
    out = small_disk / "out"
    assert f"{T1}.nii.gz" in seen(out)
    assert not any("echoes" in path or "work-" in path for path in tree(out))
    statuses = [line.split("\t")[2] for line in ended.out.splitlines()[1:]]
    assert statuses == ["done", "failed", "not run"]
    remount = ["mount", "-o", "remount,size=8m", str(small_disk)]
    subprocess.run(remount, check=True)
    ended = run(given / "exam.toml", out="disk/out")
    assert ended.code == 0
    assert remade(ended) == {"echoes", "dce"}
    assert run(given / "exam.toml", out="fresh").code == 0
    assert tree(out) == tree(tmp_path / "fresh")


def test_a_read_only_disk_ends_in_code_5_and_nothing_is_made(given, small_disk, run):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for out in ("disk/out", "disk"):
        ended = run(given / "exam.toml", out=out)
        assert_refused(ended, 5, "cannot be written (Read-only file system)", "another -o")
    assert not list(small_disk.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_table_that_cannot_be_printed_ends_in_code_5(given, done):
    command = [sys.executable, "-m", "ultrahand", "exam", "-q", given / "exam.toml", "-o", done]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 5
    assert ended.stderr.count(b"\n") == 1


def test_a_reader_that_stops_early_is_no_error(given, done):
    command = f"{sys.executable} -m ultrahand exam -q {given}/exam.toml -o {done} | true"
    ended = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert ended.stderr == b""


def started(given, out):
    command = [sys.executable, "-m", "ultrahand", "exam", given / "exam.toml", "-o", out]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "to_group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_a_stop_keeps_finished_series_and_the_next_run_goes_on(
    number, to_group, given, run, tmp_path, sources
):
    out = tmp_path / "out"
    for _ in range(5):  # a run may end before the signal comes
        shutil.rmtree(out, ignore_errors=True)
        process = started(given, out)
        wait_for((out / f"{T1}.json").exists)
        (os.killpg if to_group else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=30)
        if process.returncode:
            break
    assert process.returncode == 130
    line = b"ultrahand: interrupted; finished series stay: run again to go on\n"
    assert said.endswith(line)
    assert said.count(b"interrupted") == 1
    assert not list(out.rglob("work-*"))
    assert f"{T1}.nii.gz" in seen(out)
    assert run(given / "exam.toml").code == 0
    assert tree(out) == tree(sources / "out")


def killed_and_resumed(seed, given, run, tmp_path, sources):
    """Kill a run at a random moment, run again, and hold all files against an undisturbed run's."""
    chance = random.Random(seed)
    out = tmp_path / "out"
    moment = chance.random() * float((sources / "seconds").read_text())
    process = started(given, out)
    time.sleep(moment)
    if chance.random() < 0.5:
        os.killpg(process.pid, signal.SIGKILL)  # all at once, as a power cut
    else:
        process.kill()  # its child learns of it
    process.communicate()
    ended = run(given / "exam.toml")
    assert ended.code == 0, (moment, ended.err)
    assert tree(out) == tree(sources / "out"), moment


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_leaves_what_the_next_run_makes_whole(seed, given, run, tmp_path, sources):
    killed_and_resumed(seed, given, run, tmp_path, sources)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4, 24))
def test_kills_at_many_moments_leave_what_the_next_run_makes_whole(
    seed, given, run, tmp_path, sources
):
    killed_and_resumed(seed, given, run, tmp_path, sources)
