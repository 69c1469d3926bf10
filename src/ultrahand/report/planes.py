"""A picture of an image: its three planes, with directions, millimetres and unit."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.records.arrays import Real
from ultrahand.records.geometry import Geometry
from ultrahand.report.cuts import Cut, signal_cut
from ultrahand.report.drawing import (
    AXIS_NAMES,
    direction,
    draw_slice,
    extents_mm,
    figure_png,
    new_figure,
    oriented,
    value_window,
)
from ultrahand.report.series_frames import Frames

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PLANES = ((2, 1, 0), (2, 0, 1), (1, 0, 2))
"""Array axes of each picture, the last one cut: read x phase, read x slice, phase x slice."""
_WIDTH_IN, _HEIGHT_IN = 9.6, 4.8
"""Of all planes together, and of the tallest."""
_GAP_IN, _BELOW_IN = 0.75, 0.5
"""Beside a plane, for its axis; below the planes, for theirs."""


def draw_planes(path: Path, values: Real, geometry: Geometry, *, unit: str, title: str) -> None:
    """Write the picture of `planes_png` to a file.

    Parameters
    ----------
    path
        Where to write.
    values, geometry, unit, title
        As in `planes_png`.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    path.write_bytes(planes_png(values, geometry, unit=unit, title=title))


def planes_png(
    values: Real,
    geometry: Geometry,
    *,
    unit: str,
    title: str,
    cut: Cut | None = None,
    colormap: str = "gray",
) -> bytes:
    """Return a PNG file of the planes through the centre of the signal, `planes_of` many.

    Parameters
    ----------
    values
        Real values, shape ``(z, y, x)``; NaN, where nothing was measured, shows as hatching.
    geometry
        Their frame: aspect ratio, directions, scale.
    unit
        Unit of the values, beside the colour bar.
    title
        What it is; never anything that identifies a patient.
    cut
        Where the planes lie; else `signal_cut`.
    colormap
        One of `content.COLORMAPS`.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    planes = [(*oriented(geometry, a, b), c) for a, b, c in planes_of(values.shape)]
    extent = extents_mm(geometry)
    sizes = _sizes_in([(extent[a], extent[d]) for a, d, _ in planes])
    width = sum(w for w, _ in sizes) + _GAP_IN * (len(sizes) + 2)
    lines = fill(title, int(11 * width)) + picture_notes(values, geometry)
    figure = new_figure(width, max(h for _, h in sizes) + _BELOW_IN + _above_in(lines))
    places = _places(figure, sizes)
    centre = (cut or signal_cut(values, geometry)).centre
    window = value_window(values)
    for (across, down, axis), place in zip(planes, places, strict=False):
        ax = figure.add_axes(place)
        picture = np.take(values, centre[axis], axis=axis)
        picture = picture.T if across < down else picture
        shown = draw_slice(ax, picture, geometry, (across, down), window, colormap)
        ax.set_xlabel(f"{AXIS_NAMES[across]} / mm   {direction(geometry, across)}", fontsize=8)
        ax.set_ylabel(f"{AXIS_NAMES[down]} / mm   {direction(geometry, down)}", fontsize=8)
        ax.tick_params(labelsize=7)
        if values.shape[axis] > 1:
            name = AXIS_NAMES[axis]
            ax.set_title(f"{name} {centre[axis] + 1} of {values.shape[axis]}", fontsize=8)
    bar = figure.colorbar(shown, cax=figure.add_axes(places[-1]))
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    figure.text(0.5, 1 - 0.08 / figure.get_figheight(), lines, ha="center", va="top", fontsize=10)
    return figure_png(figure)


def planes_of(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
    """Return the planes that a volume ``(z, y, x)`` has to show: three, or one of a single slice.

    Each as two array axes of the picture and the one that is cut.
    """
    found = tuple(p for p in _PLANES if min(shape[p[0]], shape[p[1]]) > 1)
    return found or _PLANES[:1]


def _sizes_in(planes_mm: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the width and height of each plane, all in one scale."""
    per_mm = min(
        _WIDTH_IN / sum(w for w, _ in planes_mm), _HEIGHT_IN / max(h for _, h in planes_mm)
    )
    return [(w * per_mm, h * per_mm) for w, h in planes_mm]


def _above_in(lines: str) -> float:
    return 0.4 + 0.18 * (lines.count("\n") + 1)


def _places(
    figure: Figure, sizes: list[tuple[float, float]]
) -> list[tuple[float, float, float, float]]:
    """Return where each plane stands, and last the colour bar, in parts of the figure.

    Placed by hand: a layout that fits each plane into its box gives each a scale of its own.
    """
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    tallest = max(h for _, h in sizes)
    left, places = _GAP_IN, []
    for w, h in sizes:
        bottom = _BELOW_IN + (tallest - h) / 2
        places.append((left / width, bottom / height, w / width, h / height))
        left += w + _GAP_IN
    left -= 0.6 * _GAP_IN
    return [*places, (left / width, _BELOW_IN / height, 0.18 / width, tallest / height)]


def picture_notes(values: Real, geometry: Geometry) -> str:
    """Say what a picture cannot show: an unknown frame, voxels that were not measured."""
    note = "" if geometry.known else "\ngeometry unknown: axes of the scan, not of the patient"
    missing = int(np.count_nonzero(~np.isfinite(values)))
    return (
        f"{note}\nhatched: not measured ({100 * missing / values.size:.2g} %)" if missing else note
    )


def brightest_frame(series: Frames) -> int:
    """Return which frame of ``(frames, z, y, x)`` has the most energy: the one to show of many.

    Squares, because a vessel of a few voxels must count against a volume of noise.
    """
    energy = [float(np.square(np.nan_to_num(f, posinf=0, neginf=0)).mean()) for f in series]
    return int(np.argmax(energy))
