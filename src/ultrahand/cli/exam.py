"""``ultrahand exam``: a whole examination, series by series, into a folder of derivatives."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ultrahand import __version__
from ultrahand.cli.arguments import SERIES_OPTIONS, input_files
from ultrahand.cli.exam_job import Job
from ultrahand.cli.exam_places import CLAIM, check_output, check_places, refuse_another
from ultrahand.cli.exam_report import REPORT, Reported, make_report, report_stage
from ultrahand.cli.exam_stage import INTERRUPTED, Digests, Outcome, failed, look_up, make, standing
from ultrahand.cli.series_options import resolve
from ultrahand.cli.supervise import ending_on_stops
from ultrahand.errors import (
    EXIT_INCOMPLETE,
    EXIT_INTERRUPTED,
    EXIT_RESOURCES,
    UltrahandError,
    UsageError,
)
from ultrahand.io.bids import DESCRIPTION, description
from ultrahand.io.exam_file import Examination, read_exam
from ultrahand.io.outputs import is_same_file
from ultrahand.io.work_store import WorkStore
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
    check_output(folder, inputs, jobs.values(), logs, force=options.force)
    table = _Table(exam, stages)
    with (
        WorkStore(folder, inputs=inputs, kept=logs, force=options.force) as store,
        ending_on_stops(store.clear, INTERRUPTED),
    ):
        _prepare(store, exam, jobs)
        code, ended = _run_all(store, table, jobs, by_hash=options.verify)
        reported = Reported(made=False)
        if not ended:
            reported = _report(exam, table.rows(), store, options)
    report = folder / REPORT if reported.made else None
    _print(table.rows(), folder, report, as_json=options.json)
    decisive = (EXIT_INTERRUPTED, EXIT_RESOURCES)
    return reported.code if reported.code in decisive else code or reported.code


def _prepare(store: WorkStore, exam: Examination, jobs: Mapping[str, Job]) -> None:
    """Refuse what cannot be before hours of work; take away what no series makes any more."""
    refuse_another(store, session_label(exam))
    for job in jobs.values():
        check_places(store, job)
    store.check(REPORT)
    store.put_text(CLAIM, session_label(exam) + "\n")
    store.put_text(DESCRIPTION, description(__version__))
    for name in store.stages():
        if name not in jobs and name != report_stage(exam):
            store.withdraw(report_stage(exam))
            store.withdraw(name)


def _run_all(
    store: WorkStore, table: _Table, jobs: Mapping[str, Job], *, by_hash: bool
) -> tuple[int, bool]:
    """Run the stages in order; a failure of one is none of the others'.

    Returns
    -------
    int, bool
        The exit code, and whether the run ended before its last stage.
    """
    codes, digests = set(), Digests()
    followers = (report_stage(table.exam),)
    table.results.update({name: standing(job, store) for name, job in jobs.items()})

    def make_anew(job: Job, key: str) -> Outcome:
        del table.results[job.stage.name]
        store.put_text(TABLE, as_tsv(table.rows()))
        return make(job, store, digests, key, followers=followers)

    for name, job in jobs.items():
        try:
            found = look_up(job, store, digests, by_hash=by_hash)
            outcome = make_anew(job, found) if isinstance(found, str) else found
            table.results[name] = outcome.result
            store.put_text(TABLE, as_tsv(table.rows()))
        except UltrahandError as error:  # of the output folder: the next series would meet it too
            outcome = failed(job, str(error), code=error.exit_code, ends_run=True)
            table.results[name] = outcome.result
            with suppress(UltrahandError):  # it is printed, whether or not it can be written
                store.put_text(TABLE, as_tsv(table.rows()))
        codes.add(outcome.code)
        if outcome.ends_run:
            return outcome.code, True
    if EXIT_RESOURCES in codes:
        return EXIT_RESOURCES, False
    return (0 if is_complete(table.rows()) else EXIT_INCOMPLETE), False


def _report(
    exam: Examination, rows: list[Row], store: WorkStore, options: argparse.Namespace
) -> Reported:
    """Make the report; what keeps it from its place does not keep the table from being printed."""
    try:
        return make_report(exam, rows, store, by_hash=options.verify, verbose=options.verbose > 0)
    except UltrahandError as error:
        log.error("%s: %s", REPORT, error)  # noqa: TRY400 - no defect: no traceback
        return Reported(made=False, code=error.exit_code)


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
