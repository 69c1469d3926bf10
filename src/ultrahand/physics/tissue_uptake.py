"""Contrast agent in tissue that takes it up from the artery: Tofts' model, exactly."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ultrahand.errors import UsageError
from ultrahand.physics.arterial_input import exponential_response
from ultrahand.records.arrays import Float64

_NEAR: Final = 1e-3
"""Relative distance to which two nearly equal rates are drawn apart: the error is its square."""


def tofts_uptake(
    t_s: ArrayLike,
    *,
    ktrans_per_s: ArrayLike,
    ve: ArrayLike,
    delay_s: ArrayLike = 0.0,
    dispersion_s: ArrayLike = 0.0,
    hematocrit: float = 0.42,
) -> Float64:
    """Return the concentration in tissue fed by `ultrahand.physics.arterial_input.arm_input`.

    ``C = Ktrans integral c(t - u) / (1 - Hct) exp(-kep u) du`` with ``kep = Ktrans / ve``: Tofts et
    al., J Magn Reson Imaging 1999;10:223-232
    (doi:10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S), equation 6. The mixing in
    the arm and the tissue's washout are two exponentials in turn; by partial fractions the uptake
    is the difference of the input's two responses, so no time is sampled.

    Parameters
    ----------
    t_s
        Times as in `ultrahand.physics.arterial_input.population_input`.
    ktrans_per_s
        Volume transfer constant, Ktrans: 1/s, not 1/min.
    ve
        Volume of extravascular extracellular space per volume of tissue, in (0, 1].
    delay_s, dispersion_s
        Of the artery, as in `arm_input`. All arrays broadcast.
    hematocrit
        Of the artery's blood; the agent stays in plasma.

    Returns
    -------
    ndarray
        mmol per litre of tissue, of the broadcast shape.

    Raises
    ------
    UsageError
        A parameter outside its range.
    """
    ktrans, space = np.asarray(ktrans_per_s, np.float64), np.asarray(ve, np.float64)
    spread = np.asarray(dispersion_s, np.float64)
    _check("ktrans_per_s", ktrans, bool((ktrans >= 0.0).all()), "0 or more")
    _check("ve", space, bool(((space > 0.0) & (space <= 1.0)).all()), "above 0, up to 1")
    _check("dispersion_s", spread, bool((spread >= 0.0).all()), "0 or more")
    _check("hematocrit", np.asarray(hematocrit), 0.0 <= hematocrit < 1.0, "from 0 to below 1")
    t = np.asarray(t_s, np.float64) - np.asarray(delay_s, np.float64)
    washout = ktrans / space
    rate = 1.0 / np.where(spread > 0.0, spread, 1.0)
    middle = (washout + rate) / 2.0
    near = np.abs(washout - rate) < 2.0 * _NEAR * middle
    slow = np.where(near, middle * (1.0 - _NEAR), washout)
    fast = np.where(near, middle * (1.0 + _NEAR), rate)
    mixed = rate * (exponential_response(t, slow) - exponential_response(t, fast)) / (fast - slow)
    taken = np.where(spread > 0.0, mixed, exponential_response(t, washout))
    return ktrans / (1.0 - hematocrit) * taken


def _check(name: str, found: Float64, good: bool, expected: str) -> None:
    if not good:
        raise UsageError(f"{name}: expected {expected}, found {found.min():g} to {found.max():g}")
