"""When each volume was measured, from the time stamps of its readouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.recon.sorting import FRAME
from ultrahand.records.findings import Finding, info, warning
from ultrahand.units import S_PER_MS, SIEMENS_TICK_S

if TYPE_CHECKING:
    from ultrahand.recon.sorting import Series
    from ultrahand.records.arrays import Float64, Ints
    from ultrahand.records.raw import RawData


_PERIODS: Final = (2**32, round(86400 / SIEMENS_TICK_S))
"""Ticks after which a counter begins again: its own width, and Siemens' day."""
IN_TIME: Final = ("rep", "phase", FRAME)
"""Fourth axes along which time passes."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Seconds since the first readout of the series."""

    start_s: tuple[float, ...]
    duration_s: tuple[float, ...]
    middle_s: tuple[float, ...]
    """Mean time of the readouts."""
    total_s: float
    """From the first readout to the end of the last."""


def frame_times(raw: RawData, series: Series) -> tuple[FrameTimes | None, list[Finding]]:
    """Return the times of a series' volumes.

    Time stamps are ticks of 2.5 ms in Siemens-converted files and of 1 ms elsewhere; the rule that
    was used is reported. Counters that begin again (at 2^32; Siemens' at midnight) are continued.

    Returns
    -------
    FrameTimes or None
        None where the stamps are all equal, or run backwards.
    """
    rows = np.sort(np.concatenate([volume.rows for volume in series.volumes]))
    times_s, tick_s, findings = readout_times(raw, rows)
    stamps = [np.sort(times_s[volume.rows]) for volume in series.volumes]
    starts = np.array([s[0] for s in stamps])
    if len({float(s[0]) for s in stamps} | {float(s[-1]) for s in stamps}) == 1:
        return None, findings
    in_time = series.frame_axis in IN_TIME
    if in_time and (np.diff(starts) <= 0).any():
        note = warning(
            "acquisition_time_stamp",
            found="frames that do not follow each other in time",
            expected="rising time stamps",
            remedy="frame times are left out",
        )
        return None, [*findings, note]
    begin = float(starts[0])
    durations = [_span(s) for s in stamps]
    if series.frame_axis == FRAME:  # the last may hold a single readout
        alone = float(np.median(np.diff(np.unique(times_s[rows]))))
        durations = [duration or alone for duration in durations]
    if in_time and not any(durations):
        durations = [*np.diff(starts).tolist(), float(np.diff(starts)[-1])]
    times = FrameTimes(
        start_s=tuple(round(float(s) - begin, 6) for s in starts),
        duration_s=tuple(round(d, 6) for d in durations),
        middle_s=tuple(round(float(s.mean()) - begin, 6) for s in stamps),
        total_s=round(float((starts + durations).max()) - float(starts.min()), 6),
    )
    rule = info(
        "acquisition_time_stamp",
        found=f"vendor {raw.header.vendor or 'not stated'}",
        expected="the length of a tick",
        remedy=f"{tick_s * 1e3:g} ms",
    )
    return times, [*findings, rule]


def readout_times(raw: RawData, rows: Ints) -> tuple[Float64, float, list[Finding]]:
    """Return when readouts were taken, in seconds of the scanner's clock.

    Parameters
    ----------
    raw
        The measurement.
    rows
        Readouts of interest, in the order of acquisition.

    Returns
    -------
    ndarray, float, list of Finding
        Times of all readouts of the table, shape ``(readouts,)``, of which those of ``rows`` hold;
        seconds of a tick, by the rule of `frame_times`; where counters began again.
    """
    siemens = "siemens" in (raw.header.vendor or "").lower()
    tick_s = SIEMENS_TICK_S if siemens else S_PER_MS
    ticks, findings = _continued(raw, rows, periods=_PERIODS[: 2 if siemens else 1])
    return ticks * tick_s, tick_s, findings


def _span(stamps: Float64) -> float:
    """Return the time from the first readout to the end of the last; 0 for a single stamp."""
    ordered = np.unique(stamps)
    if len(ordered) < 2:
        return 0.0
    return float(ordered[-1] - ordered[0] + np.median(np.diff(np.sort(stamps))))


def _continued(raw: RawData, rows: Ints, periods: tuple[int, ...]) -> tuple[Float64, list[Finding]]:
    """Return the ticks of every readout of the table, counted on where the counter began again."""
    ticks = raw.readouts["acquisition_time_stamp"].astype(np.float64)
    findings = []
    for period in periods:
        falls = np.diff(ticks[rows], prepend=ticks[rows[:1]]) < -period / 2
        if falls.any():
            ticks[rows] += period * np.cumsum(falls)
            findings.append(
                info(
                    "acquisition_time_stamp",
                    found=f"{int(falls.sum())} falls by more than half of {period}",
                    expected="rising time stamps",
                    remedy=f"the counter wraps at {period}; it is counted on",
                )
            )
    return ticks, findings
