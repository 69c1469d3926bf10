"""View sharing: the outer rings of k-space of a frame from the spokes of its neighbours, too.

KWIC (Song, Dougherty: Magn Reson Med 2000;44:825,
doi:10.1002/1522-2594(200012)44:6<825::AID-MRM1>3.0.CO;2-D): contrast comes from the centre, where
few spokes suffice, and each ring outwards takes spokes from a longer time until it is sampled as
densely as it needs. What changes fast is blurred in time the more, the finer its detail: so each
ring has a footprint of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.errors import UsageError
from ultrahand.recon.dynamic_frames import Frames
from ultrahand.recon.dynamic_times import Footprint, footprint
from ultrahand.records.arrays import Bools, Float64, Ints, freeze, require


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SharedFrames:
    """Frames that share views."""

    frames: Frames
    """Of the centre: their times are those of the shared frames."""
    edges_per_m: Float64
    """Outer radius of each ring, rising, ``(rings,)``; the last ring has no end."""
    spokes: tuple[tuple[Ints, ...], ...]
    """``spokes[frame][ring]``, in the order of time; each ring holds those of the ring within."""
    footprints: tuple[tuple[Footprint, ...], ...]
    """``footprints[frame][ring]``. Where neighbours lack on one side, at either end and beside
    pauses, the ring's mean lies off the frame's time."""

    def __post_init__(self) -> None:
        freeze(self, edges_per_m=self.edges_per_m)

    def members(self, frame: int) -> Ints:
        """Return all spokes of a frame, in the order of time."""
        return self.spokes[frame][-1]

    def used(self, frame: int, k_per_m: Float64) -> Bools:
        """Tell which samples of the spokes of `members` belong to a frame.

        Parameters
        ----------
        frame
            Its number.
        k_per_m
            Positions of all spokes, ``(spokes, samples, dims)``.

        Returns
        -------
        ndarray
            ``(members, samples)``.
        """
        everyone = self.members(frame)
        radius = np.linalg.norm(k_per_m[everyone], axis=-1)
        ring = np.searchsorted(self.edges_per_m[:-1], radius, side="left")
        shared = np.stack([np.isin(everyone, part) for part in self.spokes[frame]])
        return np.take_along_axis(shared.T, ring, axis=1)

    def facts(self) -> dict[str, list[float] | list[list[float]]]:
        """Return what a sidecar says; of each frame a list over rings, in seconds."""
        rings = self.footprints
        own = {name: list(values) for name, values in self.frames.facts().items()}
        return {
            **own,
            "RingOuterRadius_per_m": self.edges_per_m.tolist(),
            "RingSpokes": [[float(p.spokes) for p in frame] for frame in rings],
            "RingFootprintWidth": [[p.width_s for p in frame] for frame in rings],
            "RingFootprintStandardDeviation": [[p.sd_s for p in frame] for frame in rings],
            "RingTimeOffset": [[p.mean_s - frame[0].mean_s for p in frame] for frame in rings],
        }


def share_views(
    time_s: Float64,
    frames: Frames,
    *,
    edges_per_m: Float64,
    fov_m: float,
    nyquist: float = 1.0,
    reach_s: float = math.inf,
) -> SharedFrames:
    """Let the rings of each frame take the spokes nearest to it in time.

    A ring of outer radius k needs ``nyquist pi k FOV`` full spokes: they are then ``1 / (nyquist
    FOV)`` apart at k. The innermost ring has the frame's own alone.

    Parameters
    ----------
    time_s
        K-centre times of all spokes, ``(spokes,)``.
    frames
        From `ultrahand.recon.dynamic_frames`.
    edges_per_m
        Outer radii of the rings, rising and positive; the last should be the edge of k-space.
    fov_m
        The field of view that must not alias.
    nyquist
        1 for full sampling, less to share less.
    reach_s
        No spoke further from a frame's time is taken, sampled enough or not; it bounds the
        footprint to twice that.

    Raises
    ------
    UsageError
        Radii that do not rise, or numbers out of range.
    """
    edges = np.asarray(edges_per_m, np.float64)
    require(edges.ndim == 1 and edges.size > 0, f"edges_per_m must be (rings,), got {edges.shape}")
    if not (bool((np.diff(edges, prepend=0.0) > 0).all()) and math.isfinite(edges[-1])):
        raise UsageError(f"radii of rings must rise from above 0, found {edges.tolist()}")
    if not (0 < fov_m < math.inf and 0 < nyquist < math.inf and reach_s >= 0):
        raise UsageError("fov_m and nyquist must be positive, reach_s not negative")
    needed = np.ceil(nyquist * math.pi * edges * fov_m - 1e-9).astype(np.int64)
    spokes, prints = [], []
    for own, centre in zip(frames.spokes, frames.footprints, strict=True):
        rings = _rings(time_s, own, centre.mean_s, needed, reach_s)
        spokes.append(rings)
        prints.append(tuple(footprint(time_s[members]) for members in rings))
    return SharedFrames(
        frames=frames, edges_per_m=edges, spokes=tuple(spokes), footprints=tuple(prints)
    )


def _rings(
    time_s: Float64, own: Ints, centre_s: float, needed: Ints, reach_s: float
) -> tuple[Ints, ...]:
    """Return the spokes of each ring: the own, then others, the nearest in time first."""
    away = np.abs(time_s - centre_s)
    others = np.setdiff1d(np.flatnonzero(away <= reach_s), own)
    others = others[np.argsort(away[others], kind="stable")]
    rings = [own]
    for number in needed[1:]:
        more = max(0, int(number) - len(own), len(rings[-1]) - len(own))
        members = np.concatenate([own, others[:more]])
        rings.append(members[np.argsort(time_s[members], kind="stable")])
    return tuple(rings)
