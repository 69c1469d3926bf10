"""Finished work that survives a kill at any moment, and is not done twice.

The outputs of a stage are made in a hidden folder beside their places. Then a record that names
them is written, they are renamed one by one, and the record is written again as done. A run that
dies before the first record leaves a hidden folder, which the next run removes; one that dies in
between leaves a record that is not done, whose files the next run takes away and makes anew.
"""

from __future__ import annotations

import enum
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from ultrahand.errors import InputError, UsageError
from ultrahand.io.durable import make_folder, put, sync_file, writing_in
from ultrahand.io.folder_lock import WAIT_S, FolderLock
from ultrahand.io.outputs import is_same_file
from ultrahand.io.work_record import Facts, Output, Record

HIDDEN: Final = ".ultrahand"
"""Folder of the store's own files."""
_RECORDS, _LOCK, _WORK = "records", "lock", "work-"


class State(enum.StrEnum):
    """What the store knows of a stage."""

    DONE = "done"
    """Its outputs are there, made from what it would be made from now."""
    STALE = "stale"
    """Made from something else, not complete, or no longer there."""
    ABSENT = "absent"


@final
class WorkStore:
    """The finished stages of one folder; used as a context manager by one run at a time.

    Parameters
    ----------
    folder
        Where outputs stand; made where it is missing.
    inputs
        Files that are never replaced or removed.
    kept
        Others that are not either, such as the log.
    force
        Whether files that no record names may be replaced.
    wait_s
        How long to wait for another run's end.
    """

    def __init__(
        self,
        folder: Path,
        *,
        inputs: Iterable[Path],
        force: bool,
        kept: Iterable[Path] = (),
        wait_s: float = WAIT_S,
    ) -> None:
        self.folder = folder
        self._inputs = list(inputs)
        self._kept = list(kept)
        self._force = force
        self._hidden = folder / HIDDEN
        self._scratch = self._hidden / f"{_WORK}{os.getpid()}-{secrets.token_hex(4)}"
        self._wait_s = wait_s
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with writing_in(self.folder), ExitStack() as stack:
            make_folder(self._hidden / _RECORDS)
            name = self.folder.name or str(self.folder)
            stack.enter_context(FolderLock(self._hidden / _LOCK, name=name, wait_s=self._wait_s))
            for left in self._hidden.glob(f"{_WORK}*"):  # of dead runs, as we have the lock
                shutil.rmtree(left)
            self._scratch.mkdir()
            stack.callback(self.clear)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def clear(self) -> None:
        """Remove what was begun; handlers of signals may call it."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def lookup(self, stage: str, key: str, *, by_hash: bool = False) -> tuple[State, Record | None]:
        """Tell whether a stage is done.

        Parameters
        ----------
        stage
            Its name.
        key
            What it would be made from now, see `stage_key`.
        by_hash
            Whether to read every output and compare its hash; else its size decides, and its hash
            where it was written to since its record was.
        """
        record = self._record(stage)
        if record is None:
            return State.ABSENT, None
        # Outputs are written before their record: no time needs to stand in it, which would make
        # its bytes other ones in every run.
        recorded_ns = None if by_hash else self._place_of(stage).stat().st_mtime_ns
        sound = all(output.is_at(self.folder, recorded_ns=recorded_ns) for output in record.outputs)
        current = record.done and record.key == key and sound
        return (State.DONE if current else State.STALE), record

    def stages(self) -> tuple[str, ...]:
        """Return the stages that have a record, in order of their names."""
        return tuple(sorted(path.stem for path in (self._hidden / _RECORDS).glob("*.json")))

    def owned(self) -> frozenset[str]:
        """Return the paths of all files that records name: no one else's."""
        records = [self._record(stage) for stage in self.stages()]
        return frozenset(o.path for record in records if record for o in record.outputs)

    @contextmanager
    def work(self, stage: str) -> Iterator[Path]:
        """Give a hidden, empty folder for a stage's outputs; it goes at the end of the block."""
        place = self._scratch / stage
        with writing_in(self.folder):
            place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def finish(self, stage: str, key: str, places: Mapping[str, Path], facts: Facts) -> Record:
        """Put a stage's outputs in their places and record it as done.

        Parameters
        ----------
        stage, key
            See `lookup`.
        places
            Path of each output, relative to the folder and with ``/``, to where it was made.
        facts
            What else to remember, as JSON; must not depend on time or place.

        Raises
        ------
        InputError
            An output would replace an input.
        UsageError
            An output would replace a file that no record names.
        ResourceError
            The disk is full or read-only; the stage is not done.
        """
        self.withdraw(stage)  # or outputs of other names would be no one's
        for path in places:
            self.check(path)
        outputs = tuple(Output.of(path, place) for path, place in places.items())
        record = Record(stage=stage, key=key, done=False, outputs=outputs, facts=facts)
        with writing_in(self.folder):
            for place in places.values():
                sync_file(place)
            self._write(record)
            for path, place in places.items():
                make_folder((self.folder / path).parent)
                put(place, self.folder / path)
            done = Record(stage=stage, key=key, done=True, outputs=outputs, facts=facts)
            self._write(done)
        return done

    def withdraw(self, stage: str) -> None:
        """Take a stage's outputs away, then its record; folders that get empty go too.

        Raises
        ------
        InputError
            An output is an input now.
        """
        record = self._record(stage)
        for output in record.outputs if record else ():
            self._refuse_input(output.path)
        with writing_in(self.folder):
            for output in record.outputs if record else ():
                path = self.folder / output.path
                path.unlink(missing_ok=True)
                self._remove_empty(path.parent)
            self._place_of(stage).unlink(missing_ok=True)

    def check(self, path: str) -> None:
        """Refuse a place that must not be written.

        Raises
        ------
        InputError
            It is an input.
        UsageError
            There is a file that no record names and ``force`` is not set.
        """
        self._refuse_input(path)
        place = self.folder / path
        if os.path.lexists(place) and not self._force and path not in self.owned():
            raise UsageError(
                f"{place.name} exists and is not of this examination; use --force to replace it"
            )

    def put_text(self, name: str, text: str) -> None:
        """Write a small file into the folder, complete or not at all."""
        self._refuse_input(name)
        with writing_in(self.folder):
            self._put_text(self.folder / name, text)

    def _refuse_input(self, path: str) -> None:
        place = self.folder / path
        with writing_in(place):  # links in a circle
            over = any(is_same_file(place, given) for given in self._inputs)
            kept = any(is_same_file(place, given) for given in self._kept)
        if over:
            raise InputError(
                f"-o {self.folder.name}",
                found=f"{place.name} is an input",
                expected="outputs apart from inputs, which are never overwritten",
                remedy="choose another -o",
            )
        if kept:
            raise UsageError(f"{place.name} is the log and is never overwritten; choose another")

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):  # not empty
            while folder != self.folder:
                folder.rmdir()
                folder = folder.parent

    def _place_of(self, stage: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", stage):
            raise ValueError(f"{stage!r} is no name of a stage")
        return self._hidden / _RECORDS / f"{stage}.json"

    def _record(self, stage: str) -> Record | None:
        try:
            text = self._place_of(stage).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        record = Record.from_text(text)
        return record if record and record.stage == stage else None

    def _write(self, record: Record) -> None:
        self._put_text(self._place_of(record.stage), record.as_text())

    def _put_text(self, path: Path, text: str) -> None:
        place = self._scratch / f"text-{secrets.token_hex(4)}"
        place.write_text(text, encoding="utf-8", newline="")
        sync_file(place)
        put(place, path)
