"""Run the contestants of a problem in turns, each in its process.

Turns make ratios of times mean something on a machine that others use too: what slows one
contestant slows the next one as much. Each waits asleep while another one works.
"""

from __future__ import annotations

import json
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from ultrahand.bench.child import MAKE
from ultrahand.bench.problem import OURS, Engine, Problem, Size
from ultrahand.bench.result import Absent, Result, Row, compare
from ultrahand.errors import UltrahandError

TURNS: Final = 7
BUDGET_S: Final = 60.0
"""A contestant takes no further turn when it has used so much. A peer whose first call alone takes
longer is not asked again: that call, without its preparation, is its warm one too."""
LIMIT_S: Final = 1800.0
"""Of one answer: what takes longer is ended."""
PAUSE_S: Final = 0.25
"""Between turns: threads of some libraries spin on for a while after their work."""
_THREADS: Final = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")


class BenchError(UltrahandError):
    """Ours failed: a defect."""


def run_problem(
    module: str,
    name: str,
    *,
    size: Size,
    threads: int,
    peers: Collection[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Make the data, let every engine take its turns, and compare.

    Parameters
    ----------
    module, name
        The module whose ``PROBLEMS`` holds the problem under this name.
    size
        ``tiny`` is for tests: one turn, and times that mean nothing.
    threads
        Of each contestant.
    peers
        Those that take part beside ours; None for all.
    say
        Told what goes on.

    Raises
    ------
    BenchError
        If the data cannot be made, or ours fails.
    """
    problem: Problem = import_module(module).PROBLEMS[name]
    with tempfile.TemporaryDirectory(prefix="ultrahand-bench-") as folder:
        case = _Case(problem, [module, name], size, Path(folder), threads)
        say(f"{name}: data")
        with _Process(case, None) as maker:
            made = maker.answer()
        if "failed" in made or "absent" in made:
            raise BenchError(f"the data of {name} were not made: {_reason(made)}")
        engines = [e for e in problem.engines if e.name == OURS or peers is None or e.name in peers]
        return _contest(case, [_Process(case, engine) for engine in engines], say)


@final
@dataclass(frozen=True)
class _Case:
    problem: Problem
    place: list[str]
    size: Size
    folder: Path
    threads: int


def _contest(case: _Case, processes: list[_Process], say: Callable[[str], None]) -> Result:
    name = case.problem.name
    turns = TURNS if case.size == "full" else 1
    rows, absent = [], []
    try:
        for process in processes:
            say(f"{name}: {process.name}")
            process.first()
        for number in range(turns):
            say(f"{name}: turn {number + 1} of {turns}")
            for process in processes:
                process.turn()
        for process in processes:
            found = process.end()
            if isinstance(found, Row):
                rows.append(found)
            else:
                absent.append(found)
    finally:
        for process in processes:
            process.close()
    for missing in absent:
        if missing.engine == OURS:
            raise BenchError(f"{name}: {missing.reason}")
    titles = {name: (case.problem.title, case.problem.error_name)}
    return Result(titles=titles, rows=rows, absent=absent, goals=compare(case.problem, rows))


@final
class _Process:
    """A contestant from outside, or (without an engine) what makes the data."""

    def __init__(self, case: _Case, engine: Engine | None) -> None:
        self.name = engine.name if engine else MAKE
        self._case, self._setting = case, engine.setting if engine else ""
        own = case.folder / self.name if engine else case.folder
        if engine:
            _share(case.folder, own)
        arguments = [*case.place, self.name, case.size, str(own), str(case.threads)]
        self._words = case.folder / f"{self.name}.txt"
        with self._words.open("w") as words:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ultrahand.bench.child", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                env=_environment(case.threads, engine),
                text=True,
            )
        self._missing: dict[str, Any] = {}
        self._first: dict[str, Any] = {}
        self._seconds: list[float] = []
        self._cpu: list[float] = []
        self._used_s = 0.0

    def first(self) -> None:
        """Let it prepare and call once."""
        self._first = self._ask("first")
        # The first call of ours compiles; peers that compile do so while they prepare.
        self._used_s = 0.0 if self.name == OURS else self._first.get("seconds_call", 0.0)

    def turn(self) -> None:
        """Let it call, unless it has had its time."""
        if not self._missing and self._used_s < BUDGET_S:
            time.sleep(PAUSE_S)
            said = self._ask("again")
            if said and not self._missing:
                self._seconds += said["seconds"]
                self._cpu.append(said["cpu"])
                self._used_s += sum(said["seconds"])

    def end(self) -> Row | Absent:
        """Return its row, or why there is none."""
        last = {} if self._missing else self._ask("end")
        if self._missing:
            return Absent(self._case.problem.name, self.name, _reason(self._missing))
        return Row(
            problem=self._case.problem.name,
            engine=self.name,
            seconds_first=self._first["seconds_first"],
            seconds_warm=statistics.median(self._seconds or [self._first["seconds_call"]]),
            cpu_seconds=statistics.median(self._cpu or [self._first["cpu"]]),
            error=last["error"],
            peak_mb=last["peak_bytes"] / 1e6,
            threads=self._case.threads,
            version=last["version"],
            setting=self._setting,
            calls=len(self._seconds) or 1,
        )

    def _ask(self, word: str) -> dict[str, Any]:
        if self._missing:
            return {}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its answer says so
        said = self.answer()
        if "absent" in said or "failed" in said:
            self._missing = said
        return said

    def answer(self) -> dict[str, Any]:
        """Wait for one answer; what ends without one, or takes too long, has failed."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(LIMIT_S):
                return {"failed": f"no answer within {LIMIT_S:g} s"}
        line = self._process.stdout.readline()
        if line:
            said: dict[str, Any] = json.loads(line)
            return said
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        last = self._words.read_text(errors="replace").strip().splitlines()[-1:]
        return {"failed": ": ".join([f"it ended {how}", *last])}

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _share(folder: Path, own: Path) -> None:
    """Give a contestant a folder with links to the data, where no other one's files are."""
    own.mkdir()
    for file in sorted(folder.iterdir()):
        if file.is_file():
            (own / file.name).symlink_to(file)


def _environment(threads: int, engine: Engine | None) -> dict[str, str]:
    """Bound the threads of every library.

    BLAS gets one thread, which is best for every engine beside other work: pygrappa with two is ten
    times slower on a busy machine, as the second one spins. For the same reason OpenMP's threads
    wait asleep. Ours is left with what its command line sets.
    """
    counts = dict.fromkeys(_THREADS, str(threads)) | {"OPENBLAS_NUM_THREADS": "1"}
    if engine is not None and engine.name != OURS:
        counts["OMP_WAIT_POLICY"] = "passive"
    return os.environ | counts


def _reason(said: dict[str, Any]) -> str:
    return f"failed: {said['failed']}" if "failed" in said else str(said["absent"])
