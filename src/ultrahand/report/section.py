"""One series or result in full: picture, viewer, numbers, findings, how it was made."""

from __future__ import annotations

from ultrahand.records.findings import Finding, Level
from ultrahand.report.budget import picture_keys, volume_key
from ultrahand.report.content import Section, Status
from ultrahand.report.fragments import (
    badge,
    data_table,
    facts_list,
    findings_table,
    folded,
    picture_figure,
)
from ultrahand.report.markup import EMPTY, Html, element, join
from ultrahand.report.viewer import shown_title, viewer_error


def section_article(anchor: str, section: Section, embedded: frozenset[str]) -> Html:
    """Return a section.

    Parameters
    ----------
    anchor
        Its id on the page.
    section
        What it shows.
    embedded
        Anchors of the pictures and volumes that the page holds.
    """
    pictures = [
        picture_figure(picture, key=key, embedded=key in embedded)
        for key, picture in zip(picture_keys(anchor, section), section.pictures, strict=True)
    ]
    return element(
        "article",
        element("h3", section.title, " ", badge(section.status)),
        element("p", section.summary, class_="summary") if section.summary else EMPTY,
        _reason(section),
        *pictures,
        _viewer_button(anchor, section, embedded),
        _parameters(section),
        *(data_table(table) for table in section.tables),
        _findings(section.findings),
        folded("Provenance: how to make it again", facts_list(section.provenance)),
        element("p", element("a", "Back to the overview", href="#overview"), class_="back"),
        id=anchor,
        class_=f"section {section.status}",
    )


def _reason(section: Section) -> Html:
    if not section.reason:
        return EMPTY
    word = "Note" if section.status is Status.DONE else f"Why {section.status}"
    return element("p", element("strong", f"{word}: "), section.reason, class_="reason")


def _viewer_button(anchor: str, section: Section, embedded: frozenset[str]) -> Html:
    if section.volume is None:
        return EMPTY
    key = volume_key(anchor)
    if key not in embedded:
        note = "Not in the viewer: the page would be too large. Open the image file itself."
        return element("p", note, class_="left-out")
    button = element(
        "button",
        f"Open {shown_title(section)} in the viewer",
        type="button",
        class_="open-viewer",
        data_volume=key,
        hidden=True,
    )
    note = f"For looking, not for measuring. {section.volume.note}".strip()
    line = element("p", button, " ", element("span", note, class_="note"), class_="viewer-line")
    return join([line, viewer_error(key)])


def _parameters(section: Section) -> Html:
    if not section.facts:
        return EMPTY
    return element("div", element("h4", "Parameters and noise"), facts_list(section.facts))


def _findings(findings: tuple[Finding, ...]) -> Html:
    """Return errors and warnings in the open, rules that were applied behind a line."""
    found = dict.fromkeys(findings)
    serious = [(f, EMPTY) for f in found if f.level is not Level.INFO]
    rules = [(f, EMPTY) for f in found if f.level is Level.INFO]
    return element(
        "div",
        findings_table(serious, title="Findings", where=False),
        folded(
            f"Rules applied ({len(rules)})",
            findings_table(rules, title="Rules applied, nothing wrong", where=False),
        ),
    )
