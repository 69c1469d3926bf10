"""A prior that begins strong: the way to a weak one that is short."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from ultrahand.numerics.priors.contract import Proximal
from ultrahand.records.arrays import Complex64, require


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Fading:
    """A prior that is `factor` times as strong in turn 0, falls geometrically, and stays itself.

    A step moves what was not sampled by no more than step times weight, whatever is still to go:
    a large weight gets there in few steps, a small one makes it right (fixed-point continuation:
    Hale, Yin, Zhang: SIAM J Optim 2008;19:1107, doi:10.1137/070698920).
    """

    prior: Proximal
    turns: int
    """As many until the prior is itself."""
    factor: float = 30.0

    def __post_init__(self) -> None:
        require(self.turns >= 0, f"turns must be >= 0, got {self.turns}")
        require(1 <= self.factor < math.inf, f"factor must be >= 1, got {self.factor}")

    @property
    def steady(self) -> bool:
        return self.turns == 0 and self.prior.steady

    def prox(self, z: Complex64, step: float, turn: int, out: Complex64, /) -> float:
        left = max(0.0, 1 - turn / self.turns) if self.turns else 0.0
        return self.prior.prox(z, step * self.factor**left, turn, out)

    def value(self, x: Complex64, /) -> float:
        return self.prior.value(x)
