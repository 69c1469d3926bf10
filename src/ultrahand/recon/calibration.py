"""The fully sampled centre of k-space, from which coil sensitivities and weights are found."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ultrahand.recon import fourier
from ultrahand.recon.axes import Axis
from ultrahand.recon.coverage import Coverage
from ultrahand.recon.grid import fill_grid
from ultrahand.recon.lattice_search import calibration_block
from ultrahand.recon.lines import ReadoutClass
from ultrahand.recon.watch import Watch

if TYPE_CHECKING:
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.records.arrays import Bools, Complex64, Ints
    from ultrahand.records.raw import RawData

MOST: Final = 32
"""Lines of the block along an axis: more than 24 to 32 change coil sensitivities by less than their
noise, and cost time with the square."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Which readouts of a volume or slice calibrate it."""

    plan: CartesianPlan
    """Where they go: on a grid of the block alone."""
    rows: Ints
    first: tuple[int, int]
    """Signed index of the block's first line, ``(z, y)``."""
    separate: bool
    """Whether they serve nothing else (flag 20 without 21)."""

    @property
    def size(self) -> tuple[int, int]:
        """Lines, ``(z, y)``."""
        return self.plan.axes[2].n_grid, self.plan.axes[1].n_grid


def find_calibration(plan: CartesianPlan, rows: Ints, *, separate: bool) -> Calibration | None:
    """Return the largest block about the centre in which some readouts sampled every line.

    Parameters
    ----------
    plan
        Of the encoding (or of its calibration readouts).
    rows
        Readouts of one volume (3D) or slice (2D).
    separate
        Whether they are calibration readouts and no others.

    Returns
    -------
    Calibration or None
        At most `MOST` lines along an axis; None where the centre itself was not sampled.
    """
    mask = line_mask(plan, rows)
    block = calibration_block(mask[:, :, None])
    if block is None:
        return None
    ends = []
    for part, n in zip(block[:2], mask.shape, strict=True):
        start, stop = part.start - n // 2, part.stop - n // 2
        ends.append((max(start, -(MOST // 2)), min(stop, MOST // 2)))
    (z0, z1), (y0, y1) = ends
    used = plan.used(rows)
    z, y = (
        signed(table[used], axis.n_grid)
        for table, axis in ((plan.line2, plan.axes[2]), (plan.line1, plan.axes[1]))
    )
    inside = (z >= z0) & (z < z1) & (y >= y0) & (y < y1)
    return Calibration(
        plan=_cut(plan, used[inside], (z0, z1), (y0, y1)),
        rows=used[inside],
        first=(z0, y0),
        separate=separate,
    )


def read_calibration(
    raw: RawData,
    calibration: Calibration,
    *,
    whitening: Complex64 | None,
    coils: int,
    threads: int,
) -> Complex64:
    """Return the block in k-space along all axes, lines in order of their index.

    Parameters
    ----------
    raw, calibration
        The measurement and the readouts.
    whitening, coils, threads
        As of `grid.fill_grid`.

    Returns
    -------
    ndarray
        complex64 ``(coils, z, y, x)``; along x at most `MOST` samples about the centre, of the
        k-space of the image's field of view, so oversampling is gone.
    """
    plan = calibration.plan
    hybrid = fill_grid(
        raw,
        plan,
        Coverage(plan, calibration.rows),
        whitening=whitening,
        coils=coils,
        columns=slice(0, plan.axes[0].n_image),
        threads=threads,
        watch=Watch(),  # imaging readouts are looked at where the image is made
        progress=lambda _: None,
    )
    for axis, first in zip((1, 2), calibration.first, strict=True):
        hybrid = np.roll(hybrid, -first, axis)  # line k lies at row k modulo the size
    kspace = fourier.image_to_kspace(hybrid, (3,), workers=threads)
    first, last = _read_ends(plan)
    n = kspace.shape[3]
    return np.ascontiguousarray(kspace[..., n // 2 + first : n // 2 + last + 1])


def _read_ends(plan: CartesianPlan) -> tuple[int, int]:
    """Return the first and last sample along read: what a partial echo left out is not zero."""
    x = plan.axes[0]
    scale = x.n_image / x.n_grid  # samples lie farther apart in the field of view of the image
    shapes = [c for c in plan.classes if len(c.rows)]
    low = max(math.ceil(c.k_first * scale) for c in shapes)
    high = min(math.floor((c.k_first + c.n_kept - 1) * scale) for c in shapes)
    half = min(MOST, x.n_image) // 2
    return max(low, -half), min(high, -half + min(MOST, x.n_image) - 1)


def line_mask(plan: CartesianPlan, rows: Ints) -> Bools:
    """Return which lines some readouts acquired, centred, ``(z, y)``."""
    mask = np.zeros((plan.axes[2].n_grid, plan.axes[1].n_grid), np.bool_)
    used = plan.used(rows)
    mask[plan.line2[used], plan.line1[used]] = True
    return np.fft.fftshift(mask)


def signed(rows: Ints, n: int) -> Ints:
    """Return the signed index of lines that lie at some rows of a grid with its origin first."""
    return (rows + n // 2) % n - n // 2


def _cut(
    plan: CartesianPlan, rows: Ints, z_ends: tuple[int, int], y_ends: tuple[int, int]
) -> CartesianPlan:
    """Return the plan of a block of lines alone."""
    x, y, z = plan.axes
    tables = []
    for table, axis, ends in ((plan.line1, y, y_ends), (plan.line2, z, z_ends)):
        cut = np.full(len(table), -1)
        cut[rows] = signed(table[rows], axis.n_grid) % (ends[1] - ends[0])
        tables.append(cut)
    shape_of = np.full(len(plan.shape_of), -1)
    shape_of[rows] = plan.shape_of[rows]
    classes = tuple(
        ReadoutClass(c.rows[np.isin(c.rows, rows)], c.keep, c.reverse, c.k_first, c.n_kept)
        for c in plan.classes
    )
    return replace(
        plan,
        axes=(x, _small(y, y_ends), _small(z, z_ends)),
        classes=classes,
        line1=tables[0],
        line2=tables[1],
        shape_of=shape_of,
    )


def _small(axis: Axis, ends: tuple[int, int]) -> Axis:
    n = ends[1] - ends[0]
    return Axis(n, n, n, axis.voxel_m * axis.n_grid / n)
