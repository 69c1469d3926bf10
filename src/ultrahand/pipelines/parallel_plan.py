"""Which readouts calibrate each image of an undersampled Cartesian encoding, and by what method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.pipelines.compare import name_slice
from ultrahand.pipelines.options import Method
from ultrahand.recon.calibration import Calibration, find_calibration, line_mask
from ultrahand.recon.cartesian import CartesianPlan, plan_cartesian
from ultrahand.recon.espirit import KERNEL
from ultrahand.recon.lattice_search import calibration_block, find_lattice
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.readouts import Kind, kinds_of

if TYPE_CHECKING:
    from ultrahand.recon.sorting import Volume
    from ultrahand.records.arrays import Ints
    from ultrahand.records.raw import RawData

_COUNTERS: Final = ("contrast", "set", "phase", "repetition")
"""Which calibration readouts are nearest to an image: fewest of these differ, the first most."""


@dataclass(frozen=True, slots=True)
class ParallelPlan:
    """What calibrates the images of one encoding."""

    separate: CartesianPlan | None
    """Of calibration readouts that serve nothing else; None where there are none."""
    separate_rows: Ints


def plan_separate(raw: RawData, index: int, *, three_d: bool) -> tuple[ParallelPlan, list[Finding]]:
    """Place the calibration readouts (flag 20 without 21) of an encoding."""
    kinds = kinds_of(raw.readouts["flags"])
    rows = np.flatnonzero(
        (kinds == Kind.CALIBRATION) & (raw.readouts["encoding_space_ref"] == index)
    )
    if not rows.size:
        return ParallelPlan(None, rows), []
    plan, _ = plan_cartesian(raw, rows, index, three_d=three_d)
    found = info(
        "calibration readouts",
        found=f"{rows.size} that serve nothing else",
        expected="any number",
        remedy="used for coil sensitivities or weights where they are the larger block, not as "
        "samples of the image",
    )
    return ParallelPlan(plan, rows), [found]


def calibration_of(
    raw: RawData, plan: CartesianPlan, parallel: ParallelPlan, rows: Ints
) -> Calibration | None:
    """Return the larger of the image's own central block and that of separate readouts.

    Parameters
    ----------
    raw, plan, parallel
        The measurement and where its readouts go.
    rows
        Imaging readouts of one volume (3D) or slice (2D).
    """
    own = find_calibration(plan, rows, separate=False)
    if parallel.separate is None:
        return own
    mine = nearest(raw, parallel.separate_rows, int(rows[0]))
    other = find_calibration(parallel.separate, mine, separate=True) if mine.size else None
    if other is None or (own is not None and np.prod(own.size) >= np.prod(other.size)):
        return own
    return other


def nearest(raw: RawData, candidates: Ints, row: int) -> Ints:
    """Return the readouts of the same slice whose counters differ least from those of a row."""
    table = raw.readouts
    same = candidates[table["slice"][candidates] == table["slice"][row]]
    if not same.size:
        return same
    differs = np.stack([table[name][same] != table[name][row] for name in _COUNTERS], axis=1)
    distance = differs @ (1 << np.arange(len(_COUNTERS))[::-1])
    return same[distance == distance.min()]


def choose_parallel(
    raw: RawData,
    plan: CartesianPlan,
    parallel: ParallelPlan,
    volumes: list[Volume],
    n_coils: int,
    asked: Method,
) -> tuple[Method, str, list[Finding]]:
    """Decide how missing lines are filled, or refuse what was asked for.

    Parameters
    ----------
    raw, plan, parallel, volumes
        One encoding, some of whose lines are missing.
    n_coils
        Channels.
    asked
        ``auto``, ``sense``, ``grappa`` or ``cs``.

    Raises
    ------
    InputError
        A method was asked for that cannot work: one channel, too few calibration lines, for GRAPPA
        lines that form no lattice.
    """
    why = _obstacle(raw, plan, parallel, volumes, n_coils, asked)
    if why is not None:
        if asked is Method.AUTO:
            return Method.FFT, f"lines are missing, and {why.found} ({why.expected})", []
        raise InputError(
            why.field,
            found=why.found,
            expected=why.expected,
            remedy="run with --method fft, which puts zeros where lines are missing",
        )
    first = next(iter(volumes[0].slices.values()))
    mask = line_mask(plan, first)[:, :, None]
    findings = []
    try:
        lattice = find_lattice(mask, block=calibration_block(mask))
    except InputError:
        if asked is Method.GRAPPA:
            raise
        reason = "lines are missing, on no lattice"
    else:
        reason = f"lines are missing, one of {lattice.rate} is there"
        findings = _compare_rate(raw, volumes[0].encoding, lattice.rate)
    if asked is not Method.AUTO:
        return asked, "asked for", findings
    return Method.SENSE, reason, findings


def _obstacle(
    raw: RawData,
    plan: CartesianPlan,
    parallel: ParallelPlan,
    volumes: list[Volume],
    n_coils: int,
    asked: Method,
) -> Finding | None:
    """Return why coils cannot fill what is missing."""
    if n_coils < 2 and asked is not Method.CS:
        return warning("receive channels", found="one channel", expected="at least two", remedy="")
    z, y = plan.axes[2].n_grid, plan.axes[1].n_grid
    least = (min(KERNEL, z), min(KERNEL, y))
    for volume in volumes:
        for number, rows in volume.slices.items():
            block = calibration_of(raw, plan, parallel, rows)
            size = block.size if block is not None else (0, 0)
            if size[0] < least[0] or size[1] < least[1]:
                return warning(
                    f"calibration, {name_slice(volume, number)}",
                    found=f"{size[1]} x {size[0]} fully sampled lines about the centre",
                    expected=f"at least {least[1]} x {least[0]} (phase x slice)",
                    remedy="",
                )
    return None


def _compare_rate(raw: RawData, index: int, rate: int) -> list[Finding]:
    declared = raw.header.encodings[index].acceleration
    if declared is None or declared[0] * declared[1] == rate:
        return []
    return [
        warning(
            "parallelImaging accelerationFactor",
            found=f"{declared[0]} x {declared[1]} declared, one line of {rate} acquired",
            expected="the acceleration of the lines",
            remedy="the lines decide",
        )
    ]
