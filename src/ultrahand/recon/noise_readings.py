r"""A covariance's diagonal from random readings of it, averaged over as far as it is smooth.

With :math:`v` of the phases 1, i, -1, -i at random :math:`Re(v^* \odot C v)` is the diagonal on
average, with the variance :math:`\sum_{j \ne i} |C_{ij}|^2 / 2` (Bekas, Kokiopoulou, Saad: Appl
Numer Math 2007;57:1214, doi:10.1016/j.apnum.2007.01.003). Its ratio to a model that has the edges
(`noise_alias`) is smooth, so the mean of neighbours scatters less than each of them, and is wrong
by what the ratio curves between them. How far to average is read off the readings themselves:
those of one half of the vectors miss the means of their neighbours as the other half's do theirs,

.. math:: E\,(m_A - r_A)(m_B - r_B) = bias^2

(the halves scatter on their own, so what is left on average is what the mean of neighbours is wrong
by), and half the difference of the halves' means is their scatter. The width of the least error is
taken. Told is that error and the standard error of the bias, which few readings do not tell from
their scatter. Nothing is supposed but that the vectors are independent: more always come closer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.records.arrays import Bools, Complex64, Float64

WIDTHS: Final = (0.0, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
"""Standard deviations of the Gaussian mean over neighbours, in voxels."""


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Smoothed:
    """The mean of readings over vectors and neighbours."""

    values: Float64
    error: float
    """Its root mean square error, relative to the mean value."""
    width: float
    """One of `WIDTHS`."""


def random_phases(seen: Bools, number: int) -> Complex64:
    """Return vector `number`: a random quarter turn where `seen`, 0 elsewhere."""
    turns = np.random.default_rng((7, number)).integers(0, 4, seen.shape, np.int8)
    units = np.array([1, 1j, -1, -1j], np.complex64)
    return np.where(seen, units[turns], np.complex64(0))


def smoothed(halves: tuple[Float64, Float64], good: Bools) -> Smoothed:
    """Average two halves of readings over as many neighbours as makes the error least.

    Parameters
    ----------
    halves
        The mean readings of each half of the vectors, ``(z, y, x)``.
    good
        Readings that count; elsewhere the values are those of the neighbours.
    """
    a, b = halves
    level = float((a + b)[good].mean()) / 2
    best: Smoothed | None = None
    for width in WIDTHS:
        if width > max(max(a.shape) / 4, 0.5):
            break
        mean_a, mean_b = (_mean_of(half, good, width) for half in halves)
        scatter = float(((mean_a - mean_b)[good] ** 2).mean()) / 4
        both = ((mean_a - a) * (mean_b - b))[good]
        unsure = float(both.std()) / math.sqrt(both.size) if width else 0.0
        error = math.sqrt(max(float(both.mean()), 0.0) + unsure + scatter) / level
        if best is None or error < best.error:
            best = Smoothed(values=(mean_a + mean_b) / 2, error=error, width=width)
    assert best is not None
    return best


def _mean_of(values: Float64, good: Bools, width: float) -> Float64:
    """Return the Gaussian mean over good neighbours; the mean of all where none is near."""
    from scipy import ndimage

    sigma = [width if n > 1 else 0.0 for n in values.shape]
    weight = good.astype(np.float64)
    total = np.where(good, values, 0.0)
    if width:
        total = ndimage.gaussian_filter(total, sigma, mode="constant")
        weight = ndimage.gaussian_filter(weight, sigma, mode="constant")
    mean = float(values[good].mean())
    return np.divide(total, weight, out=np.full(values.shape, mean), where=weight > 1e-6)
