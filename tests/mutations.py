"""Change bytes of a file at random, and watch from outside how reading it ends."""

import faulthandler
import os
import resource
import signal
import sys
import traceback
from collections import Counter

import numpy as np

from ultrahand.errors import UltrahandError
from ultrahand.io.read_raw import read_raw

SECONDS = 20
MEMORY = 2**31
STRIKING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def mutated(content, rng):
    """Change 1 to 16 bytes: at random, in one stretch, or to striking values."""
    changed = np.frombuffer(content, np.uint8).copy()
    count = int(rng.integers(1, 17))
    if rng.random() < 0.5:
        places = rng.integers(0, len(changed), count)
    else:
        places = (int(rng.integers(0, len(changed))) + np.arange(count)) % len(changed)
    if rng.random() < 0.5:
        changed[places] = rng.choice(STRIKING, count)
    else:
        changed[places] = rng.integers(0, 256, count)
    if rng.random() < 0.1:
        changed = changed[: int(rng.integers(0, len(changed)))]
    return changed.tobytes()


def read_everything(path):
    """Read header, readouts, and all samples and positions, readout by readout."""
    raw = read_raw(path)
    for row in range(len(raw.readouts)):
        raw.source.samples(np.array([row]))
        if raw.readouts["trajectory_dimensions"][row]:
            raw.source.trajectory(np.array([row]))


def end_of(work):
    """Run some work in a child: "fine", "refused", "signal N", or the traceback of a defect."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        _limit()
        code, words = 0, ""
        try:
            work()
        except UltrahandError as error:
            code, words = 3, str(error)
            if "\n" in words or ("found" not in words and "--" not in words):
                code = 1
        except BaseException:  # noqa: BLE001 - this is what is looked for
            code, words = 1, traceback.format_exc()
        finally:
            os.write(mouth, words.encode(errors="replace")[:60_000])
            os._exit(code)
    os.close(mouth)
    with os.fdopen(ear, "rb") as pipe:
        words = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        return f"signal {signal.Signals(-status).name}"
    return {0: "fine", 3: "refused"}.get(status, words)


def _limit():
    faulthandler.disable()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for the child's short life
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def ends(content, path, count, rng, work=read_everything):
    """Mutate a file many times; count how it ends, and keep the mutants that crashed."""
    counted, crashed = Counter(), {}
    for _ in range(count):
        mutant = mutated(content, rng)
        path.write_bytes(mutant)
        end = end_of(lambda: work(path))
        counted[end] += 1
        if end.startswith("signal"):
            crashed.setdefault(end, []).append(mutant)
    return counted, crashed
