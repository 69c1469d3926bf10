r"""Combs of unit impulses that read the diagonal of a covariance many voxels at a time.

With :math:`v` of modulus 1 and random phase at the teeth t of a comb and 0 elsewhere,

.. math:: Re(v_t^* (C v)_t) = C_{tt} + \sum_{t' \ne t} Re(v_t^* C_{tt'} v_{t'})

(Bekas, Kokiopoulou, Saad: Appl Numer Math 2007;57:1214, doi:10.1016/j.apnum.2007.01.003; the phases
and combs: Tang, Saad: Numer Linear Algebra Appl 2012;19:485, doi:10.1002/nla.779). The sum is small
where no two teeth lie an aliasing shift apart. What couples two voxels is the point spread function
of the sampling, so its energy on the lags of a comb tells which spacing to take.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.recon.field_extension import extend
from ultrahand.records.arrays import Bools, Complex64, Float64, Ints

Triple = tuple[int, int, int]

SPACINGS: Final = range(2, 17)
QUIET: Final = 0.01
"""Scatter of a reading of a variance (half of it in the standard deviation) below which more teeth
are worth more than quieter ones."""


SMOOTH: Final = 4.0
"""Standard deviation in voxels of the mean over teeth, where they are closer than that: readings of
neighbours scatter on their own, and what they measure is smoother (see `noise_map`)."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Comb:
    """Teeth at ``first + i * spacing`` along z, y, x."""

    spacing: Triple
    first: Triple

    @property
    def teeth(self) -> tuple[slice, slice, slice]:
        z, y, x = (slice(f, None, p) for f, p in zip(self.first, self.spacing, strict=True))
        return z, y, x


def choose_spacing(spread: Complex64, shape: Triple) -> Triple:
    """Return the spacing whose readings, averaged over a volume that holds many, scatter least.

    Parameters
    ----------
    spread
        Point spread function, lag 0 first, wrapped; 1 long on axes along which it is an impulse.
    shape
        Of the image.
    """
    power = np.abs(spread.astype(np.complex128)) ** 2
    choices = [
        [p for p in SPACINGS if p <= max(2, (n + 1) // 2)] if n > 1 and size > 1 else [1]
        for n, size in zip(shape, spread.shape, strict=True)
    ]

    def cost(spacing: tuple[int, ...]) -> tuple[float, tuple[int, int, tuple[int, ...]]]:
        scatter = _scatter(power, shape, spacing)
        return (scatter**2 + QUIET**2) * math.prod(spacing), _closeness(spacing)

    z, y, x = min(itertools.product(*choices), key=cost)
    return z, y, x


def _closeness(spacing: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    return math.prod(spacing), max(spacing), spacing


def _scatter(power: Float64, shape: Triple, spacing: tuple[int, ...]) -> float:
    """Return the standard deviation of a tooth's reading, relative."""
    lags, shares = [], []
    for p, n, grid in zip(spacing, shape, power.shape, strict=True):
        teeth = -(-n // p) if grid > 1 else 1
        steps = np.arange(1 - teeth, teeth)
        lags.append(steps * p % grid)
        shares.append(1 - np.abs(steps) / teeth)
    on_lags = power[np.ix_(*lags)]
    total = np.einsum("zyx,z,y,x", on_lags, *shares) / power[0, 0, 0] - 1
    return math.sqrt(max(total, 0.0) / 2)  # the phases are random: half of it is imaginary


def place_combs(spacing: Triple, shape: Triple, number: int) -> list[Comb]:
    """Return combs in each other's gaps, half a spacing apart, the first a quarter from the edge.

    There are no more than 2 to the number of axes with gaps.
    """
    halves = [
        (0, 1) if p > 1 and p // 4 + p // 2 < n else (0,)
        for p, n in zip(spacing, shape, strict=True)
    ]
    # First the two that are farthest apart, then those between.
    most = sum(len(h) - 1 for h in halves)
    moves = sorted(itertools.product(*halves), key=lambda m: (0 < sum(m) < most, m))
    combs = []
    for move in moves[:number]:
        z, y, x = (p // 4 + (p // 2 if m else 0) for p, m in zip(spacing, move, strict=True))
        combs.append(Comb(spacing=spacing, first=(z, y, x)))
    return combs


def impulses(comb: Comb, support: Bools, seed: int) -> Complex64:
    """Return v: modulus 1 and a random phase at the teeth within the support, 0 elsewhere."""
    v = np.zeros(support.shape, np.complex64)
    inside = support[comb.teeth]
    turns = np.random.default_rng(seed).random(inside.shape)
    v[comb.teeth] = np.exp(2j * np.pi * turns) * inside
    return v


def between_teeth(
    combs: list[Comb], values: list[Float64], good: list[Bools], shape: Triple
) -> Float64:
    """Interpolate from the good teeth of all combs to all voxels.

    All teeth lie on a grid of half the spacing. Its other nodes are filled smoothly
    (`field_extension`), and those closer than `SMOOTH` averaged; between nodes are cubic splines,
    beyond the outermost a constant.
    """
    from scipy import ndimage

    nodes = [_nodes(combs, axis, n) for axis, n in enumerate(shape)]
    table = np.zeros([len(at) for at in nodes])
    known = np.zeros(table.shape, np.bool_)
    for comb, mine, sure in zip(combs, values, good, strict=True):
        at = [np.flatnonzero((node - f) % p == 0) for node, f, p in _along(nodes, comb)]
        table[np.ix_(*at)] = np.where(sure, mine, 0.0)
        known[np.ix_(*at)] = sure
    table = extend(table, np.zeros(table.shape), known)
    for axis, (node, n) in enumerate(zip(nodes, shape, strict=True)):
        apart = n / len(node)
        if n > 1 and apart < SMOOTH:
            table = ndimage.gaussian_filter1d(table, SMOOTH / apart, axis, mode="nearest")
        if len(node) == n:
            continue
        moved = np.moveaxis(table, axis, 0)
        made = _spline(node, n) @ moved.reshape(len(moved), -1)
        table = np.moveaxis(made.reshape(n, *moved.shape[1:]), 0, axis)
    return table


def _nodes(combs: list[Comb], axis: int, n: int) -> Ints:
    """Return where any comb has teeth along an axis."""
    return np.unique(np.concatenate([np.arange(c.first[axis], n, c.spacing[axis]) for c in combs]))


def _along(nodes: list[Ints], comb: Comb) -> Iterator[tuple[Ints, int, int]]:
    return zip(nodes, comb.first, comb.spacing, strict=True)


def _spline(teeth: Ints, n: int) -> Float64:
    """Return the matrix ``(n, teeth)`` of the interpolating spline."""
    from scipy import interpolate

    if len(teeth) == 1:
        return np.ones((n, 1))
    order = 3 if len(teeth) > 3 else 1
    spline = interpolate.make_interp_spline(teeth, np.eye(len(teeth)), k=order)
    return spline(np.clip(np.arange(n), teeth[0], teeth[-1]))
