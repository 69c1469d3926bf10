"""From objects, coils and a scan to raw data as a scanner writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.objects import Part, PhantomObject
from ultrahand.phantoms.setting import (
    SIEMENS,
    header_of,
    readout_table,
    slice_of,
    slice_places,
    time_stamps,
)
from ultrahand.phantoms.signal import Signal
from ultrahand.phantoms.thermal import complex_normal
from ultrahand.physics.off_resonance import rate_per_s
from ultrahand.records import ArraySource, RawData
from ultrahand.records.arrays import Complex64, Ints, Structured, require
from ultrahand.records.readouts import LAST_IN_MEASUREMENT_FLAG, NOISE_FLAG, REVERSE_FLAG, has

if TYPE_CHECKING:
    from ultrahand.phantoms.setting import Scan

BLOCK_BYTES = 1 << 26
"""Readouts are made in blocks of about this size."""
GARBAGE = 10.0
"""Amplitude of discarded samples, times the largest sample beside them."""


def simulate(
    objects: Sequence[PhantomObject], coils: Coils, scan: Scan, rng: np.random.Generator
) -> RawData:
    """Measure objects.

    Every sample is the closed-form Fourier integral of coil sensitivity times density, followed
    by the receiver at the scan's position, times ``exp((-r2star - 2 pi i off_resonance) t)`` of
    each object with t counted from the excitation; then noise. A 2D slice sees an ellipsoid's
    thin cross-section and a bead averaged over the slice's thickness.

    Parameters
    ----------
    objects
        What is measured; where objects overlap their densities add.
    coils
        What receives.
    scan
        A `CartesianScan` or a `NonCartesianScan`.
    rng
        Source of noise, garbage and the order of scrambled slices.

    Raises
    ------
    RecordError
        The noise covariance is not that of so many coils.
    """
    n_coils = coils.n_coils
    fits = scan.noise is None or len(scan.noise.covariance) == n_coils
    require(fits, f"the noise covariance must be {n_coils} x {n_coils}, one row a coil")
    places = slice_places(scan.slice_order, scan.n_slices, rng)
    table = scan.readouts(places)
    table["acquisition_time_stamp"] = time_stamps(scan, table["contrast"])
    table["active_channels"] = n_coils
    table["flags"][-1] |= np.uint64(LAST_IN_MEASUREMENT_FLAG)
    data: dict[int, Complex64] = {}
    for number, place in enumerate(places):
        where = slice_of(scan, int(place)) if scan.dimension == 2 else None
        parts = [item.section(where) for item in objects] if where else list(objects)
        seen = _by_decay([part for part in parts if part is not None])
        signals = {decay: scan.signal(same, coils, where) for decay, same in seen.items()}
        rows = np.flatnonzero(table["slice"] == number)
        for block, values in _measure(scan, table, rows, signals, rng):
            data |= dict(zip(block.tolist(), values, strict=True))
    noise_table, noise = _noise_readouts(scan, n_coils, table, rng)
    both = np.concatenate([noise_table, table])
    both["scan_counter"] = np.arange(1, len(both) + 1)
    return RawData(
        header=header_of(scan),
        readouts=both,
        source=ArraySource(
            data=(*noise, *(data[row] for row in range(len(table)))),
            k=scan.trajectories(both),
        ),
    )


@final
@dataclass(frozen=True, order=True)
class _Decay:
    r2star_per_s: float
    off_resonance_hz: float


def _by_decay(parts: Sequence[Part]) -> Mapping[_Decay, list[Part]]:
    groups: dict[_Decay, list[Part]] = {}
    for part in parts:
        groups.setdefault(_Decay(part.r2star_per_s, part.off_resonance_hz), []).append(part)
    return groups


def _measure(
    scan: Scan,
    table: Structured,
    rows: Ints,
    signals: Mapping[_Decay, Signal],
    rng: np.random.Generator,
) -> Iterator[tuple[Ints, Complex64]]:
    """Yield blocks of rows with their data, ``(rows, coils, samples)``."""
    n_coils = int(table["active_channels"][0])
    rows = rows[np.argsort(scan.line_numbers(table[rows]), kind="stable")]
    step = max(1, BLOCK_BYTES // (8 * n_coils * scan.n_samples))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        values = _noiseless(scan, table[block], n_coils, signals)
        if scan.noise is not None:
            values += scan.noise.imaging(rng, len(block), scan.n_samples)
        values = _with_garbage(values, scan.discard_pre, scan.discard_post, rng)
        yield block, values.conj() if scan.vendor == SIEMENS else values


def _noiseless(
    scan: Scan, table: Structured, n_coils: int, signals: Mapping[_Decay, Signal]
) -> Complex64:
    total = np.zeros((len(table), n_coils, scan.n_samples), np.complex64)
    numbers, member = np.unique(scan.line_numbers(table), return_inverse=True)
    backward = has(table["flags"], REVERSE_FLAG)
    echo_s = np.array(scan.echo_times_s)[table["contrast"]]
    passed = np.arange(scan.n_samples) - scan.centre_index
    # A reversed line passes the same k in the other order, k = 0 again at the echo time.
    since_echo = np.where(backward[:, None], -passed, passed) * scan.sample_time_s
    time_s = echo_s[:, None] + since_echo
    for decay, signal in signals.items():
        lines = signal.lines(numbers)[member]
        rate = complex(rate_per_s(decay.off_resonance_hz, decay.r2star_per_s))
        if rate != 0.0:
            lines *= np.exp(rate * time_s).astype(np.complex64)[:, None]
        total += lines
    total[backward] = total[backward, :, ::-1]
    return total


def _with_garbage(
    values: Complex64, before: int, after: int, rng: np.random.Generator
) -> Complex64:
    if before == after == 0:
        return values
    n_rows, n_coils, n_samples = values.shape
    amplitude = np.float32(GARBAGE * (float(np.abs(values).max()) or 1.0))
    padded = complex_normal(rng, (n_rows, n_coils, before + n_samples + after)) * amplitude
    padded[..., before : before + n_samples] = values
    return padded


def _noise_readouts(
    scan: Scan, n_coils: int, table: Structured, rng: np.random.Generator
) -> tuple[Structured, Complex64]:
    noise = scan.noise
    if noise is None or noise.n_readouts == 0:
        return table[:0], np.empty((0, n_coils, 0), np.complex64)
    rows = readout_table(scan, noise.n_readouts)
    rows["flags"] = NOISE_FLAG
    rows["discard_pre"] = rows["discard_post"] = 0
    rows["number_of_samples"] = noise.n_samples
    rows["active_channels"] = n_coils
    rows["sample_time_s"] = noise.dwell_s
    rows["acquisition_time_stamp"] = table["acquisition_time_stamp"][0]
    values = noise.readouts(rng, scan.sample_time_s)
    return rows, values.conj() if scan.vendor == SIEMENS else values
