"""The options of a series in ``exam.toml``, as ``ultrahand recon`` takes them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn, final

from ultrahand.cli.arguments import SERIES_OPTIONS, add_recon_options, split_name
from ultrahand.errors import InputError
from ultrahand.io.toml_table import check_file

if TYPE_CHECKING:
    from ultrahand.io.exam_file import Examination, ExamSeries, Option

_FILES = ("noise", "trajectory", "b0-map")
_NO_FILES = ("auto", "none")


def resolve(
    exam: Examination, series: ExamSeries, shared: argparse.Namespace
) -> argparse.Namespace:
    """Return the options of a series' reconstruction, those of the whole run among them.

    Parameters
    ----------
    exam, series
        The examination and one of its series.
    shared
        Options of ``ultrahand exam``.

    Raises
    ------
    InputError
        An option's value that ``ultrahand recon`` would not take, or a file that is not there.
    """
    where = f"series {series.name!r}, options"
    parser = _Parser(prog=where, add_help=False, allow_abbrev=False)
    add_recon_options(parser)
    given = dict(series.options)
    for name in _FILES:
        text = given.get(name)
        if text is not None and text not in _NO_FILES:
            given[name] = str(exam.file.parent / str(text))
            check_file(f"{where}.{name}", split_name(str(given[name]))[0])
    options = parser.parse_args(_arguments(given))
    options.raw = str(series.file)
    options.max_memory, options.threads = shared.max_memory, shared.threads
    options.verbose, options.quiet = shared.verbose, shared.quiet
    return options


def command_of(series: ExamSeries, name: str) -> str:
    """Return the command that makes the images of a series again, in the folder of exam.toml.

    Parameters
    ----------
    series
        What is reconstructed.
    name
        What its image is called.
    """
    words = ["ultrahand", "recon", *_arguments(series.options), "-o", name, "--", series.written]
    return shlex.join(words)


def as_resolved(options: argparse.Namespace) -> dict[str, object]:
    """Return the options that decide what an image is, defaults included; files aside."""
    names = [name.replace("-", "_") for name in SERIES_OPTIONS if name not in _FILES]
    return {name: getattr(options, name) for name in names}


def _arguments(options: Mapping[str, Option]) -> list[str]:
    """Return options as words of a command line, in one order whatever theirs was."""
    words = {True: "yes", False: "no"}
    return [
        f"--{name}={words[v] if isinstance(v := options[name], bool) else v}"
        for name in SERIES_OPTIONS
        if name in options
    ]


@final
class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are refusals of the examination file."""

    def error(self, message: str) -> NoReturn:
        option, _, why = message.removeprefix("argument --").partition(": ")
        raise InputError(
            f"{self.prog}.{option}",
            found=why or message,
            expected="what ultrahand recon takes",
            remedy="see ultrahand recon --help",
        )
