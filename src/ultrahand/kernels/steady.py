"""One phase for the weights of an adaptive combination, steadier than the weights themselves.

An eigenvector has no phase of its own. Turning each to a virtual coil would give it that coil's
phase together with the noise of its own small block; so it is turned to the eigenvector of the
blocks around it, which are many more, and only that one to the virtual coil.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ultrahand.kernels._jit import kernel

STEPS = 4
"""Of the power iteration from the weight itself: the start is nearly right."""


@njit
def _neighbourhood(weights, power, place, half, vector, total):
    """Turn `vector` towards the dominant eigenvector of the weights around a place."""
    n_z, n_y, n_x, n_coils = weights.shape
    total[:] = 0.0
    for z in range(max(0, place[0] - half), min(n_z, place[0] + half + 1)):
        for y in range(max(0, place[1] - half), min(n_y, place[1] + half + 1)):
            for x in range(max(0, place[2] - half), min(n_x, place[2] + half + 1)):
                along = 0.0j
                for coil in range(n_coils):
                    along += np.conj(weights[z, y, x, coil]) * vector[coil]
                along *= power[z, y, x]
                for coil in range(n_coils):
                    total[coil] += along * weights[z, y, x, coil]
    norm = 0.0
    for coil in range(n_coils):
        norm += total[coil].real ** 2 + total[coil].imag ** 2
    if norm > 0.0:
        for coil in range(n_coils):
            vector[coil] = total[coil] / np.sqrt(norm)


@kernel(parallel=True)
def steady(weights, power, half, reference, out):
    """Write the weights, each turned to the phase that its neighbourhood has to a reference.

    ``weights``: complex64 ``(z, y, x, coils)``; ``power``: float32 ``(z, y, x)``, the signal each
    weight stands for; ``half``: int64, neighbours to each side; ``reference``: complex128
    ``(coils,)``; ``out``: as `weights`. A weight of zero stays zero.
    """
    n_z, n_y, n_x, n_coils = weights.shape
    for position in prange(n_z * n_y * n_x):
        i, j, k = position // (n_y * n_x), position // n_x % n_y, position % n_x
        vector = np.empty(n_coils, np.complex128)
        total = np.empty(n_coils, np.complex128)
        vector[:] = weights[i, j, k]
        for _ in range(STEPS):
            _neighbourhood(weights, power, (i, j, k), half, vector, total)
        overlap = 0.0j
        along = 0.0j
        for coil in range(n_coils):
            overlap += np.conj(weights[i, j, k, coil]) * vector[coil]
            along += np.conj(vector[coil]) * reference[coil]
        turn = overlap * along
        if abs(turn) > 0.0:
            turn /= abs(turn)
        for coil in range(n_coils):
            out[i, j, k, coil] = weights[i, j, k, coil] * turn
