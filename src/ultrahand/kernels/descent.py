"""The vector part of proximal solvers: all of a step's sums and updates in one pass.

Images are flat complex64. Sums are float64 and kept a block of voxels, so that they do not depend
on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel

_FLAGS = {"contract", "nsz"}
STEP_BLOCK = 4096
"""Voxels a block."""


@njit
def _product(a, b):
    """Return ``Re(conj(a) b)``."""
    return np.float64(a.real) * np.float64(b.real) + np.float64(a.imag) * np.float64(b.imag)


@kernel(parallel=True, fastmath=_FLAGS)
def momentum_step(x, nx, rhs, w, factors, out):
    r"""Go from x to the point at which a proximal map is taken next.

    With :math:`g = s N x - b` and :math:`r = g + (z - x) / \gamma`, the new ``w' = x - tau g`` and
    ``z' = w' + beta (w' - w) + delta (w' - x) + epsilon (z - x)``.

    ``w``: of the step before; ``factors``: float32 s, tau, 1 / gamma, beta, delta, epsilon;
    ``out``: the w before that, replaced by w'; z, replaced by z'; float64 ``(blocks, 4)`` for
    the sums of ``|r|^2``, ``Re <r, w - w before>``, ``Re <x, s N x / 2 - b>``, ``|x|^2``.
    """
    latest, z, sums = out
    s, tau, inverse, beta, delta, epsilon = factors
    half = s * np.float32(0.5)
    for block in prange(len(sums)):
        square, uphill, objective, norm = 0.0, 0.0, 0.0, 0.0
        for i in range(block * STEP_BLOCK, min(len(x), (block + 1) * STEP_BLOCK)):
            here, image, drop = x[i], nx[i], z[i] - x[i]
            gradient = s * image - rhs[i]
            residual = gradient + inverse * drop
            square += _product(residual, residual)
            uphill += _product(residual, w[i] - latest[i])
            objective += _product(here, half * image - rhs[i])
            norm += _product(here, here)
            step = here - tau * gradient
            z[i] = step + beta * (step - w[i]) + delta * (step - here) + epsilon * drop
            latest[i] = step
        sums[block, 0], sums[block, 1] = square, uphill
        sums[block, 2], sums[block, 3] = objective, norm


@kernel(parallel=True, fastmath=_FLAGS)
def primal_step(x, nx, rhs, s, tau, out):
    """Go down ``r = s N x - b + K^H p`` and reach out as far again.

    ``out``: ``K^H p``, replaced by ``x - 2 tau r``; an image for ``x - tau r``; float64
    ``(blocks, 3)`` for the sums of ``|r|^2``, ``Re <x, s N x / 2 - b>``, ``|x|^2``.
    """
    ahead, moved, sums = out
    half = s * np.float32(0.5)
    for block in prange(len(sums)):
        square, objective, norm = 0.0, 0.0, 0.0
        for i in range(block * STEP_BLOCK, min(len(x), (block + 1) * STEP_BLOCK)):
            here, image = x[i], nx[i]
            residual = s * image - rhs[i] + ahead[i]
            square += _product(residual, residual)
            objective += _product(here, half * image - rhs[i])
            norm += _product(here, here)
            moved[i] = here - tau * residual
            ahead[i] = moved[i] - tau * residual
        sums[block, 0], sums[block, 1], sums[block, 2] = square, objective, norm
