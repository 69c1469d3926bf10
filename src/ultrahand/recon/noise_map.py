r"""The noise of SENSE images in every voxel, without realisations.

Whitened samples with weights W of one over their variance give the right-hand side
:math:`A^H W n` of the normal equations the covariance :math:`N = A^H W A` in each part, and so the
image

.. math:: C = (N + P)^{-1} N (N + P)^{-1}, \quad P = \lambda + D F^H \mu F D

(Pruessmann, Weiger, Bornert, Boesiger: MRM 2001;46:638, doi:10.1002/mrm.1241; mu and D: see
`beyond`). Of few voxels its diagonal is computed (`noise_exact`); of more it is read with random
vectors and averaged over neighbours (`noise_readings`), as many vectors as bring the error below
`ENOUGH`. With :math:`y = (N + P)^{-1} v`,

.. math:: C v = y - (N + P)^{-1} P y,

so the second solution may be as coarse as :math:`|v| / |P y|` times the first, and where that is
more than the whole it is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.numerics.solution import Solution
from ultrahand.recon.beyond import HeldOperator, norm_of
from ultrahand.recon.noise_alias import aliased_variance
from ultrahand.recon.noise_exact import exact_variance, is_small
from ultrahand.recon.noise_readings import random_phases, smoothed
from ultrahand.recon.normal import NormalOperator, Spectra
from ultrahand.recon.sense import Inverse, normal_equations
from ultrahand.records.arrays import Complex64, Float32, Float64, freeze, require

EXACT_WORK: Final = 6e11
"""Operations up to which the dense matrix is taken: 4,200 voxels in one plane or 1,600 in each of
16. Solving for as many vectors as so few voxels need takes as long, some seconds of one core."""
ENOUGH: Final = 0.012
"""Error at which no more vectors are drawn. With 1.7 % of the standard deviation 7 % of the voxels
lie outside twice the scatter of 300 realisations instead of 4.6 % (normal theory)."""
VECTORS: Final = (2, 64)
"""At least, and at most."""
READINGS: Final = 2**21
"""Of all vectors: many voxels are smooth over more of them, and need fewer vectors each."""
FAINT: Final = 0.05
"""A reading where the model's variance is below this part of the mean's is drowned by others."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseMap:
    """The standard deviation of a SENSE image, and what it took."""

    sd: Float32
    """Of the real (or the imaginary) part of each voxel, in units of that of a sample's; ``(sets,
    z, y, x)``, 0 where all sensitivities are 0."""
    uncertainty: float
    """Root mean square relative error of the `sd`, as estimated from the readings, where the image
    that the coils see has a twentieth of its mean variance or more; 0 of the dense matrix."""
    vectors: int
    """How many were read; 0 of the dense matrix."""
    iterations: int
    """How often the normal operator was applied."""
    converged: bool
    """Whether all solutions came below the tolerance."""

    def __post_init__(self) -> None:
        freeze(self, sd=self.sd)


def noise_of_sense(
    spectra: Spectra,
    maps: Complex64,
    damping: float,
    *,
    plain: bool = False,
    tolerance: float = 3e-4,
    max_iterations: int = 300,
    exact_work: float = EXACT_WORK,
    enough: float = ENOUGH,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> NoiseMap:
    """Return the standard deviation of the image that `ultrahand.recon.sense.sense` makes.

    Parameters
    ----------
    spectra, maps, damping, plain
        As of `sense`; the weights are one over the variance of the samples.
    tolerance
        Relative residual at which to stop solving. What it leaves is in no estimate of the error:
        all vectors miss the same weakly known part of the noise.
    max_iterations
        Of each solution.
    exact_work
        Operations up to which the dense matrix is taken.
    enough
        Estimated relative error at which no more vectors are drawn.
    threads
        Cores; the result is the same for any number.
    progress
        Called with 1 after each iteration.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other or an option is out of range.
    """
    require(spectra.n_components == 1, "one image, not components of a subspace")
    require(0 < tolerance < 1, f"tolerance must be in (0, 1), got {tolerance}")
    require(damping >= 0, f"damping must not be negative, got {damping}")
    require(enough > 0, f"enough must be positive, got {enough}")
    operator, improve = normal_equations(spectra, maps, damping, plain=plain, threads=threads)
    if is_small(spectra, maps, exact_work):
        held = operator if isinstance(operator, HeldOperator) else None
        variance = exact_variance(spectra, maps, damping, held, threads=threads)
        sd = np.sqrt(variance).astype(np.float32)
        return NoiseMap(sd=sd, uncertainty=0.0, vectors=0, iterations=0, converged=True)
    seen = np.any(maps != 0, axis=0)
    with one_blas_thread():
        model = aliased_variance(spectra, maps, damping, seen.any(axis=0))
    model = np.where(model > 0, model, np.where(seen, np.median(model[seen]), 0.0))
    norm = norm_of(maps)
    model *= norm.astype(np.float64) ** 2
    reader = _Reader(operator, improve, damping, norm, tolerance, max_iterations, progress)
    most = min(max(READINGS // int(seen.sum()), 2 * VECTORS[0]), VECTORS[1])
    number = VECTORS[0]
    while True:
        variance, error = reader.diagonal(model, number)
        if error <= enough or 2 * number > most:
            break
        number *= 2
    sd = np.divide(np.sqrt(variance), norm, out=np.zeros(norm.shape), where=norm > 0)
    return NoiseMap(
        sd=sd.astype(np.float32),
        uncertainty=error,
        vectors=number,
        iterations=reader.iterations,
        converged=reader.converged,
    )


class _Reader:
    """Reads one covariance with more and more vectors, and counts.

    What is read is D C D, D the norm of the maps: the noise of the image that the coils see. Where
    maps end softly C itself grows to one over the damping, and drowns readings elsewhere.
    """

    def __init__(
        self,
        operator: HeldOperator | NormalOperator,
        improve: Inverse | None,
        damping: float,
        norm: Float32,
        tolerance: float,
        max_iterations: int,
        progress: Callable[[int], None],
    ) -> None:
        self.operator, self.improve, self.damping = operator, improve, damping
        self.norm = norm
        self.tolerance, self.max_iterations, self.progress = tolerance, max_iterations, progress
        self.totals: list[Float64] = []
        self.number = self.iterations = 0
        self.converged = True

    def diagonal(self, model: Float64, number: int) -> tuple[Float64, float]:
        """Return the diagonal from as many vectors in all, and its error relative in the root."""
        seen = model > 0
        if not self.totals:
            self.totals = [np.zeros(model.shape), np.zeros(model.shape)]
        while self.number < number:
            v = random_phases(seen, self.number) * self.norm
            read = (v.conj() * self._covariance(v[None])[0]).real
            np.divide(read, model, out=read, where=seen)
            self.totals[self.number % 2] += read
            self.number += 1
        made, squares = np.zeros(model.shape), []
        for one, where in enumerate(seen):
            if not where.any():
                continue
            good = model[one] > FAINT * np.mean(model[one][where])
            first, second = (total[one] / (number / 2) for total in self.totals)
            found = smoothed((first, second), good)
            made[one] = model[one] * np.maximum(found.values, FAINT)
            squares.append(found.error**2)
        return made, float(np.sqrt(np.mean(squares))) / 2

    def _covariance(self, v: Complex64) -> np.ndarray:
        """Return C v."""
        once = self._solve(v, self.tolerance).value
        held = self.damping * once
        if isinstance(self.operator, HeldOperator):
            held = held + self.operator.hold(once)
        size = np.linalg.norm(held)
        if size == 0 or self.tolerance * np.linalg.norm(v) >= size:
            return once
        coarser = float(self.tolerance * np.linalg.norm(v) / size)
        return once - self._solve(held.astype(np.complex64), coarser).value

    def _solve(self, rhs: Complex64, tolerance: float) -> Solution:
        solution = conjugate_gradient(
            self.operator.forward,
            rhs,
            damping=self.damping,
            preconditioner=self.improve,
            tolerance=tolerance,
            max_iterations=self.max_iterations,
            progress=self.progress,
        )
        self.iterations += solution.iterations
        self.converged &= solution.residuals[-1] <= tolerance
        return solution
