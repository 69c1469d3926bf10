"""What is done in an examination: its stages, their order, and the table of what became of them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ultrahand.errors import one_line
from ultrahand.pipelines.options import Method

if TYPE_CHECKING:
    from ultrahand.io.exam_file import Examination, ExamSeries
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.records.findings import Finding


class Status(enum.StrEnum):
    """What became of a series, or of one stage of it."""

    DONE = "done"
    FAILED = "failed"
    """Refused or broken off; the reason says why."""
    SKIPPED = "skipped"
    """Nothing is to be done with this kind of series."""
    NEEDS_PARALLEL_IMAGING = "needs parallel imaging"
    """Lines between the acquired ones are missing; zeros in their place would alias."""
    NOT_RUN = "not run"
    """The run ended before."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the images of a kind of series stand."""

    folder: str
    suffix: str
    """Last word of the names; BIDS' where it has one that says no more than is known."""


PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        "morphology": Place("anat", "morphology"),
        "multiecho": Place("anat", "MEGRE"),
        "t1": Place("anat", "T1series"),
        "dynamic": Place("perf", "dynamic"),
        "sodium": Place("sodium", "sodium"),
        "tq": Place("sodium", "TQ"),
        "b1": Place("fmap", "B1series"),
        "sodium_b1": Place("fmap", "sodiumB1series"),
    }
)
"""Kind of series to the place of its reconstruction."""

NOT_RECONSTRUCTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "noise": "not reconstructed: a noise scan; series use it by their option noise",
        "ct": "not reconstructed: computed tomography comes as images",
        "xray": "not reconstructed: radiographs come as images",
    }
)
"""Kind of series to why it has no reconstruction."""


@dataclass(frozen=True, slots=True)
class StageRule:
    """One kind of work on series."""

    name: str
    skipped: Callable[[ExamSeries], str | None]
    """Why a series has no such stage; None where it has."""


RECONSTRUCTION: Final = StageRule("recon", lambda series: NOT_RECONSTRUCTED.get(series.kind))
RULES: Final = (RECONSTRUCTION,)
"""All kinds of work, in order: a stage may use the outputs of those before."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One piece of work of one examination."""

    name: str
    """Of letters, digits, - and _; unlike that of any stage of any other examination."""
    rule: StageRule
    series: ExamSeries
    skipped: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StageResult:
    """What became of a stage."""

    status: Status
    reason: str | None = None
    outputs: tuple[str, ...] = ()
    n_findings: int | None = None
    """None where there are none because nothing was made."""
    refusal: Finding | None = None
    """The reason in its parts, where an input was refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table: a series and what became of it."""

    series: str
    kind: str
    status: Status
    reason: str | None
    outputs: tuple[str, ...]
    n_findings: int | None
    refusal: Finding | None = None
    """The reason in its parts, where an input was refused; no column of the table."""


_CELL: Final = 10**6
"""Characters of a cell: a series of many images has a long list of them."""
COLUMNS: Final = ("series", "kind", "status", "reason", "outputs", "n_findings")


def session_label(exam: Examination) -> str:
    """Return subject and session as every name of the examination begins."""
    return f"sub-{exam.subject}_ses-{exam.session}"


def stages_of(exam: Examination) -> tuple[Stage, ...]:
    """Return all stages of an examination, in the order in which they are run."""
    return tuple(
        Stage(
            f"{session_label(exam)}_{rule.name}_{series.name}", rule, series, rule.skipped(series)
        )
        for rule in RULES
        for series in exam.series
    )


def row_of(series: ExamSeries, results: Iterable[StageResult]) -> Row:
    """Sum up the stages of one series, given in their order: the first that is not done decides."""
    results = list(results)
    decisive = next((r for r in results if r.status is not Status.DONE), results[-1])
    counts = [r.n_findings for r in results if r.n_findings is not None]
    return Row(
        series=series.name,
        kind=series.kind,
        status=decisive.status,
        reason=decisive.reason,
        outputs=tuple(path for r in results for path in r.outputs),
        n_findings=sum(counts) if counts else None,
        refusal=decisive.refusal,
    )


def is_complete(rows: Iterable[Row]) -> bool:
    """Tell whether everything that was to be done is done."""
    return all(row.status in (Status.DONE, Status.SKIPPED) for row in rows)


def as_tsv(rows: Iterable[Row]) -> str:
    """Return the table as TSV: one row a series, ``n/a`` for what is missing."""
    lines = ["\t".join(COLUMNS)]
    for row in rows:
        count = "n/a" if row.n_findings is None else str(row.n_findings)
        outputs = ",".join(row.outputs) or "n/a"
        cells = (row.series, row.kind, row.status.value, row.reason or "n/a", outputs, count)
        lines.append("\t".join(one_line(cell, limit=_CELL) for cell in cells))
    return "\n".join(lines) + "\n"


def as_objects(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Return the table as JSON takes it."""
    return [
        {
            "series": row.series,
            "kind": row.kind,
            "status": row.status.value,
            "reason": row.reason,
            "outputs": list(row.outputs),
            "n_findings": row.n_findings,
        }
        for row in rows
    ]


def missing_lines_reason(plan: ReconPlan) -> str | None:
    """Return why a measurement needs parallel imaging that cannot be done; None where it can.

    A series that asks for ``fft`` gets it, with zeros for what is missing.
    """
    gaps = [index for index, encoding in plan.encodings.items() if encoding.undersampled]
    if not gaps or plan.options.method is not Method.AUTO:
        return None
    return (
        f"encoding {', '.join(map(str, gaps))}: {plan.encodings[gaps[0]].reason}; "
        "options.method = 'fft' puts zeros there, and the image aliases"
    )
