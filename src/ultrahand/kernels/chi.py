"""The standard deviation of magnitudes, voxel by voxel."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from ultrahand.kernels._jit import kernel


@kernel(parallel=True)
def chi_sd(magnitude, sigma, n_coils, spline, step, out):
    """Write the standard deviation of each magnitude: see `ultrahand.recon.uncertainty`.

    ``magnitude``, ``out``: float32 ``(voxels,)``; ``sigma``: float32 ``(voxels,)`` or ``(1,)``;
    ``spline``: float64 ``(4, pieces)``, coefficients of ``sd / sigma`` over ``signal / sigma`` on
    equal pieces of length ``step``, highest power first.
    """
    pieces, last = spline.shape[1], len(sigma) - 1
    for voxel in prange(len(magnitude)):
        s = np.float64(sigma[min(np.int64(voxel), last)])
        out[voxel] = 0
        if s > 0:
            m = np.float64(magnitude[voxel]) / s
            square = max(m * m - 2 * n_coils, 0.0)  # of the signal over sigma
            place = math.sqrt(square) / step
            piece = int(min(place, pieces - 1))
            if place < pieces:
                x = (place - piece) * step
                ratio = spline[0, piece]
                for power in range(1, 4):
                    ratio = ratio * x + spline[power, piece]
            else:
                ratio = math.sqrt(max(1 - (2 * n_coils - 1) / (2 * square), 0.0))
            out[voxel] = np.float32(ratio * s)
