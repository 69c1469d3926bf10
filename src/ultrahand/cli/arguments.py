"""The options of every subcommand, and the words of its help."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ultrahand.cli.values import count, memory, positive, seconds, threads

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SERIES_OPTIONS = (
    "group",
    "conjugate",
    "method",
    "engine",
    "prior",
    "prior-weight",
    "replicas",
    "dynamic",
    "combine",
    "partial-fourier",
    "noise",
    "trajectory",
    "trajectory-unit",
    "trajectory-offset",
    "trajectory-axes",
    "gradient-delays",
    "b0-map",
    "frame-time",
    "nucleus",
    "parts",
)
"""Options of a reconstruction that a series of an examination may have."""
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
    _add_reading(parser)
    _add_choices(parser)
    _add_memory(parser)
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
    add_recon_options(parser)
    _add_memory(parser)
    parser.add_argument("--force", action="store_true", help="replace existing outputs")
    _add_common(parser)
    parser.set_defaults(run=_lazy("recon"))


def add_exam(commands: Commands) -> None:
    """Add ``ultrahand exam``."""
    parser = commands.add_parser(
        "exam",
        help="a whole examination",
        description="Reconstruct every series of an examination into a folder of derivatives. A "
        "run that was broken off goes on where it was; what is done is not done again.",
    )
    parser.add_argument("exam", metavar="exam.toml", help="list of the examination's series")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    _add_memory(parser)
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read what is done and compare it by hash, not by size alone",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="use a folder that holds files of others; those that are called as ours are replaced",
    )
    _add_common(parser)
    parser.set_defaults(run=_lazy("exam"), supervises=True)


def add_simulate(commands: Commands) -> None:
    """Add ``ultrahand simulate``."""
    parser = commands.add_parser(
        "simulate",
        help="the digital 7 T hand",
        description="Make the raw files of a whole 7 T examination of a digital hand, an exam.toml "
        "for it, and everything that is true of it.",
    )
    parser.add_argument("folder", metavar="DIR", help="folder to make")
    parser.add_argument(
        "--size",
        choices=("tiny", "small", "full"),
        default="small",
        help="tiny for tests, small in about a minute, full for what a scanner does",
    )
    parser.add_argument(
        "--preset",
        choices=("healthy", "ssc_mild", "ssc_severe"),
        default="healthy",
        help="what is wrong with the hand (default: nothing)",
    )
    parser.add_argument(
        "--hand", choices=("left", "right", "both"), default="right", help="which (default: right)"
    )
    parser.add_argument(
        "--seed", type=count, default=1, metavar="N", help="everything that varies follows from it"
    )
    parser.add_argument(
        "--script", metavar="lesions.toml", help="further lesions; see docs/simulate.md"
    )
    parser.add_argument("--force", action="store_true", help="replace an examination made before")
    _add_common(parser)
    parser.set_defaults(run=_lazy("simulate"))


def add_bench(commands: Commands) -> None:
    """Add ``ultrahand bench``."""
    parser = commands.add_parser(
        "bench",
        help="speed and accuracy on this machine",
        description="Time the reconstructions on this machine beside the peers that are installed: "
        "first and warm call, error against an exact reference, peak memory. Contestants take "
        "turns, each in a process of its own. All problems take about half an hour.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="problems, or families as normal (default: all)"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder for bench.json, bench.md and bench.png"
    )
    parser.add_argument(
        "--peer",
        action="append",
        metavar="NAME",
        help="beside this peer alone; may be given several times (default: all that are installed)",
    )
    parser.add_argument(
        "--size",
        choices=("full", "tiny"),
        default="full",
        help="tiny shows in seconds that all works; its times mean nothing",
    )
    parser.add_argument("--force", action="store_true", help="replace existing outputs")
    _add_common(parser)
    parser.set_defaults(run=_lazy("bench"), supervises=True)


def add_warmup(commands: Commands) -> None:
    """Add ``ultrahand warmup``."""
    parser = commands.add_parser(
        "warmup",
        help="compile every kernel once",
        description="Compile every numerical kernel once and say where the cache is.",
    )
    _add_common(parser)
    parser.set_defaults(run=_lazy("warmup"))


def add_recon_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of one measurement's reconstruction."""
    _add_reading(parser)
    _add_choices(parser)
    parser.add_argument(
        "--parts",
        choices=("mag", "mag,phase", "complex"),
        default="mag",
        help="magnitude alone, with phase, or with real and imaginary part (default: mag)",
    )


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("raw", metavar="RAW", help="ISMRMRD v1 file, HDF5 or byte stream")


def _add_reading(parser: argparse.ArgumentParser) -> None:
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
        choices=("auto", "fft", "grappa", "sense", "cs", "gridding", "cg", "dynamic"),
        default="auto",
        help="auto decides from the file and says why (default); dynamic reconstructs all frames "
        "of a radial acquisition or a stack of stars together, with --frame-time",
    )
    parser.add_argument(
        "--dynamic",
        choices=("grasp", "low-rank-sparse", "subspace", "view-sharing"),
        default="grasp",
        help="what joins the frames of --method dynamic (default: grasp)",
    )
    parser.add_argument(
        "--engine",
        choices=("ultrahand", "sigpy"),
        default="ultrahand",
        help="whose transforms and solvers: sigpy runs the same reconstruction through SigPy's, "
        "for comparison, where it has them (on one thread)",
    )
    parser.add_argument(
        "--prior",
        choices=("wavelet", "tv", "tgv"),
        default="wavelet",
        help="what --method cs takes for simple: few wavelet coefficients (default), pieces of "
        "constant value (total variation), or of constant slope",
    )
    parser.add_argument(
        "--prior-weight",
        type=positive,
        metavar="W",
        help="weight of the prior in noise units: the same suits other coils and matrices "
        "(default: at which noise alone keeps a tenth of itself)",
    )
    parser.add_argument(
        "--replicas",
        type=count,
        default=0,
        metavar="N",
        help="standard error of --method cs and dynamic: the scatter of N further reconstructions "
        "with more noise added (16 say; default: none)",
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
        "--gradient-delays",
        choices=("estimate", "none"),
        default="estimate",
        help="shift of full spokes in a plane from where they cross (RING), told and undone where "
        "it is beyond three standard errors (default), or left",
    )
    parser.add_argument(
        "--b0-map",
        metavar="FILE",
        help="off-resonance to undo with --method gridding or cg: NIfTI whose sidecar says its "
        "Units (Hz, rad/s, T) and ResonantNucleus; scaled to the nucleus of the raw data",
    )
    parser.add_argument(
        "--trajectory-offset",
        type=count,
        default=0,
        metavar="N",
        help="leading samples to skip, of the readouts or of the trajectory, whichever is longer",
    )
    parser.add_argument(
        "--trajectory-axes",
        metavar="ORDER",
        help="order of the trajectory's axes, as shots,samples,dims, where counts do not tell",
    )
    parser.add_argument(
        "--frame-time",
        type=seconds,
        metavar="S",
        help="cut a continuous non-Cartesian acquisition into frames of S seconds",
    )
    parser.add_argument("--nucleus", metavar="X", help="measured nucleus, as 23Na")


def _add_memory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-memory",
        type=memory,
        default=0,
        metavar="8GB",
        help="memory limit; larger work goes in blocks (default: 4/5 of the machine)",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=threads, default=0, metavar="N", help="threads (default: all)"
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


def input_files(options: argparse.Namespace) -> dict[str, Path]:
    """Return the files that a command reads, by their role."""
    roles = ("exam", "raw", "noise", "trajectory", "b0_map")
    given = {role: getattr(options, role, None) for role in roles}
    if given["noise"] in ("auto", "none"):
        given["noise"] = None
    whole = ("exam", "raw", "b0_map")  # a colon in their names is part of it
    return {
        role: Path(name) if role in whole else split_name(name)[0]
        for role, name in given.items()
        if name
    }


def _lazy(name: str) -> Callable[[argparse.Namespace], int]:
    """Import a subcommand only when it runs."""

    def run(options: argparse.Namespace) -> int:
        from importlib import import_module

        code: int = import_module(f"ultrahand.cli.{name}").run(options)
        return code

    return run
