"""Figures of the benchmark: a row an engine, and how ours compares with the goals."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, final

from ultrahand.bench.problem import OURS, Goal, Problem


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """What one engine did on one problem."""

    problem: str
    engine: str
    seconds_first: float
    """Imports, plans and compilation included, in a fresh process."""
    seconds_warm: float
    """Median of the calls after that; of a call too long to be repeated, that call alone."""
    cpu_seconds: float
    """Of a warm call, all threads and commands: what other work on the machine changes least."""
    error: float
    peak_mb: float
    """Of resident memory, 1e6 bytes, in all its life."""
    threads: int
    version: str
    setting: str
    calls: int
    """How many the median is of."""


@final
@dataclass(frozen=True)
class Absent:
    """An engine without figures, and why."""

    problem: str
    engine: str
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class Compared:
    """A goal and what was reached."""

    problem: str
    peer: str
    ratio: float | None
    """The peer's warm seconds over ours; None where the peer is absent."""
    goal: float
    error: float
    error_limit: float | None
    met: bool | None
    """None where the peer is absent: then nothing is known."""


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """Of one problem or several."""

    titles: dict[str, tuple[str, str]]
    """Of each problem: what it is, and what its error is."""
    rows: list[Row]
    absent: list[Absent]
    goals: list[Compared]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints; numbers that are none become null."""
        return {
            "rows": [_plain(asdict(row)) for row in self.rows],
            "goals": [_plain(asdict(goal)) for goal in self.goals],
            "absent": [asdict(missing) for missing in self.absent],
        }


def joined(results: list[Result]) -> Result:
    """Return several as one."""
    return Result(
        titles={name: words for result in results for name, words in result.titles.items()},
        rows=[row for result in results for row in result.rows],
        absent=[missing for result in results for missing in result.absent],
        goals=[goal for result in results for goal in result.goals],
    )


def compare(problem: Problem, rows: list[Row]) -> list[Compared]:
    """Hold ours to the goals of a problem."""
    by_name = {row.engine: row for row in rows}
    return [_compared(problem.name, goal, by_name) for goal in problem.goals]


def _compared(problem: str, goal: Goal, rows: dict[str, Row]) -> Compared:
    ours, peer = rows[OURS], rows.get(goal.peer)
    theirs = goal.seconds if goal.seconds is not None else peer.seconds_warm if peer else None
    ratio = None if theirs is None else theirs / ours.seconds_warm
    if isinstance(goal.error, str):
        limit = rows[goal.error].error if goal.error in rows else None
    else:
        limit = goal.error
    met = None
    if ratio is not None and limit is not None:
        met = ratio >= goal.ratio and ours.error <= limit
    return Compared(
        problem=problem,
        peer=goal.peer,
        ratio=ratio,
        goal=goal.ratio,
        error=ours.error,
        error_limit=limit,
        met=met,
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
