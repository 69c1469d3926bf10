"""Erosions: bites out of a bone's surface, and the marrow that they push aside.

No solid may cross another one's surface, so a bite is a stack of ellipses inside the bone that
touch its surface with nearly its curvature. What is left between both is at most 0.03 mm thick
over some 3 mm of the mouth of one of 40 mm3: the cortex is broken there (OMERACT asks for a break
in at least one plane).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.joints import between
from ultrahand.phantoms.digital_hand.lesions import Erosion
from ultrahand.phantoms.digital_hand.oedema import beyond
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM

SIDES: Final = {"radial": (0, 1.0), "ulnar": (0, -1.0), "dorsal": (1, 1.0), "palmar": (1, -1.0)}
"""Axis of the cross-section and direction of each side."""
_SHELL_MM: Final = 0.004
"""Between an erosion and the surface that it touches: interpolation must not carry it outside."""
_CURVATURE: Final = 0.98
"""Width of an erosion relative to that of an ellipse with the surface's own curvature."""
_RIM_MM: Final = 0.45
"""Cortex left between an erosion and the marrow (a sclerotic rim; assumed)."""
_CORTEX_MM: Final = 0.7
"""Left around marrow that is pushed aside (assumed)."""
_LEVELS: Final = np.sin(np.linspace(-0.47, 0.47, 31) * pi)
"""Where a bite is given, from -1 to 1 along it."""
_END_MM: Final = 0.6
"""From the end of a bone to an erosion beside its joint (assumed)."""
_LEAST_MM: Final = 1.0
"""Marrow that must be left beside an erosion."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Bite:
    """An erosion, and how deep it is where."""

    stack: Stack
    levels_mm: Float64
    depth_mm: Float64
    """At each level."""


def bite(bone: Stack, erosion: Erosion) -> Bite:
    """Return an erosion of the asked volume: a long bone's beside its joint, else in the middle.

    Raises
    ------
    InputError
        The bone is too small for it.
    """
    deep, asked = 1.0, erosion.volume_mm3 * M_PER_MM**3
    found = _bite(bone, erosion, deep)
    for _ in range(12):  # the volume goes with about the square of the depth
        deep *= float(np.sqrt(asked / found.stack.volume_m3()))
        found = _bite(bone, erosion, deep)
    (low, high), (first, last) = bone.ends_m, found.stack.ends_m
    if not low < first < last < high:
        raise too_large(erosion)
    return found


def _bite(bone: Stack, erosion: Erosion, deep: float) -> Bite:
    """Return an erosion that is `deep` half way along it, in mm."""
    axis, sign = SIDES[erosion.side]
    low, high = (end / M_PER_MM for end in bone.ends_m)
    _, _, end = erosion.site.partition("_")
    where = {"head": high - _END_MM, "base": low + _END_MM}.get(end, 0.5 * (low + high))
    long = _width(bone, where, axis, 0.5 * deep)
    middle = where + {"head": -long, "base": long}.get(end, 0.0)
    levels = middle + long * _LEVELS
    depth = deep * (1.0 - _LEVELS**2)
    path = []
    inside = levels.clip(low + _SHELL_MM, high - _SHELL_MM)  # `bite` refuses what lies outside
    for z, here, half in zip(levels.tolist(), inside.tolist(), (0.5 * depth).tolist(), strict=True):
        place, semi = (v / M_PER_MM for v in bone.at(np.array(here * M_PER_MM)))
        place[axis] += sign * (semi[axis] - _SHELL_MM - half)
        semi[1 - axis] = _width(bone, here, axis, half)
        semi[axis] = half
        path.append((z, *place, *semi))
    return Bite(stack=tube_mm(path), levels_mm=levels, depth_mm=depth + _SHELL_MM)


def _width(bone: Stack, z_mm: float, axis: int, half_deep_mm: float) -> float:
    """Return the semi-axis along the surface: with it an ellipse has the surface's curvature.

    That is ``b^2 / a`` at the end of the axis ``a`` of an ellipse.
    """
    _, semi = bone.at(np.array(z_mm * M_PER_MM))
    a, b = semi[axis] / M_PER_MM, semi[1 - axis] / M_PER_MM
    return float(_CURVATURE * b * np.sqrt(half_deep_mm / a))


def pushed_aside(bone: Stack, marrow: Sequence[Stack], erosion: Erosion, hole: Bite) -> list[Stack]:
    """Return a long bone's marrow, beside the erosion narrower than elsewhere.

    Raises
    ------
    InputError
        Too little of it would be left.
    """
    axis, sign = SIDES[erosion.side]
    path = []
    for z, depth in zip(hole.levels_mm.tolist(), hole.depth_mm.tolist(), strict=True):
        place, semi = (v / M_PER_MM for v in bone.at(np.array(z * M_PER_MM)))
        shift, left = beside(semi - _CORTEX_MM, axis, semi[axis] - depth, erosion)
        place[axis] += sign * shift
        path.append((z, *place, *left))
    first, last = hole.stack.ends_m
    low, high = min(s.ends_m[0] for s in marrow), max(s.ends_m[1] for s in marrow)
    ends = (max(first, low) / M_PER_MM, min(last, high) / M_PER_MM)
    below, above = beyond(marrow, first, head=False), beyond(marrow, last, head=True)
    return [*below, between(tube_mm(path), *ends), *above]


def beside(semi_mm: Float64, axis: int, edge_mm: float, erosion: Erosion) -> tuple[float, Float64]:
    """Return how far marrow moves away from an erosion, and the semi-axes that are left to it.

    It touches the surface that it had on the far side, inside of it.

    Parameters
    ----------
    semi_mm
        Of the marrow without the erosion.
    axis
        On which the erosion lies.
    edge_mm
        Of the erosion, from the marrow's middle.
    erosion
        For the message.

    Raises
    ------
    InputError
        Too little marrow would be left.
    """
    far = float(semi_mm[axis])
    near = min(edge_mm - _RIM_MM, far)
    if near + far < _LEAST_MM:
        raise too_large(erosion)
    half = 0.5 * (near + far)
    left = semi_mm * np.sqrt(half / far)
    left[axis] = half
    return half - far, left


def too_large(erosion: Erosion) -> InputError:
    """Return the refusal of an erosion that its bone has no room for."""
    return InputError(
        f"erosion {erosion.site}",
        found=f"{erosion.volume_mm3:g} mm3 on its {erosion.side} side",
        expected="a hole that leaves marrow in this bone's end",
        remedy="make it smaller or put it on a wider side",
    )
