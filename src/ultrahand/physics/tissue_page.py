"""The tissue table as a page for readers: values first, then where each comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ultrahand.physics.contrast_agents import (
    R1_PER_S_PER_MMOL_PER_L,
    R2STAR_PER_S_PER_MMOL_PER_L,
)
from ultrahand.physics.contrast_agents import SOURCES as AGENT_SOURCES
from ultrahand.physics.tissue_entries import ASSUMED, NAMES, Entry, Source
from ultrahand.physics.tissues import Tissue, sources, table_version, tissue, tissue_names

UNSURE: Final = "?"

_PROTON: Final = (
    ("proton.proton_density", "density"),
    ("proton.t1_s", "T1 s"),
    ("proton.t2_s", "T2 s"),
    ("proton.t2star_s", "T2* s"),
    ("chemical_shift_ppm", "shift ppm"),
    ("susceptibility_ppm", "susceptibility ppm"),
    ("density_kg_per_m3", "kg/m3"),
)
_SODIUM: Final = (
    ("sodium.concentration_mmol_per_l", "mmol/L"),
    ("sodium.t1_s", "T1 s"),
    ("sodium.t2star_short_s", "T2* short s"),
    ("sodium.t2star_long_s", "T2* long s"),
    ("sodium.short_fraction", "short fraction"),
)
_INTRODUCTION: Final = f"""\
# Tissues at 7 T

Table version {{version}}, written from `src/ultrahand/physics/tissues.toml` by
`python -c "from ultrahand.physics.tissue_page import tissue_page; print(tissue_page(), end='')"`.

Simulations take these values as truth and corrections take them as defaults. They are not normal
ranges: no sodium value of finger joints is published that we know of. Values marked `{UNSURE}` are
assumptions, or come from a source that we know from citations only; check them before a result
leans on them, and replace them with your own:
`tissue("cartilage", {{{{"sodium.t1_s": 0.0185}}}})`.

Proton densities count MR-visible protons relative to water. Susceptibilities are SI volume values,
absolute (water: -9.05). Shifts are of the proton signal relative to water; fat is its main peak
alone. Sodium counts per litre of tissue; vials take their concentration from the vial table, and
relaxation from `agar` or `saline`.
"""


def tissue_page() -> str:
    """Return the page ``docs/tissues.md``, in Markdown."""
    tissues = [tissue(name) for name in tissue_names()]
    parts = [
        _INTRODUCTION.format(version=table_version()),
        "## Protons, susceptibility, density\n",
        _values(tissues, _PROTON),
        "## Sodium\n",
        _values(tissues, _SODIUM),
        "## Contrast agents\n",
        _agents(),
        "## Where each value comes from\n",
        *(f"### {item.name}\n\n{item.comment}\n\n{_entries(item)}" for item in tissues),
        "## Sources\n",
        _sources({**sources(), **AGENT_SOURCES}.items()),
    ]
    return "\n".join(parts)


def _values(tissues: Sequence[Tissue], columns: Sequence[tuple[str, str]]) -> str:
    rows = [[item.name, *(_marked(item.entries[key]) for key, _ in columns)] for item in tissues]
    return _table(["tissue", *(title for _, title in columns)], rows)


def _entries(item: Tissue) -> str:
    rows = [[f"`{key}`", *_provenance(item.entries[key])] for key in NAMES]
    return _table(["entry", "value", "n", "field T", "basis", "source", "note"], rows)


def _agents() -> str:
    rows = [
        [agent, "r1", medium, *_provenance(entry)]
        for (agent, medium), entry in R1_PER_S_PER_MMOL_PER_L.items()
    ]
    rows.append(["any", "r2*", "", *_provenance(R2STAR_PER_S_PER_MMOL_PER_L)])
    head = ["agent", "relaxivity", "medium", "1/s per mmol/L"]
    return _table([*head, "n", "field T", "basis", "source", "note"], rows)


def _provenance(entry: Entry) -> list[str]:
    spread = "" if entry.sd is None else f" ± {entry.sd:g}"
    count, field = ("" if x is None else f"{x:g}" for x in (entry.n, entry.field_t))
    value = f"{entry.value:g}{spread}{_mark(entry)}"
    return [value, count, field, entry.basis, entry.source or "", entry.reason or ""]


def _sources(items: Iterable[tuple[str, Source]]) -> str:
    rows = []
    for key, source in items:
        where = f"doi:{source.doi}" if source.doi else f"<{source.url}>"
        rows.append([key, source.text, where, source.read])
    return _table(["key", "publication", "where", "numbers read in"], rows)


def _marked(entry: Entry) -> str:
    return f"{entry.value:g}{_mark(entry)}"


def _mark(entry: Entry) -> str:
    known = {**sources(), **AGENT_SOURCES}
    read = entry.source is None or known[entry.source].read in {"text", "abstract"}
    return "" if read and entry.basis != ASSUMED else f" {UNSURE}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
