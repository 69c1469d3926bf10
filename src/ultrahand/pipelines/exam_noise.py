"""The noise of one image in numbers, where it has signal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ultrahand.records.arrays import Bools, Real
from ultrahand.records.geometry import Geometry
from ultrahand.report.content import Fact, Table
from ultrahand.report.series_frames import SIGNAL_FRACTION, Frames, signal_voxels

MAX_TABLE_FRAMES: Final = 16
"""Volumes of a series up to which each has a row of numbers."""
_SIGNAL: Final = (
    f"voxels above {100 * SIGNAL_FRACTION:.0f} % of the 99.8th percentile and above the noise"
)
_ABOVE_NOISE_SD: Final = 5.0
_UNITS: Final = {
    "SNR": "SNR: the noise of one whitened sample of one channel is 1; the standard error of a "
    "voxel is below 1 where gridding averages samples",
    "arbitrary": "arbitrary: the noise of the channels is not known",
    "rad": "radians",
}
"""Unit in a sidecar to what it means, for who reads no manual."""
_THERMAL: Final = "Standard errors are of thermal noise alone: streaks and aliasing are not in them"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedImage:
    """An image of a series, read back."""

    name: str
    """What tells it apart from the other images of its series; empty where it is the only one."""
    sidecar: Mapping[str, object]
    values: Frames
    """Shape ``(frames, z, y, x)``; NaN where nothing was measured."""
    standard_error: Frames | None
    """Same shape and unit."""
    geometry: Geometry

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return str(self.sidecar.get("Units", "unit not stated"))


def signal_of(image: LoadedImage) -> Bools:
    """Return the voxels that are bright, and in some volume above what noise alone makes.

    Noise alone has a root mean square of sqrt(2 n) for the root sum of squares of n channels
    (`recon.uncertainty`: E[m^2] at s = 0), in units of the noise of one channel, and a standard
    deviation below 1.
    """
    bright = signal_voxels(image.values)
    if image.standard_error is None:
        return bright
    n_channels = image.sidecar.get("NumberOfReceiveChannels")
    n = n_channels if isinstance(n_channels, int) and n_channels > 0 else 1
    summed = image.sidecar.get("CoilCombination") == "rss"
    limit = math.sqrt(2 * (n if summed else 1)) + _ABOVE_NOISE_SD
    above = np.zeros(bright.shape, np.bool_)
    for values, error in zip(image.values, image.standard_error, strict=True):
        above |= np.abs(values) > limit * error
    return bright & above


def noise_facts(
    image: LoadedImage, signal: Bools, shown: int, labels: tuple[str, ...]
) -> tuple[Fact, ...]:
    """Return the noise where there is signal, of the volume that is shown."""
    which = f", {labels[shown]}" if len(labels) > 1 else ""
    if image.standard_error is None:
        return (Fact(name="Standard error", value="none: the noise level is not known"),)
    found = _ratio(image.values[shown], image.standard_error[shown], signal)
    if found is None:
        return (Fact(name=f"Signal to noise{which}", value="no voxel is above the noise"),)
    error, ratio = found
    low, middle, high = np.percentile(ratio, (5, 50, 95))
    meant = _UNITS.get(image.unit, image.unit)
    return (
        Fact(name="Unit of the values", value=f"{meant}. {_THERMAL}"),
        Fact(
            name=f"Standard error, median{which}", value=f"{np.median(error):.3g}", unit=image.unit
        ),
        Fact(name=f"Signal to noise, median{which}", value=f"{middle:.3g}"),
        Fact(
            name=f"Signal to noise, 5th to 95th percentile{which}", value=f"{low:.3g} to {high:.3g}"
        ),
        Fact(name="Signal", value=f"{int(signal.sum())} {_SIGNAL}"),
    )


def _ratio(values: Real, error: Real, signal: Bools) -> tuple[Real, Real] | None:
    use = signal & np.isfinite(values) & np.isfinite(error) & (error > 0)
    return (error[use], np.abs(values[use]) / error[use]) if use.any() else None


def volume_tables(image: LoadedImage, signal: Bools, labels: tuple[str, ...]) -> tuple[Table, ...]:
    """Return the numbers of each volume of a series that is not too long."""
    n = len(labels)
    if not 1 < n <= MAX_TABLE_FRAMES or not signal.any():
        return ()
    rows = []
    for i, label in enumerate(labels):
        values = image.values[i]
        errors = image.standard_error
        found = None if errors is None else _ratio(values, errors[i], signal)
        error, ratio = (f"{np.median(x):.3g}" for x in found) if found else ("unknown", "unknown")
        rows.append((label, f"{values[signal].mean():.4g}", error, ratio))
    columns = (
        "volume",
        f"mean signal / {image.unit}",
        "median standard error",
        "median signal / error",
    )
    return (
        Table(
            title=f"Signal and noise of each volume{f', {image.name}' if image.name else ''}",
            columns=columns,
            rows=tuple(rows),
            note=f"Over the {int(signal.sum())} {_SIGNAL} of all volumes.",
        ),
    )
