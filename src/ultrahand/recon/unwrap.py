r"""Spatial unwrapping of a phase along the most reliable path.

The wrapped difference of two neighbours is taken as the true one unless it is near half a turn or
lost in noise. The quality of an edge is how far it is from that, in standard deviations:

.. math:: q = (\pi - |w(\phi_b - \phi_a)|) / \sqrt{\sigma_a^2 + \sigma_b^2}

with :math:`\sigma = 1 / m` up to a factor that does not matter. Edges are joined from the best one
on, which makes the maximum spanning tree: a wrong difference enters only where no better way
leads round it. The result needs no seed and depends on nothing but phase and magnitude; edges of
one quality are taken in the order z, y, x of their axis, then of their voxel.

Sorting by reliability: Herraez, Burton, Lalor, Gdeisat: Appl Opt 2002;41:7437,
doi:10.1364/AO.41.007437; in three dimensions Abdul-Rahman et al.: Appl Opt 2007;46:6623,
doi:10.1364/AO.46.006623. Path-following on magnitudes and phases of MRI: Dymerska et al.: MRM
2021;85:2294, doi:10.1002/mrm.28563.
"""

from __future__ import annotations

from math import pi
from typing import Final

import numpy as np

from ultrahand.records.arrays import Bools, Float64, Ints, Real, require

TURN: Final = 2.0 * pi


def wrap(phase_rad: Float64) -> Float64:
    """Return phases within half a turn of 0."""
    return phase_rad - TURN * np.rint(phase_rad / TURN)


def unwrap(phase_rad: Real, magnitude: Real, mask: Bools | None = None) -> tuple[Float64, Ints]:
    """Unwrap a phase in space.

    Parameters
    ----------
    phase_rad
        Of any number of dimensions, wrapped or not. Steps of more than half a turn from voxel to
        voxel cannot be told from smaller ones.
    magnitude
        Of the same shape, not negative; the standard deviation of the phase is taken as its
        inverse.
    mask
        Voxels to be unwrapped; all where not given.

    Returns
    -------
    unwrapped : ndarray
        float64, the phase plus whole turns, in every region of touching voxels as many as bring
        its mean, weighted by the squared magnitude, within half a turn of 0; NaN outside the mask.
    region : ndarray
        Number of the region each voxel belongs to, from 0 in the order of their first voxels; -1
        outside. Between regions the number of turns is unknown.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes differ, or phase or magnitude are not finite inside the mask.
    """
    from ultrahand.kernels import join_voxels

    phase, weight = np.asarray(phase_rad, np.float64), np.asarray(magnitude, np.float64)
    inside = np.ones(phase.shape, np.bool_) if mask is None else np.asarray(mask, np.bool_)
    require(
        phase.shape == weight.shape == inside.shape and phase.ndim >= 1,
        f"phase {phase.shape}, magnitude {weight.shape} and mask {inside.shape} must agree",
    )
    require(
        bool(np.isfinite(phase[inside]).all() and np.isfinite(weight[inside]).all()),
        "phase and magnitude must be finite inside the mask",
    )
    require(bool((weight[inside] >= 0).all()), "magnitude must not be negative")
    region = np.full(phase.shape, -1, np.int64)
    unwrapped = np.full(phase.shape, np.nan)
    if not inside.any():
        return unwrapped, region
    number = np.cumsum(inside.ravel()).reshape(phase.shape) - 1
    values, weights = phase[inside], weight[inside]
    edges = _edges(inside, number)
    quality = _quality(values, weights, edges)
    joined = np.empty((2, len(values)), np.int64)
    join_voxels(values, np.ascontiguousarray(edges[:, np.argsort(-quality, kind="stable")]), joined)
    _, first, label = np.unique(joined[1], return_index=True, return_inverse=True)
    label = np.argsort(np.argsort(first))[label]
    found = values + TURN * joined[0]
    power = weights**2 + 1e-30 * max(float(weights.max()) ** 2, 1e-200)  # all 0: the plain mean
    mean = np.bincount(label, power * found) / np.bincount(label, power)
    unwrapped[inside] = found - TURN * np.rint(mean / TURN)[label]
    region[inside] = label
    return unwrapped, region


def _edges(inside: Bools, number: Ints) -> Ints:
    """Return pairs of neighbours inside, by their numbers, shape ``(2, edges)``."""
    found = []
    for axis in range(inside.ndim):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(inside.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(inside.ndim))
        both = inside[low] & inside[high]
        found.append(np.stack([number[low][both], number[high][both]]))
    return np.concatenate(found, axis=1)


def _quality(phase: Float64, magnitude: Float64, edges: Ints) -> Float64:
    a, b = edges
    room = pi - np.abs(wrap(phase[b] - phase[a]))
    small = np.minimum(magnitude[a], magnitude[b])
    large = np.maximum(magnitude[a], magnitude[b])
    ratio = np.divide(small, large, out=np.zeros_like(small), where=large > 0)
    return room * small / np.sqrt(1.0 + ratio**2)
