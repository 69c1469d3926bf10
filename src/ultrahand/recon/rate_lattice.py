"""Multilinear interpolation from the nodes of a lattice, and how far apart the nodes may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, e, sqrt
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.records.arrays import Float32, Float64, Ints


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Places:
    """Where points lie among the nodes; made by `locate`."""

    n_nodes: int
    """Of the whole lattice, counted with the last axis fastest."""
    first: Ints
    """Lowest corner of each point's cell, int32, the points' shape."""
    steps: tuple[int, ...]
    """From one node to the next, along the axes of more than one node."""
    shares: tuple[Float32, ...]
    """How far each point is towards the next node along these axes, 0 to 1."""

    def touched(self) -> Ints:
        """Return the nodes that some point needs, in order."""
        used = np.zeros(self.n_nodes, np.bool_)
        corners = [(self.first, np.ones(self.first.shape, np.bool_))]
        for step, share in zip(self.steps, self.shares, strict=True):
            corners = [(at, need & (share < 1)) for at, need in corners] + [
                (at + step, need & (share > 0)) for at, need in corners
            ]
        for at, need in corners:
            used[at[need]] = True
        return np.flatnonzero(used)

    def interpolate(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the points' values from those of all nodes, ``(n_nodes,)``."""
        return self._between(values, self.first, len(self.steps))

    def _between(self, values: NDArray[Any], first: Ints, n_axes: int) -> NDArray[Any]:
        if n_axes == 0:
            return values[first]
        low = self._between(values, first, n_axes - 1)
        high = self._between(values, first + self.steps[n_axes - 1], n_axes - 1)
        high -= low
        high *= self.shares[n_axes - 1]
        high += low
        return high


def locate(nodes: Sequence[Float64], points: Sequence[Float64]) -> Places:
    """Find points among nodes.

    Parameters
    ----------
    nodes
        Of each axis, rising.
    points
        One coordinate for each axis, within its nodes, all of one shape.
    """
    first = np.zeros(points[0].shape, np.int32)
    steps, shares, step = [], [], 1
    for axis, at in zip(reversed(nodes), reversed(points), strict=True):
        if len(axis) > 1:
            low = np.clip(np.searchsorted(axis, at, "right") - 1, 0, len(axis) - 2)
            first += (low * step).astype(np.int32)
            steps.append(step)
            shares.append(((at - axis[low]) / (axis[low + 1] - axis[low])).astype(np.float32))
        step *= len(axis)
    return Places(n_nodes=step, first=first, steps=tuple(steps), shares=tuple(shares))


def even_nodes(low: float, high: float, bend: float, error: float) -> Float64:
    """Return nodes between which a function is straight within an error.

    A chord of length d misses a function by ``bend d^2 / 8`` at most, where ``bend`` bounds its
    second derivative.
    """
    if high <= low:
        return np.array([low])
    width = sqrt(8.0 * error / bend) if bend > 0 else np.inf
    return np.linspace(low, high, max(ceil((high - low) / width), 1) + 1)


def decay_nodes(low: float, high: float, duration: float, error: float) -> Float64:
    """Return nodes in R between which ``exp(-R s)`` is straight within an error.

    For all s from 0 to the duration. Its second derivative ``s^2 exp(-R s)`` is at most
    ``duration^2``, and at most ``4 / (e R)^2``, its largest value over all s: nodes may lie
    further apart as R grows.
    """
    found = [low]
    while found[-1] < high:
        curvature = min(duration, 2.0 / (e * found[-1]) if found[-1] > 0 else np.inf)
        step = sqrt(8.0 * error) / curvature if curvature > 0 else np.inf
        found.append(min(found[-1] + step, high))
    return np.array(found)
