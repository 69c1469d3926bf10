"""The square of the image: the prior of which conjugate gradients' damping is the weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.numerics.priors.contract import require_weight
from ultrahand.records.arrays import Complex64


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Squares:
    """``w |x|^2 / 2``.

    In noise units: voxels that are independent, normal, with mean 0 and a standard deviation of
    ``1 / sqrt(w)`` noise standard deviations. A fully measured voxel shrinks by ``1 / (1 + w)``
    whatever the scale of the data. It is the ``damping`` w n of `conjugate_gradient`, which is the
    faster solver where there is no other prior.
    """

    weight: float

    def __post_init__(self) -> None:
        require_weight(self.weight)

    @property
    def steady(self) -> bool:
        return True

    def prox(self, z: Complex64, step: float, _turn: int, out: Complex64, /) -> float:
        np.multiply(z, np.float32(1 / (1 + step * self.weight)), out=out)
        return self.value(out)

    def value(self, x: Complex64, /) -> float:
        flat = x.reshape(-1).view(np.float32)
        return 0.5 * self.weight * float(np.einsum("i,i->", flat, flat, dtype=np.float64))
