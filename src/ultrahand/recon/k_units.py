"""The unit of a trajectory: declared, or found by the size of its largest value.

ISMRMRD leaves the unit open, and every tool chose its own. A declaration always wins; without one
the largest ``|k|`` is compared with what each unit would give at the edge of the asked matrix.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError

if TYPE_CHECKING:
    from ultrahand.records.arrays import Float64, Real
    from ultrahand.records.header import EncodingSpace

MATCH: Final = 0.05
"""Largest relative distance of the largest |k| from the edge of the asked matrix."""


class KUnit(enum.StrEnum):
    """Units in which files carry trajectories."""

    CYCLES_PER_PIXEL = "cycles/pixel"
    RAD_PER_PIXEL = "rad/pixel"
    CYCLES_PER_FOV = "cycles/fov"
    PER_M = "1/m"
    PER_CM = "1/cm"
    PER_MM = "1/mm"
    RAD_PER_M = "rad/m"
    RAD_PER_MM = "rad/mm"


def per_m(unit: KUnit, space: EncodingSpace) -> Float64:
    """Return what one unit is in cycles per metre along read, phase, slice; shape ``(3,)``.

    Pixels and field of view are those of the asked image.
    """
    fov = np.array(space.fov_m)
    pixel = fov / np.array(space.matrix)
    ones = np.ones(3)
    factors = {
        KUnit.CYCLES_PER_PIXEL: 1 / pixel,
        KUnit.RAD_PER_PIXEL: 1 / (2 * math.pi * pixel),
        KUnit.CYCLES_PER_FOV: 1 / fov,
        KUnit.PER_M: ones,
        KUnit.PER_CM: 1e2 * ones,
        KUnit.PER_MM: 1e3 * ones,
        KUnit.RAD_PER_M: ones / (2 * math.pi),
        KUnit.RAD_PER_MM: 1e3 * ones / (2 * math.pi),
    }
    return factors[unit]


def decide_unit(largest: Real, space: EncodingSpace, declared: KUnit | None) -> tuple[KUnit, str]:
    """Decide the unit of a file's trajectory.

    Parameters
    ----------
    largest
        Largest absolute value along each axis, shape ``(dims,)``.
    space
        The asked matrix and field of view.
    declared
        The unit, where somebody said it.

    Returns
    -------
    KUnit, str
        The unit and how it was decided, in words.

    Raises
    ------
    InputError
        NaN or only zeros; no unit or more than one fits the largest value.
    """
    sizes: Float64 = np.asarray(largest, np.float64)
    if not np.isfinite(sizes).all():
        raise _refuse("NaN or infinity", "finite positions", "correct the trajectory")
    if not sizes.any():
        raise _refuse("only zeros", "positions in k-space", "give one with --trajectory FILE")
    if declared is not None:
        return declared, f"unit {declared}, declared"
    edges = {unit: _edge(sizes, unit, space) for unit in KUnit}
    fits = [unit for unit, edge in edges.items() if abs(edge - 1) <= MATCH]
    if len(fits) != 1:
        shown = ", ".join(f"{unit} {edge:.3g}" for unit, edge in edges.items())
        raise _refuse(
            f"largest |k| {sizes.max():.6g}; as a fraction of the edge of the asked matrix: "
            f"{shown}",
            "exactly one unit within 5 % of 1" + (f", {len(fits)} fit" if fits else ", none fits"),
            "declare it with --trajectory-unit",
        )
    return fits[0], (
        f"unit {fits[0]}, the only one in which the largest |k| ({sizes.max():.5g}) is the "
        "edge of the asked matrix within 5 %"
    )


def _edge(largest: Float64, unit: KUnit, space: EncodingSpace) -> float:
    """Largest |k| over the axes, as a fraction of the edge of the asked matrix."""
    dims = len(largest)
    nyquist = np.array(space.matrix[:dims]) / (2 * np.array(space.fov_m[:dims]))
    return float((largest * per_m(unit, space)[:dims] / nyquist).max())


def _refuse(found: str, expected: str, remedy: str) -> InputError:
    return InputError("trajectory", found=found, expected=expected, remedy=remedy)
