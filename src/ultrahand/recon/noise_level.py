r"""The noise of a scan without noise readouts, from its own outermost samples.

There the signal is least. Noise alone makes :math:`|y|^2` exponential, whose median is
:math:`2 \ln 2` times the variance of the real part; a median is not moved by a few samples of
signal. It is an upper bound: good enough to weigh the data against what is known of the image, not
to state a standard error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.records.arrays import Complex64, Float64, Ints
    from ultrahand.records.raw import RawData

LINES: Final = 64
"""The outermost are read."""
ENDS: Final = 8
"""Of each, this part at either end is used."""
OUTER: Final = 0.1
"""Part of samples anywhere."""


def outer_noise(raw: RawData, plan: CartesianPlan, rows: Ints) -> Float64:
    """Return the standard deviation of a sample's real part in each coil, 0 for a dead one.

    Parameters
    ----------
    raw, plan
        The measurement and where its readouts go.
    rows
        Imaging readouts of one volume (3D) or slice (2D).
    """
    used = plan.used(rows)
    shape = max(plan.classes, key=lambda c: int(np.isin(c.rows, used).sum()))
    mine = np.intersect1d(shape.rows, used)
    distance = np.zeros(len(mine))
    for table, axis in ((plan.line1, plan.axes[1]), (plan.line2, plan.axes[2])):
        n = axis.n_grid
        distance += (((table[mine] + n // 2) % n - n // 2) / n) ** 2
    outer = np.sort(mine[np.argsort(-distance, kind="stable")[:LINES]])
    samples = raw.source.samples(outer)[:, :, shape.keep]
    part = max(1, samples.shape[2] // ENDS)
    ends = np.concatenate([samples[:, :, :part], samples[:, :, -part:]], axis=2)
    return _sd_of_median(ends.reshape(len(ends), -1))


def outermost(samples: Complex64, k_per_m: Float64) -> Float64:
    """Return the same from samples anywhere: of the `OUTER` part farthest from the centre.

    Parameters
    ----------
    samples
        ``(coils, samples)``.
    k_per_m
        Their positions, ``(samples, dims)``.
    """
    distance = np.linalg.norm(k_per_m, axis=1)
    outer = distance >= np.quantile(distance, 1.0 - OUTER)
    return _sd_of_median(samples[:, outer])


def _sd_of_median(samples: Complex64) -> Float64:
    power = np.abs(samples.astype(np.complex128)) ** 2
    finite = np.where(np.isfinite(power), power, np.nan)
    sd: Float64 = np.sqrt(np.nanmedian(finite, axis=1) / (2 * math.log(2)))
    return sd
