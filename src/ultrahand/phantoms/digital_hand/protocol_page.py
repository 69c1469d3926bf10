"""The protocol table of docs/simulate.md, written from the protocols themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.fields import make_fields
from ultrahand.phantoms.digital_hand.measure import Scan
from ultrahand.phantoms.digital_hand.protocol import PROTOCOLS, SIZES, Dynamic, Series
from ultrahand.phantoms.digital_hand.series import scan_of
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.digital_hand.subject import make_subject
from ultrahand.units import M_PER_MM, S_PER_MS

_HEAD: Final = (
    "size",
    "series",
    "voxel mm",
    "matrix",
    "TR ms",
    "TE ms",
    "flip deg",
    "coils",
    "readouts x samples",
    "MB",
)
_BYTES: Final = 8
"""Of a complex sample."""


def protocol_table() -> str:
    """Return the table in Markdown: every series of every size, for the right hand of seed 1.

    Matrices follow the hand's extent, so that other seeds differ by a few steps; the size in MB is
    that of the samples alone.
    """
    subject = make_subject(1, "healthy", "right")
    fields = make_fields(subject, np.random.default_rng([1, 3]))
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    for size in SIZES:
        protocol = PROTOCOLS[size]
        setting = Setting(subject=subject, fields=fields, protocol=protocol, seed=1, threads=1)
        for series in protocol.series:
            coils = setting.coils(series).n_coils
            lines.append(_line([size, *_cells(series, scan_of(setting, series), coils)]))
    return "\n".join(lines) + "\n"


def _cells(series: Series, scan: Scan, coils: int) -> Iterator[str]:
    thickness_m = scan.fov_m[2] / scan.matrix[2]
    depth = f" x {thickness_m / M_PER_MM:.3g}" if isinstance(series, Dynamic) else ""
    readouts = len(scan.readouts(np.arange(1)))
    tr_s = series.tr_s if isinstance(series.tr_s, tuple) else (series.tr_s,)
    yield series.name
    yield f"{series.voxel_m / M_PER_MM:.3g}{depth}"
    yield " x ".join(str(n) for n in scan.matrix)
    yield _list(t / S_PER_MS for t in tr_s)
    yield _list(t / S_PER_MS for t in scan.echo_times_s)
    yield _list([series.flip_deg] if isinstance(series, Dynamic) else series.flips_deg)
    yield str(coils)
    yield f"{readouts} x {scan.n_samples}"
    yield f"{readouts * scan.n_samples * coils * _BYTES / 1e6:.3g}"


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
