r"""The largest eigenvalue of a Hermitian operator that is not negative.

Lanczos from a random start (Golub, Van Loan: Matrix Computations, 2013, ISBN 9781421407944, 10.1).
Its largest Ritz value never exceeds the eigenvalue. That it stays below ``(1 - e)`` times it has a
probability of at most :math:`1.648 \sqrt n\, e^{-\sqrt e (2 k - 1)}` after k steps from a start
that is uniform on the sphere of :math:`R^n`, whatever the spectrum (Kuczynski, Wozniakowski: SIAM J
Matrix Anal Appl 1992;13:1094, doi:10.1137/0613066, theorem 4.2). A complex operator of m voxels is
a real one of n = 2 m, so the bound here is the Ritz value over ``1 - e`` with the e of the
probability asked for: no step size that is built on it is too long but in that share of cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.records.arrays import Complex, require


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LargestEigenvalue:
    """What Lanczos found."""

    value: float
    """The largest Ritz value: at most the eigenvalue, but for rounding."""
    bound: float
    """At least the eigenvalue, but for the probability asked for."""
    iterations: int
    """How often the operator was applied."""


def largest_eigenvalue(
    normal: Callable[[Any], Complex],
    shape: tuple[int, ...],
    *,
    iterations: int = 20,
    probability: float = 1e-3,
    seed: int = 0,
) -> LargestEigenvalue:
    """Bound the largest eigenvalue.

    Parameters
    ----------
    normal
        Applies N, Hermitian and not negative, to complex64 of `shape`.
    shape
        Of what N is applied to.
    iterations
        Steps, k; fewer where N has fewer directions. The margin falls as ``1 / k^2``.
    probability
        That the bound is too low, at most.
    seed
        Of the start; the same seed gives the same bits.

    Raises
    ------
    ultrahand.errors.RecordError
        If an option is out of range, or too few iterations bound nothing, or N gives numbers that
        are not finite.
    """
    require(0 < probability < 1, f"probability must lie in (0, 1), got {probability}")
    require(iterations >= 1, f"iterations must be >= 1, got {iterations}")
    size = 2 * math.prod(shape)
    root = math.log(1.648 * math.sqrt(size) / probability) / (2 * iterations - 1)
    needed = math.ceil((math.log(1.648 * math.sqrt(size) / probability) + 1) / 2)
    require(
        root < 1, f"{iterations} iterations bound nothing for {size // 2} voxels: take > {needed}"
    )
    with one_blas_thread():
        value, done, exact = _lanczos(normal, shape, iterations, seed)
    return LargestEigenvalue(
        value=value, bound=value * (1 + 1e-5) / (1 if exact else 1 - root**2), iterations=done
    )


def _lanczos(
    normal: Callable[[Any], Complex], shape: tuple[int, ...], iterations: int, seed: int
) -> tuple[float, int, bool]:
    """Return the largest Ritz value, steps, and whether all directions of the start were seen."""
    import scipy.linalg

    rng = np.random.default_rng(seed)
    q = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    q /= np.linalg.norm(q)
    before, beta = np.zeros_like(q), 0.0
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        r = normal(q.astype(np.complex64)).astype(np.complex128) - beta * before
        diagonal.append(float(np.vdot(q, r).real))
        require(math.isfinite(diagonal[-1]), "the operator gave numbers that are not finite")
        r -= diagonal[-1] * q
        values = scipy.linalg.eigvalsh_tridiagonal(diagonal, beside)
        beta = float(np.linalg.norm(r))
        exact = beta <= 1e-6 * values[-1] or len(diagonal) >= q.size
        if exact or len(diagonal) >= iterations:
            return max(0.0, float(values[-1])), len(diagonal), exact
        beside.append(beta)
        before, q = q, r / beta
