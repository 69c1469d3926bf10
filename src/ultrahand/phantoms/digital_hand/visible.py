"""What is seen of solids: their volume and middle without what is painted over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from ultrahand.phantoms.digital_hand.solids import AIR, Solid, cut
from ultrahand.phantoms.digital_hand.stack import Stack
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """The visible part of each solid."""

    volume_m3: Float64
    """Shape ``(solids,)``."""
    moment_m4: Float64
    """Volume times middle, shape ``(solids, 3)``."""

    def middle_m(self, numbers: Sequence[int]) -> Float64:
        """Return the centre of mass of some solids, as if of one density."""
        which = list(numbers)
        middle: Float64 = self.moment_m4[which].sum(axis=0) / self.volume_m3[which].sum()
        return middle


def seen_of(solids: Sequence[Solid]) -> Seen:
    """Sum plates: each adds to its own solid and takes away from the one that it replaces."""
    pieces = cut(solids, 0.0)
    volume, covers = pieces.plates.volume_m3, pieces.parent != AIR
    weighed = np.column_stack([volume, volume[:, None] * pieces.plates.centre_m])
    sums = np.zeros((len(solids), 4))
    np.add.at(sums, pieces.solid, weighed)
    np.subtract.at(sums, pieces.parent[covers], weighed[covers])
    return Seen(volume_m3=sums[:, 0], moment_m4=sums[:, 1:])


def grown_by_m3(stack: Stack, mm: float) -> float:
    """Return how much larger a stack is than before its semi-axes grew by so much."""
    shape = stack.shape_m.copy()
    shape[:, 2:] -= mm * M_PER_MM
    return stack.volume_m3() - replace(stack, shape_m=shape).volume_m3()
