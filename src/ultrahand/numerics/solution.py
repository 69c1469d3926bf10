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
