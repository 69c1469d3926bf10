"""Values of the tissue table and how sure they are: entries and their sources."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, cast, final

from ultrahand.errors import InputError, one_line
from ultrahand.records.arrays import require

DEFINED: Final = "by definition"
MEASURED: Final = "measured"
ELSEWHERE: Final = "measured elsewhere"
ASSUMED: Final = "assumed"
OWN: Final = "own"
"""Basis of a value that the caller gave; the table itself has none."""

ENTRIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "": ("susceptibility_ppm", "density_kg_per_m3", "chemical_shift_ppm"),
        "proton": ("proton_density", "t1_s", "t2_s", "t2star_s"),
        "sodium": (
            "concentration_mmol_per_l",
            "t1_s",
            "t2star_short_s",
            "t2star_long_s",
            "short_fraction",
        ),
    }
)
"""The entries that every tissue has, by group; a tissue names them ``proton.t1_s``."""

NAMES: Final = tuple(
    f"{group}.{key}" if group else key for group, keys in ENTRIES.items() for key in keys
)
ENTRY_KEYS: Final = {"value", "sd", "n", "field_t", "source", "basis", "reason"}


@final
@dataclass(frozen=True, kw_only=True)
class Entry:
    """A value and how sure it is."""

    value: float
    basis: str
    """``by definition``, ``measured``, ``measured elsewhere``, ``assumed``; ``own``: a caller's."""
    sd: float | None = None
    """Standard deviation between subjects or samples, in the value's unit."""
    n: int | None = None
    field_t: float | None = None
    """Of the measurement, or for which an assumption is made; None: it depends on no field."""
    source: str | None = None
    """Key into the table's sources."""
    reason: str | None = None

    def __post_init__(self) -> None:
        numbers = [self.value, *(x for x in (self.sd, self.field_t) if x is not None)]
        require(all(map(math.isfinite, numbers)), f"entries must be finite, got {self}")
        require(self.sd is None or self.sd > 0.0, f"sd must be positive, got {self}")
        require(self.n is None or self.n > 0, f"n must be positive, got {self}")
        known = {DEFINED, MEASURED, ELSEWHERE, ASSUMED, OWN}
        require(self.basis in known, f"basis must be one of {sorted(known)}, got {self.basis!r}")
        bare = self.basis in {DEFINED, ASSUMED} and not self.reason
        require(not bare, f"an assumption or definition needs a reason: {self}")
        measured = self.basis in {MEASURED, ELSEWHERE}
        require(not measured or bool(self.source), f"a measurement needs a source: {self}")


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """A publication or database."""

    text: str
    read: str
    """``text`` or ``abstract``: its numbers were read there; ``cited``: known from others;
    ``not read``: where to look."""
    doi: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        require(self.read in {"text", "abstract", "cited", "not read"}, f"unknown reading: {self}")
        require(bool(self.doi or self.url), f"a source needs a doi or url: {self}")


def own_entry(tissue: str, key: str, value: float | Mapping[str, object]) -> Entry:
    """Return an entry that replaces one of a tissue.

    Parameters
    ----------
    tissue, key
        Whose, and which: a name such as ``proton.t1_s``.
    value
        A number, or ``value`` with any of ``sd``, ``n``, ``field_t`` and ``reason``.

    Raises
    ------
    InputError
        The key, a part of the value or a number is not what entries have.
    """
    where = f"{tissue} {key}"
    if key not in NAMES:
        remedy = "correct the name"
        raise InputError(where, found=key, expected=f"one of {', '.join(NAMES)}", remedy=remedy)
    parts = dict(value) if isinstance(value, Mapping) else {"value": value}
    allowed = ENTRY_KEYS - {"basis", "source"}
    if "value" not in parts or not set(parts) <= allowed:
        expected = f"value, and any of {', '.join(sorted(allowed - {'value'}))}"
        raise InputError(where, found=sorted(parts), expected=expected, remedy="correct the keys")
    for name in {"value", "sd", "n", "field_t"} & set(parts):
        number = parts[name]
        real = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not real or not math.isfinite(cast(float, number)):
            found, remedy = one_line(repr(number), 40), "give a number without unit or quotes"
            expected = "a finite number"
            raise InputError(f"{where} {name}", found=found, expected=expected, remedy=remedy)
    return Entry(basis=OWN, **cast(Any, parts))
