"""Run the work in a child process, so that a damaged file that crashes native code is a refusal.

HDF5 can crash on damaged bytes (two of 1,500 random changes do). The parent has imported nothing
and started no thread, so a fork is safe and costs a millisecond; it waits, passes signals on,
removes what a dead child left behind, and reads from the child's last traceback whether it died
reading (the file is damaged) or computing (a defect).
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ultrahand.errors import EXIT_DEFECT, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_RESOURCES

_READERS = ("/h5py/", f"{os.sep}ultrahand{os.sep}io{os.sep}", "hdf5_", "mrd_stream")


def supervised(work: Callable[[], int], *, folder: Path | None) -> int:
    """Run ``work`` in a forked child and return its exit code.

    Parameters
    ----------
    work
        What to run; returns an exit code.
    folder
        Where outputs are written, swept if the child dies.
    """
    if not hasattr(os, "fork"):
        return work()
    ear, mouth = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(ear)
        faulthandler.enable(file=mouth, all_threads=False)
        _exit_with(work)
    os.close(mouth)
    status = _wait(child)
    if os.WIFEXITED(status):
        os.close(ear)
        return os.WEXITSTATUS(status)
    with os.fdopen(ear, errors="replace") as pipe:
        trace = pipe.read()
    _sweep(folder, child)
    return _explain(os.WTERMSIG(status), trace)


def _exit_with(work: Callable[[], int]) -> None:
    """End the child with the work's exit code, whatever happens, without the parent's clean-up."""
    code = EXIT_DEFECT
    try:
        code = work()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_DEFECT
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            code = code or EXIT_DEFECT
        os._exit(code)


def _wait(child: int) -> int:
    """Wait for the child; an interrupt reaches it by itself, a termination is passed on."""
    before_int = signal.signal(signal.SIGINT, signal.SIG_IGN)
    before_term = signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGINT))
    try:
        return os.waitpid(child, 0)[1]
    finally:
        signal.signal(signal.SIGINT, before_int)
        signal.signal(signal.SIGTERM, before_term)


def _explain(number: int, trace: str) -> int:
    name = signal.Signals(number).name
    if number == signal.SIGKILL:
        _say("killed (SIGKILL), most likely out of memory; lower --max-memory")
        return EXIT_RESOURCES
    if number in (signal.SIGINT, signal.SIGTERM):
        _say("interrupted; nothing was written")
        return EXIT_INTERRUPTED
    if any(part in trace for part in _READERS):
        _say(
            f"file: found damage that ended the reader ({name}), expected a sound file; "
            "copy or convert the measurement again"
        )
        return EXIT_INPUT
    _say(f"a defect of ultrahand ended it ({name}); please report it:\n{trace}")
    return EXIT_DEFECT


def _sweep(folder: Path | None, child: int) -> None:
    if folder is not None:
        for place in folder.glob(f".ultrahand-{child}-*"):
            place.unlink(missing_ok=True)


def _say(message: str) -> None:
    print(f"ultrahand: {message}", file=sys.stderr)
