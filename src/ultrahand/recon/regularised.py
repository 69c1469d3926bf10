r"""Reconstruction with a prior: the image that explains the samples and is simple.

.. math:: x = \arg\min_x \tfrac12 \sum_c \lVert W^{1/2} (F S_c x - y_c) \rVert^2 + w R(x / \sigma)

The weight w counts standard deviations of the noise that fully measured voxels (or coefficients)
would have; why it then suits other coils, matrices and scanners stands in
`ultrahand.numerics.least_squares` and in each of `ultrahand.numerics.priors`.

Left out, the weight is the one at which fully measured noise alone keeps about a tenth of its
standard deviation (none for `Prior.LLR`, whose noise has a sharp edge): less leaves noise, more
takes little but signal. That is the aim of the universal threshold (Donoho, Johnstone: Biometrika
1994;81:425, doi:10.1093/biomet/81.3.425), :math:`\sqrt{2 \ln N}` for N coefficients, which removes
even the largest of them and would depend on the matrix. `Prior.L2` takes the Wiener filter's
(`ultrahand.recon.sense`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

import numpy as np

from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.nested_gradient import nested_gradient
from ultrahand.numerics.power import largest_eigenvalue
from ultrahand.numerics.priors import (
    Composite,
    Fading,
    GeneralizedVariation,
    LowRank,
    Proximal,
    TotalVariation,
    Wavelets,
    guide_of,
)
from ultrahand.numerics.priors.lengths import slopes
from ultrahand.numerics.proximal_gradient import proximal_gradient
from ultrahand.numerics.solution import Solution
from ultrahand.recon.normal import NormalOperator, Spectra, normal_operator
from ultrahand.recon.normal_bounds import information, largest_bound
from ultrahand.recon.sense import sense
from ultrahand.records.arrays import Complex64, Real, require


class Prior(StrEnum):
    """What is taken for simple."""

    L2 = "l2"
    """Little power: SENSE."""
    WAVELET = "wavelet"
    """Few wavelet coefficients; Haar's basis, shifted at random in each iteration."""
    TV = "tv"
    """Pieces of constant value; with a guide, edges where another image has them."""
    TGV = "tgv"
    """Pieces of constant slope."""
    LLR = "llr"
    """Few time courses in each block of voxels; for the components of a subspace."""


WEIGHTS: Final = {Prior.WAVELET: 2.5, Prior.TV: 1.0, Prior.TGV: 1.0, Prior.LLR: 1.0}
"""Where none is given."""

GUIDE_EDGE: Final = 3.0
"""A gradient of the guide counts half at so many standard deviations of its noise."""

CERTIFIED: Final = 1e-4
"""Tolerance of total variations where none is given."""

INNER: Final = {Prior.TV: 3, Prior.TGV: 30}
"""Steps of the proximal map an iteration. The slopes of TGV are unknowns that must keep up with the
image: with 10, high signals drift away."""

FADES: Final = 0.75
"""Part of the iterations in which a prior that never rests fades to its weight."""

STEPS_OF_POWER: Final = 15


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Regularised:
    """A reconstruction with a prior."""

    image: Complex64
    """Of the shape of the right-hand side; 0 where no coil sees, of which only the prior speaks."""
    solution: Solution
    weight: float
    """In noise units."""
    damping: float
    """lambda of `Prior.L2`, in the unit of the normal operator: weight times information; else
    0."""


def regularised(
    rhs: Complex64,
    spectra: Spectra,
    maps: Complex64,
    *,
    prior: Prior,
    weight: float | None = None,
    guide: Real | None = None,
    voxel_size_m: tuple[float, float, float] | None = None,
    max_iterations: int = 100,
    tolerance: float | None = None,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Regularised:
    """Reconstruct an image, or the components of a subspace, with a prior.

    Parameters
    ----------
    rhs
        :math:`A^H W y`, ``(sets, z, y, x)`` as for `ultrahand.recon.sense.sense`; z is 1 for a
        plane. ``(components, sets, z, y, x)`` where the spectra have several.
    spectra
        Of W, one over the variance of each sample of whitened data.
    maps
        ``(coils, sets, z, y, x)``.
    prior
        What is taken for simple.
    weight
        In noise units; None for that of `WEIGHTS`, or the Wiener filter's for `Prior.L2`.
    guide
        Another image of the same voxels, real, ``(z, y, x)``, in units of the standard deviation
        of its noise: with `Prior.TV` its edges are free (a proton image for a sodium one).
    voxel_size_m
        Along read, phase, slice: total variations then mean the same for every voxel size.
    max_iterations
        At most; as many for priors that never rest.
    tolerance
        At which to stop: of the residual, relative, see the solvers. None: SENSE's own;
        `CERTIFIED` for total variations; for `WAVELET` and `LLR` no stop, but a basis (blocks)
        shifted at random, better than any fixed one, and a weight that begins large. With a number
        these stay as they are, so that there is a minimum to come to.
    threads
        Cores; the result is the same for any number.
    progress
        Called with 1 after each iteration.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes or options contradict each other, or nothing was measured.
    """
    operator = normal_operator(spectra, maps, threads=threads)
    several = spectra.n_components > 1
    shape = operator.domain if several else operator.domain[1:]
    require(rhs.shape == shape, f"rhs must be {shape}, got {rhs.shape}")
    require(several or prior is not Prior.LLR, "low rank needs the components of a subspace")
    require(prior is Prior.TV or guide is None, f"a guide needs total variation, not {prior}")
    stop = _Stop(max_iterations, tolerance, threads, progress)
    if prior is Prior.L2:
        return _squares(rhs, operator, weight, stop)
    problem = _problem(operator, rhs.reshape(operator.domain))
    w = WEIGHTS[prior] if weight is None else weight
    if prior in (Prior.TV, Prior.TGV):
        variation = _variation(prior, w, spectra.shape, guide, voxel_size_m)
        solution = stop.nested(problem, variation, INNER[prior])
    else:
        solution = stop.proximal(problem, _sparse(prior, w, stop))
    image = np.where(np.any(maps, axis=0), solution.value, 0).astype(np.complex64)
    return Regularised(image=image.reshape(shape), solution=solution, weight=w, damping=0.0)


@final
@dataclass(frozen=True, slots=True)
class _Stop:
    """When to stop, and how to run."""

    max_iterations: int
    tolerance: float | None
    threads: int
    progress: Callable[[int], None]

    def nested(self, problem: LeastSquares, prior: Composite, inner: int) -> Solution:
        return nested_gradient(
            problem,
            prior,
            inner=inner,
            tolerance=CERTIFIED if self.tolerance is None else self.tolerance,
            max_iterations=self.max_iterations,
            threads=self.threads,
            progress=self.progress,
        )

    def proximal(self, problem: LeastSquares, prior: Proximal) -> Solution:
        return proximal_gradient(
            problem,
            prior,
            tolerance=self.tolerance or 0.0,
            max_iterations=self.max_iterations,
            threads=self.threads,
            progress=self.progress,
        )


def _squares(
    rhs: Complex64, operator: NormalOperator, weight: float | None, stop: _Stop
) -> Regularised:
    known = information(operator)
    require(known > 0, "the operator measures nothing")
    require(weight is None or 0 <= weight < math.inf, f"no weight: {weight}")
    found = sense(
        rhs,
        operator.spectra,
        operator.maps,
        damping=None if weight is None else weight * known,
        tolerance=stop.tolerance,
        max_iterations=stop.max_iterations,
        threads=stop.threads,
        progress=stop.progress,
    )
    return Regularised(
        image=found.image,
        solution=found.solution,
        weight=found.damping / known,
        damping=found.damping,
    )


def _problem(operator: NormalOperator, rhs: Complex64) -> LeastSquares:
    """Return the data term.

    On a Cartesian grid the bound is close; elsewhere a few applications find one that saves more.
    """
    largest = largest_bound(operator)
    if operator.spectra.grid != operator.spectra.shape and largest > 0:
        found = largest_eigenvalue(operator.forward, operator.domain, iterations=STEPS_OF_POWER)
        largest = min(largest, found.bound)
    known = information(operator)
    return LeastSquares(normal=operator.forward, rhs=rhs, information=known, largest=largest)


def _sparse(prior: Prior, weight: float, stop: _Stop) -> Proximal:
    """Return a prior of thresholds: one that never rests, or one that stays where it is."""
    shifts = 0 if stop.tolerance is None else None
    known: Proximal
    if prior is Prior.WAVELET:
        known = Wavelets(weight=weight, shifts=shifts)
    else:
        known = LowRank(weight=weight, shifts=shifts)
    if shifts is None:
        return known
    return Fading(prior=known, turns=round(FADES * stop.max_iterations))


def _variation(
    prior: Prior,
    weight: float,
    shape: tuple[int, int, int],
    guide: Real | None,
    voxel_size_m: tuple[float, float, float] | None,
) -> Composite:
    """Return a total variation along the axes that the image has."""
    axes = tuple(axis for axis in (-3, -2, -1) if shape[axis] > 1) or (-1,)
    edges = None if voxel_size_m is None else tuple(voxel_size_m[-1 - axis] for axis in axes)
    if prior is Prior.TGV:
        return GeneralizedVariation(weight=weight, axes=axes, voxel_size_m=edges)
    along = None
    if guide is not None:
        require(guide.shape == shape, f"the guide must be {shape}, got {guide.shape}")
        noise = math.sqrt(2 * sum(slope**2 for slope in slopes(axes, edges)))
        along = guide_of(guide, edge=GUIDE_EDGE * noise, axes=axes, voxel_size_m=edges)
    return TotalVariation(weight=weight, axes=axes, voxel_size_m=edges, guide=along)
