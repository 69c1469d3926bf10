"""When an enhancement arrives: half way up its first passage."""

from __future__ import annotations

from typing import Final

import numpy as np

from ultrahand.records.arrays import Float64, Real, require

FIRST_PASSAGE: Final = 0.8
"""Of the largest enhancement: the first local maximum so high is the peak, as a noisy plateau may
later go beyond it."""


def half_rise_s(
    time_s: Float64, curves: Real, *, baseline: Real | None = None, smooth: bool = False
) -> Float64:
    """Return when each curve is half way from its baseline to its first peak.

    Between two times the curve is straight; from the peak backwards, the first interval that passes
    the half holds the answer, so that noise before the rise does not.

    Parameters
    ----------
    time_s
        Rising, ``(times,)``.
    curves
        Real, ``(curves, times)``.
    baseline
        Of each curve, ``(curves,)``; None for its first value.
    smooth
        Find the peak (but not the half) on the curve filtered by (1, 2, 1) / 4.

    Returns
    -------
    ndarray
        Seconds, ``(curves,)``; NaN where nothing rises, or has risen at the first time already.
    """
    require(
        time_s.ndim == 1 and curves.ndim == 2 and curves.shape[1:] == time_s.shape,
        f"curves {curves.shape} must be (curves, times) of time_s {time_s.shape}",
    )
    require(bool((np.diff(time_s) > 0).all()), "time_s must rise")
    base = curves[:, 0] if baseline is None else baseline
    rise = curves.astype(np.float64) - np.asarray(base, np.float64)[:, None]
    peaks = rise.copy()
    if smooth and rise.shape[1] > 2:
        peaks[:, 1:-1] = (rise[:, :-2] + 2 * rise[:, 1:-1] + rise[:, 2:]) / 4
    found = np.full(len(rise), np.nan)
    for number, (curve, shape) in enumerate(zip(rise, peaks, strict=True)):
        peak = _first_peak(shape)
        half = 0.5 * curve[peak]
        below = np.flatnonzero(curve[:peak] < half)
        if half > 0 and below.size:
            low = below[-1]
            share = (half - curve[low]) / (curve[low + 1] - curve[low])
            found[number] = time_s[low] + share * (time_s[low + 1] - time_s[low])
    return found


def _first_peak(curve: Float64) -> int:
    """Return the first local maximum of at least `FIRST_PASSAGE` of the largest value."""
    padded = np.concatenate([[-np.inf], curve, [-np.inf]])
    local = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] >= padded[2:])
    high = curve >= FIRST_PASSAGE * curve.max()
    return int(np.argmax(local & high)) if curve.max() > 0 else 0
