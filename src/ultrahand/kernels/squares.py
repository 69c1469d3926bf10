"""Sum of squares over coils."""

from __future__ import annotations

import numpy as np
from numba import prange

from ultrahand.kernels._jit import kernel

BLOCK = 2048
"""Voxels a block: their float64 sums stay in the first-level cache."""


@kernel(parallel=True)
def add_squares(images, out):
    """Add ``sum(|images|^2)`` over coils to `out`.

    ``images``: complex64 ``(coils, voxels)``; ``out``: float32 ``(voxels,)``. Each sum is float64.
    """
    n_coils, n_voxels = images.shape
    for block in prange((n_voxels + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        n = min(BLOCK, n_voxels - first)
        sums = np.zeros(BLOCK, np.float64)
        for coil in range(n_coils):
            for voxel in range(n):
                value = images[coil, first + voxel]
                real, imag = np.float64(value.real), np.float64(value.imag)
                sums[voxel] += real * real + imag * imag
        for voxel in range(n):
            out[first + voxel] += np.float32(sums[voxel])
