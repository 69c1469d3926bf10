"""The fewest products of functions of time and of place that make up a table of signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import pi
from typing import Final

import numpy as np

from ultrahand.physics.off_resonance import PHASE_SIGN
from ultrahand.records.arrays import Complex, Float64, Ints, require

_CHUNK: Final = 1 << 21


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalTable:
    """The signal, 1 at most, at nodes of time (rows) and of frequency and decay (columns)."""

    since_s: Float64
    """Of every row, from the first time: for the decay."""
    about_s: Float64
    """Of every row, from the middle time: for the phase."""
    hz: Float64
    """Of every column, from the middle frequency."""
    r2: Float64

    def __len__(self) -> int:
        return len(self.hz)

    def some(self, columns: Ints) -> SignalTable:
        return replace(self, hz=self.hz[columns], r2=self.r2[columns])

    def at_times(self, since_s: Float64, about_s: Float64) -> Complex:
        """Return it as ``(times, columns)``; few exponentials, as columns share f and R."""
        hz, f_of = np.unique(self.hz, return_inverse=True)
        turns = np.exp(2j * pi * PHASE_SIGN * np.multiply.outer(about_s, hz))[:, f_of]
        if self.r2.any():
            r2, r_of = np.unique(self.r2, return_inverse=True)
            turns *= np.exp(-np.multiply.outer(since_s, r2))[:, r_of]
        return turns

    def whole(self) -> Complex:
        return self.at_times(self.since_s, self.about_s)

    def chunks(self) -> Iterator[SignalTable]:
        step = max(_CHUNK // len(self.since_s), 1)
        for first in range(0, len(self), step):
            yield self.some(np.arange(first, min(first + step, len(self))))


def shortest(table: SignalTable, error: float) -> tuple[str, Complex, Complex, float]:
    """Return the method, both factors ``(terms, nodes)`` and the largest error at the nodes."""
    # A function of bandwidth B over a time T has about B T degrees of freedom; four times as many
    # columns, and some for the decay, span what all of them do.
    n_columns = 4 * int(np.ptp(table.hz) * np.ptp(table.about_s)) + 160
    while True:
        few = table.some(_spread(len(table), n_columns))
        basis, rest = _fewest(table, few, error)
        if rest <= error:
            break
        require(n_columns < len(table), "the table has no short sum")
        n_columns *= 2
    segments = None
    while (n := (basis.T if segments is None else segments).shape[0]) > 1:
        shorter, worst = _segments(table, few, n - 1)
        if worst > error:
            break
        segments, rest = shorter, worst
    if segments is not None:
        return "time segments", segments, _at_segments(table, len(segments)), rest
    c = [basis.conj().T @ part.whole() for part in table.chunks()]
    return "singular vectors", basis.T, np.concatenate(c, axis=1), rest


def _fewest(table: SignalTable, few: SignalTable, error: float) -> tuple[Complex, float]:
    """Return as many singular vectors of a few columns as all columns need, and their error."""
    sample = few.whole()
    vectors, size, _ = np.linalg.svd(sample, full_matrices=False)
    tail = np.sqrt(np.cumsum(size[::-1] ** 2)[::-1] / sample.size)
    first = max(int(np.count_nonzero(tail > error)), 1)  # the largest is no less than the mean
    worst = np.inf
    for n in range(first, vectors.shape[1] + 1):
        basis = vectors[:, :n]
        if _largest(sample - basis @ (basis.conj().T @ sample)) > error:
            continue
        columns = (part.whole() for part in table.chunks())
        worst = max(_largest(part - basis @ (basis.conj().T @ part)) for part in columns)
        if worst <= error:
            return basis, worst
    return vectors, worst


def _segments(table: SignalTable, few: SignalTable, n: int) -> tuple[Complex, float]:
    """Return least-squares interpolators of n even times, and their largest error."""
    b = np.linalg.lstsq(_at_segments(few, n).T, few.whole().T, rcond=1e-10)[0]
    errors = (_largest(part.whole() - b.T @ _at_segments(part, n)) for part in table.chunks())
    return b, max(errors)


def _at_segments(table: SignalTable, n: int) -> Complex:
    """Return the table at n even times, both ends among them."""
    at = np.arange(n) / (n - 1) if n > 1 else np.array([0.5])
    since = table.since_s[0] + at * np.ptp(table.since_s)
    return table.at_times(since, table.about_s[0] + at * np.ptp(table.about_s))


def _largest(errors: Complex) -> float:
    return float(np.abs(errors).max())


def _spread(n: int, wanted: int) -> Ints:
    """Return at most so many numbers below n, evenly spread, both ends among them."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).round().astype(np.int64))
