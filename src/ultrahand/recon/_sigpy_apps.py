"""SigPy's own reconstructions, behind one function each; see `ultrahand.recon._sigpy`.

Samples are whitened, images and transforms centred and orthonormal: SigPy's conventions are the
same. Its weights multiply other terms than ours do: who calls these converts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ultrahand.records.arrays import Complex64, Float32, Float64, require

ITERATIONS = {"SenseRecon": 100, "L1WaveletRecon": 100, "TotalVariationRecon": 100}
"""SigPy's own defaults."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """What a SENSE reconstruction is made of."""

    samples: Complex64
    """``(coils, z, y, x)``, zeros where nothing was measured; or ``(coils, samples)``."""
    maps: Complex64
    """``(coils, z, y, x)``."""
    weights: Float32 | None
    """1 / variance of each sample of a grid, ``(z, y, x)``; None for samples anywhere."""
    cycles: Float64 | None
    """Positions of samples anywhere, cycles per voxel along z, y, x (y, x in a plane)."""

    def __post_init__(self) -> None:
        require((self.weights is None) != (self.cycles is None), "either a grid or positions")


def sense_recon(measured: Measured, lamda: float) -> Complex64:
    r"""Return SigPy's minimum of :math:`\frac12 |W (F S x - y)|^2 + \frac\lambda2 |x|^2`."""
    return _run("SenseRecon", measured, lamda)


def wavelet_recon(measured: Measured, lamda: float) -> Complex64:
    r"""Return SigPy's minimum of the same with :math:`\lambda |\Psi x|_1`, Haar's wavelets."""
    return _run("L1WaveletRecon", measured, lamda, wave_name="haar")


def variation_recon(measured: Measured, lamda: float) -> Complex64:
    r"""Return SigPy's minimum of the same with :math:`\lambda |\nabla x|_1`: anisotropic."""
    return _run("TotalVariationRecon", measured, lamda)


def inverse_fft(kspace: Complex64) -> Complex64:
    """Return SigPy's images of centred k-space, ``(coils, z, y, x)``."""
    import sigpy

    images: Complex64 = sigpy.ifft(kspace, axes=(-3, -2, -1))
    return images


def _run(name: str, measured: Measured, lamda: float, **options: Any) -> Complex64:  # noqa: ANN401
    import sigpy.mri.app

    maps, samples, positions = measured.maps, measured.samples, None
    flat = measured.cycles is not None and measured.cycles.shape[1] == 2
    if flat:
        maps = maps[:, 0]
    if measured.cycles is not None:
        positions = np.ascontiguousarray(measured.cycles * np.array(maps.shape[1:]))
    app: Callable[..., Any] = getattr(sigpy.mri.app, name)
    with _seeded():
        made = app(
            samples,
            maps,
            lamda,
            weights=measured.weights,
            coord=positions,
            max_iter=ITERATIONS[name],
            show_pbar=False,
            **options,
        ).run()
    image: Complex64 = np.asarray(made, np.complex64).reshape(measured.maps.shape[1:])
    return image


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed the generator that SigPy's power iterations take, and give it back as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
