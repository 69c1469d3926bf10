"""How kernels are compiled, cached and started. Everything numba-wide is decided here.

* The cache lies in the user's cache folder, one folder for each version of numba and Python, each
  kind of processor (machines that share a home must not share machine code) and each state of the
  kernels' sources: numba looks at a kernel's own file alone, so it would go on using what was
  compiled from a helper that has changed. An own ``NUMBA_CACHE_DIR`` wins. Where nothing can be
  written, kernels compile in every process.
* A cache file cut short by a crash is thrown away and compiled anew: numba itself fails on it in
  every later run (numba issue 10434).
* With ``NUMBA_BOUNDSCHECK`` nothing is cached: the flag is no part of numba's cache key, so a
  cached kernel would run unchecked.
* Parallel kernels start one at a time: numba's ``workqueue`` threading layer aborts the process
  when two Python threads enter it. ``omp`` comes first, as it copes with that.
"""

from __future__ import annotations

import os
import pickle
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Any, final

import numba
import numpy as np
from llvmlite import binding  # type: ignore[import-untyped]  # has no stubs
from numpy.typing import NDArray

LAYERS = ["omp", "tbb", "workqueue"]
KEPT_S = 90 * 86400
"""A folder of the cache in which nothing was compiled for so long is removed."""
BROKEN_CACHE = (EOFError, pickle.UnpicklingError)

_config: Any = numba.config  # its attributes are made at run time
if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    _config.THREADING_LAYER_PRIORITY = LAYERS


@final
class Kernel:
    """A compiled function that is started from Python; numba code cannot call it.

    It writes to its last argument alone: the arrays before are passed as read-only views. So
    records, which are read-only, and fresh arrays are one type to numba, compiled once.
    """

    _starting = RLock()

    def __init__(self, body: Callable[..., Any], options: dict[str, Any]) -> None:
        self.body = body
        self.__name__, self.__doc__ = body.__name__, body.__doc__
        self._options = options
        self._compiled = _compile(body, options)

    def __call__(self, *args: Any) -> Any:
        *inputs, out = args
        frozen = [_read_only(a) if isinstance(a, np.ndarray) else a for a in inputs]
        with self._starting:
            try:
                return self._compiled(*frozen, out)
            except BROKEN_CACHE:
                shutil.rmtree(self._compiled.stats.cache_path, ignore_errors=True)
                self._compiled = _compile(self.body, self._options)
                return self._compiled(*frozen, out)


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Decorate a kernel: `numba.njit` with these options, cached."""
    return lambda body: Kernel(body, options)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Run the kernels of this thread on `n` cores (or all there are, if fewer)."""
    before = numba.get_num_threads()
    numba.set_num_threads(max(1, min(n, _config.NUMBA_NUM_THREADS)))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def cache_folder() -> Path | None:
    """Return where compiled kernels are kept, made if need be; None where nothing can be."""
    own = _config.CACHE_DIR
    try:
        folder = Path(own) if own else _user_cache() / "ultrahand" / f"{_machine()}-{_sources()}"
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _forget_old(folder.parent)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None
    return folder


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _compile(body: Callable[..., Any], options: dict[str, Any]) -> Any:
    folder = None if _config.BOUNDSCHECK else cache_folder()
    if folder is None:
        return numba.njit(**options)(body)
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(folder)  # numba looks only while it decorates
    try:
        return numba.njit(cache=True, **options)(body)
    finally:
        _config.CACHE_DIR = before


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@cache
def _sources() -> str:
    """Return a mark of what all kernels are compiled from."""
    digest = sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _forget_old(caches: Path) -> None:
    """Remove what was compiled from sources or for versions of long ago; at worst it is redone."""
    for folder in caches.glob("numba-*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > KEPT_S:
                shutil.rmtree(folder)


def _machine() -> str:
    python = f"{sys.implementation.name}{sys.version_info.major}{sys.version_info.minor}"
    cpu = binding.get_host_cpu_name() or platform.machine()
    return f"numba-{numba.__version__}-{python}-{cpu}"
