"""What a series in time gained: differences against its early frames, and which those are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ultrahand.records.arrays import Float32, Float64
from ultrahand.report.series_frames import Frames

MIN_FRAMES = 4
"""Whole frames of a series from which differences are shown."""
SHORT = 0.8
"""A frame is short below this part of the median duration: noisier, and not to be compared."""
_MIN_EARLY = 2
_GROWTH = 1.5
"""Exponent of the end of a group in its number: above 1, groups grow."""
_EARLY_PART = 4
"""At most one in so many frames is early: what rises late keeps a curve that is seen to rise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Early:
    """Which frames of a series are taken as before enhancement, and which are short."""

    frames: tuple[int, ...]
    """In order; at least two."""
    short: tuple[int, ...] = ()
    """Frames that are neither early nor in a panel."""


def short_frames(durations_s: Sequence[float]) -> tuple[int, ...]:
    """Return the frames that are much shorter than the others: below `SHORT` of the median."""
    if not durations_s:
        return ()
    least = SHORT * float(np.median(durations_s))
    return tuple(i for i, duration in enumerate(durations_s) if duration < least)


def early_frames(means: Sequence[float], short: Sequence[int] = ()) -> Early | None:
    """Return the frames before enhancement, or None where there are too few to tell.

    The rule: whole frames up to the steepest rise of the mean signal from one to the next, at least
    the first two, at most a quarter of them.

    Parameters
    ----------
    means
        Mean signal of each frame.
    short
        Frames that do not count, as `short_frames` gives them.
    """
    whole = [i for i in range(len(means)) if i not in set(short)]
    if len(whole) < MIN_FRAMES:
        return None
    rises = np.diff(np.nan_to_num(np.asarray(means, np.float64)[whole]))
    n = min(int(np.argmax(rises)) + 1, len(whole) // _EARLY_PART)
    return Early(frames=tuple(whole[: max(n, _MIN_EARLY)]), short=tuple(short))


def panel_groups(n_frames: int, early: Early, most: int) -> tuple[tuple[int, ...], ...]:
    """Return the frames of each panel: the last early ones, then groups that grow with time.

    A frame alone is noise and streaks more than enhancement, and a mean over many is late for the
    arteries, which fill within a few frames: so few are averaged at first and more later on.

    Parameters
    ----------
    n_frames
        Frames of the series.
    early
        What is before enhancement, and what is not shown.
    most
        Panels at most.
    """
    after = [i for i in range(early.frames[-1] + 1, n_frames) if i not in set(early.short)]
    n = min(most - 1, len(after))
    edges = [max(round(len(after) * (k / n) ** _GROWTH), k) for k in range(n + 1)]
    groups = [tuple(after[a:b]) for a, b in pairwise(edges)]
    return (early.frames[-len(groups[0]) :], *groups)


class Differences:
    """A series less the mean of some of its frames; NaN where any of these was not measured."""

    def __init__(self, series: Frames, early: Early) -> None:
        self._series = series
        total: Float64 = np.zeros(series.shape[1:], np.float64)
        for i in early.frames:
            total += series[i]
        self._before: Float32 = (total / len(early.frames)).astype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """Frames, then voxels ``(z, y, x)``."""
        return self._series.shape

    def __len__(self) -> int:
        return len(self._series)

    def __getitem__(self, frame: int, /) -> Float32:
        """Return the difference of one frame, shape ``(z, y, x)``."""
        return np.asarray(self._series[frame] - self._before, np.float32)

    def __iter__(self) -> Iterator[Float32]:
        return (self[i] for i in range(len(self)))
