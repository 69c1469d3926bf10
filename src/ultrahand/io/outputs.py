"""Output files that appear complete, together, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ultrahand.errors import ResourceError, UsageError

PREFIX = ".ultrahand-"


class OutputSet:
    """Files written beside their place and renamed when all are complete.

    Used as a context manager: leaving it without `commit` removes what was begun.

    Parameters
    ----------
    force
        Whether existing files may be replaced.
    inputs
        Files that are never overwritten, whatever `force` says.
    """

    def __init__(self, *, force: bool, inputs: Iterable[Path]) -> None:
        self._force = force
        self._inputs = list(inputs)
        self._begun: dict[Path, Path] = {}
        self._old: list[Path] = []

    def check(self, path: Path) -> None:
        """Refuse a place that cannot or must not be written.

        Raises
        ------
        UsageError
            An input, an existing file without `force`, or a folder that cannot be written.
        """
        try:
            self._check(path)
        except OSError as error:  # a name that is too long, links in a circle
            raise UsageError(
                f"{path.name} cannot be written ({error.strerror}); choose another -o"
            ) from None

    def _check(self, path: Path) -> None:
        if self._is_input(path):
            raise UsageError(
                f"{path.name} is an input or the log and is never overwritten; choose another -o"
            )
        if path.is_dir():
            raise UsageError(f"{path.name} is a folder; give the name of a file")
        if _is_there(path) and not self._force:
            raise UsageError(f"{path.name} exists; use --force to replace it")
        if not path.parent.is_dir():
            raise UsageError(f"the folder of {path.name} does not exist; make it first")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise UsageError(f"the folder of {path.name} cannot be written; choose another -o")

    def _is_input(self, path: Path) -> bool:
        return any(is_same_file(path, given) for given in self._inputs)

    def claim(self, path: Path) -> Path:
        """Return a temporary place for a file that shall stand at ``path``.

        Raises
        ------
        UsageError
            As `check`.
        """
        self.check(path)
        place = path.parent / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}{path.suffix}"
        try:
            place.touch(exist_ok=False)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UsageError(
                f"the folder of {path.name} cannot be written ({error.strerror}); choose another -o"
            ) from None
        self._begun[path] = place
        return place

    def retire(self, path: Path) -> None:
        """Remove a file of an earlier run at commit: it would stand beside what it is not of."""
        with suppress(OSError):  # a name that is too long is none of an earlier run
            if self._force and path.is_file() and not self._is_input(path):
                self._old.append(path)

    def commit(self) -> list[Path]:
        """Put every claimed file in its place; return the places in order."""
        for place in self._begun.values():
            with place.open("rb") as file:
                os.fsync(file.fileno())
        done: list[Path] = []
        try:
            for path, place in self._begun.items():
                _publish(place, path, replace=self._force)
                done.append(path)
        except FileExistsError:
            for path in done:
                path.unlink(missing_ok=True)
            raise UsageError(
                "an output appeared while it was made, from another run; use --force or another -o"
            ) from None
        for path in self._old:
            if path not in done:
                path.unlink(missing_ok=True)
        self._begun = {}
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for place in self._begun.values():
            place.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                "the disk is full; nothing was written: make room or choose another -o"
            ) from error


def _publish(place: Path, path: Path, *, replace: bool) -> None:
    """Give a finished file its name; without ``replace`` never one that another run has taken."""
    if not replace:
        try:
            path.hardlink_to(place)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if _is_there(path):
                raise FileExistsError from None
        else:
            place.unlink()
            return
    place.replace(path)


def is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two names lead to one file, through links of either kind too."""
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def _is_there(path: Path) -> bool:
    """Tell whether anything has that name; a link that leads nowhere counts."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
