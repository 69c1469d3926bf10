"""Tables as TSV: UTF-8, ``n/a`` for what is missing, units in the column names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def write_tsv(
    path: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    columns: Sequence[str] | None = None,
) -> None:
    """Write rows as a table.

    Parameters
    ----------
    path
        The file.
    rows
        Each with the same keys; None is written ``n/a``.
    columns
        Their names, where there may be no row.
    """
    names = list(columns or (rows[0] if rows else ()))
    lines = ["\t".join(names)]
    lines += ["\t".join(_cell(row[name]) for name in names) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(value: object) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, float):
        return f"{value:.10g}"
    return " ".join(str(value).split())
