"""The spoiled gradient echo in its steady state, of any nucleus with one T1.

Transverse magnetisation is taken as gone before each pulse: by RF and gradient spoiling, or by a
repetition time of several T2*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ultrahand.records.arrays import Float64


def spoiled_gradient_echo(
    flip_rad: ArrayLike, tr_s: ArrayLike, t1_s: ArrayLike, *, transmit: ArrayLike = 1.0
) -> Float64:
    """Return the transverse magnetisation right after the pulse, over that in equilibrium.

    ``M = sin(x) (1 - E) / (1 - cos(x) E)`` with ``x = b a`` and ``E = exp(-TR / T1)``: Ernst and
    Anderson, Rev Sci Instrum 1966;37:93-102 (doi:10.1063/1.1719961). With the T1 of sodium,
    treated as one exponential, it is the saturation of sodium images.

    Parameters
    ----------
    flip_rad
        Nominal flip angle a.
    tr_s, t1_s
        Repetition and longitudinal relaxation time.
    transmit
        Factor b by which the real flip angle differs. All four broadcast.

    Returns
    -------
    ndarray
        The broadcast shape; no unit.
    """
    angle, e = _angle(flip_rad, transmit), _recovery(tr_s, t1_s)
    return np.sin(angle) * (1.0 - e) / (1.0 - np.cos(angle) * e)


def ernst_angle_rad(tr_s: ArrayLike, t1_s: ArrayLike) -> Float64:
    """Return the flip angle of most signal, ``arccos(exp(-TR / T1))``.

    Source: Ernst and Anderson, Rev Sci Instrum 1966;37:93-102 (doi:10.1063/1.1719961).
    """
    return np.arccos(_recovery(tr_s, t1_s))


def transmit_sensitivity(
    flip_rad: ArrayLike, tr_s: ArrayLike, t1_s: ArrayLike, *, transmit: ArrayLike = 1.0
) -> Float64:
    """Return d ln M / d ln b: by how many per cent the signal rises per per cent of transmit field.

    ``x (cos(x) - E) / (sin(x) (1 - E cos(x)))``, the derivative of `spoiled_gradient_echo`; it
    vanishes at the Ernst angle. Parameters and shape as there.
    """
    angle, e = _angle(flip_rad, transmit), _recovery(tr_s, t1_s)
    cosine = np.cos(angle)
    return angle * (cosine - e) / (np.sin(angle) * (1.0 - e * cosine))


def _angle(flip_rad: ArrayLike, transmit: ArrayLike) -> Float64:
    return np.asarray(flip_rad, np.float64) * np.asarray(transmit, np.float64)


def _recovery(tr_s: ArrayLike, t1_s: ArrayLike) -> Float64:
    return np.exp(-np.asarray(tr_s, np.float64) / np.asarray(t1_s, np.float64))
