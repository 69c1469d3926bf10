"""Enhancement curves of arteries, veins and tissue: what a subspace of time must hold."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.errors import UsageError
from ultrahand.physics.arterial_input import arm_input
from ultrahand.physics.contrast_agents import (
    R2STAR_PER_S_PER_MMOL_PER_L,
    r1_relaxivity,
    relaxation_rate,
)
from ultrahand.physics.steady_state import spoiled_gradient_echo
from ultrahand.physics.tissue_uptake import tofts_uptake
from ultrahand.physics.tissues import tissue
from ultrahand.records.arrays import Float64, require


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """The spoiled gradient echo that looks at the agent."""

    flip_rad: float
    tr_s: float
    te_s: float
    agent: str = "gadobutrol"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """What the curves of a hand may be; every combination is one of the library."""

    first_arrival_s: float
    """On the time axis of the spokes; that of the population's curve (near its foot)."""
    last_arrival_s: float
    vessel_dispersions_s: tuple[float, ...] = (1.0, 3.0, 8.0)
    """Mean mixing on the way from the heart: little in arteries, more in veins (assumed)."""
    ktrans_per_min: tuple[float, ...] = (0.02, 0.08, 0.3)
    ve: tuple[float, ...] = (0.1, 0.35)
    tissue_dispersion_s: float = 3.0

    def __post_init__(self) -> None:
        require(self.first_arrival_s <= self.last_arrival_s, "arrivals must not run backwards")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Library:
    """Curves ``S(t) / S(before) - 1``; made by `library`."""

    ranges: Ranges
    sequence: Sequence
    vessels: Float64
    """Delay and dispersion in s, ``(vessels, 2)``."""
    tissues: Float64
    """Delay in s, Ktrans in 1/s, ve, ``(tissues, 3)``."""

    @property
    def n_curves(self) -> int:
        return len(self.vessels) + len(self.tissues)

    def curves(self, time_s: Float64) -> Float64:
        """Return ``(curves, times)``, vessels first."""
        delay, spread = (column[:, None] for column in self.vessels.T)
        in_blood = arm_input(time_s, delay_s=delay, dispersion_s=spread)
        late, ktrans, ve = (column[:, None] for column in self.tissues.T)
        taken_up = tofts_uptake(
            time_s,
            ktrans_per_s=ktrans,
            ve=ve,
            delay_s=late,
            dispersion_s=self.ranges.tissue_dispersion_s,
        )
        enhanced = [
            self._enhancement(in_blood, "artery_blood"),
            self._enhancement(taken_up, "muscle"),
        ]
        return np.concatenate(enhanced)

    def _enhancement(self, concentration: Float64, name: str) -> Float64:
        """Return the signal's, of arterial blood or of what stands for all tissues."""
        sequence, agent = self.sequence, np.maximum(concentration, 0.0)
        t1_s = tissue(name).proton.t1_s
        rate = relaxation_rate(1.0 / t1_s, r1_relaxivity(sequence.agent).value, agent)
        now = spoiled_gradient_echo(sequence.flip_rad, sequence.tr_s, 1.0 / rate)
        before = spoiled_gradient_echo(sequence.flip_rad, sequence.tr_s, t1_s)
        decay = np.exp(-sequence.te_s * R2STAR_PER_S_PER_MMOL_PER_L.value * agent)
        return now / before * decay - 1.0


def library(ranges: Ranges, sequence: Sequence, *, step_s: float, offset_s: float = 0.0) -> Library:
    """Return the curves of all combinations.

    Parameters
    ----------
    ranges
        What they may be.
    sequence
        How signal follows concentration: with relaxivities and relaxation times at 7 T.
    step_s
        From arrival to arrival.
    offset_s
        By which all arrivals but those beyond the last are later: half a step makes curves that
        lie between those of another library.

    Raises
    ------
    UsageError
        A step out of range.
    """
    span = ranges.last_arrival_s - ranges.first_arrival_s
    if not step_s > 0 or offset_s < 0:
        raise UsageError(f"step_s {step_s:g} must be positive, offset_s {offset_s:g} not negative")
    count = int(np.floor((span - offset_s) / step_s + 1e-9)) + 1
    if count < 1:
        raise UsageError(f"no arrival within {span:g} s, {offset_s:g} s late")
    arrivals = (ranges.first_arrival_s + offset_s + step_s * np.arange(count)).tolist()
    vessels = list(itertools.product(arrivals, ranges.vessel_dispersions_s))
    per_s = [k / 60.0 for k in ranges.ktrans_per_min]
    tissues = list(itertools.product(arrivals, per_s, ranges.ve))
    return Library(
        ranges=ranges,
        sequence=sequence,
        vessels=np.array(vessels, np.float64).reshape(-1, 2),
        tissues=np.array(tissues, np.float64).reshape(-1, 3),
    )
