r"""Accelerated least squares with a prior :math:`F(K x)` whose proximal map takes steps of its own.

A primal-dual solver moves an image by no more than the weight times its step in each iteration: an
undersampled image, hundreds of noise standard deviations high, is filled in after thousands. The
proximal gradient's momentum fills it in after tens. The proximal map itself,

.. math:: \min_u \tfrac{1}{2 \gamma} |u - z|^2 + F(K u), \quad u = z - \gamma K^H p,

is a projected gradient on the dual variables p (Chambolle: J Math Imaging Vis 2004;20:89,
doi:10.1023/B:JMIV.0000011325.36760.1e; as the inner loop of FISTA: Beck, Teboulle: IEEE Trans Image
Process 2009;18:2419, doi:10.1109/TIP.2009.2028250). p goes on from where the iteration before left
it, so that a few steps are enough: they cost passes over the image, an iteration transforms of all
coils.

A prior with unknowns of its own (`GeneralizedVariation`) is stepped as Condat's algorithm with the
roles exchanged: the smooth term is that of p, with the Lipschitz constant
:math:`\gamma |K|^2`; with :math:`\tau = \gamma / 2` for its unknowns it converges for
:math:`1 / \sigma \ge \gamma |K|^2`.

The certificate needs the slack of the proximal map that was not carried through (see
`ultrahand.numerics.primal_dual`): :math:`F(x) - F(u) \le s + |r|\, |x - u|` with
:math:`s = F(K x) + F^*(p) - \operatorname{Re} \langle K x, p \rangle`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.priors.contract import Composite, Dual
from ultrahand.numerics.proximal_gradient import norm, proximal_gradient
from ultrahand.numerics.solution import Solution, Status
from ultrahand.records.arrays import Complex64, require


def nested_gradient(
    problem: LeastSquares,
    prior: Composite,
    *,
    inner: int = 3,
    start: Complex64 | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 100,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Solution:
    """Minimise ``|A x - y|^2 / 2 + F(K x / sigma)``.

    Parameters
    ----------
    problem
        The data term, with its noise unit sigma.
    prior
        In noise units.
    inner
        Steps of the proximal map an iteration: 3 are enough for `TotalVariation`,
        `GeneralizedVariation` needs some 30 where signals are high. Twice as many each time that x
        comes to rest and p does not.
    start, tolerance, max_iterations, threads, progress
        As for `ultrahand.numerics.proximal_gradient.proximal_gradient`.

    Returns
    -------
    Solution
        Converged only if ``|r| <= tolerance |b|`` and ``s <= tolerance |b| |x|``, r with the
        residual of the prior's own unknowns; its residuals are those of x alone.

    Raises
    ------
    ultrahand.errors.RecordError
        If an option is out of range or `start` does not fit.
    """
    require(inner >= 1, f"inner must be >= 1, got {inner}")
    nested = _Nested(prior=prior, steps=inner)
    size = norm(problem.rhs_in_noise_units()) or 1.0
    so_far: Solution | None = None
    while True:
        done = 0 if so_far is None else so_far.iterations
        found = proximal_gradient(
            problem,
            nested,
            start=start if so_far is None else so_far.value,
            tolerance=tolerance,
            max_iterations=max_iterations - done,
            threads=threads,
            progress=progress,
        )
        so_far = found if so_far is None else _joined(so_far, found)
        if found.gap is None:
            return so_far
        length = norm(found.value) / problem.noise_sd or 1.0
        left = math.hypot(found.gap, nested.own / size), nested.slack / (size * length)
        so_far = replace(so_far, gap=sum(left))
        if found.status is not Status.CONVERGED or max(left) <= tolerance:
            return so_far
        if so_far.iterations >= max_iterations:
            return replace(so_far, status=Status.ITERATIONS)
        nested.steps *= 2  # x has come to rest before p


def _joined(first: Solution, then: Solution) -> Solution:
    """Return a solution that went on from another."""
    return replace(
        then,
        iterations=first.iterations + then.iterations,
        residuals=first.residuals + then.residuals[1:],
        objectives=first.objectives + then.objectives[1:],
    )


@final
@dataclass(kw_only=True, eq=False)
class _Nested:
    """A proximal map of one solution, which begins each time with the dual variables it has."""

    prior: Composite
    steps: int
    slack: float = 0.0
    own: float = 0.0
    """Of the prior's own unknowns: the length of their residual."""
    dual: Dual | None = None

    @property
    def steady(self) -> bool:
        return True

    def prox(self, z: Complex64, step: float, _turn: int, out: Complex64, /) -> float:
        dual = self.dual = self.prior.start(z.shape) if self.dual is None else self.dual
        sigma = 1 / (step * self.prior.norm**2)
        for _ in range(self.steps):
            _nearest(dual, z, step, step / 2, out)
            dual.ascend(sigma, out)
        self.own = math.sqrt(_nearest(dual, z, step, 0.0, out))
        value, slack = dual.measure(out)
        self.slack = max(0.0, slack)
        return value

    def value(self, x: Complex64, /) -> float:
        return self.prior.start(x.shape).measure(x)[0]


def _nearest(dual: Dual, z: Complex64, step: float, tau: float, out: Complex64) -> float:
    """Write ``z - step K^H p``, step the prior's own unknowns, return their residual's square."""
    out[...] = 0
    own = dual.descend(tau, out)
    out *= np.float32(-step)
    out += z
    return own
