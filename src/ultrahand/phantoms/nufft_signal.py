r"""The signal of many plates at any positions in k-space, to a tolerance.

Plates become points (`disk_points`), which carry exact coil values and, for each function of time
of a short list (`decay_basis`), a strength. Their sums on a uniform grid of k-space come from
FINUFFT; between its cells, which are twice as close as the object's extent asks for, the
Kaiser-Bessel kernel interpolates. Its transform is divided out at the points, exactly.

The cost for each coil, with w = 9 at a tolerance of 1e-6: points times functions times w^dims for
the grid, and samples times functions times w^dims for the interpolation.
"""

from __future__ import annotations

from itertools import pairwise
from math import pi

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.direct_signal import check_terms, with_constant
from ultrahand.phantoms.disk_points import reach
from ultrahand.phantoms.plates import Plates, Terms
from ultrahand.phantoms.point_groups import cancellation, point_groups
from ultrahand.phantoms.point_sums import PointSums, plan_sums
from ultrahand.records.arrays import Complex, Complex64, Float64, Ints, require

FINEST = 1e-6
"""Single precision keeps finer tolerances from being met."""
FEW_COILS = 4
"""With more waves a coil than this, a grid for each coil costs less than a look for each wave."""
BLOCK_SAMPLES, MOST_BLOCKS = 1 << 20, 4
"""See `_blocks`."""
POINTS_AT_A_TIME = 1 << 16
"""Bounds the temporaries of the coils' values."""


def nufft_signal(
    plates: Plates,
    terms: Terms,
    coils: Coils,
    k_per_m: Float64,
    time_s: Float64,
    *,
    demodulation_m: Float64,
    curves: Float64 | None = None,
    tolerance: float = 1e-6,
    threads: int = 1,
) -> Complex64:
    """Return the signal at every sample, as `direct_signal` does, to a tolerance.

    Parameters
    ----------
    plates, terms, coils, k_per_m, time_s, demodulation_m, curves, threads
        See `direct_signal`.
    tolerance
        Largest error, relative to the largest sample of all coils, at least `FINEST`. It holds
        where the object's terms do not cancel: it is shared out by the sum of their magnitudes.

    Returns
    -------
    ndarray
        complex64 ``(shots, coils, samples)``.

    Raises
    ------
    ultrahand.errors.RecordError
        As of `direct_signal`; or if the tolerance is out of reach.
    """
    k = np.asarray(k_per_m, np.float64)
    require(k.ndim == 3 and k.shape[2] == 3, f"k_per_m must be (shots, samples, 3), got {k.shape}")
    out = np.zeros((len(k), coils.n_coils, k.shape[1]), np.complex64)
    if not (len(terms) and k.size):
        return out
    time, point = _times(time_s, k.shape[:2]), np.asarray(demodulation_m, np.float64)
    for some in _blocks(*k.shape[:2]):
        near = k[:, some]
        longest = np.linalg.norm(near, axis=-1).max()
        longest += np.linalg.norm(coils.waves_per_m, axis=-1).max()
        q = reach(plates, np.eye(3), float(longest))
        farthest = np.abs(near).max(axis=(0, 1)) + np.abs(coils.waves_per_m).max(axis=0)
        sums, at, row = _plan(
            *(plates, terms, q, near.shape[:2], np.eye(3), farthest),
            *(time[..., some], point, curves, tolerance, threads),
        )
        if FEW_COILS * coils.n_coils < len(coils.waves_per_m):
            outputs = [out[:, c, some] for c in range(coils.n_coils)]
            sums.add(_values(coils, at), sums.at(near, row), outputs)
        else:
            _add_waves(sums, coils, near, row, point, out[..., some])
    return out


def _blocks(n_shots: int, n_samples: int) -> list[slice]:
    """Return which samples of all shots are taken together.

    Those of a short time need fewer functions of it, and those in the middle of k-space fewer
    points; each block makes its grids anew, which pays for many samples.
    """
    n = min(MOST_BLOCKS, max(1, n_shots * n_samples // BLOCK_SAMPLES), n_samples)
    edges = np.linspace(0, n_samples, n + 1).astype(int)
    return [slice(low, high) for low, high in pairwise(edges.tolist())]


def stack_signal(
    plates: Plates,
    terms: Terms,
    coils: Coils,
    k_per_m: Float64,
    partitions_per_m: Float64,
    time_s: Float64,
    *,
    frame: Float64,
    demodulation_m: Float64,
    curves: Float64 | None = None,
    tolerance: float = 1e-6,
    threads: int = 1,
) -> Complex64:
    """Return the signal of a stack: every shot in every partition.

    The grids do not know the coils: each plane wave reads them at displaced samples. A spoke of one
    partition lies in one level of the grids: they are interpolated there as a whole first.

    Parameters
    ----------
    plates, terms, coils, time_s, demodulation_m, curves, threads, tolerance
        See `nufft_signal`.
    k_per_m
        Along the first two axes of the frame, shape ``(shots, samples, 2)``.
    partitions_per_m
        Along the third, shape ``(partitions,)``.
    frame
        The scan's axes as rows, patient LPS, shape ``(3, 3)``.

    Returns
    -------
    ndarray
        complex64 ``(shots, partitions, coils, samples)``.

    Raises
    ------
    ultrahand.errors.RecordError
        As of `nufft_signal`.
    """
    k, partitions = np.asarray(k_per_m, np.float64), np.asarray(partitions_per_m, np.float64)
    require(k.ndim == 3 and k.shape[2] == 2, f"k_per_m must be (shots, samples, 2), got {k.shape}")
    require(partitions.ndim == 1, f"partitions_per_m must be a list, got {partitions.shape}")
    waves = coils.waves_per_m @ frame.T
    longest = np.linalg.norm(k, axis=-1).max() + np.linalg.norm(waves[:, :2], axis=1).max()
    highest = np.abs(partitions).max() + np.abs(waves[:, 2]).max()
    q = reach(plates, frame[:2], float(longest)) + reach(plates, frame[2:], float(highest))
    out = np.zeros((len(k), len(partitions), coils.n_coils, k.shape[1]), np.complex64)
    if not (len(terms) and k.size):
        return out
    point = np.asarray(demodulation_m, np.float64)
    farthest = np.append(np.abs(k).max(axis=(0, 1)), np.abs(partitions).max())
    sums, _, row = _plan(
        *(plates, terms, q, k.shape[:2], frame, farthest + np.abs(waves).max(axis=0)),
        *(_times(time_s, k.shape[:2]), point, curves, tolerance, threads),
    )
    places, place_of = np.unique(np.round(waves[:, :2], 9), axis=0, return_inverse=True)
    where = [sums.at(np.pad(k - place, ((0, 0), (0, 0), (0, 1))), row) for place in places]
    weights = (coils.weights * np.exp(2j * pi * (coils.waves_per_m @ point))).astype(np.complex64)
    seen = np.empty((len(waves), k.shape[0] * k.shape[1]), np.complex64)
    for grids in sums.grids:
        made = sums.make(grids, None)
        for number, partition in enumerate(partitions):
            levels, level_of = np.unique(np.round(partition - waves[:, 2], 9), return_inverse=True)
            flat = np.concatenate([sums.level(made, level) for level in levels], axis=-2)
            for place, samples in enumerate(where):
                mine = np.flatnonzero(place_of.ravel() == place)
                used = np.ascontiguousarray(flat[..., level_of.ravel()[mine], :])
                seen[mine] = sums.read(grids, used, samples)
            by_coil = (weights @ seen).reshape(coils.n_coils, len(k), -1)
            out[:, number] += by_coil.transpose(1, 0, 2)
    return out


def _add_waves(
    sums: PointSums, coils: Coils, k_per_m: Float64, row: Ints, point_m: Float64, out: Complex64
) -> None:
    """Add the signal: each plane wave reads grids that know no coils, at displaced samples."""
    turn = np.exp(2j * pi * (coils.waves_per_m @ point_m))
    weights = (coils.weights * turn).astype(np.complex64)
    for grids in sums.grids:
        made = sums.make(grids, None)
        for wave, weight in zip(coils.waves_per_m, weights.T, strict=True):
            seen = sums.read(grids, made, sums.at(k_per_m - wave, row))[0]
            shots = seen.reshape(len(k_per_m), -1)
            for coil, factor in enumerate(weight):
                out[:, coil] += factor * shots


def _times(time_s: Float64, shape: tuple[int, ...]) -> Float64:
    """Return the times of samples: one row for all shots, or one for each."""
    time = np.asarray(time_s, np.float64)
    require(time.shape in (shape[1:], shape), f"time_s {time.shape} must be {shape[1:]} or {shape}")
    return time


def _plan(
    plates: Plates,
    terms: Terms,
    largest_q: Float64,
    shape: tuple[int, ...],
    axes: Float64,
    farthest_per_m: Float64,
    time: Float64,
    point_m: Float64,
    curves: Float64 | None,
    tolerance: float,
    threads: int,
) -> tuple[PointSums, Float64, Ints]:
    """Plan the sums along some axes; return them, where the points lie, and the rows of times."""
    fits = FINEST <= tolerance < 1
    require(fits, f"tolerance must lie in [{FINEST:g}, 1), got {tolerance:g}")
    courses = with_constant(curves, shape[0])
    check_terms(plates, terms, courses.shape[1] - 1)
    error = 0.5 * tolerance * cancellation(plates, terms)
    points, groups = point_groups(plates, terms, largest_q, courses, time.ravel(), error=error)
    at = points.at_m
    row = np.broadcast_to(np.arange(time.size).reshape(time.shape), shape)
    along = (at - point_m) @ axes.T
    sums = plan_sums(along, points, groups, farthest_per_m, courses, error=error, threads=threads)
    return sums, at, row


def _values(coils: Coils, at_m: Float64) -> Complex:
    """Return the sensitivities at points, ``(coils, points)``."""
    out = np.empty((coils.n_coils, len(at_m)), np.complex128)
    for start in range(0, len(at_m), POINTS_AT_A_TIME):
        some = slice(start, start + POINTS_AT_A_TIME)
        out[:, some] = coils.values(at_m[some])
    return out
