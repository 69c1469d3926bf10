"""Plates as points with strengths that belong to few functions of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.phantoms.decay_basis import decay_basis
from ultrahand.phantoms.disk_points import plate_points
from ultrahand.phantoms.plates import Plates, Terms
from ultrahand.physics.off_resonance import rate_per_s
from ultrahand.records.arrays import Complex, Float64, Ints


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Plates as points."""

    at_m: Float64
    """Patient LPS, shape ``(points, 3)``."""
    share: Float64
    """Of its plate's volume, shape ``(points,)``."""
    owner: Ints
    """Its plate, shape ``(points,)``."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Terms that follow one time course, and the points of their plates."""

    column: int
    """Of the time courses, 0 the constant one."""
    points: Ints | slice
    """Which points."""
    carried: Complex
    """By the plates, amplitude times m3, for each function of time, shape ``(rank, plates)``."""
    functions: Complex
    """Shape ``(rank, times)``."""


def point_groups(
    plates: Plates,
    terms: Terms,
    largest_q: Float64,
    courses: Float64,
    time_s: Float64,
    *,
    error: float,
) -> tuple[Points, list[Group]]:
    """Return points and the groups of terms that they carry.

    Parameters
    ----------
    plates, terms
        The object.
    largest_q
        Of each plate, shape ``(plates,)``.
    courses
        Constant and curves by shot, shape ``(shots, 1 + curves)``.
    time_s
        Shape ``(times,)``.
    error
        Largest error of both steps, relative to the sum of the terms' magnitudes.

    Returns
    -------
    points
        Of all plates.
    groups
        One for each time course that a term follows.
    """
    at, share, owner = plate_points(plates, largest_q, 0.5 * error)
    strength = terms.amplitude * plates.volume_m3[terms.plate]
    rate = rate_per_s(terms.off_resonance_hz, terms.r2star_per_s)
    columns = np.unique(terms.curve) + 1
    allowed = 0.5 * error * float(np.abs(strength).sum()) / len(columns)
    groups = []
    for column in columns:
        mine = np.flatnonzero(terms.curve == column - 1)
        highest = max(float(np.abs(courses[:, column]).max()), 1e-12)
        coefficients, functions = decay_basis(
            rate[mine], np.abs(strength[mine]), time_s, allowed / highest
        )
        carried = np.zeros((len(coefficients), len(plates)), np.complex128)
        for row, values in zip(carried, coefficients * strength[mine], strict=True):
            np.add.at(row, terms.plate[mine], values)
        involved = np.zeros(len(plates), np.bool_)
        involved[terms.plate[mine]] = True
        points = slice(None) if involved.all() else np.flatnonzero(involved[owner])
        groups.append(
            Group(column=int(column), points=points, carried=carried, functions=functions)
        )
    return Points(at_m=at, share=share, owner=owner), groups


def cancellation(plates: Plates, terms: Terms) -> float:
    """Return the sum of the terms over that of their magnitudes, at least 0.1.

    The largest sample is about the sum, at k = 0; errors go with the magnitudes.
    """
    strength = terms.amplitude * plates.volume_m3[terms.plate]
    return max(0.1, float(abs(strength.sum()) / max(np.abs(strength).sum(), 1e-300)))
