"""The time of ``ultrahand --help``; goal below 0.3 s."""

import sys

from benchmarks.measure import command_seconds


def run():
    seconds = command_seconds([sys.executable, "-m", "ultrahand", "--help"])
    yield "ultrahand --help < 0.3 s", f"{seconds:.3f} s", seconds < 0.3
