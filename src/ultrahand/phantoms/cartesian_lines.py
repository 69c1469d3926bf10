"""Which lines a Cartesian scan takes, in which order, under which flags."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ultrahand.phantoms.setting import SIEMENS, readout_table, slice_position_mm
from ultrahand.records.arrays import Bools, Ints, Structured
from ultrahand.records.readouts import (
    CALIBRATION_AND_IMAGING_FLAG,
    CALIBRATION_FLAG,
    REVERSE_FLAG,
)

if TYPE_CHECKING:
    from ultrahand.phantoms.cartesian import CartesianScan

CalibrationMode: TypeAlias = Literal["embedded", "mixed", "separate"]
"""How the central block is flagged: all lines 21; those of the pattern 21 and the ones between
them 20; or once more ahead of the scan, all lines 20."""


def readouts(scan: CartesianScan, places: Ints) -> Structured:
    """Return the table of readouts, contrasts fastest, then lines, partitions, slices.

    Interleaved sets come after the contrasts, ahead of the lines.

    Parameters
    ----------
    scan
        The scan.
    places
        Place in space of each slice counter, shape ``(slices,)``.
    """
    table = np.concatenate([_block(scan, places, *block) for block in _blocks(scan)])
    return _interleaved(scan, table) if scan.interleaved_tr_s else table


def all_lines(scan: CartesianScan) -> Ints:
    """Return the grid indices along phase and slice of every line within the limits, ``(n, 2)``."""
    phase = _indices(scan.encoded_matrix[1], scan.partial_fourier_1)
    slices = _indices(scan.encoded_matrix[2], scan.partial_fourier_2)
    j, i = np.meshgrid(slices, phase, indexing="ij")
    return np.stack([i.ravel(), j.ravel()], axis=1)


def line_numbers(scan: CartesianScan, table: Structured) -> Ints:
    """Return the row of `all_lines` that each readout takes."""
    n_phase = scan.encoded_matrix[1] - sum(scan.partial_fourier_1)
    numbers: Ints = table["kspace_encode_step_2"] * n_phase + table["kspace_encode_step_1"]
    return numbers


def _interleaved(scan: CartesianScan, table: Structured) -> Structured:
    """Return the readouts of sets in turn: the same shot of each, then the next shot."""
    shot = np.zeros(len(table), np.int64)
    for number in range(scan.sets):  # all sets take the same shots in the same order
        mine = np.flatnonzero(table["set"] == number)
        shot[mine] = np.arange(len(mine)) // len(scan.echo_times_s)
    return table[np.lexsort((table["contrast"], table["set"], shot))]


def _indices(n: int, missing: tuple[int, int]) -> Ints:
    return np.arange(-(n // 2) + missing[0], n - n // 2 - missing[1])


def _blocks(scan: CartesianScan) -> Iterator[tuple[int, int, int, int, Ints, Ints]]:
    """Yield repetition, set, average, slice counter, line numbers and flags of each pass."""
    on_pattern, in_block = _pattern(scan), _calibration(scan)
    flags = np.zeros(len(on_pattern), np.uint64)
    if scan.calibration_mode == "separate":
        for number in range(scan.n_slices if in_block.any() else 0):
            lines = np.flatnonzero(in_block)
            yield 0, 0, 0, number, lines, flags[lines] + np.uint64(CALIBRATION_FLAG)
        taken = on_pattern
    else:
        mixed = (scan.calibration_mode == "mixed") & ~on_pattern
        flags[in_block] = np.uint64(CALIBRATION_AND_IMAGING_FLAG)
        flags[in_block & mixed] = np.uint64(CALIBRATION_FLAG)
        taken = on_pattern | in_block
    passes = (range(scan.repetitions), range(scan.sets), range(scan.averages))
    for repetition, set_, average, number in product(*passes, range(scan.n_slices)):
        lines = np.flatnonzero(taken & _in_average(scan, average))
        yield repetition, set_, average, number, lines, flags[lines]


def _pattern(scan: CartesianScan) -> Bools:
    on: Bools = (all_lines(scan) % np.array(scan.acceleration) == 0).all(axis=1)
    return on


def _calibration(scan: CartesianScan) -> Bools:
    counts = np.array(scan.calibration_lines)
    lines = all_lines(scan)
    inside = (lines >= -(counts // 2)) & (lines < counts - counts // 2)
    block: Bools = (inside | (counts == 0)).all(axis=1) & (counts.max() > 0)
    return block


def _in_average(scan: CartesianScan, average: int) -> Bools:
    counter = all_lines(scan)[:, 0] + scan.encoded_matrix[1] // 2 - scan.partial_fourier_1[0]
    if scan.last_average_lines is None or average < scan.averages - 1:
        return np.ones(len(counter), np.bool_)
    first, stop = scan.last_average_lines
    inside: Bools = (counter >= first) & (counter < stop)
    return inside


def _block(
    scan: CartesianScan,
    places: Ints,
    repetition: int,
    set_: int,
    average: int,
    number: int,
    lines: Ints,
    flags: Ints,
) -> Structured:
    n_contrasts = len(scan.echo_times_s)
    table = readout_table(scan, len(lines) * n_contrasts)
    n_phase = scan.encoded_matrix[1] - sum(scan.partial_fourier_1)
    line = np.repeat(lines, n_contrasts)
    table["flags"] = np.repeat(flags, n_contrasts)
    table["kspace_encode_step_1"] = line % n_phase
    table["kspace_encode_step_2"] = line // n_phase
    table["contrast"] = np.tile(np.arange(n_contrasts), len(lines))
    table["repetition"], table["set"], table["average"] = repetition, set_, average
    table["slice"] = number
    table["position_mm"] = slice_position_mm(scan, int(places[number]))
    table["number_of_samples"] = scan.discard_pre + scan.n_samples + scan.discard_post
    backward = _backward(scan, table)
    table["flags"][backward] |= np.uint64(REVERSE_FLAG)
    centre = np.where(backward, scan.reversed_centre, scan.centre_index)
    table["center_sample"] = scan.discard_pre + centre
    if scan.vendor == SIEMENS:  # its converter notes the central line and partition here
        table["user"][:, 5] = scan.encoded_matrix[1] // 2 - scan.partial_fourier_1[0]
        table["user"][:, 6] = scan.encoded_matrix[2] // 2 - scan.partial_fourier_2[0]
    return table


def _backward(scan: CartesianScan, table: Structured) -> Bools:
    """Tell which readouts of a pass run from +k to -k."""
    if scan.reversed_readouts == "lines":
        _, first = np.unique(table["kspace_encode_step_2"], return_index=True)
        start = np.repeat(first, np.diff(np.append(first, len(table))))
        odd: Bools = ((np.arange(len(table)) - start) // len(scan.echo_times_s)) % 2 == 1
        return odd
    return (table["contrast"] % 2 == 1) & (scan.reversed_readouts == "contrasts")
