"""Simple trajectories for simulations, in cycles per metre."""

from __future__ import annotations

from math import pi, sqrt
from typing import Final

import numpy as np

from ultrahand.records.arrays import Float64

GOLDEN_ANGLE_RAD: Final = pi * (sqrt(5.0) - 1.0) / 2.0
"""111.25 degrees (Winkelmann et al., IEEE Trans Med Imaging 2007;26:68,
doi:10.1109/TMI.2006.885337)."""


def k_max_per_m(matrix: int, fov_m: float) -> float:
    """Return the edge of k-space of a matrix: half a cycle per voxel."""
    return matrix / (2.0 * fov_m)


def radial_2d(n_spokes: int, n_samples: int, k_max_per_m: float, *, golden: bool) -> Float64:
    """Return full spokes through the centre, shape ``(spokes, samples, 2)``.

    Sample n lies at ``(n - N // 2) * 2 k_max / N``. Spokes are spread evenly over half a turn, or
    by the golden angle.
    """
    step = GOLDEN_ANGLE_RAD if golden else pi / n_spokes
    angle = step * np.arange(n_spokes)
    radius = (np.arange(n_samples) - n_samples // 2) * (2.0 * k_max_per_m / n_samples)
    return np.stack([np.outer(np.cos(angle), radius), np.outer(np.sin(angle), radius)], axis=-1)


def spiral_2d(n_interleaves: int, n_samples: int, k_max_per_m: float, *, turns: float) -> Float64:
    """Return Archimedean spirals from the centre out, shape ``(interleaves, samples, 2)``.

    Radius and angle grow linearly along an interleaf (Ahn, Kim, Cho, IEEE Trans Med Imaging
    1986;5:2, doi:10.1109/TMI.1986.4307732); interleaves are turned evenly over a full turn.
    Neighbouring turns are ``k_max / (turns * interleaves)`` apart.
    """
    along = np.arange(n_samples) / max(n_samples - 1, 1)
    first = 2.0 * pi * np.arange(n_interleaves) / n_interleaves
    angle = first[:, None] + 2.0 * pi * turns * along
    radius = k_max_per_m * along
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def radial_3d(n_spokes: int, n_samples: int, k_max_per_m: float) -> Float64:
    """Return spokes from the centre out, shape ``(spokes, samples, 3)``.

    The tips lie on a spiral from pole to pole that advances by the golden angle and covers equal
    areas (Swinbank and Purser, Q J R Meteorol Soc 2006;132:1769, doi:10.1256/qj.05.227). Sample n
    lies at ``n / (N - 1) * k_max``.
    """
    number = np.arange(n_spokes)
    height = 1.0 - (2.0 * number + 1.0) / n_spokes
    ring = np.sqrt(1.0 - height**2)
    angle = 2.0 * GOLDEN_ANGLE_RAD * number
    tips = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=-1)
    radius = k_max_per_m * np.arange(n_samples) / max(n_samples - 1, 1)
    return tips[:, None, :] * radius[:, None]
