"""Cartesian reconstruction: readouts to a k-space grid, grid to coil images.

The grid is kept with its origin at index 0, so that no shift is ever copied; the readout axis is
transformed block by block while readouts arrive, zero-filled to the encoded matrix first and
cropped to the asked field of view after (so oversampling costs no memory).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError, RecordError
from ultrahand.recon import fourier
from ultrahand.recon.axes import Axis, axes_of, runs_of
from ultrahand.recon.conditioning import Progress, Watch, each_block
from ultrahand.recon.lines import ReadoutClass, line_indices, readout_classes
from ultrahand.recon.partial_fourier import fill_partial_fourier
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.records.arrays import Bools, Complex64, Float32, Float64, Ints
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
) -> list[Finding]:
    """Report lines of the encoded matrix that no readout filled.

    Parameters
    ----------
    plan
        Where readouts go.
    parts
        Name and rows of every volume (3D) or slice (2D).
    asked
        Acceleration that the header declares.
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
        return findings
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
                remedy="the rest is zero; one missing end is filled with --partial-fourier pocs",
            )
        )
        return findings
    declared = f", acceleration {asked[0]} x {asked[1]} declared" if asked else ""
    findings.append(
        warning(
            "missing lines",
            found=f"{most} of {total} lines of the encoded matrix{declared}",
            expected="all lines, or partial Fourier",
            remedy="the others are zero: the image is undersampled and aliases",
        )
    )
    return findings


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


def fill_grid(
    raw: RawData,
    plan: CartesianPlan,
    coverage: Coverage,
    *,
    whitening: Complex64 | None,
    coils: int,
    columns: slice,
    threads: int,
    watch: Watch,
    progress: Progress,
) -> Complex64:
    """Read readouts into hybrid space: image along read, k-space along phase and slice.

    Parameters
    ----------
    raw, plan
        The measurement and where its readouts go.
    coverage
        Of the readouts of one volume (3D) or one slice (2D); averages are merged.
    whitening
        See `noise.whitening_matrix`; None leaves the data as they are.
    coils
        Number of channels.
    columns
        Voxels along read to keep: a slab of the image.
    threads
        Blocks of readouts worked on at once.
    watch, progress
        See `conditioning.each_block`.

    Returns
    -------
    ndarray
        Shape ``(coils, z, y, x)``, origin of y and z at index 0, x in image order.
    """
    x, y, z = plan.axes
    # Of the whole image, whatever the slab: the last bits of a matrix product depend on its width.
    runs = runs_of(x.image_columns())
    grid = np.zeros((coils, z.n_grid, y.n_grid, columns.stop - columns.start), np.complex64)
    for shape, mine in coverage.groups():  # no line occurs twice in a group

        def place(
            part: slice,
            samples: Complex64,
            seen: Watch,
            shape: ReadoutClass = shape,
            mine: Ints = mine,
        ) -> None:
            line = on_grid(samples, shape, x)
            if plan.both_directions:
                seen.look_at_echo(line, raw.readouts[mine[part]], reverse=shape.reverse)
            if coverage.repeated:
                line *= coverage.weights(mine[part])[:, None, :]
            image = fourier.kspace_to_image_in_place(line, (-1,))
            lines = (slice(None), plan.line2[mine[part]], plan.line1[mine[part]])
            for there, here in runs:
                first, end = max(there.start, columns.start), min(there.stop, columns.stop)
                if first >= end:
                    continue
                # Whitening mixes coils only: it costs least where oversampling is gone.
                voxels = image[:, :, here]
                white = voxels if whitening is None else np.matmul(whitening, voxels)
                white = white[:, :, first - there.start : end - there.start].transpose(1, 0, 2)
                target = (*lines, slice(first - columns.start, end - columns.start))
                if coverage.repeated:
                    grid[target] += white
                else:
                    grid[target] = white

        each_block(raw, mine, shape.keep, place, threads=threads, watch=watch, progress=progress)
    return grid


def on_grid(samples: Complex64, shape: ReadoutClass, x: Axis) -> Complex64:
    """Turn reversed readouts round and zero-fill all to the grid, origin at index 0.

    Parameters
    ----------
    samples
        Shape ``(readouts, coils, samples)``, all of the class ``shape``.
    shape
        Where they lie along the readout.
    x
        The axis they lie on.

    Returns
    -------
    ndarray
        Shape ``(readouts, coils, x)``.
    """
    turned = samples[:, :, ::-1] if shape.reverse else samples
    k = shape.k_first + np.arange(shape.n_kept)
    kept = np.flatnonzero(x.on_grid(k))
    line = np.zeros((*turned.shape[:2], x.n_grid), np.complex64)
    for here, there in runs_of(x.grid_rows(k[kept])):
        line[:, :, there] = turned[:, :, kept[0] + here.start : kept[0] + here.stop]
    return line


class Coverage:
    """How often each sample of the grid was acquired: averages are merged by their counts.

    Readouts of a line may cover different samples (partial echoes read in both directions), so
    counts are kept per shape of readout and turned into counts per sample where needed.
    """

    def __init__(self, plan: CartesianPlan, rows: Ints) -> None:
        self._plan = plan
        rows = np.sort(plan.used(rows))
        kinds = plan.shape_of[rows]
        self._groups = [(shape, rows[kinds == n]) for n, shape in enumerate(plan.classes)]
        size = plan.axes[2].n_grid * plan.axes[1].n_grid
        self._per_shape = np.stack(
            [np.bincount(self._line(mine), minlength=size) for _, mine in self._groups], axis=1
        )
        self.repeated = bool((self._per_shape.sum(axis=1) > 1).any())

    def _line(self, rows: Ints) -> Ints:
        return self._plan.line2[rows] * self._plan.axes[1].n_grid + self._plan.line1[rows]

    def groups(self) -> list[tuple[ReadoutClass, Ints]]:
        """Return rows by shape, such that no line occurs twice in a group."""
        if not self.repeated:
            return [(shape, mine) for shape, mine in self._groups if mine.size]
        found = []
        for shape, mine in self._groups:
            turn = _occurrence(self._line(mine))
            found += [(shape, mine[turn == t]) for t in np.unique(turn)]
        return found

    def weights(self, rows: Ints) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Return one over the number of readouts that cover each sample, 0 where none does."""
        return _inverse(self._per_shape[self._line(rows)] @ self._masks()).astype(np.float32)

    def acquired(self) -> Bools:
        """Return which samples of the grid were acquired, shape ``(z, y, x)``, origin first."""
        y, z, x = self._plan.axes[1], self._plan.axes[2], self._plan.axes[0]
        return (self._per_shape @ self._masks() > 0).reshape(z.n_grid, y.n_grid, x.n_grid)

    @property
    def complete(self) -> bool:
        """Whether every sample of the grid was acquired."""
        counts, _ = self._patterns()
        return bool((counts > 0).all())

    def variance(self) -> float:
        """Noise variance of an image voxel for unit variance of a sample (orthonormal FFT)."""
        counts, lines = self._patterns()
        voxels = np.prod([float(axis.n_grid) for axis in self._plan.axes])
        return float((_inverse(counts).sum(axis=1) * lines).sum() / voxels)

    def _patterns(self) -> tuple[Float64, Ints]:
        """Return how often each sample of a line was acquired, for each kind of line there is."""
        patterns, lines = np.unique(self._per_shape, axis=0, return_counts=True)
        return patterns @ self._masks(), lines

    def _masks(self) -> Float64:
        """Return which samples each shape covers, shape ``(shapes, x)``, origin first."""
        x = self._plan.axes[0]
        masks = np.zeros((len(self._groups), x.n_grid))
        for i, (shape, _) in enumerate(self._groups):
            k = shape.k_first + np.arange(shape.n_kept)
            masks[i, x.grid_rows(k[x.on_grid(k)])] = 1
        return masks


def complete_grid(grid: Complex64, plan: CartesianPlan, coverage: Coverage, threads: int) -> None:
    """Fill the missing end of a partial acquisition by POCS, coil by coil, in place.

    Parameters
    ----------
    grid
        Shape ``(coils, z, y, x)`` as `fill_grid` returns it, the whole read axis.
    plan, coverage
        What was acquired.
    threads
        Of the transforms.

    Raises
    ------
    InputError
        What is missing is not one end of an axis: undersampling cannot be filled so.
    """
    x = plan.axes[0]
    k = np.arange(x.n_image) - x.n_image // 2
    acquired = coverage.acquired()[:, :, np.rint(k * x.n_grid / x.n_image).astype(int) % x.n_grid]
    acquired = np.fft.fftshift(acquired, (0, 1))
    for coil in range(len(grid)):
        kspace = fourier.image_to_kspace(grid[coil : coil + 1], (3,), workers=threads)
        kspace = fourier.from_fft_order(kspace, (1, 2))
        try:
            filled = fill_partial_fourier(kspace, acquired, workers=threads).value
        except RecordError:
            raise InputError(
                "missing lines",
                found=f"{int((~acquired).sum())} of {acquired.size} samples, not at one end",
                expected="for POCS, one end of an axis missing",
                remedy="run with --partial-fourier zero",
            ) from None
        hybrid = fourier.to_fft_order(
            fourier.kspace_to_image(filled, (3,), workers=threads), (1, 2)
        )
        grid[coil] = hybrid[0]


def to_image(grid: Complex64, plan: CartesianPlan, threads: int) -> Complex64:
    """Transform hybrid space of some coils to images of the asked size, in place.

    Parameters
    ----------
    grid
        Shape ``(coils, z, y, x)`` as `fill_grid` returns it; overwritten.
    plan
        Sizes of grid and image.
    threads
        Of the transform.

    Returns
    -------
    ndarray
        Shape ``(coils, z, y, x)`` in image order.
    """
    _, y, z = plan.axes
    axes = (1, 2) if plan.three_d else (2,)
    image = fourier.kspace_to_image_in_place(grid, axes, workers=threads)
    out = np.empty((len(grid), z.n_image, y.n_image, grid.shape[3]), np.complex64)
    for z_out, z_in in runs_of(z.image_columns()):
        for y_out, y_in in runs_of(y.image_columns()):
            out[:, z_out, y_out] = image[:, z_in, y_in]
    return out


def sum_of_squares_image(grid: Complex64, plan: CartesianPlan, threads: int) -> Float32:
    """Transform coil by coil and return the root of the sum of squares.

    Parameters
    ----------
    grid
        Shape ``(coils, z, y, x)`` as `fill_grid` returns it; overwritten.
    plan
        Sizes of grid and image.
    threads
        Of the transforms and sums.

    Returns
    -------
    ndarray
        Shape ``(z, y, x)``; the coil images are never all in memory beside the grid.
    """
    from ultrahand import kernels

    _, y, z = plan.axes
    axes = (1, 2) if plan.three_d else (2,)
    total = np.zeros(grid.shape[1:], np.float32)
    with kernels.threads(threads):
        for coil in range(len(grid)):
            image = fourier.kspace_to_image_in_place(grid[coil : coil + 1], axes, workers=threads)
            kernels.add_squares(image.reshape(1, -1), total.reshape(-1))
    return np.sqrt(total[np.ix_(z.image_columns(), y.image_columns())])


def _occurrence(values: Ints) -> Ints:
    """Count each value's occurrences so far: 0, 1, 2 ..."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    start = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    turn = np.arange(len(values)) - np.repeat(start, np.diff(np.r_[start, len(values)]))
    out = np.empty(len(values), np.int64)
    out[order] = turn
    return out


def _inverse(counts: Float64) -> Float64:
    return np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)


def _without(shape: ReadoutClass, dropped: Ints) -> ReadoutClass:
    kept = shape.rows[~np.isin(shape.rows, dropped)]
    return ReadoutClass(kept, shape.keep, shape.reverse, shape.k_first, shape.n_kept)
