"""What is expected of an examination beyond its images, and why it is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ultrahand import __version__
from ultrahand.pipelines.exam import Row, Status
from ultrahand.report.content import Section
from ultrahand.report.content import Status as Shown

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ExpectedResult:
    """A result and the kinds of series that it is made from."""

    title: str
    kinds: tuple[str, ...]
    """All of them are needed; none where it is made from results."""


EXPECTED: Final = (
    ExpectedResult("Articular sodium concentration", ("sodium",)),
    ExpectedResult("Arterial pattern and venous return", ("dynamic",)),
    ExpectedResult("Perfusion maps", ("dynamic",)),
    ExpectedResult("Joints: erosions, oedema, synovitis", ("morphology", "dynamic")),
    ExpectedResult("Calcinosis", ("multiecho",)),
    ExpectedResult("Study forms", ()),
)


def expected_results(rows: Sequence[Row]) -> tuple[Section, ...]:
    """Return a section for each expected result, with the reason why it is not there.

    Parameters
    ----------
    rows
        What became of the series.
    """
    return tuple(
        Section(title=result.title, status=Shown.MISSING, reason=_reason(result, rows))
        for result in EXPECTED
    )


def _reason(result: ExpectedResult, rows: Iterable[Row]) -> str:
    """Return what stands in the way, the nearest first: no such series, not done, no program."""
    by_kind: dict[str, list[Row]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    absent = [kind for kind in result.kinds if kind not in by_kind]
    if absent:
        return f"no series of kind {' and none of kind '.join(absent)} in the examination"
    for kind in result.kinds:
        found = by_kind[kind]
        if all(row.status is not Status.DONE for row in found):
            return f"its series {found[0].series} ({kind}) is not done: {found[0].status}"
    return f"not computed by this version of ultrahand ({__version__})"
