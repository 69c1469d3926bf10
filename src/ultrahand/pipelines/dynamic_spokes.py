"""The readouts of a 2D radial acquisition or a stack of stars as spokes, and when each is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.pipelines.timing import readout_times
from ultrahand.recon.dynamic_times import centre_times_s, crossing_samples
from ultrahand.records.findings import Finding, warning
from ultrahand.records.readouts import name_readout

if TYPE_CHECKING:
    from ultrahand.recon.non_cartesian import NonCartesianPlan
    from ultrahand.recon.sorting import Volume
    from ultrahand.records.arrays import Bools, Float64, Ints
    from ultrahand.records.raw import RawData

STRAIGHT: Final = 0.05
"""Of a spoke's reach: how far its samples may lie from a line, and partitions from one spoke."""
COMPLETE: Final = 0.9
"""Share of the spokes that must have all partitions: less is no stack, but something else."""
_REMEDY: Final = "run with --method gridding"


@dataclass(frozen=True, slots=True)
class Spokes:
    """Spokes of one acquisition, in the order of time."""

    rows: Ints
    """Readouts of each, ``(spokes, partitions)``."""
    keep: slice
    """Samples of a readout that have a position."""
    k_per_m: Float64
    """In the plane, ``(spokes, samples, 2)``."""
    kz_per_m: Float64
    """Of the partitions, rising, ``(partitions,)``; one, at 0, in 2D."""
    time_s: Float64
    """When each passes the centre of k-space, ``(spokes,)``."""
    span_s: float
    """From the first to the last readout of a spoke: 0 in 2D."""

    def without(self, rows: Ints) -> Spokes:
        """Return those in which none of some readouts takes part."""
        kept = ~np.isin(self.rows, rows).any(axis=1)
        return replace(
            self, rows=self.rows[kept], k_per_m=self.k_per_m[kept], time_s=self.time_s[kept]
        )


def spokes_of(raw: RawData, plan: NonCartesianPlan, volume: Volume) -> tuple[Spokes, list[Finding]]:
    """Sort the readouts of one slice or slab into spokes.

    A spoke of a stack of stars is one angle in all partitions: the n-th time that each of them is
    measured with one ``kspace_encode_step_1``. Its time is that of the partition nearest to kz = 0.

    Raises
    ------
    InputError
        Readouts of several lengths, that are curved, that miss the centre of k-space, or
        partitions that differ in their angles or numbers.
    """
    parts = plan.positions(volume.rows)
    if len(parts) > 1:
        raise _refuse("readouts", f"{len(parts)} different lengths", "one length")
    rows, keep, trajectory = parts[0]
    k = trajectory.k_per_m.reshape(len(rows), -1, trajectory.k_per_m.shape[1])
    kz = np.zeros(len(rows))
    if k.shape[2] == 3:
        kz = k[:, 0, 2]
        reach = np.abs(k).max()
        if np.abs(k[:, :, 2] - kz[:, None]).max() > 1e-3 * reach:
            raise _refuse(
                f"trajectory of {name_readout(raw.readouts, int(rows[0]))}",
                "k along slice that changes within a readout",
                "spokes in a plane, or a stack of stars",
            )
    place = _table(raw, rows, kz, plan)
    complete: Bools = np.asarray(np.all(place >= 0, axis=1))
    findings = _incomplete(complete, volume)
    place = place[complete]
    levels = kz[place[0]]
    flat = k[place][..., :2]
    _check_lines(raw, rows[place], flat)
    centre = int(np.argmin(np.abs(levels)))
    own = flat[:, centre]
    times, _, _ = readout_times(raw, np.sort(rows))
    starts = times[rows[place]]
    dwell = float(raw.readouts["sample_time_s"][rows[0]])
    time_s = starts[:, centre].astype(np.float64)
    crossings = crossing_samples(own)
    if dwell > 0:
        time_s = centre_times_s(time_s, crossings, dwell)
    order = np.argsort(time_s, kind="stable")
    spans = starts.max(axis=1) - starts.min(axis=1)
    spokes = Spokes(
        rows=rows[place][order],
        keep=keep,
        k_per_m=own[order],
        kz_per_m=levels,
        time_s=time_s[order],
        span_s=float(np.median(spans)),
    )
    return spokes, findings


def _table(raw: RawData, rows: Ints, kz: Float64, plan: NonCartesianPlan) -> Ints:
    """Return the place in ``rows`` of each spoke's partitions, -1 where one is missing."""
    fov_m = plan.shape[0] * plan.voxel_m[2]
    _, level = np.unique(np.round(kz * fov_m, 2), return_inverse=True)
    step = raw.readouts["kspace_encode_step_1"][rows].astype(np.int64)
    # How often the same partition was measured with the same step before.
    key = step * (level.max() + 1) + level
    order = np.argsort(key, kind="stable")
    begins = np.r_[True, np.diff(key[order]) != 0]
    first = np.maximum.accumulate(np.where(begins, np.arange(len(key)), 0))
    turn = np.empty(len(key), np.int64)
    turn[order] = np.arange(len(key)) - first
    spokes, number = np.unique(np.stack([step, turn]), axis=1, return_inverse=True)
    table = np.full((spokes.shape[1], int(level.max()) + 1), -1, np.int64)
    table[number.reshape(-1), level] = np.arange(len(rows))
    return table


def _incomplete(complete: Bools, volume: Volume) -> list[Finding]:
    missing = int((~complete).sum())
    if not missing:
        return []
    found = f"{missing} of {len(complete)} without all partitions"
    if complete.mean() < COMPLETE:
        raise _refuse("spokes", found, "a stack of stars: every spoke in every partition")
    return [
        warning(
            "spokes",
            found=found,
            expected="every spoke in every partition",
            remedy=f"these spokes are left out, of {len(volume.rows)} readouts",
        )
    ]


def _check_lines(raw: RawData, rows: Ints, k: Float64) -> None:
    """Refuse what is not straight, or turns from partition to partition."""
    ends = k[:, :, -1] - k[:, :, 0]
    length = np.linalg.norm(ends, axis=-1)
    if not (length > 0).all():
        raise _refuse("trajectory", "readouts of one position", "spokes")
    along = ends / length[..., None]
    across = k[..., 0] * along[..., None, 1] - k[..., 1] * along[..., None, 0]
    bent = (np.ptp(across, axis=-1) > STRAIGHT * length).any(axis=1)
    if bent.any():
        raise _refuse(
            f"trajectory of {name_readout(raw.readouts, int(rows[np.argmax(bent), 0]))}",
            f"a curve ({int(bent.sum())} of {len(bent)} spokes)",
            "straight spokes",
        )
    apart = np.abs(k - k[:, :1]).max(axis=(1, 2, 3))
    if (apart > STRAIGHT * length[:, 0]).any():
        raise _refuse(
            "trajectory",
            f"partitions at different angles in {int((apart > STRAIGHT * length[:, 0]).sum())} of "
            f"{len(apart)} spokes",
            "a stack of stars: the same angle in every partition",
        )


def _refuse(field: str, found: str, expected: str) -> InputError:
    return InputError(field, found=found, expected=expected, remedy=_REMEDY)
