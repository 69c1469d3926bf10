r"""SENSE: the image that explains the samples of all coils at once.

.. math:: x = \arg\min_x \tfrac12 \sum_c \lVert W^{1/2} (F S_c x - y_c) \rVert^2
              + \tfrac \lambda 2 \lVert x \rVert^2 + \tfrac12 \lVert \mu^{1/2} F D x \rVert^2

Pruessmann, Weiger, Bornert, Boesiger: MRM 2001;46:638, doi:10.1002/mrm.1241. W holds how often each
sample was measured (one over the variance of its mean).

The data are whitened, so the image comes in noise units, and lambda has a meaning: one over the
image's own mean power is the Wiener filter's. It holds down what the samples do not tell, and moves
what they tell by less than the noise. mu (and D) hold what lies beyond the samples: see `beyond`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.numerics.solution import Solution
from ultrahand.recon.beyond import HeldOperator, beyond_mask, norm_of
from ultrahand.recon.normal import NormalOperator, Spectra, normal_operator
from ultrahand.recon.preconditioner import (
    CirculantInverse,
    DiagonalInverse,
    circulant_inverse,
    diagonal_inverse,
)
from ultrahand.records.arrays import Complex64, require

Inverse = CirculantInverse | DiagonalInverse
NOISE_LEFT: Final = 0.001
"""The iteration stops when what is left of the normal equations is this part of their noise. What
is weakly known comes last: then some percent of a voxel's noise are missing from the image."""


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sense:
    """A SENSE reconstruction."""

    image: Complex64
    """``(sets, z, y, x)``."""
    solution: Solution
    damping: float


def combine_coils(images: Complex64, maps: Complex64) -> Complex64:
    """Return ``sum(conj(maps) * images)`` over coils.

    Parameters
    ----------
    images
        ``(coils, z, y, x)``.
    maps
        ``(coils, sets, z, y, x)``.

    Returns
    -------
    Complex64
        ``(sets, z, y, x)``.
    """
    total = np.zeros(maps.shape[1:], np.complex64)
    for image, sensitivity in zip(images, maps, strict=True):
        total += sensitivity.conj() * image
    return total


def sense(
    rhs: Complex64,
    spectra: Spectra,
    maps: Complex64,
    *,
    damping: float | None = None,
    plain: bool = False,
    tolerance: float | None = None,
    max_iterations: int = 50,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Sense:
    """Solve the normal equations.

    Parameters
    ----------
    rhs
        :math:`A^H W y`, ``(sets, z, y, x)``: `combine_coils` of the images of the weighted samples.
    spectra
        Of W: see `normal.spectra_of_mask`, `normal.spectra_of_samples`.
    maps
        ``(coils, sets, z, y, x)``.
    damping
        lambda; None for one over the mean power of the image (of its real part, in noise units)
        where the coils see it, estimated from `rhs`.
    plain
        Leave mu and the preconditioner out.
    tolerance
        Relative residual at which to stop; None for `NOISE_LEFT` of the noise's own.
    max_iterations
        At most.
    threads
        Cores; the result is the same for any number.
    progress
        Called with 1 after each iteration.
    """
    require(spectra.n_components == 1, "one image, not components of a subspace")
    shape = (maps.shape[1], *spectra.shape)
    require(rhs.shape == shape, f"rhs must be {shape}, got {rhs.shape}")
    power = _power(rhs)
    noise = 2 * noise_of_rhs(spectra, maps)
    if damping is None:
        damping = wiener_damping(power - noise, noise, spectra, maps)
    operator, improve = normal_equations(spectra, maps, damping, plain=plain, threads=threads)
    if improve is not None:
        power, noise = float(np.vdot(rhs, improve(rhs[None])[0]).real), improve.noise_power
    if tolerance is None:
        tolerance = NOISE_LEFT * math.sqrt(min(noise / power, 1.0)) if power > 0 else NOISE_LEFT
    solution = conjugate_gradient(
        operator.forward,
        rhs[None],
        damping=damping,
        preconditioner=improve,
        tolerance=tolerance,
        max_iterations=max_iterations,
        progress=progress,
    )
    image = solution.value[0].astype(np.complex64)
    return Sense(image=image, solution=solution, damping=damping)


def normal_equations(
    spectra: Spectra, maps: Complex64, damping: float, *, plain: bool = False, threads: int = 1
) -> tuple[HeldOperator | NormalOperator, Inverse | None]:
    """Return the operator that `sense` solves with, but for the damping, and its preconditioner.

    Parameters
    ----------
    spectra, maps, damping, plain, threads
        As of `sense`.
    """
    normal = normal_operator(spectra, maps, threads=threads)
    if plain:
        return normal, None
    improve: Inverse
    if spectra.grid == spectra.shape:
        weight = beyond_mask(spectra)
        improve = diagonal_inverse(spectra, maps, damping, weight)
    else:
        improve = circulant_inverse(spectra, maps, damping, threads=threads)
        weight = improve.held
    if not weight.any():
        return normal, improve
    return HeldOperator(normal=normal, weight=weight, norm=norm_of(maps)), improve


def noise_of_rhs(spectra: Spectra, maps: Complex64) -> float:
    """Return the variance that whitened samples give the real part of `rhs`, summed over voxels.

    It is the trace of the normal operator: the mean weight times the power of the maps.
    """
    return float(spectra.values[0].mean(dtype=np.float64)) * _power(maps)


def wiener_damping(signal: float, noise: float, spectra: Spectra, maps: Complex64) -> float:
    """Return one over the mean power of the real part of the image, where coils see it.

    Parameters
    ----------
    signal, noise
        Power of `rhs` summed over voxels: what is above the noise, and the noise.
    spectra, maps
        As of `sense`. Most of the power lies in the middle of k-space, so the weight there is the
        gain from image to `rhs`.
    """
    gain = float(spectra.values[0, 0, 0, 0])
    seen = np.count_nonzero(np.any(maps, axis=0))
    least = 0.01 * noise  # an image of noise alone is held to a tenth of it
    return 2 * gain**2 * seen / max(signal, least)


def _power(array: Complex64) -> float:
    return float(np.sum(array.real.astype(np.float64) ** 2 + array.imag.astype(np.float64) ** 2))
