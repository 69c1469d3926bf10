"""The noiseless k-space of objects seen by coils, exact at every sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import pi
from typing import Protocol, final

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.objects import Part
from ultrahand.records.arrays import Complex, Complex64, Float64, Ints

CHUNK_SAMPLES = 1 << 14
"""Samples worked on at a time: keeps temporaries in the processor's cache."""


class Signal(Protocol):
    """Makes the k-space of any lines of a scan."""

    def lines(self, numbers: Ints, /) -> Complex64:
        """Return the samples of lines, shape ``(lines, coils, samples)``, in order of k."""
        ...


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class PointSignal:
    """Signal at arbitrary positions in k-space."""

    parts: Sequence[Part]
    coils: Coils
    k_per_m: Float64
    """Along patient LPS, shape ``(lines, samples, 3)``."""
    demodulation_m: Float64
    """The receiver follows this point: the signal is multiplied by ``exp(+2 pi i k.p)``."""

    def lines(self, numbers: Ints, /) -> Complex64:
        k = self.k_per_m[numbers]
        waves = np.empty((len(numbers), len(self.coils.waves_per_m), k.shape[1]), np.complex64)
        for rows in _chunks(len(numbers), k.shape[1]):
            waves[rows] = self._waves(k[rows])
        return _combine(self.coils, waves)

    def _waves(self, k: Float64) -> Complex:
        """Sum the parts as each wave shifts them: ``exp(2 pi i k.p) F(k - q)``."""
        total = np.zeros((len(k), len(self.coils.waves_per_m), k.shape[1]), np.complex128)
        for part in self.parts:
            carrier = np.exp(-2j * pi * (k @ (part.centre_m - self.demodulation_m)))
            for m, wave in enumerate(self.coils.waves_per_m):
                turn = np.exp(2j * pi * (wave @ part.centre_m))
                total[:, m] += turn * part.form(k - wave) * carrier
        return total


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A Cartesian grid in k-space along the scan's axes."""

    steps_per_m: Float64
    """Distance of neighbours along read, phase, slice, shape ``(3,)``."""
    frame: Float64
    """The scan's axes as rows, patient LPS, shape ``(3, 3)``."""
    read: range
    """Grid indices of a line's samples, 0 at k = 0."""
    lines: Ints
    """Grid indices along phase and slice of each line, shape ``(lines, 2)``."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Shifted:
    """Where one wave finds its samples."""

    values: Complex64
    """Evaluated lines that several waves share, shape ``(lines, samples)``."""
    rows: Ints
    """Row of each line of the scan in `values`."""
    offset: int
    """Where the line's first sample lies in its row."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class GridSignal:
    """Signal on a Cartesian grid.

    Waves of the coils that differ by whole steps of the grid share one evaluation of the objects,
    on a grid extended by as many steps; the result is the same as point by point.
    """

    coils: Coils
    grid: Grid
    tables: tuple[Shifted, ...]
    """One for each wave."""

    def lines(self, numbers: Ints, /) -> Complex64:
        n = len(self.grid.read)
        waves = np.empty((len(numbers), len(self.tables), n), np.complex64)
        for m, table in enumerate(self.tables):
            waves[:, m] = table.values[table.rows[numbers], table.offset : table.offset + n]
        return _combine(self.coils, waves)


def grid_signal(
    parts: Sequence[Part], coils: Coils, grid: Grid, *, demodulation_m: Float64
) -> GridSignal:
    """Evaluate parts on a grid once for each class of waves.

    Parameters
    ----------
    parts
        What is seen: objects, or sections for a slice.
    coils
        Their waves are brought to the grid's axes; each is a whole number of steps plus a rest.
    grid
        Where samples are wanted.
    demodulation_m
        The receiver follows this point, patient LPS, shape ``(3,)``.
    """
    in_steps = coils.waves_per_m @ grid.frame.T / grid.steps_per_m
    whole = np.floor(in_steps + 1e-9).astype(np.int64)
    rests = np.round(in_steps - whole, 9)
    classes, member = np.unique(rests, axis=0, return_inverse=True)
    tables: dict[int, Shifted] = {}
    for number, rest in enumerate(classes):
        waves = np.flatnonzero(member.ravel() == number)
        shifts = whole[waves]
        wanted = grid.lines[None] - shifts[:, None, 1:]
        unique, rows = np.unique(wanted.reshape(-1, 2), axis=0, return_inverse=True)
        first = grid.read.start - int(shifts[:, 0].max())
        last = grid.read.stop - int(shifts[:, 0].min())
        origin = -rest * grid.steps_per_m
        values = _evaluate(parts, grid, range(first, last), unique, origin, demodulation_m)
        for wave, shift, row in zip(waves, shifts, rows.reshape(len(waves), -1), strict=True):
            offset = grid.read.start - int(shift[0]) - first
            tables[int(wave)] = Shifted(values=values, rows=row, offset=offset)
    phase = np.exp(2j * pi * (coils.waves_per_m @ demodulation_m))
    turned = Coils(waves_per_m=coils.waves_per_m, weights=coils.weights * phase)
    ordered = tuple(tables[m] for m in range(len(tables)))
    return GridSignal(coils=turned, grid=grid, tables=ordered)


def _evaluate(
    parts: Iterable[Part], grid: Grid, read: range, lines: Ints, origin: Float64, point: Float64
) -> Complex64:
    """Sum the parts' transforms about a point on lines of a displaced grid."""
    along = np.outer(np.array(read) * grid.steps_per_m[0], grid.frame[0])
    starts = (lines * grid.steps_per_m[1:]) @ grid.frame[1:] + origin @ grid.frame
    values = np.empty((len(lines), len(read)), np.complex64)
    parts = tuple(parts)
    for rows in _chunks(len(lines), len(read)):
        k = starts[rows, None, :] + along
        total = np.zeros(k.shape[:2], np.complex128)
        for part in parts:
            at = part.centre_m - point
            carrier = np.exp(-2j * pi * (starts[rows] @ at))[:, None]
            total += part.form(k) * (carrier * np.exp(-2j * pi * (along @ at)))
        values[rows] = total
    return values


def _chunks(n_lines: int, n_samples: int) -> Iterator[slice]:
    step = max(1, CHUNK_SAMPLES // max(n_samples, 1))
    return (slice(start, start + step) for start in range(0, n_lines, step))


def _combine(coils: Coils, waves: Complex) -> Complex64:
    """Weight the waves of each line: ``(lines, waves, samples)`` to ``(lines, coils, samples)``."""
    return np.matmul(coils.weights.astype(np.complex64), waves)
