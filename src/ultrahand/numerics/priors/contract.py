"""What a prior is to a solver.

All images are in units of their noise (`ultrahand.numerics.least_squares`), complex64, the last
three axes z, y, x.
"""

from __future__ import annotations

import math
from typing import Protocol

from ultrahand.records.arrays import Complex64, require


class Proximal(Protocol):
    """A prior with a proximal map that is known."""

    @property
    def steady(self) -> bool:
        """Whether the map is the same in every iteration."""

    def prox(self, z: Complex64, step: float, turn: int, out: Complex64, /) -> float:
        """Write the minimiser of ``|u - z|^2 / 2 + step R(u)`` to `out` and return R of it.

        `z` and `out` are C-contiguous and apart. `turn` counts the iterations: what is random
        changes with it.
        """

    def value(self, x: Complex64, /) -> float:
        """Return R(x), of turn 0."""


class Dual(Protocol):
    """The dual variables of a prior ``R(x) = F(K x)`` while a primal-dual solver runs.

    A prior may have unknowns of its own beside x; they are stepped with it.
    """

    def descend(self, tau: float, image: Complex64, /) -> float:
        """Add ``K^H p`` to `image`, step the own unknowns, return the square of their residual."""

    def ascend(self, sigma: float, ahead: Complex64, /) -> None:
        """Replace p by ``prox_(sigma F*)(p + sigma K ahead)``."""

    def measure(self, x: Complex64, /) -> tuple[float, float]:
        """Return F(K x) and the slack ``F(K x) + F*(p) - Re <K x, p>``, 0 for the best p.

        F* is 0 for the p that occur where F is a norm.
        """


class Composite(Protocol):
    """A prior ``R(x) = F(K x)`` with K linear, whose dual can be stepped."""

    @property
    def norm(self) -> float:
        """At least the norm of K."""

    def start(self, shape: tuple[int, ...], /) -> Dual:
        """Return dual variables of zero for an image of this shape."""


def require_weight(weight: float) -> None:
    """Refuse a weight that is no weight."""
    require(0 <= weight < math.inf, f"a weight must be finite and not negative, got {weight}")


def frames(x: Complex64) -> Complex64:
    """Return a view ``(frames, z, y, x)``."""
    return x.reshape(-1, *x.shape[-3:])


def four(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the shape of `frames`."""
    return (math.prod(shape[:-3]), *shape[-3:])  # type: ignore[return-value]
