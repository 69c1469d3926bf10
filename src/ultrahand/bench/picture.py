"""Time against error, one panel a problem, one point an engine."""

from __future__ import annotations

import math
from pathlib import Path

from ultrahand.bench.problem import OURS
from ultrahand.bench.result import Result, Row
from ultrahand.errors import UsageError

_COLOURS = {
    OURS: "#d62728",
    "finufft": "#1f77b4",
    "mri-nufft": "#17becf",
    "sigpy": "#2ca02c",
    "bart": "#9467bd",
    "mrpro": "#8c564b",
    "pygrappa": "#ff7f0e",
}
_COLUMNS = 3


def write_picture(result: Result, path: Path) -> None:
    """Draw all problems of a result into one PNG.

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
            "the picture needs matplotlib; install it with: pip install 'ultrahand[report]'"
        ) from None
    names = [name for name in result.titles if _drawable(result, name)]
    columns = max(1, min(_COLUMNS, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    for panel, name in zip(panels, names, strict=False):
        _draw(panel, name, _drawable(result, name))
    figure.savefig(path, dpi=120, format="png")


def _drawable(result: Result, name: str) -> list[Row]:
    """Return the rows that have a place on logarithmic axes."""
    rows = [row for row in result.rows if row.problem == name]
    return [row for row in rows if math.isfinite(row.error) and row.error > 0]


def _decades(values: list[float]) -> tuple[float, float]:
    """Return whole decades around values, with room for a name at either end."""
    least, most = min(values), max(values)
    return 10 ** math.floor(math.log10(least / 2)), 10 ** math.ceil(math.log10(most * 2))


def _draw(panel: object, name: str, rows: list[Row]) -> None:
    from matplotlib.axes import Axes

    assert isinstance(panel, Axes)
    for row in rows:
        colour = _COLOURS.get(row.engine, "#7f7f7f")
        marker = "*" if row.engine == OURS else "o"
        panel.plot(row.seconds_warm, row.error, marker, color=colour, markersize=9)
        panel.annotate(
            row.engine,
            (row.seconds_warm, row.error),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    panel.set(xscale="log", yscale="log", title=name, xlabel="warm call, s", ylabel="error")
    panel.set_xlim(_decades([row.seconds_warm for row in rows]))
    panel.set_ylim(_decades([row.error for row in rows]))
    panel.grid(visible=True, which="both", color="#e5e5e5", linewidth=0.5)
    panel.set_axisbelow(True)
