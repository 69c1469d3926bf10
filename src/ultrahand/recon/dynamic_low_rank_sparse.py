r"""L+S: a background of few time courses, plus what is bright for some time in few places.

.. math:: \min_{L, S} \tfrac12 \sum_f \lVert W_f^{1/2} (A_f (L + S)_f - y_f) \rVert^2
          + w_L e \lVert L / \sigma \rVert_* + w_S \lVert S / \sigma \rVert_1
          + w_T \sum_f |S_{f+1} - S_f| / \sigma

Otazo, Candes, Sodickson: Magn Reson Med 2015;73:1125, doi:10.1002/mrm.25240. The background settles
in L, and S shows what changes without a mask to subtract. There S is sparse either as it is
(angiography) or in its changes over time; here it may be both. Its changes alone would not hold: an
S that never changes would cost nothing and take the background from L.

S is no measure of enhancement: of an agent that stays for most of the series the mean over time
settles in L too, and S is then above it late and below it early. Curves are those of L + S.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import UsageError
from ultrahand.numerics.primal_dual import primal_dual
from ultrahand.numerics.priors.components import summed
from ultrahand.numerics.priors.contract import Composite, Dual, require_weight
from ultrahand.numerics.priors.direct import Direct
from ultrahand.numerics.priors.low_rank import LowRank
from ultrahand.numerics.priors.total_variation import time_variation
from ultrahand.numerics.solution import Solution
from ultrahand.recon.dynamic_data import DynamicData
from ultrahand.recon.dynamic_encoding import frames_problem
from ultrahand.recon.dynamic_frames import Frames
from ultrahand.recon.dynamic_grasp import EVENNESS, ITERATIONS
from ultrahand.recon.dynamic_gridding import grid_everything
from ultrahand.records.arrays import Complex64

LOW_RANK: Final = 2.0
SPARSE: Final = 1.0
VARIATION: Final = 3.0
"""Chosen on ellipses of 64 x 64 with 12 spokes a frame: S then has 5 % of its power where nothing
enhances (24 % with half of both other weights), and the error hardly depends on them."""


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LowRankSparse:
    """A reconstructed series and its two parts, ``(frames, z, y, x)`` each."""

    background: Complex64
    """L."""
    sparse: Complex64
    """S."""
    noise_sd: float
    """The unit of the priors: what a voxel's noise would be if each frame's k-space were full."""
    solution: Solution

    @property
    def images(self) -> Complex64:
        """L + S."""
        return self.background + self.sparse


def low_rank_sparse(
    data: DynamicData,
    frames: Frames,
    *,
    low_rank: float = LOW_RANK,
    sparse: float = SPARSE,
    variation: float = VARIATION,
    evenness: float = EVENNESS,
    balance: float = 1.0,
    tolerance: float = 0.0,
    max_iterations: int = ITERATIONS,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> LowRankSparse:
    """Reconstruct all frames as background and what is sparse.

    Parameters
    ----------
    data, frames
        The acquisition and how it is cut.
    low_rank
        w_L, of the background's singular values: 1 just removes those of fully measured noise
        (``e`` is their edge, `ultrahand.numerics.priors.LowRank`).
    sparse, variation
        w_S and w_T, in noise standard deviations of a voxel in a frame. w_S must be above 0.
    evenness
        See `ultrahand.recon.dynamic_data.data_weights`.
    balance, tolerance, max_iterations, threads, progress
        As of `ultrahand.numerics.primal_dual`. L starts from the mean of the acquisition.

    Raises
    ------
    UsageError
        Weights that leave it open what belongs to which part.
    """
    if not (low_rank > 0 and sparse > 0):
        raise UsageError("L+S: low_rank and sparse must be above 0, or the parts are left open")
    problem = frames_problem(data, frames, evenness=evenness, threads=threads)
    priors: list[Composite] = [
        Part(part=0, prior=Direct(prior=LowRank(weight=low_rank, block=None))),
        Part(part=1, prior=Direct(prior=Sparse(weight=sparse))),
    ]
    if variation > 0:
        priors.append(Part(part=1, prior=time_variation(variation)))
    start = np.zeros((2, *problem.rhs.shape), np.complex64)
    start[0] = grid_everything(data, threads=threads)
    solution = primal_dual(
        summed(problem, 2),
        priors,
        start=start,
        balance=balance,
        tolerance=tolerance,
        max_iterations=max_iterations,
        threads=threads,
        progress=progress,
    )
    parts = solution.value.astype(np.complex64)
    return LowRankSparse(
        background=parts[0], sparse=parts[1], noise_sd=problem.noise_sd, solution=solution
    )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Sparse:
    """``w`` times the sum of the sizes of all voxels, in noise units."""

    weight: float

    def __post_init__(self) -> None:
        require_weight(self.weight)

    @property
    def steady(self) -> bool:
        return True

    def prox(self, z: Complex64, step: float, _turn: int, out: Complex64, /) -> float:
        sizes = np.abs(z)
        left = np.maximum(sizes - np.float32(step * self.weight), 0)
        share = np.divide(left, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        np.multiply(z, share, out=out)
        return self.weight * float(left.sum(dtype=np.float64))

    def value(self, x: Complex64, /) -> float:
        return self.weight * float(np.abs(x).sum(dtype=np.float64))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A prior of one entry of the first axis alone."""

    part: int
    prior: Composite

    @property
    def norm(self) -> float:
        return self.prior.norm

    def start(self, shape: tuple[int, ...], /) -> PartDual:
        return PartDual(part=self.part, dual=self.prior.start(shape[1:]))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class PartDual:
    """Its dual variables."""

    part: int
    dual: Dual

    def descend(self, tau: float, image: Complex64, /) -> float:
        return self.dual.descend(tau, image[self.part])

    def ascend(self, sigma: float, ahead: Complex64, /) -> None:
        self.dual.ascend(sigma, ahead[self.part])

    def measure(self, x: Complex64, /) -> tuple[float, float]:
        return self.dual.measure(x[self.part])
