"""Sizes of a vessel along its course: its solid is cut across the hand's axis, its lumen is not."""

from __future__ import annotations

from math import pi
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.stack import ACROSS, Stack
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM

_ALONG: Final = 1001
"""Levels between which a course is measured straight: that is right to some 1e-6."""
_TANGENT_M: Final = 1e-7
"""To either side of a level, to find its direction."""


def direction(stack: Stack, levels_m: Float64) -> Float64:
    """Return the unit vectors ``(..., 3)`` along a stack's middle line."""
    low, high = stack.ends_m
    ends = (np.clip(levels_m + step, low, high) for step in (-_TANGENT_M, _TANGENT_M))
    before, after = (stack.points(end) for end in ends)
    along: Float64 = after - before
    return along / np.linalg.norm(along, axis=-1, keepdims=True)


def lumen_mm2(stack: Stack, levels_m: Float64) -> Float64:
    """Return areas perpendicular to a stack's middle line.

    An ellipse across the stack's axis cuts a vessel that runs at an angle to it obliquely: its area
    is that of the perpendicular cut over the cosine of the angle.
    """
    _, semi = stack.at(levels_m)
    cosine = direction(stack, levels_m)[..., stack.axis]
    return np.asarray(pi * semi.prod(axis=-1) * cosine / M_PER_MM**2)


def upright(stack: Stack) -> Stack:
    """Return a stack widened so that its knots' areas hold perpendicular to its course.

    A knot is widened in the direction in which the course leans there, by the cosine's inverse in
    all; but not the first: at a fork two vessels begin side by side.
    """
    lean = direction(stack, stack.knots_m)
    aside = lean[:, ACROSS[stack.axis]] ** 2
    total = aside.sum(axis=1, keepdims=True)
    share = aside / np.maximum(total, 1e-12)
    shape = stack.shape_m.copy()
    wider = lean[:, stack.axis][:, None] ** -share
    shape[1:, 2:] *= wider[1:]
    return Stack(axis=stack.axis, knots_m=stack.knots_m, shape_m=shape)


def length_mm(stack: Stack) -> float:
    """Return the length of a stack's middle line."""
    levels = np.union1d(stack.knots_m, np.linspace(*stack.ends_m, _ALONG))
    steps = np.diff(stack.points(levels), axis=0)
    return float(np.linalg.norm(steps, axis=1).sum() / M_PER_MM)
