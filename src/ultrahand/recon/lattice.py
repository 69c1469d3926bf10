r"""The lattice on which an accelerated Cartesian scan was sampled, found from what was acquired.

A lattice is :math:`\{o + n B : n \in Z^3\}` with an integer basis :math:`B`, whose rows are vectors
``(z, y, x)``. Regular undersampling along one or two axes, shifted patterns (CAIPIRINHA: Breuer et
al, MRM 2006;55:549, doi:10.1002/mrm.20787) and undersampled readouts are all of this form, so the
axes are treated alike. The basis is kept in Hermite normal form (upper triangular, entries above a
pivot reduced by it), of which each lattice has one only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.records.arrays import Bools, Ints, freeze, require

Int64 = NDArray[np.int64]
Block = tuple[slice, slice, slice]
Shape = tuple[int, int, int]

AXES = ("z", "y", "x")

FEW = 500
"""Positions looked at one by one: they mostly tell the lattice, which all then confirm."""


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
        return _on_lattice(self.basis, self.offset, shape)


def find_lattice(mask: Bools, *, block: Block | None = None) -> Lattice:
    """Find the lattice of an accelerated scan.

    It is the coarsest one that holds all positions acquired outside the calibration block. Within
    the acquired region it must be complete: along each axis no position is missing between two
    acquired ones. What lies around the region (corners of an elliptical scan, the side that a
    partial Fourier scan leaves out) may be missing.

    Parameters
    ----------
    mask
        True where acquired, ``(z, y, x)``; for readouts that are complete a broadcast view costs
        no memory.
    block
        The calibration block inside the mask; `calibration_block` finds it if None.

    Raises
    ------
    InputError
        If the positions form no lattice, or nothing was acquired.
    """
    _check(mask)
    block = calibration_block(mask) if block is None else block
    few, small = _without_constant_axes(mask, block)
    outside = few.copy()
    if small is not None:
        outside[small] = False
    if not outside.any():
        return Lattice(
            shape=_three(mask.shape), basis=np.eye(3, dtype=np.int64), offset=np.zeros(3, np.int64)
        )
    constant = [axis for axis in range(3) if few.shape[axis] == 1]
    basis, first = _spanned(outside, np.eye(3, dtype=np.int64)[constant])
    missing = [name for name, step in zip(AXES, basis.diagonal(), strict=True) if not step]
    left = [a for a in range(3) if small is not None and few[small].shape[a] < few.shape[a]]
    if len(left) == 1 and missing in ([], [AXES[left[0]]]):
        basis = _refined(basis, first, few, left[0])
    elif missing:
        raise InputError(
            f"sampling along {missing[0]}",
            found="samples at one position only: no step along it can be told",
            expected="at least two acquired positions outside the calibration",
            remedy="give the mask of all acquired lines",
        )
    lattice = Lattice(shape=_three(mask.shape), basis=basis, offset=first)
    holes, wanted = _holes(basis, first, few)
    if holes:
        rows = ", ".join(str(tuple(row)) for row in basis.tolist())
        raise InputError(
            "sampling mask",
            found=f"{holes} of {wanted} positions missing between acquired ones of the lattice "
            f"(z, y, x) {rows}, rate {lattice.rate}",
            expected="outside a calibration block, every position of one lattice",
            remedy="give the mask of the accelerated lines and the calibration separately, or "
            "reconstruct by an iterative method",
        )
    return lattice


def calibration_block(mask: Bools) -> Block | None:
    """Return the largest fully sampled block around the centre of k-space, grown side by side.

    None where the centre itself was not acquired.

    Parameters
    ----------
    mask
        True where acquired, ``(z, y, x)``.
    """
    _check(mask)
    few, _ = _without_constant_axes(mask, None)
    centre = [n // 2 for n in few.shape]
    if not few[tuple(centre)]:
        return None
    orders: list[list[tuple[int, ...]]] = [[(0, 1, 2)]]
    orders += [[(axis,) for axis in order] for order in permutations(range(3))]
    blocks = [_grown(few, centre, order) for order in orders]
    best = max(blocks, key=lambda block: math.prod(stop - start for start, stop in block))
    whole = zip(best, few.shape, mask.shape, strict=True)
    z, y, x = (slice(0, n) if size == 1 else slice(*ends) for ends, size, n in whole)
    return z, y, x


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


def _spanned(outside: Bools, rows: Int64) -> tuple[Int64, Int64]:
    """Return the basis of the lattice of acquired positions and `rows`, and one position.

    Each turn adds a vector the lattice lacks, which at least halves it: there are few.
    """
    places = np.flatnonzero(outside)
    first, basis = _points(places[:1], outside)[0], hermite(rows)
    while len(places):
        rest = residues(basis, _points(places[:FEW], outside) - first)
        while (missing := rest.any(axis=1)).any():
            basis = hermite(np.concatenate([basis, rest[missing][:8]]))
            rest = residues(basis, rest[missing])
        places = np.flatnonzero(outside & ~_on_lattice(basis, first, outside.shape))
    return basis, first


def _points(places: Int64, array: Bools) -> Int64:
    return np.stack(np.unravel_index(places, array.shape), axis=1).astype(np.int64)


def _on_lattice(basis: Int64, offset: Int64, shape: tuple[int, ...]) -> Bools:
    inside = np.ones(shape, np.bool_)
    left = [at - o for at, o in zip(np.indices(shape, sparse=True), offset.tolist(), strict=True)]
    for axis, row in enumerate(basis.tolist()):
        turns = left[axis] // row[axis] if row[axis] else np.zeros(1, np.int64)
        inside &= left[axis] == turns * row[axis]
        left = [r - turns * step if step else r for r, step in zip(left, row, strict=True)]
    return inside


def _grown(mask: Bools, centre: list[int], turns: list[tuple[int, ...]]) -> list[list[int]]:
    """Grow a block plane by plane while the planes are full: the axes of each turn together."""
    block = [[c, c + 1] for c in centre]
    for axes in turns:
        growing = True
        while growing:
            growing = False
            for axis in axes:
                for side, at in ((0, block[axis][0] - 1), (1, block[axis][1])):
                    plane = [slice(*ends) for ends in block]
                    plane[axis] = slice(at, at + 1)
                    if 0 <= at < mask.shape[axis] and mask[tuple(plane)].all():
                        block[axis][side] += 2 * side - 1
                        growing = True
    return block


def _refined(basis: Int64, offset: Int64, mask: Bools, axis: int) -> Int64:
    """Return the finest complete lattice with a smaller step along the only axis left over.

    A block that spans the other axes may hold all but a few of the lattice's planes, whose steps
    are then multiples of its own. In two axes it cannot: each row has positions beside it.
    """
    period = int(basis[axis, axis]) or mask.shape[axis]
    for step in range(1, period):
        finer = hermite(np.concatenate([basis, step * np.eye(3, dtype=np.int64)[[axis]]]))
        if (not basis[axis, axis] or period % step == 0) and not _holes(finer, offset, mask)[0]:
            return finer
    return basis


def _holes(basis: Int64, offset: Int64, mask: Bools) -> tuple[int, int]:
    """Count positions of a lattice that are missing between acquired ones, and all positions."""
    wanted = _on_lattice(basis, offset, mask.shape)
    acquired = mask & wanted
    missing = wanted & ~acquired
    around = np.zeros(mask.shape, np.bool_)
    for axis, n in enumerate(mask.shape):
        if n > 2 and missing.any():
            lines = np.moveaxis(acquired, axis, -1)
            first, last = lines.argmax(axis=-1), n - 1 - lines[..., ::-1].argmax(axis=-1)
            at = np.arange(n)  # a line without a sample would begin at 0 and end at n - 1
            within = (at > first[..., None]) & (at < last[..., None])
            around |= np.moveaxis(within & lines.any(axis=-1, keepdims=True), -1, axis)
    return int((missing & around).sum()), int(wanted.sum())


def _without_constant_axes(mask: Bools, block: Block | None) -> tuple[Bools, Block | None]:
    """Cut axes along which the mask does not vary to one position, in the block too."""
    small = None if block is None else list(block)
    for axis in range(3):
        first = mask[tuple(slice(0, 1) if a == axis else slice(None) for a in range(3))]
        whole = small is None or small[axis].indices(mask.shape[axis]) == (0, mask.shape[axis], 1)
        if whole and bool((mask == first).all()):
            mask = first
            if small is not None:
                small[axis] = slice(0, 1)
    return mask, None if small is None else (small[0], small[1], small[2])


def _three(shape: tuple[int, ...]) -> Shape:
    return shape[0], shape[1], shape[2]


def _check(mask: Ints | Bools) -> None:
    require(
        mask.ndim == 3 and mask.dtype == np.bool_ and mask.size > 0,
        f"mask must be boolean (z, y, x), got {mask.dtype} {mask.shape}",
    )
    if not mask.any():
        raise InputError(
            "sampling mask",
            found="no acquired position",
            expected="the acquired positions",
            remedy="give the mask of the scan",
        )
