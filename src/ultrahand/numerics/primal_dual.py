r"""Least squares with any number of priors :math:`F_i(K_i x)`, K_i linear.

Condat: J Optim Theory Appl 2013;158:460, doi:10.1007/s10957-012-0245-9, algorithm 3.2 with rho = 1;
Vu: Adv Comput Math 2013;38:667, doi:10.1007/s10444-011-9254-8. It converges for
:math:`1 / \tau - \sum \sigma_i |K_i|^2 \ge L / 2` with L the largest eigenvalue of N.

The iteration stops at a certificate. With :math:`r = N x - b + \sum K_i^H p_i` and the slack
:math:`s = \sum F_i(K_i x) + F_i^*(p_i) - \operatorname{Re}\langle K_i x, p_i \rangle \ge 0`,
convexity of the data term and of F_i gives, for every u,

.. math:: F(x) - F(u) \le s + \operatorname{Re}\langle r, x - u \rangle \le s + |r|\, |x - u|.

r costs nothing, s a pass over the images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.priors.contract import Composite, Dual
from ultrahand.numerics.proximal_gradient import (
    apply,
    block_sums,
    check_options,
    first_iterate,
    norm,
)
from ultrahand.numerics.solution import Solution, Status
from ultrahand.records.arrays import Complex64, require


def primal_dual(
    problem: LeastSquares,
    priors: Sequence[Composite],
    *,
    start: Complex64 | None = None,
    tolerance: float = 1e-3,
    max_iterations: int = 100,
    balance: float = 1.0,
    watch: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Solution:
    """Minimise ``|A x - y|^2 / 2 + sum F_i(K_i x / sigma)``.

    Parameters
    ----------
    problem
        The data term, with its noise unit sigma.
    priors
        At least one, in noise units; `Direct` makes one of a prior with a proximal map.
    start
        The first iterate; zero if left out, which saves one application of N.
    tolerance
        Stop when ``|r| <= tolerance |b|`` and ``s <= tolerance |b| |x|``; 0 for a fixed number of
        iterations.
    max_iterations
        Stop after as many; N is applied as often.
    balance
        How the permitted steps are shared: ``sum sigma_i |K_i|^2 = balance L``. More of it moves
        the priors faster and the data slower; it changes the way, not the result.
    watch
        Compute the objective of every iterate, which takes a pass of each prior.
    threads
        Cores for the passes over images; the result is the same for any number.
    progress
        Called with 1 after each iteration.

    Returns
    -------
    Solution
        complex64, of the shape of b; its residuals are ``|r| / |b|``. Its objectives are those of
        the iterates for which they were computed, the last one always.

    Raises
    ------
    ultrahand.errors.RecordError
        If an option is out of range or `start` does not fit.
    """
    check_options(problem, start, tolerance, max_iterations)
    require(len(priors) >= 1, "at least one prior is needed: use conjugate_gradient without")
    require(0 < balance < math.inf, f"balance must be positive, got {balance}")
    from ultrahand import kernels

    with one_blas_thread(), kernels.threads(threads):
        run = _Run(problem, priors, start, balance)
        for _ in range(max_iterations):
            if run.look(tolerance, closely=watch):
                break
            run.go_on()
            progress(1)
        else:
            run.look(tolerance, closely=True)
        return run.solution()


@dataclass(eq=False)
class _Run:
    """The state between two iterations."""

    problem: LeastSquares
    priors: Sequence[Composite]
    start: Complex64 | None
    balance: float
    residuals: list[float] = field(default_factory=list)
    objectives: list[float] = field(default_factory=list)
    status: Status = Status.ITERATIONS
    misfit: float | None = None
    gap: float | None = None

    def __post_init__(self) -> None:
        self.rhs = self.problem.rhs_in_noise_units()
        self.size = norm(self.rhs)
        self.x = first_iterate(self.problem, self.start)
        self.moved, self.ahead = np.empty_like(self.x), np.empty_like(self.x)
        self.duals: list[Dual] = [prior.start(self.x.shape) for prior in self.priors]
        largest = self.problem.largest_in_noise_units
        shared = self.balance * largest / len(self.priors)
        self.sigmas = [shared / prior.norm**2 for prior in self.priors]
        self.tau = 1 / (largest * (0.5 + self.balance))

    def look(self, tolerance: float, *, closely: bool) -> bool:
        """Judge x and do the primal part of the next step; return whether to stop."""
        near = bool(self.residuals) and self.residuals[-1] <= 2 * tolerance
        measured = closely or near or self.size == 0
        sums = [dual.measure(self.x) for dual in self.duals] if measured else []
        residual, misfit, length = self._descend()
        if not math.isfinite(residual + misfit + length):
            self.status, self.misfit, self.gap = Status.DIVERGED, None, None
            return True
        self.residuals.append(residual / self.size if self.size else residual)
        if measured:
            slack = max(0.0, sum(part[1] for part in sums))
            scale = self.size * length
            self._judge(slack / scale if scale else slack, tolerance)
            self.misfit = self.problem.unit * misfit
            self.objectives.append(self.misfit + self.problem.unit * sum(part[0] for part in sums))
        return self.status is Status.CONVERGED

    def _judge(self, slack: float, tolerance: float) -> None:
        self.gap = slack + self.residuals[-1]
        bound = tolerance if self.size else 0.0
        if self.residuals[-1] <= bound and slack <= bound and (tolerance or self.gap == 0):
            self.status = Status.CONVERGED

    def _descend(self) -> tuple[float, float, float]:
        """Do the primal part; return ``|r|``, the misfit and ``|x|``."""
        from ultrahand import kernels

        fresh = self.start is None and not self.residuals
        nx = self.x if fresh else apply(self.problem, self.x)
        self.ahead[...] = 0
        own = sum(dual.descend(self.tau, self.ahead) for dual in self.duals)
        sums = block_sums(self.x.size, 3)
        x, nx, rhs = (image.reshape(-1) for image in (self.x, nx, self.rhs))
        out = (self.ahead.reshape(-1), self.moved.reshape(-1), sums)
        s, tau = np.float32(1 / self.problem.information), np.float32(self.tau)
        kernels.primal_step(x, nx, rhs, s, tau, out)
        square, misfit, length = (float(total) for total in sums.sum(axis=0))
        return math.sqrt(square + own), misfit, math.sqrt(length)

    def go_on(self) -> None:
        """Do the dual part of the step."""
        for dual, sigma in zip(self.duals, self.sigmas, strict=True):
            dual.ascend(sigma, self.ahead)
        self.x, self.moved = self.moved, self.x

    def solution(self) -> Solution:
        return Solution(
            value=self.x * np.float32(self.problem.noise_sd),
            status=self.status,
            iterations=max(0, len(self.residuals) - 1),
            residuals=tuple(self.residuals),
            objectives=tuple(self.objectives),
            misfit=self.misfit,
            gap=self.gap,
        )
