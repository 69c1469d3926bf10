"""How much of the sampled region of k-space readouts fill, counted in Nyquist cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.recon.non_cartesian import EDGE_SLACK, NonCartesianPlan

if TYPE_CHECKING:
    from ultrahand.records.arrays import Bools, Float64, Ints

COMPLETE: Final = 0.9
"""Filled fraction from which on samples count as complete.

Simulated, matrix 16 to 256: spokes at the Nyquist spacing of the edge (pi / 2 times as many as
samples across: Bernstein, King, Zhou, Handbook of MRI Pulse Sequences, 2004, section 17.6) fill
0.91 to 1.00 of a disc's cells, half as many fill 0.69 to 0.87.
"""


def filled_fractions(plan: NonCartesianPlan, parts: list[Ints]) -> list[float]:
    """Return the fraction of the region's Nyquist cells that each part of the readouts fills.

    A Nyquist cell is one over the field of view wide, about a point of the Cartesian grid. The
    region is the ellipsoid that reaches as far along each axis as all parts together do; for a
    stack of 2D trajectories the cylinder.

    Parameters
    ----------
    plan
        Where readouts sample k-space.
    parts
        Rows of each part: the frames of an acquisition.
    """
    dims = 3 if plan.three_d else 2
    half = np.array(plan.shape[::-1][:dims]) // 2 + 1
    sizes = 2 * half + 1
    cells = []
    reach = np.zeros(dims)
    for rows in parts:
        k = _inside(plan, rows, dims)
        reach = np.maximum(reach, np.abs(k).max(axis=0, initial=0.0))
        places = (np.rint(k).astype(np.int64) + half).T
        cells.append(np.unique(np.ravel_multi_index(tuple(places), tuple(sizes))))
    region = _region(half, reach, round_along=2 if plan.partition_k_per_m is not None else dims)
    total = max(int(region.sum()), 1)
    return [float(region.ravel()[mine].sum()) / total for mine in cells]


def _inside(plan: NonCartesianPlan, rows: Ints, dims: int) -> Float64:
    """Return the positions that the matrix holds, in cycles per field of view."""
    k_per_m = np.concatenate([trajectory.k_per_m for _, _, trajectory in plan.positions(rows)])
    matrix = np.array(plan.shape[::-1][:dims])
    k = k_per_m[:, :dims] * (matrix * np.array(plan.voxel_m[:dims]))
    held: Bools = np.all(np.abs(k) <= EDGE_SLACK * matrix / 2, axis=1)
    return k[held]


def _region(half: Ints, reach: Float64, *, round_along: int) -> Bools:
    """Return which cells lie in the region: an ellipse along the first axes, a range along others.

    The shape is that of the cells; a reach of less than half a cell still holds the middle one.
    """
    axes = np.ogrid[tuple(slice(-n, n + 1) for n in half)]
    reach = np.maximum(reach, 0.5)
    squares = [(axis / length) ** 2 for axis, length in zip(axes, reach, strict=True)]
    slack = 1.0 + 1e-9
    inside: Bools = sum(squares[1:round_along], squares[0]) <= slack
    for square in squares[round_along:]:
        inside = inside & (square <= slack)
    return inside
