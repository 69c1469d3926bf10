"""The file of the tissue table, and the checks on reading it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, final

from ultrahand.physics.tissue_entries import (
    ASSUMED,
    ENTRIES,
    ENTRY_KEYS,
    NAMES,
    OWN,
    Entry,
    Source,
)
from ultrahand.records.arrays import require


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole file."""

    version: str
    sources: Mapping[str, Source]
    tissues: Mapping[str, Mapping[str, Entry]]
    comments: Mapping[str, str]


def read_table(text: str | None = None) -> Table:
    """Read the table, by default the one that comes with the package.

    Raises
    ------
    RecordError
        An unknown or missing key, an unknown source, a measurement without one, an assumption
        without a reason.
    """
    if text is None:
        file = resources.files("ultrahand.physics") / "tissues.toml"
        text = file.read_text(encoding="utf-8")
    data = tomllib.loads(text)
    require(set(data) == {"version", "sources", "tissue"}, f"unknown tables in {sorted(data)}")
    sources = {key: _source(key, parts) for key, parts in data["sources"].items()}
    raw = {name: _flat(name, groups) for name, groups in data["tissue"].items()}
    tissues = {
        name: MappingProxyType({key: _entry(raw, name, key, sources) for key in NAMES})
        for name in raw
    }
    comments = {name: str(groups["comment"]) for name, groups in data["tissue"].items()}
    return Table(
        version=str(data["version"]),
        sources=MappingProxyType(sources),
        tissues=MappingProxyType(tissues),
        comments=MappingProxyType(comments),
    )


def _source(key: str, parts: Mapping[str, str]) -> Source:
    wrong = set(parts) - {"text", "read", "doi", "url"} | {"text", "read"} - set(parts)
    require(not wrong, f"source {key}: unknown or missing {sorted(wrong)}")
    return Source(**parts)


def _flat(tissue: str, groups: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Bring a tissue's groups to names with dots; refuse any that is unknown or missing."""
    flat = {key: value for key, value in groups.items() if key not in {*ENTRIES, "comment"}}
    for group in ("proton", "sodium"):
        flat |= {f"{group}.{key}": value for key, value in groups.get(group, {}).items()}
    wrong = set(flat) ^ set(NAMES)
    require(not wrong and "comment" in groups, f"{tissue}: unknown or missing {sorted(wrong)}")
    return flat


def _entry(
    raw: Mapping[str, Mapping[str, dict[str, Any]]],
    tissue: str,
    key: str,
    sources: Mapping[str, Source],
    passed: tuple[str, ...] = (),
) -> Entry:
    """Return one entry, following ``like`` to the tissue that it names."""
    parts = raw[tissue][key]
    require(tissue not in passed, f"{tissue} {key}: like leads back to itself")
    if "like" in parts:
        require(set(parts) == {"like", "reason"}, f"{tissue} {key}: like takes a reason alone")
        require(parts["like"] in raw, f"{tissue} {key}: no tissue {parts['like']!r}")
        other = _entry(raw, parts["like"], key, sources, (*passed, tissue))
        reason = f"as {parts['like']}: {parts['reason']}"
        return Entry(
            value=other.value,
            basis=ASSUMED,
            field_t=other.field_t,
            source=other.source,
            reason=reason,
        )
    wrong = set(parts) - ENTRY_KEYS | {"value", "basis"} - set(parts)
    require(not wrong, f"{tissue} {key}: unknown or missing {sorted(wrong)}")
    source = parts.get("source")
    require(source is None or source in sources, f"{tissue} {key}: no source {source!r}")
    require(parts.get("basis") != OWN, f"{tissue} {key}: basis {OWN!r} is the caller's")
    return Entry(**parts)
