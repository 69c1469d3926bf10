"""A picture of a series of volumes: frames side by side, and the signal over time."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np

from ultrahand.records.arrays import Bools, Float64, Real, require
from ultrahand.records.geometry import Geometry
from ultrahand.report.curve import draw_curve
from ultrahand.report.cuts import signal_cut, thinnest_axis
from ultrahand.report.drawing import (
    AXIS_NAMES,
    draw_slice,
    figure_png,
    new_figure,
    oriented,
    series_window,
)
from ultrahand.report.enhancement import Differences, Early, panel_groups
from ultrahand.report.planes import brightest_frame, picture_notes
from ultrahand.report.series_frames import Frames, signal_voxels

MAX_SHOWN = 8
_CURVE_IN = 1.9
_GAINS_ACROSS, _GAIN_IN = 4, 2.4
"""Differences in a row, and the least width of each: vessels are thin."""
_GAIN_PERCENTILE = 98.0
"""Of the projected differences, shown white: a hand fills a tenth of its picture and more."""


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
    early: Early | None = None,
    colormap: str = "gray",
) -> bytes:
    """Return a PNG file of frames side by side, above their mean signal.

    Along time each panel is the brightest voxel along the axis in which the signal is thinnest:
    vessels show whole. Elsewhere it is a slice, for a projection would hide loss of signal. With
    `early` the panels are differences against the mean of these frames, averaged over groups of
    frames, in a window of their own: contrast agent is a small part of the signal.

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
    early
        Frames before enhancement, of a series in time; None for frames as they are.
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
    groups, shown_values = _chosen(values, early)
    brightest = values[brightest_frame(values)]
    thin = thinnest_axis(brightest, geometry)
    centre = signal_cut(brightest, geometry).centre[thin]
    across, down = plane = oriented(geometry, *(a for a in (2, 1, 0) if a != thin))
    in_time = axis == "time"
    panels = [_panel(_mean(shown_values, g), thin, None if in_time else centre) for g in groups]
    panels = [panel.T if across < down else panel for panel in panels]
    window = _window(panels if in_time else [values[i] for i, *_ in groups], gain=early is not None)
    columns = min(len(groups), _GAINS_ACROSS) if early else len(groups)
    rows = -(-len(groups) // columns)
    least = _GAIN_IN if early else 1.65
    width, row = _sizes(columns, least, panels[0].shape, geometry, plane)
    figure = new_figure(width, rows * (row + 0.3) + _CURVE_IN + 0.9)
    heights = (*[row + 0.3] * rows, _CURVE_IN)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=heights)
    axes = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(len(groups))]
    places, name, suffix = _places(len(values), at_s, axis)
    texts = labels or [f"{_short(place)}{suffix}" for place in places]
    for ax, group, panel in zip(axes, groups, panels, strict=True):
        first = group is groups[0]
        shown = draw_slice(ax, panel, geometry, plane, window, colormap, lettered=first)
        ax.set(xticks=[], yticks=[])
        ax.set_title(" to ".join(dict.fromkeys((texts[group[0]], texts[group[-1]]))), fontsize=8)
    bar = figure.colorbar(shown, ax=axes, shrink=0.8)
    bar.set_label(f"difference / {unit}" if early else unit)
    signal = signal_voxels(values) if signal is None else signal
    bottom = figure.add_subplot(grid[rows, :])
    names = name, unit
    draw_curve(bottom, values, places, names, groups, signal, from_zero=not in_time, early=early)
    cut = f"{AXIS_NAMES[thin]} {centre + 1} of {geometry.shape[thin]}"
    seen = f"brightest voxel along {AXIS_NAMES[thin]}" if in_time else cut
    shown_of = f"{len(groups)} of {len(values)} volumes"
    if early:
        seen = f"brightest difference along {AXIS_NAMES[thin]}"
        shown_of = f"less the mean of volumes {early.frames[0] + 1} to {early.frames[-1] + 1}"
    lines = fill(f"{title}: {shown_of}, {seen}", int(11 * figure.get_figwidth()))
    figure.suptitle(lines + picture_notes(brightest, geometry), fontsize=10)
    return figure_png(figure)


def _chosen(values: Frames, early: Early | None) -> tuple[tuple[tuple[int, ...], ...], Frames]:
    """Return the frames of each panel, and the series that the panels show."""
    if early is not None:
        return panel_groups(len(values), early, MAX_SHOWN), Differences(values, early)
    even = np.unique(np.linspace(0, len(values) - 1, min(len(values), MAX_SHOWN)).round())
    return tuple((int(i),) for i in even), values


def _mean(series: Frames, group: Sequence[int]) -> Real:
    total: Real = series[group[0]]
    for i in group[1:]:
        total = total + series[i]
    return total / np.float32(len(group))


def _window(shown: Sequence[Real], *, gain: bool) -> tuple[float, float]:
    """Return one window for all panels: a gain begins at none."""
    if not gain:
        return series_window(shown)
    tops = [
        np.percentile(p[np.isfinite(p)], _GAIN_PERCENTILE) for p in shown if np.isfinite(p).any()
    ]
    return 0.0, max([float(top) for top in tops if top > 0], default=1.0)


def _sizes(
    n: int, least: float, shape: tuple[int, ...], geometry: Geometry, plane: tuple[int, int]
) -> tuple[float, float]:
    """Return the width of the figure and the height of a row of `n` frames, in inches."""
    size = geometry.voxel_size_m[::-1]
    aspect = shape[0] * size[plane[1]] / (shape[1] * size[plane[0]])
    each = min(2.8, max(least, 7.0 / n))
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
