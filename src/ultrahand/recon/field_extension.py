r"""A field map on all voxels: smooth where nothing was measured, regularised where little was.

Reconstruction with a field needs a value in every voxel, and a jump at the object's edge would be a
wrong one in voxels that hold part of it. What is sought is

.. math:: f = w\, f_{measured} + (1 - w)\, \bar f, \qquad w = \min(1, (s / sd)^2)

with the mean :math:`\bar f` of the neighbours and the smoothing scale s in hertz: voxels with a
standard error up to s stay exactly as they were measured, and where nothing was, f is harmonic. A
few sweeps of this equation follow on each of a pyramid of grids, from the coarsest to the finest;
each takes its measured values from the finer one by their certainty and hands its result down by
linear interpolation (pull and push: Gortler, Grzeszczuk, Szeliski, Cohen: SIGGRAPH 1996:43,
doi:10.1145/237170.237200). All values lie between the smallest and the largest measured one: it is
no model of the field outside, which no signal comes from.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ultrahand.records.arrays import Bools, Float64, require

SWEEPS: Final = 8
"""On each grid; what they leave undone is smooth and was done on the coarser one."""


def extend(
    off_resonance_hz: Float64,
    standard_error_hz: Float64,
    valid: Bools,
    *,
    smoothing_hz: float = 1.0,
) -> Float64:
    """Return a field map that is finite everywhere.

    Parameters
    ----------
    off_resonance_hz, standard_error_hz, valid
        As in `ultrahand.recon.field_map.FieldMap`; a map of R2* with its errors can be extended the
        same way, `smoothing_hz` is then in its unit.
    smoothing_hz
        Standard error up to which a voxel keeps its own value.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes differ, a valid value is not finite, or none is valid.
    """
    field, error = np.asarray(off_resonance_hz, np.float64), np.asarray(standard_error_hz)
    good = np.asarray(valid, np.bool_)
    require(
        field.shape == error.shape == good.shape and field.ndim >= 1,
        f"map {field.shape}, error {error.shape} and valid {good.shape} must agree",
    )
    require(bool(good.any()), "a map without valid voxels cannot be extended")
    require(bool(np.isfinite(field[good]).all()), "valid values must be finite")
    require(bool((error[good] >= 0).all()), "valid errors must not be negative or NaN")
    require(smoothing_hz > 0, f"smoothing_hz must be > 0, got {smoothing_hz}")
    weight = np.zeros(field.shape)
    weight[good] = (smoothing_hz / np.maximum(error[good], smoothing_hz)) ** 2
    # A valid voxel without weight (an infinite error) must not leave the top of the pyramid empty.
    weight[good] = np.maximum(weight[good], 1e-12)
    return _fill(np.where(good, field, 0.0), weight)


def _fill(values: Float64, weight: Float64) -> Float64:
    if values.size == 1 or (weight >= 1).all():
        return values
    total = _pairs(weight)
    coarse = np.divide(_pairs(weight * values), total, out=np.zeros_like(total), where=total > 0)
    wide = _fill(coarse, np.minimum(total, 1.0))
    for axis, n in enumerate(values.shape):
        wide = _finer(wide, axis, n)
    fixed, open_to = weight * values, 1.0 - weight
    for _ in range(SWEEPS):
        wide = fixed + open_to * _neighbours(wide)
    return wide


def _neighbours(values: Float64) -> Float64:
    """Return the mean of each voxel's neighbours along all axes; the edge is its own beyond."""
    total, axes = np.zeros_like(values), [a for a, n in enumerate(values.shape) if n > 1]
    for axis in axes:
        n = values.shape[axis]
        for step in (-1, 1):
            total += values.take(np.clip(np.arange(n) + step, 0, n - 1), axis)
    return total / (2.0 * len(axes))


def _pairs(values: Float64) -> Float64:
    """Sum blocks of two along every axis; a last odd one stays alone."""
    for axis in range(values.ndim):
        if values.shape[axis] > 1:
            values = np.add.reduceat(values, np.arange(0, values.shape[axis], 2), axis=axis)
    return values


def _finer(coarse: Float64, axis: int, n: int) -> Float64:
    """Interpolate between the middles of blocks of two, ``2 i + 0.5``; constant at the ends."""
    if coarse.shape[axis] == 1:
        return np.repeat(coarse, n, axis=axis)
    at = np.clip((np.arange(n) - 0.5) / 2.0, 0.0, coarse.shape[axis] - 1.0)
    low = np.minimum(at.astype(np.intp), coarse.shape[axis] - 2)
    share = (at - low).reshape(-1, *(1,) * (coarse.ndim - axis - 1))
    return coarse.take(low, axis) * (1.0 - share) + coarse.take(low + 1, axis) * share
