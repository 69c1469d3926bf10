"""Transverse decay as a sum of exponentials: one for protons, two for sodium in tissue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ultrahand.errors import UsageError
from ultrahand.physics.tissues import Proton, Sodium
from ultrahand.records.arrays import Float64


class Decay(NamedTuple):
    """One exponential of a transverse decay."""

    fraction: float
    """Share of the signal at the excitation; those of one tissue sum to 1."""
    r2star_per_s: float


def proton_decay(proton: Proton) -> tuple[Decay, ...]:
    """Return the decay of a proton signal: one exponential."""
    return (Decay(1.0, 1.0 / proton.t2star_s),)


def sodium_decay(sodium: Sodium, *, r2prime_per_s: float = 0.0) -> tuple[Decay, ...]:
    """Return the decay of sodium: short and long, or one where both are equal (fluids).

    Spin 3/2 in slow motion: 3/5 of the signal, of the outer transitions, decays with
    ``J(0) + J(w)``, 2/5, of the inner one, with ``J(w) + J(2w)``: Hubbard, J Chem Phys
    1970;53:985-987 (doi:10.1063/1.1674167). The tissue's own fraction is used, so that mixed
    tissue may differ from 3/5.

    Parameters
    ----------
    sodium
        Its T2* and short fraction.
    r2prime_per_s
        Added to both rates: a spread of the field beyond that in the tissue's T2*.

    Raises
    ------
    UsageError
        A negative rate.
    """
    if r2prime_per_s < 0.0:
        raise UsageError(f"r2prime_per_s must not be negative, found {r2prime_per_s:g}")
    short = 1.0 / sodium.t2star_short_s + r2prime_per_s
    long = 1.0 / sodium.t2star_long_s + r2prime_per_s
    if short == long:
        return (Decay(1.0, short),)
    return Decay(sodium.short_fraction, short), Decay(1.0 - sodium.short_fraction, long)


def remaining(decays: Sequence[Decay], t_s: ArrayLike) -> Float64:
    """Return the share of the signal left after a time, ``sum f exp(-R2* t)``.

    Parameters
    ----------
    decays
        From `proton_decay` or `sodium_decay`.
    t_s
        Times since the excitation, any shape.

    Returns
    -------
    ndarray
        The shape of `t_s`.
    """
    t = np.asarray(t_s, np.float64)
    fractions, rates = (np.array(column) for column in zip(*decays, strict=True))
    return np.exp(-t[..., None] * rates) @ fractions
