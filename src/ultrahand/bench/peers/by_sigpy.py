"""SigPy: its NUFFT, its SENSE and its ESPIRiT applications, compiled before they are timed."""

from __future__ import annotations

from typing import Final

import numpy as np

from ultrahand.bench.problem import Array, Call, Case

EXACT: Final = {"oversamp": 2.0, "width": 6}
"""As exact as ours at eps 1e-5; its default (1.25, 4) errs by 0.8 % in a third of the time."""
WITHIN_1E4: Final = {"oversamp": 2.0, "width": 5}
"""The fastest that errs by no more than 1e-4: the default misses it by five."""


def forward(case: Case) -> Call:
    """With a kernel as exact as ours."""
    import sigpy

    k, given = case["k"], case["given"]
    _compile(k, tuple(case["shape"].tolist()))
    return lambda: sigpy.nufft(given, k, **EXACT)


def adjoint(case: Case) -> Call:
    """With a kernel as exact as ours."""
    import sigpy

    k, given = case["k"], case["given"]
    shape = tuple(case["shape"].tolist())
    _compile(k, shape)
    return lambda: sigpy.nufft_adjoint(given, k, (len(given), *shape), **EXACT)


def radial_sense(case: Case) -> Call:
    """Use the application for it, with its default kernel."""
    import sigpy.mri

    y, maps, k = case["y"], case["maps"], case["k"]
    _compile(k.reshape(-1, 2), maps.shape[1:])

    def call() -> Array:
        found: Array = sigpy.mri.app.SenseRecon(
            y, maps, coord=k, max_iter=10, show_pbar=False
        ).run()
        return found

    return call


def coil_maps(case: Case) -> Call:
    """Uncropped; 20 power iterations are as exact as its default of 100, and faster."""
    import sigpy.mri

    kspace, width = case["kspace"], int(case["lines"])

    def call() -> Array:
        found: Array = sigpy.mri.app.EspiritCalib(
            kspace, calib_width=width, crop=0, max_iter=20, show_pbar=False
        ).run()
        return found

    return call


def sodium_file(case: Case) -> Call:
    """Read and whiten by the reader that all are given; its adjoint within the tolerance."""
    import sigpy

    from ultrahand.bench.readouts import whitened_samples
    from ultrahand.bench.sodium_file import FILE
    from ultrahand.io.read_raw import read_raw

    k, weights, shape = case["k"], case["weights"], tuple(case["shape"].tolist())
    _compile(k, shape)

    def call() -> Array:
        samples = whitened_samples(read_raw(case.folder / FILE)) * weights
        images = sigpy.nufft_adjoint(samples, k, (len(samples), *shape), **WITHIN_1E4)
        return np.sqrt((np.abs(images) ** 2).sum(axis=0))

    return call


def _compile(k: Array, shape: tuple[int, ...]) -> None:
    import sigpy

    few = k[:100]
    samples = sigpy.nufft(np.zeros((1, *shape), np.complex64), few)
    sigpy.nufft_adjoint(samples, few, (1, *shape))
