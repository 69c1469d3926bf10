"""Bounds for reading a file's structure: a small file must not cost gigabytes or hours.

Damaged or hostile HDF5 can send the library in circles or make it ask for memory without end. Both
limits grow with the file, so that a large measurement on a slow disk is never stopped: only the
processor's time counts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ultrahand.errors import InputError

CPU_SECONDS = 2.5
BYTES_PER_CPU_SECOND = 10 * 2**20
MEMORY_BYTES = 192 * 2**20
MEMORY_PER_BYTE = 3

try:
    import resource
except ImportError:  # Windows
    _CAN_BOUND = False
else:
    _CAN_BOUND = hasattr(signal, "setitimer") and Path("/proc/self/statm").exists()


@contextmanager
def bounded(path: Path) -> Iterator[None]:
    """Bound memory and processor time while the structure of a file is read.

    Too much time ends the process by SIGPROF, which its parent explains: a library that goes in
    circles cannot be stopped otherwise. On systems without ``/proc`` nothing is bounded.

    Raises
    ------
    InputError
        The file asks for more memory than its size can justify.
    """
    size = _size(path) if _CAN_BOUND else None
    if size is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = _address_space() + MEMORY_BYTES + MEMORY_PER_BYTE * size
    if before[1] != resource.RLIM_INFINITY:
        limit = min(limit, before[1])
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS + size / BYTES_PER_CPU_SECOND)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    except MemoryError:
        raise _too_large(path, size) from None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _too_large(path: Path, size: int) -> InputError:
    error = InputError(
        "file",
        found=f"sizes that need more than {(MEMORY_BYTES + MEMORY_PER_BYTE * size) // 10**6} MB",
        expected=f"sizes that fit a file of {size} bytes",
        remedy="copy or convert the measurement again",
    )
    error.file = path.name
    return error
