r"""The weight that leaves as much in the residual as there is noise in the data.

Morozov's discrepancy principle (Morozov: Soviet Math Dokl 1966;7:414): of M complex samples whose
noise has variance 1 in each part, :math:`|A x - y|^2` of the true x has mean 2 M and standard
deviation :math:`2 \sqrt M`. The residual of a regularised solution grows with the weight, so the
weight is a root. It is not known more closely than that standard deviation allows: a relative
tolerance below ``1 / sqrt(M)`` is of no use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from ultrahand.records.arrays import require


class Found(StrEnum):
    """How a search for a weight ended."""

    MATCHED = "matched"
    ALWAYS_ABOVE = "residual above the noise for every weight"
    """Even the smallest weight tried leaves more than noise: the model does not describe the data
    (motion, wrong maps, noise taken too low)."""
    ALWAYS_BELOW = "residual below the noise for every weight"
    """Even the largest weight tried leaves less: the noise is taken too high, or the prior's
    strongest image already describes the data."""
    ITERATIONS = "evaluation limit"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class DiscrepancyWeight:
    """A weight, and how well it does."""

    weight: float
    ratio: float
    """Residual power over expected noise power at that weight."""
    status: Found
    tried: tuple[tuple[float, float], ...]
    """Every weight tried, with its ratio."""


def residual_power(misfit: float, data_power: float) -> float:
    """Return ``|A x - y|^2`` from a solution's `misfit` and ``|y|^2``.

    A difference of large numbers: single precision N leaves an error of some 1e-6 ``|y|^2``, so it
    serves up to ``|y|^2`` of some 1e4 times the noise power (for 1 %).
    """
    return max(0.0, data_power + 2 * misfit)


def discrepancy_weight(
    residual: Callable[[float], float],
    samples: int,
    *,
    start: float = 1.0,
    tolerance: float = 0.01,
    widest: float = 1e4,
    max_evaluations: int = 20,
) -> DiscrepancyWeight:
    """Search the weight at which the residual meets its noise.

    Steps by factors of 4 until the root lies between two weights, then halves the interval by
    false position (Illinois: Dowell, Jarratt: BIT 1971;11:168, doi:10.1007/BF01934364) between the
    logarithms of weight and ratio.

    Parameters
    ----------
    residual
        ``|A x - y|^2`` of the solution for a weight; it must not fall with it.
    samples
        M, complex ones over all coils; less the unknowns that the solution fits freely, if known.
    start
        The first weight.
    tolerance
        Of the ratio of residual to noise power.
    widest
        Weights beyond ``start`` times or over this are not tried.
    max_evaluations
        Solutions at most.

    Raises
    ------
    ultrahand.errors.RecordError
        If an option is out of range or a residual is negative or not finite.
    """
    require(samples >= 1, f"samples must be >= 1, got {samples}")
    require(0 < start < math.inf and widest > 1, "start must be positive, widest > 1")
    require(tolerance > 0 and max_evaluations >= 1, "tolerance and max_evaluations: positive")
    search = _Search(residual, 2.0 * samples, tolerance, max_evaluations)
    search.bracket(start, widest)
    search.close_in()
    weight, ratio = min(search.tried, key=lambda pair: abs(pair[1] - 1))
    return DiscrepancyWeight(
        weight=weight, ratio=ratio, status=search.status, tried=tuple(search.tried)
    )


class _Search:
    def __init__(
        self, residual: Callable[[float], float], noise: float, tolerance: float, most: int
    ) -> None:
        self.residual, self.noise = residual, noise
        self.tolerance, self.most = tolerance, most
        self.tried: list[tuple[float, float]] = []
        self.status = Found.ITERATIONS
        self.ends: list[tuple[float, float]] = []

    def _try(self, log_weight: float) -> tuple[float, float]:
        power = self.residual(math.exp(log_weight))
        require(0 <= power < math.inf, f"a residual power of {power} is none")
        ratio = power / self.noise
        self.tried.append((math.exp(log_weight), ratio))
        if abs(ratio - 1) <= self.tolerance:
            self.status = Found.MATCHED
        return log_weight, math.log(max(ratio, 1e-12))

    @property
    def _over(self) -> bool:
        return self.status is not Found.ITERATIONS or len(self.tried) >= self.most

    def bracket(self, start: float, widest: float) -> None:
        """Step away from the start until the residual crosses its noise."""
        here = self._try(math.log(start))
        way = -1.0 if here[1] > 0 else 1.0
        while not self._over:
            if abs(here[0] - math.log(start)) >= math.log(widest):
                self.status = Found.ALWAYS_ABOVE if way < 0 else Found.ALWAYS_BELOW
                return
            there = self._try(here[0] + way * math.log(4))
            if there[1] * here[1] <= 0:
                self.ends = [here, there]
                return
            here = there

    def close_in(self) -> None:
        """Take false positions; an end that stays twice counts half."""
        if not self.ends:
            return
        a, b = self.ends
        while not self._over:
            c = self._try((a[0] * b[1] - b[0] * a[1]) / (b[1] - a[1]))
            if c[1] * b[1] <= 0:
                a, b = b, c
            else:
                a, b = (a[0], a[1] / 2), c
