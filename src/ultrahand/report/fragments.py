"""The parts that every section is made of: facts, findings, tables, pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from ultrahand.records.findings import Finding, Level
from ultrahand.report.content import Fact, Picture, Status, Table
from ultrahand.report.markup import EMPTY, Html, element, join

MAX_ROWS = 200
"""Rows of a table that a page shows; the rest is counted. Whole tables are files of their own."""
_LONG = 60
"""Characters of a value from which it has a line to itself."""

_STATUS = {
    Status.DONE: ("\u2713", "done"),
    Status.FAILED: ("\u2715", "failed"),
    Status.MISSING: ("\u25cb", "missing"),
    Status.SKIPPED: ("\u2013", "skipped"),
}
_LEVEL = {Level.ERROR: "\u2715 error", Level.WARNING: "\u26a0 warning", Level.INFO: "i info"}
_ORDER = (Level.ERROR, Level.WARNING, Level.INFO)


def badge(status: Status) -> Html:
    """Return a status as sign, word and colour: none of them alone carries it."""
    sign, word = _STATUS[status]
    mark = element("span", sign, aria_hidden="true")
    return element("span", mark, f" {word}", class_=f"badge {status}")


def facts_list(facts: tuple[Fact, ...]) -> Html:
    """Return named values, each with its unit."""
    if not facts:
        return EMPTY
    pairs = []
    for fact in facts:
        value = f"{fact.value} {fact.unit}".strip()
        row = element("dt", fact.name), element("dd", value)
        pairs.append(element("div", *row, class_="long" if len(value) > _LONG else False))
    return element("dl", *pairs, class_="facts")


def findings_table(rows: Iterable[tuple[Finding, Html]], *, title: str, where: bool) -> Html:
    """Return findings, errors first.

    Parameters
    ----------
    rows
        Each finding and the links to where it was made.
    title
        Caption of the table.
    where
        Whether to show those links.
    """
    ordered = sorted(rows, key=lambda row: _ORDER.index(row[0].level))
    if not ordered:
        return EMPTY
    columns = ("level", *(("where",) if where else ()), "field", "found", "expected", "remedy")
    body = [
        _finding_row(finding, links if where else None) for finding, links in ordered[:MAX_ROWS]
    ]
    return _table(title, columns, body, _shown(len(body), len(ordered)), class_="findings")


def _finding_row(finding: Finding, links: Html | None) -> Html:
    """Return one row. Its roles are named because a narrow screen shows rows as blocks."""
    level = element("span", _LEVEL[finding.level], class_=f"level {finding.level}")
    cells = [element("td", level, role="cell")]
    if links is not None:
        cells.append(element("td", links, role="cell", data_label="where"))
    cells.append(element("th", finding.field, scope="row", role="rowheader", data_label="field"))
    told = {"found": finding.found, "expected": finding.expected, "remedy": finding.remedy}
    cells += [element("td", text, role="cell", data_label=name) for name, text in told.items()]
    return element("tr", *cells, role="row")


def data_table(table: Table) -> Html:
    """Return a table; of a long one the first rows, with how many there are."""
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", c) for c in row[1:]))
        for row in table.rows[:MAX_ROWS]
    ]
    notes = [table.note, _shown(len(body), len(table.rows))]
    return _table(table.title, table.columns, body, " ".join(n for n in notes if n))


def _shown(n_shown: int, n_all: int) -> str:
    return "" if n_shown == n_all else f"The first {n_shown} of {n_all} rows are shown."


def _table(
    title: str, columns: tuple[str, ...], body: list[Html], note: str, class_: str = "data"
) -> Html:
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    whole = element(
        "table",
        element("caption", title) if title else EMPTY,
        element("thead", head),
        element("tbody", *body),
        class_=class_,
        role="table",
    )
    # A wide table scrolls by itself, by keyboard too, and leaves the page as it is.
    framed = element(
        "div", whole, class_="scroll", tabindex=0, role="region", aria_label=title or columns[0]
    )
    return join([framed, element("p", note, class_="note") if note else EMPTY])


def picture_figure(picture: Picture, *, key: str, embedded: bool) -> Html:
    """Return a picture with its caption, or the words that stand for it where it is left out."""
    words = [element("strong", f"{picture.title}."), " ", picture.caption]
    if not embedded:
        note = element("p", "Picture left out: the page would be too large.", class_="left-out")
        return element("figure", note, element("figcaption", *words), id=key)
    width, height = picture.size_px
    data = base64.b64encode(picture.png).decode("ascii")
    image = element(
        "img",
        src=f"data:image/png;base64,{data}",
        alt=f"{picture.title}. {picture.caption}",
        width=width,
        height=height,
    )
    # On a narrow screen a picture keeps a width at which its numbers are read, and scrolls.
    framed = element("div", image, class_="picture")
    return element("figure", framed, element("figcaption", *words), id=key)


def folded(summary: str, *children: str) -> Html:
    """Return parts behind a line that unfolds them; nothing where there are none."""
    if not any(children):
        return EMPTY
    return element("details", element("summary", summary), *children)
