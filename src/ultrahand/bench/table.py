"""The figures as a table, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence

from ultrahand.bench.result import Compared, Result

_TIMES = ("first s", "warm s", "cpu s", "calls")
_HEADS = ("engine", *_TIMES, "error", "peak MB", "version", "called as")
_GOALS = ("problem", "peer", "times as fast", "goal", "error", "at most", "met")


def text_table(result: Result, machine: str) -> str:
    """Return tab-separated rows, one block a problem, then the goals."""
    return _page(result, machine, head="", join="\t".join, rule=False)


def markdown_table(result: Result, machine: str) -> str:
    """Return the same for a page."""
    return _page(result, machine, head="## ", join=_markdown_row, rule=True)


def _page(result: Result, machine: str, *, head: str, join: object, rule: bool) -> str:
    assert callable(join)
    lines = [machine]

    def table(rows: Sequence[Sequence[str]]) -> None:
        lines.append("")
        lines.append(join(rows[0]))
        if rule:
            lines.append("|---" * len(rows[0]) + "|")
        lines.extend(join(row) for row in rows[1:])

    for name, (title, error_name) in result.titles.items():
        lines += ["", f"{head}{name}: {title}", "", f"Error: {error_name}."]
        table([_HEADS, *_rows(result, name)])
        for missing in result.absent:
            if missing.problem == name:
                lines += ["", f"absent: {missing.engine} ({' '.join(missing.reason.split())})"]
    if result.goals:
        lines += ["", f"{head}Goals"]
        table([_GOALS, *map(_goal, result.goals)])
    return "\n".join(lines) + "\n"


def _rows(result: Result, name: str) -> list[tuple[str, ...]]:
    return [
        (
            row.engine,
            f"{row.seconds_first:.3g}",
            f"{row.seconds_warm:.3g}",
            f"{row.cpu_seconds:.3g}",
            str(row.calls),
            f"{row.error:.2g}",
            f"{row.peak_mb:.0f}",
            row.version,
            row.setting,
        )
        for row in result.rows
        if row.problem == name
    ]


def _goal(goal: Compared) -> tuple[str, ...]:
    met = {True: "yes", False: "no", None: "not known"}[goal.met]
    limit = "not known" if goal.error_limit is None else f"{goal.error_limit:.2g}"
    ratio = "absent" if goal.ratio is None else f"{goal.ratio:.3g}"
    return (
        goal.problem,
        goal.peer,
        ratio,
        f"{goal.goal:g}",
        f"{goal.error:.2g}",
        limit,
        met,
    )


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
