"""When spokes were measured: the times at which they cross the centre of k-space.

There lies nearly all of the signal that an enhancement changes. So the time of a frame is the mean
of its spokes' crossings, and its footprint is how they spread about it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.arrays import Bools, Float64, Real, require

MOST_STEPS_OFF: Final = 2.0
"""A spoke passes the centre at most so far, in sampling steps: delays and half samples do."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """When something was measured, from the k-centre times of its spokes."""

    spokes: int
    mean_s: float
    first_s: float
    last_s: float
    sd_s: float
    """Standard deviation of the weights over time, about the mean: of the window through which an
    enhancement is seen, ``L / sqrt(12)`` for even spokes over a length L."""

    @property
    def width_s(self) -> float:
        """Full width, from the first crossing to the last; 0 for one spoke."""
        return self.last_s - self.first_s


def crossing_samples(k_per_m: Float64) -> Float64:
    """Return where each spoke passes the centre of k-space, in samples from its first.

    Between two samples it is taken to run straight and evenly.

    Parameters
    ----------
    k_per_m
        Positions, ``(spokes, samples, dims)``; of a stack the two in its plane.

    Returns
    -------
    ndarray
        ``(spokes,)``; not whole in general.

    Raises
    ------
    InputError
        A spoke that does not pass the centre within `MOST_STEPS_OFF`.
    """
    require(k_per_m.ndim == 3, f"k_per_m must be (spokes, samples, dims), got {k_per_m.shape}")
    require(k_per_m.size > 0 and bool(np.isfinite(k_per_m).all()), "k_per_m must be finite numbers")
    if k_per_m.shape[1] == 1:
        return np.zeros(len(k_per_m))
    start, step = k_per_m[:, :-1], np.diff(k_per_m, axis=1)
    length2 = (step**2).sum(axis=-1)
    toward = -(start * step).sum(axis=-1)
    share = np.divide(toward, length2, out=np.zeros_like(toward), where=length2 > 0)
    share = np.clip(share, 0.0, 1.0)
    off = np.linalg.norm(start + share[..., None] * step, axis=-1)
    nearest = off.argmin(axis=1)
    spoke = np.arange(len(k_per_m))
    longest = np.sqrt(length2.max(axis=1))
    far = np.flatnonzero(off[spoke, nearest] > MOST_STEPS_OFF * longest)
    if far.size:
        steps = off[far[0], nearest[far[0]]] / longest[far[0]]
        raise InputError(
            f"trajectory of spoke {far[0]}",
            found=f"{steps:.1f} sampling steps from the centre of k-space at its nearest "
            f"({far.size} of {len(k_per_m)} spokes)",
            expected=f"a passage within {MOST_STEPS_OFF:g} steps, where its time is read",
            remedy="leave out readouts that miss the centre, or check the trajectory's unit",
        )
    return nearest + share[spoke, nearest]


def centre_times_s(start_s: Real, sample: Real | float, dwell_s: float) -> Float64:
    """Return when each spoke crosses the centre of k-space.

    Parameters
    ----------
    start_s
        Time stamps, taken to be those of the first sample, ``(spokes,)``. Of a stack of stars they
        are those of the readouts of the partition at ``kz = 0``.
    sample
        Of the crossing, from the first sample: `crossing_samples`, or one for all.
    dwell_s
        Time from sample to sample.

    Raises
    ------
    InputError
        A time that is not finite.
    """
    require(0 < dwell_s < math.inf, f"dwell_s must be positive, got {dwell_s}")
    require(start_s.ndim == 1, f"start_s must be (spokes,), got {start_s.shape}")
    times = np.asarray(start_s, np.float64) + np.asarray(sample, np.float64) * dwell_s
    require(times.shape == start_s.shape, "sample must be one number, or one a spoke")
    return finite_times(times)


def footprint(time_s: Float64, weights: Real | None = None) -> Footprint:
    """Return the footprint of spokes.

    Parameters
    ----------
    time_s
        Their k-centre times, ``(spokes,)``, at least one.
    weights
        What each counts for, not negative, ``(spokes,)``; None for all the same. Spokes of weight
        0 do not count.
    """
    counted = np.ones(len(time_s)) if weights is None else np.asarray(weights, np.float64)
    require(counted.shape == time_s.shape, "weights must be one a spoke")
    require(bool((counted >= 0).all() and counted.any()), "weights: none negative, not all 0")
    used: Bools = counted > 0
    first = float(time_s[used].min())
    since, share = time_s[used] - first, counted[used] / counted.sum()
    mean = float(share @ since)
    return Footprint(
        spokes=int(used.sum()),
        mean_s=first + mean,
        first_s=first,
        last_s=float(time_s[used].max()),
        sd_s=math.sqrt(float(share @ (since - mean) ** 2)),
    )


def finite_times(time_s: Float64) -> Float64:
    """Return times of spokes as they are, or refuse them."""
    require(time_s.ndim == 1 and time_s.size > 0, f"times must be (spokes,), got {time_s.shape}")
    bad = np.flatnonzero(~np.isfinite(time_s))
    if bad.size:
        raise InputError(
            f"time of spoke {bad[0]}",
            found=f"{time_s[bad[0]]} ({bad.size} of {len(time_s)} spokes)",
            expected="a finite time",
            remedy="leave these spokes out, or convert the measurement again",
        )
    return time_s
