r"""The lattice on which an accelerated Cartesian scan was sampled.

A lattice is :math:`\{o + n B : n \in Z^3\}` with an integer basis :math:`B`, whose rows are vectors
``(z, y, x)``. Regular undersampling along one or two axes, shifted patterns (CAIPIRINHA: Breuer et
al, MRM 2006;55:549, doi:10.1002/mrm.20787) and undersampled readouts are all of this form, so the
axes are treated alike. The basis is kept in Hermite normal form (upper triangular, entries above a
pivot reduced by it), of which each lattice has one only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ultrahand.records.arrays import Bools, freeze, require

Int64 = NDArray[np.int64]
Shape = tuple[int, int, int]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Lattice:
    """Positions of a k-space grid; axes z, y, x."""

    shape: Shape
    """Of the grid."""
    basis: Int64
    """Rows span the lattice, in Hermite normal form, ``(3, 3)``."""
    offset: Int64
    """One position of the lattice, ``(3,)``: the first modulo the basis."""

    def __post_init__(self) -> None:
        require(len(self.shape) == 3 and min(self.shape) >= 1, "shape must be (z, y, x)")
        basis = hermite(np.asarray(self.basis, np.int64))
        require(bool((basis.diagonal() > 0).all()), "the basis must span three dimensions")
        offset = residues(basis, np.asarray(self.offset, np.int64)[None])[0]
        freeze(self, basis=basis, offset=offset)

    @property
    def rate(self) -> int:
        """Positions of the grid to one of the lattice."""
        return int(math.prod(self.basis.diagonal().tolist()))

    @property
    def periods(self) -> Shape:
        """The step of the lattice along each axis: 1 where it is not undersampled."""
        found = []
        for axis in np.eye(3, dtype=np.int64):
            steps = np.arange(1, self.rate + 1)[:, None] * axis
            found.append(1 + int(np.argmin(residues(self.basis, steps).any(axis=1))))
        return found[0], found[1], found[2]

    def positions(self, shape: tuple[int, ...]) -> Bools:
        """Return which positions of a grid from 0 on belong to the lattice."""
        return on_lattice(self.basis, self.offset, shape)


def hermite(rows: Int64) -> Int64:
    """Return the Hermite normal form ``(3, 3)`` of integer rows ``(n, 3)``; row i has pivot i or 0.

    H. Cohen: A Course in Computational Algebraic Number Theory, 1993, section 2.4.
    """
    left = [[int(v) for v in row] for row in rows]
    form = np.zeros((3, 3), np.int64)
    for axis in range(3):
        while sum(row[axis] != 0 for row in left) > 1:
            pivot = min((row for row in left if row[axis]), key=lambda row: abs(row[axis]))
            for row in left:
                if row is not pivot:
                    turns = row[axis] // pivot[axis]
                    row[:] = [a - turns * b for a, b in zip(row, pivot, strict=True)]
        for row in [row for row in left if row[axis]]:
            form[axis] = np.array(row) * (1 if row[axis] > 0 else -1)
            left.remove(row)
    for axis in (1, 2):
        for above in range(axis):
            if form[axis, axis]:
                form[above] -= form[above, axis] // form[axis, axis] * form[axis]
    return form


def residues(basis: Int64, positions: Int64) -> Int64:
    """Return positions ``(n, 3)`` modulo a basis in Hermite normal form."""
    rest = positions.astype(np.int64)
    for axis, row in enumerate(basis):
        if row[axis]:
            rest -= (rest[:, axis] // row[axis])[:, None] * row
    return rest


def on_lattice(basis: Int64, offset: Int64, shape: tuple[int, ...]) -> Bools:
    """Return which positions of a grid from 0 on belong to a lattice."""
    inside = np.ones(shape, np.bool_)
    left = [at - o for at, o in zip(np.indices(shape, sparse=True), offset.tolist(), strict=True)]
    for axis, row in enumerate(basis.tolist()):
        turns = left[axis] // row[axis] if row[axis] else np.zeros(1, np.int64)
        inside &= left[axis] == turns * row[axis]
        left = [r - turns * step if step else r for r, step in zip(left, row, strict=True)]
    return inside
