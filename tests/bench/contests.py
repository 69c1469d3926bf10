"""Contests with known ends, run by `test_contest`: each contestant lives in its own process."""

import os
import signal
import time

import numpy as np

from ultrahand.bench.problem import OURS, AbsentError, Engine, Goal, Problem, relative_error

TRUTH = np.array([3.0, 4.0])


def make(size, folder, threads):
    del size, folder, threads
    return {"truth": TRUTH}


def right(case):
    return lambda: case["truth"] * 2j  # the scale is fitted


def wrong(case):
    """Half of the truth's energy is missed, whatever the scale: the error is 3 / 5."""
    return lambda: case["truth"] * [0, 1]


def slow(case):
    def call():
        time.sleep(0.05)
        return case["truth"]

    return call


def threads(case):
    print("noise of a library on standard output")
    count = float(os.environ["OMP_NUM_THREADS"])
    return lambda: np.array([3.0, 4.0 if count == case.threads else 0.0])


def large(case):
    def call():
        block = np.ones(40_000_000, np.uint8)
        return case["truth"] * block[0]

    return call


def not_installed(_case):
    import a_package_that_nobody_has  # noqa: F401


def no_command(_case):
    raise AbsentError("the command such-a-program is not on the PATH")


def raises(_case):
    return lambda: 1 / 0


def crashes(_case):
    return lambda: os.kill(os.getpid(), signal.SIGSEGV)


def _engines(**prepare):
    return tuple(
        Engine(name=name.replace("_", "-"), prepare=call, package="numpy")
        for name, call in prepare.items()
    )


def _problem(name, engines, goals=()):
    return Problem(
        name=name,
        title="two numbers",
        make=make,
        judge=lambda found, case: relative_error(found, case["truth"]),
        error_name="relative l2",
        engines=engines,
        goals=goals,
    )


PROBLEMS = {
    problem.name: problem
    for problem in (
        _problem(
            "all-kinds",
            _engines(
                **{OURS: right},
                slow=slow,
                wrong=wrong,
                threads=threads,
                large=large,
                not_installed=not_installed,
                no_command=no_command,
                raises=raises,
                crashes=crashes,
            ),
            (
                Goal(peer="slow", ratio=2, error="wrong"),
                Goal(peer="slow", ratio=1e9, error=1.0),
                Goal(peer="crashes", ratio=1, error=1.0),
            ),
        ),
        _problem("ours-fails", _engines(**{OURS: raises})),
        _problem("ours-crashes", _engines(**{OURS: crashes})),
        _problem("ours-absent", _engines(**{OURS: not_installed})),
    )
}
