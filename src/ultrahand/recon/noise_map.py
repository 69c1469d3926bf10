r"""The noise of SENSE images in every voxel, without realisations.

Whitened samples with weights W of one over their variance give the right-hand side
:math:`A^H W n` of the normal equations the covariance :math:`N = A^H W A` in each part, and so the
image

.. math:: C = (N + \lambda)^{-1} N (N + \lambda)^{-1}

(Pruessmann, Weiger, Bornert, Boesiger: MRM 2001;46:638, doi:10.1002/mrm.1241). Its diagonal is read
at the teeth of combs (`noise_combs`), two solutions each. With :math:`y = (N + \lambda)^{-1} v`,

.. math:: C v = y - \lambda (N + \lambda)^{-1} y,

so the second may be as coarse as :math:`|v| / (\lambda |y|)` times the first, and where that is
more than the whole it is not needed.

Noise maps are smooth but for edges: those of masked sensitivities and of their aliases. So what is
interpolated between the teeth is not C but the logarithm of its ratio to what the aliasing voxels
alone say (`noise_alias`), which has the edges; beyond the support it is continued smoothly, so that
no edge pulls at its neighbours.

The combs lie in each other's gaps, and how far each misses what the others read tells how good the
map is: edges that the aliasing voxels do not explain count in it. Those are many where k-space is
empty on one side or in its corners (partial Fourier left unfilled, elliptical scans), where noise
is shared over long distances, and at the edges of an object on radial samples with little damping.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.numerics.solution import Solution
from ultrahand.recon.noise_alias import aliased_variance, spread_of
from ultrahand.recon.noise_combs import (
    Comb,
    Triple,
    between_teeth,
    choose_spacing,
    impulses,
    place_combs,
)
from ultrahand.recon.normal import NormalOperator, Spectra, normal_operator
from ultrahand.recon.preconditioner import CirculantInverse, circulant_inverse
from ultrahand.records.arrays import Bools, Complex64, Float32, Float64, freeze, require

FAINT: Final = 0.05
"""A tooth whose variance is below this part of the median's is drowned by its neighbours'."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseMap:
    """The standard deviation of a SENSE image, and what it took."""

    sd: Float32
    """Of the real (or the imaginary) part of each voxel, in units of that of a sample's; ``(sets,
    z, y, x)``, 0 where all sensitivities are 0."""
    spacing: Triple
    """Between teeth along z, y, x."""
    solves: int
    """How many systems were solved."""
    iterations: int
    """How often the normal operator was applied in them all."""
    converged: bool
    """Whether all came below the tolerance."""
    uncertainty: float
    """Root mean square relative error of the `sd` that the other combs make at the teeth of each,
    as read there; NaN for one comb. Teeth scatter too: where they do much it is too large."""

    def __post_init__(self) -> None:
        freeze(self, sd=self.sd)


def noise_of_sense(
    spectra: Spectra,
    maps: Complex64,
    damping: float,
    *,
    precondition: bool = True,
    tolerance: float = 0.01,
    max_iterations: int = 100,
    combs: int | None = None,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> NoiseMap:
    """Return the standard deviation of the image that `ultrahand.recon.sense.sense` makes.

    Parameters
    ----------
    spectra, maps, damping
        As of `sense`; the weights are one over the variance of the samples.
    precondition
        As of `sense`.
    tolerance
        Relative residual at which to stop solving.
    max_iterations
        Of each solution.
    combs
        How many to use: at most 2 to the number of axes with gaps between teeth. None for 2, and 4
        for a single plane, which has few teeth and costs little.
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
    combs = (4 if spectra.shape[0] == 1 else 2) if combs is None else combs
    require(combs >= 1, f"combs must be >= 1, got {combs}")
    require(0 < tolerance < 1, f"tolerance must be in (0, 1), got {tolerance}")
    require(damping >= 0, f"damping must not be negative, got {damping}")
    normal = normal_operator(spectra, maps, threads=threads)
    support = np.any(maps != 0, axis=0)
    spacing = choose_spacing(spread_of(spectra), spectra.shape)
    with one_blas_thread():
        local = aliased_variance(spectra, maps, damping, support.any(axis=0))
    improve = None
    if (
        precondition and spectra.grid != spectra.shape
    ):  # the image that `sense` looks for lies in its range
        improve = circulant_inverse(spectra, maps, damping, threads=threads)
    solver = _Solver(normal, improve, damping, tolerance, max_iterations, progress)
    places = place_combs(spacing, spectra.shape, combs)
    sd = np.zeros(support.shape, np.float32)
    scatter = []
    for number, (where, alone) in enumerate(zip(support, local, strict=True)):
        if not where.any():
            continue
        read = [solver.log_ratios(c, number, where, alone, seed) for seed, c in enumerate(places)]
        values, good = [r[0] for r in read], [r[1] for r in read]
        if not any(g.any() for g in good):
            good, values = [np.ones_like(g) for g in good], [np.zeros_like(v) for v in values]
        with one_blas_thread():
            ratio = between_teeth(places, values, good, spectra.shape)
            scatter.append(_scatter(places, values, good, where))
        sd[number] = np.sqrt(alone * np.exp(ratio)) * where
    return NoiseMap(
        sd=sd,
        spacing=spacing,
        solves=solver.solves,
        iterations=solver.iterations,
        converged=solver.converged,
        uncertainty=math.sqrt(np.mean(scatter)) / 2 if scatter else math.nan,
    )


def _scatter(combs: list[Comb], values: list[Float64], good: list[Bools], where: Bools) -> float:
    """Return the mean square by which combs miss what the others read; NaN for one."""
    shape = (where.shape[0], where.shape[1], where.shape[2])
    misses = []
    for number, comb in enumerate(combs):
        rest = [n for n in range(len(combs)) if n != number and good[n].any()]
        if not rest or not good[number].any():
            continue
        made = between_teeth(
            [combs[n] for n in rest], [values[n] for n in rest], [good[n] for n in rest], shape
        )
        misses.append((made[comb.teeth] - values[number])[good[number]])
    return float(np.mean(np.concatenate(misses) ** 2)) if misses else math.nan


class _Solver:
    """Solves with one operator, and counts."""

    def __init__(
        self,
        normal: NormalOperator,
        improve: CirculantInverse | None,
        damping: float,
        tolerance: float,
        max_iterations: int,
        progress: Callable[[int], None],
    ) -> None:
        self.normal, self.improve = normal, improve
        self.damping, self.tolerance = damping, tolerance
        self.max_iterations, self.progress = max_iterations, progress
        self.solves = self.iterations = 0
        self.converged = True

    def log_ratios(
        self, comb: Comb, number: int, support: Bools, alone: Float64, seed: int
    ) -> tuple[Float64, Bools]:
        """Return the logarithm of the variance over `alone` at the teeth, and which are good."""
        v = np.zeros(self.normal.domain, np.complex64)
        v[0, number] = impulses(comb, support, seed)
        seen = self._covariance(v)[0, number][comb.teeth]
        variance = (v[0, number][comb.teeth].conj() * seen).real
        expected = alone[comb.teeth]
        good = support[comb.teeth] & (expected > FAINT * np.median(alone[support]))
        good &= variance > 0
        ratios = np.zeros(variance.shape)
        ratios[good] = np.log(variance[good] / expected[good])
        return ratios, good

    def _covariance(self, v: Complex64) -> np.ndarray:
        """Return C v."""
        once = self._solve(v, self.tolerance).value
        if self.damping == 0 or not v.any():
            return once
        left = self.tolerance * np.linalg.norm(v) / (self.damping * np.linalg.norm(once))
        if left >= 1:
            return once
        twice = self._solve(once.astype(np.complex64), float(left)).value
        return once - self.damping * twice

    def _solve(self, rhs: Complex64, tolerance: float) -> Solution:
        solution = conjugate_gradient(
            self.normal.forward,
            rhs,
            damping=self.damping,
            preconditioner=self.improve,
            tolerance=tolerance,
            max_iterations=self.max_iterations,
            progress=self.progress,
        )
        self.solves += 1
        self.iterations += solution.iterations
        self.converged &= solution.residuals[-1] <= tolerance
        return solution
