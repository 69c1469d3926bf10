"""One stage of an examination: looked up, run in a child of its own, put in its place."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, final

from ultrahand import __version__
from ultrahand.cli.arguments import input_files
from ultrahand.cli.exam_job import Job, parts_of, reconstruct_in_child
from ultrahand.cli.series_options import as_resolved
from ultrahand.cli.supervise import Ended, shared_file, undisturbed, watched
from ultrahand.errors import (
    EXIT_DEFECT,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    ResourceError,
    one_line,
)
from ultrahand.io.file_bytes import Unchanged
from ultrahand.io.sidecar import sha256_of
from ultrahand.io.work_record import Record, stage_key
from ultrahand.io.work_store import State, WorkStore
from ultrahand.pipelines.exam import StageResult, Status
from ultrahand.records.findings import Finding, Level

log = logging.getLogger("ultrahand")

INTERRUPTED: Final = "interrupted; finished series stay: run again to go on"


class Outcome(NamedTuple):
    """What became of a stage, and of the run."""

    result: StageResult
    code: int = 0
    """Of this stage."""
    ends_run: bool = False


@final
class Digests:
    """Hashes of inputs, each read once, and whether the files are still the same."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Unchanged, str]] = {}

    def of(self, path: Path) -> str:
        """Return the sha256 of a file as it was when it was first asked for."""
        if path not in self._known:
            mark = Unchanged.now(path)
            self._known[path] = (mark, sha256_of(path))
        return self._known[path][1]

    def changed(self, path: Path) -> bool:
        """Tell whether a file is another one since its hash was taken."""
        return Unchanged.now(path) != self._known[path][0]


def standing(job: Job, store: WorkStore) -> StageResult:
    """Return what an earlier run left of a stage, whatever it was made from."""
    _, record = store.lookup(job.stage.name, "")
    there = record is not None and all(o.is_there(store.folder) for o in record.outputs)
    if record is None or not (record.done and there and _is_whole(record)):
        return StageResult(status=Status.NOT_RUN)
    return _done(tuple(output.path for output in record.outputs), record.facts)


def look_up(job: Job, store: WorkStore, digests: Digests, *, by_hash: bool) -> Outcome | str:
    """Return what a stage came to where it is done or cannot be; else the key of what it makes.

    Parameters
    ----------
    job
        The stage.
    store
        Holds what is done.
    digests
        Hashes of inputs.
    by_hash
        Whether outputs that are there are compared by hash.
    """
    name = job.stage.name
    inputs = input_files(job.options)
    try:
        hashes = {role: digests.of(path) for role, path in inputs.items()}
    except OSError as error:
        reason = f"{job.stage.series.file.name}: cannot be read ({error.strerror})"
        kept = " (images of an earlier run stay)" * (standing(job, store).status is Status.DONE)
        return failed(job, reason + kept, code=EXIT_INPUT)
    made_from = {"command": job.command(), "label": job.label, **as_resolved(job.options)}
    key = stage_key(name, inputs=hashes, options=made_from, version=__version__)
    state, record = store.lookup(name, key, by_hash=by_hash)
    if state is State.DONE and record is not None and _is_whole(record):
        log.warning("%s: is done, not done again", job.title)
        outputs = tuple(output.path for output in record.outputs)
        return Outcome(_done(outputs, record.facts))
    return key


def make(
    job: Job, store: WorkStore, digests: Digests, key: str, *, followers: Sequence[str] = ()
) -> Outcome:
    """Make a stage anew.

    Parameters
    ----------
    job, store, digests
        As in `look_up`.
    key
        From `look_up`.
    followers
        Stages that use these outputs: theirs go when these go.

    Raises
    ------
    ResourceError
        The disk is full or read-only.
    UsageError, InputError
        The place of an output is taken by a file of others, or an input.
    """
    # Images of other data or options must not pass for these, nor a report that shows them.
    known = job.stage.name in store.stages()
    for stage in (*(followers if known else ()), job.stage.name):
        store.withdraw(stage)
    log.info("%s: reconstructing %s", job.title, one_line(job.stage.series.file.name))
    begun = time.monotonic()
    outcome = _attempt(job, store, digests, key)
    log.info("%s: %s after %.1f s", job.title, outcome.result.status, time.monotonic() - begun)
    return outcome


def _is_whole(record: Record) -> bool:
    """Tell whether a record has what is taken from it; else it is as good as none."""
    return type(record.facts.get("n_findings")) is int


def _attempt(job: Job, store: WorkStore, digests: Digests, key: str) -> Outcome:
    """Run a stage in a child and take over what it made."""
    with store.work(job.stage.name) as place, shared_file() as note:
        ended = watched(
            lambda: reconstruct_in_child(job, place, digests.of, note),
            folder=place,
            name=job.stage.series.file.name,
            verbose=job.options.verbose > 0,
            interrupted=INTERRUPTED,
        )
        told = _told(note)
        if ended.code == EXIT_INTERRUPTED:
            if ended.words:
                log.error("%s", ended.words)
            result = StageResult(status=Status.NOT_RUN, reason="interrupted")
            return Outcome(result, EXIT_INTERRUPTED, ends_run=True)
        outcome = _outcome(job, ended, told)
        if outcome.result.status is Status.DONE:
            outcome = _take_over(job, store, digests, key, place, told)
        if ended.stopped:  # the child was past the point of stopping: what it made is kept
            log.error("%s", INTERRUPTED)
            return Outcome(outcome.result, EXIT_INTERRUPTED, ends_run=True)
        return outcome


def _outcome(job: Job, ended: Ended, told: Mapping[str, Any]) -> Outcome:
    if ended.code or "outputs" not in told:
        if told.get("status"):
            reason = str(told["reason"])
            log.error("%s: %s: %s", job.title, told["status"], reason)
            return Outcome(StageResult(status=Status(told["status"]), reason=reason))
        reason = ended.words or str(told.get("reason") or f"ended with code {ended.code}")
        file = job.stage.series.file.name
        parts = parts_of(ended.error, file=file) if ended.words else told.get("refusal")
        return failed(
            job,
            reason,
            code=ended.code or EXIT_DEFECT,
            ends_run=bool(told.get("full_disk")),
            refusal=Finding(level=Level.ERROR, **parts) if parts else None,
        )
    return Outcome(_done((), told))


def _take_over(
    job: Job, store: WorkStore, digests: Digests, key: str, place: Path, told: Mapping[str, Any]
) -> Outcome:
    """Put in its place what the child made, unless its inputs changed under it."""
    changed = [path for path in input_files(job.options).values() if digests.changed(path)]
    if changed:
        reason = f"{changed[0].name}: changed while it was read; run again when it is complete"
        return failed(job, reason, code=EXIT_INPUT)
    places = {f"{job.folder}/{name}": place / name for name in told["outputs"]}
    facts = {"n_findings": told["n_findings"]}
    try:
        with undisturbed():
            store.finish(job.stage.name, key, places, facts)
    except ResourceError as error:
        return failed(job, str(error), code=error.exit_code, ends_run=True)
    return Outcome(_done(tuple(places), facts))


def _done(outputs: tuple[str, ...], facts: Mapping[str, Any]) -> StageResult:
    return StageResult(status=Status.DONE, outputs=outputs, n_findings=int(facts["n_findings"]))


def failed(
    job: Job, reason: str, *, code: int, ends_run: bool = False, refusal: Finding | None = None
) -> Outcome:
    """Say why a stage failed, and return it."""
    reason = one_line(reason, limit=2000)
    log.error("%s: failed: %s", job.title, reason)
    result = StageResult(status=Status.FAILED, reason=reason, refusal=refusal)
    return Outcome(result, code, ends_run)


def _told(note: IO[bytes]) -> dict[str, Any]:
    """Return what a child had to report; nothing where it died before."""
    note.seek(0)
    try:
        told = json.loads(note.read())
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
