"""A picture of a series of volumes: frames side by side, and the signal over time."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.records.arrays import Bools, Float64, Real, require
from ultrahand.records.geometry import Geometry
from ultrahand.report.cuts import signal_cut, thinnest_axis
from ultrahand.report.drawing import (
    AXIS_NAMES,
    BLUE,
    ORANGE,
    draw_slice,
    figure_png,
    new_figure,
    oriented,
    series_window,
)
from ultrahand.report.planes import brightest_frame, picture_notes
from ultrahand.report.series_frames import Frames, signal_voxels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_SHOWN = 8
_CURVE_IN = 1.9


def frames_png(
    values: Frames,
    geometry: Geometry,
    *,
    unit: str,
    title: str,
    at_s: Sequence[float] | None = None,
    axis: str = "time",
    labels: Sequence[str] | None = None,
    signal: Bools | None = None,
    colormap: str = "gray",
) -> bytes:
    """Return a PNG file of frames side by side, above their mean signal.

    Along time each panel is the brightest voxel along the axis in which the signal is thinnest:
    vessels show whole. Elsewhere it is a slice, for a projection would hide loss of signal.

    Parameters
    ----------
    values
        Real values, shape ``(frames, z, y, x)``; NaN where nothing was measured.
    geometry
        Frame of each volume.
    unit
        Unit of the values.
    title
        What it is; never anything that identifies a patient.
    at_s
        Where each frame lies on the fourth axis, in seconds; None where that is not known.
    axis
        What the fourth axis is: ``time``, ``echo time``, ``set``.
    labels
        What stands above each frame; else where it lies.
    signal
        Voxels ``(z, y, x)`` of the curve; else `signal_voxels`.
    colormap
        One of `content.COLORMAPS`.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    RecordError
        `values` is no series, or `at_s` or `labels` has not one entry a frame.
    """
    require(len(values.shape) == 4, f"values must be (frames, z, y, x), got {values.shape}")
    require(at_s is None or len(at_s) == len(values), "at_s must have one number a frame")
    require(labels is None or len(labels) == len(values), "labels must have one text a frame")
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), MAX_SHOWN)).round())
    chosen = chosen.astype(np.int64)
    brightest = values[brightest_frame(values)]
    thin = thinnest_axis(brightest, geometry)
    centre = signal_cut(brightest, geometry).centre[thin]
    across, down = oriented(geometry, *(a for a in (2, 1, 0) if a != thin))
    in_time = axis == "time"
    panels = [_panel(values[i], thin, None if in_time else centre) for i in chosen]
    panels = [panel.T if across < down else panel for panel in panels]
    window = series_window(panels if in_time else (values[i] for i in chosen))
    width, row = _sizes(len(chosen), panels[0].shape, geometry, (across, down))
    figure = new_figure(width, row + _CURVE_IN + 1.2)
    grid = figure.add_gridspec(2, len(chosen), height_ratios=(row + 0.3, _CURVE_IN))
    axes = [figure.add_subplot(grid[0, i]) for i in range(len(chosen))]
    places, name, suffix = _places(len(values), at_s, axis)
    texts = labels or [f"{_short(place)}{suffix}" for place in places]
    for ax, frame, panel in zip(axes, chosen, panels, strict=True):
        first = bool(frame == chosen[0])
        plane = (across, down)
        shown = draw_slice(ax, panel, geometry, plane, window, colormap, lettered=first)
        ax.set(xticks=[], yticks=[])
        ax.set_title(texts[frame], fontsize=8)
    figure.colorbar(shown, ax=axes, shrink=0.8).set_label(unit)
    signal = signal_voxels(values) if signal is None else signal
    bottom = figure.add_subplot(grid[1, :])
    _curve(bottom, values, places, name, unit, chosen, signal, from_zero=not in_time)
    cut = f"{AXIS_NAMES[thin]} {centre + 1} of {geometry.shape[thin]}"
    seen = f"brightest voxel along {AXIS_NAMES[thin]}" if in_time else cut
    shown_of = f"{len(chosen)} of {len(values)} volumes"
    lines = fill(f"{title}: {shown_of}, {seen}", int(11 * figure.get_figwidth()))
    figure.suptitle(lines + picture_notes(brightest, geometry), fontsize=10)
    return figure_png(figure)


def _sizes(
    n: int, shape: tuple[int, ...], geometry: Geometry, plane: tuple[int, int]
) -> tuple[float, float]:
    """Return the width of the figure and the height of its row of frames, in inches."""
    size = geometry.voxel_size_m[::-1]
    aspect = shape[0] * size[plane[1]] / (shape[1] * size[plane[0]])
    each = min(2.8, max(1.65, 7.0 / n))
    return max(7.0, each * n + 1.0), float(np.clip(each * aspect, 0.7, 3.2))


def _panel(volume: Real, thin: int, cut: int | None) -> Real:
    """Return a slice, or the maximum along an axis: NaN only where no voxel was measured."""
    if cut is not None:
        return np.take(volume, cut, axis=thin)
    known = np.isfinite(volume)
    top = np.where(known, volume, -np.inf).max(axis=thin)
    return np.where(known.any(axis=thin), top, np.nan)


def _short(place: float) -> str:
    """Return a place with as many digits as it needs: 0.3, 34, 1200."""
    return f"{place:.3g}" if abs(place) < 10 else f"{place:.0f}"


def _places(n: int, at_s: Sequence[float] | None, axis: str) -> tuple[Float64, str, str]:
    """Return where the frames lie, the name of that axis, and its unit after a number."""
    if at_s is None:
        return np.arange(1.0, n + 1), "frame" if axis == "time" else axis, ""
    seconds = np.asarray(at_s, np.float64)
    if np.abs(seconds).max() < 1:
        return seconds * 1e3, f"{axis} / ms", " ms"
    return seconds, f"{axis} / s", " s"


def _curve(
    ax: Axes,
    values: Frames,
    places: Float64,
    name: str,
    unit: str,
    chosen: np.ndarray,
    signal: Bools,
    *,
    from_zero: bool,
) -> None:
    means = np.array([frame[signal].mean() for frame in values]) if signal.any() else np.zeros(0)
    ax.set_xlabel(name, fontsize=8)
    ax.set_ylabel(f"mean signal / {unit}", fontsize=8)
    ax.tick_params(labelsize=7)
    if not means.size:
        ax.text(0.5, 0.5, "no voxel has signal in all volumes", ha="center", transform=ax.transAxes)
        return
    ax.plot(places, means, color=BLUE, linewidth=1.5, marker=".")
    ax.plot(places[chosen], means[chosen], "o", color=ORANGE, label="frames above")
    if np.array_equal(places, np.arange(1, len(places) + 1)):
        ax.locator_params(axis="x", integer=True)
    ax.set_ylim(*_limits(means, from_zero=from_zero))
    ax.grid(alpha=0.3)
    ax.set_title(f"mean over {int(signal.sum())} voxels with signal; circles: above", fontsize=8)


def _limits(means: Float64, *, from_zero: bool) -> tuple[float, float]:
    """Return the range of the curve: from 0, or wide enough that noise is no enhancement."""
    low, high = float(means.min()), float(means.max())
    if from_zero:
        return min(0.0, low), 1.05 * high if high > 0 else 1.0
    middle, half = (low + high) / 2, max(0.55 * (high - low), 0.1 * abs(high)) or 1.0
    return middle - half, middle + half
