"""Resonance frequencies of the nuclei that MRI uses.

The ratios Xi are those of Harris et al., Pure Appl Chem 2001;73:1795-1818, tables 1 and 2
(doi:10.1351/pac200173111795): the frequency of each nucleus' reference compound relative to the
protons of tetramethylsilane. Times the free proton's gyromagnetic ratio they are right to the
chemical shift and the shielding of a proton, about 30 ppm.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ultrahand.errors import UsageError
from ultrahand.units import PROTON_GAMMA_HZ_PER_T

TOLERANCE: Final = 0.02
"""Relative difference at which a frequency still belongs to a nucleus; neighbours in the table
lie at least 3.4 % apart (15N and 35Cl)."""

NOMINAL_T: Final = ((3.0, 2.89362),)
"""Nominal and true field of magnets whose headers give either (protons at 123.2 MHz)."""
CLOSE: Final = 5e-3
"""Relative difference of a frequency that is meant: shims, shifts and printed digits."""

_XI_PERCENT: Final = {
    "1H": 100.000000,
    "2H": 15.350609,
    "3He": 76.179437,
    "7Li": 38.863797,
    "13C": 25.145020,
    "15N": 10.136767,
    "17O": 13.556457,
    "19F": 94.094011,
    "23Na": 26.451900,
    "31P": 40.480742,
    "35Cl": 9.797909,
    "39K": 4.666373,
    "129Xe": 27.810186,
}

GAMMA_HZ_PER_T: Final[Mapping[str, float]] = MappingProxyType(
    {name: xi / 100.0 * PROTON_GAMMA_HZ_PER_T for name, xi in _XI_PERCENT.items()}
)
"""Magnitude of the gyromagnetic ratio over 2 pi, by BIDS name (``23Na``)."""


def frequency_hz(nucleus: str, field_t: float) -> float:
    """Return the resonance frequency of a nucleus.

    Parameters
    ----------
    nucleus
        A name of `GAMMA_HZ_PER_T`.
    field_t
        Static field in tesla.

    Raises
    ------
    UsageError
        No such nucleus.
    """
    gamma = GAMMA_HZ_PER_T.get(nucleus)
    if gamma is None:
        raise UsageError(f"nucleus {nucleus!r} is unknown; one of {', '.join(GAMMA_HZ_PER_T)}")
    return gamma * field_t


def nucleus_of(frequency_hz: float, field_t: float) -> str | None:
    """Tell which nucleus resonates at a frequency.

    Some 3 T magnets have 2.89 T, and headers give the nominal field: what fits the true one
    closely counts too, and where the two readings differ nothing is told.

    Parameters
    ----------
    frequency_hz
        Resonance frequency in hertz.
    field_t
        Static field in tesla, true or nominal.

    Returns
    -------
    str or None
        The nucleus whose frequency is nearest; None where none lies within `TOLERANCE`, or where
        a nominal field leaves two.
    """
    if not (frequency_hz > 0 and field_t > 0):
        return None
    stated, off = _nearest(frequency_hz, field_t)
    found = stated if off <= TOLERANCE else None
    if off > CLOSE:
        for nominal, true in NOMINAL_T:
            other, distance = _nearest(frequency_hz, true)
            if abs(field_t - nominal) < 0.05 and distance <= CLOSE and other != found:
                return None if found else other
    return found


def _nearest(frequency_hz: float, field_t: float) -> tuple[str, float]:
    """Return the nucleus of the nearest frequency and its relative distance."""
    deviation = {
        name: abs(frequency_hz / (gamma * field_t) - 1.0) for name, gamma in GAMMA_HZ_PER_T.items()
    }
    nearest = min(deviation, key=deviation.__getitem__)
    return nearest, deviation[nearest]
