"""How a continuous acquisition is cut into frames that are reconstructed together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError, UsageError
from ultrahand.pipelines.dynamic_spokes import Spokes, spokes_of
from ultrahand.pipelines.options import Dynamic, ReconOptions
from ultrahand.pipelines.timing import readout_times
from ultrahand.recon.dynamic_frames import Frames, frames_by_time
from ultrahand.recon.dynamic_library import Sequence
from ultrahand.recon.dynamic_sharing import SharedFrames, share_views
from ultrahand.recon.dynamic_times import footprint
from ultrahand.recon.sorting import FRAME, split_frames
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.recon.sorting import Series, Volume
    from ultrahand.records.arrays import Bools, Float64, Ints
    from ultrahand.records.header import Header
    from ultrahand.records.raw import RawData

LEAST: Final = 3
"""Spokes of a frame. With fewer it has hardly an image of its own: what would be written is what
its neighbours and the prior make of it."""
RINGS: Final = (0.125, 0.25, 0.5, 1.0)
"""Outer radii of the rings of shared views, of the edge of k-space."""
WIDER: Final = (
    "of the frame's own spokes; the prior joins frames, so that detail near the noise has a wider "
    "footprint"
)
OWN: Final = "of the innermost ring, which has the frame's own spokes alone"


@dataclass(frozen=True, slots=True)
class DynamicSeries:
    """One continuous acquisition."""

    spokes: Spokes
    frames: Frames
    fov_m: float
    """The longer side of the plane."""
    shared: SharedFrames | None
    """Where views are shared."""

    def without(self, rows: Ints) -> DynamicSeries:
        """Return it without the spokes in which some readouts take part.

        Raises
        ------
        InputError
            A frame has none left.
        """
        gone: Bools = np.asarray(np.isin(self.spokes.rows, rows).any(axis=1))
        place = np.cumsum(~gone) - 1
        left = [members[~gone[members]] for members in self.frames.spokes]
        if min(len(members) for members in left) == 0:
            raise InputError(
                "frames",
                found="NaN or infinity in every spoke of a frame",
                expected="at least one that is finite",
                remedy="give a longer --frame-time",
            )
        frames = replace(
            self.frames,
            spokes=tuple(place[members] for members in left),
            footprints=tuple(footprint(self.spokes.time_s[members]) for members in left),
        )
        spokes = self.spokes.without(rows)
        shared = self.shared
        if shared is not None:
            shared = _rings(spokes, frames, shared.edges_per_m, self.fov_m)
        return replace(self, spokes=spokes, frames=frames, shared=shared)


@dataclass(frozen=True, slots=True)
class DynamicPlan:
    """What is reconstructed together."""

    which: Dynamic
    series: Mapping[int, DynamicSeries]
    """By the number of the series; see `find`."""
    first_rows: Mapping[int, tuple[int, int]]
    """First readout of each frame to its series and its place there."""
    sequence: Sequence | None
    """How signal follows the agent; None where no subspace is asked for."""

    def find(self, rows: Ints) -> tuple[int, int]:
        """Return the number of the series and the frame that some readouts are."""
        return self.first_rows[int(rows.min())]

    def sidecar(self, series: Series) -> dict[str, object]:
        """Return the temporal footprint of a series' frames for its sidecar, in seconds."""
        number, _ = self.find(series.volumes[0].rows)
        mine = self.series[number]
        prints = mine.frames.footprints
        told: dict[str, object] = {
            "DynamicReconstruction": str(self.which),
            "FrameTimesCentre": [_tidy(p.mean_s) for p in prints],
            "FrameFootprintWidth": [_tidy(p.width_s) for p in prints],
            "FrameFootprintStandardDeviation": [_tidy(p.sd_s) for p in prints],
            "FrameSpokes": [p.spokes for p in prints],
            "SpokeDuration": _tidy(mine.spokes.span_s),
            "FrameFootprintNote": WIDER if mine.shared is None else OWN,
        }
        if mine.shared is not None:
            rings = mine.shared.footprints
            told |= {
                "RingOuterRadius_per_m": [_tidy(r) for r in mine.shared.edges_per_m.tolist()],
                "RingSpokes": [[p.spokes for p in frame] for frame in rings],
                "RingFootprintWidth": [[_tidy(p.width_s) for p in frame] for frame in rings],
                "RingTimeOffset": [
                    [_tidy(p.mean_s - frame[0].mean_s) for p in frame] for frame in rings
                ],
            }
        return told


def refuse_dynamic(n_coils: int, options: ReconOptions, *, positions: bool, stated: str) -> None:
    """Refuse what cannot be a dynamic series, before anything is planned.

    Raises
    ------
    UsageError
        No frame time, or no spokes.
    InputError
        One channel.
    """
    if not positions:
        raise UsageError(
            f"--method dynamic needs spokes: this measurement is {stated or 'Cartesian'} and has "
            "no trajectory; leave it out, or give --trajectory FILE"
        )
    if options.frame_time_s is None:
        raise UsageError("--method dynamic needs --frame-time S, the length of a frame in seconds")
    if n_coils < 2:
        raise InputError(
            "receive channels",
            found="one channel",
            expected="at least two",
            remedy="run with --method gridding",
        )


def plan_dynamic(
    raw: RawData, volumes: list[Volume], encoding: EncodingPlan, options: ReconOptions
) -> tuple[DynamicPlan, list[Volume], list[Finding]]:
    """Cut the spokes of every volume into frames, by their k-centre times.

    Parameters
    ----------
    raw
        The measurement.
    volumes
        Before they are cut: one slice or slab each.
    encoding
        Theirs.
    options
        What is asked for.

    Raises
    ------
    UsageError
        Frames so short that one would hold fewer than `LEAST` spokes.
    InputError
        What is no series of spokes; for a subspace a header that does not say the sequence.
    """
    grid, length_s = encoding.non_cartesian, options.frame_time_s
    assert grid is not None
    assert length_s is not None
    origin_s = _origin(raw, volumes)
    series: dict[int, DynamicSeries] = {}
    first_rows: dict[int, tuple[int, int]] = {}
    made: list[Volume] = []
    findings: list[Finding] = []
    for number, volume in enumerate(volumes):
        spokes, more = spokes_of(raw, grid, volume)
        findings += more
        spokes = replace(spokes, time_s=spokes.time_s - origin_s)
        frames = _cut(spokes, length_s)
        shared = _shared(spokes, frames, encoding, options)
        series[number] = DynamicSeries(spokes, frames, _fov(encoding), shared)
        frame_of = np.full(len(raw.readouts), -1, np.int64)
        for frame, members in enumerate(frames.spokes):
            rows = spokes.rows[members]
            frame_of[rows] = frame
            first_rows[int(rows.min())] = (number, frame)
        made += [v for v in split_frames([volume], frame_of) if v.counters[FRAME] >= 0]
        findings += _describe(spokes, frames, encoding, length_s)
    subspace = options.dynamic is Dynamic.SUBSPACE
    plan = DynamicPlan(
        which=options.dynamic,
        series=series,
        first_rows=first_rows,
        sequence=_sequence(raw.header) if subspace else None,
    )
    return plan, made, list(dict.fromkeys(findings))


def _origin(raw: RawData, volumes: list[Volume]) -> float:
    rows = np.sort(np.concatenate([volume.rows for volume in volumes]))
    return float(readout_times(raw, rows)[0][rows].min())


def _cut(spokes: Spokes, length_s: float) -> Frames:
    """Cut spokes into frames; what is left at the end with too few is left out."""
    gaps = np.diff(spokes.time_s)
    if not gaps.any():
        raise InputError(
            "acquisition_time_stamp",
            found=f"the same value in all {len(spokes.time_s)} spokes",
            expected="the time of each spoke, to sort them into frames",
            remedy="run without --method dynamic, or convert the measurement again",
        )
    few = np.convolve(gaps, np.ones(min(LEAST, len(gaps))), mode="valid").max()
    # Windows far below the spokes' distance would be as many as a disk has blocks: told first.
    if length_s * len(spokes.time_s) < gaps.sum():
        raise _too_short(length_s, few)
    frames = frames_by_time(spokes.time_s, length_s=length_s)
    counts = np.array([len(members) for members in frames.spokes])
    windows = int(frames.windows[-1]) + 1
    if len(frames.windows) < windows or (counts[:-1] < LEAST).any() or counts[0] < LEAST:
        raise _too_short(length_s, few)
    if counts[-1] >= LEAST:
        return frames
    return frames_by_time(spokes.time_s, length_s=length_s, at_least=LEAST)


def _too_short(length_s: float, needed_s: float) -> UsageError:
    return UsageError(
        f"--frame-time {length_s:g}: a frame would hold fewer than {LEAST} spokes; give at least "
        f"{needed_s:.3g}"
    )


def _shared(
    spokes: Spokes, frames: Frames, encoding: EncodingPlan, options: ReconOptions
) -> SharedFrames | None:
    if options.dynamic is not Dynamic.VIEW_SHARING:
        return None
    voxel = encoding.voxel_m
    edge = min(1 / (2 * voxel[0]), 1 / (2 * voxel[1]))
    reach = min(edge, float(np.linalg.norm(spokes.k_per_m, axis=-1).max()))
    return _rings(spokes, frames, reach * np.array(RINGS), _fov(encoding))


def _rings(spokes: Spokes, frames: Frames, edges_per_m: Float64, fov_m: float) -> SharedFrames:
    return share_views(spokes.time_s, frames, edges_per_m=edges_per_m, fov_m=fov_m)


def _fov(encoding: EncodingPlan) -> float:
    _, y, x = encoding.shape
    return max(x * encoding.voxel_m[0], y * encoding.voxel_m[1])


def _describe(
    spokes: Spokes, frames: Frames, encoding: EncodingPlan, length_s: float
) -> list[Finding]:
    counts = [len(members) for members in frames.spokes]
    needed = np.pi / 2 * max(encoding.shape[1:])
    usual = float(np.median(counts))
    found = [
        info(
            "frames",
            found=f"{len(counts)} of {length_s:g} s, {min(counts)} to {max(counts)} spokes each, "
            f"of {len(spokes.time_s)}; one of {max(1.0, needed / usual):.1f} that k-space takes",
            expected="--frame-time",
            remedy="sorted by the time at which a spoke passes the centre of k-space",
        )
    ]
    left = [held for _, held in frames.left_out]
    if left:
        found.append(
            warning(
                "short last frame",
                found=f"{left[-1]} spokes; the others hold {usual:g}",
                expected=f"at least {LEAST}",
                remedy="left out",
            )
        )
    return found


def _tidy(value: float) -> float:
    """Return a number as it is written: to a microsecond."""
    return round(value, 6)


def _sequence(header: Header) -> Sequence:
    """Return what the library of enhancement curves needs of the header."""
    given = {
        "flipAngle_deg": header.flip_angles_deg,
        "TR": header.repetition_times_s,
        "TE": header.echo_times_s,
    }
    missing = [name for name, values in given.items() if not values or not min(values) > 0]
    if missing:
        raise InputError(
            f"sequenceParameters {', '.join(missing)}",
            found="not stated",
            expected="flip angle, TR and TE, from which enhancement curves follow",
            remedy="choose another --dynamic, or complete the header",
        )
    return Sequence(
        flip_rad=float(np.deg2rad(header.flip_angles_deg[0])),
        tr_s=header.repetition_times_s[0],
        te_s=header.echo_times_s[0],
    )
