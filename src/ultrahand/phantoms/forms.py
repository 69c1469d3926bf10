"""Fourier transforms of the unit ball, the unit disk and a cut Gaussian, in closed form."""

from __future__ import annotations

from math import factorial, pi, prod, sqrt
from typing import Final

import numpy as np

from ultrahand.records.arrays import Complex, Float64

_SERIES_BELOW: Final = 0.5
_SERIES: Final = tuple(
    (-0.5) ** n / (factorial(n) * prod(range(1, 2 * n + 4, 2))) for n in range(8)
)


def ball(q: Float64) -> Float64:
    r"""Return the radial profile of a ball's transform, 1/3 at the origin.

    .. math:: (\sin q - q \cos q) / q^3 = \sum_n (-q^2/2)^n / (n! (2n+3)!!)

    times :math:`4 \pi a^3` with :math:`q = 2 \pi a |k|` it is the transform of a ball of radius
    a (Koay, Sarlls, Ozarslan, Magn Reson Med 2007;58:430, doi:10.1002/mrm.21292). Below 0.5 the
    difference cancels; there the series is exact to the last digit.

    Parameters
    ----------
    q
        Dimensionless, not negative, any shape.
    """
    safe = np.maximum(q, _SERIES_BELOW)
    # sin and cos from one tangent of the half angle: numpy has a fast one.
    t = np.tan(0.5 * safe)
    t2 = t * t
    value = np.asarray((2.0 * t - safe * (1.0 - t2)) / ((1.0 + t2) * safe * safe * safe))
    small = np.asarray(q < _SERIES_BELOW)
    if small.any():
        value[small] = np.polynomial.polynomial.polyval(np.asarray(q)[small] ** 2, _SERIES)
    return value


def disk(q: Float64) -> Float64:
    r"""Return the radial profile of a disk's transform, :math:`J_1(q)/q`, 1/2 at the origin.

    Times :math:`2 \pi a^2` with :math:`q = 2 \pi a |k|` it is the transform of a disk of radius a.

    Parameters
    ----------
    q
        Dimensionless, not negative, any shape.
    """
    from scipy.special import j1

    safe = np.maximum(q, 1e-30)
    return np.where(q < 1e-8, 0.5, j1(safe) / safe)


def length(u: Float64) -> Float64:
    """Return the length of vectors ``(..., n)``; by components, which numpy does fastest."""
    squared = u[..., 0] ** 2
    for axis in range(1, u.shape[-1]):
        squared += u[..., axis] ** 2
    return np.sqrt(squared)


def cut_gaussian(k_per_m: Float64, low_m: float, high_m: float, sigma_m: float) -> Complex:
    r"""Return the transform of a Gaussian that is cut off on both sides.

    .. math:: \int_a^b e^{-s^2/2\sigma^2 - 2\pi i k s} ds = \sigma \sqrt{\pi/2}\,
        e^{-2\pi^2\sigma^2k^2} [\mathrm{erf}(b/\sqrt2\sigma + i\sqrt2\pi\sigma k)
        - \mathrm{erf}(a/\sqrt2\sigma + i\sqrt2\pi\sigma k)]

    (complete the square in the exponent).

    Parameters
    ----------
    k_per_m
        Cycles per metre, any shape.
    low_m, high_m
        The limits a and b, from the Gaussian's centre.
    sigma_m
        Its standard deviation.
    """
    from scipy.special import erf

    shift = 1j * sqrt(2.0) * pi * sigma_m * k_per_m
    scale = 1.0 / (sqrt(2.0) * sigma_m)
    difference = erf(high_m * scale + shift) - erf(low_m * scale + shift)
    damping = np.exp(-2.0 * (pi * sigma_m * k_per_m) ** 2)
    return sigma_m * sqrt(pi / 2.0) * damping * difference
