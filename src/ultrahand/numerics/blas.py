"""Keep the linear algebra library to one thread where other threads need the cores.

OpenBLAS's second thread spins for a while after each call: beside our own threads a scalar product
of two small vectors doubles the time of what follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS at one thread; results then do not depend on the number of cores either."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    """Return what controls the libraries that are loaded; looking for them takes milliseconds."""
    import numpy as np  # noqa: F401 - loads its BLAS
    import scipy.linalg  # noqa: F401 - loads its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
