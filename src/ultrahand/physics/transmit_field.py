"""Measuring the transmit field: what two pulses or two repetition times show, and back again."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ultrahand.records.arrays import Float64


def actual_flip_angle_signals(
    flip_rad: ArrayLike,
    tr_s: tuple[float, float],
    t1_s: ArrayLike,
    *,
    transmit: ArrayLike = 1.0,
) -> tuple[Float64, Float64]:
    """Return the two signals of actual flip-angle imaging, over magnetisation in equilibrium.

    Equal pulses follow each other after TR1 and TR2 in turn, and each echo decays alike. With
    ``E1 = exp(-TR1 / T1)``, ``E2 = exp(-TR2 / T1)``, ``c = cos(x)``: before the pulse that opens
    TR1 ``M1 = (1 - E2 + (1 - E1) E2 c) / (1 - E1 E2 c^2)``, before the other the same with E1 and
    E2 exchanged. Yarnykh, Magn Reson Med 2007;57:192-200 (doi:10.1002/mrm.21120), equations 1-4.

    Parameters
    ----------
    flip_rad
        Nominal flip angle.
    tr_s
        TR1 and TR2, in s.
    t1_s
        Longitudinal relaxation time.
    transmit
        Factor by which the real flip angle differs. It broadcasts with `flip_rad` and `t1_s`.

    Returns
    -------
    tuple of ndarray
        The signals S1 and S2 of the pulses that open TR1 and TR2.
    """
    angle = np.asarray(flip_rad, np.float64) * np.asarray(transmit, np.float64)
    e1, e2 = _recoveries(tr_s, t1_s)
    cosine = np.cos(angle)
    scale = np.sin(angle) / (1.0 - e1 * e2 * cosine**2)
    first = scale * (1.0 - e2 + (1.0 - e1) * e2 * cosine)
    second = scale * (1.0 - e1 + (1.0 - e2) * e1 * cosine)
    return first, second


def actual_flip_angle_rad(
    ratio: ArrayLike, tr_s: tuple[float, float], t1_s: ArrayLike | None = None
) -> Float64:
    """Return the flip angle from the ratio of the two signals, up to 180 degrees.

    Without T1, ``arccos((r n - 1) / (n - r))`` with ``n = TR2 / TR1`` (Yarnykh 2007, equation 6),
    to first order in TR/T1: it errs where TR2 is not far below T1, as it is for sodium. With T1,
    the signals' ratio solved for the cosine, exactly.

    Parameters
    ----------
    ratio
        r = S2 / S1.
    tr_s
        TR1 and TR2, in s.
    t1_s
        Longitudinal relaxation time where it is known; broadcasts with `ratio`.

    Returns
    -------
    ndarray
        NaN where no angle has such a ratio.
    """
    r = np.asarray(ratio, np.float64)
    if t1_s is None:
        n = tr_s[1] / tr_s[0]
        above, below = r * n - 1.0, n - r
    else:
        e1, e2 = _recoveries(tr_s, t1_s)
        above = r * (1.0 - e2) - (1.0 - e1)
        below = (1.0 - e2) * e1 - r * (1.0 - e1) * e2
    return _arccos(above, below)


def double_angle_rad(single: ArrayLike, double: ArrayLike) -> Float64:
    """Return the flip angle from signals at it and at its double, up to 90 degrees.

    ``arccos(S(2a) / (2 S(a)))``: Insko and Bolinger, J Magn Reson A 1993;103:82-85
    (doi:10.1006/jmra.1993.1133). It asks for full recovery between pulses, TR of five T1.

    Parameters
    ----------
    single, double
        Signals at the flip angle and at its double; they broadcast.

    Returns
    -------
    ndarray
        NaN where no angle has such signals.
    """
    return _arccos(np.asarray(double, np.float64), 2.0 * np.asarray(single, np.float64))


def _recoveries(tr_s: tuple[float, float], t1_s: ArrayLike) -> tuple[Float64, Float64]:
    t1 = np.asarray(t1_s, np.float64)
    return np.exp(-tr_s[0] / t1), np.exp(-tr_s[1] / t1)


def _arccos(above: Float64, below: Float64) -> Float64:
    """Return arccos(above / below), NaN where that is none."""
    valid = (np.abs(above) <= np.abs(below)) & (below != 0.0)
    cosine = np.divide(
        above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=valid
    )
    return np.arccos(cosine)
