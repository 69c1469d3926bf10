"""What tissues of the hand are to magnetic resonance at 7 T: one record each, every value sourced.

The table ``tissues.toml`` beside this file holds the values, each with its basis and source; the
page ``docs/tissues.md`` shows them. A caller's own values replace single entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal, final

from ultrahand.errors import UsageError
from ultrahand.physics.tissue_entries import ENTRIES, Entry, Source, own_entry
from ultrahand.physics.tissue_table import read_table
from ultrahand.records.arrays import require

WATER_SUSCEPTIBILITY_PPM: Final = -9.05
"""Volume susceptibility of water at 37 C, SI (Schenck, Med Phys 1996;23:815,
doi:10.1118/1.597854)."""


@final
@dataclass(frozen=True, kw_only=True)
class Proton:
    """Protons of water, or of fat where the tissue's chemical shift says so."""

    proton_density: float
    """MR-visible protons relative to water."""
    t1_s: float
    t2_s: float
    t2star_s: float

    def __post_init__(self) -> None:
        require(self.proton_density >= 0.0, "proton.proton_density must not be negative")
        ordered = 0.0 < self.t2star_s <= self.t2_s <= self.t1_s
        require(ordered, f"proton: expected 0 < T2* <= T2 <= T1, got {self}")


@final
@dataclass(frozen=True, kw_only=True)
class Sodium:
    """Sodium-23, in mmol per litre of tissue."""

    concentration_mmol_per_l: float
    t1_s: float
    t2star_short_s: float
    t2star_long_s: float
    """Equals the short one in fluids."""
    short_fraction: float

    def __post_init__(self) -> None:
        require(self.concentration_mmol_per_l >= 0.0, "sodium concentration must not be negative")
        ordered = 0.0 < self.t2star_short_s <= self.t2star_long_s <= self.t1_s
        require(ordered, f"sodium: expected 0 < short <= long T2* <= T1, got {self}")
        require(0.0 <= self.short_fraction <= 1.0, f"short_fraction must be in [0, 1], got {self}")


@final
@dataclass(frozen=True, kw_only=True)
class Tissue:
    """A tissue or material, at 7 T."""

    name: str
    comment: str
    proton: Proton
    sodium: Sodium
    susceptibility_ppm: float
    """Volume susceptibility, SI, absolute: water is -9.05."""
    density_kg_per_m3: float
    chemical_shift_ppm: float
    """Of its proton signal relative to water; fat's main peak lies at -3.4."""
    entries: Mapping[str, Entry]
    """Where each value comes from, by name (``proton.t1_s``, ``density_kg_per_m3``)."""

    def __post_init__(self) -> None:
        require(self.density_kg_per_m3 > 0.0, f"{self.name}: density must be positive")


def tissue(name: str, own: Mapping[str, float | Mapping[str, object]] | None = None) -> Tissue:
    """Return a tissue of the table.

    Parameters
    ----------
    name
        A name of `tissue_names`.
    own
        Entries that replace the table's: by name (``sodium.t1_s``) a number, or a mapping with
        ``value`` and any of ``sd``, ``n``, ``field_t``, ``reason``.

    Raises
    ------
    UsageError
        No such tissue.
    InputError
        An entry of `own` that tissues do not have, or one that is no finite number.
    RecordError
        The values contradict each other: T2 above T1, a negative density.
    """
    table = _table()
    if name not in table.tissues:
        raise UsageError(f"tissue {name!r} is unknown; one of {', '.join(table.tissues)}")
    if not own:
        return _built(name)
    replaced = {key: own_entry(name, key, value) for key, value in own.items()}
    return _build(name, {**table.tissues[name], **replaced})


def tissue_names() -> tuple[str, ...]:
    """Return the names of all tissues, in the order of the table."""
    return tuple(_table().tissues)


def table_version() -> str:
    """Return the version of the table: results that used it name it."""
    return _table().version


def sources() -> Mapping[str, Source]:
    """Return what the table's entries cite, by key."""
    return _table().sources


_table: Final = cache(read_table)


@cache
def _built(name: str) -> Tissue:
    return _build(name, _table().tissues[name])


def _build(name: str, entries: Mapping[str, Entry]) -> Tissue:
    def values(group: Literal["proton", "sodium"]) -> dict[str, float]:
        return {key: entries[f"{group}.{key}"].value for key in ENTRIES[group]}

    return Tissue(
        name=name,
        comment=_table().comments[name],
        proton=Proton(**values("proton")),
        sodium=Sodium(**values("sodium")),
        entries=MappingProxyType(dict(entries)),
        **{key: entries[key].value for key in ENTRIES[""]},
    )
