"""Readouts to a Cartesian k-space grid, and the grid to coil images.

The grid is kept with its origin at index 0, so that no shift is ever copied; the readout axis is
transformed block by block while readouts arrive, zero-filled to the encoded matrix first and
cropped to the asked field of view after (so oversampling costs no memory).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError, RecordError
from ultrahand.recon import fourier
from ultrahand.recon.axes import Axis, runs_of
from ultrahand.recon.conditioning import Progress, each_block
from ultrahand.recon.coverage import Coverage
from ultrahand.recon.lines import ReadoutClass
from ultrahand.recon.partial_fourier import fill_partial_fourier
from ultrahand.recon.watch import Watch

if TYPE_CHECKING:
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.records.arrays import Complex64, Float32, Ints
    from ultrahand.records.raw import RawData


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

        each_block(
            raw,
            mine,
            shape.keep,
            place,
            threads=threads,
            watch=watch,
            progress=progress,
            length=x.n_grid,
        )
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
