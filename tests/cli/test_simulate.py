"""``ultrahand simulate``: what it writes, when it refuses, and what an end half way leaves."""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import tomllib
from dataclasses import replace

import ismrmrd
import ismrmrd.xsd
import nibabel
import numpy as np
import pytest
from commands import snapshot, ultrahand

from making import planned, volumes
from phantoms.digital_hand import hands
from ultrahand.cli import simulate as simulate_module
from ultrahand.cli.simulate_plan import plan_of
from ultrahand.cli.simulate_truth import truth_bytes
from ultrahand.errors import ResourceError
from ultrahand.io.read_raw import read_raw
from ultrahand.phantoms.digital_hand.assumptions import ASSUMPTIONS
from ultrahand.phantoms.digital_hand.protocol import PROTOCOLS
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.digital_hand.subject import make_subject
from ultrahand.pipelines.timing import frame_times
from ultrahand.records import ArraySource
from ultrahand.records.readouts import LAST_IN_MEASUREMENT_FLAG, NOISE_FLAG, has

SCRIPT = """
[[erosion]]
site = "mc3_head"
volume_mm3 = 25
[[veins]]
digit = 5
count = 0
"""
TINY = PROTOCOLS["tiny"]
NAMES = [series.name for series in TINY.series]
ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def simulate(folder, *arguments, **options):
    given = ("simulate", *arguments, "--size", "tiny")
    return ultrahand(*given, folder=folder, **({"wait_s": 180} | options))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """One tiny examination with a script, on one thread."""
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "lesions.toml").write_text(SCRIPT)
    ended = simulate(folder, "exam", "--script", "lesions.toml", "--threads", "1")
    assert ended.code == 0, ended.err
    return folder, ended


@pytest.fixture(scope="session")
def exam(made):
    return made[0] / "exam"


def digests(folder):
    """Return the hash of each file by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(path):
    head, *lines = path.read_text().splitlines()
    names = head.split("\t")
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines]


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".ultrahand-")]


# --- what is written ---------------------------------------------------------------------------


def test_a_run_says_where_the_examination_is_and_leaves_nothing_else(made):
    folder, ended = made
    assert ended.out == "exam/exam.toml\n"
    assert sorted(p.name for p in folder.iterdir()) == ["exam", "lesions.toml", "tmp"]
    files = {p.name for p in (folder / "exam").iterdir()}
    assert files == {
        *(f"{name}.h5" for name in NAMES),
        "exam.toml",
        "landmarks.tsv",
        "vials.tsv",
        "truth",
    }


def test_the_exam_file_names_every_series(exam):
    table = tomllib.loads((exam / "exam.toml").read_text())
    assert table["exam"]["subject"] == "healthyscript1"
    assert table["exam"]["hand"] == "right"
    assert [(s["name"], s["kind"], s["file"]) for s in table["series"]] == [
        (name, name, f"{name}.h5") for name in NAMES
    ]
    assert table["series"][-1]["options"] == {"frame-time": 7.5}


def test_the_dynamic_series_is_cut_into_equal_frames(exam):
    """400 spokes of 3 partitions: 8 frames of 50 spokes, none of them short."""
    plan = planned(read_raw(exam / "dynamic.h5"), frame_time_s=7.5)
    (series,) = plan.series
    assert [len(volume.rows) for volume in series.volumes] == [150] * 8
    assert "short last frame" not in {finding.field for finding in plan.findings}


def test_the_truth_says_how_it_was_made(exam):
    found = json.loads((exam / "truth" / "truth.json").read_text())
    assert (found["size"], found["preset"], found["seed"]) == ("tiny", "healthy", 1)
    assert found["script"] == SCRIPT
    assert found["working_assumptions"] == list(ASSUMPTIONS)


def test_the_script_shows_in_the_truth(exam):
    lesions = rows_of(exam / "truth" / "lesions.tsv")
    assert [(row["kind"], row["site"]) for row in lesions] == [
        ("erosion", "mc3_head"),
        ("veins", "digit5"),
    ]
    assert (lesions[1]["state"], lesions[1]["vein_count"]) == ("absent", "0")
    assert (lesions[1]["volume_mm3"], lesions[1]["stenosis_percent"]) == ("n/a", "n/a")
    written = tomllib.loads((exam / "truth" / "lesions.toml").read_text())
    assert written["erosion"] == [
        {"site": "mc3_head", "volume_mm3": 25, "side": "radial", "hand": "right"}
    ]
    assert written["veins"] == [{"digit": 5, "count": 0, "hand": "right"}]


def test_volumes_lie_on_the_grids_of_their_series(exam):
    place = exam / "truth"
    expected = {"labels_fine", "joints_fine"}
    for series in TINY.series:
        expected |= {f"labels_{series.name}", f"joints_{series.name}"}
        expected |= {f"off_resonance_hz_{series.name}", f"transmit_{series.name}"}
        if not series.name.startswith("sodium"):
            expected |= {f"t1_s_{series.name}", f"t2star_s_{series.name}"}
    sodium = ("concentration_mmol_per_l", "t1_s", "short_fraction")
    expected |= {f"{m}_sodium" for m in (*sodium, "t2star_short_s", "t2star_long_s")}
    coils = ("b1", "sodium", "sodium_b1", "dynamic")
    expected |= {f"coils_{s}_part-{p}" for s in coils for p in ("real", "imag")}
    found = {path.name.removesuffix(".nii.gz") for path in place.glob("*.nii.gz")}
    assert found == expected
    for series in TINY.series:
        raw = read_raw(exam / f"{series.name}.h5")
        image = nibabel.load(place / f"labels_{series.name}.nii.gz")
        encoding = raw.header.encodings[0]
        assert image.shape == encoding.recon.matrix
        row = raw.readouts[-1]
        n = np.array(encoding.recon.matrix)
        voxel = np.array(encoding.recon.fov_m) * 1e3 / n
        axes = np.stack([row["read_dir"], row["phase_dir"], row["slice_dir"]]) * [-1, -1, 1]
        np.testing.assert_allclose(image.affine[:3, :3].T, axes * voxel[:, None], atol=1e-4)
        middle = image.affine @ [*(n // 2), 1.0]
        np.testing.assert_allclose(middle[:3], row["position_mm"] * [-1, -1, 1], atol=1e-3)
    for name, n_coils in (("b1", TINY.n_coils), ("sodium", 1), ("dynamic", TINY.n_coils)):
        image = nibabel.load(place / f"coils_{name}_part-real.nii.gz")
        grid = nibabel.load(place / f"labels_{name}.nii.gz").shape
        assert image.shape == grid + ((n_coils,) if n_coils > 1 else ())


# --- what the raw files hold -------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_a_raw_file_holds_its_series(exam, number):
    series = TINY.series[number]
    raw = read_raw(exam / f"{series.name}.h5")
    header, table = raw.header, raw.readouts
    encoding = header.encodings[0]
    noise = has(table["flags"], NOISE_FLAG)
    imaging = table[~noise]
    sodium = series.name.startswith("sodium")
    # the noise scan: ahead, of one dwell time, of all channels
    assert noise[:64].all()
    assert noise.sum() == 64
    assert (table["number_of_samples"][:64] == 256).all()
    np.testing.assert_allclose(table["sample_time_s"], series.sample_time_s, rtol=1e-5)
    assert (table["active_channels"] == (series.n_coils if sodium else TINY.n_coils)).all()
    assert header.relative_noise_bandwidth == 0.8
    # flags, counters, stamps
    last = has(table["flags"], LAST_IN_MEASUREMENT_FLAG)
    assert np.flatnonzero(last).tolist() == [len(table) - 1]
    np.testing.assert_array_equal(table["scan_counter"], 1 + np.arange(len(table)))
    assert header.vendor == "ultrahand"
    assert header.field_strength_t == 7.0
    ratio = header.frequency_hz / (42.577478518e6 * 7.0)
    assert ratio == pytest.approx(0.26451900 if sodium else 1.0, rel=1e-6)
    assert header.user_parameters["nucleus"] == ("23Na" if sodium else "1H")
    # directions: orthonormal, the same everywhere, a little oblique
    frame = np.stack([imaging[n][0] for n in ("read_dir", "phase_dir", "slice_dir")])
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-6)
    assert (imaging["read_dir"] == imaging["read_dir"][0]).all()
    assert 0.9 < frame[0, 2] < 0.99999  # read runs along the fingers
    # echoes and repetition
    assert header.echo_times_s == pytest.approx(series_echoes(series), rel=1e-6)
    ticks_s = imaging["acquisition_time_stamp"].astype(float) * 1e-3
    contrasts = len(series_echoes(series))
    first = ticks_s[imaging["contrast"] == 0]
    tr = series.tr_s if isinstance(series.tr_s, tuple) else (series.tr_s,)
    begun = np.cumsum([0.0, *np.resize(tr, len(first) - 1)])
    np.testing.assert_allclose(first - first[0], begun, atol=1.1e-3)
    assert imaging["contrast"].max() == contrasts - 1
    if number < 4:
        assert encoding.trajectory == "cartesian"
        assert (table["trajectory_dimensions"] == 0).all()
        nx = encoding.recon.matrix[0]
        assert encoding.encoded.matrix[0] == 2 * nx  # oversampled along read
        assert (imaging["number_of_samples"] == 2 * nx).all()
        assert (imaging["center_sample"] == nx).all()
        lines = encoding.recon.matrix[1] * encoding.recon.matrix[2]
        sets = 2 if series.actual_flip else len(series.flips_deg)
        assert len(imaging) == lines * sets * contrasts
        places = np.stack([imaging[n] for n in ("kspace_encode_step_1", "kspace_encode_step_2")])
        assert len(np.unique(places, axis=1).T) == lines
    else:
        assert encoding.trajectory == "radial"
        assert (imaging["trajectory_dimensions"] == (3 if sodium else 2)).all()
        assert header.user_parameters["trajectory_unit"] == "1/m"
        k = raw.source.trajectory(64 + np.arange(3))
        assert 0.9 < np.abs(k).max() * 2 * series.voxel_m < 1.01


def series_echoes(series):
    return getattr(series, "echo_times_s", None) or (series.echo_time_s,)


def test_sets_have_their_flip_angles_and_repetition_times(exam):
    def header(name):
        return read_raw(exam / f"{name}.h5").header

    assert header("t1").flip_angles_deg == pytest.approx((3.0, 8.0, 18.0))
    assert header("t1").repetition_times_s == pytest.approx((10e-3,))
    assert header("b1").flip_angles_deg == pytest.approx((60.0,))
    assert header("b1").repetition_times_s == pytest.approx((20e-3, 100e-3))
    assert header("sodium_b1").flip_angles_deg == pytest.approx((45.0, 90.0))
    assert header("sodium_b1").repetition_times_s == pytest.approx((100e-3,))
    for name, sets in (("t1", 3), ("b1", 2), ("sodium_b1", 2), ("morphology", 1)):
        raw = read_raw(exam / f"{name}.h5")
        assert raw.readouts["set"].max() == sets - 1
        assert header(name).encodings[0].limits["set"].maximum == sets - 1


def test_the_two_repetition_times_of_the_transmit_field_interleave(exam):
    """A line of set 0, after TR1 the same of set 1, after TR2 the next line of set 0."""
    raw = read_raw(exam / "b1.h5")
    table = raw.readouts
    imaging = table[64:]
    line = np.stack([imaging["kspace_encode_step_1"], imaging["kspace_encode_step_2"]], axis=1)
    np.testing.assert_array_equal(imaging["set"], np.arange(len(imaging)) % 2)
    np.testing.assert_array_equal(line[::2], line[1::2])
    assert len(np.unique(line[::2], axis=0)) == len(line) // 2
    steps_ms = np.diff(imaging["acquisition_time_stamp"].astype(int))
    assert set(steps_ms[::2]) == {20}
    assert set(steps_ms[1::2]) == {100}
    ((series, *_), *_) = made = volumes(raw)
    times, _ = frame_times(raw, series)
    assert times.total_s == pytest.approx(0.12 * len(line) / 2, abs=0.1)
    # The order of readouts plays no part in the images: one set after the other gives the same.
    order = np.argsort(np.where(np.arange(len(table)) < 64, -1, table["set"]), kind="stable")
    data = tuple(raw.source.samples(np.array([row]))[:, 0] for row in order)
    apart = replace(raw, readouts=table[order], source=ArraySource(data=data))
    for (_, _, one), (_, _, other) in zip(made, volumes(apart), strict=True):
        np.testing.assert_allclose(one["mag"].values, other["mag"].values, rtol=1e-6)


def test_the_clock_runs_through_the_examination(exam):
    """Each series starts 20 s after the end of the one before."""
    ends_s = 36000.0 - 20.0
    for series in TINY.series:
        table = read_raw(exam / f"{series.name}.h5").readouts
        stamps_s = table["acquisition_time_stamp"][64:].astype(float) * 1e-3
        excited = stamps_s - np.array(series_echoes(series))[table["contrast"][64:]]
        assert excited[0] == pytest.approx(ends_s + 20.0, abs=1.1e-3)
        assert (np.diff(excited) > -1.1e-3).all()
        last_tr = series.tr_s[-1] if isinstance(series.tr_s, tuple) else series.tr_s
        ends_s = excited[-1] + last_tr
    assert 36000.0 + 120.0 < ends_s < 36000.0 + 600.0


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_the_ismrmrd_package_finds_names_and_the_ends_of_runs(exam, number):
    """Firsts and lasts are worked out again, readout by readout, from its own records."""
    series = TINY.series[number]
    with ismrmrd.Dataset(exam / f"{series.name}.h5", mode="r") as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
        every = [file.read_acquisition(n) for n in range(64, file.number_of_acquisitions())]
        assert not file.read_acquisition(0).is_flag_set(ismrmrd.ACQ_FIRST_IN_SLICE)
    measurement, system = header.measurementInformation, header.acquisitionSystemInformation
    assert measurement.protocolName == series.name
    assert measurement.measurementID == f"1-{number + 1}"
    assert (system.systemVendor, system.systemModel) == ("ultrahand", "digital hand")
    nucleus = "23Na" if series.name.startswith("sodium") else "1H"
    n_coils = system.receiverChannels
    assert n_coils == every[0].active_channels
    assert [(label.coilNumber, label.coilName) for label in system.coilLabel] == [
        (n, f"{nucleus}-{n + 1}") for n in range(n_coils)
    ]
    within = {
        "ENCODE_STEP1": ("kspace_encode_step_2", "slice", "contrast", "repetition", "set"),
        "SLICE": ("slice", "repetition", "set"),
        "REPETITION": ("repetition",),
        "SET": ("repetition", "set"),
    }
    for what, names in within.items():
        runs = {}
        for place, one in enumerate(every):
            runs.setdefault(tuple(getattr(one.idx, name) for name in names), []).append(place)
        for end, expected in (("FIRST", min), ("LAST", max)):
            flag = getattr(ismrmrd, f"ACQ_{end}_IN_{what}")
            found = {place for place, one in enumerate(every) if one.is_flag_set(flag)}
            assert found == {expected(run) for run in runs.values()}, (what, end)


KNOWN = {
    "nucleus",
    "method",
    "noise scaling",
    "acquisition_time_stamp",
    "trajectory unit",
    "resolution",
}
"""Findings that every sound file of ours has; each of level info."""


@pytest.mark.parametrize("name", NAMES)
def test_a_raw_file_passes_the_check_without_warning(exam, name, tmp_path):
    ended = ultrahand("check", "--json", exam / f"{name}.h5", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.json["accepted"]
    findings = ended.json["findings"]
    assert {f["level"] for f in findings} == {"info"}
    assert {f["field"] for f in findings} <= KNOWN
    assert ended.json["readouts"]["noise"] == 64


# --- the same again ----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_force_replaces_our_own(exam, tmp_path):
    """On two threads, over an examination made before: all of that goes."""
    (tmp_path / "lesions.toml").write_text(SCRIPT)
    old = tmp_path / "exam"
    (old / "truth").mkdir(parents=True)
    files = ["stale.h5", "truth/truth.json"]
    (old / "truth" / "truth.json").write_text(json.dumps({"files": files}))
    (old / "stale.h5").write_bytes(b"old")
    given = ("exam", "--script", "lesions.toml", "--threads", "2", "--force", "-q")
    ended = simulate(tmp_path, *given, umask=0o077)
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert digests(old) == digests(exam)
    assert not hidden(tmp_path)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (old, *old.rglob("*"))}
    assert modes == {0o600, 0o700}


@pytest.mark.long
@pytest.mark.parametrize("side", ["left", "both"])
def test_other_hands_and_seeds_differ_in_every_file(exam, side, tmp_path):
    ended = simulate(tmp_path, "exam", "--hand", side, "--seed", "2", "--preset", "ssc_severe")
    assert ended.code == 0, ended.err
    one, other = digests(exam), digests(tmp_path / "exam")
    same = {name for name in one if one[name] == other.get(name)}
    assert same <= {"truth/labels.tsv", "truth/joint_labels.tsv"}
    table = tomllib.loads((tmp_path / "exam" / "exam.toml").read_text())
    assert table["exam"]["hand"] == side
    assert table["exam"]["subject"] == "sscsevere2"
    names = {row["name"] for row in rows_of(tmp_path / "exam" / "landmarks.tsv")}
    assert ("l_tip1" in names, "tip1" in names) == (side == "both", side == "left")
    lesions = rows_of(tmp_path / "exam" / "truth" / "lesions.tsv")
    assert {row["side"] for row in lesions} == ({"left", "right"} if side == "both" else {"left"})


@pytest.mark.long
def test_another_seed_alone_differs(exam, tmp_path):
    (tmp_path / "lesions.toml").write_text(SCRIPT)
    ended = simulate(tmp_path, "exam", "--script", "lesions.toml", "--seed", "2", "-q")
    assert ended.code == 0, ended.err
    one, other = digests(exam), digests(tmp_path / "exam")
    assert set(one) == set(other)
    assert {n for n in one if one[n] == other[n]} == {
        "truth/labels.tsv",
        "truth/joint_labels.tsv",
        "truth/lesions.toml",  # what was asked for
    }


# --- refusals ----------------------------------------------------------------------------------


def refused(folder, code, *arguments, **options):
    """Run, and return the single line; nothing was made."""
    before = sorted(p.name for p in folder.iterdir() if p.name != "tmp")
    ended = simulate(folder, *arguments, **options)
    assert ended.code == code, ended.err
    assert ended.out == ""
    assert sorted(p.name for p in folder.iterdir() if p.name != "tmp") == before
    return ended.the_line("")


def test_a_folder_with_files_is_kept_without_force(tmp_path):
    (tmp_path / "exam").mkdir()
    (tmp_path / "exam" / "notes.txt").write_text("mine")
    before = snapshot(tmp_path / "exam")
    assert "use --force" in refused(tmp_path, 2, "exam")
    assert snapshot(tmp_path / "exam") == before


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_force_replaces_nothing_of_others(kind, tmp_path):
    if kind == "folder":
        (tmp_path / "exam").mkdir()
        (tmp_path / "exam" / "notes.txt").write_text("mine")
    else:
        (tmp_path / "exam").write_text("mine")
    before = snapshot(tmp_path)
    assert "holds 1 files of others" in refused(tmp_path, 2, "exam", "--force")
    after = snapshot(tmp_path)
    assert {n: v for n, v in after.items() if n != "tmp"} == before


@pytest.mark.parametrize("name", ["notes.txt", "truth/mine.tsv", "results/report.html"])
def test_force_replaces_no_examination_with_files_of_others(name, exam, tmp_path):
    shutil.copytree(exam, tmp_path / "exam")
    (tmp_path / "exam" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "exam" / name).write_text("mine")
    before = snapshot(tmp_path)
    line = refused(tmp_path, 2, "exam", "--force")
    assert f"holds 1 files of others ({name}" in line
    after = snapshot(tmp_path)
    assert {n: v for n, v in after.items() if n != "tmp"} == before


def test_the_folder_in_which_one_is_cannot_be_made(tmp_path):
    assert "name one to make" in refused(tmp_path, 2, ".")
    assert "name one to make" in refused(tmp_path, 2, "..")


def without_rights():
    """What to run under so that permissions of files hold, for root too."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root without setpriv (util-linux) cannot drop its rights over files")
    return ORDINARY


def test_a_folder_that_cannot_be_read_is_wrong_use(tmp_path):
    program = without_rights()
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o000)
    for name in ("closed", "closed/exam"):
        assert "cannot be read (Permission denied)" in refused(tmp_path, 2, name, program=program)


def test_a_link_is_not_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "exam").symlink_to("elsewhere")
    assert "exam is a link" in refused(tmp_path, 2, "exam")


def test_a_parent_that_is_missing_is_wrong_use(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name in ("none/exam", "loop/exam"):
        assert "does not exist; make it first" in refused(tmp_path, 2, name)


def test_a_parent_without_write_permission_ends_in_code_5(tmp_path):
    program = without_rights()
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o555)
    line = refused(tmp_path, 5, "closed/exam", program=program)
    assert "the folder of exam cannot be written (Permission denied)" in line
    assert "allow writing there or choose another" in line


def test_a_read_only_disk_ends_in_code_5(small_disk, tmp_path):
    disk = small_disk(60)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    line = refused(tmp_path, 5, "disk/exam")
    assert "the folder of exam cannot be written (Read-only file system)" in line


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"[[erosions]]\n", "found unknown key erosions"),
        (b"no TOML", "expected TOML"),
        (b"\xff\xfe", "bytes that are no text"),
        (
            b'[[erosion]]\nsite = "dp5_head"\nvolume_mm3 = 120\n',
            "expected a hole that leaves marrow",
        ),
        (
            b'[[erosion]]\nsite = "lunate"\nvolume_mm3 = 1' + b"0" * 400 + b"\n",
            "expected a number from 0.5 to 120",
        ),
        (b'[[veins]]\ndigit = 2\ncount = 0\nhand = "left"\n', "choose --hand left or both"),
        (None, "No such file"),
    ],
    ids=["unknown key", "no TOML", "no text", "too large", "huge", "other hand", "no file"],
)
def test_a_bad_script_is_refused(script, words, tmp_path):
    if script is not None:
        (tmp_path / "lesions.toml").write_bytes(script)
    line = refused(tmp_path, 3, "exam", "--script", "lesions.toml")
    assert words in line
    assert line.startswith("ultrahand: lesions.toml: ")


def test_a_script_of_an_editor_that_marks_its_text_is_read(tmp_path):
    (tmp_path / "lesions.toml").write_bytes(b"\xef\xbb\xbf" + SCRIPT.encode())
    assert simulate_module._script(str(tmp_path / "lesions.toml")) == SCRIPT


def test_entries_that_are_left_out_are_told(caplog):
    entry = '[[veins]]\ndigit = {}\ncount = 0\nhand = "{}"\n'
    simulate_module._check_hands(entry.format(2, "left") + entry.format(3, "right"), "both")
    assert not caplog.records
    simulate_module._check_hands(entry.format(2, "left") + entry.format(3, "right"), "right")
    (record,) = caplog.records
    assert "1 entries of the script are for the other hand" in record.getMessage()
    assert "[[veins]] 1" in record.getMessage()


@pytest.mark.parametrize(
    "arguments",
    [("exam", "--preset", "ill"), ("exam", "--hand", "upper"), ("exam", "--seed", "-1")],
)
def test_choices_that_are_none_are_wrong_use(arguments, tmp_path):
    assert "--help" in refused(tmp_path, 2, *arguments)


# --- ends half way -----------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Return what mounts a file system of so many pages."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mounted(pages):
        mount = ["mount", "-t", "tmpfs", "-o", f"size={4096 * pages}", "tmpfs", str(disk)]
        done = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
        if not done or done.returncode:
            pytest.skip("no right to mount a small file system")
        return disk

    yield mounted
    subprocess.run(["umount", str(disk)], check=False, capture_output=True)


@pytest.mark.parametrize("pages", [pytest.param(60, marks=pytest.mark.long), 600])
def test_a_full_disk_ends_in_code_5_and_leaves_nothing(pages, small_disk, tmp_path):
    """Also where there is room for the first raw file: all that is to come is counted."""
    disk = small_disk(pages)
    ended = simulate(tmp_path, "disk/exam", "-q")
    assert ended.code == 5, ended.err
    line = ended.the_line("")
    needed, free = re.search(
        r"the disk is full: (\d+) MB are needed at most, (.+?) are", line
    ).groups()
    assert int(needed) > 20
    assert free.endswith(("kB", "2 MB"))
    assert not list(disk.iterdir())


def test_what_is_needed_is_told_before_it_is_made(exam):
    """Never less than what is written, and not much more."""
    subject = make_subject(1, "healthy", "right", SCRIPT)
    setting = Setting(subject=subject, fields=None, protocol=TINY, seed=1, threads=1)
    planned = plan_of(setting)
    for one in planned:
        size = (exam / f"{one.series.name}.h5").stat().st_size
        assert size <= one.file_bytes < 1.5 * size
    truth = sum(path.stat().st_size for path in (exam / "truth").iterdir())
    rest = [exam / name for name in ("exam.toml", "landmarks.tsv", "vials.tsv")]
    truth += sum(path.stat().st_size for path in rest)
    assert truth <= truth_bytes(TINY, planned)


def test_each_file_is_looked_at_again_before_it_is_written(monkeypatch, tmp_path):
    """Others may have filled the disk meanwhile."""
    full = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(ResourceError, match=r"\d MB are needed at most, 1 MB are free"):
        simulate_module._measure(hands.setting(), tmp_path, show=False)
    assert not list(tmp_path.iterdir())


def test_a_defect_of_the_lesions_table_shows_before_anything_is_measured(monkeypatch, tmp_path):
    def broken(_):
        raise ValueError("no piece of it is left")

    monkeypatch.setattr(simulate_module, "lesion_rows", broken)
    monkeypatch.setattr(simulate_module, "_measure", lambda *_, **__: pytest.fail("measured"))
    options = argparse.Namespace(
        seed=1, preset="healthy", hand="right", script=None, size="tiny", threads=1, quiet=True
    )
    with pytest.raises(ValueError, match="no piece"):
        simulate_module._make(options, None, tmp_path)


def test_files_that_others_write_meanwhile_do_not_cost_the_work(exam, tmp_path):
    (tmp_path / "lesions.toml").write_text(SCRIPT)
    given = ("exam", "--size", "tiny", "--script", "lesions.toml", "--force", "-q")
    command = [sys.executable, "-m", "ultrahand", "simulate", *given]
    (tmp_path / "exam").mkdir()
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".ultrahand-*/morphology.h5")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    (tmp_path / "exam" / "notes.txt").write_text("mine")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert b"the new examination is complete and lies beside it in exam.new\n" in said
    assert digests(tmp_path / "exam.new") == digests(exam)
    assert [path.name for path in (tmp_path / "exam").iterdir()] == ["notes.txt"]
    assert not hidden(tmp_path)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_stop_during_writing_leaves_nothing(number, tmp_path):
    """Sent when the first raw file is there and the next is being made."""
    command = [sys.executable, "-m", "ultrahand", "simulate", "exam", "--size", "tiny", "-q"]
    before = {n: signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".ultrahand-*/morphology.h5")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == b"ultrahand: interrupted; nothing was written\n"
    assert not list(tmp_path.iterdir())
