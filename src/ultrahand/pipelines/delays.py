"""Spokes put where gradients that are late really took them.

Spokes of all directions share every image. A shift along them of half a sample, which a delay of a
microsecond makes, gives each another phase across the field of view: streaks, and in a series
streaks that change from frame to frame like an enhancement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.gradient_delay import RadialDelay, estimate_delay
from ultrahand.recon.noise_level import outermost
from ultrahand.recon.spoke_crossings import are_full_spokes
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.pipelines.dynamic_spokes import Spokes
    from ultrahand.recon.non_cartesian import NonCartesianPlan
    from ultrahand.records.arrays import Complex64, Float64, Ints
    from ultrahand.records.raw import RawData

SPOKES: Final = 128
"""The first so many: they are measured before most signal changes."""
SURE: Final = 3.0
"""Standard errors from which a shift is one."""
UNSURE_NOISE: Final = 0.1
"""Where the noise is not known, of the outermost samples' level, which is an upper bound: an
estimate that is too low is made good by the misfit, from which standard errors then come."""
NOT_WANTED: Final = "gradient delays not estimated, as asked"
SHARED: Final = ("contrast", "set")
"""Counters whose readouts may differ in gradients or signal."""


@dataclass(frozen=True, slots=True)
class Delays:
    """What was found out about the spokes of some readouts."""

    shift: RadialDelay | None
    """None to leave spokes where the trajectory says."""
    steps: tuple[str, ...]


def corrected(
    raw: RawData, spokes: Spokes, whitening: Complex64, notes: list[Finding], *, wanted: bool
) -> tuple[Spokes, tuple[str, ...]]:
    """Return the spokes of a series at their real positions, and what was done.

    From the partition nearest to kz = 0.

    Parameters
    ----------
    raw
        The measurement.
    spokes
        At their nominal positions.
    whitening
        From channels to unit noise.
    notes
        Takes what is found.
    wanted
        False to leave them where they are.
    """
    if not wanted:
        return spokes, (NOT_WANTED,)
    chosen = slice(0, min(SPOKES, len(spokes.rows)))
    centre = int(np.argmin(np.abs(spokes.kz_per_m)))
    rows = spokes.rows[chosen, centre]
    found = _measure(raw, rows, spokes.keep, spokes.k_per_m[chosen], whitening, notes)
    if found.shift is None:
        return spokes, found.steps
    return replace(spokes, k_per_m=found.shift.applied(spokes.k_per_m)), found.steps


def delays_of(
    raw: RawData,
    grid: NonCartesianPlan,
    rows: Ints,
    whitening: Complex64 | None,
    notes: list[Finding],
) -> Delays:
    """Return the delays of the readouts of an image that is gridded or solved.

    From the first spokes of the middle slice (the partition nearest to kz = 0) with the contrast
    and set of `rows`: all slices and repetitions have the same gradients. Readouts that are no full
    spokes in a plane have no crossings; nothing is said of them.

    Parameters
    ----------
    raw, grid
        The measurement, and where its readouts sample k-space.
    rows
        Readouts of one volume or slice.
    whitening
        From channels to unit noise; None where the noise is not known.
    notes
        Takes what is found.
    """
    nothing = Delays(None, ())
    if len(grid.shots) != 1 or (grid.three_d and grid.partition_k_per_m is None):
        return nothing
    shots = grid.shots[0]
    mine = _alike(raw, grid, shots.rows, rows)
    k = (shots.k[shots.shot_of[np.isin(shots.rows, mine)]] * grid.k_per_m)[:, :, :2]
    if not are_full_spokes(k):
        return nothing
    return _measure(raw, mine, shots.keep, k.astype(np.float64), whitening, notes)


def _alike(raw: RawData, grid: NonCartesianPlan, known: Ints, rows: Ints) -> Ints:
    """Return the first readouts that are measured as `rows` are, of one slice or partition."""
    table = raw.readouts
    same = np.ones(len(known), bool)
    for name in SHARED:
        same &= table[name][known] == table[name][rows[0]]
    known = known[same]
    slices = np.unique(table["slice"][known])
    known = known[table["slice"][known] == slices[len(slices) // 2]]
    if grid.partition_k_per_m is not None:
        far = np.abs(grid.partition_k_per_m[known])
        known = known[far == far.min()]
    return known[:SPOKES]


def _measure(
    raw: RawData,
    rows: Ints,
    keep: slice,
    k_per_m: Float64,
    whitening: Complex64 | None,
    notes: list[Finding],
) -> Delays:
    """Read some spokes and fit their shift; ``k_per_m``: nominal, ``(spokes, samples, 2)``."""
    order = np.argsort(rows)
    raw_samples = raw.source.samples(rows[order])[:, :, keep]
    finite = np.isfinite(raw_samples).all(axis=(0, 2))
    k, samples = k_per_m[order][finite], raw_samples[:, finite]
    if whitening is None:
        level = outermost(samples.reshape(len(samples), -1), k.reshape(-1, 2))
        samples = samples[level > 0] / level[level > 0].astype(np.float32)[:, None, None]
    else:
        samples = np.tensordot(whitening, samples, axes=1)
    try:
        delay = estimate_delay(samples, k, noise_sd=UNSURE_NOISE if whitening is None else 1.0)
    except InputError as error:
        notes.append(
            warning(
                "gradient delay",
                found=error.found,
                expected=error.expected,
                remedy="spokes are taken to be where the trajectory says",
            )
        )
        return Delays(None, ())
    told = _text(delay)
    if (np.abs(delay.shift_per_m) <= SURE * delay.standard_error_per_m).all():
        return Delays(None, (f"no gradient delay found: {told}",))
    notes.append(
        info(
            "gradient delay",
            found=told,
            expected="none",
            remedy="spokes are moved to where they really are (--gradient-delays none leaves them)",
        )
    )
    return Delays(delay, (f"gradient delays corrected (RING): {told}",))


def _text(delay: RadialDelay) -> str:
    error = delay.standard_error_per_m / delay.spacing_per_m
    parts = ", ".join(
        f"{name} {shift:.3f} +- {sd:.3f}"
        for name, shift, sd in zip(("xx", "yy", "xy"), delay.shift_samples, error, strict=True)
    )
    return f"spokes shifted by {parts} samples"
