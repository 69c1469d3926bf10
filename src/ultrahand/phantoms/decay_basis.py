r"""The time courses of many terms as sums of few.

.. math:: e^{r_j t} \approx \sum_l C_{jl} T_l(t)

On Chebyshev nodes in time the exponentials are interpolated to rounding; the singular vectors of
the matrix of terms and nodes, weighted by the terms' strength, are the fewest that do.
"""

from __future__ import annotations

from math import pi

import numpy as np

from ultrahand.records.arrays import Complex, Float64


def decay_basis(
    rate_per_s: Complex, strength: Float64, time_s: Float64, tolerance: float
) -> tuple[Complex, Complex]:
    """Return coefficients of terms and the functions of time that they belong to.

    Parameters
    ----------
    rate_per_s
        ``-r2star - 2 pi i f`` of each term, shape ``(terms,)``.
    strength
        Magnitude of each term, shape ``(terms,)``.
    time_s
        Any shape.
    tolerance
        Largest error, at any time, of the sum of all terms, whatever their phases.

    Returns
    -------
    coefficients
        Shape ``(rank, terms)``; rank is at least 1.
    functions
        Shape ``(rank, *time_s.shape)``.
    """
    low, high = float(time_s.min()), float(time_s.max())
    half = 0.5 * (high - low)
    middle = low + half
    nodes = np.cos(pi * (np.arange(n := _n_nodes(rate_per_s, half)) + 0.5) / n)
    rates, member = np.unique(rate_per_s, return_inverse=True)
    member = member.ravel()
    weight = np.sqrt(np.bincount(member, strength))
    courses = np.exp(rates[:, None] * (middle + half * nodes))
    _, size, vectors = np.linalg.svd(weight[:, None] * courses, full_matrices=False)
    # sum_j s_j |e_j| <= sqrt(sum s_j) sqrt(sum s_j |e_j|^2), and the last is below this tail:
    tail = np.sqrt(np.append(np.cumsum(size[::-1] ** 2)[::-1], 0.0)) * np.sqrt(strength.sum())
    rank = max(1, int(np.argmax(tail <= tolerance)))
    coefficients = (courses @ vectors[:rank].conj().T)[member].T
    at = (time_s - middle) / half if half > 0 else np.zeros_like(time_s)
    # vectors are values on the nodes: their Chebyshev series is a cosine transform.
    orders = np.cos(np.outer(np.arange(n), np.arccos(nodes)))
    series = 2.0 / n * orders @ vectors[:rank].T
    series[0] *= 0.5
    functions = np.polynomial.chebyshev.chebval(at, series)
    return np.ascontiguousarray(coefficients), functions


def _n_nodes(rate_per_s: Complex, half_s: float) -> int:
    """Return how many nodes interpolate the exponentials to 1e-13.

    On n Chebyshev nodes of [-1, 1] ``exp(z x)`` errs by ``2 exp(|z|) (|z|/2)^n / n!`` at most: the
    interpolation error is ``2^(1-n)/n!`` times the n-th derivative.
    """
    z = float(np.abs(rate_per_s).max()) * half_s
    error, n = 2.0 * np.exp(z), 0
    while error > 1e-13:
        n += 1
        error *= 0.5 * z / n
    return max(n, 1)
