"""The data term of all frames at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.recon.dynamic_data import DynamicData, coil_sum, data_weights, plane_spectra
from ultrahand.recon.dynamic_frames import Frames
from ultrahand.recon.normal import NormalOperator, normal_operator
from ultrahand.recon.normal_bounds import largest_bound
from ultrahand.records.arrays import Complex64, Float64, require


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameOperators:
    """The normal operators of frames, ``(frames, z, y, x)`` to the same."""

    operators: tuple[NormalOperator, ...]

    def forward(self, x: Complex64, /) -> Complex64:
        """Apply them."""
        require(
            len(x) == len(self.operators),
            f"expected {len(self.operators)} frames, got an array of shape {x.shape}",
        )
        out = np.empty(x.shape, np.complex64)
        for operator, image, result in zip(self.operators, x, out, strict=True):
            result[...] = operator.forward(image[None, None])[0, 0]
        return out


def frames_problem(
    data: DynamicData, frames: Frames, *, evenness: float, threads: int = 1
) -> LeastSquares:
    """Return the data term whose unknown is the series of frames.

    Parameters
    ----------
    data, frames
        The acquisition and how it is cut. A spoke of several frames counts in each: their noise is
        then shared, and the data term is one of overlapping frames, not a likelihood.
    evenness
        See `dynamic_data.data_weights`, for each frame by its own number of spokes.
    threads
        Cores; the result is the same for any number.

    Returns
    -------
    LeastSquares
        Of ``(frames, z, y, x)``. Its noise unit is that of the mean voxel, whatever the weights.
    """
    operators: list[NormalOperator] = []
    rhs = np.empty((len(frames.spokes), *data.shape), np.complex64)
    sums = np.zeros(2)
    for spokes, image in zip(frames.spokes, rhs, strict=True):
        weights = data_weights(data, len(spokes), evenness)[spokes][None]
        image[...] = coil_sum(data, spokes, weights, threads=threads)[0]
        spectra = plane_spectra(data, spokes, weights, threads=threads)
        operator = normal_operator(spectra, data.maps[:, None], threads=threads)
        if operators:  # frames take turns: they share the room in which they work
            operator = replace(operator, scratch=operators[0].scratch, lock=operators[0].lock)
        operators.append(operator)
        sums += _powers(weights)
    return weighted_problem(
        FrameOperators(operators=tuple(operators)).forward,
        rhs,
        sums=sums / len(operators),
        power=data.map_power,
        largest=max(largest_bound(operator) for operator in operators),
    )


def weighted_problem(
    normal: Callable[[Any], Complex64],
    rhs: Complex64,
    *,
    sums: Float64,
    power: float,
    largest: float,
) -> LeastSquares:
    r"""Return a data term with the noise unit that belongs to its weights.

    The diagonal of :math:`A^H W A` is :math:`\sum_j w_j \sum_c |S_c|^2 / P` (P voxels in a plane),
    and the noise of :math:`A^H W y` has that of :math:`A^H W^2 A`. So the mean voxel would have
    :math:`\sigma = \sqrt{\operatorname{tr} A^H W^2 A / \text{voxels}} / n` if k-space were even.

    Parameters
    ----------
    normal, rhs
        N and b.
    sums
        Of the weights, and of their squares: the means over frames or components.
    power
        The mean over voxels of ``sum_c |S_c|^2``.
    largest
        At least the largest eigenvalue of N.
    """
    voxels = math.prod(rhs.shape[-2:])
    information = float(sums[0]) / voxels * power
    spread = float(sums[1]) / voxels * power
    require(information > 0, "no sample within the matrix, or maps of zero")
    return LeastSquares(
        normal=normal,
        rhs=rhs,
        information=information,
        largest=max(largest, information),
        noise_sd=math.sqrt(spread) / information,
    )


def _powers(weights: Any) -> Float64:  # noqa: ANN401
    values = np.asarray(weights, np.float64)
    return np.array([values.sum(), (values**2).sum()])
