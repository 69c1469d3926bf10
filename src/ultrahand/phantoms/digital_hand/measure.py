"""Raw data of one series as a scanner writes them, made while they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, final

import numpy as np

from ultrahand.phantoms.cartesian import CartesianScan
from ultrahand.phantoms.noncartesian import NonCartesianScan
from ultrahand.phantoms.setting import START_S, header_of, readout_table, time_stamps
from ultrahand.phantoms.signal import Signal
from ultrahand.phantoms.thermal import ThermalNoise
from ultrahand.records import Header, RawData
from ultrahand.records.arrays import Complex64, Float32, Ints, Structured
from ultrahand.records.readouts import LAST_IN_MEASUREMENT_FLAG, NOISE_FLAG, bit, has

Scan: TypeAlias = CartesianScan | NonCartesianScan
Progress: TypeAlias = Callable[[int], object]

_RUNS: Final = (
    (1, ("kspace_encode_step_2", "slice", "contrast", "repetition", "set")),
    (7, ("slice", "repetition", "set")),
    (13, ("repetition",)),
    (15, ("repetition", "set")),
)
"""Number of the flag of a run's first readout (encode step 1, slice, repetition, set; its last has
the next: ISMRMRD ``ismrmrd.h``) and the counters that are the same all through the run."""


class Noiseless(Protocol):
    """Makes the samples of imaging readouts, without noise."""

    def samples(self, table: Structured) -> Complex64:
        """Return the samples of some rows of the table, shape ``(rows, coils, samples)``."""
        ...


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class BySignal:
    """Samples from one `Signal` for each contrast and set."""

    scan: Scan
    signals: Sequence[Sequence[Signal]]
    """``signals[set][contrast]``."""

    def samples(self, table: Structured) -> Complex64:
        numbers = self.scan.line_numbers(table)
        kinds = np.stack([table["set"], table["contrast"]], axis=1)
        out: Complex64 | None = None
        for which in np.unique(kinds, axis=0):
            rows = np.flatnonzero((kinds == which).all(axis=1))
            lines, member = np.unique(numbers[rows], return_inverse=True)
            values = self.signals[which[0]][which[1]].lines(lines)[member]
            if out is None:
                out = np.empty((len(table), *values.shape[1:]), np.complex64)
            out[rows] = values
        assert out is not None
        return out


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Ready:
    """Samples that are all there: ``values[set, contrast, line]``."""

    scan: Scan
    values: Complex64
    """Shape ``(sets, contrasts, lines, coils, samples)``."""

    def samples(self, table: Structured) -> Complex64:
        numbers = self.scan.line_numbers(table)
        return self.values[table["set"], table["contrast"], numbers]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredSource:
    """Samples with noise, the same for every way in which they are asked for.

    Each readout has its own stream of random numbers.
    """

    scan: Scan
    table: Structured
    noiseless: Noiseless
    noise: ThermalNoise
    seed: int
    progress: Progress

    def samples(self, rows: Ints) -> Complex64:
        table = self.table[rows]
        imaging = ~has(table["flags"], NOISE_FLAG)
        n = int(table["number_of_samples"][0])
        coils = int(table["active_channels"][0])
        out = np.zeros((len(rows), coils, n), np.complex64)
        if imaging.any():
            out[imaging] = self.noiseless.samples(table[imaging])
        for place, row in enumerate(np.asarray(rows).tolist()):
            rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, row]))
            if imaging[place]:
                out[place] += self.noise.imaging(rng, 1, n)[0]
            else:
                out[place] = self.noise.readouts(rng, self.scan.sample_time_s, 1)[0]
        self.progress(len(rows))
        return out.transpose(1, 0, 2)

    def trajectory(self, rows: Ints) -> Float32:
        return np.stack(self.scan.trajectories(self.table[rows]))


def measure(
    scan: Scan,
    noiseless: Noiseless,
    *,
    n_coils: int,
    noise: ThermalNoise,
    seed: int,
    start_s: float = START_S,
    header: Callable[[Header], Header] = lambda header: header,
    progress: Progress = lambda _: None,
) -> RawData:
    """Return raw data whose samples are made when they are asked for.

    Parameters
    ----------
    scan
        How it is taken.
    noiseless
        What is sampled.
    n_coils
        Receive channels.
    noise
        And how it is measured ahead of the scan.
    seed
        Of the noise.
    start_s
        The scanner's clock at the first excitation, since midnight.
    header
        Changes to the scan's header: flip angles and repetition times of sets.
    progress
        Called with numbers of readouts made.
    """
    table = scan.readouts(np.arange(1))
    table["acquisition_time_stamp"] = time_stamps(scan, table["contrast"], start_s)
    table["active_channels"] = n_coils
    _flag_ends(table)
    rows = readout_table(scan, noise.n_readouts)
    rows["flags"] = NOISE_FLAG
    rows["number_of_samples"] = noise.n_samples
    rows["active_channels"] = n_coils
    rows["sample_time_s"] = noise.dwell_s
    rows["acquisition_time_stamp"] = table["acquisition_time_stamp"][0]
    both = np.concatenate([rows, table])
    both["scan_counter"] = np.arange(1, len(both) + 1)
    return RawData(
        header=header(header_of(scan)),
        readouts=both,
        source=MeasuredSource(
            scan=scan,
            table=both,
            noiseless=noiseless,
            noise=noise,
            seed=seed,
            progress=progress,
        ),
    )


def _flag_ends(table: Structured) -> None:
    """Flag first and last readouts, as scanners do: online reconstructions wait for them."""
    for number, shared in _RUNS:
        runs = np.stack([table[name] for name in shared], axis=1)
        first = np.unique(runs, axis=0, return_index=True)[1]
        last = len(runs) - 1 - np.unique(runs[::-1], axis=0, return_index=True)[1]
        table["flags"][first] |= np.uint64(bit(number))
        table["flags"][last] |= np.uint64(bit(number + 1))
    table["flags"][-1] |= np.uint64(LAST_IN_MEASUREMENT_FLAG)
