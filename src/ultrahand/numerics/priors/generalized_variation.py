r"""Second-order total generalised variation: images of affine pieces, without stairs.

.. math:: \min_v\; \alpha_1 \sum |\nabla x - v| + \alpha_0 \sum |E v|

with E the symmetrised derivative (Bredies, Kunisch, Pock: SIAM J Imaging Sci 2010;3:492,
doi:10.1137/090769521, equation 3.3 for k = 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.numerics.priors.contract import four, frames, require_weight
from ultrahand.numerics.priors.lengths import check_axes, share, slopes
from ultrahand.numerics.priors.total_variation import Terms, gradient_sums, terms_of
from ultrahand.records.arrays import Complex64, Float64, require


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralizedVariation:
    """``w`` times the generalised variation with ``alpha_1 = 1``.

    In noise units as `TotalVariation`, which it never exceeds (v = 0): with `voxel_size_m` the
    balance is the same for every voxel. An affine image costs nothing, ends included.
    """

    weight: float
    reach: float = 2.0
    """``alpha_0 / alpha_1``, a length: in voxels, or in millimetres with `voxel_size_m`. Slopes
    that change over much less are taken for edges."""
    axes: tuple[int, ...] = (-3, -2, -1)
    voxel_size_m: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        require_weight(self.weight)
        check_axes(self.axes, self.voxel_size_m)
        require(0 < self.reach < math.inf, f"reach must be positive, got {self.reach}")

    @property
    def norm(self) -> float:
        """Of ``(x, v) -> (grad x - v, E v)``: at most that of ``[[a, 1], [0, e]]``."""
        steep = slopes(self.axes, self.voxel_size_m)
        e = 2 * math.sqrt(sum(s * s for s in steep))
        a = share(self.voxel_size_m) * e
        return float(np.linalg.norm([[a, 1.0], [0.0, e]], 2))

    def start(self, shape: tuple[int, ...], /) -> Bends:
        steep, part = slopes(self.axes, self.voxel_size_m), share(self.voxel_size_m)
        d = len(self.axes)
        empty = np.zeros((3 * d, *four(shape)), np.complex64)
        return Bends(
            gradient=terms_of(self.axes, tuple(part * s for s in steep), None),
            bend=terms_of(self.axes, steep, None),
            radii=(self.weight, self.reach * self.weight),
            p=empty[:d],
            v=empty[d : 2 * d],
            ahead=empty[2 * d :],
            q=np.zeros((d * (d + 1) // 2, *four(shape)), np.complex64),
            sums=np.empty(math.prod(four(shape)[:3])),
        )


@final
@dataclass(kw_only=True, eq=False)
class Bends:
    """The dual fields p, q and the unknown slopes v."""

    gradient: Terms
    bend: Terms
    radii: tuple[float, float]
    p: Complex64
    v: Complex64
    ahead: Complex64
    q: Complex64
    sums: Float64

    def descend(self, tau: float, image: Complex64, /) -> float:
        from ultrahand import kernels

        kernels.subtract_divergence(self.p, *self.gradient, frames(image))
        out = (self.v, self.ahead, self.sums)
        kernels.descend_field(self.p, self.q, *self.bend[:2], np.float32(tau), out)
        return float(self.sums.sum())

    def ascend(self, sigma: float, ahead: Complex64, /) -> None:
        from ultrahand import kernels

        step, radii = np.float32(sigma), np.array(self.radii, np.float32)
        kernels.ascend_gradient(
            frames(ahead), *self.gradient, self.ahead, step, radii[0], True, self.p
        )
        kernels.ascend_tensor(self.ahead, *self.bend[:2], step, radii[1], self.q)

    def measure(self, x: Complex64, /) -> tuple[float, float]:
        from ultrahand import kernels

        length, product = gradient_sums(self.gradient, x, self.v, self.p, True)
        out = np.empty((len(self.sums), 2))
        kernels.tensor_sums(self.v, *self.bend[:2], self.q, out)
        bent, turned = out.sum(axis=0)
        value = self.radii[0] * length + self.radii[1] * float(bent)
        return value, value - product - float(turned)
