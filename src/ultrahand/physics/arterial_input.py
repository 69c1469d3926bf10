"""Contrast agent in arterial blood after an injection: a population's curve, as the hand sees it.

The curve is Parker's; on its way along the arm it is delayed and mixed. The mixing is a convolution
with an exponential density of transit times, ``exp(-t / d) / d``, of mean and standard deviation d:
the curve convolved with any exponential has a closed form (see `exponential_response`), and so has
the uptake of tissue that follows from it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfc, erfcx

from ultrahand.errors import UsageError
from ultrahand.records.arrays import Float64

_S_PER_MIN: Final = 60.0

# Parker GJM et al., Magn Reson Med 2006;56:993-1000 (doi:10.1002/mrm.21066), table 1; minutes.
_PEAKS: Final = ((0.809, 0.17046, 0.0563), (0.330, 0.365, 0.132))
"""Area in mmol/L min, centre and standard deviation in min of the first and second passage."""
_TAIL_MMOL_PER_L: Final = 1.050
_TAIL_PER_MIN: Final = 0.1685
_STEP_PER_MIN: Final = 38.078
_STEP_MIN: Final = 0.483

_TERMS: Final = 24
"""Of the alternating sum: its error is 5.8^-24, below the rounding of doubles."""


def population_input(t_s: ArrayLike) -> Float64:
    """Return the concentration in arterial blood, Parker's functional form.

    ``sum A / (sigma sqrt(2 pi)) exp(-(t - T)^2 / (2 sigma^2)) + a exp(-b t) / (1 + exp(-s (t -
    tau)))``: Parker et al., Magn Reson Med 2006;56:993-1000 (doi:10.1002/mrm.21066), of gadodiamide
    at 0.1 mmol/kg in the abdominal aorta; other doses scale it.

    Parameters
    ----------
    t_s
        Time on the paper's scale, on which the agent arrives near 0; any shape. Before, the form
        is small, not zero: 0.08 mmol/L at 0 s, below 0.001 mmol/L at -8 s.

    Returns
    -------
    ndarray
        mmol per litre of whole blood, the shape of `t_s`.
    """
    t = np.asarray(t_s, np.float64) / _S_PER_MIN
    peaks = sum(
        area / (sigma * np.sqrt(2.0 * np.pi)) * np.exp(-(((t - centre) / sigma) ** 2) / 2.0)
        for area, centre, sigma in _PEAKS
    )
    # exp(-b t) / (1 + exp(-x)) with the larger exponential taken out: no overflow long before.
    x = _STEP_PER_MIN * (t - _STEP_MIN)
    step = np.exp(np.minimum(x, 0.0) - _TAIL_PER_MIN * t) / (1.0 + np.exp(-np.abs(x)))
    return peaks + _TAIL_MMOL_PER_L * step


def arm_input(
    t_s: ArrayLike, *, delay_s: ArrayLike = 0.0, dispersion_s: ArrayLike = 0.0
) -> Float64:
    """Return the concentration in an artery further on, delayed and mixed.

    The population's curve convolved with ``exp(-(t - delay) / d) / d`` for t above the delay: the
    exponential vascular transport function of Calamante et al., Magn Reson Med 2000;44:466-473
    (doi:10.1002/1522-2594(200009)44:3<466::AID-MRM18>3.0.CO;2-M). It keeps the area and shifts the
    centre of mass by ``delay + d``.

    Parameters
    ----------
    t_s
        Times as in `population_input`.
    delay_s
        Transit that all of the agent shares.
    dispersion_s
        d, the mean of the transit beyond the delay; 0 for no mixing. All three broadcast.

    Returns
    -------
    ndarray
        mmol per litre of whole blood, of the broadcast shape.

    Raises
    ------
    UsageError
        A negative dispersion.
    """
    spread = np.asarray(dispersion_s, np.float64)
    if bool((spread < 0.0).any()):
        raise UsageError(f"dispersion_s must not be negative, found {spread.min():g}")
    t = np.asarray(t_s, np.float64) - np.asarray(delay_s, np.float64)
    rate = 1.0 / np.where(spread > 0.0, spread, 1.0)
    mixed = rate * exponential_response(t, rate)
    return np.where(spread > 0.0, mixed, population_input(t))


def exponential_response(t_s: ArrayLike, rate_per_s: ArrayLike) -> Float64:
    """Return the population's curve convolved with ``exp(-rate t)`` for t > 0, in closed form.

    A Gaussian gives an exponentially modified Gaussian (Grushka, Anal Chem 1972;44:1733-1738,
    doi:10.1021/ac60319a011). The tail, an exponential times a logistic step, is a geometric series
    of exponentials on either side of the step; each is integrated exactly, and the alternating sum
    is taken to rounding error with the weights of Cohen, Rodriguez Villegas and Zagier, Exp Math
    2000;9:3-12 (doi:10.1080/10586458.2000.10504632), algorithm 1.

    Parameters
    ----------
    t_s
        Times as in `population_input`.
    rate_per_s
        Not negative; 0 integrates the curve. They broadcast.

    Returns
    -------
    ndarray
        mmol per litre of whole blood times s, of the broadcast shape.
    """
    t = np.asarray(t_s, np.float64) / _S_PER_MIN
    rate = np.asarray(rate_per_s, np.float64) * _S_PER_MIN
    peaks = sum(area * _modified_gaussian(t - at, sigma, rate) for area, at, sigma in _PEAKS)
    return (peaks + _tail_response(t - _STEP_MIN, rate)) * _S_PER_MIN


def _modified_gaussian(t: Float64, sigma: float, rate: Float64) -> Float64:
    """Convolve a Gaussian of unit area with ``exp(-rate t)``.

    ``exp(r^2 sigma^2 / 2 - r t) erfc(z) / 2`` with ``z = (r sigma - t / sigma) / sqrt(2)``; where z
    is positive the exponential may overflow, and its equal ``exp(-t^2 / (2 sigma^2)) erfcx(z) / 2``
    is taken.
    """
    z = (rate * sigma - t / sigma) / np.sqrt(2.0)
    early = np.exp(-((t / sigma) ** 2) / 2.0) * erfcx(np.maximum(z, 0.0))
    late = np.exp(np.where(z < 0.0, rate * (rate * sigma**2 / 2.0 - t), 0.0)) * erfc(z)
    return np.where(z < 0.0, late, early) / 2.0


def _tail_response(t: Float64, rate: Float64) -> Float64:
    """Convolve the tail with ``exp(-rate t)``; t counts from the step.

    With ``x = s t`` and ``p = (rate - b) / s`` the integral is ``exp(-rate t) / s`` times that of
    ``exp(p y) / (1 + exp(-y))`` over y up to x. Below the step the integrand is the sum over k of
    ``(-1)^k exp((p + 1 + k) y)``, above it of ``(-1)^k exp((p - k) y)``.
    """
    before, after = np.minimum(t, 0.0), np.maximum(t, 0.0)
    p = (rate - _TAIL_PER_MIN) / _STEP_PER_MIN
    to_step, rise, fall = (np.zeros(np.broadcast(t, rate).shape) for _ in range(3))
    for k, weight in enumerate(_alternating_weights(_TERMS)):
        to_step = to_step + weight / (p + 1 + k)
        growth = np.exp((_STEP_PER_MIN * (k + 1) - _TAIL_PER_MIN) * before)
        rise = rise + weight * growth / (p + 1 + k)
        fall = fall + weight * _difference(
            -(_TAIL_PER_MIN + k * _STEP_PER_MIN) * after, -rate * after
        )
    late = to_step * np.exp(-rate * after) + _STEP_PER_MIN * after * fall
    scale = _TAIL_MMOL_PER_L * np.exp(-_TAIL_PER_MIN * _STEP_MIN) / _STEP_PER_MIN
    return scale * np.where(t > 0.0, late, rise)


def _difference(p: Float64, q: Float64) -> Float64:
    """Return ``(exp(p) - exp(q)) / (p - q)``, without loss where both are near."""
    apart = np.abs(p - q)
    safe = np.where(apart > 0.0, apart, 1.0)
    return np.exp(np.maximum(p, q)) * np.where(apart > 0.0, -np.expm1(-safe) / safe, 1.0)


def _alternating_weights(n: int) -> list[float]:
    """Return w with ``sum w_k f_k`` near ``sum (-1)^k f_k`` for f the moments of a measure."""
    d = (3.0 + np.sqrt(8.0)) ** n
    d = (d + 1.0 / d) / 2.0
    b, c, weights = -1.0, -d, []
    for k in range(n):
        c = b - c
        weights.append(c / d)
        b *= (k + n) * (k - n) / ((k + 0.5) * (k + 1.0))
    return weights
