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
    names = list(dict.fromkeys(row.problem for row in result.rows))
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    for panel, name in zip(panels, names, strict=False):
        _draw(panel, name, [row for row in result.rows if row.problem == name])
    figure.savefig(path, dpi=120, format="png")


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
    panel.margins(x=0.35, y=0.35)
    panel.grid(visible=True, which="both", color="#e5e5e5", linewidth=0.5)
    panel.set_axisbelow(True)
