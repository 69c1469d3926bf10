"""Where the readouts of a non-Cartesian encoding sample k-space.

The trajectory stands in the file, readout by readout, or comes from a second file whose shots are
matched to the readouts by their counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.lines import kept_samples
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.readouts import name_readout

if TYPE_CHECKING:
    from ultrahand.recon.sorting import Volume
    from ultrahand.records.arrays import Float32, Ints, Real, Structured
    from ultrahand.records.raw import RawData


@dataclass(frozen=True, slots=True)
class Shots:
    """Readouts of one length with their positions in k-space, in the file's unit."""

    rows: Ints
    keep: slice
    """Samples of a readout that have a position."""
    k: Float32
    """Shape ``(shots, samples, dims)``."""
    shot_of: Ints
    """Shot of each row."""

    def of(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return those of the given rows that belong here, and their shots."""
        place = np.flatnonzero(np.isin(self.rows, rows))
        return self.rows[place], self.shot_of[place]


def from_file(raw: RawData, rows: Ints) -> list[Shots]:
    """Read the trajectory that stands beside the samples.

    Raises
    ------
    InputError
        Readouts without trajectory, of dimensions other than 2 and 3, or not finite.
    """
    table = raw.readouts
    dims = table["trajectory_dimensions"][rows]
    wrong = (dims != 2) & (dims != 3)
    if wrong.any() or (dims != dims[0]).any():
        row = int(rows[np.argmax(wrong if wrong.any() else dims != dims[0])])
        raise InputError(
            f"{name_readout(table, row)}, trajectory_dimensions",
            found=str(int(table["trajectory_dimensions"][row])),
            expected="2 or 3 in every readout of a non-Cartesian measurement",
            remedy="give the trajectory with --trajectory FILE",
        )
    shots = []
    for mine, keep in kept_samples(table, rows):
        k = raw.source.trajectory(mine)[:, keep]
        _check_finite(table, mine, k)
        shots.append(Shots(mine, keep, np.ascontiguousarray(k), np.arange(len(mine))))
    return shots


def _check_finite(table: Structured, rows: Ints, k: Float32) -> None:
    wrong = ~np.isfinite(k).all(axis=(1, 2))
    if wrong.any():
        raise InputError(
            f"{name_readout(table, int(rows[np.argmax(wrong)]))}, trajectory",
            found=f"NaN or infinity (in {int(wrong.sum())} of {len(rows)} readouts)",
            expected="finite positions",
            remedy="convert the measurement again, or give the trajectory with --trajectory FILE",
        )


def from_array(
    raw: RawData, volumes: list[Volume], array: Real, offset: int, axes: str | None
) -> tuple[list[Shots], list[Finding]]:
    """Match the shots of an external trajectory to the readouts, by counts.

    Parameters
    ----------
    raw
        The measurement.
    volumes
        Its volumes; all of one encoding.
    array
        Shape ``(shots, samples, dims)`` in any order of the axes, or shots and samples in one.
    offset
        Leading samples to skip: of the readouts where they are longer than the trajectory, of the
        trajectory where it is longer, of both where they are equal.
    axes
        The order of the axes, as ``shots,samples,dims``; needed only where counts leave it open.

    Raises
    ------
    InputError
        Counts that do not fit, or fit in more than one way.
    """
    rows = np.concatenate([volume.rows for volume in volumes])
    lengths = kept_samples(raw.readouts, rows)
    if len(lengths) != 1:
        raise _refuse(
            f"readouts of {len(lengths)} different lengths",
            "readouts of one length",
            "convert the measurement again",
        )
    keep = lengths[0][1]
    stored = int(raw.readouts["number_of_samples"][rows[0]])
    fits = _fits(stored, keep, offset)
    maps = _shot_maps(raw.readouts, volumes)
    found = _arrangements(np.asarray(array), maps, set(fits), axes)
    repeats = ", ".join(str(n) for n in maps)
    n_kept = keep.stop - keep.start
    discarded = f" ({stored - n_kept} more are discarded)" if stored > n_kept else ""
    counts = (
        f"shape {array.shape}, offset {offset}, for {len(rows)} readouts ({repeats} a repetition) "
        f"of {n_kept} samples{discarded}"
    )
    if not found:
        raise _refuse(
            counts,
            "one shot a readout and, after the offset, one position a sample",
            "give the trajectory of this measurement, or --trajectory-offset N",
        )
    if len(found) > 1:
        orders = sorted({order for order, _ in found})
        shapes = " or ".join(sorted({str(k.shape[:2]) for _, k in found}))
        raise _refuse(
            counts,
            f"counts that leave one reading; they allow {' or '.join(orders)}, of {shapes} shots "
            "and samples",
            "say which with --trajectory-axes"
            if len(orders) > 1
            else "give the trajectory with three axes",
        )
    order, k = found[0]
    shot_of, how = maps[k.shape[0]](rows)
    fit = fits[k.shape[1]]
    wrong = ~np.isfinite(k).all(axis=(1, 2))
    if wrong.any():
        raise _refuse(
            f"NaN or infinity in {int(wrong.sum())} of {len(k)} shots, the first {wrong.argmax()}",
            "finite positions",
            "correct the trajectory",
        )
    note = info(
        "external trajectory",
        found=f"{counts}; axes {order}",
        expected="one shot a readout",
        remedy=f"shots matched {how}; samples {fit.samples.start} to {fit.samples.stop - 1} of "
        f"each readout take positions {fit.positions.start} to {fit.positions.stop - 1}",
    )
    findings = [note]
    if how.startswith("by ") and (np.diff(shot_of[np.argsort(rows)]) < 0).any():
        findings += _scrambled(raw.readouts, volumes)
    k = np.ascontiguousarray(k[:, fit.positions], np.float32)
    return [Shots(rows, fit.samples, k, shot_of)], findings


class _Fit(NamedTuple):
    """Which samples of a readout take which positions of a shot."""

    samples: slice
    positions: slice


def _fits(stored: int, keep: slice, offset: int) -> dict[int, _Fit]:
    """Return the lengths that a shot can have, each with its way to fit the readouts."""
    n = keep.stop - keep.start
    late = slice(keep.start + offset, keep.stop)
    ways = [
        (n - offset, _Fit(late, slice(0, n - offset))),
        (n + offset, _Fit(keep, slice(offset, n + offset))),
        (n, _Fit(late, slice(offset, n))),
        (stored, _Fit(late, slice(keep.start + offset, keep.stop))),  # discards have positions too
    ]
    fits: dict[int, _Fit] = {}
    for length, fit in ways:
        if 0 <= offset < n:
            fits.setdefault(length, fit)
    return fits


def _scrambled(table: Structured, volumes: list[Volume]) -> list[Finding]:
    """Warn where shots were not taken in the order of their counter: two readings are possible."""
    for volume in volumes:
        for rows in volume.slices.values():
            ordered = np.sort(rows)
            steps, averages = (table[n][ordered] for n in ("kspace_encode_step_1", "average"))
            back = np.diff(steps) < 0
            if any(
                (back & (averages[1:] == a) & (averages[:-1] == a)).any() for a in set(averages)
            ):
                return [
                    warning(
                        "external trajectory",
                        found="shots that were not taken in the order of kspace_encode_step_1",
                        expected="a trajectory in the order of that counter",
                        remedy="sort the trajectory so if it is in the order of acquisition",
                    )
                ]
    return []


_ShotMap = Callable[["Ints"], "tuple[Ints, str]"]


def _shot_maps(table: Structured, volumes: list[Volume]) -> dict[int, _ShotMap]:
    """Return the shot counts that make sense, each with its way to give every row a shot."""
    rows = np.concatenate([volume.rows for volume in volumes])
    images = [np.sort(part) for volume in volumes for part in volume.slices.values()]
    average, step = table["average"], table["kspace_encode_step_1"]
    passes = [part[average[part] == a] for part in images for a in np.unique(average[part])]
    maps: dict[int, _ShotMap] = {}

    def in_order(groups: list[Ints], how: str) -> None:
        if len({len(group) for group in groups}) != 1:
            return
        rank = np.empty(len(table), np.int64)
        for group in groups:
            rank[group] = np.arange(len(group))
        said = f"in the order of acquisition{how}"
        maps.setdefault(len(groups[0]), lambda wanted: (rank[wanted], said))

    in_order([np.sort(rows)], "")
    in_order(images, " within a repetition")
    in_order(passes, " within an average")
    values = np.unique(step[rows])
    # An aborted repetition lacks some steps; what is there still names its shot.
    if values[0] == 0 and values[-1] == len(values) - 1 and len(values) > 1:
        maps[len(values)] = lambda wanted: (
            step[wanted].astype(np.int64),
            "by kspace_encode_step_1",
        )
    return maps


def _arrangements(
    array: Real, maps: dict[int, _ShotMap], lengths: set[int], axes: str | None
) -> list[tuple[str, Real]]:
    """Find every way to read the array as (shots, samples, dims)."""
    found: list[tuple[str, Real]] = []
    if array.ndim == 3:
        for order in itertools.permutations(range(3)):
            names = [""] * 3
            for axis, name in zip(order, ("shots", "samples", "dims"), strict=True):
                names[axis] = name
            label, candidate = ",".join(names), array.transpose(order)
            shots, samples, dims = candidate.shape
            if shots in maps and samples in lengths and dims in (2, 3):
                found.append((label, candidate))
    elif array.ndim == 2:
        for label, flat in (("shots*samples,dims", array), ("dims,shots*samples", array.T)):
            for shots, length in itertools.product(maps, lengths):
                if flat.shape[1] in (2, 3) and flat.shape[0] == shots * length and length > 0:
                    found.append((label, flat.reshape(shots, length, flat.shape[1])))
    return [(label, k) for label, k in found if axes is None or label == axes]


def _refuse(found: str, expected: str, remedy: str) -> InputError:
    return InputError("external trajectory", found=found, expected=expected, remedy=remedy)
