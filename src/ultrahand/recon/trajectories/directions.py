"""Directions of spokes that cover a circle or a sphere evenly, in the order of the shots.

Spokes through the centre need half of it: with ``half``, angles cover half a turn and directions
the half-space z >= 0, as a spoke and its opposite are the same line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from types import MappingProxyType
from typing import Final

import numpy as np

from ultrahand.records.arrays import Float64, require

GOLDEN_ANGLE_RAD: Final = pi * (sqrt(5.0) - 1.0) / 2.0
"""111.25 degrees: half a turn by the golden ratio (Winkelmann et al., IEEE Trans Med Imaging
2007;26:68, doi:10.1109/TMI.2006.885337)."""

GOLDEN_MEANS: Final = (0.46557123187676803, 0.68232780382801933)
"""p - 1 and 1 / p for the real root p of p^3 = p^2 + 1 (Chan et al., MRM 2009;61:354,
doi:10.1002/mrm.21837)."""


def uniform_angles_rad(n: int, *, half: bool) -> Float64:
    """Return n angles spread evenly, shape ``(n,)``."""
    return (pi if half else 2.0 * pi) / n * np.arange(n, dtype=np.float64)


def golden_angles_rad(n: int, *, half: bool) -> Float64:
    """Return n angles of which any few successive ones are spread nearly evenly, ``(n,)``.

    Steps are the golden angle, twice that where the angles cover a full turn.
    """
    return (GOLDEN_ANGLE_RAD if half else 2.0 * GOLDEN_ANGLE_RAD) * np.arange(n, dtype=np.float64)


def golden_means(n: int, *, half: bool) -> Float64:
    """Return n unit vectors of which any few successive ones are spread evenly, ``(n, 3)``.

    Heights and azimuths are fractional parts of multiples of the two golden means (Chan et al.,
    MRM 2009;61:354, doi:10.1002/mrm.21837).
    """
    number = np.arange(n, dtype=np.float64)
    height = number * GOLDEN_MEANS[0] % 1.0
    if not half:
        height = 2.0 * height - 1.0
    return _unit(height, 2.0 * pi * (number * GOLDEN_MEANS[1] % 1.0))


def spiral_phyllotaxis(n: int, *, half: bool, n_interleaves: int = 1) -> Float64:
    """Return n unit vectors on a spiral from the pole, shape ``(n, 3)``.

    The azimuth grows by the golden angle of a full turn (Piccini et al., MRM 2011;66:1049,
    doi:10.1002/mrm.22898). Heights are the middles of n equal zones, which makes the areas equal
    (Swinbank, Purser, Q J R Meteorol Soc 2006;132:1769, doi:10.1256/qj.05.227); the square root
    law of the former has half as many again at the equator as at the pole. Every interleaf takes
    each ``n_interleaves``-th vector; with a Fibonacci number its successive vectors are close.
    """
    require(n_interleaves >= 1, f"n_interleaves must be >= 1, got {n_interleaves}")
    number = np.concatenate([np.arange(i, n, n_interleaves) for i in range(n_interleaves)])
    height = 1.0 - (2.0 * number + 1.0) / (2 * n if half else n)
    return _unit(height, 2.0 * GOLDEN_ANGLE_RAD * number)


def rings(n: int, *, half: bool) -> Float64:
    """Return n unit vectors on rings about z, shape ``(n, 3)``.

    Rings are as far apart as the vectors on them, and each gets vectors by the area of its zone
    (Nagel et al., MRM 2009;62:1565, doi:10.1002/mrm.22157); where fractions are left, the total
    decides. Each ring starts a golden angle after the last, so that they do not line up.
    """
    n_rings = max(round(sqrt(pi / 4.0 * (2 * n if half else n)) / (2 if half else 1)), 1)
    last_polar = pi / 2.0 if half else pi
    edge = np.linspace(0.0, last_polar, n_rings + 1)
    area = (1.0 - np.cos(edge)) / (1.0 - np.cos(last_polar))
    counts = np.diff(np.rint(n * area).astype(np.intp))
    polar = np.repeat(0.5 * (edge[1:] + edge[:-1]), counts)
    within = np.concatenate([uniform_angles_rad(max(c, 1), half=False)[:c] for c in counts])
    first = np.repeat(golden_angles_rad(n_rings, half=False), counts)
    return _unit(np.cos(polar), within + first)


def _unit(height: Float64, azimuth_rad: Float64) -> Float64:
    ring = np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(azimuth_rad), ring * np.sin(azimuth_rad), height], axis=-1)


ANGLES: Final[Mapping[str, Callable[..., Float64]]] = MappingProxyType(
    {"uniform": uniform_angles_rad, "golden": golden_angles_rad}
)
"""Orders of spokes in a plane."""

DIRECTIONS: Final[Mapping[str, Callable[..., Float64]]] = MappingProxyType(
    {"golden_means": golden_means, "phyllotaxis": spiral_phyllotaxis, "rings": rings}
)
"""Orders of spokes in space."""


def angles_rad(order: str, n: int, *, half: bool) -> Float64:
    """Return n angles of a named order of `ANGLES`, shape ``(n,)``."""
    return _in_order(ANGLES, order, n, half=half)


def directions(order: str, n: int, *, half: bool) -> Float64:
    """Return n unit vectors of a named order of `DIRECTIONS`, shape ``(n, 3)``."""
    return _in_order(DIRECTIONS, order, n, half=half)


def _in_order(
    table: Mapping[str, Callable[..., Float64]], order: str, n: int, *, half: bool
) -> Float64:
    require(order in table, f"order {order!r} is unknown; one of {', '.join(table)}")
    require(n >= 1, f"the number of shots must be >= 1, got {n}")
    return table[order](n, half=half)
