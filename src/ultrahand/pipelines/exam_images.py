"""A series of several images: which of them the numbers are of, and a row for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ultrahand.pipelines.exam_pictures import ImagePart
from ultrahand.records.findings import Finding
from ultrahand.report.content import Fact, Table
from ultrahand.report.sidecar_facts import parameter_facts

_RATIO = "Signal to noise, median"
_COLUMNS = ("EchoTime", "InversionTime", "FlipAngle", "RepetitionTime")
"""Fields of a sidecar that have a column where images differ in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesPart:
    """What was read back of one finished series."""

    sidecar: Mapping[str, object]
    """Of its first image."""
    shape: tuple[int, ...]
    """Frames and voxels ``(frames, z, y, x)`` of its first image."""
    n_images: int
    parts: tuple[ImagePart, ...]
    """Of its first images, at most `MAX_IMAGES`."""
    images: tuple[tuple[str, Mapping[str, object]], ...] = ()
    """What tells each image apart from the others, and its sidecar."""
    more_findings: tuple[Finding, ...] = field(default=())
    """Of the other images."""


def first_name(made: SeriesPart) -> str:
    """Return what the first of several images is called on the page."""
    name = made.images[0][0] if made.images else ""
    return f"the first, {name}" if name else "the first"


def which_image(made: SeriesPart) -> tuple[Fact, ...]:
    """Return the fact that the others are of the first image; nothing where it is the only one."""
    if made.n_images < 2:
        return ()
    told = f"of {first_name(made)}, alone; the table has all {made.n_images}"
    return (Fact(name="Values below, viewer", value=told),)


def images_table(made: SeriesPart) -> tuple[Table, ...]:
    """Return a row for each of several images: what sets it apart, and its signal to noise."""
    if len(made.images) < 2:
        return ()
    facts = [
        {f.name: f for f in parameter_facts(sidecar) if f.name in _COLUMNS}
        for _, sidecar in made.images
    ]
    fields = [name for name in _COLUMNS if len({of_image.get(name) for of_image in facts}) > 1]
    units = {name: f.unit for of_image in facts for name, f in of_image.items()}
    rows = []
    for i, ((name, _), of_image) in enumerate(zip(made.images, facts, strict=True)):
        ratio = median_ratio(made.parts[i]) if i < len(made.parts) else ""
        values = (of_image[field].value if field in of_image else "unknown" for field in fields)
        rows.append((name, *values, ratio or "not computed"))
    return (
        Table(
            title="The images of the series",
            columns=("image", *(f"{name} / {units[name]}" for name in fields), _RATIO.lower()),
            rows=tuple(rows),
            note="Signal to noise is of the brightest volume where an image has several.",
        ),
    )


def median_ratio(part: ImagePart) -> str:
    """Return the median signal to noise of an image; empty where it is not known."""
    return next((f.value for f in part.noise if f.name.startswith(_RATIO)), "")
