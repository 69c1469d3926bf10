"""Gadolinium agents: how they shorten relaxation at 7 T.

Rates rise with concentration: ``R1 = R10 + r1 C``, ``R2* = R20* + r2* C`` (fast exchange).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from ultrahand.errors import UsageError
from ultrahand.physics.tissue_entries import ASSUMED, MEASURED, Entry, Source
from ultrahand.records.arrays import Float64

Medium = Literal["plasma", "whole blood"]

SOURCES: Final[Mapping[str, Source]] = MappingProxyType(
    {
        "szomolanyi2019": Source(
            text="Szomolanyi P et al., Invest Radiol 2019;54:559-564",
            doi="10.1097/RLI.0000000000000577",
            read="abstract",
        ),
        "shen2015": Source(
            text="Shen Y et al., Invest Radiol 2015;50:330-338",
            doi="10.1097/RLI.0000000000000132",
            read="abstract",
        ),
    }
)


def _measured(value: float, sd: float, source: str) -> Entry:
    return Entry(value=value, sd=sd, basis=MEASURED, field_t=7.0, source=source)


R1_PER_S_PER_MMOL_PER_L: Final[Mapping[tuple[str, Medium], Entry]] = MappingProxyType(
    {
        ("gadoterate", "plasma"): _measured(2.84, 0.09, "szomolanyi2019"),
        ("gadobutrol", "plasma"): _measured(3.83, 0.24, "szomolanyi2019"),
        ("gadoteridol", "plasma"): _measured(3.21, 0.07, "szomolanyi2019"),
        ("gadoterate", "whole blood"): _measured(2.8, 0.4, "shen2015"),
        ("gadobutrol", "whole blood"): _measured(4.2, 0.3, "shen2015"),
        ("gadoteridol", "whole blood"): _measured(3.4, 0.1, "shen2015"),
        ("gadopentetate", "whole blood"): _measured(3.1, 0.4, "shen2015"),
        ("gadobenate", "whole blood"): _measured(4.7, 0.1, "shen2015"),
        ("gadoxetate", "whole blood"): _measured(4.9, 0.1, "shen2015"),
        ("gadodiamide", "whole blood"): _measured(3.7, 0.2, "shen2015"),
        ("gadoversetamide", "whole blood"): _measured(4.3, 0.2, "shen2015"),
    }
)
"""Longitudinal relaxivity at 7 T and 37 C, by agent and medium."""

R2STAR_PER_S_PER_MMOL_PER_L: Final = Entry(
    value=20.0,
    basis=ASSUMED,
    field_t=7.0,
    reason="no measurement at 7 T is known to us; in blood it is far above that in plasma "
    "and not linear: compare 10 and 40, or measure two echoes",
)
"""Relaxivity of R2*, of any agent: it depends on vessels and red cells more than on the agent."""


def r1_relaxivity(agent: str, medium: Medium = "whole blood") -> Entry:
    """Return the longitudinal relaxivity of an agent in 1/s per mmol/L.

    Raises
    ------
    UsageError
        The agent is not known in that medium.
    """
    entry = R1_PER_S_PER_MMOL_PER_L.get((agent, medium))
    if entry is None:
        known = ", ".join(f"{name} in {where}" for name, where in R1_PER_S_PER_MMOL_PER_L)
        raise UsageError(f"contrast agent {agent!r} in {medium} is unknown; known are {known}")
    return entry


def relaxation_rate(
    native_per_s: ArrayLike, relaxivity: ArrayLike, concentration_mmol_per_l: ArrayLike
) -> Float64:
    """Return a relaxation rate with contrast agent, ``R = R0 + r C``.

    Parameters
    ----------
    native_per_s
        R10 or R20*, without agent.
    relaxivity
        r1 or r2*, in 1/s per mmol/L.
    concentration_mmol_per_l
        Of the agent. All three broadcast.

    Returns
    -------
    ndarray
        In 1/s.
    """
    gain = np.asarray(relaxivity, np.float64) * np.asarray(concentration_mmol_per_l, np.float64)
    return np.asarray(native_per_s, np.float64) + gain
