r"""Parallel plates on a grid whose one axis is their normal.

Along that axis, index n, the transform of a plate and the course of its magnetisation are together
:math:`e^{-i n \zeta}`, where an off-resonance during the readout displaces the angle
:math:`\zeta` and a decay makes it complex. So all plates are spread over the cells of a periodic
grid with a Kaiser-Bessel kernel and one FFT makes all n at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import pi
from typing import final

import numpy as np

from ultrahand.kernels import spread_plates
from ultrahand.kernels import threads as on_threads
from ultrahand.phantoms.bessel_table import bessel_table
from ultrahand.phantoms.kaiser_bessel import KaiserBessel
from ultrahand.records.arrays import Complex, Float64, Ints

LINES = 64
"""Lines of one FFT call."""
KERNEL = KaiserBessel(14)
"""At real angles the largest error is 2e-12, measured."""
MAX_DECAY = 0.5
"""Largest imaginary part of an angle, in cells: there the largest error is 2e-10, measured."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Sources:
    """Sources on the axis, spread: what `spread_plates` adds for each plate."""

    runs: Ints
    """Plate, first cell, first and one past the last of its weights, shape ``(4, runs)``."""
    weights: Complex
    decay: Float64
    """What remains to be multiplied to each n, shape ``(n,)``."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Plates with a common normal, in the order of their positions along it.

    In axes of the grid: first the normal's, then the two others in their order.
    """

    along_m: Float64
    """Shape ``(plates,)``."""
    across: Float64
    """Centre (m) and two semi-axes (m) along the other axes, shape ``(6, plates)``."""
    index: range
    """The n that are made."""
    cells: int
    sources: tuple[Sources, ...]
    """Groups of similar decay."""
    strength: Complex
    """Rows of factors of the plates, of which each line takes one, ``(rows, plates)``; or none."""

    def spectra(
        self, lines_per_m: Float64, row: Ints, shifts_per_m: Float64, threads: int
    ) -> Complex:
        """Return the sum of the plates for all n, on lines along the normal.

        Parameters
        ----------
        lines_per_m
            Where the lines pierce the other axes, shape ``(2, lines)``.
        row
            Which row of `strength` a line takes, shape ``(lines,)``.
        shifts_per_m
            Displacements along the normal, to be made one by one, shape ``(shifts,)``.
        threads
            Cores to work on.

        Returns
        -------
        ndarray
            complex128 ``(shifts, n, lines)``.
        """
        turns = np.exp(-2j * pi * np.outer(shifts_per_m, self.along_m))
        largest = np.linalg.norm(lines_per_m, axis=0).max() * np.linalg.norm(
            self.across[2:], axis=0
        )
        table = bessel_table(2.0 * pi * float(largest.max()))
        total = np.zeros((len(turns), len(self.index), len(row)), np.complex128)
        cells = np.empty((len(turns), self.cells, len(row)), np.complex128)
        for group in self.sources:
            with on_threads(threads):
                spread_plates(
                    lines_per_m,
                    row,
                    self.across,
                    self.strength,
                    turns,
                    group.runs,
                    group.weights,
                    table,
                    cells,
                )
            self._transform(cells, group.decay, threads, total)
        return total

    def _transform(self, cells: Complex, decay: Float64, threads: int, total: Complex) -> None:
        """Add the FFT of the cells without the kernel; in parts that do not depend on threads."""
        from scipy.fft import fft

        n = np.array(self.index) - middle(self.index)
        scale = (decay / KERNEL.transform(2.0 * pi * n / self.cells))[:, None]

        def part(start: int) -> None:
            lines = slice(start, start + LINES)
            total[:, :, lines] += scale * fft(cells[:, :, lines], axis=1)[:, n % self.cells]

        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(part, start) for start in range(0, total.shape[2], LINES)]:
                done.result()


def n_cells(index: range) -> int:
    """Return the cells of a fine grid for these n: at least twice as many, quick to transform."""
    from scipy.fft import next_fast_len

    reach = max(abs(n - middle(index)) for n in index)
    return int(next_fast_len(2 * (2 * reach + 1)))


def middle(index: range) -> int:
    """Return the n about which the band lies; the kernel is made for low ones."""
    return index.start + len(index) // 2


def spread_sources(
    angle: Float64, decay: Float64, strength: Complex, plate: Ints, index: range
) -> Iterator[Sources]:
    r"""Spread sources ``strength exp(-i n angle) exp(-n decay)``, in groups of similar decay.

    Parameters
    ----------
    angle, decay, strength, plate
        Of each source, shape ``(sources,)``; radians and nepers a step of n.
    index
        The n that are wanted.
    """
    cells = n_cells(index)
    h = 2.0 * pi / cells
    rates = np.unique(decay)
    while len(rates):
        low = rates[0]
        near = rates <= low + 2.0 * MAX_DECAY * h
        centre = 0.5 * (low + rates[near][-1])
        mine = (decay >= low) & (decay <= rates[near][-1])
        zeta = angle[mine] - 1j * (decay[mine] - centre)
        runs, weights = _spread(zeta, strength[mine], plate[mine], index, cells)
        yield Sources(runs=runs, weights=weights, decay=np.exp(-centre * np.array(index)))
        rates = rates[~near]


def _spread(
    zeta: Complex, strength: Complex, plate: Ints, index: range, cells: int
) -> tuple[Ints, Complex]:
    """Return the runs of cells that sources reach; those of one plate that touch are merged."""
    h, width = 2.0 * pi / cells, KERNEL.width
    start = np.ceil(zeta.real / h - 0.5 * width).astype(np.int64)
    order = np.lexsort((start, plate))
    zeta, strength, plate, start = zeta[order], strength[order], plate[order], start[order]
    new = np.ones(len(plate), bool)
    new[1:] = (np.diff(plate) != 0) | (np.diff(start) > width)
    run = np.cumsum(new) - 1
    first = start[new]
    last = start[np.append(np.flatnonzero(new)[1:], len(plate)) - 1] if len(plate) else start
    edges = np.append(0, np.cumsum(last + width - first))
    place = (edges[run] + start - first[run])[:, None] + np.arange(width)
    values = KERNEL.values((start[:, None] + np.arange(width) - zeta[:, None] / h) / (0.5 * width))
    values *= (strength * np.exp(-1j * middle(index) * zeta))[:, None]
    weights = np.empty(edges[-1], np.complex128)
    for part, into in ((values.real, weights.real), (values.imag, weights.imag)):
        into[:] = np.bincount(place.ravel(), part.ravel(), minlength=len(weights))
    return np.stack([plate[new], first % cells, edges[:-1], edges[1:]]), weights
