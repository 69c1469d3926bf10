"""A picture of an image: its three planes, with directions, millimetres and unit."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import UsageError
from ultrahand.records.arrays import Float32, Float64
from ultrahand.records.geometry import Geometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_LPS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
_PLANES = ((2, 1, 0), (2, 0, 1), (1, 0, 2))
"""Array axes (across, down, cut) of each picture: read x phase, read x slice, phase x slice."""
_NAMES = {0: "slice", 1: "phase", 2: "read"}


def draw_planes(path: Path, values: Float32, geometry: Geometry, *, unit: str, title: str) -> None:
    """Write a PNG of the three planes through the centre of the signal.

    Parameters
    ----------
    path
        Where to write.
    values
        Magnitudes, shape ``(z, y, x)``.
    geometry
        Their frame: aspect ratio, directions, scale.
    unit
        Unit of the values, beside the colour bar.
    title
        What it is; never anything that identifies a patient.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "pictures need matplotlib: install it with  pip install 'ultrahand[report]'"
        ) from None
    planes = [p for p in _PLANES if min(values.shape[p[0]], values.shape[p[1]]) > 1]
    planes = planes or [_PLANES[0]]
    values = np.nan_to_num(values)  # slices that were not measured
    centre = _centre(values)
    top = float(np.percentile(values, 99.8)) or float(values.max()) or 1.0
    width = 4.2 * len(planes) + 0.6
    figure = Figure(figsize=(width, 4.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(planes), squeeze=False)[0]
    for ax, plane in zip(axes, planes, strict=True):
        shown = _draw(ax, values, geometry, plane, centre, top)
    bar = figure.colorbar(shown, ax=axes[-1], shrink=0.8)
    bar.set_label(unit)
    note = "" if geometry.known else "\ngeometry unknown: axes of the scan, not of the patient"
    lines = fill(title, int(12 * width))
    figure.suptitle(lines + note, fontsize=10)
    figure.savefig(path, dpi=110, format="png", metadata={"Software": "ultrahand"})


def _draw(
    ax: Axes,
    values: Float32,
    geometry: Geometry,
    plane: tuple[int, int, int],
    centre: tuple[int, int, int],
    top: float,
) -> AxesImage:
    across, down, cut = plane
    picture = np.take(values, centre[cut], axis=cut)
    if across < down:
        picture = picture.T
    size_mm = [geometry.voxel_size_m[2 - axis] * 1e3 for axis in range(3)]
    width = values.shape[across] * size_mm[across]
    height = values.shape[down] * size_mm[down]
    shown = ax.imshow(
        picture,
        cmap="gray",
        vmin=0,
        vmax=top,
        extent=(0, width, height, 0),
        interpolation="nearest",
    )
    # As radiologists hang pictures: head or front up, the patient's right on the left.
    if _points_to(geometry, across) in ("R", "A", "I"):
        ax.invert_xaxis()
    if _points_to(geometry, down) in ("S", "A", "R"):
        ax.invert_yaxis()
    ax.set_xlabel(f"{_NAMES[across]} / mm   {_direction(geometry, across)}", fontsize=8)
    ax.set_ylabel(f"{_NAMES[down]} / mm   {_direction(geometry, down)}", fontsize=8)
    ax.tick_params(labelsize=7)
    if values.shape[cut] > 1:
        name = _NAMES[cut]
        ax.set_title(f"{name} {centre[cut] + 1} of {values.shape[cut]}", fontsize=8)
    return shown


def _points_to(geometry: Geometry, axis: int) -> str:
    """Return the letter of the patient direction an axis is nearest to; none if unknown."""
    if not geometry.known:
        return ""
    vector: Float64 = (geometry.slice_dir, geometry.phase_dir, geometry.read_dir)[axis]
    main = int(np.argmax(np.abs(vector)))
    return _LPS_LETTERS[main][int(vector[main] > 0)]


def _direction(geometry: Geometry, axis: int) -> str:
    """Say where an axis runs, from and to."""
    end = _points_to(geometry, axis)
    for pair in _LPS_LETTERS:
        if end in pair:
            return f"({pair[end == pair[0]]} to {end})"
    return ""


def _centre(values: Float32) -> tuple[int, int, int]:
    """Return the voxel nearest to the centre of the signal."""
    weight = np.maximum(values.astype(np.float64) - 0.2 * values.max(), 0)
    total = weight.sum()
    if total <= 0:
        return values.shape[0] // 2, values.shape[1] // 2, values.shape[2] // 2
    found = []
    for axis in range(3):
        profile = weight.sum(axis=tuple(a for a in range(3) if a != axis))
        found.append(round(float((profile * np.arange(len(profile))).sum() / total)))
    return found[0], found[1], found[2]
