"""A prior with a proximal map among priors with a linear map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.numerics.priors.contract import Proximal
from ultrahand.records.arrays import Complex64


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Direct:
    """``R(x)`` as ``F(K x)`` with K the identity.

    By Moreau's identity ``prox_(sigma R*)(p) = p - sigma prox_(R / sigma)(p / sigma)``. A prior
    that changes with the iteration stays as it is in turn 0: its dual would not converge.
    """

    prior: Proximal

    @property
    def norm(self) -> float:
        return 1.0

    def start(self, shape: tuple[int, ...], /) -> Copies:
        return Copies(prior=self.prior, p=np.zeros(shape, np.complex64))


@final
@dataclass(kw_only=True, eq=False)
class Copies:
    """The dual image of a prior."""

    prior: Proximal
    p: Complex64
    conjugate: float = 0.0
    """``R*(p)``: p is a subgradient of R at the u that the proximal map found, so it is
    ``Re <u, p> - R(u)``; R is 0 at 0 and not negative, so it begins with 0."""

    def descend(self, _tau: float, image: Complex64, /) -> float:
        image += self.p
        return 0.0

    def ascend(self, sigma: float, ahead: Complex64, /) -> None:
        scaled = ahead + self.p / np.float32(sigma)
        nearest = np.empty_like(self.p)
        value = self.prior.prox(scaled, 1 / sigma, 0, nearest)
        np.subtract(scaled, nearest, out=self.p)
        self.p *= np.float32(sigma)
        self.conjugate = _product(nearest, self.p) - value

    def measure(self, x: Complex64, /) -> tuple[float, float]:
        value = self.prior.value(x)
        return value, value + self.conjugate - _product(x, self.p)


def _product(a: Complex64, b: Complex64) -> float:
    parts = [x.reshape(-1).view(np.float32) for x in (a, b)]
    return float(np.einsum("i,i->", *parts, dtype=np.float64))
