"""How the contrast agent changes each solid's signal over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.anatomy import WRIST_S
from ultrahand.phantoms.digital_hand.magnetisation import Sample
from ultrahand.physics.arterial_input import arm_input
from ultrahand.physics.contrast_agents import (
    R2STAR_PER_S_PER_MMOL_PER_L,
    r1_relaxivity,
    relaxation_rate,
)
from ultrahand.physics.steady_state import spoiled_gradient_echo
from ultrahand.physics.tissue_uptake import tofts_uptake
from ultrahand.physics.tissues import tissue
from ultrahand.records.arrays import Float64, Ints

AGENT: Final = "gadobutrol"
MAX_CLASSES: Final = 12
"""Arrival times of one examination; more are merged, nearest first."""
DISPERSION_S: Final = {"artery": 3.0, "vein": 8.0}
"""Mean mixing time on the way from the heart (assumed)."""
# Ktrans in 1/min and ve (assumed: none of them is published for the hand at 7 T).
_UPTAKE: Final[Mapping[str, tuple[float, float]]] = {
    "muscle": (0.04, 0.10),
    "synovium": (0.06, 0.20),
    "inflamed_synovium": (0.30, 0.35),
    "erosion": (0.25, 0.35),
    "marrow_oedema": (0.10, 0.20),
}
_UPTAKE_DELAY_S: Final = 3.0
"""After the arrival at the wrist (assumed)."""
_TOLERANCE: Final = 1e-3
"""Of the low-rank form of the vessels' courses, and of each tissue's, relative to the largest
enhancement."""


def arrival_classes(arrival_s: Mapping[str, float]) -> Mapping[str, float]:
    """Merge arrival times until there are at most `MAX_CLASSES`; return each vessel's own.

    The two nearest classes become one at their mean weighted by vessels, as often as needed.
    """
    names = sorted(arrival_s, key=lambda name: (arrival_s[name], name))
    groups: list[list[str]] = []
    for name in names:
        if groups and arrival_s[groups[-1][0]] == arrival_s[name]:
            groups[-1].append(name)
        else:
            groups.append([name])
    means = [arrival_s[group[0]] for group in groups]
    while len(groups) > MAX_CLASSES:
        nearest = int(np.argmin(np.diff(means)))
        weights = len(groups[nearest]), len(groups[nearest + 1])
        mean = np.average(means[nearest : nearest + 2], weights=weights)
        means[nearest : nearest + 2] = [float(mean)]
        groups[nearest : nearest + 2] = [groups[nearest] + groups[nearest + 1]]
    return {name: mean for group, mean in zip(groups, means, strict=True) for name in group}


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Courses:
    """Signal over time: ``S_i(t) = S_i(0) (1 + sum_r weights[i, r] functions[r, t])``."""

    weights: Float64
    """Shape ``(solids, functions)``; zero for what does not enhance."""
    functions: Float64
    """A value for each time, shape ``(functions, times)``."""
    concentration: Mapping[str, Float64]
    """Of the agent over time in mmol/L, by course: ``artery 22``, ``vein 30``, ``muscle`` ..."""
    course: tuple[str, ...]
    """Of each solid; empty for none."""


def make_courses(
    sample: Sample,
    arrival_s: Mapping[str, float],
    time_s: Float64,
    *,
    flip_rad: float,
    tr_s: float,
    te_s: float,
) -> Courses:
    """Compute the courses of all solids of a subject.

    Parameters
    ----------
    sample
        The subject, with its transmit field.
    arrival_s
        Of each vessel, by the solid's name, from the start of the injection to half of its peak.
    time_s
        After the start of the injection, shape ``(times,)``.
    flip_rad, tr_s, te_s
        Of the spoiled gradient echo that looks at it.
    """
    solids = sample.subject.solids
    concentration: dict[str, Float64] = {}
    course = []
    for item in solids:
        name = _course_of(item.name, item.tissue, arrival_s)
        course.append(name)
        if name and name not in concentration:
            concentration[name] = _concentration(name, time_s)
    chosen = np.array([n for n, name in enumerate(course) if name], np.int64)
    excess = np.zeros((len(chosen), len(time_s)))
    r1, r2 = r1_relaxivity(AGENT).value, R2STAR_PER_S_PER_MMOL_PER_L.value
    transmit = _transmit(sample, chosen)
    for row, number in enumerate(chosen):
        found = tissue(solids[number].tissue).proton
        agent = concentration[course[number]]
        rate = relaxation_rate(1.0 / found.t1_s, r1, agent)
        now = spoiled_gradient_echo(flip_rad, tr_s, 1.0 / rate, transmit=transmit[row])
        before = spoiled_gradient_echo(flip_rad, tr_s, found.t1_s, transmit=transmit[row])
        excess[row] = now / before * np.exp(-te_s * r2 * agent) - 1.0
    kinds = [course[n] if course[n] in _UPTAKE else "vessels" for n in chosen.tolist()]
    rows_of = {kind: [r for r, k in enumerate(kinds) if k == kind] for kind in dict.fromkeys(kinds)}
    everywhere: list[Float64] = []
    functions: list[Float64] = []
    for rows in rows_of.values():
        weights, few = _low_rank(excess[rows])
        block = np.zeros((len(solids), len(few)))
        block[chosen[rows]] = weights
        everywhere.append(block)
        functions.append(few)
    return Courses(
        weights=np.concatenate([np.zeros((len(solids), 0)), *everywhere], axis=1),
        functions=np.concatenate([np.zeros((0, len(time_s))), *functions]),
        concentration=concentration,
        course=tuple(course),
    )


def _course_of(name: str, of: str, arrival_s: Mapping[str, float]) -> str:
    if name in arrival_s:
        return f"{of.split('_', 1)[0]} {arrival_s[name]:.3f}"
    return of if of in _UPTAKE else ""


def _concentration(course: str, time_s: Float64) -> Float64:
    kind, _, arrival = course.partition(" ")
    if arrival:
        spread = DISPERSION_S[kind]
        delay = float(arrival) - _half_peak_s(spread)
        return np.maximum(arm_input(time_s, delay_s=delay, dispersion_s=spread), 0.0)
    per_min, ve = _UPTAKE[course]
    spread = DISPERSION_S["artery"]
    delay = WRIST_S + _UPTAKE_DELAY_S - _half_peak_s(spread)
    found = tofts_uptake(
        time_s, ktrans_per_s=per_min / 60.0, ve=ve, delay_s=delay, dispersion_s=spread
    )
    return np.maximum(found, 0.0)


@cache
def _half_peak_s(spread_s: float) -> float:
    """Return when the input without delay reaches half of its peak, to a tenth of a millisecond."""
    t = np.arange(0.0, 60.0, 1e-3)
    curve = arm_input(t, dispersion_s=spread_s)
    base = float(curve[0])
    half = base + 0.5 * (float(curve.max()) - base)
    first = int(np.argmax(curve >= half))
    share = (half - curve[first - 1]) / (curve[first] - curve[first - 1])
    return float(t[first - 1] + share * 1e-3)


def _transmit(sample: Sample, chosen: Ints) -> Float64:
    """Return the transmit field in the middle of some solids."""
    stacks = [sample.subject.solids[n].stack for n in chosen.tolist()]
    middle = np.array([s.points(np.array(0.5 * sum(s.ends_m))) for s in stacks])
    return sample.fields.transmit_at("1H", chosen, middle.reshape(-1, 3))


def _low_rank(excess: Float64) -> tuple[Float64, Float64]:
    """Return the shortest sum of products that gives the courses to the tolerance."""
    if not excess.size:
        return np.zeros((len(excess), 0)), np.zeros((0, excess.shape[1]))
    u, s, vt = np.linalg.svd(excess, full_matrices=False)
    bound = _TOLERANCE * float(np.abs(excess).max())
    for rank in range(len(s) + 1):
        if np.abs(u[:, rank:] * s[rank:] @ vt[rank:]).max() <= bound:
            break
    return u[:, :rank] * s[:rank], vt[:rank]
