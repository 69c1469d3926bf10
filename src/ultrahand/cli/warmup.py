"""``ultrahand warmup``: compile every kernel once."""

from __future__ import annotations

import argparse
import json

from ultrahand.kernels import cache_folder, warm_up


def run(options: argparse.Namespace) -> int:
    """Compile, and say how long it took and where the result is kept."""
    seconds = warm_up()
    folder = cache_folder()
    if options.json:
        print(json.dumps({"cache": str(folder) if folder else None, "seconds": seconds}, indent=2))
        return 0
    for name, taken in seconds.items():
        print(f"{name}\t{taken:.2f} s")
    print(f"cache\t{folder or 'none: no folder is writable'}")
    return 0
