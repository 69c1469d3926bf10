"""``python -m benchmarks [NAME ...]``: run the benchmarks and print one table a problem."""

import argparse
import importlib
import platform
from importlib.metadata import version

from benchmarks.measure import threads

NAMES = ("help", "reading", "cartesian", "gridding", "normal")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", default=[])
    names = parser.parse_args().names or NAMES
    packages = ("numpy", "scipy", "numba", "h5py", "finufft", "ismrmrd", "sigpy")
    print(f"{platform.processor() or platform.machine()}, {threads()} threads, ", end="")
    print(f"Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    missed = 0
    for name in names:
        problem = importlib.import_module(f"benchmarks.{name}")
        print(f"\n## {name}: {problem.__doc__.splitlines()[0]}")
        for goal, value, met in problem.run():
            print(f"{'met' if met else 'MISSED'}\t{goal}\t{value}")
            missed += not met
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
