r"""The fast Fourier transform of reconstructions: one place, two engines.

`scipy.fft` by default. The environment variable ``ULTRAHAND_FFT=mkl`` takes Intel's library through
`mkl_fft`, which the user installs (``pip install 'ultrahand[mkl]'``): it is proprietary, and about
two to three times as fast (``python -m benchmarks transforms``) where the transformed axes are the
last; elsewhere scipy is faster, and does the work with either. A name that is not known, or an
engine that is not installed, is refused, and sidecars name what was used.

Both transform in place, sum with the sign minus forwards, and keep the precision they are given.
The same bits come out for any number of threads: work is shared by whole transforms, each on one
thread. MKL's own threads beside Python's made the same transforms 20 times slower and more.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, Literal

from ultrahand.errors import UsageError
from ultrahand.records.arrays import Complex, require

Norm = Literal["ortho", "backward", "forward"]
VARIABLE: Final = "ULTRAHAND_FFT"
ENGINES: Final = ("scipy", "mkl")


def fftn(
    data: Complex, axes: tuple[int, ...] | None = None, *, norm: Norm = "backward", workers: int = 1
) -> Any:  # noqa: ANN401 - of the kind of `data`
    """Transform over `axes` (None for all), overwriting `data`; return what holds the result.

    Parameters
    ----------
    data
        complex64 or complex128, origin at index 0.
    axes
        Which.
    norm
        As of `scipy.fft`.
    workers
        Threads; the result is the same for any number.

    Raises
    ------
    ultrahand.errors.UsageError
        If the engine asked for is not known or not installed.
    """
    return _transform("fftn", data, axes, norm, workers)


def ifftn(
    data: Complex, axes: tuple[int, ...] | None = None, *, norm: Norm = "backward", workers: int = 1
) -> Any:  # noqa: ANN401
    """Inverse of `fftn`, overwriting `data`."""
    return _transform("ifftn", data, axes, norm, workers)


def engine() -> str:
    """Return the name of the engine that was asked for.

    Raises
    ------
    ultrahand.errors.UsageError
        If it is not known or not installed.
    """
    name = os.environ.get(VARIABLE) or ENGINES[0]
    if name not in ENGINES:
        raise UsageError(f"{VARIABLE} is {name!r}: expected {' or '.join(ENGINES)}")
    if name == "mkl":
        _mkl()
    return name


def engine_versions() -> dict[str, str]:
    """Return the engine's package and its version, for what is written beside results."""
    from importlib.metadata import version

    package = {"scipy": "scipy", "mkl": "mkl_fft"}[engine()]
    return {package: version(package)}


def _transform(
    name: str, data: Complex, axes: tuple[int, ...] | None, norm: Norm, workers: int
) -> Complex:
    import scipy.fft

    require(data.dtype.kind == "c", f"data must be complex, got {data.dtype}")
    places = sorted(axis % data.ndim for axis in (range(data.ndim) if axes is None else axes))
    last = places == list(range(data.ndim - len(places), data.ndim))
    if engine() == "mkl" and places and last and data.flags.c_contiguous and data.flags.writeable:
        _by_mkl(name, data, len(places), norm, workers)
        return data
    made: Complex = getattr(scipy.fft, name)(
        data, axes=axes, norm=norm, overwrite_x=True, workers=workers
    )
    return made


def _by_mkl(name: str, data: Complex, dims: int, norm: Norm, workers: int) -> None:
    """Transform the last `dims` axes, one item at a time on each thread, in place."""
    transform, hold = _mkl()
    items = data.reshape(-1, *data.shape[data.ndim - dims :])

    def work(first: int) -> None:
        before = hold(1)
        for item in items[first::lanes]:
            # Whole items: given axes of a batch, mkl_fft 2.3.2 takes its norm from all of them.
            transform[name](item, norm=norm, out=item)
        hold(before)

    lanes = max(1, min(workers, len(items)))
    if lanes == 1:
        work(0)
        return
    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(work, range(lanes)))


@cache
def _mkl() -> tuple[dict[str, Any], Any]:
    """Return MKL's transforms, and what sets its threads for the thread that calls."""
    try:
        import mkl
        import mkl_fft
    except ImportError as error:
        raise UsageError(
            f"{VARIABLE} is 'mkl', and {error.name} is not installed: pip install "
            f"'ultrahand[mkl]', or leave {VARIABLE} out for scipy"
        ) from error
    return {"fftn": mkl_fft.fftn, "ifftn": mkl_fft.ifftn}, mkl.set_num_threads_local
