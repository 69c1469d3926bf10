"""Spokes put where gradients that are late really took them.

Spokes of all directions share every frame. A shift along them of half a sample, which a delay of a
microsecond makes, gives each another phase across the field of view: streaks that change from frame
to frame like an enhancement.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.gradient_delay import RadialDelay, estimate_delay
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.pipelines.dynamic_spokes import Spokes
    from ultrahand.records.arrays import Complex64
    from ultrahand.records.raw import RawData

SPOKES: Final = 128
"""The first so many: they are measured before most signal changes."""
SURE: Final = 3.0
"""Standard errors from which a shift is one."""


def corrected(
    raw: RawData, spokes: Spokes, whitening: Complex64, notes: list[Finding]
) -> tuple[Spokes, tuple[str, ...]]:
    """Return spokes at their real positions, and what was done.

    From the partition nearest to kz = 0. Where spokes leave no estimate (few, of one half of the
    angles, not in even steps) they stay where they are, and a finding says so.

    Parameters
    ----------
    raw
        The measurement.
    spokes
        At their nominal positions.
    whitening
        From channels to unit noise.
    notes
        Takes the finding.
    """
    chosen = slice(0, min(SPOKES, len(spokes.rows)))
    centre = int(np.argmin(np.abs(spokes.kz_per_m)))
    rows = spokes.rows[chosen, centre]
    order = np.argsort(rows)
    samples = np.empty((len(whitening), len(rows), spokes.k_per_m.shape[1]), np.complex64)
    samples[:, order] = np.tensordot(
        whitening, raw.source.samples(rows[order])[:, :, spokes.keep], axes=1
    )
    finite = np.isfinite(samples).all(axis=(0, 2))
    try:
        delay = estimate_delay(samples[:, finite], spokes.k_per_m[chosen][finite])
    except InputError as error:
        notes.append(
            warning(
                "gradient delay",
                found=error.found,
                expected=error.expected,
                remedy="spokes are taken to be where the trajectory says",
            )
        )
        return spokes, ()
    told = _text(delay)
    if (np.abs(delay.shift_per_m) <= SURE * delay.standard_error_per_m).all():
        return spokes, (f"no gradient delay found: {told}",)
    notes.append(
        info(
            "gradient delay",
            found=told,
            expected="none",
            remedy="spokes are moved to where they really are",
        )
    )
    moved = replace(spokes, k_per_m=delay.applied(spokes.k_per_m))
    return moved, (f"gradient delays corrected (RING): {told}",)


def _text(delay: RadialDelay) -> str:
    error = delay.standard_error_per_m / delay.spacing_per_m
    parts = ", ".join(
        f"{name} {shift:.3f} +- {sd:.3f}"
        for name, shift, sd in zip(("xx", "yy", "xy"), delay.shift_samples, error, strict=True)
    )
    return f"spokes shifted by {parts} samples"
