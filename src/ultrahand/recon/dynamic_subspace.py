r"""Subspace reconstruction: few images whose mixture in time explains every spoke at its instant.

.. math:: x(r, t) = \sum_k \varphi_k(t)\, c_k(r), \qquad
          \min_c \tfrac12 \sum_s \Bigl\lVert W_s^{1/2} \Bigl(A_s \sum_k \varphi_k(t_s) c_k - y_s
          \Bigr) \Bigr\rVert^2 + R(c / \sigma)

There are no frames: a spoke counts at its own k-centre time. The normal operator is a convolution
that mixes the coefficient images, with the products of two functions of time as weights (Tamir et
al: Magn Reson Med 2017;77:180, doi:10.1002/mrm.26102).

The functions are orthonormal over the spokes, so white noise of the samples is white noise of equal
size in each coefficient image, as far as k-space is full: the unit of the priors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.priors.contract import Proximal
from ultrahand.numerics.proximal_gradient import proximal_gradient
from ultrahand.numerics.solution import Solution
from ultrahand.recon.dynamic_basis import Basis
from ultrahand.recon.dynamic_data import DynamicData, coil_sum, data_weights, plane_spectra
from ultrahand.recon.dynamic_encoding import weighted_problem
from ultrahand.recon.dynamic_gridding import grid_everything
from ultrahand.recon.normal import normal_operator
from ultrahand.recon.normal_bounds import largest_bound
from ultrahand.records.arrays import Complex64, Float64, require

DAMPING: Final = 1.0
"""Of squares: what changes is expected to be as large as its noise. On ellipses of 64 x 64, 240
spokes and 7 functions, 0.1 nearly doubles the error of the enhancement, and 3 holds it down."""
EVENNESS: Final = 0.0
"""All spokes together fill k-space, so that no more than noise decides what each counts for."""
CG_ITERATIONS: Final = 30
ITERATIONS: Final = 40


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subspace:
    """Coefficient images, and the functions that mix them."""

    coefficients: Complex64
    """``(K, z, y, x)``."""
    basis: Basis
    noise_sd: float
    """The unit of the priors: the noise of a voxel of a coefficient image if k-space were full."""
    solution: Solution

    def images(self, time_s: Float64) -> Complex64:
        """Return the series at any times within the acquisition, ``(times, z, y, x)``."""
        mixing = self.basis.at(time_s).astype(np.float32)
        series = np.tensordot(mixing.T, self.coefficients, axes=1)
        return series.astype(np.complex64)


def subspace(
    data: DynamicData,
    basis: Basis,
    *,
    damping: float = DAMPING,
    evenness: float = EVENNESS,
    tolerance: float = 1e-3,
    max_iterations: int = CG_ITERATIONS,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Subspace:
    """Reconstruct by conjugate gradients, held to the mean of the acquisition.

    The prior is the squares of what the coefficients differ from those of `mean_coefficients` by:
    nothing that stands still is held down.

    Parameters
    ----------
    data
        The acquisition.
    basis
        Of its spokes' times: `ultrahand.recon.dynamic_basis.choose_basis`.
    damping
        Weight w of ``w |(c - mean) / sigma|^2 / 2``: ``1 / w`` is the power of what changes, in
        units of its noise, that is expected.
    evenness
        See `ultrahand.recon.dynamic_data.data_weights`, with all spokes as one frame.
    tolerance, max_iterations, progress
        As for `ultrahand.numerics.conjugate_gradient`.
    threads
        Cores; the result is the same for any number.
    """
    require(0 <= damping < math.inf, f"damping must not be negative, got {damping}")
    problem = subspace_problem(data, basis, evenness=evenness, threads=threads)
    mean = mean_coefficients(data, basis, threads=threads)
    solution = conjugate_gradient(
        problem.normal,
        problem.rhs - problem.normal(mean),
        damping=damping * problem.information,
        tolerance=tolerance,
        max_iterations=max_iterations,
        progress=progress,
    )
    return Subspace(
        coefficients=mean + solution.value.astype(np.complex64),
        basis=basis,
        noise_sd=problem.noise_sd,
        solution=solution,
    )


def subspace_with_prior(
    data: DynamicData,
    basis: Basis,
    prior: Proximal,
    *,
    evenness: float = EVENNESS,
    tolerance: float = 0.0,
    max_iterations: int = ITERATIONS,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Subspace:
    """Reconstruct with a prior of the coefficient images.

    Parameters
    ----------
    data, basis, evenness, threads, progress
        As for `subspace`.
    prior
        In noise units: `ultrahand.numerics.priors.LowRank` takes the coefficients as it would
        frames, so that few mixtures of them make up a block; `Wavelets` takes each on its own.
    tolerance, max_iterations
        As for `ultrahand.numerics.proximal_gradient`. The constant function's image starts from
        the mean of the acquisition.
    """
    problem = subspace_problem(data, basis, evenness=evenness, threads=threads)
    solution = proximal_gradient(
        problem,
        prior,
        start=mean_coefficients(data, basis, threads=threads),
        tolerance=tolerance,
        max_iterations=max_iterations,
        threads=threads,
        progress=progress,
    )
    return Subspace(
        coefficients=solution.value.astype(np.complex64),
        basis=basis,
        noise_sd=problem.noise_sd,
        solution=solution,
    )


def mean_coefficients(data: DynamicData, basis: Basis, *, threads: int = 1) -> Complex64:
    """Return the coefficients of the gridded mean of the acquisition, ``(K, z, y, x)``.

    Only the first function, which is constant, has any.
    """
    mean = np.zeros((basis.size, *data.shape), np.complex64)
    mean[0] = grid_everything(data, threads=threads) * np.float32(math.sqrt(len(basis.time_s)))
    return mean


def subspace_problem(
    data: DynamicData, basis: Basis, *, evenness: float, threads: int = 1
) -> LeastSquares:
    """Return the data term whose unknowns are the coefficient images, ``(K, z, y, x)``.

    Parameters
    ----------
    data, basis, evenness, threads
        As for `subspace`.

    Raises
    ------
    ultrahand.errors.RecordError
        If the basis is not of the spokes' times.
    """
    require(
        np.array_equal(basis.time_s, data.time_s),
        "the basis must be made of the k-centre times of the same spokes",
    )
    everyone = np.arange(len(data.time_s))
    weights = data_weights(data, len(everyone), evenness)
    functions = basis.functions.astype(np.float32)
    rhs = coil_sum(data, everyone, functions[:, :, None] * weights, threads=threads)
    rows, columns = np.tril_indices(basis.size)
    pairs = (functions[rows] * functions[columns])[:, :, None] * weights
    spectra = plane_spectra(data, everyone, pairs, threads=threads)
    operator = normal_operator(spectra, data.maps[:, None], threads=threads)

    def normal(c: Complex64) -> Complex64:
        return operator.forward(c[:, None])[:, 0]

    powers = (basis.functions**2).sum(axis=0) / basis.size
    by_spoke = np.array([(weights.astype(np.float64) ** p).sum(axis=1) @ powers for p in (1, 2)])
    return weighted_problem(
        normal, rhs, sums=by_spoke, power=data.map_power, largest=largest_bound(operator)
    )
