"""The Cartesian transform by each FFT engine that is installed, in turns: scipy over MKL.

With ``pip install 'ultrahand[mkl]'``. Goal: MKL is faster wherever it is used, or it is not worth
its place. The last row's axes are not the last ones: there both names are scipy's.
"""

import os

import numpy as np

from benchmarks.measure import best_of, threads
from ultrahand.errors import UsageError
from ultrahand.numerics import fft

CASES = [
    ((12, 300, 300), (1, 2)),
    ((16, 256, 256), (1, 2)),
    ((8, 96, 96, 96), (1, 2, 3)),
    ((1, 256, 256, 192), (1, 2, 3)),
    ((16, 128, 128, 16), (1, 2)),
]


def run():
    before = os.environ.get(fft.VARIABLE)
    try:
        os.environ[fft.VARIABLE] = "mkl"
        fft.engine()
    except UsageError as error:
        print(error)
        return
    try:
        for shape, axes in CASES:
            yield from ratios(shape, axes)
    finally:
        os.environ.pop(fft.VARIABLE)
        if before is not None:
            os.environ[fft.VARIABLE] = before


def ratios(shape, axes):
    work = np.ones(shape, np.complex64)
    for workers in sorted({1, threads()}):
        seconds = {}
        for _ in range(2):  # in turns: the second time counts where the first was disturbed
            for name in fft.ENGINES:
                os.environ[fft.VARIABLE] = name
                taken = best_of(lambda n=workers: fft.fftn(work, axes, norm="ortho", workers=n))
                seconds[name] = min(taken, seconds.get(name, np.inf))
        ratio = seconds["scipy"] / seconds["mkl"]
        size = " x ".join(map(str, shape))
        yield (
            f"{size}, axes {axes}, {workers} thread(s): MKL no slower than scipy",
            f"{ratio:.2f} x ({seconds['scipy'] * 1e3:.1f} and {seconds['mkl'] * 1e3:.1f} ms)",
            ratio >= 0.9,
        )
