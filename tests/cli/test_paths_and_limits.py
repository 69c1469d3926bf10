"""Outputs, options and surroundings: where files lie, what may be overwritten, what is missing."""

import json
import os
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from bad_inputs import npy
from commands import LIMIT_S, snapshot, ultrahand

from damage import cartesian, radial, write
from ultrahand.io.write_ismrmrd import write_hdf5
from ultrahand.phantoms import CartesianScan, five_fingers, simulate, smooth_coils

# Root reads and writes whatever the permissions say, unless these rights are dropped.
ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def raw(tmp_path):
    """A sound raw file in a folder of its own."""
    folder = tmp_path / "given"
    folder.mkdir()
    return write(folder / "raw.h5", cartesian())


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path):
    """Run a command in limits."""

    def of(*arguments, **options):
        ended = ultrahand(*arguments, folder=tmp_path, **options)
        ended.assert_within_limits()
        return ended

    return of


@pytest.fixture
def ordinary():
    """Return what runs a command without root's rights over files."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root without setpriv (util-linux) cannot drop its rights over files")
    return ORDINARY


def assert_wrong_use(ended, *words):
    assert ended.code == 2, ended.err
    line = ended.the_line("")
    for word in words:
        assert word in line


# --- which files are never overwritten -----------------------------------------------------------


def test_an_existing_image_is_kept_without_force(raw, outputs, run):
    (outputs / "image.nii.gz").write_bytes(b"mine")
    ended = run("recon", raw, "-o", outputs / "image.nii.gz")
    assert_wrong_use(ended, "image.nii.gz exists", "--force")
    assert snapshot(outputs).keys() == {"image.nii.gz"}
    assert (outputs / "image.nii.gz").read_bytes() == b"mine"


def test_an_existing_sidecar_is_kept_without_force(raw, outputs, run):
    (outputs / "image.json").write_bytes(b"mine")
    assert_wrong_use(run("recon", raw, "-o", outputs / "image.nii.gz"), "image.json exists")
    assert snapshot(outputs).keys() == {"image.json"}


def test_force_replaces_what_is_there(raw, outputs, run):
    (outputs / "image.nii.gz").write_bytes(b"mine")
    assert run("recon", raw, "-o", outputs / "image.nii.gz", "--force").code == 0
    assert nibabel.load(outputs / "image.nii.gz").shape == (16, 24, 1)


def same(path):
    return path


def roundabout(path):
    return path.parent / "beside" / ".." / path.name


def soft_link(path):
    place = path.with_name("soft.nii.gz")
    place.symlink_to(path.name)
    return place


def hard_link(path):
    place = path.with_name("hard.nii.gz")
    place.hardlink_to(path)
    return place


@pytest.mark.parametrize("way", [same, roundabout, soft_link, hard_link])
@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
def test_the_input_is_never_overwritten(way, force, raw, run):
    (raw.parent / "beside").mkdir()
    path = raw.rename(raw.with_name("raw.nii.gz"))  # files are told by content
    place = way(path)
    before = snapshot(raw.parent)
    assert_wrong_use(run("recon", path, "-o", place, *force), "is an input", "never overwritten")
    assert snapshot(raw.parent) == before


@pytest.mark.parametrize("role", ["--noise", "--trajectory"])
def test_another_input_is_never_overwritten(role, raw, run):
    raw.unlink()
    write(raw, radial())
    other = raw.with_name("other.json")
    if role == "--noise":
        write(other, radial())
    else:
        made = radial()
        other.write_bytes(npy(np.stack([made.traj[i].reshape(16, 2) for i in made.imaging])))
    before = snapshot(raw.parent)
    ended = run("recon", raw, role, other, "-o", raw.with_name("other.nii.gz"), "--force")
    assert_wrong_use(ended, "other.json is an input")
    assert snapshot(raw.parent) == before


def test_the_log_is_never_an_input(raw, run):
    before = snapshot(raw.parent)
    assert_wrong_use(run("check", raw, "--log", raw), "--log raw.h5", "never overwritten")
    assert snapshot(raw.parent) == before


def test_the_log_takes_the_messages(raw, tmp_path, run):
    assert run("check", raw, "--log", tmp_path / "words.log").code == 0
    raw.write_bytes(b"")
    run("recon", raw, "-o", tmp_path / "image.nii.gz", "--log", tmp_path / "words.log")
    assert (tmp_path / "words.log").exists()


@pytest.mark.parametrize("place", ["", "none/words.log"], ids=["a folder", "in no folder"])
def test_a_log_that_cannot_be_written_is_wrong_use(place, raw, tmp_path, run):
    assert_wrong_use(run("check", raw, "--log", tmp_path / place), "--log")


# --- where outputs cannot go ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("none/image.nii.gz", "does not exist"),
        (".", "ends in .nii.gz"),
        ("image.png", "ends in .nii.gz"),
        ("folder.nii.gz", "is a folder"),
        ("i" * 250 + ".nii.gz", "too long"),
        ("circle/image.nii.gz", "cannot be written"),
    ],
    ids=["no folder", "a folder", "a suffix", "a folder of that name", "too long", "a circle"],
)
def test_an_output_that_cannot_be_is_wrong_use(place, words, raw, outputs, run):
    (outputs / "folder.nii.gz").mkdir()
    (outputs / "circle").symlink_to("circle")
    before = snapshot(outputs)
    assert_wrong_use(run("recon", raw, "-o", outputs / place), words)
    assert snapshot(outputs) == before


def test_an_output_inside_the_input_is_wrong_use(raw, run):
    assert_wrong_use(run("recon", raw, "-o", raw / "image.nii.gz"), "cannot be written")


def test_a_folder_without_write_permission_is_wrong_use(raw, outputs, run, ordinary):
    outputs.chmod(0o555)
    ended = run("recon", raw, "-o", outputs / "image.nii.gz", program=ordinary)
    assert_wrong_use(ended, "folder of image.nii.gz cannot be written")


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one page."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4096", "tmpfs", str(folder)]
    made = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
    if not made or made.returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_in_code_5_and_leaves_nothing(raw, tiny_disk, run):
    ended = run("recon", raw, "-o", tiny_disk / "image.nii.gz")
    assert ended.code == 5, ended.err
    assert "the disk is full" in ended.the_line("")
    assert not list(tiny_disk.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_results_that_cannot_be_printed_end_in_code_5(raw):
    command = [sys.executable, "-m", "ultrahand", "check", "--json", str(raw)]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 5
    assert ended.stderr.count(b"\n") == 1


def test_a_reader_that_stops_early_is_no_error(raw):
    command = f"{sys.executable} -m ultrahand check --json {raw} | head -c 1"
    ended = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert ended.stderr == b""


# --- files that are hard to read ------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "recon"])
def test_a_file_without_read_permission_is_refused(command, raw, outputs, run, ordinary):
    raw.chmod(0)
    output = ("-o", outputs / "image.nii.gz") if command == "recon" else ()
    ended = run(command, raw, *output, program=ordinary)
    assert ended.code == 3
    assert "Permission denied" in ended.the_line("raw.h5")
    assert "check its permissions" in ended.err


def test_a_file_in_a_folder_without_write_permission_is_read(raw, outputs, run, ordinary):
    raw.chmod(0o444)
    raw.parent.chmod(0o555)
    ended = run("recon", raw, "-o", outputs / "image.nii.gz", program=ordinary)
    assert ended.code == 0, ended.err


@contextmanager
def held_open(path):
    with h5py.File(path, "r+") as file:
        yield file


def test_a_file_that_is_being_written_is_refused_with_advice(raw, run):
    with held_open(raw):
        ended = run("check", raw)
    assert ended.code == 3
    assert "locked by a writer" in ended.the_line("raw.h5")
    assert "wait until" in ended.err


def test_a_file_that_its_writer_never_closed_is_refused_with_advice(raw, run):
    with h5py.File(raw.with_name("new.h5"), "w", libver="latest") as file:
        file.create_group("dataset")
        file.flush()
        shutil.copy(raw.with_name("new.h5"), raw)  # as after a crash of the writer
    ended = run("check", raw)
    assert ended.code == 3
    assert "never closed" in ended.the_line("raw.h5")


@pytest.mark.parametrize("role", ["--noise", "--trajectory"])
def test_a_pipe_as_another_input_does_not_hang(role, raw, run):
    pipe = raw.with_name("pipe")
    os.mkfifo(pipe)
    ended = run("check", raw, role, pipe)
    assert ended.code == 3
    assert "a pipe, device or socket" in ended.the_line("pipe")


def test_a_name_with_a_leading_dash_stands_after_two_dashes(raw, tmp_path, run):
    raw.rename(tmp_path / "-raw.h5")
    assert run("check", "--", "-raw.h5").code == 0


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", ["0", "-1", "many", "1.5"])
def test_threads_that_cannot_be_are_wrong_use(count, raw, outputs, run):
    ended = run("recon", raw, "-o", outputs / "image.nii.gz", "--threads", count)
    assert_wrong_use(ended, "--threads", count, "from 1 on")
    assert not list(outputs.iterdir())


def test_more_threads_than_processors_are_all_processors(raw, outputs, run):
    ended = run("recon", raw, "-o", outputs / "image.nii.gz", "--threads", "10000")
    assert ended.code == 0
    sidecar = json.loads((outputs / "image.json").read_text())
    assert sidecar["Provenance"]["Threads"] == len(os.sched_getaffinity(0))


def test_too_little_memory_ends_in_code_5_with_what_is_needed(raw, outputs, run):
    ended = run("recon", raw, "-o", outputs / "image.nii.gz", "--max-memory", "10MB")
    assert ended.code == 5
    line = ended.the_line("")
    for word in ("--max-memory 10 MB", "are needed", "grid", "blocks", "image", "program"):
        assert word in line
    assert not list(outputs.iterdir())


def test_work_that_goes_in_slabs_stays_within_the_memory_it_was_given(outputs, run, rng):
    fov = (0.1, 0.1, 0.1)
    path = outputs / "raw.h5"
    scan = CartesianScan(matrix=(128, 128, 64), fov_m=fov, dimension=3)
    write_hdf5(simulate(five_fingers(fov), smooth_coils(8, fov), scan, rng), path)
    limit = 430_000_000
    images = []
    for options in ((), ("--max-memory", str(limit), "--threads", "2")):
        out = outputs / "image.nii.gz"
        ended = run("recon", path, "-o", out, "--force", *options)
        assert ended.code == 0
        images.append(out.read_bytes())
    assert ended.peak_bytes < limit
    assert images[0] == images[1]


def test_noise_of_another_group_of_the_file_is_used(raw, outputs, run):
    made = cartesian()
    write(raw.with_name("noise.h5"), made)
    with h5py.File(raw.with_name("noise.h5")) as noise, h5py.File(raw, "r+") as file:
        noise.copy("dataset", file, "prescan")
    ended = run("recon", raw, "-o", outputs / "a.nii.gz")
    assert ended.code == 2
    assert "--group" in ended.the_line("")
    group = ("--group", "dataset")
    for name, options in (("a", ()), ("b", ("--noise", f"{raw}:prescan"))):
        assert run("recon", raw, "-o", outputs / f"{name}.nii.gz", *group, *options).code == 0
    first, second = (json.loads((outputs / f"{n}.json").read_text()) for n in "ab")
    assert first["Provenance"]["Options"]["group"] == "dataset"
    assert second["Provenance"]["Options"]["noise"] == "file"
    assert (outputs / "a.nii.gz").read_bytes() == (outputs / "b.nii.gz").read_bytes()


def test_options_stand_in_the_sidecar_as_they_were_resolved(raw, outputs, run):
    assert run("recon", raw, "-o", outputs / "a.nii.gz").code == 0
    options = json.loads((outputs / "a.json").read_text())["Provenance"]["Options"]
    assert "auto" not in map(str, options.values())
    assert options["method"] == "fft"
    assert options["conjugate"] is False
    assert options["group"] == "dataset"


def test_a_refused_file_is_still_counted(raw, run):
    with h5py.File(raw, "r+") as file:
        rows = file["dataset/data"][:]
        rows["head"]["idx"]["kspace_encode_step_1"][-1] = 99
        file["dataset/data"][:] = rows
    ended = run("check", raw, "--json")
    assert ended.code == 3
    assert ended.json["readouts"] == {"imaging": 24, "noise": 8}
    levels = [finding["level"] for finding in ended.json["findings"]]
    assert levels[-1] == "error"
    assert "info" in levels


def test_images_of_an_earlier_layout_are_said(raw, outputs, run):
    stale = ("image_echo-1_rep-2.nii.gz", "image_rep-1_stderr.nii.gz", "image.nii")
    others = ("image_echo-one.nii.gz", "images.nii.gz", "image_echo-1.mgz")
    for name in (*stale, *others):
        (outputs / name).touch()
    ended = run("recon", raw, "-o", outputs / "image.nii.gz")
    assert ended.code == 0
    line = ended.the_line("earlier run")
    assert all(name in line for name in stale)
    assert not any(name in line for name in others)


def test_a_forced_run_removes_no_image_of_another_suffix_but_says_it(raw, outputs, run):
    """It may be of another maker; only the sidecar's name is shared."""
    assert run("recon", raw, "-o", outputs / "image.nii.gz").code == 0
    old = (outputs / "image.nii.gz").read_bytes()
    ended = run("recon", raw, "-o", outputs / "image.nii", "--force")
    assert ended.code == 0
    assert "image.nii.gz" in ended.the_line("stand beside")
    assert (outputs / "image.nii.gz").read_bytes() == old


def test_a_folder_that_cannot_be_listed_is_no_failure(raw, outputs, tmp_path, ordinary):
    outputs.chmod(0o300)
    try:
        given = ("recon", raw, "-o", outputs / "image.nii.gz")
        ended = ultrahand(*given, folder=tmp_path, program=ordinary)
    finally:
        outputs.chmod(0o700)
    assert ended.code == 0, ended.err
    assert len(list(outputs.iterdir())) == 3


def test_readouts_that_zeros_make_long_stay_within_the_memory(outputs, run, rng):
    """Blocks are as large as they become: 16 times what was measured."""
    fov = (0.1, 0.1, 0.1)
    scan = CartesianScan(matrix=(64, 48, 32), fov_m=fov, dimension=3)
    raw = simulate(five_fingers(fov), smooth_coils(16, fov), scan, rng)
    (encoding,) = raw.header.encodings
    fine = replace(encoding, recon=replace(encoding.recon, matrix=(1024, 48, 32)))
    path = outputs / "raw.h5"
    write_hdf5(replace(raw, header=replace(raw.header, encodings=(fine,))), path)
    limit = 420_000_000
    given = ("recon", path, "-o", outputs / "image.nii", "--max-memory", str(limit))
    ended = run(*given, "--threads", "2")
    assert ended.code == 0, ended.err
    assert ended.peak_bytes < limit


def test_the_log_is_never_an_output(raw, outputs, run):
    image = outputs / "image.nii.gz"
    for log in (image, outputs / "image.json"):
        ended = run("recon", raw, "-o", image, "--log", log, "--force")
        assert_wrong_use(ended, "the log")


@pytest.mark.parametrize("size", ["0", "-1", "lots", "1 PB"])
def test_memory_that_is_no_size_is_wrong_use(size, raw, outputs, run):
    ended = run("recon", raw, "-o", outputs / "image.nii.gz", f"--max-memory={size}")
    assert_wrong_use(ended, "--max-memory")


@pytest.mark.parametrize(
    "arguments",
    [(), ("paint",), ("recon",), ("recon", "raw.h5"), ("check", "raw.h5", "--nonsense")],
    ids=["nothing", "no such command", "no file", "no output", "no such option"],
)
def test_wrong_use_is_one_line(arguments, run):
    assert_wrong_use(run(*arguments), "--help")


# --- surroundings ---------------------------------------------------------------------------------


def test_no_home_and_no_cache_cost_only_the_compilation(raw, outputs, tmp_path):
    nowhere = {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/proc/none"}
    ended = ultrahand(
        *("recon", raw, "-o", outputs / "image.nii.gz"), folder=tmp_path, environment=nowhere
    )
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert ended.cpu_seconds < 4 * LIMIT_S  # one kernel is compiled


@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C"}, {"PYTHONOPTIMIZE": "2"}, {"TZ": "Odd/Where"}, {"PYTHONUTF8": "0"}],
    ids=lambda environment: next(iter(environment)),
)
def test_odd_environments_change_nothing(environment, raw, outputs, tmp_path):
    odd = raw.rename(raw.with_name("rèchte \N{RAISED HAND}.h5"))
    for name, surroundings in (("ïmage", environment), ("plain", {})):
        output = outputs / f"{name}.nii.gz"
        ended = ultrahand("recon", odd, "-o", output, folder=tmp_path, environment=surroundings)
        assert ended.code == 0, ended.err
    images = [(outputs / f"{name}.nii.gz").read_bytes() for name in ("ïmage", "plain")]
    assert images[0] == images[1]


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"PYTHONOPTIMIZE": "2"}])
def test_refusals_stay_refusals_in_odd_environments(environment, raw, run):
    raw.write_bytes(raw.read_bytes()[:3000])
    ended = run("check", raw, environment=environment)
    assert ended.code == 3
    ended.the_line("raw.h5")


def test_outputs_obey_the_umask(raw, outputs, run):
    ended = run("recon", raw, "-o", outputs / "image.nii.gz", umask=0o077)
    assert ended.code == 0
    modes = {stat.S_IMODE(path.stat().st_mode) for path in outputs.iterdir()}
    assert modes == {0o600}


def test_two_runs_give_the_same_bytes(raw, outputs, run):
    for name in ("one", "two"):
        assert run("recon", raw, "-o", outputs / f"{name}.nii.gz").code == 0
    for ending in (".nii.gz", "_stderr.nii.gz"):
        one, two = ((outputs / f"{n}{ending}").read_bytes() for n in ("one", "two"))
        assert one == two
