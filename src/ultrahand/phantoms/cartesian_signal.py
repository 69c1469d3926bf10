"""The signal of many plates on a Cartesian grid: as exact as the direct sum, and fast.

Plates normal to an axis of the grid are transformed along it all at once (`plate_stack`); across
it, waves of the coils that differ by whole steps of the grid share one evaluation. Other plates
are summed directly, sample by sample: thousands of times slower.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi
from typing import final

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.direct_signal import check_terms, direct_signal
from ultrahand.phantoms.plate_stack import Stack, n_cells, spread_sources
from ultrahand.phantoms.plates import Plates, Terms
from ultrahand.phantoms.signal import Grid
from ultrahand.phantoms.stack_lines import distinct, find_places, subset, wave_classes
from ultrahand.physics.off_resonance import rate_per_s
from ultrahand.records.arrays import Bools, Complex, Complex64, Float64, Ints

LINES_AT_A_TIME = 1536
"""Bounds the memory: with 280 samples and 19 waves these take about 0.3 GB."""
PARALLEL = 1e-9
"""Largest component along an axis of semi-axes that lie across it, relative to their length."""


@final
@dataclass(frozen=True, kw_only=True)
class Timing:
    """When and where the samples of a line are taken."""

    echo_time_s: float
    """When k = 0 is passed, after the excitation."""
    sample_time_s: float
    reverse: bool = False
    """The line is read from +k to -k; samples stay in order of k."""
    read_shift_per_m: float = 0.0
    """Added to k along read of every sample, and not to its time: a delay of the gradient."""

    @property
    def step_s(self) -> float:
        """Time from one sample, in order of k, to the next."""
        return -self.sample_time_s if self.reverse else self.sample_time_s


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CartesianSignal:
    """Signal on a Cartesian grid, made line by line on demand; meets `Signal`.

    The largest error is about 1e-9 of the largest sample; that of complex64 comes on top. The
    bits do not depend on `threads`.

    Parameters
    ----------
    plates, terms
        The object; terms that follow curves are refused.
    coils
        What receives.
    grid
        Where samples are taken.
    timing
        When.
    demodulation_m
        The receiver follows this point, patient LPS, shape ``(3,)``.
    threads
        Cores to work on.

    Raises
    ------
    ultrahand.errors.RecordError
        If a term names a plate that is not there or follows a curve.
    """

    plates: Plates
    terms: Terms
    coils: Coils
    grid: Grid
    timing: Timing
    demodulation_m: Float64
    threads: int = 1
    stacks: tuple[Stack | None, ...] = field(init=False)
    """Plates normal to read, phase, slice."""
    oblique: tuple[Plates, Terms] | None = field(init=False)

    def __post_init__(self) -> None:
        check_terms(self.plates, self.terms, 0)
        spans = np.abs(self.plates.span_m @ self.grid.frame.T)
        across = spans.max(axis=1) <= PARALLEL * spans.max(axis=(1, 2))[:, None]
        normal = np.where(across.any(axis=1), across.argmax(axis=1), 3)
        stacks = tuple(self._stack(axis, normal == axis) for axis in range(3))
        object.__setattr__(self, "stacks", stacks)
        rest = subset(self.plates, self.terms, normal == 3)
        object.__setattr__(self, "oblique", rest if len(rest[1]) else None)

    def lines(self, numbers: Ints, /) -> Complex64:
        shape = (len(numbers), self.coils.n_coils, len(self.grid.read))
        out = np.empty(shape, np.complex64)
        order = np.lexsort(self.grid.lines[numbers].T)  # neighbours share evaluations
        for start in range(0, len(order), LINES_AT_A_TIME):
            some = order[start : start + LINES_AT_A_TIME]
            out[some] = self.exact_lines(numbers[some])
        return out

    def exact_lines(self, numbers: Ints) -> Complex:
        """Return what `lines` does, complex128, all at once: for a few hundred lines."""
        wanted = self.grid.lines[numbers]
        n = len(self.grid.read)
        waves = np.zeros((len(self.coils.waves_per_m), len(wanted), n), np.complex128)
        for axis, stack in enumerate(self.stacks):
            if stack is not None:
                self._add(waves, stack, axis, wanted)
        phase = np.exp(2j * pi * (self.coils.waves_per_m @ self.demodulation_m))
        values = (self.coils.weights * phase) @ waves.reshape(len(waves), -1)
        values = values.reshape(-1, len(wanted), n).transpose(1, 0, 2)
        return values if self.oblique is None else values + self._direct(wanted)

    def _stack(self, axis: int, chosen: Bools) -> Stack | None:
        """Gather the plates normal to an axis."""
        plates, terms = subset(self.plates, self.terms, chosen)
        if not len(terms):
            return None
        others = [a for a in range(3) if a != axis]
        at = (plates.centre_m - self.demodulation_m) @ self.grid.frame.T
        order = np.argsort(at[:, axis], kind="stable")
        rank = np.argsort(order, kind="stable")
        spans = (plates.span_m @ self.grid.frame.T)[:, :, others]
        across = np.concatenate([at[:, others], spans.reshape(-1, 4)], axis=1)[order]
        along = at[order, axis]
        angle = 2.0 * pi * self.grid.steps_per_m[axis] * along
        rate = rate_per_s(terms.off_resonance_hz, terms.r2star_per_s)
        amplitude = terms.amplitude * plates.volume_m3[terms.plate]
        owner, step_s = rank[terms.plate], self.timing.step_s
        if axis == 0:
            index = self.grid.read
            sources = spread_sources(
                angle[owner] - (rate * step_s).imag,
                -(rate * step_s).real,
                amplitude * np.exp(rate * self.timing.echo_time_s),
                owner,
                index,
            )
            strength = np.empty((0, len(plates)), np.complex128)
        else:
            own = self.grid.lines[:, axis - 1]
            index = range(int(own.min()), int(own.max()) + 1)
            everyone = np.arange(len(plates))
            one = np.ones(len(plates), np.complex128)
            sources = spread_sources(angle, np.zeros(len(plates)), one, everyone, index)
            times = self.timing.echo_time_s + np.array(self.grid.read) * step_s
            strength = np.zeros((len(times), len(plates)), np.complex128)
            for number, time in enumerate(times):
                values = amplitude * np.exp(rate * time)
                np.add.at(strength[number], owner, values)
        return Stack(
            along_m=along,
            across=np.ascontiguousarray(across.T),
            index=index,
            cells=n_cells(index),
            sources=tuple(sources),
            strength=strength,
        )

    def _add(self, waves: Complex, stack: Stack, axis: int, wanted: Ints) -> None:
        """Add a stack to ``(waves, lines, samples)``."""
        others = [a for a in range(3) if a != axis]
        steps = self.grid.steps_per_m
        places = find_places(self.grid.read, wanted, axis, stack.index)
        in_steps = self.coils.waves_per_m @ self.grid.frame.T / steps
        origin = np.array([self.timing.read_shift_per_m / steps[0], 0.0, 0.0])
        for members in wave_classes(in_steps[:, others]):
            shifts, turn = np.unique(np.round(in_steps[members, axis], 9), return_inverse=True)
            at = places.at + origin[others] - in_steps[members][:, None, others]
            row = np.broadcast_to(places.row, at.shape[:2])
            lines, of_line, found = distinct(at.reshape(-1, 2), row.reshape(-1))
            spectra = stack.spectra(
                np.ascontiguousarray((lines * steps[others]).T),
                of_line,
                (origin[axis] - shifts) * steps[axis],
                self.threads,
            )
            rows = found.reshape(len(members), -1)
            for wave, shift, where in zip(members, turn, rows, strict=True):
                waves[wave] += spectra[shift][places.n, where[places.line]]

    def _direct(self, wanted: Ints) -> Complex:
        """Sum the plates that are normal to no axis."""
        assert self.oblique is not None
        read = np.array(self.grid.read)
        steps = np.concatenate(
            [
                np.broadcast_to(read[:, None], (len(wanted), len(read), 1)),
                np.broadcast_to(wanted[:, None], (len(wanted), len(read), 2)),
            ],
            axis=2,
        )
        shift = np.array([self.timing.read_shift_per_m, 0.0, 0.0])
        return direct_signal(
            *self.oblique,
            self.coils,
            (steps * self.grid.steps_per_m + shift) @ self.grid.frame,
            self.timing.echo_time_s + read * self.timing.step_s,
            demodulation_m=self.demodulation_m,
            threads=self.threads,
        )
