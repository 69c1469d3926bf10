"""A stage of an examination with all that it is made from, and the child that makes it."""

from __future__ import annotations

import argparse
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from ultrahand.cli.explain import explain_error, is_full_disk
from ultrahand.cli.naming import Naming
from ultrahand.cli.series_options import command_of
from ultrahand.cli.supervise import finish_undisturbed
from ultrahand.errors import EXIT_DEFECT, InputError
from ultrahand.io.durable import FULL_DISK
from ultrahand.io.outputs import OutputSet
from ultrahand.pipelines.exam import (
    PLACES,
    Stage,
    Status,
    missing_lines_reason,
    session_label,
)
from ultrahand.pipelines.exam_kinds import kind_findings

if TYPE_CHECKING:
    from ultrahand.cli.opening import Opened
    from ultrahand.io.exam_file import Examination
    from ultrahand.records.findings import Finding

SUFFIX: Final = ".nii.gz"


@dataclass(frozen=True, slots=True)
class Job:
    """A stage and all that it is made from."""

    stage: Stage
    options: argparse.Namespace
    """Of its reconstruction."""
    folder: str
    """Of its outputs, relative to the examination's, with ``/``."""
    label: str
    """How the names of its outputs begin."""

    @classmethod
    def of(cls, exam: Examination, stage: Stage, options: argparse.Namespace) -> Job:
        """Return the job of a stage that is not skipped."""
        folder = f"sub-{exam.subject}/ses-{exam.session}/{PLACES[stage.series.kind].folder}"
        return cls(stage, options, folder, f"{session_label(exam)}_acq-{stage.series.label}")

    @property
    def title(self) -> str:
        """What the stage is called in messages."""
        return self.stage.series.name

    def naming(self, folder: Path) -> Naming:
        """Return the names of its outputs in some folder."""
        return Naming(folder / self.label, SUFFIX, f"_{PLACES[self.stage.series.kind].suffix}")

    def command(self) -> str:
        """Return the command that makes its images again."""
        return command_of(self.stage.series, self.naming(Path()).image().name)


class _NotYetError(Exception):
    """What cannot be done today, with its status."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def reconstruct_in_child(
    job: Job, place: Path, hash_of: Callable[[Path], str], note: IO[bytes]
) -> int:
    """Reconstruct into a hidden folder and report to the parent.

    Parameters
    ----------
    job
        What is made.
    place
        The folder.
    hash_of
        Returns the sha256 of an input.
    note
        Takes the report as JSON: ``outputs`` and ``n_findings``, or ``status`` and ``reason`` of
        what cannot be done today, or ``reason``, ``full_disk`` and ``refusal`` (see `parts_of`) of
        a failure.
    """
    code = 0
    told: dict[str, object]
    try:
        told = _reconstruct(job, place, hash_of)
    except _NotYetError as error:
        told = {"status": error.status, "reason": str(error)}
    except Exception as error:  # noqa: BLE001 - the last resort: everything ends in a code
        file = job.stage.series.file.name
        code, words = explain_error(error, file=file)
        full = is_full_disk(error)
        told = {"reason": FULL_DISK if full else words, "full_disk": full}
        told["refusal"] = None if full else parts_of(error, file=file)
        if code == EXIT_DEFECT and job.options.verbose:
            traceback.print_exception(error)
    note.write(json.dumps(told).encode())
    return code


def parts_of(error: Exception | None, *, file: str) -> dict[str, str] | None:
    """Return a refusal's parts by their names in a `Finding`; None of any other error.

    Parameters
    ----------
    error
        What ended the work.
    file
        Name of the series' file, for refusals that do not know theirs.
    """
    if not isinstance(error, InputError):
        return None
    return {
        "field": f"{error.file or file}: {error.field}",
        "found": error.found,
        "expected": error.expected,
        "remedy": error.remedy,
    }


def _reconstruct(job: Job, place: Path, hash_of: Callable[[Path], str]) -> dict[str, object]:
    from ultrahand.cli.reconstruct import reconstruct

    def check(opened: Opened) -> tuple[Finding, ...]:
        reason = missing_lines_reason(opened.plan)
        if reason:
            raise _NotYetError(Status.NEEDS_PARALLEL_IMAGING, reason)
        return kind_findings(job.stage.series.kind, opened.plan)

    with OutputSet(force=False, inputs=()) as outputs:
        made = reconstruct(
            job.options,
            job.naming(place),
            outputs,
            command=job.command(),
            title=job.title,
            hash_of=hash_of,
            check=check,
        )
        finish_undisturbed()
        paths = outputs.commit()
    return {"outputs": [path.name for path in paths], "n_findings": len(made.findings)}
