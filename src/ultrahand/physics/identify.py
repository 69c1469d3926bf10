"""Which nucleus a measurement looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ultrahand.errors import UsageError
from ultrahand.physics.nuclei import GAMMA_HZ_PER_T, nucleus_of
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.records.header import Header


def parse_nucleus(text: str) -> str | None:
    """Read ``23Na``, ``Na23``, ``Na-23`` or ``23-NA`` as ``23Na``; None for anything else."""
    match = re.fullmatch(r"\s*(\d{1,3})?[\s^_-]*([A-Za-z]{1,2})[\s^_-]*(\d{1,3})?\s*", text)
    if match is None or (match[1] is None) == (match[3] is None):
        return None
    name = f"{match[1] or match[3]}{match[2].capitalize()}"
    return name if name in GAMMA_HZ_PER_T else None


def identify_nucleus(header: Header, asked: str | None) -> tuple[str | None, list[Finding]]:
    """Tell the nucleus: as asked for, else from a user parameter, else from frequency over field.

    The header's only frequency field is named for protons, but converters put the frequency of the
    measured nucleus there; so it decides only where nothing else does.

    Raises
    ------
    UsageError
        The asked nucleus is not known.
    """
    if asked is not None:
        name = parse_nucleus(asked)
        if name is None:
            raise UsageError(f"--nucleus {asked}: unknown; known are {', '.join(GAMMA_HZ_PER_T)}")
        return name, [_found(name, "--nucleus")]
    by_frequency = None
    if header.frequency_hz and header.field_strength_t:
        by_frequency = nucleus_of(header.frequency_hz, header.field_strength_t)
    for key, value in header.user_parameters.items():
        if "nucleus" in key.lower():
            name = parse_nucleus(str(value))
            if name is not None:
                note = _found(name, "a user parameter")
                if by_frequency not in (None, name, "1H"):
                    note = warning(
                        "nucleus",
                        found=f"{name} in a user parameter, {by_frequency} by frequency and field",
                        expected="one nucleus",
                        remedy=f"{name} is used; --nucleus decides",
                    )
                return name, [note]
    if by_frequency is not None:
        return by_frequency, [_found(by_frequency, "frequency over field strength")]
    return None, [
        warning(
            "nucleus",
            found=f"{header.frequency_hz or 0:g} Hz at {header.field_strength_t or 0:g} T",
            expected="a nucleus within 2 % of frequency over field",
            remedy="unknown; give it with --nucleus",
        )
    ]


def _found(name: str, source: str) -> Finding:
    return info("nucleus", found=f"{name}, from {source}", expected="the measured nucleus")
