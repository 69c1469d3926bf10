"""Finished work: what is done, stale or absent, and what a death at any moment leaves."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ultrahand.errors import InputError, ResourceError, UsageError
from ultrahand.io import durable, work_store
from ultrahand.io.work_record import FORMAT, Output, Record, stage_key
from ultrahand.io.work_store import HIDDEN, State, WorkStore

OUTPUTS = {"sub-01/anat/a.nii.gz": b"image", "sub-01/anat/a.json": b"{}"}
FACTS = {"n_findings": 3}


def opened(folder, *, inputs=(), force=False, wait_s=0.0):
    return WorkStore(folder, inputs=inputs, force=force, wait_s=wait_s)


def make(store, stage="T1", key="k1", outputs=OUTPUTS):
    with store.work(stage) as place:
        places = {}
        for path, data in outputs.items():
            places[path] = place / Path(path).name
            places[path].write_bytes(data)
        return store.finish(stage, key, places, FACTS)


def files(folder):
    """Every file below a folder but the lock, with its bytes."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.name != "lock"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


# --- keys -----------------------------------------------------------------------------------------

GIVEN = {"inputs": {"raw": "ab"}, "options": {"method": "fft", "n": 1}, "version": "1.0"}


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"raw": "ac"}},
        {"inputs": {"raw": "ab", "noise": "ab"}},
        {"inputs": {"noise": "ab"}},
        {"options": {"method": "fft"}},
        {"options": {"method": "fft", "n": "1"}},
        {"options": {"method": "fft", "n": None}},
        {"version": "1.1"},
    ],
)
def test_a_key_changes_with_everything_it_stands_for(change):
    assert stage_key("T1", **(GIVEN | change)) != stage_key("T1", **GIVEN)
    assert stage_key("T2", **GIVEN) != stage_key("T1", **GIVEN)


def test_a_key_does_not_depend_on_the_order_of_options():
    other = GIVEN | {"options": {"n": 1, "method": "fft"}}
    assert stage_key("T1", **other) == stage_key("T1", **GIVEN)


# --- done, stale, absent --------------------------------------------------------------------------


def test_a_stage_that_was_never_made_is_absent(folder):
    with opened(folder) as store:
        assert store.lookup("T1", "k1") == (State.ABSENT, None)
        assert store.stages() == ()


def test_what_was_finished_is_done_for_the_next_run(folder):
    with opened(folder) as store:
        make(store)
    with opened(folder) as store:
        state, record = store.lookup("T1", "k1", by_hash=True)
        assert state is State.DONE
        assert [output.path for output in record.outputs] == list(OUTPUTS)
        assert dict(record.facts) == FACTS
        assert store.stages() == ("T1",)
        assert store.owned() == set(OUTPUTS)
    found = files(folder)
    assert {path: found[path] for path in OUTPUTS} == OUTPUTS


def test_another_key_is_stale(folder):
    with opened(folder) as store:
        make(store)
        assert store.lookup("T1", "k2")[0] is State.STALE


@pytest.mark.parametrize("by_hash", [False, True])
def test_touched_outputs_are_done_and_missing_or_longer_ones_are_stale(folder, by_hash):
    with opened(folder) as store:
        make(store)
        path = folder / next(iter(OUTPUTS))
        os.utime(path, (1, 1))
        assert store.lookup("T1", "k1", by_hash=by_hash)[0] is State.DONE
        path.write_bytes(b"image and more")
        assert store.lookup("T1", "k1", by_hash=by_hash)[0] is State.STALE
        path.unlink()
        assert store.lookup("T1", "k1", by_hash=by_hash)[0] is State.STALE


def test_bytes_that_changed_in_place_are_found_by_their_time(folder):
    with opened(folder) as store:
        make(store)
        path = folder / next(iter(OUTPUTS))
        path.write_bytes(b"image")  # the same again: later, but not other bytes
        assert store.lookup("T1", "k1")[0] is State.DONE
        path.write_bytes(b"imagE")
        assert store.lookup("T1", "k1")[0] is State.STALE


def test_only_a_hash_finds_bytes_that_changed_without_their_time(folder):
    with opened(folder) as store:
        make(store)
        path = folder / next(iter(OUTPUTS))
        path.write_bytes(b"imagE")
        os.utime(path, (1, 1))
        assert store.lookup("T1", "k1")[0] is State.DONE
        assert store.lookup("T1", "k1", by_hash=True)[0] is State.STALE


def test_finishing_again_leaves_no_output_of_before(folder):
    with opened(folder) as store:
        make(store)
        make(store, key="k2", outputs={"sub-01/anat/b.nii.gz": b"new"})
        assert store.lookup("T1", "k2")[0] is State.DONE
    assert [path for path in files(folder) if not path.startswith(HIDDEN)] == [
        "sub-01/anat/b.nii.gz"
    ]


def test_withdrawing_takes_outputs_record_and_empty_folders_away(folder):
    with opened(folder) as store:
        make(store)
        make(store, stage="T2", outputs={"sub-01/fmap/b.nii.gz": b"kept"})
        store.withdraw("T1")
        assert store.lookup("T1", "k1") == (State.ABSENT, None)
        assert store.lookup("T2", "k1")[0] is State.DONE
    assert not (folder / "sub-01" / "anat").exists()
    assert (folder / "sub-01" / "fmap" / "b.nii.gz").exists()


def test_a_file_of_others_in_a_folder_stays_when_a_stage_is_withdrawn(folder):
    with opened(folder) as store:
        make(store)
        (folder / "sub-01" / "anat" / "mine.txt").write_bytes(b"mine")
        store.withdraw("T1")
    assert (folder / "sub-01" / "anat" / "mine.txt").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b'{"format": 1}',
        json.dumps({"format": FORMAT + 1}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_damaged_record_is_as_good_as_none(damage, folder):
    with opened(folder) as store:
        make(store)
        (folder / HIDDEN / "records" / "T1.json").write_bytes(damage)
        assert store.lookup("T1", "k1") == (State.ABSENT, None)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../outside", ""])
def test_a_record_that_leads_out_of_the_folder_is_none(path, folder):
    outside = folder.parent / "outside"
    outside.write_bytes(b"mine")
    output = Output(path=path, n_bytes=4, sha256="")
    record = Record(stage="T1", key="k1", done=True, outputs=(output,))
    with opened(folder) as store:
        (folder / HIDDEN / "records" / "T1.json").write_text(record.as_text())
        assert store.lookup("T1", "k1") == (State.ABSENT, None)
        store.withdraw("T1")
    assert outside.read_bytes() == b"mine"


def test_a_record_of_another_stage_under_this_name_is_none(folder):
    with opened(folder) as store:
        make(store)
        records = folder / HIDDEN / "records"
        shutil.copy(records / "T1.json", records / "T2.json")
        assert store.lookup("T2", "k1") == (State.ABSENT, None)


# --- what is never overwritten --------------------------------------------------------------------


def test_a_file_of_others_is_kept_without_force(folder):
    place = folder / next(iter(OUTPUTS))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    with opened(folder) as store, pytest.raises(UsageError, match="not of this examination"):
        make(store)
    assert place.read_bytes() == b"mine"
    with opened(folder, force=True) as store:
        make(store)
    assert place.read_bytes() == b"image"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_an_input_is_never_replaced_or_removed(force, link, folder, tmp_path):
    raw = tmp_path / "raw.h5"
    raw.write_bytes(b"raw")
    place = folder / next(iter(OUTPUTS))
    place.parent.mkdir(parents=True)
    getattr(place, link)(raw)
    with opened(folder, inputs=[raw], force=force) as store:
        with pytest.raises(InputError, match="is an input"):
            make(store)
        with pytest.raises(InputError, match="is an input"):
            store.put_text(next(iter(OUTPUTS)), "text")
    assert place.samefile(raw)
    assert raw.read_bytes() == b"raw"


def test_an_output_that_became_an_input_is_not_withdrawn(folder):
    with opened(folder) as store:
        make(store)
    kept = folder / list(OUTPUTS)[1]
    with opened(folder, inputs=[kept]) as store:
        with pytest.raises(InputError, match="is an input"):
            store.withdraw("T1")
        assert store.lookup("T1", "k1")[0] is State.DONE


# --- one run at a time ----------------------------------------------------------------------------


def test_a_second_run_is_refused_and_the_first_goes_on(folder):
    with opened(folder) as store:
        with pytest.raises(UsageError, match="out is in use by another run") as caught:
            opened(folder).__enter__()
        assert caught.value.exit_code == 2
        make(store)
    with opened(folder) as store:
        assert store.lookup("T1", "k1")[0] is State.DONE


def test_a_child_that_outlives_its_run_keeps_the_lock_until_it_ends(folder):
    read, write = os.pipe()
    with opened(folder):
        child = os.fork()
        if child == 0:
            os.read(read, 1)
            os._exit(0)
    with pytest.raises(UsageError, match="in use"):
        opened(folder).__enter__()
    os.write(write, b"x")
    with opened(folder, wait_s=10.0) as store:
        make(store)
    os.waitpid(child, 0)


def test_what_dead_runs_left_is_swept(folder):
    with opened(folder) as store:
        make(store)
    left = folder / HIDDEN / "work-1-abcd" / "T2"
    left.mkdir(parents=True)
    (left / "half.nii.gz").write_bytes(b"half")
    before = {path: data for path, data in files(folder).items() if "half" not in path}
    with opened(folder):
        assert not left.exists()
    assert files(folder) == before


# --- dying ----------------------------------------------------------------------------------------

DYING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_work_store import OUTPUTS, make, opened
from ultrahand.io import durable, work_store

left = int(sys.argv[2])

def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

for name in ("put", "sync_file", "make_folder"):
    setattr(work_store, name, counted(getattr(work_store, name)))
for name in ("unlink", "rmdir"):
    setattr(Path, name, counted(getattr(Path, name)))
with opened(Path(sys.argv[1])) as store:
    make(store, key="k2", outputs={path + "2": data for path, data in OUTPUTS.items()})
"""
"""Finishes a stage and kills itself before its n-th step on the disk."""


def die(folder, step):
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", DYING, str(folder), str(step), here]
    return subprocess.run(command, check=False).returncode


def test_a_death_before_any_step_leaves_what_the_next_run_makes_whole(tmp_path):
    """The steps: every rename, every sync, every removal."""
    undisturbed = tmp_path / "undisturbed"
    with opened(undisturbed) as store:
        make(store)
    assert die(undisturbed, 10**6) == 0
    whole = files(undisturbed)
    assert sorted(path for path in whole if not path.startswith(HIDDEN)) == sorted(
        path + "2" for path in OUTPUTS
    )
    step = 0
    while True:
        folder = tmp_path / f"step{step}"
        with opened(folder) as store:
            make(store)
        code = die(folder, step)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        with opened(folder) as store:
            state, _ = store.lookup("T1", "k2", by_hash=True)
            if state is not State.DONE:
                store.withdraw("T1")
                make(store, key="k2", outputs={path + "2": data for path, data in OUTPUTS.items()})
        assert files(folder) == whole, step
        step += 1
    assert step >= 12  # or nothing was counted


@pytest.mark.parametrize("function", ["put", "sync_file"])
def test_a_full_disk_is_said_and_the_stage_is_not_done(function, folder, monkeypatch):
    with opened(folder) as store:
        make(store, stage="T0", outputs={"sub-01/anat/z.nii.gz": b"earlier"})

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(work_store, function, full)
        with pytest.raises(ResourceError, match="the disk is full") as caught:
            make(store)
        assert caught.value.exit_code == 5
        monkeypatch.undo()
        assert store.lookup("T1", "k1")[0] is not State.DONE
        assert store.lookup("T0", "k1", by_hash=True)[0] is State.DONE
        make(store)
        assert store.lookup("T1", "k1", by_hash=True)[0] is State.DONE


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, ResourceError),
        (errno.EROFS, ResourceError),
        (errno.EPERM, ResourceError),
        (errno.ENAMETOOLONG, UsageError),
    ],
)
def test_a_folder_that_cannot_be_written_is_said(number, kind, folder):
    with pytest.raises(kind, match="out cannot be written"), durable.writing_in(folder):
        raise OSError(number, os.strerror(number))


def test_the_log_is_never_replaced(folder, tmp_path):
    log = tmp_path / "exam.log"
    log.write_text("log")
    folder.mkdir(exist_ok=True)
    (folder / "exam.tsv").hardlink_to(log)
    with (
        WorkStore(folder, inputs=(), kept=[log], force=True) as store,
        pytest.raises(UsageError, match="is the log"),
    ):
        store.put_text("exam.tsv", "text")
    assert log.read_text() == "log"


def test_a_small_file_is_replaced_whole(folder):
    with opened(folder) as store:
        store.put_text("exam.tsv", "old\n")
        store.put_text("exam.tsv", "new\n")
    assert files(folder) == {"exam.tsv": b"new\n"}


@pytest.mark.parametrize("stage", ["", "a/b", "..", "a b"])
def test_a_stage_name_is_a_file_name(stage, folder):
    with opened(folder) as store, pytest.raises(ValueError, match="name of a stage"):
        store.lookup(stage, "k1")
