"""When each volume was measured, from the time stamps of its readouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.records.findings import Finding, info, warning
from ultrahand.units import S_PER_MS, SIEMENS_TICK_S

if TYPE_CHECKING:
    from ultrahand.recon.sorting import Series
    from ultrahand.records.raw import RawData


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Seconds since the first readout of the series."""

    start_s: tuple[float, ...]
    duration_s: tuple[float, ...]
    middle_s: tuple[float, ...]
    """Mean time of the readouts."""


def frame_times(raw: RawData, series: Series) -> tuple[FrameTimes | None, list[Finding]]:
    """Return the times of a series' volumes.

    Time stamps are ticks of 2.5 ms in Siemens-converted files and of 1 ms elsewhere; the rule that
    was used is reported.

    Returns
    -------
    FrameTimes or None
        None where the stamps are all equal, or run backwards.
    """
    siemens = "siemens" in (raw.header.vendor or "").lower()
    tick_s = SIEMENS_TICK_S if siemens else S_PER_MS
    stamps = [
        np.sort(raw.readouts["acquisition_time_stamp"][volume.rows]).astype(np.float64) * tick_s
        for volume in series.volumes
    ]
    starts = np.array([s[0] for s in stamps])
    if len({float(s[0]) for s in stamps} | {float(s[-1]) for s in stamps}) == 1:
        return None, []
    if (np.diff(starts) <= 0).any():
        return None, [
            warning(
                "acquisition_time_stamp",
                found="frames that do not follow each other in time",
                expected="rising time stamps",
                remedy="frame times are left out",
            )
        ]
    begin = float(starts[0])
    durations = [float(s[-1] - s[0] + np.median(np.diff(s))) if len(s) > 1 else 0.0 for s in stamps]
    if not any(durations) and len(starts) > 1:
        durations = [*np.diff(starts).tolist(), float(np.diff(starts)[-1])]
    times = FrameTimes(
        start_s=tuple(round(float(s) - begin, 6) for s in starts),
        duration_s=tuple(round(d, 6) for d in durations),
        middle_s=tuple(round(float(s.mean()) - begin, 6) for s in stamps),
    )
    rule = info(
        "acquisition_time_stamp",
        found=f"vendor {raw.header.vendor or 'not stated'}",
        expected="the length of a tick",
        remedy=f"{tick_s * 1e3:g} ms",
    )
    return times, [rule]
