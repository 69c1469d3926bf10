"""``python -m benchmarks [NAME ...]``: run the benchmarks and print one table a problem.

Those of ``ultrahand bench`` by their names there, and the files beside this one: what needs the
repository, or has no peer.
"""

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.measure import threads
from ultrahand.bench.catalogue import PROBLEMS, choose
from ultrahand.bench.contest import run_problem
from ultrahand.bench.machine import describe_machine
from ultrahand.bench.result import joined
from ultrahand.bench.table import text_table
from ultrahand.errors import UsageError

HERE = Path(__file__).parent
FILES = sorted(path.stem for path in HERE.glob("[a-z]*.py") if path.stem != "measure")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join([*FILES, *PROBLEMS])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {names}")
    given = parser.parse_args().names or [*FILES, *PROBLEMS]
    try:
        wanted = [name for name in given if name not in FILES]
        problems = choose(wanted) if wanted else []
    except UsageError as error:
        parser.error(str(error))
    print(describe_machine(threads()))
    missed = sum(run_file(name) for name in FILES if name in given)
    if problems:
        missed += run_problems(problems)
    return int(missed > 0)


def run_file(name):
    """Run a file of this folder and return how many of its goals were missed."""
    problem = importlib.import_module(f"benchmarks.{name}")
    print(f"\n## {name}: {problem.__doc__.splitlines()[0]}")
    missed = 0
    for goal, value, met in problem.run():
        print(f"{'met' if met else 'MISSED'}\t{goal}\t{value}")
        missed += not met
    return missed


def run_problems(names):
    """Run problems of the package and return how many of their goals were missed."""
    say = lambda words: print(words, file=sys.stderr)  # noqa: E731
    found = [
        run_problem(PROBLEMS[name], name, size="full", threads=threads(), say=say) for name in names
    ]
    print(text_table(joined(found), ""), end="")
    return sum(goal.met is False for result in found for goal in result.goals)


if __name__ == "__main__":
    raise SystemExit(main())
