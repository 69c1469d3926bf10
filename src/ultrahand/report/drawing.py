"""What all pictures share: one slice with its directions, its scale and what was not measured."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import UsageError
from ultrahand.records.arrays import Float64, Real
from ultrahand.records.geometry import Geometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

LPS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
AXIS_NAMES = {0: "slice", 1: "phase", 2: "read"}
# Told apart by the colour-blind (Wong, Nature Methods 2011;8:441, doi:10.1038/nmeth.1618) and from
# any grey.
SKY_BLUE, BLUE, ORANGE = "#56b4e9", "#0072b2", "#e69f00"
DPI = 110


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty white figure that belongs to no window.

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
    figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file of at most 256 colours: a third of the bytes of full colour."""
    from PIL import Image  # matplotlib brings it

    raw = io.BytesIO()
    figure.savefig(raw, dpi=DPI, format="png")
    raw.seek(0)
    packed = io.BytesIO()
    few = Image.open(raw).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(packed, format="png", optimize=True)
    return packed.getvalue()


def value_window(values: Real) -> tuple[float, float]:
    """Return the values shown darkest and brightest: 0 or less, and the 99.8th percentile."""
    measured = values[np.isfinite(values)]
    if not measured.size:
        return 0.0, 1.0
    low = min(0.0, float(np.percentile(measured, 0.2)))
    # A few bright voxels in an empty image: their own top is then the top.
    high = max(float(np.percentile(measured, 99.8)), low) or float(measured.max())
    return (low, high) if high > low else (low, low + 1.0)


def series_window(series: Iterable[Real]) -> tuple[float, float]:
    """Return one window for frames: that of the brightest, so that a short bolus is not clipped."""
    windows = [value_window(frame) for frame in series if np.isfinite(frame).any()]
    if not windows:
        return 0.0, 1.0
    return min(low for low, _ in windows), max(high for _, high in windows)


def draw_slice(
    ax: Axes,
    picture: Real,
    geometry: Geometry,
    plane: tuple[int, int],
    window: tuple[float, float],
    colormap: str,
    *,
    lettered: bool = True,
) -> AxesImage:
    """Draw one slice as radiologists hang it: head or front up, the patient's right on the left.

    Parameters
    ----------
    ax
        Where to draw.
    picture
        Shape ``(down, across)``; NaN, where nothing was measured, shows as hatching.
    geometry
        Frame of the volume.
    plane
        Array axes ``(across, down)`` of the picture.
    window
        Values shown darkest and brightest.
    colormap
        Name of a colour map.
    lettered
        Whether to write the patient's directions and a scale bar on it.
    """
    across, down = plane
    size_mm = [geometry.voxel_size_m[2 - axis] * 1e3 for axis in range(3)]
    width = picture.shape[1] * size_mm[across]
    height = picture.shape[0] * size_mm[down]
    ax.patch.set(facecolor="white", edgecolor="#9aa0a6", hatch="////", linewidth=0)
    shown = ax.imshow(
        np.ma.masked_invalid(picture),
        cmap=colormap,
        vmin=window[0],
        vmax=window[1],
        extent=(0, width, height, 0),
        interpolation="nearest",
    )
    if points_to(geometry, across) in ("R", "A", "I"):
        ax.invert_xaxis()
    if points_to(geometry, down) in ("S", "A", "R"):
        ax.invert_yaxis()
    if lettered:
        _letters(ax, geometry, across, down)
        _scale_bar(ax, width)
    return shown


def points_to(geometry: Geometry, axis: int) -> str:
    """Return the letter of the patient direction an axis is nearest to; none if unknown."""
    if not geometry.known:
        return ""
    vector: Float64 = (geometry.slice_dir, geometry.phase_dir, geometry.read_dir)[axis]
    main = int(np.argmax(np.abs(vector)))
    return LPS_LETTERS[main][int(vector[main] > 0)]


def oriented(geometry: Geometry, one: int, other: int) -> tuple[int, int]:
    """Return two axes as ``(across, down)`` in the order in which radiologists hang a plane.

    The patient's long axis stands upright (the fingers of a raised hand point up); where the plane
    does not hold it, front to back does. Without directions the order stays as it is given.
    """
    rank = {letter: i for i, pair in enumerate(LPS_LETTERS) for letter in pair}
    ranks = [rank.get(points_to(geometry, axis), 0) for axis in (one, other)]
    return (one, other) if ranks[0] <= ranks[1] else (other, one)


def extents_mm(geometry: Geometry) -> tuple[float, float, float]:
    """Return the field of view along slice, phase and read."""
    sizes = zip(geometry.shape, geometry.voxel_size_m[::-1], strict=True)
    z, y, x = (n * size_m * 1e3 for n, size_m in sizes)
    return z, y, x


def comes_from(geometry: Geometry, axis: int) -> str:
    """Return the letter of the patient direction opposite to `points_to`."""
    end = points_to(geometry, axis)
    return next((pair[end == pair[0]] for pair in LPS_LETTERS if end in pair), "")


def direction(geometry: Geometry, axis: int) -> str:
    """Say where an axis runs, from and to."""
    end = points_to(geometry, axis)
    return f"({comes_from(geometry, axis)} to {end})" if end else ""


def _letters(ax: Axes, geometry: Geometry, across: int, down: int) -> None:
    """Write the patient's directions at the four edges of a picture."""
    sides = [comes_from(geometry, across), points_to(geometry, across)]
    if ax.xaxis_inverted():
        sides.reverse()
    ends = [points_to(geometry, down), comes_from(geometry, down)]  # bottom, top: y runs down
    if not ax.yaxis_inverted():
        ends.reverse()
    places = [(0.02, 0.5), (0.98, 0.5), (0.5, 0.02), (0.5, 0.98)]
    aligned = [("left", "center"), ("right", "center"), ("center", "bottom"), ("center", "top")]
    for letter, at, aligned_at in zip([*sides, *ends], places, aligned, strict=True):
        _write(ax, at, letter, aligned_at, fontsize=10)


def _scale_bar(ax: Axes, width_mm: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten millimetres, at most a third of the width."""
    power = 10.0 ** np.floor(np.log10(width_mm / 3))
    length = max(n * power for n in (1, 2, 5) if n * power <= width_mm / 3)
    end = 0.05 + length / width_mm
    for colour, thick in (("black", 4.0), (SKY_BLUE, 2.0)):
        ax.plot(
            [0.05, end],
            [0.05, 0.05],
            transform=ax.transAxes,
            color=colour,
            linewidth=thick,
            solid_capstyle="butt",
        )
    _write(ax, (0.05, 0.08), f"{length:g} mm", ("left", "bottom"), fontsize=8)


def _write(
    ax: Axes, at: tuple[float, float], text: str, aligned: tuple[str, str], *, fontsize: float
) -> None:
    """Write on a picture in a colour that no grey has, on a dark ground that reads everywhere."""
    if text:
        ax.text(
            *at,
            text,
            transform=ax.transAxes,
            color=SKY_BLUE,
            weight="bold",
            fontsize=fontsize,
            horizontalalignment=aligned[0],
            verticalalignment=aligned[1],
            bbox={"facecolor": "black", "alpha": 0.75, "linewidth": 0, "pad": 1.0},
        )
