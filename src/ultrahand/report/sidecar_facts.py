"""What a page takes from the JSON beside an image: parameters, findings, provenance."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from ultrahand.errors import InputError
from ultrahand.records.findings import Finding, Level
from ultrahand.report.content import Fact

# Units of the fields as BIDS 1.10 defines them; fields of our own name theirs.
_UNITS = {
    "MagneticFieldStrength": "T",
    "ImagingFrequency": "MHz",
    "RepetitionTime": "s",
    "EchoTime": "s",
    "InversionTime": "s",
    "FlipAngle": "degrees",
    "AcquisitionDuration": "s",
    "FrameTimesStart": "s",
    "FrameDuration": "s",
    "FrameTimesMean": "s",
    "VoxelSize_mm": "mm",
}
_APART = {"Provenance"}
_OF_THE_MACHINE = {"max_memory_bytes"}
"""Options that are the machine's: no image depends on them."""
_NO_PATHS = ("--trajectory-unit", "--group")
"""Options in whose values a slash parts no folders: ``1/m``, ``session/dataset_2``."""
_FILE = re.compile(r"(?:.*/)?([^/:]+\.[^/:.]+(?::.*)?)")
"""A file with its ending, and what is named inside it: ``positions.h5:/spokes/k``."""
_MAX_LISTED = 6


def parameter_facts(sidecar: Mapping[str, object]) -> tuple[Fact, ...]:
    """Return every field of a sidecar under its BIDS name, with its unit, in the file's order.

    Parameters
    ----------
    sidecar
        The fields of the JSON file; `Provenance` is left to `provenance_facts`.
    """
    return tuple(
        Fact(name=name, value=_text(value), unit=_UNITS.get(name, ""))
        for name, value in sidecar.items()
        if name not in _APART and value is not None
    )


def provenance_facts(sidecar: Mapping[str, object]) -> tuple[Fact, ...]:
    """Return how the image was made: input hashes, command, versions, steps, options.

    A page travels further than its images: folders, which may hold names, and what the machine
    had (memory, threads) stay in the sidecar.
    """
    found = sidecar.get("Provenance")
    if not isinstance(found, Mapping):
        return ()
    facts = []
    for role, file in _items(found.get("Inputs")):
        for kind, digest in _items(file):
            facts.append(Fact(name=f"input {role}, {kind}", value=str(digest)))
    facts.append(
        Fact(name="command", value=shown_command(str(found.get("Command", "not recorded"))))
    )
    versions = "\n".join(f"{name} {number}" for name, number in _items(found.get("Versions")))
    facts.append(Fact(name="versions", value=versions or "not recorded"))
    steps = found.get("Steps")
    if isinstance(steps, Sequence) and not isinstance(steps, str):
        facts.append(Fact(name="steps", value="\n".join(str(step) for step in steps)))
    options = "\n".join(
        f"{name} = {value}"
        for name, value in _items(found.get("Options"))
        if name not in _OF_THE_MACHINE
    )
    if options:
        facts.append(Fact(name="options", value=options))
    seed = found.get("Seed")
    facts.append(Fact(name="seed", value="nothing random took part" if seed is None else str(seed)))
    return tuple(facts)


def shown_command(command: str) -> str:
    """Return a command line with the base names of its files.

    Parameters
    ----------
    command
        Quoted for a shell, as a sidecar keeps it.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # not written by us: nothing says where its folders end
        return "not shown: it cannot be parted into words; the sidecar has it"
    shown = []
    for before, word in zip(["", *words], words, strict=False):
        option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
        kept = (option or before) in _NO_PATHS
        shown.append(f"{option}{sign}{value if kept else _base_name(value)}")
    return shlex.join(shown)


def _base_name(value: str) -> str:
    """Return the name of a file, with what is inside it, less its folders."""
    found = _FILE.fullmatch(value)
    return found[1] if found else value.rstrip("/").rpartition("/")[2]


def sidecar_findings(sidecar: Mapping[str, object]) -> tuple[Finding, ...]:
    """Return the findings that a sidecar keeps.

    Raises
    ------
    InputError
        They are not as they were written.
    """
    found = sidecar.get("Provenance")
    rows = found.get("Findings") if isinstance(found, Mapping) else None
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return ()
    try:
        return tuple(_finding(row) for row in rows if isinstance(row, Mapping))
    except (ValueError, KeyError) as error:
        raise InputError(
            "Provenance.Findings",
            found=f"{type(error).__name__}: {error}",
            expected="the sidecar as it was written",
            remedy="run again with --verify: what was changed is made anew",
        ) from None


def _finding(row: Mapping[object, object]) -> Finding:
    return Finding(
        level=Level(str(row["level"])),
        field=str(row["field"]),
        found=str(row["found"]),
        expected=str(row["expected"]),
        remedy=str(row["remedy"]),
    )


def _items(value: object) -> list[tuple[str, object]]:
    return [(str(k), v) for k, v in value.items()] if isinstance(value, Mapping) else []


def _text(value: object) -> str:
    """Return a value as it is read: numbers short, long lists by their ends."""
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [_text(item) for item in value]
        if len(parts) > _MAX_LISTED:
            parts = [*parts[:3], f"... {len(parts) - 5} more ...", *parts[-2:]]
        return ", ".join(parts)
    return str(value)
