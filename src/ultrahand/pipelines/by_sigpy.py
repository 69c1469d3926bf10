r"""The same reconstruction by SigPy's operators and apps, for those who want to compare.

Reading, whitening, sensitivities and density weights are ours; transforms and solvers are SigPy's,
with its default options and numbers of iterations, on one thread.

Weights keep their meaning. The damping of SENSE is SigPy's lambda as it is. Ours weighs a prior R
as :math:`w R(x / \sigma)` with :math:`\sigma = 1 / \sqrt n`, n being the mean diagonal of the
normal operator (`ultrahand.numerics.least_squares`); R grows with its argument, so that SigPy's
lambda is :math:`w \sqrt n`. Its wavelets are of one fixed basis, where ours moves about; its total
variation adds the sizes of differences along the axes (ours takes the length of the gradient), all
with one weight: :math:`w \sqrt n` times the mean of what ours gives the axes
(`ultrahand.numerics.priors.lengths`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import UsageError
from ultrahand.numerics.priors.lengths import share, slopes
from ultrahand.pipelines.assemble import Combined
from ultrahand.pipelines.direct import combined_fft, grid_samples
from ultrahand.pipelines.iterative import samples_problem
from ultrahand.pipelines.options import Method, PartialFourier, ReconOptions, Sparsity
from ultrahand.pipelines.parallel import lines_problem
from ultrahand.recon._sigpy_apps import (
    ITERATIONS,
    inverse_fft,
    sense_recon,
    variation_recon,
    wavelet_recon,
)
from ultrahand.recon.normal import normal_operator
from ultrahand.recon.normal_bounds import information
from ultrahand.recon.regularised import WEIGHTS, Prior

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.pipelines.problem import Problem
    from ultrahand.pipelines.workspace import Workspace
    from ultrahand.records.arrays import Complex64, Ints
    from ultrahand.records.raw import RawData

KNOWN: Final = (Method.FFT, Method.GRIDDING, Method.SENSE, Method.CG, Method.CS)
UNKNOWN: Final = (
    "SigPy's solvers give no standard error; --engine ultrahand computes one for sense and cg"
)


def refuse_unknown(options: ReconOptions, encodings: dict[int, EncodingPlan]) -> None:
    """Refuse what SigPy has no counterpart of.

    Raises
    ------
    ultrahand.errors.UsageError
        Saying what, and what to ask for instead.
    """
    for encoding in encodings.values():
        if encoding.method not in KNOWN:
            names = ", ".join(KNOWN)
            raise UsageError(
                f"--engine sigpy: SigPy has no counterpart of --method {encoding.method}; it has "
                f"one of {names}: choose one of them, or leave --engine out"
            )
        if encoding.method is Method.CS and options.prior is Sparsity.TGV:
            raise UsageError(
                "--engine sigpy: SigPy has no tgv prior: take wavelet or tv, or leave --engine out"
            )
    if options.partial_fourier is PartialFourier.POCS:
        raise UsageError("--engine sigpy: SigPy has no POCS: leave --partial-fourier out")


def by_sigpy(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Combined:
    """Reconstruct one slice or slab."""
    if encoding.method is Method.FFT:
        return combined_fft(raw, plan, encoding, rows, workspace, inverse_fft)
    if encoding.method is Method.GRIDDING:
        return grid_samples(raw, plan, encoding, rows, workspace, sigpy=True)
    make = samples_problem if encoding.cartesian is None else lines_problem
    problem = make(raw, plan, encoding, rows, workspace, keep=True)
    image, how = _solved(problem, plan, encoding)
    values = problem.image_of(np.where(np.any(problem.maps[:, 0], axis=0), image, 0)[None])
    return Combined(values, None, 1, (*problem.steps, how), unknown=UNKNOWN)


def _solved(problem: Problem, plan: ReconPlan, encoding: EncodingPlan) -> tuple[Complex64, str]:
    measured, options = problem.measured, plan.options
    assert measured is not None
    if encoding.method is not Method.CS:
        app, lamda = "SenseRecon", problem.damping
        image = sense_recon(measured, lamda)
    else:
        prior = Prior(options.prior)
        weight = WEIGHTS[prior] if options.prior_weight is None else options.prior_weight
        lamda = weight * math.sqrt(information(normal_operator(problem.spectra, problem.maps)))
        if prior is Prior.WAVELET:
            app, image = "L1WaveletRecon", wavelet_recon(measured, lamda)
        else:
            lamda *= _mean_factor(problem.maps.shape[2:], encoding.voxel_m)
            app, image = "TotalVariationRecon", variation_recon(measured, lamda)
    return image, f"SigPy's {app}, {ITERATIONS[app]} iterations, lamda {lamda:.4g}"


def _mean_factor(shape: tuple[int, ...], voxel_m: tuple[float, float, float]) -> float:
    axes = tuple(axis for axis in (-3, -2, -1) if shape[axis] > 1) or (-1,)
    edges = tuple(voxel_m[-1 - axis] for axis in axes)
    return share(edges) * float(np.mean(slopes(axes, edges)))
