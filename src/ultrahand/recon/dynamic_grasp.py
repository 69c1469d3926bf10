r"""GRASP: all frames at once, each from few spokes, with few steps of a voxel's time course.

.. math:: \min_x \tfrac12 \sum_f \lVert W_f^{1/2} (A_f x_f - y_f) \rVert^2
          + w \sum_f |x_{f+1} - x_f| / \sigma

Feng et al: Magn Reson Med 2014;72:707, doi:10.1002/mrm.24980. There the weight is a share of the
largest value of an image; here it counts noise standard deviations of a voxel in a frame, whatever
the scale of the data, the coils, or the matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics.primal_dual import primal_dual
from ultrahand.numerics.priors.total_variation import time_variation
from ultrahand.numerics.solution import Solution
from ultrahand.recon.dynamic_data import DynamicData
from ultrahand.recon.dynamic_encoding import frames_problem
from ultrahand.recon.dynamic_frames import Frames
from ultrahand.recon.dynamic_gridding import grid_everything
from ultrahand.records.arrays import Complex64

EVENNESS: Final = 0.5
WEIGHT: Final = 5.0
"""Above the noise, as the streaks of spokes left out must be held down too: chosen on ellipses with
12 spokes a frame of 64 x 64, where 5 to 10 do as well."""
ITERATIONS: Final = 40


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dynamic:
    """A reconstructed series."""

    images: Complex64
    """``(frames, z, y, x)``."""
    noise_sd: float
    """The unit of the priors: what a voxel's noise would be if each frame's k-space were full."""
    solution: Solution


def grasp(
    data: DynamicData,
    frames: Frames,
    *,
    weight: float = WEIGHT,
    evenness: float = EVENNESS,
    balance: float = 1.0,
    tolerance: float = 0.0,
    max_iterations: int = ITERATIONS,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Dynamic:
    """Reconstruct all frames with temporal total variation.

    Parameters
    ----------
    data, frames
        The acquisition and how it is cut: into frames that do not overlap.
    weight
        w. A step in time between plateaus of m frames shrinks by ``2 w / m`` noise standard
        deviations where k-space is full (`ultrahand.numerics.priors.time_variation`).
    evenness
        See `ultrahand.recon.dynamic_data.data_weights`.
    balance, tolerance, max_iterations
        Of `ultrahand.numerics.primal_dual`; 0 for a fixed number of iterations.
    threads
        Cores; the result is the same for any number.
    progress
        Called with 1 after each iteration.
    """
    problem = frames_problem(data, frames, evenness=evenness, threads=threads)
    mean = grid_everything(data, threads=threads)
    solution = primal_dual(
        problem,
        [time_variation(weight)],
        start=np.broadcast_to(mean, problem.rhs.shape),
        balance=balance,
        tolerance=tolerance,
        max_iterations=max_iterations,
        threads=threads,
        progress=progress,
    )
    images: Complex64 = solution.value.astype("complex64")
    return Dynamic(images=images, noise_sd=problem.noise_sd, solution=solution)
