"""The place of an image in the patient, from the directions and positions of its readouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.findings import Finding, warning
from ultrahand.records.geometry import Geometry
from ultrahand.records.readouts import name_readout

if TYPE_CHECKING:
    from ultrahand.records.arrays import Float64, Ints, Structured

SAME_MM = 1e-2
"""Positions closer than this are the same (float32 headers hold about 1e-5 of their value)."""
SPACING_TOLERANCE = 0.01
"""Slices whose spacing differs by more than this fraction do not form one regular stack."""
ORTHONORMAL_TOLERANCE = 1e-3

_DIRECTIONS = ("read_dir", "phase_dir", "slice_dir")


@dataclass(frozen=True, slots=True)
class Plane:
    """Frame of one slice or slab."""

    position_mm: Float64
    directions: Float64
    """Shape ``(3, 3)``: read, phase, slice."""
    known: bool


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices that form one regular stack, in the order of the image's slice axis."""

    order: tuple[int, ...]
    """Which of the given planes, from low to high along slice_dir."""
    spacing_m: float
    position_mm: Float64
    """Position of slice ``n // 2``."""


def plane_of(readouts: Structured, rows: Ints) -> Plane:
    """Return the common frame of some readouts.

    All-zero directions are unknown geometry: identity directions, centred at 0.

    Raises
    ------
    InputError
        Directions that are not orthonormal, or that change from readout to readout.
    """
    positions = readouts["position_mm"][rows].astype(np.float64)
    directions = np.stack([readouts[name][rows] for name in _DIRECTIONS], axis=1).astype(np.float64)
    if not directions.any():
        return Plane(np.zeros(3), np.eye(3), known=False)
    blank = np.logical_not(directions.any(axis=(1, 2)))
    _refuse(
        readouts,
        rows,
        blank,
        f"all zero in {int(blank.sum())} of {len(rows)}",
        "three unit vectors",
    )
    gram = directions @ directions.transpose(0, 2, 1)
    skewed = np.abs(gram - np.eye(3)).max(axis=(1, 2)) > ORTHONORMAL_TOLERANCE
    _refuse(readouts, rows, skewed, "vectors that are not orthonormal", "three unit vectors")
    turned = np.abs(directions - directions[0]).max(axis=(1, 2)) > ORTHONORMAL_TOLERANCE
    _refuse(readouts, rows, turned, "directions that change", "one orientation in a volume")
    moved = np.abs(positions - positions[0]).max(axis=1) > SAME_MM
    _refuse(readouts, rows, moved, "a position that changes", "one position in a slice or slab")
    return Plane(positions[0], directions[0], known=True)


def stack_of(planes: list[Plane], thickness_m: float) -> tuple[Stack | None, list[Finding]]:
    """Order slices by their position along slice_dir.

    Returns
    -------
    Stack or None
        None where the slices do not form one regular stack (other angles, unequal spacing).
    """
    count = len(planes)
    if count == 1:
        return Stack((0,), thickness_m, planes[0].position_mm), []
    first = planes[0]
    if any(np.abs(p.directions - first.directions).max() > ORTHONORMAL_TOLERANCE for p in planes):
        return None, [_no_stack("slices of different orientations")]
    positions = np.stack([p.position_mm for p in planes])
    if np.abs(positions - positions[0]).max() <= SAME_MM:
        return _by_counter(planes, thickness_m)
    normal = first.directions[2]
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    across = positions - positions[0] - np.outer(along - along[0], normal)
    mean = float(steps.mean())
    if np.abs(across).max() > SAME_MM * count:
        return None, [_no_stack(f"slices moved aside by up to {np.abs(across).max():.2f} mm")]
    regular = np.abs(steps - mean).max() <= SPACING_TOLERANCE * mean + SAME_MM
    if not regular or steps.min() <= SAME_MM:
        shown = f"{steps.min():.2f} to {steps.max():.2f} mm"
        return None, [_no_stack(f"slices spaced by {shown}")]
    middle = positions[order[count // 2]]
    return Stack(tuple(int(i) for i in order), mean * 1e-3, middle), []


def _no_stack(found: str) -> Finding:
    return warning(
        "position",
        found=found,
        expected="parallel slices, equally spaced",
        remedy="each slice is a file of its own (slab-1, slab-2 ...)",
    )


def _by_counter(planes: list[Plane], thickness_m: float) -> tuple[Stack, list[Finding]]:
    """Lay slices of one common position side by side, symmetric about it."""
    count, first = len(planes), planes[0]
    shift_mm = (count // 2 - (count - 1) / 2) * thickness_m * 1e3
    position = first.position_mm + first.directions[2] * shift_mm
    if not first.known:
        position = np.zeros(3)
    found = f"{count} slices at one position" if first.known else f"{count} slices without position"
    note = warning(
        "position",
        found=found,
        expected="the centre of each slice",
        remedy="slices are laid side by side by their counter, one thickness apart",
    )
    return Stack(tuple(range(count)), thickness_m, position), [note]


def geometry_of(
    plane: Plane,
    shape: tuple[int, int, int],
    voxel_size_m: tuple[float, float, float],
    position_mm: Float64,
) -> Geometry:
    """Join the parts; ``shape`` is ``(z, y, x)``, ``voxel_size_m`` ``(x, y, z)``."""
    return Geometry(
        shape=shape,
        voxel_size_m=voxel_size_m,
        position_mm=position_mm,
        read_dir=plane.directions[0],
        phase_dir=plane.directions[1],
        slice_dir=plane.directions[2],
        known=plane.known,
    )


def _refuse(
    readouts: Structured,
    rows: Ints,
    wrong: np.ndarray[tuple[int], np.dtype[np.bool_]],
    found: str,
    expected: str,
) -> None:
    if wrong.any():
        row = int(rows[np.argmax(wrong)])
        values = [np.round(readouts[n][row], 4).tolist() for n in ("position_mm", *_DIRECTIONS)]
        raise InputError(
            f"{name_readout(readouts, row)}, position and directions",
            found=f"{found}: {values}",
            expected=expected,
            remedy="correct the headers of the readouts",
        )
