"""One HTML file that holds all of a report and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from ultrahand.errors import ResourceError, UltrahandError
from ultrahand.report import niivue
from ultrahand.report.budget import LIMIT_BYTES, embedded, numbered
from ultrahand.report.content import Report
from ultrahand.report.fragments import facts_list, folded
from ultrahand.report.markup import EMPTY, Html, element, join
from ultrahand.report.overview import contents, findings_first, masthead
from ultrahand.report.section import section_article
from ultrahand.report.viewer import viewer_data, viewer_dialog, viewer_notes

_FRAME_BYTES = 40_000
"""More than the viewer's window, its own script and its notes take."""


def render(report: Report) -> str:
    """Return the page of a report, to be written as UTF-8.

    The same report gives the same text. The page holds its style, its scripts and its data; its
    content security policy lets it load nothing else and run nothing but the scripts it names by
    their SHA-256 (W3C Content Security Policy Level 3, hash sources).

    Parameters
    ----------
    report
        What the page shows; text may hold anything, it stays text.

    Raises
    ------
    ResourceError
        The text alone is above `budget.LIMIT_BYTES`.
    UltrahandError
        The viewer's program is not the one that was checked in.
    """
    bare = _bytes(_page(report, frozenset()))
    has_volume = any(section.volume for _, section in numbered(report))
    viewer = _bytes(niivue.niivue_script()) + _bytes(niivue.niivue_licences()) if has_volume else 0
    room = LIMIT_BYTES - bare - viewer - _FRAME_BYTES
    page = _page(report, embedded(report, room))
    if _bytes(page) > LIMIT_BYTES:
        raise ResourceError(
            f"report page: its text takes {_bytes(page) / 1e6:.1f} MB, at most "
            f"{LIMIT_BYTES / 1e6:.0f} MB are allowed; make one report for fewer series"
        )
    return page


def _page(report: Report, chosen: frozenset[str]) -> str:
    data = viewer_data(report, chosen)
    scripts = [_asset("print.js")]
    if data:
        scripts += [niivue.niivue_script(), _asset("viewer.js")]
    style = _asset("page.css")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(scripts, style)),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{report.title}: {report.subtitle}"),
        element("style", Html(style)),
    )
    body = element(
        "body",
        element("a", "Skip to the overview", href="#overview", class_="skip"),
        masthead(report),
        viewer_notes() if data else EMPTY,
        element("main", findings_first(report), contents(report), *_sections(report, chosen)),
        _footer(report, with_viewer=bool(data)),
        viewer_dialog() if data else EMPTY,
        data,
        *(element("script", Html(script)) for script in scripts),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _sections(report: Report, chosen: frozenset[str]) -> list[Html]:
    articles = [section_article(anchor, section, chosen) for anchor, section in numbered(report)]
    n = len(report.sections)
    parts = [("Series", "series", articles[:n]), ("Results", "results", articles[n:])]
    return [
        element("section", element("h2", title), *made, id=anchor)
        for title, anchor, made in parts
        if made
    ]


def _footer(report: Report, *, with_viewer: bool) -> Html:
    cited = element("ul", *(element("li", text) for text in report.citations))
    viewer = (
        f"The viewer is {niivue.NAME} {niivue.VERSION} ({niivue.LICENCE}; {niivue.SOURCE}, "
        f"sha256 {niivue.SHA256})."
    )
    return element(
        "footer",
        join([element("h2", "How to cite"), cited]) if report.citations else EMPTY,
        folded("Provenance of this page", facts_list(report.provenance)),
        folded(
            "Licences of the viewer",
            element("p", viewer),
            element("pre", niivue.niivue_licences(), class_="licences"),
        )
        if with_viewer
        else EMPTY,
        element(
            "p",
            "Research software, not a medical device: nothing here is a diagnosis. "
            "This file is complete in itself and sends nothing.",
            class_="note",
        ),
    )


def _policy(scripts: list[str], style: str) -> str:
    """Allow the scripts and the style by their hashes, pictures in the page, and nothing else."""
    allowed = " ".join(_hash_source(script, "script") for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash_source(style, 'style')}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash_source(text: str, name: str) -> str:
    """Return the CSP source of what an inline element holds, which must end where it seems to."""
    if any(end in text.lower() for end in (f"</{name}", "<!--", "\r")):
        raise UltrahandError(f"a {name} of the page would not survive inside HTML")
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _asset(name: str) -> str:
    return files("ultrahand.report").joinpath("assets", name).read_text("utf-8")


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))
