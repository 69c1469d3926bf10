"""Cut a continuous acquisition into frames, by the time stamps of its readouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError, UsageError
from ultrahand.pipelines.timing import readout_times
from ultrahand.recon.cells import COMPLETE, filled_fractions
from ultrahand.recon.sorting import split_frames
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.recon.sorting import Volume
    from ultrahand.records.arrays import Float64, Ints
    from ultrahand.records.raw import RawData

_WHOLE: Final = 0.8
"""Share of the usual number of readouts from which a last frame is like the others."""
_SLACK: Final = 1e-6
"""Of a frame: a stamp so near to the next frame belongs to it. Stamps are whole ticks of at least
1 ms, which binary fractions only come near to."""


def frames_of(
    raw: RawData,
    volumes: list[Volume],
    encodings: Mapping[int, EncodingPlan],
    frame_time_s: float,
) -> tuple[list[Volume], list[Finding]]:
    """Sort the readouts of a non-Cartesian measurement into frames of equal length.

    A readout belongs to frame ``floor((t - t0) / frame_time_s)`` with its time stamp ``t`` and that
    of the first imaging readout ``t0``; the last frame holds what is left.

    Parameters
    ----------
    raw
        The measurement.
    volumes, encodings
        Its volumes before they are cut, and how they will be made.
    frame_time_s
        Length of a frame.

    Raises
    ------
    UsageError
        A Cartesian measurement, several repetitions, slices or encodings, or frames so short that
        one would hold no readout.
    InputError
        Time stamps that are all equal.
    """
    check_kind(volumes, encodings)
    rows = np.sort(np.concatenate([volume.rows for volume in volumes]))
    times_s, _, _ = readout_times(raw, rows)  # its findings come with the frame times
    since_s = times_s - times_s[rows].min()
    frame_of = _number(since_s, rows, frame_time_s)
    counts = np.bincount(frame_of[rows])
    frames = split_frames(volumes, frame_of)
    sizes = [len(frame.rows) for frame in frames]
    note = info(
        "frames",
        found=f"{len(counts)} of {frame_time_s:g} s, {min(sizes)} to {max(sizes)} readouts each",
        expected="--frame-time",
        remedy="sorted by acquisition_time_stamp",
    )
    return frames, [note, *_short(counts), *_undersampled(frames, encodings)]


def _number(since_s: Float64, rows: Ints, frame_time_s: float) -> Ints:
    """Return the frame of every readout of the table; those of ``rows`` hold."""
    stamps = np.unique(since_s[rows])
    if len(stamps) < 2:
        raise InputError(
            "acquisition_time_stamp",
            found=f"the same value in all {len(rows)} readouts",
            expected="the time of each readout, to sort them into frames",
            remedy="run without --frame-time, or convert the measurement again",
        )
    longest = float(np.diff(stamps).max())
    if frame_time_s < longest * (1.0 - _SLACK):
        raise UsageError(
            f"--frame-time {frame_time_s:g}: a frame would hold no readout, as there are up to "
            f"{longest:g} s between two; give at least {longest:g}"
        )
    frame_of: Ints = np.floor(since_s / frame_time_s + _SLACK).astype(np.int64)
    return frame_of


def check_kind(volumes: list[Volume], encodings: Mapping[int, EncodingPlan]) -> None:
    """Refuse what is no continuous non-Cartesian acquisition of one slice or slab."""
    for index, plan in encodings.items():
        if plan.non_cartesian is None:
            raise UsageError(
                f"--frame-time cuts non-Cartesian measurements; encoding {index} is reconstructed "
                f"by {plan.method} ({plan.reason}): leave it out"
            )
    counts = {
        "encodings": len(encodings),
        "repetitions": len({volume.counters["repetition"] for volume in volumes}),
        "cardiac phases": len({volume.counters["phase"] for volume in volumes}),
        "slices or slabs": len({number for volume in volumes for number in volume.slices}),
    }
    several = ", ".join(f"{count} {name}" for name, count in counts.items() if count > 1)
    if several:
        raise UsageError(
            "--frame-time cuts a continuous acquisition of one slice or slab; this measurement has "
            f"{several}: leave it out"
        )


def _short(counts: Ints) -> list[Finding]:
    """Warn of a last frame that holds fewer readouts than the others do."""
    usual = float(np.median(counts[:-1])) if len(counts) > 1 else 0.0
    if counts[-1] >= _WHOLE * usual:
        return []
    return [
        warning(
            "short last frame",
            found=f"{counts[-1]} readouts; the others hold {usual:g}",
            expected=f"at least {_WHOLE:.0%} of that",
            remedy="reconstructed as it is, with more noise and streaks: leave it out of curves",
        )
    ]


def _undersampled(frames: list[Volume], encodings: Mapping[int, EncodingPlan]) -> list[Finding]:
    """Warn of frames whose samples leave gaps in k-space."""
    plan = encodings[frames[0].encoding].non_cartesian
    assert plan is not None
    fractions = filled_fractions(plan, [frame.rows for frame in frames])
    few = sum(fraction < COMPLETE for fraction in fractions)
    if not few:
        return []
    return [
        warning(
            "undersampled frames",
            found=f"{few} of {len(frames)}; they fill {min(fractions):.0%} to "
            f"{max(fractions):.0%} of the Nyquist cells of the sampled region",
            expected=f"at least {COMPLETE:.0%}",
            remedy="gridded as they are: expect streaks, or give a longer --frame-time",
        )
    ]
