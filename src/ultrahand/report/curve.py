"""The mean signal of a series, drawn below its frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.records.arrays import Bools, Float64
from ultrahand.report.drawing import BLUE, ORANGE
from ultrahand.report.enhancement import Early
from ultrahand.report.series_frames import Frames, mean_signal

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_curve(
    ax: Axes,
    values: Frames,
    places: Float64,
    names: tuple[str, str],
    groups: Sequence[Sequence[int]],
    signal: Bools,
    *,
    from_zero: bool,
    early: Early | None,
) -> None:
    """Draw the mean signal of each frame, and which frames the panels show.

    Parameters
    ----------
    ax
        Where to draw.
    values
        The series.
    places
        Where its frames lie.
    names
        What stands along the axis of frames, and the unit of the values.
    groups
        Frames of each panel: one alone is a circle, several are a line at their mean.
    signal
        Voxels ``(z, y, x)`` of the mean.
    from_zero
        Whether the scale begins at 0.
    early
        Frames that differences are taken against, on grey; short frames are open circles.
    """
    means = mean_signal(values, signal)
    ax.set_xlabel(names[0], fontsize=8)
    ax.set_ylabel(f"mean signal / {names[1]}", fontsize=8)
    ax.tick_params(labelsize=7)
    if not signal.any():
        ax.text(0.5, 0.5, "no voxel has signal in all volumes", ha="center", transform=ax.transAxes)
        return
    short = list(early.short) if early else []
    whole = [i for i in range(len(means)) if i not in set(short)]
    ax.plot(places, means, color=BLUE, linewidth=1.5)
    ax.plot(places[whole], means[whole], ".", color=BLUE)
    ax.plot(places[short], means[short], "o", markerfacecolor="white", markeredgecolor=BLUE)
    for group in map(list, groups):
        level = np.full(len(group), means[group].mean())
        ax.plot(places[group], level, "o" if len(group) == 1 else "-", color=ORANGE, linewidth=3)
    if np.array_equal(places, np.arange(1, len(places) + 1)):
        ax.locator_params(axis="x", integer=True)
    ax.set_ylim(*limits(means, from_zero=from_zero))
    ax.grid(alpha=0.3)
    told = "circles: above"
    if early:
        ax.axvspan(places[early.frames[0]], places[early.frames[-1]], color="0.85", zorder=0)
        told = "grey: before enhancement; orange: above" + "; open: short volumes" * bool(short)
    ax.set_title(f"mean over {int(signal.sum())} voxels with signal; {told}", fontsize=8)


def limits(means: Float64, *, from_zero: bool) -> tuple[float, float]:
    """Return the range of the curve: from 0, or wide enough that noise is no enhancement."""
    low, high = float(means.min()), float(means.max())
    if from_zero:
        return min(0.0, low), 1.05 * high if high > 0 else 1.0
    middle, half = (low + high) / 2, max(0.55 * (high - low), 0.1 * abs(high)) or 1.0
    return middle - half, middle + half
