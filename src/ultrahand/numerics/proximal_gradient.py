r"""Least squares with one prior whose proximal map is known.

The proximal optimised gradient method with adaptive restart: Kim, Fessler: J Optim Theory Appl
2018;178:240, doi:10.1007/s10957-018-1287-4, section 4.2; its objective falls twice as fast in the
worst case as FISTA's (Beck, Teboulle: SIAM J Imaging Sci 2009;2:183, doi:10.1137/080716542), here
a little less: see `BEYOND`. The momentum restarts where it points uphill (O'Donoghue, Candes: Found
Comput Math 2015;15:715, doi:10.1007/s10208-013-9150-3), which takes effect one iteration later
here: the test then costs no further pass over the images. A prior that changes from iteration to
iteration points uphill by chance, again and again: there momentum is never restarted, or none would
be left.

The iteration stops at a certificate. With :math:`x_k = \operatorname{prox}_{\gamma R}(z_k)`, the
vector :math:`r = \nabla f(x_k) + (z_k - x_k) / \gamma` is a subgradient of the objective F at
:math:`x_k`, so :math:`F(x_k) - F(x^*) \le |r|\, |x_k - x^*|`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.priors.contract import Proximal
from ultrahand.numerics.solution import Solution, Status
from ultrahand.records.arrays import Complex64, Float64, require

BEYOND: Final = 0.8
"""The method's step beyond the gradient's, as part of the optimal one. With all of it (1) a part of
the image whose eigenvalue is the largest, as all of sampled Cartesian k-space, swings about its
value and comes to rest as ``1 / k``; with none it is FISTA."""


def proximal_gradient(
    problem: LeastSquares,
    prior: Proximal,
    *,
    start: Complex64 | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 50,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Solution:
    """Minimise ``|A x - y|^2 / 2 + R(x / sigma)``.

    Parameters
    ----------
    problem
        The data term, with its noise unit sigma.
    prior
        R, in noise units.
    start
        The first iterate; zero if left out, which saves one application of N.
    tolerance
        Stop when ``|r| <= tolerance |b|``; 0 for a fixed number of iterations, the last of which
        then takes the longer step that is best for it. A prior that changes with each iteration
        (`Wavelets`, `LowRank` with shifts) never comes to rest: use 0 there.
    max_iterations
        Stop after as many; N is applied as often.
    threads
        Cores for the passes over images; the result is the same for any number.
    progress
        Called with 1 after each iteration.

    Returns
    -------
    Solution
        complex64, of the shape of b; its residuals are ``|r| / |b|``.

    Raises
    ------
    ultrahand.errors.RecordError
        If an option is out of range or `start` does not fit.
    """
    check_options(problem, start, tolerance, max_iterations)
    from ultrahand import kernels

    with one_blas_thread(), kernels.threads(threads):
        return _solve(problem, prior, start, (tolerance, max_iterations), progress)


def check_options(
    problem: LeastSquares, start: Complex64 | None, tolerance: float, max_iterations: int
) -> None:
    """Refuse what no solver can work with."""
    require(0 <= tolerance < 1, f"tolerance must lie in [0, 1), got {tolerance}")
    require(max_iterations >= 1, f"max_iterations must be >= 1, got {max_iterations}")
    if start is not None:
        require(
            start.shape == problem.rhs.shape,
            f"start must have the shape {problem.rhs.shape}, got {start.shape}",
        )
        require(bool(np.isfinite(start).all()), "start must be finite")


def first_iterate(problem: LeastSquares, start: Complex64 | None) -> Complex64:
    """Return a new array, in noise units."""
    if start is None:
        return np.zeros(problem.rhs.shape, np.complex64)
    return np.ascontiguousarray(start * np.float32(1 / problem.noise_sd), np.complex64)


def apply(problem: LeastSquares, x: Complex64) -> Complex64:
    """Return N x as the kernels read it."""
    return np.ascontiguousarray(problem.normal(x), np.complex64)


def _solve(
    problem: LeastSquares,
    prior: Proximal,
    start: Complex64 | None,
    stop: tuple[float, int],
    progress: Callable[[int], None],
) -> Solution:
    tolerance, most = stop
    rhs = problem.rhs_in_noise_units()
    size = norm(rhs)
    x = first_iterate(problem, start)
    w, latest, z = x.copy(), x.copy(), x.copy()
    value = 0.0 if start is None else prior.value(x)
    pace = _Pace(problem.largest_in_noise_units)
    residuals: list[float] = []
    objectives: list[float] = []
    status, misfit = Status.ITERATIONS, 0.0
    while True:
        done = len(residuals)
        nx = x if done == 0 and start is None else apply(problem, x)
        final = tolerance == 0 and done == most - 1
        out = (latest, z)
        residual, uphill, misfit, length = _step(problem, (x, nx, rhs, w), pace.step(final), out)
        if not math.isfinite(residual + misfit + length):
            status, x = Status.DIVERGED, (x if math.isfinite(length) else w)
            break
        residuals.append(residual / size if size else residual)
        objectives.append(problem.unit * (misfit + value))
        if residuals[-1] <= tolerance and (tolerance or residual == 0):
            status = Status.CONVERGED
        if status is Status.CONVERGED or done == most:
            break
        value = prior.prox(z, pace.gamma, done, x)
        w, latest = latest, w
        pace.turn(restart=prior.steady and done > 0 and uphill > 0)
        progress(1)
    x *= np.float32(problem.noise_sd)
    return Solution(
        value=x,
        status=status,
        iterations=max(0, len(residuals) - 1),
        residuals=tuple(residuals),
        objectives=tuple(objectives),
        misfit=problem.unit * misfit if status is not Status.DIVERGED else None,
        gap=residuals[-1] if status is not Status.DIVERGED else None,
    )


class _Pace:
    """The step sizes of the method."""

    def __init__(self, largest: float) -> None:
        self.tau = self.gamma = 1 / largest
        self.theta = self.ahead = 1.0

    def step(self, final: bool) -> tuple[float, ...]:
        """Return tau, 1 / gamma, beta, delta, epsilon, and go to the gamma that follows."""
        theta, tau, inverse = self.theta, self.tau, 1 / self.gamma
        self.ahead = (1 + math.sqrt((8 if final else 4) * theta**2 + 1)) / 2
        beta, delta = (theta - 1) / self.ahead, BEYOND * theta / self.ahead
        self.gamma = tau * (1 + beta + delta)
        return tau, inverse, beta, delta, beta * tau * inverse

    def turn(self, *, restart: bool) -> None:
        self.theta = 1.0 if restart else self.ahead


def _step(
    problem: LeastSquares,
    images: tuple[Complex64, Complex64, Complex64, Complex64],
    numbers: tuple[float, ...],
    out: tuple[Complex64, Complex64],
) -> tuple[float, float, float, float]:
    """Do the vector part; return ``|r|``, the uphill product, the misfit, ``|x|^2``."""
    from ultrahand import kernels

    x, nx, rhs, w = (image.reshape(-1) for image in images)
    latest, z = (image.reshape(-1) for image in out)
    sums = block_sums(x.size, 4)
    factors = tuple(np.float32(f) for f in (1 / problem.information, *numbers))
    kernels.momentum_step(x, nx, rhs, w, factors, (latest, z, sums))
    square, uphill, misfit, length = (float(total) for total in sums.sum(axis=0))
    return math.sqrt(square), uphill, misfit, length


def block_sums(size: int, number: int) -> Float64:
    """Return room for sums a block of voxels."""
    from ultrahand import kernels

    return np.empty((-(-size // kernels.STEP_BLOCK), number))


def norm(x: Complex64) -> float:
    """Return the length of an image, summed in double precision."""
    flat = x.reshape(-1).view(np.float32)
    return math.sqrt(float(np.einsum("i,i->", flat, flat, dtype=np.float64)))
