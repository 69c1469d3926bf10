"""One contestant in a process of its own: ``python -m ultrahand.bench.child ...``.

So its first call, its memory and its threads are its own. It reads one word a line from standard
input and answers one JSON object a line; what libraries print goes to standard error.

========  ===================================================================
``first`` prepare and call once: ``seconds_first`` of both, ``seconds_call``, ``cpu``
``again`` call for a while: ``seconds`` of each call, mean ``cpu`` seconds of one
``end``   judge the last result: ``error``, ``peak_bytes``, ``version``
========  ===================================================================

Any answer may be ``absent`` or ``failed`` with the reason instead.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TextIO

from ultrahand import __version__
from ultrahand.bench.peers import by_bart
from ultrahand.bench.problem import AbsentError, Call, Case, Engine, Problem

TURN_S: Final = 0.3
CALLS: Final = 9
"""Of a turn at most; a call longer than `TURN_S` is the only one of its turn."""
MAKE: Final = "(make)"
"""Instead of an engine's name: make the data."""


def main(arguments: list[str]) -> int:
    """Answer what is asked until the end of the input."""
    module, name, engine_name, size, folder, threads = arguments
    answers = _own_answers()
    problem = import_module(module).PROBLEMS[name]
    if engine_name == MAKE:
        return _answer(answers, lambda: _make(problem, size, Path(folder), int(threads)))
    engine = next(e for e in problem.engines if e.name == engine_name)
    contestant = _Contestant(problem, engine, Case(folder=Path(folder), threads=int(threads)))
    for line in sys.stdin:
        if _answer(answers, contestant.actions[line.strip()]):
            return 1
    return 0


class _Contestant:
    def __init__(self, problem: Problem, engine: Engine, case: Case) -> None:
        self._problem, self._engine, self._case = problem, engine, case
        self._call: Call | None = None
        self._last: Any = None
        self.actions: dict[str, Callable[[], dict[str, Any]]] = {
            "first": self._first,
            "again": self._again,
            "end": self._end,
        }

    def _first(self) -> dict[str, Any]:
        start = time.perf_counter()
        self._call = self._engine.prepare(self._case)
        prepared, used = time.perf_counter(), _cpu_seconds()
        self._last = self._call()
        end = time.perf_counter()
        cpu = _cpu_seconds() - used
        return {"seconds_first": end - start, "seconds_call": end - prepared, "cpu": cpu}

    def _again(self) -> dict[str, Any]:
        assert self._call is not None
        seconds: list[float] = []
        used = _cpu_seconds()
        while len(seconds) < CALLS and sum(seconds) < TURN_S:
            self._last = None  # or two results would stand side by side
            start = time.perf_counter()
            self._last = self._call()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "cpu": (_cpu_seconds() - used) / len(seconds)}

    def _end(self) -> dict[str, Any]:
        peak = _peak_bytes(in_commands=self._engine.in_commands)  # before the judge adds to it
        error = self._problem.judge(self._last, self._case)
        return {"error": error, "peak_bytes": peak, "version": _version(self._engine.package)}


def _make(problem: Problem, size: str, folder: Path, threads: int) -> dict[str, Any]:
    import numpy as np

    assert size in ("full", "tiny")
    for name, array in problem.make(size, folder, threads).items():  # type: ignore[arg-type]
        np.save(folder / f"{name}.npy", array)
    return {}


def _answer(answers: TextIO, action: Callable[[], dict[str, Any]]) -> int:
    """Do something and say what came of it; return 1 where nothing did."""
    try:
        said = action()
    except (AbsentError, ImportError) as error:
        said = {"absent": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is its result
        import traceback

        traceback.print_exc()
        said = {"failed": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(said) + "\n")
    answers.flush()
    return int("absent" in said or "failed" in said)


def _own_answers() -> TextIO:
    """Keep standard output for answers alone: libraries print to it too."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _cpu_seconds() -> float:
    """Return what all threads and ended commands have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _peak_bytes(*, in_commands: bool) -> int:
    if in_commands:
        return by_bart.peak_bytes[0]
    own = by_bart.high_water()
    if not own:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        own = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, by_bart.peak_bytes[0])


def _version(package: str) -> str:
    if package == "bart":
        return by_bart.version()
    if package == "ultrahand":
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
