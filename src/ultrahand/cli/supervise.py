"""Run the work in a child process, so that a damaged file that crashes native code is a refusal.

HDF5 can crash on damaged bytes (two of 1,500 random changes do). The parent has imported nothing
and started no thread, so a fork is safe and costs a millisecond; it waits, passes signals on,
removes what a dead child left behind, and reads from the child's last traceback whether it died
reading (the file is damaged) or computing (a defect).
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple, NoReturn

from ultrahand.cli.explain import error_of_signal, explain_error
from ultrahand.errors import (
    EXIT_DEFECT,
    EXIT_INTERRUPTED,
    EXIT_RESOURCES,
    UltrahandError,
    one_line,
)

_STOPS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_SET_PARENT_DEATH_SIGNAL: Final = 1  # of Linux' prctl
_INTERRUPTED: Final = "interrupted; nothing was written"
_child: list[int] = []
"""Its own number, in the child alone."""


class Ended(NamedTuple):
    """How a supervised child ended."""

    code: int
    words: str
    """Why it died, for the user; empty where it ended by itself and has said so."""
    stopped: bool
    """Whether the user asked for the end, whatever the child still did."""
    error: UltrahandError | None = None
    """What the words say, where a signal ended it."""


def supervised(work: Callable[[], int], *, folder: Path | None, name: str, verbose: bool) -> int:
    """Run ``work`` in a forked child, say why where it dies, and return its exit code.

    Parameters
    ----------
    work, folder, name, verbose
        See `watched`.
    """
    ended = watched(work, folder=folder, name=name, verbose=verbose)
    if ended.words:
        _say(ended.words)
    return ended.code


def watched(
    work: Callable[[], int],
    *,
    folder: Path | None,
    name: str,
    verbose: bool,
    interrupted: str = _INTERRUPTED,
) -> Ended:
    """Run ``work`` in a forked child and return how it ended.

    Parameters
    ----------
    work
        What to run; returns an exit code.
    folder
        Where outputs are written, swept if the child dies.
    name
        Of the file that is read, for the message if the child dies reading.
    verbose
        Whether to show what native code of the child wrote, and where it died.
    interrupted
        What the child says when it is stopped.
    """
    if not hasattr(os, "fork"):
        return Ended(work(), "", stopped=False)
    sys.stdout.flush()
    sys.stderr.flush()
    with shared_file() as words:
        parent = os.getpid()
        # Blocked until both sides are ready: no signal stops the parent alone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        child = os.fork()
        if child == 0:
            _prepare_child(words, parent, folder, interrupted)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            _exit_with(work)
        with _passing_on(child) as passed:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            status = os.waitpid(child, 0)[1]
        words.seek(0)
        trace = words.read().decode(errors="replace")
    if verbose and trace:
        print(trace, file=sys.stderr, end="")
    if os.WIFEXITED(status):
        return Ended(os.WEXITSTATUS(status), "", stopped=bool(passed))
    _sweep(folder, child)
    number = signal.SIGINT if passed else os.WTERMSIG(status)
    if number in _STOPS:
        return Ended(EXIT_INTERRUPTED, interrupted, stopped=bool(passed))
    error = error_of_signal(number, trace, name)
    return Ended(*explain_error(error, file=name), stopped=bool(passed), error=error)


def shared_file() -> IO[bytes]:
    """Return a file without a name that a parent shares with its child.

    For tracebacks and what C libraries print, and for what a child has to report.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("ultrahand"), "w+b", buffering=0)
    import tempfile

    return tempfile.TemporaryFile(buffering=0)


def end_on_stops(clear: Callable[[], None], words: str) -> None:
    """End this process with code 130 when it is asked to stop; an ignored signal stays ignored.

    Nothing is raised: an exception from a handler can be lost, or leave a lock held, in the middle
    of an import. ``clear`` removes what was begun, with the simplest means. Said once: Ctrl-C
    reaches a child twice, from the terminal and from its parent.
    """
    stopping: list[bool] = []

    def stop(*_: object) -> None:
        if stopping:
            return  # to the handler that this one interrupted
        stopping.append(True)
        clear()
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"{_clear_line()}ultrahand: {words}\n".encode())
        os._exit(EXIT_INTERRUPTED)

    for number in _STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


@contextmanager
def ending_on_stops(clear: Callable[[], None], words: str) -> Iterator[None]:
    """As `end_on_stops`, until the end of the block."""
    before = {number: signal.getsignal(number) for number in _STOPS}
    end_on_stops(clear, words)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a stop wait until the end of the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_child(words: IO[bytes], parent: int, folder: Path | None, interrupted: str) -> None:
    """Keep the terminal to Python's own messages; die with the parent; leave no core file."""
    _child.append(os.getpid())
    # The child clears up itself, as its parent may be dead.
    end_on_stops(lambda: _sweep(folder, os.getpid()), interrupted)
    faulthandler.enable(file=words, all_threads=False)
    with suppress(OSError):
        sys.stderr = os.fdopen(
            os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
        )
        os.dup2(words.fileno(), 2)
        for handler in logging.root.handlers:
            if type(handler) is logging.StreamHandler:  # not those of files, which are heirs of it
                handler.setStream(sys.stderr)
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file holds the patient's data
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(EXIT_INTERRUPTED)


def finish_undisturbed() -> None:
    """Let no stop come between the outputs of a run: from here on it ends as it would have.

    Only in the supervised child, which exits right after.
    """
    if _child:
        for number in _STOPS:
            # Not SIG_IGN: Python complains of a signal that came just before.
            signal.signal(number, lambda *_: None)


def _exit_with(work: Callable[[], int]) -> NoReturn:
    """End the child with the work's exit code, whatever happens, without the parent's clean-up."""
    code = None
    try:
        code = work()
        finish_undisturbed()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_DEFECT
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED if code is None else code
    finally:
        code = EXIT_DEFECT if code is None else code
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except BrokenPipeError:
            pass  # the reader, such as `head`, has seen enough
        except OSError:
            code = code or EXIT_RESOURCES
        os._exit(code)


@contextmanager
def _passing_on(child: int) -> Iterator[list[int]]:
    """Pass signals on to the child as SIGTERM; the second one ends it at once.

    Not as SIGINT, which shells let background jobs ignore.
    """
    passed: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        passed.append(number)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM if len(passed) == 1 else signal.SIGKILL)

    before = {number: signal.getsignal(number) for number in _STOPS}
    heard = [number for number in _STOPS if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, pass_on)
    try:
        yield passed
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _sweep(folder: Path | None, child: int) -> None:
    """Remove what a child has begun; with the simplest means, and no error, as handlers call it."""
    if folder is not None:
        with suppress(OSError):  # no such folder, or one that cannot be listed
            for entry in os.scandir(folder):
                if entry.name.startswith(f".ultrahand-{child}-"):
                    _remove(entry)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        for inner in os.scandir(entry.path):
            _remove(inner)
        os.rmdir(entry.path)  # noqa: PTH106
    else:
        os.unlink(entry.path)  # noqa: PTH108


def _clear_line() -> str:
    """Wipe what is left of a progress bar."""
    return "\r\x1b[K" if sys.stderr.isatty() else ""


def _say(message: str) -> None:
    print(f"ultrahand: {one_line(message, 2000)}", file=sys.stderr)
