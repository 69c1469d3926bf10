"""Images that are sums of parts with priors of their own: a low-rank background and what moves.

Otazo, Candes, Sodickson: Magn Reson Med 2015;73:1125, doi:10.1002/mrm.25240.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.priors.contract import Proximal
from ultrahand.records.arrays import Complex, Complex64, require


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Components:
    """One prior for each entry of the first axis."""

    priors: tuple[Proximal, ...]

    @property
    def steady(self) -> bool:
        return all(prior.steady for prior in self.priors)

    def prox(self, z: Complex64, step: float, turn: int, out: Complex64, /) -> float:
        self._check(z)
        parts = zip(self.priors, z, out, strict=True)
        return sum(prior.prox(a, step, turn, b) for prior, a, b in parts)

    def value(self, x: Complex64, /) -> float:
        self._check(x)
        return sum(prior.value(part) for prior, part in zip(self.priors, x, strict=True))

    def _check(self, x: Complex64) -> None:
        require(
            len(x) == len(self.priors) and x.ndim >= 4,
            f"expected {len(self.priors)} images, got an array of shape {x.shape}",
        )


def summed(problem: LeastSquares, parts: int) -> LeastSquares:
    """Return the problem whose unknowns, ``(parts, ...)``, add up to the image.

    Each part has the image's noise unit. The largest eigenvalue is as many times as large.
    """
    require(parts >= 1, f"parts must be >= 1, got {parts}")
    single: Callable[[Any], Complex] = problem.normal

    def normal(x: Complex64) -> Complex64:
        image = single(x.sum(axis=0, dtype=np.complex64))
        return np.broadcast_to(image, x.shape).astype(np.complex64)

    rhs = np.broadcast_to(problem.rhs, (parts, *problem.rhs.shape))
    return LeastSquares(
        normal=normal,
        rhs=np.ascontiguousarray(rhs),
        information=problem.information,
        largest=parts * problem.largest,
        noise_sd=problem.noise_sd,
    )
