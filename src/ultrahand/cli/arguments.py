"""The options of every subcommand, and the words of its help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

K_UNITS = ("cycles/pixel", "rad/pixel", "cycles/fov", "1/m", "1/cm", "1/mm", "rad/m", "rad/mm")


def add_check(commands: Commands) -> None:
    """Add ``ultrahand check``."""
    parser = commands.add_parser(
        "check",
        help="audit a raw file",
        description="Read a raw file completely and say what is odd in it: one row a finding, the "
        "counts of its readouts, and what recon would do with it.",
    )
    _add_input(parser)
    _add_choices(parser)
    _add_common(parser)
    parser.set_defaults(run=_lazy("check"))


def add_recon(commands: Commands) -> None:
    """Add ``ultrahand recon``."""
    parser = commands.add_parser(
        "recon",
        help="raw data to images",
        description="Reconstruct a raw ISMRMRD file to NIfTI, with a sidecar and, where the noise "
        "is known, the standard error of every voxel.",
    )
    _add_input(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT.nii.gz", help="image to write"
    )
    _add_choices(parser)
    parser.add_argument(
        "--parts",
        choices=("mag", "mag,phase", "complex"),
        default="mag",
        help="magnitude alone, with phase, or with real and imaginary part (default: mag)",
    )
    parser.add_argument("--force", action="store_true", help="replace existing outputs")
    _add_common(parser)
    parser.set_defaults(run=_lazy("recon"))


def add_warmup(commands: Commands) -> None:
    """Add ``ultrahand warmup``."""
    parser = commands.add_parser(
        "warmup",
        help="compile every kernel once",
        description="Compile every numerical kernel once and say where the cache is.",
    )
    _add_common(parser)
    parser.set_defaults(run=_lazy("warmup"))


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("raw", metavar="RAW", help="ISMRMRD v1 file, HDF5 or byte stream")
    parser.add_argument("--group", metavar="NAME", help="HDF5 group, where there are several")
    parser.add_argument(
        "--conjugate",
        choices=("auto", "yes", "no"),
        default="auto",
        help="take the complex conjugate of the samples; auto does for Siemens-converted files",
    )


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method",
        choices=("auto", "fft", "gridding"),
        default="auto",
        help="auto decides from the file and says why (default)",
    )
    parser.add_argument(
        "--combine",
        choices=("auto", "rss", "walsh"),
        default="auto",
        help="coil images to one: root sum of squares, or adaptive (Walsh) with phase; auto takes "
        "rss for magnitude alone",
    )
    parser.add_argument(
        "--partial-fourier",
        choices=("zero", "pocs"),
        default="zero",
        help="missing part of a partial acquisition: zeros, or POCS (default: zero)",
    )
    parser.add_argument(
        "--noise",
        default="auto",
        metavar="auto|none|FILE[:GROUP]",
        help="noise readouts of this file (auto), of another file, or none",
    )
    parser.add_argument(
        "--trajectory", metavar="FILE[:DATASET]", help="sample positions from another file"
    )
    parser.add_argument(
        "--trajectory-unit", choices=K_UNITS, help="unit of the trajectory; else found by its size"
    )
    parser.add_argument(
        "--trajectory-offset",
        type=_count,
        default=0,
        metavar="N",
        help="leading samples to skip, of the readouts or of the trajectory, whichever is longer",
    )
    parser.add_argument(
        "--trajectory-axes",
        metavar="ORDER",
        help="order of the trajectory's axes, as shots,samples,dims, where counts do not tell",
    )
    parser.add_argument("--nucleus", metavar="X", help="measured nucleus, as 23Na")
    parser.add_argument(
        "--max-memory",
        type=memory,
        default=0,
        metavar="8GB",
        help="memory limit; larger work goes in blocks (default: 4/5 of the machine)",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=_threads, default=0, metavar="N", help="threads (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more")
    parser.add_argument("-q", "--quiet", action="store_true", help="say errors only")
    parser.add_argument("--log", metavar="FILE", help="write all messages to a file too")


def split_name(text: str) -> tuple[Path, str | None]:
    """Split ``FILE[:DATASET]``; a colon that is part of an existing file's name stays there."""
    name, _, inside = text.rpartition(":")
    try:
        whole = not name or Path(text).exists()
    except OSError:  # a name that is too long, for example
        whole = True
    return (Path(text), None) if whole else (Path(name), inside)


def memory(text: str) -> int:
    """Read ``8GB``, ``500 MiB`` or a number of bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?i?B?)\s*", text)
    powers = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}
    if match is None or match[2].strip("iB") not in powers:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 8GB or 500MiB")
    base = 1024 if "i" in match[2] else 1000
    size = int(float(match[1]) * base ** powers[match[2].strip("iB")])
    if size <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no memory at all")
    return size


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected 0, 1, 2, ...")
    return int(text)


def _threads(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of threads from 1 on")
    return int(text)


def _lazy(name: str) -> Callable[[argparse.Namespace], int]:
    """Import a subcommand only when it runs."""

    def run(options: argparse.Namespace) -> int:
        from importlib import import_module

        code: int = import_module(f"ultrahand.cli.{name}").run(options)
        return code

    return run
