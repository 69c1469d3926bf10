"""Which solid lies at each voxel of a grid along the common frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.solids import AIR, Solid
from ultrahand.phantoms.digital_hand.stack import ACROSS, Stack
from ultrahand.records.arrays import Float64, Ints

_LEVELS: Final = 16
"""Levels of a stack painted at a time: bounds the temporaries."""


def paint(solids: Sequence[Solid], axes_m: Sequence[Float64]) -> Ints:
    """Return the number of the solid at each voxel's centre, `AIR` outside of all.

    Parameters
    ----------
    solids
        In the order they are painted.
    axes_m
        Ascending positions of the voxels along x, y and z of the common frame.

    Returns
    -------
    ndarray
        int16, shape ``(len(x), len(y), len(z))``.
    """
    found = np.full(tuple(len(a) for a in axes_m), AIR, np.int16)
    for number, item in enumerate(solids):
        _paint_one(found, item.stack, number, axes_m)
    return found


def _paint_one(found: Ints, stack: Stack, number: int, axes_m: Sequence[Float64]) -> None:
    low, high = stack.box_m
    span = [
        slice(*np.searchsorted(a, [low[i], np.nextafter(high[i], np.inf)]).tolist())
        for i, a in enumerate(axes_m)
    ]
    if any(part.start >= part.stop for part in span):
        return
    box = np.moveaxis(found[tuple(span)], stack.axis, 0)  # a view
    first, second = (axes_m[i][span[i]] for i in ACROSS[stack.axis])
    levels = axes_m[stack.axis][span[stack.axis]]
    for start in range(0, len(levels), _LEVELS):
        some = slice(start, start + _LEVELS)
        centre, semi = stack.at(levels[some])
        semi = np.maximum(semi, 1e-12)
        u = ((first - centre[:, :1]) / semi[:, :1]) ** 2
        v = ((second - centre[:, 1:]) / semi[:, 1:]) ** 2
        box[some][u[:, :, None] + v[:, None, :] <= 1.0] = number
