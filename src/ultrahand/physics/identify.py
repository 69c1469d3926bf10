"""Which nucleus a measurement looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ultrahand.errors import UsageError, one_line
from ultrahand.physics.nuclei import GAMMA_HZ_PER_T, nucleus_of
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.records.header import Header


MAGNETS_T: Final = (0.01, 25.0)

_WORDS: Final = {
    "proton": "1H",
    "protons": "1H",
    "hydrogen": "1H",
    "deuterium": "2H",
    "fluorine": "19F",
    "sodium": "23Na",
    "phosphorus": "31P",
}
"""Names that leave no isotope open."""


def parse_nucleus(text: str) -> str | None:
    """Read ``23Na``, ``Na23``, ``Na-23``, ``23-NA`` or ``sodium``; None for anything else."""
    word = _WORDS.get(text.strip().lower())
    if word is not None:
        return word
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
        return name, [_found(name, "--nucleus"), *_other_frequency(header, name)]
    by_frequency = None
    if header.frequency_hz and header.field_strength_t:
        by_frequency = nucleus_of(header.frequency_hz, header.field_strength_t)
    stated = {k: v for k, v in header.user_parameters.items() if "nucleus" in k.lower()}
    names = {key: parse_nucleus(str(value)) for key, value in stated.items()}
    findings = [
        warning(
            f"user parameter {key}",
            found=one_line(str(stated[key]), 20),
            expected=f"one of {', '.join(GAMMA_HZ_PER_T)}",
            remedy="left out; --nucleus decides",
        )
        for key, name in names.items()
        if name is None
    ]
    name = next((name for name in names.values() if name is not None), None)
    if name is not None:
        note = _found(name, "a user parameter")
        # The field is named for protons, so theirs contradicts nothing.
        others = {*names.values(), by_frequency if by_frequency != "1H" else None} - {name, None}
        if others:
            note = warning(
                "nucleus",
                found=f"{name} in a user parameter, but {', '.join(map(str, others))} by frequency "
                "and field or in another parameter",
                expected="one nucleus",
                remedy=f"{name} is used; --nucleus decides",
            )
        return name, [*findings, note, *_other_frequency(header, name)]
    if by_frequency is not None:
        return by_frequency, [*findings, _found(by_frequency, "frequency over field strength")]
    return None, [
        *findings,
        warning(
            "nucleus",
            found=f"{header.frequency_hz or 0:g} Hz at {header.field_strength_t or 0:g} T",
            expected="a nucleus within 2 % of frequency over field",
            remedy="unknown; give it with --nucleus",
        ),
    ]


def measured_frequency_hz(header: Header, nucleus: str | None) -> float | None:
    """Return the header's frequency where it is that of the measured nucleus.

    Where the field strength is not known, a frequency of which some magnet is (0.01 to 25 T).
    """
    if nucleus is None or not header.frequency_hz:
        return None
    if header.field_strength_t:
        found = nucleus_of(header.frequency_hz, header.field_strength_t)
        return header.frequency_hz if found == nucleus else None
    implied_t = header.frequency_hz / GAMMA_HZ_PER_T[nucleus]
    return header.frequency_hz if MAGNETS_T[0] <= implied_t <= MAGNETS_T[1] else None


def _other_frequency(header: Header, nucleus: str) -> list[Finding]:
    """Say where the header's frequency is not the nucleus': it is named for protons, after all."""
    if not header.frequency_hz or measured_frequency_hz(header, nucleus) is not None:
        return []
    return [
        info(
            "H1resonanceFrequency_Hz",
            found=f"{header.frequency_hz:g}",
            expected=f"the frequency of {nucleus}",
            remedy="ImagingFrequency is left out of the sidecar",
        )
    ]


def _found(name: str, source: str) -> Finding:
    return info("nucleus", found=f"{name}, from {source}", expected="the measured nucleus")
