"""What a solver returns: the result, and whether to believe it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final

from ultrahand.records.arrays import Complex


class Status(enum.StrEnum):
    """Why a solver stopped."""

    CONVERGED = "converged"
    ITERATIONS = "iteration limit"
    """The last iterate is returned; it may be as good as asked, or not."""
    SINGULAR = "singular"
    """A direction that the operator does not measure; the iterate before it is returned."""
    DIVERGED = "diverged"
    """Numbers that are not finite; the last finite iterate is returned."""


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solution:
    """A solver's result."""

    value: Complex
    status: Status
    iterations: int
    residuals: tuple[float, ...]
    """The measure the solver stops at, before the first and after each iteration."""
    objectives: tuple[float, ...] = ()
    """What is minimised, without the constant ``|y|^2 / 2``, as often; empty where the solver has
    no priors. Priors that change from iteration to iteration (`Wavelets` with shifts) make it
    waver."""
    misfit: float | None = None
    """``<x, N x> / 2 - Re <b, x>`` of the result: half of ``|A x - y|^2 - |y|^2``."""
    gap: float | None = None
    """How far the objective can lie above its minimum, relative to ``|b| |x|``, if the minimiser is
    no further from x than 0 is; None where it was not computed."""
