"""One run at a time in a folder: a lock that dies with the last process of its run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from ultrahand.errors import UsageError

WAIT_S: Final = 3.0
"""How long to wait for another run: the children of a killed one end within this time."""
_STEP_S: Final = 0.05


@final
class FolderLock:
    """An exclusive lock on a file, held from entry to exit.

    The system gives it up when every process that has the file open is gone, children that were
    forked in between included; so a dead run never keeps it, and its living children always do.

    Parameters
    ----------
    path
        The file, made where it is missing; it stays, as removing it would race with others.
    name
        What the folder is called in the refusal.
    wait_s
        How long to wait for another run's end.
    """

    def __init__(self, path: Path, *, name: str, wait_s: float = WAIT_S) -> None:
        self._path = path
        self._name = name
        self._wait_s = wait_s
        self._file = -1

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        end = time.monotonic() + self._wait_s
        while not _try_lock(self._file):
            if time.monotonic() >= end:
                os.close(self._file)
                raise UsageError(
                    f"{self._name} is in use by another run; wait for its end or choose another -o"
                )
            time.sleep(_STEP_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(number: int) -> bool:
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(number: int) -> bool:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
