r"""Conjugate gradients for :math:`(N + \lambda) x = b` with N Hermitian and not negative.

Hestenes, Stiefel: J Res Natl Bur Stand 1952;49:409, doi:10.6028/jres.049.044.

The vectors and scalar products are in double precision even where the operator is not: in single
precision the rounding of the recursion grows with the condition of a radial trajectory until two
orders of summation differ by a percent after ten iterations; so they differ by the operator's own
rounding alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.numerics.solution import Solution, Status
from ultrahand.records.arrays import Complex, require

Complex128 = NDArray[np.complex128]


def conjugate_gradient(
    normal: Callable[[Any], Complex],
    rhs: Complex,
    *,
    damping: float = 0.0,
    preconditioner: Callable[[Any], Complex] | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 30,
    progress: Callable[[int], None] = lambda _: None,
) -> Solution:
    """Solve from zero.

    Parameters
    ----------
    normal
        Applies N to an array of the shape and kind of `rhs`.
    rhs
        b, complex.
    damping
        ``lambda >= 0``, in the unit of N.
    preconditioner
        Applies M, Hermitian and positive, near the inverse of ``N + lambda``; None for 1.
    tolerance
        Stop when ``|b - (N + lambda) x| <= tolerance |b|`` in the norm ``|r|^2 = r^H M r``; 0 for a
        fixed number of iterations.
    max_iterations
        Stop after as many.
    progress
        Called with 1 after each iteration.

    Returns
    -------
    Solution
        complex128; its residuals are relative to b.

    Raises
    ------
    ultrahand.errors.RecordError
        If an option is out of range or `rhs` is not finite.
    """
    require(damping >= 0 and tolerance >= 0, "damping and tolerance must not be negative")
    require(max_iterations >= 1, f"max_iterations must be >= 1, got {max_iterations}")
    require(bool(np.isfinite(rhs).all()), "the right-hand side must be finite")
    with one_blas_thread():
        return _solve(normal, rhs, damping, preconditioner, tolerance, max_iterations, progress)


def _solve(
    normal: Callable[[Any], Complex],
    rhs: Complex,
    damping: float,
    preconditioner: Callable[[Any], Complex] | None,
    tolerance: float,
    max_iterations: int,
    progress: Callable[[int], None],
) -> Solution:
    def improved(r: Complex128) -> Complex128:
        return r if preconditioner is None else preconditioner(r).astype(np.complex128)

    x: Complex128 = np.zeros(rhs.shape, np.complex128)
    r = rhs.astype(np.complex128)
    z, work = improved(r), np.empty_like(r)
    p = z.copy()
    power = start = _dot(r, z)
    residuals = [1.0]
    status = Status.CONVERGED if start == 0 else Status.ITERATIONS
    while status is Status.ITERATIONS and len(residuals) <= max_iterations:
        q = normal(p.astype(rhs.dtype)).astype(np.complex128)
        if damping:
            q += np.multiply(p, damping, out=work)
        curvature = _dot(p, q)
        if not math.isfinite(curvature):
            status = Status.DIVERGED
        elif curvature <= 0:
            status = Status.SINGULAR
        if status is not Status.ITERATIONS:
            break
        step = power / curvature
        x += np.multiply(p, step, out=work)
        r -= np.multiply(q, step, out=work)
        z = improved(r)
        before, power = power, max(_dot(r, z), 0.0)
        p *= power / before
        p += z
        residuals.append(math.sqrt(power / start))
        progress(1)
        if residuals[-1] <= tolerance:
            status = Status.CONVERGED
    return Solution(
        value=x, status=status, iterations=len(residuals) - 1, residuals=tuple(residuals)
    )


def _dot(a: Complex128, b: Complex128) -> float:
    return float(np.vdot(a, b).real)
