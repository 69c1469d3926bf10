"""The machine that figures were taken on, in one line."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ultrahand import __version__

PACKAGES = ("numpy", "scipy", "numba", "finufft")


def describe_machine(threads: int) -> str:
    """Return processor, cores, memory, load of others, system and versions."""
    parts = [
        f"{_processor()}, {os.cpu_count()} cores",
        f"{_memory_gb():.0f} GB",
        f"{threads} threads for each engine",
        f"load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "",
        f"{platform.system()}, Python {platform.python_version()}",
        f"ultrahand {__version__}",
        *(f"{name} {_version(name)}" for name in PACKAGES),
    ]
    return ", ".join(part for part in parts if part)


def available_threads() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"
