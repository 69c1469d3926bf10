"""The report of an examination: the table's rows and the images, put together for one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ultrahand import __version__
from ultrahand.pipelines.citations import citations
from ultrahand.pipelines.exam import Row, Status
from ultrahand.pipelines.exam_images import (
    SeriesPart,
    first_name,
    images_table,
    median_ratio,
    which_image,
)
from ultrahand.pipelines.exam_results import expected_results
from ultrahand.records.findings import Finding, Level
from ultrahand.report.content import Fact, Report, Section
from ultrahand.report.content import Status as Shown
from ultrahand.report.sidecar_facts import parameter_facts, provenance_facts, sidecar_findings

if TYPE_CHECKING:
    from ultrahand.io.exam_file import Examination

MAX_IMAGES: Final = 6
"""Images of one series of which pictures are shown; the others are counted."""
NO_PICTURES: Final = (
    "no pictures, because matplotlib is not installed: pip install 'ultrahand[report]', then run "
    "ultrahand exam again"
)

_NO_REASON: Final = "no reason is recorded"
_STATUS: Final = {
    Status.DONE: Shown.DONE,
    Status.SKIPPED: Shown.SKIPPED,
    Status.NOT_RUN: Shown.MISSING,
    Status.FAILED: Shown.FAILED,
    Status.NEEDS_PARALLEL_IMAGING: Shown.FAILED,
}
_KINDS: Final = {
    "morphology": "morphology",
    "multiecho": "multi-echo gradient echo",
    "t1": "T1 mapping, source images",
    "dynamic": "dynamic contrast-enhanced",
    "sodium": "sodium",
    "tq": "triple-quantum-filtered sodium",
    "b1": "transmit field, source images",
    "sodium_b1": "sodium transmit field, source images",
    "noise": "noise scan",
    "ct": "computed tomography",
    "xray": "radiograph",
}


def section_of(row: Row, made: SeriesPart | None, *, drawn: bool) -> Section:
    """Return the section of one series.

    Parameters
    ----------
    row
        What became of it.
    made
        What was read back; None where nothing was made.
    drawn
        Whether pictures could be made.
    """
    kind = _KINDS.get(row.kind, row.kind)
    title = f"{row.series}: {kind}" if row.series != kind else kind
    if made is None:
        reason = row.reason or _NO_REASON
        if row.status is Status.NEEDS_PARALLEL_IMAGING:
            reason = f"{row.status}: {reason}"
        findings = (failure_of(row),) if row.status is Status.FAILED else ()
        return Section(title=title, status=_STATUS[row.status], reason=reason, findings=findings)
    first = made.parts[0]
    seen = dict.fromkeys((*sidecar_findings(made.sidecar), *made.more_findings))
    hidden = made.n_images - len(made.parts)
    notes = [
        "" if drawn else NO_PICTURES,
        f"{hidden} of {made.n_images} images are not shown here; exam.tsv lists all" * (hidden > 0),
    ]
    return Section(
        title=title,
        status=_STATUS[row.status],
        reason="; ".join(note for note in notes if note),
        summary=_summary(made),
        facts=(*which_image(made), *first.noise, *parameter_facts(made.sidecar)),
        findings=tuple(seen),
        pictures=tuple(picture for part in made.parts for picture in part.pictures),
        volume=first.volume,
        tables=(*images_table(made), *(table for part in made.parts for table in part.tables)),
        provenance=provenance_facts(made.sidecar),
    )


def failure_of(row: Row) -> Finding:
    """Return why a series failed as an error among the findings: nobody may overlook it.

    Parameters
    ----------
    row
        A series that failed; where no input was refused, its reason is words alone.
    """
    return row.refusal or Finding(
        level=Level.ERROR,
        field="series",
        found=row.reason or _NO_REASON,
        expected="one that can be reconstructed",
        remedy="cure what was found and run ultrahand exam again",
    )


def report_of(
    exam: Examination,
    rows: Sequence[Row],
    sections: Sequence[Section],
    sidecars: Iterable[Mapping[str, object]],
    *,
    provenance: Iterable[Fact],
) -> Report:
    """Return the report of an examination.

    Parameters
    ----------
    exam
        Who and what was examined; the subject is a pseudonym.
    rows, sections
        What became of each series, and its section, in one order.
    sidecars
        Of the finished series.
    provenance
        What the page was made from.
    """
    sidecars = list(sidecars)
    return Report(
        title="Examination of the hand",
        subtitle=f"subject {exam.subject} (pseudonym), session {exam.session}",
        hand=exam.hand,
        facts=_facts(exam, rows, sidecars),
        sections=tuple(sections),
        results=expected_results(rows),
        provenance=(Fact(name="ultrahand", value=__version__), *provenance),
        citations=citations(sidecars),
    )


def _facts(
    exam: Examination, rows: Sequence[Row], sidecars: Sequence[Mapping[str, object]]
) -> tuple[Fact, ...]:
    given = [
        name
        for name in ("landmarks", "vials", "labels", "spheres")
        if getattr(exam, name) is not None
    ]
    return (
        Fact(name="Protocol", value=exam.protocol or "not stated"),
        Fact(name="Field strength", value=_all(sidecars, "MagneticFieldStrength"), unit="T"),
        Fact(name="Nuclei", value=_all(sidecars, "ResonantNucleus")),
        Fact(name="Scanner", value=_all(sidecars, "Manufacturer")),
        Fact(name="Series", value=str(len(rows))),
        Fact(name="Given beside the series", value=", ".join(given) or "nothing"),
    )


def _all(sidecars: Sequence[Mapping[str, object]], name: str) -> str:
    found = dict.fromkeys(s[name] for s in sidecars if isinstance(s.get(name), (str, float, int)))
    texts = [f"{v:g}" if isinstance(v, (int, float)) else str(v) for v in found]
    return ", ".join(texts) or "not stated"


def _summary(made: SeriesPart) -> str:
    n_frames, *voxels = made.shape
    several = f"{made.n_images} images; {first_name(made)}: " if made.n_images > 1 else ""
    sizes = made.sidecar.get("VoxelSize_mm")
    size = " x ".join(f"{v:.3g}" for v in sizes) if isinstance(sizes, list) else "unknown"
    words = [
        f"{made.sidecar.get('ResonantNucleus', 'nucleus not stated')}",
        f"{' x '.join(map(str, reversed(voxels)))} voxels of {size} mm (read x phase x slice)",
    ]
    if n_frames > 1:
        words.append(
            f"{n_frames} volumes along {made.sidecar.get('FourthDimension', 'a 4th axis')}"
        )
    ratio = median_ratio(made.parts[0])
    if ratio:
        words.append(f"median signal to noise {ratio}")
    return several + ", ".join(words)
