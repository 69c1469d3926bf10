"""``ultrahand exam``: a whole examination, series by series, into a folder of derivatives."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ultrahand import __version__
from ultrahand.cli.arguments import SERIES_OPTIONS, input_files
from ultrahand.cli.exam_job import Job
from ultrahand.cli.exam_report import REPORT, Reported, make_report, report_stage
from ultrahand.cli.exam_stage import INTERRUPTED, Digests, run_stage
from ultrahand.cli.series_options import resolve
from ultrahand.cli.supervise import ending_on_stops
from ultrahand.errors import (
    EXIT_INCOMPLETE,
    EXIT_INTERRUPTED,
    EXIT_RESOURCES,
    InputError,
    ResourceError,
    UsageError,
    one_line,
)
from ultrahand.io.bids import DESCRIPTION, check_folder, description
from ultrahand.io.exam_file import Examination, read_exam
from ultrahand.io.outputs import is_same_file
from ultrahand.io.work_store import HIDDEN, WorkStore
from ultrahand.pipelines.exam import (
    Row,
    Stage,
    StageResult,
    Status,
    as_objects,
    as_tsv,
    is_complete,
    row_of,
    session_label,
    stages_of,
)

log = logging.getLogger("ultrahand")

TABLE: Final = "exam.tsv"
_CLAIM: Final = f"{HIDDEN}/examination"
"""Whose folder it is, from the first moment on: records come with the first finished series."""


@dataclass(slots=True)
class _Table:
    """What became of each stage so far."""

    exam: Examination
    stages: tuple[Stage, ...]
    results: dict[str, StageResult] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        return [
            row_of(series, [self._result(s) for s in self.stages if s.series is series])
            for series in self.exam.series
        ]

    def _result(self, stage: Stage) -> StageResult:
        if stage.skipped:
            return StageResult(status=Status.SKIPPED, reason=stage.skipped)
        return self.results.get(stage.name, StageResult(status=Status.NOT_RUN))


def run(options: argparse.Namespace) -> int:
    """Reconstruct every series that is not done; print the table."""
    exam = read_exam(Path(options.exam), option_names=SERIES_OPTIONS)
    stages = stages_of(exam)
    jobs = {
        s.name: Job.of(exam, s, resolve(exam, s.series, options)) for s in stages if not s.skipped
    }
    inputs = {*exam.files, *(p for job in jobs.values() for p in input_files(job.options).values())}
    logs = [Path(options.log)] if options.log else []
    if any(is_same_file(logs[0], path) for path in inputs if logs):
        raise UsageError(f"--log {logs[0].name}: an input is never overwritten; choose another")
    folder = Path(options.output)
    _check_output(folder, inputs, logs, force=options.force)
    table = _Table(exam, stages)
    with (
        WorkStore(folder, inputs=inputs, kept=logs, force=options.force) as store,
        ending_on_stops(store.clear, INTERRUPTED),
    ):
        _prepare(store, exam, jobs)
        digests = Digests()
        code, ended = _run_all(store, table, jobs, digests, by_hash=options.verify)
        reported = Reported(made=False)
        if not ended:
            reported = make_report(
                exam,
                table.rows(),
                store,
                digests,
                by_hash=options.verify,
                verbose=options.verbose > 0,
            )
    report = folder / REPORT if reported.made else None
    _print(table.rows(), folder, report, as_json=options.json)
    return EXIT_INTERRUPTED if reported.code == EXIT_INTERRUPTED else code or reported.code


def _check_output(
    folder: Path, inputs: Collection[Path], logs: Collection[Path], *, force: bool
) -> None:
    """Refuse a folder that cannot take the outputs, or where they would be among the inputs."""
    place = folder.resolve()
    given = [path.resolve() for path in inputs]
    over = [path for path in given if path in (place, *place.parents)]
    if over:
        raise _overlap(folder, f"it is or lies in the input {over[0].name}")
    try:
        check_folder(folder, force=force, besides=logs, hidden=HIDDEN)
    except UsageError:
        among = [path for path in given if place in path.parents]
        if among:
            raise _overlap(folder, f"it holds the input {among[0].name}") from None
        raise


def _overlap(folder: Path, found: str) -> InputError:
    return InputError(
        f"-o {folder.name or folder}",
        found=found,
        expected="a folder apart from the inputs",
        remedy="choose another -o",
    )


def _prepare(store: WorkStore, exam: Examination, jobs: Mapping[str, Job]) -> None:
    """Refuse what cannot be before hours of work; take away what no series makes any more."""
    _refuse_another(store, session_label(exam))
    for job in jobs.values():
        _check_places(store, job)
    store.check(REPORT)
    store.put_text(_CLAIM, session_label(exam) + "\n")
    store.put_text(DESCRIPTION, description(__version__))
    for name in store.stages():
        if name not in jobs and name != report_stage(exam):
            store.withdraw(report_stage(exam))
            store.withdraw(name)


def _refuse_another(store: WorkStore, label: str) -> None:
    """Refuse a folder of another examination, however far that one has come."""
    names = list(store.stages())
    with suppress(OSError, UnicodeDecodeError):  # folders of earlier versions have no claim
        names.insert(0, (store.folder / _CLAIM).read_text(encoding="utf-8").strip())
    others = [name for name in names if name and not f"{name}_".startswith(f"{label}_")]
    if others:
        raise UsageError(
            f"{store.folder.name or store.folder} holds another examination "
            f"({one_line(others[0])}); give {label} a folder of its own with -o"
        )


def _check_places(store: WorkStore, job: Job) -> None:
    naming = job.naming(store.folder / job.folder)
    names: Iterable[str] = ()
    with suppress(OSError):  # no such folder yet
        names = sorted(path.name for path in naming.stem.parent.iterdir())
    for name in names:
        if naming.may_be(name):
            store.check(f"{job.folder}/{name}")


def _run_all(
    store: WorkStore, table: _Table, jobs: Mapping[str, Job], digests: Digests, *, by_hash: bool
) -> tuple[int, bool]:
    """Run the stages in order; a failure of one is none of the others'.

    Returns
    -------
    int, bool
        The exit code, and whether the run ended before its last stage.
    """
    codes = set()
    followers = (report_stage(table.exam),)
    store.put_text(TABLE, as_tsv(table.rows()))
    for name, job in jobs.items():
        outcome = run_stage(job, store, digests, by_hash=by_hash, followers=followers)
        table.results[name] = outcome.result
        codes.add(outcome.code)
        try:
            store.put_text(TABLE, as_tsv(table.rows()))
        except ResourceError as error:
            log.error("%s", error)  # noqa: TRY400 - no defect: no traceback
            return EXIT_RESOURCES, True
        if outcome.ends_run:
            return outcome.code, True
    if EXIT_RESOURCES in codes:
        return EXIT_RESOURCES, False
    return (0 if is_complete(table.rows()) else EXIT_INCOMPLETE), False


def _print(rows: list[Row], folder: Path, report: Path | None, *, as_json: bool) -> None:
    """Print the table; a reader that has seen enough is no error."""
    found = {
        "folder": str(folder),
        "report": None if report is None else str(report),
        "series": as_objects(rows),
    }
    text = json.dumps(found, indent=2) + "\n" if as_json else as_tsv(rows)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What could not be printed must not be tried again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise
