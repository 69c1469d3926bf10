"""Compiled loops: arrays in, output written in place, last. The only room that knows numba.

Nothing of ultrahand is imported here, and no kernel checks its arguments: their callers do.
"""

from ultrahand.kernels._butterflies import LANES
from ultrahand.kernels._jit import Kernel, cache_folder, threads
from ultrahand.kernels._points import CELL, COILS, PAD
from ultrahand.kernels.adaptive import (
    combine,
    dominant_eigenvector,
    plane_covariances,
    walsh,
)
from ultrahand.kernels.chi import chi_sd
from ultrahand.kernels.descent import STEP_BLOCK, momentum_step, primal_step
from ultrahand.kernels.differences import ascend_gradient, gradient_sums, subtract_divergence
from ultrahand.kernels.espirit import espirit_maps
from ultrahand.kernels.grappa import fill_lattice, keep_acquired
from ultrahand.kernels.lines import ELEMENT, line_plan, transform_address
from ultrahand.kernels.mode_sums import interpolate_sums
from ultrahand.kernels.normal import coils_to_planes, planes_through_spectrum, planes_to_image
from ultrahand.kernels.plate_sums import spread_plates, sum_plates
from ultrahand.kernels.squares import add_squares
from ultrahand.kernels.steady import steady
from ultrahand.kernels.tensors import ascend_tensor, descend_field, tensor_sums
from ultrahand.kernels.tiles import interpolate, sort_points, spread
from ultrahand.kernels.unwrap import join_voxels
from ultrahand.kernels.warm import warm_up
from ultrahand.kernels.wavelets import haar_down, haar_up, shrink_details, wavelet_lines

__all__ = [
    "CELL",
    "COILS",
    "ELEMENT",
    "LANES",
    "PAD",
    "STEP_BLOCK",
    "Kernel",
    "add_squares",
    "ascend_gradient",
    "ascend_tensor",
    "cache_folder",
    "chi_sd",
    "coils_to_planes",
    "combine",
    "descend_field",
    "dominant_eigenvector",
    "espirit_maps",
    "fill_lattice",
    "gradient_sums",
    "haar_down",
    "haar_up",
    "interpolate",
    "interpolate_sums",
    "join_voxels",
    "keep_acquired",
    "line_plan",
    "momentum_step",
    "plane_covariances",
    "planes_through_spectrum",
    "planes_to_image",
    "primal_step",
    "shrink_details",
    "sort_points",
    "spread",
    "spread_plates",
    "steady",
    "subtract_divergence",
    "sum_plates",
    "tensor_sums",
    "threads",
    "transform_address",
    "walsh",
    "warm_up",
    "wavelet_lines",
]
