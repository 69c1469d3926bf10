"""Total variation over any axes, space or time, free or guided by another image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.numerics.priors.contract import four, frames, require_weight
from ultrahand.numerics.priors.lengths import check_axes, share, slopes
from ultrahand.records.arrays import Complex64, Float32, Real, freeze, require


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TotalVariation:
    """``w`` times the sum over voxels of the length of the gradient.

    Rudin, Osher, Fatemi: Physica D 1992;60:259, doi:10.1016/0167-2789(92)90242-F. Forward
    differences, none at the end of an axis.

    In noise units: see `ultrahand.numerics.priors.lengths`; with `voxel_size_m` the balance is the
    same for every voxel, and w counts noise standard deviations of a voxel of 1 mm. Without it, w
    counts those of the voxel there is: right for frames (`time_variation`), where each voxel is
    weighed for itself.

    Along one axis a step between two plateaus of m voxels each that are fully measured shrinks by
    2 w / m, from either side w / m.
    """

    weight: float
    axes: tuple[int, ...] = (-3, -2, -1)
    """Of z, y, x (-3 to -1), and -4: all axes before them as one, in C order, so use it only where
    there are frames and nothing else."""
    voxel_size_m: tuple[float, ...] | None = None
    """Edges along `axes`."""
    isotropic: bool = True
    """Whether a gradient's length is that of the vector, or the sum of its entries' sizes."""
    guide: Float32 | None = None
    """From `guide_of`, ``(axes, z, y, x)``: what of the gradient lies along it is free."""

    def __post_init__(self) -> None:
        require_weight(self.weight)
        check_axes(self.axes, self.voxel_size_m)
        if self.guide is None:
            return
        require(-4 not in self.axes, "a guide knows no frames")
        require(self.isotropic, "directional total variation is isotropic")
        require(
            self.guide.ndim == 4 and len(self.guide) == len(self.axes),
            f"the guide must be (axes, z, y, x), got {self.guide.shape}",
        )
        freeze(self, guide=np.ascontiguousarray(self.guide, np.float32))

    @property
    def factors(self) -> tuple[float, ...]:
        """Of the differences along `axes`."""
        part = share(self.voxel_size_m)
        return tuple(part * slope for slope in slopes(self.axes, self.voxel_size_m))

    @property
    def norm(self) -> float:
        return 2 * math.sqrt(sum(f * f for f in self.factors))

    def start(self, shape: tuple[int, ...], /) -> Gradients:
        require(
            self.guide is None or self.guide.shape[1:] == shape[-3:],
            f"the guide is not of the image's shape {shape[-3:]}",
        )
        return Gradients(
            terms=terms_of(self.axes, self.factors, self.guide),
            radius=self.weight,
            together=self.isotropic,
            field=np.zeros((len(self.axes), *four(shape)), np.complex64),
        )


def time_variation(weight: float) -> TotalVariation:
    """Return the total variation between frames.

    ``w`` counts noise standard deviations of a voxel in a frame, whatever its size: smaller voxels
    are noisier, and are smoothed over more frames until they are as sure. A plateau of m frames
    that stands out of its neighbours is lowered by 2 w / m, one at either end by w / m.
    """
    return TotalVariation(weight=weight, axes=(-4,))


def guide_of(
    image: Real,
    *,
    edge: float,
    axes: tuple[int, ...] = (-3, -2, -1),
    voxel_size_m: tuple[float, ...] | None = None,
    trust: float = 1.0,
) -> Float32:
    r"""Return the direction field of directional total variation.

    :math:`\xi = \gamma\, \nabla u / \sqrt{|\nabla u|^2 + \eta^2}`; what is penalised is
    :math:`|\nabla x - \xi \langle \xi, \nabla x \rangle|` (Ehrhardt, Betcke: SIAM J Imaging Sci
    2016;9:1084, doi:10.1137/15M1047325, equations 3.8 to 3.11; here gamma multiplies xi, there its
    square multiplies the product).

    Parameters
    ----------
    image
        u, real, ``(z, y, x)``.
    edge
        eta: the size of a gradient that counts half, in the unit of u a voxel, or a millimetre with
        `voxel_size_m`.
    axes, voxel_size_m
        As for `TotalVariation`.
    trust
        gamma in [0, 1]: 0 makes the plain total variation.
    """
    require(image.ndim == 3, f"the guide image must be (z, y, x), got {image.shape}")
    require(edge > 0 and 0 <= trust <= 1, "edge must be positive, trust in [0, 1]")
    require(bool(np.isfinite(image).all()), "the guide image must be finite")
    check_axes(axes, voxel_size_m)
    require(-4 not in axes, "a guide knows no frames")
    u = image.astype(np.float64)
    gradient = np.zeros((len(axes), *u.shape))
    for out, axis, slope in zip(gradient, axes, slopes(axes, voxel_size_m), strict=True):
        inner = [slice(None)] * 3
        inner[axis] = slice(0, -1)
        out[tuple(inner)] = slope * np.diff(u, axis=axis)
    gradient *= trust / np.sqrt((gradient**2).sum(axis=0) + edge**2)
    return gradient.astype(np.float32)


Terms = tuple[NDArray[np.int64], Float32, Float32]


def terms_of(axes: tuple[int, ...], factors: tuple[float, ...], guide: Float32 | None) -> Terms:
    """Return axes, factors and guide as the kernels read them."""
    none = np.zeros((0, 1), np.float32)
    along = none if guide is None else guide.reshape(len(guide), -1)
    return np.array(axes, np.int64) + 4, np.array(factors, np.float32), along


@final
@dataclass(kw_only=True, eq=False)
class Gradients:
    """The dual field of a total variation."""

    terms: Terms
    radius: float
    together: bool
    field: Complex64

    def descend(self, _tau: float, image: Complex64, /) -> float:
        from ultrahand import kernels

        kernels.subtract_divergence(self.field, *self.terms, frames(image))
        return 0.0

    def ascend(self, sigma: float, ahead: Complex64, /) -> None:
        from ultrahand import kernels

        none = self.field[:0]
        numbers: tuple[Any, ...] = (np.float32(sigma), np.float32(self.radius), self.together)
        kernels.ascend_gradient(frames(ahead), *self.terms, none, *numbers, self.field)

    def measure(self, x: Complex64, /) -> tuple[float, float]:
        length, product = gradient_sums(self.terms, x, self.field[:0], self.field, self.together)
        value = self.radius * length
        return value, value - product


def gradient_sums(
    terms: Terms, x: Complex64, offset: Complex64, field: Complex64, together: bool
) -> tuple[float, float]:
    """Return the sums of ``|g|`` and ``Re <g, p>``."""
    from ultrahand import kernels

    out = np.empty((frames(x)[..., 0].size, 2))
    kernels.gradient_sums(frames(x), *terms, offset, field, together, out)
    length, product = out.sum(axis=0)
    return float(length), float(product)
