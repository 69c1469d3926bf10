"""A solid as a stack of ellipses along one axis: bones, vessels, skin, cartilage, vials.

Every cross-section is an ellipse whose transform is known, so the solid's transform is a
one-dimensional integral of smooth pieces, and a Gauss-Legendre rule on each piece reaches any
accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Final, final

import numpy as np

from ultrahand.phantoms.plates import Plates
from ultrahand.records.arrays import Bools, Float64, freeze, require
from ultrahand.units import M_PER_MM

ACROSS: Final = ((1, 2), (0, 2), (0, 1))
"""The two axes of the cross-section, by the stack's axis."""
MORE_NODES: Final = 5
"""Gauss nodes of a piece beyond half its phase: the transform is then right to 1e-8."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Ellipses stacked along x, y or z of the hand's own frame, in metres.

    Between knots the centre and the semi-axes are monotone cubics (Fritsch and Carlson, SIAM J
    Numer Anal 1980;17:238, doi:10.1137/0717021): they never overshoot what the knots say.
    """

    axis: int
    """0, 1 or 2: along which the ellipses are stacked."""
    knots_m: Float64
    """Ascending positions along the axis, shape ``(knots,)``."""
    shape_m: Float64
    """Centre (two coordinates) and semi-axes along the two other axes, shape ``(knots, 4)``."""
    caps_m: tuple[float, float] = (0.0, 0.0)
    """Length over which each end is rounded off; 0 leaves it flat."""

    def __post_init__(self) -> None:
        freeze(
            self,
            knots_m=np.array(self.knots_m, np.float64),
            shape_m=np.array(self.shape_m, np.float64),
        )
        require(self.axis in (0, 1, 2), f"axis must be 0, 1 or 2, got {self.axis}")
        require(
            self.shape_m.shape == (len(self.knots_m), 4) and len(self.knots_m) > 1,
            f"shape_m {self.shape_m.shape} must be (knots, 4) of {len(self.knots_m)} > 1 knots",
        )
        require(bool((np.diff(self.knots_m) > 0).all()), "knots_m must ascend")
        require(bool((self.shape_m[:, 2:] > 0).all()), "semi-axes must be positive")
        fits = min(self.caps_m) >= 0 and sum(self.caps_m) <= self.length_m * (1 + 1e-9)
        require(fits, f"caps {self.caps_m} must fit into {self.length_m}")

    @property
    def ends_m(self) -> tuple[float, float]:
        return float(self.knots_m[0]), float(self.knots_m[-1])

    @property
    def length_m(self) -> float:
        return float(self.knots_m[-1] - self.knots_m[0])

    @cached_property
    def _curves(self) -> Any:  # noqa: ANN401 - scipy has no types
        from scipy.interpolate import PchipInterpolator

        return PchipInterpolator(self.knots_m, self.shape_m)

    def at(self, s_m: Float64) -> tuple[Float64, Float64]:
        """Return centre and semi-axes at positions along the axis, both ``(..., 2)``."""
        s = np.asarray(s_m, np.float64)
        shape = self._curves(np.clip(s, *self.ends_m))
        return shape[..., :2], shape[..., 2:] * self._rounding(s)[..., None]

    def _rounding(self, s: Float64) -> Float64:
        """Return the factor of an elliptic cap: 1 in the body, 0 at a rounded end."""
        factor = np.ones(s.shape)
        for end, cap, sign in zip(self.ends_m, self.caps_m, (1.0, -1.0), strict=True):
            if cap > 0:
                depth = np.clip(1.0 - sign * (s - end) / cap, 0.0, 1.0)
                factor *= np.sqrt(1.0 - depth**2)
        return factor

    def points(self, s_m: Float64) -> Float64:
        """Return the centres at positions along the axis, ``(..., 3)`` in the hand's frame."""
        out = np.empty((*np.shape(s_m), 3))
        out[..., self.axis] = s_m
        out[..., ACROSS[self.axis]] = self.at(s_m)[0]
        return out

    def contains(self, r_m: Float64) -> Bools:
        """Tell which points ``(..., 3)`` of the hand's frame lie inside."""
        s = r_m[..., self.axis]
        low, high = self.ends_m
        inside: Bools = (s >= low) & (s <= high)
        at = r_m[inside]
        if len(at):
            centre, semi = self.at(at[:, self.axis])
            u = (at[:, ACROSS[self.axis]] - centre) / np.maximum(semi, 1e-12)
            inside[inside] = (u**2).sum(axis=-1) <= 1.0
        return inside

    @cached_property
    def box_m(self) -> Float64:
        """Lowest and highest corner of a box around it, shape ``(2, 3)``."""
        centre, semi = self.shape_m[:, :2], self.shape_m[:, 2:]  # monotone between the knots
        box = np.empty((2, 3))
        box[:, self.axis] = self.ends_m
        low = np.minimum(centre[:-1], centre[1:]) - np.maximum(semi[:-1], semi[1:])
        high = np.maximum(centre[:-1], centre[1:]) + np.maximum(semi[:-1], semi[1:])
        box[0, ACROSS[self.axis]], box[1, ACROSS[self.axis]] = low.min(axis=0), high.max(axis=0)
        return box

    def nodes(self, k_max_per_m: float, breaks_m: Iterable[float] = ()) -> tuple[Float64, Float64]:
        """Return positions and weights of a rule that integrates the transform up to `k_max`.

        Parameters
        ----------
        k_max_per_m
            Largest spatial frequency that will be asked for.
        breaks_m
            Where the rule must have a boundary, as the surroundings change there.
        """
        low, high = self.ends_m
        inner = [*self.knots_m, low + self.caps_m[0], high - self.caps_m[1], *breaks_m]
        bounds = np.unique(np.clip(inner, low, high))
        bounds = np.append(bounds[:-1][np.diff(bounds) > 1e-9], high)
        nodes, weights = [], []
        for a, b in pairwise(bounds.tolist()):
            x, w = _rule(self._order(a, b, k_max_per_m))
            nodes.append(0.5 * (b - a) * x + 0.5 * (a + b))
            weights.append(0.5 * (b - a) * w)
        return np.concatenate(nodes), np.concatenate(weights)

    def _order(self, a: float, b: float, k_max: float) -> int:
        """Return how many nodes a piece needs: a rule of n has 2n - 1 for a phase of pi k L."""
        centre, semi = self.at(np.array([a, 0.5 * (a + b), b]))
        drift = float(np.linalg.norm(centre[2] - centre[0]))
        swell = float(np.abs(np.diff(semi, axis=0)).max(axis=1).sum())
        path = math.hypot(b - a, drift) + swell
        return math.ceil(0.5 * math.pi * k_max * path) + MORE_NODES

    def moved(self, offset_m: Float64, *, mirrored: bool) -> Stack:
        """Return the stack displaced, after a reflection of x if asked."""
        axis_offset = float(offset_m[self.axis])
        across = offset_m[list(ACROSS[self.axis])]
        knots, shape, caps = self.knots_m, self.shape_m.copy(), self.caps_m
        if mirrored and self.axis == 0:
            knots, shape, caps = -knots[::-1], shape[::-1].copy(), caps[::-1]
        elif mirrored:
            shape[:, 0] *= -1.0  # the first axis across is x
        shape[:, :2] += across
        return Stack(axis=self.axis, knots_m=knots + axis_offset, shape_m=shape, caps_m=caps)

    def plates(self, s_m: Float64, weight_m: Float64) -> Plates:
        """Return the ellipses at positions along the axis, in the hand's frame."""
        _, semi = self.at(s_m)
        span = np.zeros((len(s_m), 2, 3))
        for row, across in enumerate(ACROSS[self.axis]):
            span[:, row, across] = semi[:, row]
        return Plates(centre_m=self.points(s_m), span_m=span, weight_m=weight_m)

    def volume_m3(self) -> float:
        """Return the volume, exact for these pieces."""
        s, w = self.nodes(0.0)
        return float(self.plates(s, w).volume_m3.sum())


@lru_cache(maxsize=512)
def _rule(order: int) -> tuple[Float64, Float64]:
    """Return a Gauss-Legendre rule on -1 to 1; a hand asks for a few orders thousands of times."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def tube_mm(
    path: Sequence[Sequence[float]],
    *,
    axis: int = 2,
    caps: tuple[float, float] = (0.0, 0.0),
) -> Stack:
    """Return a stack from knots in millimetres: position, centre (2), semi-axes (2)."""
    table = np.array(path, np.float64) * M_PER_MM
    return Stack(
        axis=axis,
        knots_m=table[:, 0],
        shape_m=table[:, 1:],
        caps_m=(caps[0] * M_PER_MM, caps[1] * M_PER_MM),
    )


def ellipsoid_mm(
    centre: Sequence[float] | Float64, semi: Sequence[float] | Float64, lean: float = 0.0
) -> Stack:
    """Return an ellipsoid along z; its axis leans towards +x by `lean` millimetres each way."""
    x, y, z = (float(v) for v in centre)
    a, b, c = (float(v) for v in semi)
    path = [(z - c, x - lean, y, a, b), (z, x, y, a, b), (z + c, x + lean, y, a, b)]
    return tube_mm(path, caps=(c, c))
