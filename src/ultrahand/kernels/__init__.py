"""Compiled loops: arrays in, output written in place, last. The only room that knows numba.

Nothing of ultrahand is imported here, and no kernel checks its arguments: their callers do.
"""

from ultrahand.kernels._jit import Kernel, cache_folder, threads
from ultrahand.kernels.adaptive import (
    combine,
    dominant_eigenvector,
    plane_covariances,
    walsh,
)
from ultrahand.kernels.chi import chi_sd
from ultrahand.kernels.mode_sums import interpolate_sums
from ultrahand.kernels.plate_sums import spread_plates, sum_plates
from ultrahand.kernels.squares import add_squares
from ultrahand.kernels.steady import steady
from ultrahand.kernels.warm import warm_up

__all__ = [
    "Kernel",
    "add_squares",
    "cache_folder",
    "chi_sd",
    "combine",
    "dominant_eigenvector",
    "interpolate_sums",
    "plane_covariances",
    "spread_plates",
    "steady",
    "sum_plates",
    "threads",
    "walsh",
    "warm_up",
]
