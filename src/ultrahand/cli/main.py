"""Parse the command line and run one subcommand; nothing heavy is imported before that."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, final

from ultrahand import __version__
from ultrahand.cli.arguments import (
    add_bench,
    add_check,
    add_exam,
    add_recon,
    add_simulate,
    add_warmup,
    input_files,
)
from ultrahand.cli.explain import explain_error
from ultrahand.cli.supervise import supervised
from ultrahand.errors import (
    EXIT_DEFECT,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
    one_line,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (see the README)."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _main(arguments: list[str]) -> int:
    options = build_parser().parse_args(arguments)
    options.command_line = arguments
    _set_threads(options.threads)
    if getattr(options, "supervises", False):  # it watches over each part of its work itself
        return run(options)
    output = getattr(options, "output", None) or getattr(options, "folder", None)
    return supervised(
        lambda: run(options),
        folder=Path(output).parent if output else None,
        name=" or ".join(path.name for path in input_files(options).values()),
        verbose=options.verbose > 0,
    )


@final
class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like every other message."""

    def error(self, message: str) -> NoReturn:
        _say(f"{message}; see {self.prog} --help")
        raise SystemExit(EXIT_USAGE)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser: argparse.ArgumentParser = _Parser(
        prog="ultrahand",
        description="Raw MRI data of the hand to images, with geometry and uncertainty.",
    )
    parser.add_argument("--version", action="version", version=f"ultrahand {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_check(commands)
    add_recon(commands)
    add_exam(commands)
    add_simulate(commands)
    add_bench(commands)
    add_warmup(commands)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the chosen subcommand in this process; turn its errors into one line and a code."""
    _set_streams()
    try:
        _set_logging(options)
        if os.environ.get("ULTRAHAND_FFT"):
            from ultrahand.numerics.fft import engine

            engine()  # refuses what is not known or not installed before any work
        return int(options.run(options))
    except KeyboardInterrupt:
        _say("interrupted; nothing was written")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: everything ends in a code
        code, words = explain_error(error, file=_input_name(options))
        if code == EXIT_DEFECT and options.verbose:
            traceback.print_exception(error)
        if words:
            _say(words)
        return code


def _input_name(options: argparse.Namespace) -> str:
    return Path(str(getattr(options, "raw", "") or getattr(options, "exam", ""))).name


def _say(message: str) -> None:
    print(f"ultrahand: {one_line(message, 2000)}", file=sys.stderr)


def _set_streams() -> None:
    """Print every file name, in whatever bytes; keep warnings of libraries for who asks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _set_threads(threads: int) -> None:
    """Bound every library's threads; they read the environment when they are first imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its idle threads spin and slow the rest
    if threads:
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            os.environ.setdefault(name, str(min(threads, os.cpu_count() or 1)))


def _set_logging(options: argparse.Namespace) -> None:
    levels = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
    level = -1 if options.quiet else min(options.verbose, 1)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(levels[level])
    if options.log:
        handlers.append(_log_file(Path(options.log), options))
    logging.basicConfig(
        level=logging.INFO, handlers=handlers, format="ultrahand: %(message)s", force=True
    )
    if not options.verbose and not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries; ours are findings


def _log_file(path: Path, options: argparse.Namespace) -> logging.Handler:
    from ultrahand.io.outputs import is_same_file

    try:
        if any(is_same_file(path, other) for other in input_files(options).values()):
            raise UsageError(f"--log {path.name}: an input is never overwritten; choose another")
        if path.exists() and not path.is_file():
            raise UsageError(f"--log {path.name}: not a file; choose another")
        return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--log {path.name}: cannot be written ({error.strerror})") from None
