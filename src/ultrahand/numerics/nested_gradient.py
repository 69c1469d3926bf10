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

from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
        Steps of the proximal map an iteration.
    start, tolerance, max_iterations, threads, progress
        As for `ultrahand.numerics.proximal_gradient.proximal_gradient`.

    Returns
    -------
    Solution
        Converged only if ``|r| <= tolerance |b|`` and ``s <= tolerance |b| |x|``.

    Raises
    ------
    ultrahand.errors.RecordError
        If an option is out of range or `start` does not fit.
    """
    require(inner >= 1, f"inner must be >= 1, got {inner}")
    nested = _Nested(prior=prior, steps=inner)
    found = proximal_gradient(
        problem,
        nested,
        start=start,
        tolerance=tolerance,
        max_iterations=max_iterations,
        threads=threads,
        progress=progress,
    )
    if found.gap is None:
        return found
    scale = norm(problem.rhs_in_noise_units()) * norm(found.value) / problem.noise_sd
    slack = nested.slack / scale if scale else nested.slack
    far = found.status is Status.CONVERGED and slack > tolerance
    status = Status.ITERATIONS if far else found.status
    return replace(found, status=status, gap=found.gap + slack)


@final
@dataclass(kw_only=True, eq=False)
class _Nested:
    """A proximal map of one solution, which begins each time with the dual variables it has."""

    prior: Composite
    steps: int
    slack: float = 0.0
    dual: Dual | None = field(default=None)

    @property
    def steady(self) -> bool:
        return True

    def prox(self, z: Complex64, step: float, _turn: int, out: Complex64, /) -> float:
        dual = self.dual = self.prior.start(z.shape) if self.dual is None else self.dual
        sigma = 1 / (step * self.prior.norm**2)
        _nearest(dual, z, step, step / 2, out)
        for _ in range(self.steps):
            dual.ascend(sigma, out)
            _nearest(dual, z, step, step / 2, out)
        value, slack = dual.measure(out)
        self.slack = max(0.0, slack)
        return value

    def value(self, x: Complex64, /) -> float:
        return self.prior.start(x.shape).measure(x)[0]


def _nearest(dual: Dual, z: Complex64, step: float, tau: float, out: Complex64) -> None:
    """Write ``z - step K^H p``, step the prior's own unknowns."""
    out[...] = 0
    dual.descend(tau, out)
    out *= np.float32(-step)
    out += z
