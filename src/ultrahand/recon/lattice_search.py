"""Find the sampling lattice and the calibration block in the mask of what was acquired."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.lattice import Int64, Lattice, Shape, hermite, on_lattice, residues
from ultrahand.records.arrays import Bools, require

Block = tuple[slice, slice, slice]

AXES = ("z", "y", "x")

FEW = 500
"""Positions looked at one by one: they mostly tell the lattice, which all then confirm."""


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
        places = np.flatnonzero(outside & ~on_lattice(basis, first, outside.shape))
    return basis, first


def _points(places: Int64, array: Bools) -> Int64:
    return np.stack(np.unravel_index(places, array.shape), axis=1).astype(np.int64)


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
    wanted = on_lattice(basis, offset, mask.shape)
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


def _check(mask: Bools) -> None:
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
