"""The report of an examination as a stage of its own: read back, put together, written.

A stage, because a report is made from what other stages made: its key is the hashes of their
outputs, so that a run that changes nothing reads no image and writes no page, and a run that is
killed at any moment is gone on with like that of a series.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from ultrahand import __version__
from ultrahand.cli.exam_page import Source, page_of
from ultrahand.cli.exam_stage import INTERRUPTED
from ultrahand.cli.explain import explain_error, is_full_disk
from ultrahand.cli.supervise import finish_undisturbed, shared_file, undisturbed, watched
from ultrahand.errors import EXIT_DEFECT, EXIT_INTERRUPTED, ResourceError
from ultrahand.io.durable import FULL_DISK
from ultrahand.io.work_record import stage_key
from ultrahand.io.work_store import State, WorkStore
from ultrahand.pipelines.exam import Row, as_objects, session_label

if TYPE_CHECKING:
    from ultrahand.io.exam_file import Examination

log = logging.getLogger("ultrahand")

REPORT: Final = "report.html"


class Reported(NamedTuple):
    """What became of the report."""

    made: bool
    code: int = 0


def report_stage(exam: Examination) -> str:
    """Return the name of the stage in the store."""
    return f"{session_label(exam)}_report"


def make_report(
    exam: Examination,
    rows: Sequence[Row],
    store: WorkStore,
    *,
    by_hash: bool,
    verbose: bool,
) -> Reported:
    """Bring the report up to date with what the series came to.

    Parameters
    ----------
    exam, rows
        The examination, and what became of its series.
    store
        Holds the outputs, and will hold the page.
    by_hash
        Whether a page that is there is compared by hash.
    verbose
        Whether to show the traceback of a defect.

    Raises
    ------
    UsageError
        The place of the page is taken by a file of others, or an input.
    """
    name = report_stage(exam)
    source = Source(exam, rows, store.folder, exam.sha256, _matplotlib_version())
    if source.matplotlib is None:
        log.warning("%s has no pictures: pip install 'ultrahand[report]', then run again", REPORT)
    options = {
        "rows": as_objects(rows),
        "matplotlib": source.matplotlib,
        "exam": source.exam_sha256,
        "hashes": _hashes(store, name),
    }
    key = stage_key(name, inputs={}, options=options, version=__version__)
    state, _ = store.lookup(name, key, by_hash=by_hash)
    if state is not State.DONE:
        store.withdraw(name)
        done = _attempt(source, store, name, key, verbose=verbose)
        if not done.made:
            return done
    how = "kept: nothing in it changed" if state is State.DONE else "made"
    log.warning("report: %s (%s)", store.folder / REPORT, how)
    return Reported(made=True)


def _hashes(store: WorkStore, besides: str) -> dict[str, str]:
    """Return the hash of every output of the series, as it was when it was made."""
    records = [store.lookup(stage, "")[1] for stage in store.stages() if stage != besides]
    return {o.path: o.sha256 for record in records if record for o in record.outputs}


def _matplotlib_version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        return version("matplotlib") if find_spec("matplotlib") else None
    except PackageNotFoundError:
        return None


def _attempt(source: Source, store: WorkStore, name: str, key: str, *, verbose: bool) -> Reported:
    """Make the page in a child, whose memory goes with it, and put it in its place."""
    with store.work(name) as place, shared_file() as note:
        ended = watched(
            lambda: _in_child(source, place, note, verbose=verbose),
            folder=place,
            name=REPORT,
            verbose=verbose,
            interrupted=INTERRUPTED,
        )
        note.seek(0)
        words = ended.words or note.read().decode()
        if ended.code:
            if words:
                log.error("%s", words if ended.code == EXIT_INTERRUPTED else f"{REPORT}: {words}")
            return Reported(made=False, code=ended.code)
        try:
            with undisturbed():
                store.finish(name, key, {REPORT: place / REPORT}, {})
        except ResourceError as error:
            log.error("%s: %s", REPORT, error)  # noqa: TRY400 - no defect: no traceback
            return Reported(made=False, code=error.exit_code)
        if ended.stopped:  # the child was past the point of stopping: the page is kept
            log.error("%s", INTERRUPTED)
            return Reported(made=True, code=EXIT_INTERRUPTED)
        return Reported(made=True)


def _in_child(source: Source, place: Path, note: IO[bytes], *, verbose: bool) -> int:
    try:
        text = page_of(source, place)
        (place / REPORT).write_text(text, encoding="utf-8", newline="")
        finish_undisturbed()
    except Exception as error:  # noqa: BLE001 - the last resort: everything ends in a code
        code, words = explain_error(error, file=REPORT)
        if code == EXIT_DEFECT and verbose:
            traceback.print_exception(error)
        note.write((FULL_DISK if is_full_disk(error) else words).encode())
        return code
    return 0
