"""How the contrast agent changes each solid's signal over time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.anatomy import Hand
from ultrahand.phantoms.digital_hand.fields import Fields
from ultrahand.phantoms.digital_hand.filling import first_artery, levels_reached
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.phantoms.digital_hand.vessels import PHALANX, SIDES
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
    "skin": (0.08, 0.25),
    "fibrotic_skin": (0.04, 0.30),
    "subcutaneous_fat": (0.02, 0.05),
    "synovium": (0.06, 0.20),
    "inflamed_synovium": (0.30, 0.35),
    "erosion": (0.25, 0.35),
    "marrow_oedema": (0.10, 0.20),
}
_UPTAKE_DELAY_S: Final = 3.0
"""After the arrival in the artery that feeds a tissue (assumed)."""
_DIGIT: Final = re.compile(r"(?:digit|ip|pip|dip|pp|mp|dp)([1-5])")
"""How names of solids begin that a digit's own arteries feed; the palm's feed the others."""
_TOLERANCE: Final = 1e-3
"""Of the low-rank form of the vessels' courses, and of the tissues', relative to the largest
enhancement of either."""


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
@dataclass(frozen=True, order=True)
class Course:
    """What the agent does in a vessel or tissue."""

    tissue: str
    """``artery``, ``vein``, or the tissue that takes it up."""
    arrival_s: float
    """To half of the peak, in the vessel or in the artery that feeds the tissue."""
    supply: float = 1.0
    """Share of the healthy uptake."""

    @property
    def name(self) -> str:
        """The name of its column in tables."""
        supply = "" if self.supply == 1.0 else f"_{100 * self.supply:.0f}_percent"
        return f"{self.tissue}_{self.arrival_s:.3f}{supply}"

    def concentration(self, time_s: Float64) -> Float64:
        """Return mmol/L of the agent at some times after the injection's start."""
        spread = DISPERSION_S["vein" if self.tissue == "vein" else "artery"]
        delay = self.arrival_s - _half_peak_s(spread)
        if self.tissue in DISPERSION_S:
            found = arm_input(time_s, delay_s=delay, dispersion_s=spread)
        else:
            per_min, ve = _UPTAKE[self.tissue]
            found = self.supply * tofts_uptake(
                time_s,
                ktrans_per_s=per_min / 60.0,
                ve=ve,
                delay_s=delay + _UPTAKE_DELAY_S,
                dispersion_s=spread,
            )
        return np.maximum(found, 0.0)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Courses:
    """Signal over time: ``S_i(t) = S_i(0) (1 + sum_r weights[i, r] functions[r, t])``."""

    weights: Float64
    """Shape ``(solids, functions)``; zero for what does not enhance."""
    functions: Float64
    """A value for each time, shape ``(functions, times)``."""
    concentration: Mapping[Course, Float64]
    """Of the agent over time in mmol/L, by course."""
    course: tuple[Course | None, ...]
    """Of each solid; None where no agent comes."""

    def half_rise_s(self, time_s: Float64) -> Float64:
        """Return when each solid's signal first is half of its largest enhancement above baseline.

        Not the arrival of the agent: signal saturates with concentration.

        Parameters
        ----------
        time_s
            Of the functions; it must hold the peak and what is before.

        Returns
        -------
        ndarray
            Seconds, shape ``(solids,)``; NaN for what does not enhance.
        """
        found = np.full(len(self.weights), np.nan)
        for number in np.flatnonzero(self.weights.any(axis=1)).tolist():
            curve = self.weights[number] @ self.functions
            half = 0.5 * float(curve.max())
            first = int(np.argmax(curve >= half))
            if first:
                share = (half - curve[first - 1]) / (curve[first] - curve[first - 1])
                found[number] = time_s[first - 1] + share * (time_s[first] - time_s[first - 1])
        return found


def make_courses(
    subject: Subject,
    fields: Fields,
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
    subject
        The examination's.
    fields
        With the transmit field.
    arrival_s
        Of each vessel, by the solid's name, from the start of the injection to half of its peak.
    time_s
        After the start of the injection, shape ``(times,)``.
    flip_rad, tr_s, te_s
        Of the spoiled gradient echo that looks at it.
    """
    solids = subject.solids
    course = courses_in(subject, arrival_s)
    concentration = {c: c.concentration(time_s) for c in sorted({c for c in course if c})}
    chosen = np.array([n for n, c in enumerate(course) if c], np.int64)
    excess = np.zeros((len(chosen), len(time_s)))
    r1, r2 = r1_relaxivity(AGENT).value, R2STAR_PER_S_PER_MMOL_PER_L.value
    transmit = _transmit(subject, fields, chosen)
    for row, number in enumerate(chosen):
        found = tissue(solids[number].tissue).proton
        agent = concentration[course[number]]
        rate = relaxation_rate(1.0 / found.t1_s, r1, agent)
        now = spoiled_gradient_echo(flip_rad, tr_s, 1.0 / rate, transmit=transmit[row])
        before = spoiled_gradient_echo(flip_rad, tr_s, found.t1_s, transmit=transmit[row])
        excess[row] = now / before * np.exp(-te_s * r2 * agent) - 1.0
    vessels = np.array([solids[n].name in arrival_s for n in chosen.tolist()], np.bool_)
    everywhere: list[Float64] = []
    functions: list[Float64] = []
    for rows in (np.flatnonzero(vessels), np.flatnonzero(~vessels)):
        weights, few = _low_rank(excess[rows])
        block = np.zeros((len(solids), len(few)))
        block[chosen[rows]] = weights
        everywhere.append(block)
        functions.append(few)
    return Courses(
        weights=np.concatenate([np.zeros((len(solids), 0)), *everywhere], axis=1),
        functions=np.concatenate([np.zeros((0, len(time_s))), *functions]),
        concentration=concentration,
        course=course,
    )


def courses_in(subject: Subject, arrival_s: Mapping[str, float]) -> tuple[Course | None, ...]:
    """Return each solid's course, None where no agent comes: bones, tendons, a digit without blood.

    A tissue takes the agent up after it has come to the artery that feeds it: in a digit the first
    of its two that reaches it, elsewhere the first at the wrist. What a digit takes up is scaled
    by the share of its phalanges, of both sides, that its two arteries reach (assumed).
    """
    found: list[Course | None] = []
    for item, side in zip(subject.solids, subject.side, strict=True):
        if item.name in arrival_s:
            found.append(Course(item.tissue.removesuffix("_blood"), arrival_s[item.name]))
        elif item.tissue in _UPTAKE:
            prefix = subject.prefix(side)
            named = _DIGIT.match(item.name.removeprefix(prefix))
            digit = int(named[1]) if named else 0
            supplied = _supply(subject.hands[side], prefix, digit, arrival_s)
            found.append(Course(item.tissue, *supplied) if supplied else None)
        else:
            found.append(None)
    return tuple(found)


def _supply(
    hand: Hand, prefix: str, digit: int, arrival_s: Mapping[str, float]
) -> tuple[float, float] | None:
    """Return when blood comes to a digit (0: wrist and palm), and the share of the healthy uptake.

    None where no artery reaches its proximal phalanx.
    """
    if not digit:
        arteries = [prefix + v.name for v in hand.vessels if v.kind == "artery"]
        return (min(arrival_s[name] for name in arteries), 1.0) if arteries else None
    ray = hand.person.rays[digit]
    first = first_artery(hand.vessels, ray, digit)
    if first is None:
        return None
    reached = sum(len(levels_reached(hand.vessels, ray, digit, side)) for side in SIDES)
    return arrival_s[prefix + first.name], reached / (len(SIDES) * len(PHALANX[digit]))


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


def _transmit(subject: Subject, fields: Fields, chosen: Ints) -> Float64:
    """Return the transmit field in the middle of some solids."""
    stacks = [subject.solids[n].stack for n in chosen.tolist()]
    middle = np.array([s.points(np.array(0.5 * sum(s.ends_m))) for s in stacks])
    return fields.transmit_at("1H", chosen, middle.reshape(-1, 3))


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
