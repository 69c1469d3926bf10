"""Time and memory of one call, in a process of its own where memory matters."""

import json
import os
import subprocess
import sys
import time


def threads():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def best_of(call, repeats=5):
    """Return the shortest of several warm calls, in seconds: the least disturbed one."""
    call()
    return min(_seconds(call) for _ in range(repeats))


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def command_seconds(arguments, repeats=5):
    """Return the shortest wall time of a whole command."""
    return min(
        _seconds(lambda: subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL))
        for _ in range(repeats)
    )


def in_a_new_process(module, function, *arguments):
    """Call a function of a benchmark in a fresh process; return its result and peak memory."""
    code = (
        f"import importlib, json, resource, sys; "
        f"result = getattr(importlib.import_module({module!r}), {function!r})(*{arguments!r}); "
        f"peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024; "
        f"print(json.dumps([result, peak]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])
