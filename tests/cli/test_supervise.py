"""How a command ends when it dies: killed, crashed, interrupted."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ultrahand.cli import bounds
from ultrahand.cli.bounds import bounded
from ultrahand.cli.supervise import supervised, watched
from ultrahand.errors import InputError
from ultrahand.io.outputs import PREFIX

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def crash():
    """Read address 0, as damaged bytes make HDF5 do."""
    ctypes.string_at(0)


def ended(work, *, folder=None, verbose=False):
    return supervised(work, folder=folder, name="scan.h5", verbose=verbose)


def test_the_code_of_the_work_is_the_code_of_the_command():
    assert ended(lambda: 7) == 7


def test_a_child_killed_for_memory_ends_in_code_5(capfd):
    assert ended(lambda: os.kill(os.getpid(), signal.SIGKILL)) == 5
    assert "--max-memory" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_while_computing_is_a_defect_of_ours(number, capfd):
    assert ended(lambda: os.kill(os.getpid(), number)) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert f"({number.name})" in said


def reading(crash):
    """Run something in a function that a traceback shows in the reader."""
    source = "def read(crash):\n    crash()\n"
    names = {}
    place = Path(bounds.__file__).parents[1] / "io" / "hdf5_file.py"
    exec(compile(source, str(place), "exec"), names)
    return lambda: names["read"](crash)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_while_reading_is_a_damaged_file(number, capfd):
    assert ended(reading(lambda: os.kill(os.getpid(), number))) == 3
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("ultrahand: scan.h5: file: found damage")
    assert number.name in said


def test_what_a_signal_stands_for_is_told_in_parts():
    work = reading(lambda: os.kill(os.getpid(), signal.SIGABRT))
    error = watched(work, folder=None, name="scan.h5", verbose=False).error
    assert isinstance(error, InputError)
    assert (error.file, error.field) == ("scan.h5", "file")
    assert error.found == "damage that ended the reader (SIGABRT)"


def test_a_real_segmentation_fault_while_reading_is_a_damaged_file(capfd):
    assert ended(reading(crash)) == 3
    assert "(SIGSEGV)" in capfd.readouterr().err


def test_words_of_native_code_do_not_join_the_line_of_a_refusal(capfd):
    def abort():
        os.write(2, b"malloc(): invalid size (unsorted)\n")
        os.abort()

    assert ended(reading(abort)) == 3
    assert capfd.readouterr().err.count("\n") == 1


def test_words_of_native_code_are_shown_on_request(capfd):
    def abort():
        os.write(2, b"malloc(): invalid size (unsorted)\n")
        os.abort()

    ended(abort, verbose=True)
    said = capfd.readouterr().err
    assert "malloc()" in said
    assert "Fatal Python error" in said


def test_what_a_dead_child_began_is_swept(tmp_path):
    def begin():
        (tmp_path / f"{PREFIX}{os.getpid()}-12.nii.gz").write_bytes(b"half")
        (tmp_path / "other.nii.gz").write_bytes(b"whole")
        os.kill(os.getpid(), signal.SIGKILL)

    ended(begin, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.nii.gz"]


def test_a_crash_leaves_no_core_file(tmp_path, monkeypatch):
    import resource

    monkeypatch.chdir(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        ended(crash)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_a_reader_in_circles_is_a_damaged_file(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(bounds, "CPU_SECONDS", 0.2)
    path = tmp_path / "scan.h5"
    path.write_bytes(b"x")

    def circle():
        with bounded(path):
            while True:
                pass

    assert ended(circle) == 3
    assert "circles" in capfd.readouterr().err


def test_a_file_that_asks_for_gigabytes_is_refused(tmp_path):
    path = tmp_path / "scan.h5"
    path.write_bytes(b"x")

    def ask():
        with pytest.raises(InputError, match="more than 201 MB"), bounded(path):
            bytearray(2**30)
        bytearray(2**30)  # afterwards memory is free again
        return 0

    assert ended(ask) == 0


# --- signals to the running command ------------------------------------------------------------

# A small program that begins an output and then waits, in the command's own frame.
WAITING = """
import argparse, importlib, time
from pathlib import Path
from ultrahand.cli.supervise import supervised
from ultrahand.io.outputs import OutputSet

def begin(options):
    with OutputSet(force=False, inputs=[]) as outputs:
        outputs.claim(Path("out.nii.gz")).write_bytes(b"half")
        print("begun", flush=True)
        try:
            time.sleep(60)
        except BaseException:  # as callbacks of the import system swallow what a handler raises
            time.sleep(60)

run = importlib.import_module("ultrahand.cli.main").run
options = argparse.Namespace(run=begin, raw="scan.h5", verbose=0, quiet=False, log=None)
folder = Path(".")
raise SystemExit(supervised(lambda: run(options), folder=folder, name="scan.h5", verbose=False))
"""


@contextmanager
def dispositions(ignored):
    """Let a child start as from a terminal, whatever the tests themselves were started from."""
    before = {
        number: signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def waiting(tmp_path):
    """Start a command that has begun an output, in a session of its own."""
    started = []

    def start(ignored=()):
        with dispositions(ignored):
            process = subprocess.Popen(
                [sys.executable, "-c", WAITING],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        started.append(process)
        assert process.stdout.readline() == b"begun\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_command_ends_it_cleanly(number, waiting, tmp_path):
    process = waiting()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == b"ultrahand: interrupted; nothing was written\n"
    assert not list(tmp_path.iterdir())


def test_ctrl_c_on_a_terminal_reaches_both_and_ends_it_once(waiting, tmp_path):
    process = waiting()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.count(b"\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_stop_that_comes_while_another_is_said_says_nothing_more(monkeypatch, capfd):
    """As when Ctrl-C reaches the child from the terminal, and then from its parent."""
    leave = os._exit

    def leave_late(code):
        monkeypatch.setattr(os, "_exit", leave)
        os.kill(os.getpid(), signal.SIGTERM)
        leave(code)

    def work():
        monkeypatch.setattr(os, "_exit", leave_late)
        os.kill(os.getpid(), signal.SIGINT)
        return 0

    with dispositions(()):
        assert ended(work) == 130
    assert capfd.readouterr().err == "ultrahand: interrupted; nothing was written\n"


def test_a_second_signal_ends_what_does_not_stop(waiting, tmp_path):
    process = waiting()
    child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    os.kill(child, signal.SIGSTOP)  # it cannot react
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())


def test_an_ignored_hangup_stays_ignored(waiting):
    """As under nohup: only then does the command outlive its terminal."""
    process = waiting(ignored=(signal.SIGHUP,))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None


BACKGROUND = (signal.SIGINT,)
"""Ignored in what scripts start with ``&``."""


def test_a_background_job_can_be_ended(waiting, tmp_path):
    process = waiting(ignored=BACKGROUND)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells children of a parent's death")
@pytest.mark.parametrize("ignored", [(), BACKGROUND], ids=["", "in the background"])
def test_a_killed_parent_takes_its_child_along(waiting, tmp_path, ignored):
    process = waiting(ignored=ignored)
    process.kill()
    process.wait(timeout=20)
    end = time.monotonic() + 10
    while list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())


def test_a_signal_to_the_whole_group_is_one_line(waiting):
    """As ``timeout`` sends it: parent and child have it at once, and the child a second time."""
    process = waiting()
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == b"ultrahand: interrupted; nothing was written\n"


def test_a_stop_without_a_folder_to_clear_ends_it_too(tmp_path):
    """The output's folder may not exist: nothing was begun, and that is no error."""
    program = f"{WAITING}".replace('folder = Path(".")', 'folder = Path("none such")')
    with dispositions(()):
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == b"ultrahand: interrupted; nothing was written\n"
