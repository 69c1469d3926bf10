"""Where every readout of a Cartesian encoding goes, and which lines are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.axes import Axis, axes_of
from ultrahand.recon.lines import ReadoutClass, line_indices, readout_classes
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.records.arrays import Ints
    from ultrahand.records.raw import RawData


@dataclass(frozen=True, slots=True)
class CartesianPlan:
    """Where every imaging readout of one encoding goes."""

    axes: tuple[Axis, Axis, Axis]
    """Read, phase, slice."""
    classes: tuple[ReadoutClass, ...]
    line1: Ints
    """Grid row along phase of every readout of the table; -1 where it is not used."""
    line2: Ints
    """The same along slice."""
    shape_of: Ints
    """Which of `classes` every readout of the table belongs to; -1 where it is not used."""
    three_d: bool

    @property
    def both_directions(self) -> bool:
        """Whether some readouts run forward and some are reversed."""
        return len({shape.reverse for shape in self.classes}) == 2

    def used(self, rows: Ints) -> Ints:
        """Return the rows that the grid holds: a coarser image leaves the outer lines out."""
        return rows[self.shape_of[rows] >= 0]

    def lines(self, rows: Ints) -> Ints:
        """Return which lines some rows acquired: signed ``(z, y)`` of each, in order."""
        rows = self.used(rows)
        places = np.stack([self.line2[rows], self.line1[rows]], axis=1)
        half = np.array([axis.n_grid // 2 for axis in self.axes[:0:-1]])
        sizes = np.array([axis.n_grid for axis in self.axes[:0:-1]])
        return np.unique((places + half) % sizes - half, axis=0)


def plan_cartesian(
    raw: RawData, rows: Ints, encoding_index: int, *, three_d: bool
) -> tuple[CartesianPlan, list[Finding]]:
    """Place the readouts of one encoding.

    Raises
    ------
    InputError
        A readout that does not fit the encoded matrix.
    """
    encoding = raw.header.encodings[encoding_index]
    axes, findings = axes_of(encoding, three_d=three_d)
    classes, more = readout_classes(raw.readouts, rows, raw.header, axes[0].n_encoded)
    findings += more
    kept = np.ones(len(rows), bool)
    placed = []
    for step in (1, 2) if three_d else (1,):
        size = axes[step].n_encoded
        k, more = line_indices(raw.readouts, rows, f"kspace_encode_step_{step}", encoding, size)
        findings += more
        kept &= axes[step].on_grid(k)
        table = np.full(len(raw.readouts), -1)
        table[rows] = axes[step].grid_rows(k)
        placed.append(table)
    if not three_d:
        placed.append(np.zeros(len(raw.readouts), np.int64))
    short = min(shape.n_kept for shape in classes)
    if short < axes[0].n_encoded:
        findings.append(
            info(
                "partial echo",
                found=f"{short} of {axes[0].n_encoded} samples",
                expected="all",
                remedy="the rest is zero, or filled with --partial-fourier pocs",
            )
        )
    if not kept.all():
        dropped = rows[~kept]
        classes = [_without(c, dropped) for c in classes]
        for table in placed:
            table[dropped] = -1
        findings.append(
            info(
                "readouts beyond the asked resolution",
                found=f"{len(dropped)}",
                expected="lines of the asked voxel size",
                remedy="left out",
            )
        )
    shape_of = np.full(len(raw.readouts), -1)
    for number, shape in enumerate(classes):
        shape_of[shape.rows] = number
    plan = CartesianPlan(axes, tuple(classes), placed[0], placed[1], shape_of, three_d)
    return plan, findings


def missing_lines(
    plan: CartesianPlan, parts: list[tuple[str, Ints]], asked: tuple[int, int] | None
) -> tuple[list[Finding], Finding | None]:
    """Report lines of the encoded matrix that no readout filled.

    Parameters
    ----------
    plan
        Where readouts go.
    parts
        Name and rows of every volume (3D) or slice (2D).
    asked
        Acceleration that the header declares.

    Returns
    -------
    list of Finding, Finding or None
        What is missing, and apart from it gaps: an image of zeros in their place aliases.
    """
    total = 1
    for axis in plan.axes[1:]:
        total *= min(axis.n_encoded, axis.n_grid)
    filled = {name: plan.lines(rows) for name, rows in parts}
    counts = {name: len(lines) for name, lines in filled.items()}
    fewest, most = min(counts, key=counts.__getitem__), max(counts.values())
    findings = []
    if counts[fewest] < most:
        short = sum(count < most for count in counts.values())
        findings.append(
            warning(
                "incomplete volumes",
                found=f"{short} of {len(parts)} have fewer lines than the others; fewest in "
                f"{fewest}: {counts[fewest]} of {most}",
                expected="as many lines in each",
                remedy="what is missing is zero; was the measurement stopped?",
            )
        )
    if most >= total:
        return findings, None
    best = filled[max(counts, key=counts.__getitem__)]
    if _in_one_piece(best):
        z, y = (int(n) for n in np.ptp(best, axis=0) + 1)
        sizes = [axis.n_grid for axis in plan.axes[:0:-1]]
        findings.append(
            info(
                "k-space beyond the sampled region",
                found=f"{most} of {total} lines, in one piece about the centre: {y} of {sizes[1]} "
                f"lines, {z} of {sizes[0]} partitions",
                expected="all",
                remedy="the rest is zero"
                + (", or filled with --partial-fourier pocs" if z * y == most else ""),
            )
        )
        return findings, None
    declared = f", acceleration {asked[0]} x {asked[1]} declared" if asked else ""
    gaps = warning(
        "missing lines",
        found=f"{most} of {total} lines of the encoded matrix{declared}",
        expected="all lines, or partial Fourier",
        remedy="the others are zero: the image is undersampled and aliases",
    )
    return findings, gaps


def refuse_gaps(plan: CartesianPlan, parts: list[tuple[str, Ints]]) -> None:
    """Refuse lines that POCS cannot complete: it fills missing ends, not gaps or cut corners.

    Raises
    ------
    InputError
        Lines of a volume or slice that are no block about the centre.
    """
    for name, rows in parts:
        lines = plan.lines(rows)
        z, y = (int(n) for n in np.ptp(lines, axis=0) + 1) if len(lines) else (0, 0)
        if not len(lines) or z * y != len(lines) or not _in_one_piece(lines):
            raise InputError(
                "missing lines",
                found=f"{len(lines)} lines in {name}, not one block about the centre",
                expected="for POCS, one end of an axis missing",
                remedy="run with --partial-fourier zero",
            )


def _in_one_piece(lines: Ints) -> bool:
    """Tell whether lines fill a region about k = 0 without gaps: a block, or cut corners."""
    if not (lines == 0).all(axis=1).any():
        return False
    for axis in (0, 1):
        order = np.lexsort((lines[:, 1 - axis], lines[:, axis]))
        steps = np.diff(lines[order], axis=0)
        same = steps[:, axis] == 0  # within one row
        if (steps[same, 1 - axis] != 1).any() or (steps[~same, axis] != 1).any():
            return False
    return True


def _without(shape: ReadoutClass, dropped: Ints) -> ReadoutClass:
    kept = shape.rows[~np.isin(shape.rows, dropped)]
    return ReadoutClass(kept, shape.keep, shape.reverse, shape.k_first, shape.n_kept)
