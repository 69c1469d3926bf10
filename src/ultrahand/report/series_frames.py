"""A series of volumes of which one is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from ultrahand.records.arrays import Bools, Float64
from ultrahand.report.drawing import value_window

SIGNAL_FRACTION = 0.2
"""Voxels whose brightest frame is above this part of the brightest count as signal."""


class Frames(Protocol):
    """What a series has to offer; an array of shape ``(frames, z, y, x)`` does, and a file can."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Frames, then voxels ``(z, y, x)``."""

    def __len__(self) -> int: ...

    def __getitem__(self, frame: int, /) -> Any: ...  # noqa: ANN401 - as numpy has it

    def __iter__(self) -> Iterator[Any]: ...


def signal_voxels(series: Frames) -> Bools:
    """Return the voxels ``(z, y, x)`` that are bright in some frame and measured in all."""
    brightest = np.full(series.shape[1:], -np.inf, np.float32)
    known = np.ones(series.shape[1:], np.bool_)
    for frame in series:
        known &= np.isfinite(frame)
        np.fmax(brightest, frame, out=brightest)
    brightest[~known] = np.nan
    top = value_window(brightest)[1]  # not the maximum: a few bright vials are not the hand
    return known & (brightest > SIGNAL_FRACTION * top)


def mean_signal(series: Frames, signal: Bools) -> Float64:
    """Return the mean of each frame over the voxels with signal; 0 where there are none."""
    if not signal.any():
        return np.zeros(len(series), np.float64)
    return np.array([frame[signal].mean() for frame in series], np.float64)
