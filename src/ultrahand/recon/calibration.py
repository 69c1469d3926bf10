"""The fully sampled centre of an undersampled measurement."""

from __future__ import annotations

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.arrays import Bools, require

Block = tuple[int, int, int]


def calibration_block(acquired: Bools, most: int = 24) -> Block:
    """Return the size of the largest block about the centre in which every sample was acquired.

    A block of w cells along an axis of n begins at ``n // 2 - w // 2``: its own origin, ``w // 2``,
    lies on that of the grid.

    Parameters
    ----------
    acquired
        Centred, ``(z, y, x)``.
    most
        No axis longer than this: more lines tell little more of smooth coils. An axis whose
        lines are all acquired in the block counts up to it as any other.

    Returns
    -------
    tuple of int
        ``(z, y, x)``: of all blocks the one of most cells.

    Raises
    ------
    InputError
        Not even the centre was acquired.
    """
    require(acquired.ndim == 3, f"acquired must be (z, y, x), got {acquired.shape}")
    best: Block = (0, 0, 0)
    for z in range(1, min(most, acquired.shape[0]) + 1):
        plane = np.asarray(_centre(acquired, 0, z).all(axis=0))
        for y in range(1, min(most, acquired.shape[1]) + 1):
            line = np.asarray(_centre(plane, 0, y).all(axis=0))
            x = next(
                (w for w in range(min(most, len(line)), 0, -1) if _centre(line, 0, w).all()), 0
            )
            best = max(best, (z, y, x), key=lambda block: (int(np.prod(block)), block))
            if x == 0:
                break
    if 0 in best:
        raise InputError(
            "calibration lines",
            found="the centre of k-space was not acquired",
            expected="a fully sampled block about the centre",
            remedy="acquire calibration lines with the image",
        )
    return best


def _centre(array: Bools, axis: int, width: int) -> Bools:
    first = array.shape[axis] // 2 - width // 2
    return array[(slice(None),) * axis + (slice(first, first + width),)]


def centre_of(kspace: np.ndarray, block: Block) -> np.ndarray:
    """Return the central block of centred k-space ``(coils, z, y, x)``."""
    for axis, width in enumerate(block, 1):
        first = kspace.shape[axis] // 2 - width // 2
        kspace = kspace[(slice(None),) * axis + (slice(first, first + width),)]
    return kspace
