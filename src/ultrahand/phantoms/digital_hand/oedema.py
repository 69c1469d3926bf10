"""Water in a bone's marrow: how much of it is wet, and the share that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.stack import Stack
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM

ASSESSED_MM: Final = 10.0
"""Depth from the joint within which a bone is scored (OMERACT RAMRIS: Ostergaard et al., J
Rheumatol 2003;30:1385)."""
_PIECES: Final = 12
"""Between knots of a part of a stack: its surface is then that of the whole to 1e-4."""
_THIN_M: Final = 1e-6
"""What is thinner is no part."""


def assessed_level_m(bone: Stack, *, head: bool) -> float:
    """Return how far from the joint a long bone is scored."""
    low, high = bone.ends_m
    reach = min(ASSESSED_MM * M_PER_MM, bone.length_m)
    return high - reach if head else low + reach


def wet_level_m(marrow: Sequence[Stack], limit_m: float, share: float, *, head: bool) -> float:
    """Return the level beyond which a share of the marrow beyond another level lies.

    Parameters
    ----------
    marrow
        Of a long bone, in pieces along its axis.
    limit_m
        Where the marrow that counts begins.
    share
        Of its volume.
    head
        Whether it reaches from there to the bone's head, else to its base.
    """
    from scipy.optimize import brentq

    end = max(s.ends_m[1] for s in marrow) if head else min(s.ends_m[0] for s in marrow)
    asked = share * volume_beyond_m3(marrow, limit_m, head=head)

    def over(level: float) -> float:
        return (volume_beyond_m3(marrow, level, head=head) - asked) / asked

    return limit_m if over(limit_m) <= 0 else float(brentq(over, limit_m, end, xtol=1e-8))


def volume_beyond_m3(stacks: Sequence[Stack], level_m: float, *, head: bool) -> float:
    """Return how much of some stacks lies beyond a level, towards a bone's head or base."""
    return sum(s.volume_m3() for s in beyond(stacks, level_m, head=head))


def beyond(stacks: Sequence[Stack], level_m: float, *, head: bool) -> list[Stack]:
    """Return the parts of stacks beyond a level; a rounded end may be cut too."""
    parts = []
    for stack in stacks:
        low, high = stack.ends_m
        first, last = (max(level_m, low), high) if head else (low, min(level_m, high))
        if last - first > _THIN_M:
            whole = (first, last) == (low, high)
            parts.append(stack if whole else _part(stack, first, last))
    return parts


def _part(stack: Stack, first: float, last: float) -> Stack:
    """Return what lies between two levels, one of which is an end of the stack."""
    low, high = stack.ends_m
    bounds = [*stack.knots_m, low + stack.caps_m[0], high - stack.caps_m[1]]
    inner = np.unique([*bounds, *np.linspace(first, last, _PIECES + 1)])
    inner = inner[(inner > first + _THIN_M) & (inner < last - _THIN_M)]
    knots = np.array([first, *inner[np.diff(inner, append=np.inf) > _THIN_M], last])
    kept = [
        min(cap, last - first) if abs(end - edge) < _THIN_M else 0.0
        for cap, end, edge in zip(stack.caps_m, stack.ends_m, (first, last), strict=True)
    ]
    shape = stack._curves(knots)
    shape[:, 2:] *= _rounding_left(stack, kept, knots)[:, None]
    return Stack(axis=stack.axis, knots_m=knots, shape_m=shape, caps_m=(kept[0], kept[1]))


def _rounding_left(stack: Stack, kept: Sequence[float], s: Float64) -> Float64:
    """Return the rounding of a stack's ends that the kept caps of a part do not make.

    A cap over the length c makes ``sqrt(2 u - u^2)`` at the distance ``u c`` from its end.
    """
    left = np.ones(len(s))
    for end, cap, own in zip(stack.ends_m, stack.caps_m, kept, strict=True):
        distance = np.abs(s - end)
        if cap > 0 and own == 0:
            left *= np.sqrt(1.0 - np.clip(1.0 - distance / cap, 0.0, 1.0) ** 2)
        elif 0 < own < cap:
            left *= np.sqrt(own / cap * (2.0 - distance / cap) / (2.0 - distance / own))
    return left
