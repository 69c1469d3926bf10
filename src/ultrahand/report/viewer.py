"""The viewer's window, its data, and what the page says where it cannot run."""

from __future__ import annotations

import base64
import json

from ultrahand.report.budget import numbered, volume_key
from ultrahand.report.content import Report, Section, Volume
from ultrahand.report.markup import EMPTY, Html, element, join, printable

_AXES = ("x", "y", "z")


def viewer_notes() -> Html:
    """Return the two notes of which one shows where the viewer cannot run."""
    return join(
        [
            element(
                "noscript",
                element(
                    "p",
                    "Scripts are off: the viewer is closed. Everything else is here; "
                    "the pictures stand for the series.",
                    class_="notice",
                ),
            ),
            element("p", id="viewer-notice", class_="notice", role="alert", hidden=True),
        ]
    )


def viewer_error(key: str) -> Html:
    """Return where the page says, beside its button, that a volume could not be shown."""
    return element("p", id=f"{key}-error", class_="notice", role="alert", hidden=True)


def viewer_dialog() -> Html:
    """Return the window with its controls; the script fills it."""
    sliders = [
        element(
            "label",
            element("span", axis, id=f"viewer-{axis}-name"),
            element("input", type="range", id=f"viewer-{axis}", min=0, max=1, step="any"),
        )
        for axis in _AXES
    ]
    head = element(
        "div",
        element("h2", "Viewer", id="viewer-title"),
        element("label", "Series ", element("select", id="viewer-series")),
        element("button", "Close", type="button", id="viewer-close"),
        class_="viewer-head",
    )
    canvas = element(
        "canvas", id="viewer-canvas", tabindex=0, aria_label="Three planes through the volume"
    )
    controls = element(
        "div",
        _number("Darkest", "viewer-low"),
        element("canvas", id="viewer-colours", width=256, height=1, aria_hidden="true"),
        _number("Brightest", "viewer-high"),
        element("span", id="viewer-unit"),
        element("button", "Reset window", type="button", id="viewer-reset"),
        element(
            "label",
            element("span", id="viewer-frame-name"),
            element("input", type="range", id="viewer-frame", min=0, max=0, step=1, value=0),
            id="viewer-frame-line",
        ),
        *sliders,
        class_="viewer-controls",
    )
    return element(
        "dialog",
        head,
        element(
            "div", canvas, element("span", id="viewer-scale", hidden=True), class_="viewer-canvas"
        ),
        element("output", id="viewer-value", aria_live="polite"),
        controls,
        element("p", id="viewer-note", class_="note"),
        id="viewer",
        aria_labelledby="viewer-title",
    )


def shown_title(section: Section) -> str:
    """Return what the viewer's button and list call the volume of a section."""
    image = section.volume.image if section.volume else ""
    return f"{section.title}, {image}" if image else section.title


def viewer_data(report: Report, embedded: frozenset[str]) -> Html:
    """Return the volumes as blocks of data, which no browser runs.

    One block of JSON tells what they are; each volume is base64 of its gzipped NIfTI file.
    """
    told, blocks = [], []
    for anchor, section in numbered(report):
        key = volume_key(anchor)
        if section.volume is None or key not in embedded:
            continue
        told.append(_told(key, shown_title(section), section.volume))
        data = base64.b64encode(section.volume.nifti_gz).decode("ascii")
        blocks.append(element("script", Html(data), type="text/plain", id=key))
    if not told:
        return EMPTY
    # In a script element only "</script" and "<!--" mean anything: without "<" neither is there.
    text = json.dumps(told, allow_nan=False).replace("<", "\\u003c")
    return join([element("script", Html(text), type="application/json", id="volumes"), *blocks])


def _told(key: str, title: str, volume: Volume) -> dict[str, object]:
    return {
        "id": key,
        "title": printable(title),
        "name": printable(volume.name),
        "unit": printable(volume.unit),
        "window": list(volume.window),
        "colormap": volume.colormap,
        "start": None if volume.start_ras_mm is None else list(volume.start_ras_mm),
        "startFrame": volume.start_frame,
        "known": volume.directions_known,
        "frames": [printable(frame) for frame in volume.frames],
        "step": volume.step,
        "gap": volume.gap,
        "clipped": list(volume.clipped),
        "note": printable(volume.note),
    }


def _number(name: str, key: str) -> Html:
    return element("label", f"{name} ", element("input", type="number", id=key, step="any"))
