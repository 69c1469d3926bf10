"""The first screen: what was examined, what came of it, what is odd, where to find it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ultrahand.records.findings import Finding, Level
from ultrahand.report.budget import numbered
from ultrahand.report.content import Report, Section, Status
from ultrahand.report.fragments import badge, facts_list, findings_table
from ultrahand.report.markup import EMPTY, Html, element, join


def masthead(report: Report) -> Html:
    """Return the title, the hand, the verdict and the facts of the examination."""
    hands = {"both": "both hands", "unknown": "hand not stated"}
    hand = hands.get(report.hand, f"{report.hand} hand")
    return element(
        "header",
        element("h1", report.title),
        element("p", report.subtitle, " \u00b7 ", element("strong", hand), class_="subtitle"),
        _verdict(report),
        facts_list(report.facts),
        id="top",
    )


def findings_first(report: Report) -> Html:
    """Return every error and warning of the page, wherever it was made, each once."""
    places: dict[Finding, list[Html]] = {}
    for finding in report.findings:
        places.setdefault(finding, []).append(Html("examination"))
    for anchor, section in numbered(report):
        for finding in dict.fromkeys(section.findings):
            link = element("a", section.title, href=f"#{anchor}")
            places.setdefault(finding, []).append(link)
    serious = {f: links for f, links in places.items() if f.level is not Level.INFO}
    rules = len(places) - len(serious)
    note = f"{_count(rules, 'rule')} applied without anything being wrong: " if rules else ""
    whole = [(f, EMPTY) for f in report.findings if f.level is Level.INFO]
    return element(
        "section",
        element("h2", "Findings in the headers and the data"),
        findings_table(
            ((f, _separated(links)) for f, links in serious.items()),
            title="Errors and warnings",
            where=True,
        )
        or element("p", "No errors and no warnings.", class_="good"),
        element("p", note + "see each series.", class_="note") if note else EMPTY,
        findings_table(whole, title="Rules applied to the whole examination", where=False),
        id="findings",
    )


def contents(report: Report) -> Html:
    """Return the tables of series and results, with what became of each."""
    anchors = numbered(report)
    series, results = anchors[: len(report.sections)], anchors[len(report.sections) :]
    return element(
        "section",
        element("h2", "Overview"),
        _table("Series", series) or element("p", "The examination has no series."),
        _table("Results expected of this examination", results),
        id="overview",
    )


def _table(title: str, rows: list[tuple[str, Section]]) -> Html:
    if not rows:
        return EMPTY
    columns = ("name", "status", "what", "findings")
    body = [_row(anchor, section) for anchor, section in rows]
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    whole = element(
        "table",
        element("caption", title),
        element("colgroup", *(element("col", class_=column) for column in columns)),
        element("thead", head),
        element("tbody", *body),
        class_="overview",
        role="table",
    )
    return element("div", whole, class_="scroll")


def _row(anchor: str, section: Section) -> Html:
    """Return one row. Its roles are named because a narrow screen shows rows as blocks."""
    what = section.summary if section.status is Status.DONE else section.reason
    link = element("a", section.title, href=f"#{anchor}")
    return element(
        "tr",
        element("th", link, scope="row", role="rowheader"),
        element("td", badge(section.status), role="cell"),
        element("td", what, role="cell"),
        element("td", _levels(section.findings), role="cell", data_label="findings"),
        role="row",
    )


def _verdict(report: Report) -> Html:
    sentences = [f"{_tally(report.sections, 'series', 'series')}."]
    if report.results:
        sentences.append(f"{_tally(report.results, 'result', 'results')}.")
    everything = list(report.findings)
    for section in (*report.sections, *report.results):
        everything += section.findings
    found = _levels(dict.fromkeys(everything))
    sentences.append(f"{found or 'No errors and no warnings'} in headers and data.")
    whole = all(s.status is Status.DONE for s in (*report.sections, *report.results))
    good = whole and not found
    return element(
        "p", " ".join(sentences), class_="verdict good" if good else "verdict", id="verdict"
    )


def _tally(sections: tuple[Section, ...], one: str, many: str) -> str:
    """Say how many of the sections came to what; what did not occur is not said."""
    n = Counter(section.status for section in sections)
    parts = [f"{n[Status.DONE]} of {len(sections)} {one if len(sections) == 1 else many} done"]
    parts += [f"{n[status]} {status}" for status in list(Status)[1:] if n[status]]
    return ", ".join(parts)


def _levels(findings: Iterable[Finding]) -> str:
    n = Counter(finding.level for finding in findings)
    parts = [_count(n[level], level.value) for level in (Level.ERROR, Level.WARNING) if n[level]]
    return ", ".join(parts)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _separated(links: list[Html]) -> Html:
    return join([part for link in links for part in (Html(", "), link)][1:])
