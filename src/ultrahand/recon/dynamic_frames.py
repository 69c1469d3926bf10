"""Frames of a continuous acquisition: which spokes, at what time, over what time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError, UsageError
from ultrahand.recon.dynamic_times import Footprint, finite_times, footprint
from ultrahand.records.arrays import Float64, Ints, freeze

_SLACK: Final = 1e-6
"""Of a step: a time so near to the next window belongs to it. Stamps are whole ticks, which binary
fractions only come near to."""


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frames:
    """The frames of an acquisition, in the order of time."""

    spokes: tuple[Ints, ...]
    """Of each frame, in the order of time: indices of the caller's spokes."""
    footprints: tuple[Footprint, ...]
    windows: Ints
    """Number of each frame's window, from 0."""
    left_out: tuple[tuple[int, int], ...]
    """Windows with fewer spokes than asked for, and how many they hold: no frame was made."""
    origin_s: float
    """The first crossing of all."""

    def __post_init__(self) -> None:
        freeze(self, windows=self.windows)
        for members in self.spokes:
            members.flags.writeable = False

    @property
    def time_s(self) -> Float64:
        """The mean of each frame's k-centre times, ``(frames,)``."""
        return np.array([footprint.mean_s for footprint in self.footprints])

    def facts(self) -> dict[str, list[float]]:
        """Return what a sidecar says of each frame, in seconds after the first crossing."""
        prints = self.footprints
        return {
            "FrameTimesMean": [p.mean_s - self.origin_s for p in prints],
            "FrameTimesStart": [p.first_s - self.origin_s for p in prints],
            "FrameFootprintWidth": [p.width_s for p in prints],
            "FrameFootprintStandardDeviation": [p.sd_s for p in prints],
            "FrameSpokes": [float(p.spokes) for p in prints],
        }


def frames_by_time(
    time_s: Float64, *, length_s: float, step_s: float | None = None, at_least: int = 1
) -> Frames:
    """Cut an acquisition into windows of equal length.

    Window i holds the spokes with ``t0 + i step <= t < t0 + i step + length``, t0 the first
    crossing. The first window that holds the last spoke is the last one, so that of overlapping
    windows none is but the end of another; it holds what is left.

    Parameters
    ----------
    time_s
        Of each spoke's crossing, ``(spokes,)``, in any order: pauses and missing spokes leave
        windows emptier.
    length_s
        Of a window.
    step_s
        From window to window; None for `length_s`. Shorter, windows overlap (sliding window);
        longer is refused, as spokes would be lost.
    at_least
        Spokes of a frame; windows with fewer are named in `Frames.left_out`.

    Raises
    ------
    InputError
        Times that are not finite, or all equal.
    UsageError
        A length or step out of range, or no window with enough spokes.
    """
    step_s = length_s if step_s is None else step_s
    if not (0 < step_s <= length_s < math.inf):
        raise UsageError(
            f"frames of {length_s:g} s every {step_s:g} s: give a positive length, and a positive "
            "step of at most that"
        )
    order, since = _sorted(time_s)
    # Window i holds a time t if t - length < i step <= t.
    place = since / step_s + _SLACK
    first_window = np.maximum(np.floor((since - length_s) / step_s + _SLACK) + 1, 0)
    last = int(first_window[-1])
    edges = np.arange(last + 1)
    begin = np.searchsorted(place, edges)
    end = np.searchsorted(first_window, edges, side="right")
    return _frames(time_s, [order[a:b] for a, b in zip(begin, end, strict=True)], at_least)


def frames_by_spokes(
    time_s: Float64, *, spokes: int, step: int | None = None, at_least: int | None = None
) -> Frames:
    """Cut an acquisition into windows of as many spokes.

    Window i holds spokes ``i step`` to ``i step + spokes - 1`` in the order of their times; equal
    times keep the caller's order. The window that holds the last spoke is the last.

    Parameters
    ----------
    time_s
        Of each spoke's crossing, ``(spokes,)``.
    spokes, step
        Of a window, and from window to window; None for no overlap.
    at_least
        As for `frames_by_time`; None for `spokes`, so that a last window that is not full is left
        out, and named.

    Raises
    ------
    InputError
        Times that are not finite, or all equal.
    UsageError
        A number out of range, or no full window.
    """
    step = spokes if step is None else step
    if not (1 <= step <= spokes):
        raise UsageError(
            f"frames of {spokes} spokes every {step}: give at least 1 spoke, and a step of at "
            "least 1 and at most that"
        )
    order, _ = _sorted(time_s)
    count = 1 + max(0, -(-(len(order) - spokes) // step))
    windows = [order[i * step : i * step + spokes] for i in range(count)]
    return _frames(time_s, windows, spokes if at_least is None else at_least)


def _frames(time_s: Float64, windows: list[Ints], at_least: int) -> Frames:
    if at_least < 1:
        raise UsageError(f"at_least {at_least}: a frame needs a spoke")
    kept = [i for i, members in enumerate(windows) if len(members) >= at_least]
    if not kept:
        most = max(len(members) for members in windows)
        raise UsageError(
            f"no window holds {at_least} spokes, at most {most}: make frames longer, or ask for "
            "fewer spokes"
        )
    return Frames(
        spokes=tuple(windows[i].copy() for i in kept),
        footprints=tuple(footprint(time_s[windows[i]]) for i in kept),
        windows=np.array(kept, np.int64),
        left_out=tuple((i, len(w)) for i, w in enumerate(windows) if len(w) < at_least),
        origin_s=float(time_s.min()),
    )


def _sorted(time_s: Float64) -> tuple[Ints, Float64]:
    """Return the spokes in the order of time, and their times since the first."""
    finite_times(time_s)
    order = np.argsort(time_s, kind="stable")
    since = time_s[order] - time_s[order[0]]
    if len(since) > 1 and since[-1] == 0:
        raise InputError(
            "acquisition_time_stamp",
            found=f"the same value in all {len(since)} spokes",
            expected="the time of each spoke, to sort them into frames",
            remedy="reconstruct one image, or convert the measurement again",
        )
    return order, since
