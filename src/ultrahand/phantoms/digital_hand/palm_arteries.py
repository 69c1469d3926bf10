"""Arteries of wrist and palm: radial and ulnar, the palmar arches, the common digital ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.person import Person
from ultrahand.phantoms.digital_hand.soft_tissue import levels_of
from ultrahand.phantoms.digital_hand.solids import Solid, settle
from ultrahand.phantoms.digital_hand.stack import Stack, tube_mm
from ultrahand.phantoms.digital_hand.vessels import (
    JUNCTION_MM,
    TRUNKS,
    ArteryState,
    Vessel,
    gap_mm,
    narrowed,
    narrowing,
    nearest_m,
    part,
)
from ultrahand.units import M_PER_MM

RADIUS_MM: Final = {
    "radial_artery": 1.2,
    "ulnar_artery": 1.1,
    "radial_superficial_branch": 0.6,
    "superficial_arch": 0.8,
    "deep_palmar_branch": 0.5,
    "deep_arch": 0.7,
    "common_23": 0.65,
    "common_34": 0.65,
    "common_45": 0.65,
}
"""Assumed, between ultrasound's 2 to 2.6 mm for the radial artery and the proper digital ones."""
FED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "radial_artery": (),
    "ulnar_artery": (),
    "radial_superficial_branch": ("radial_artery",),
    "superficial_arch": ("ulnar_artery", "radial_superficial_branch"),
    "deep_palmar_branch": ("ulnar_artery",),
    "deep_arch": ("radial_artery", "deep_palmar_branch"),
    "common_23": ("superficial_arch",),
    "common_34": ("superficial_arch",),
    "common_45": ("superficial_arch",),
}
"""What feeds each where nothing is wrong: the first at its origin, a second one at its end."""
_CLEAR_MM: Final = 0.05
"""Between a piece and the flat end of what feeds it."""
_BACKWARDS: Final = ("deep_arch",)
"""Blood enters where the stack ends."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Trunk:
    """An artery of wrist or palm: its course, and what is left of it."""

    name: str
    state: ArteryState
    plain: Stack
    """Its course before anything narrows it or moves it aside."""
    whole: Stack
    """As it runs if nothing closes it."""

    @property
    def backwards(self) -> bool:
        return self.name in _BACKWARDS

    @property
    def middle_m(self) -> float:
        return 0.5 * sum(self.whole.ends_m)

    @property
    def ends_m(self) -> tuple[float, float]:
        """Origin and end along the axis of the whole course."""
        low, high = self.whole.ends_m
        return (high, low) if self.backwards else (low, high)

    @cached_property
    def left(self) -> Stack | None:
        """From its origin to where it is closed; None where it is absent."""
        if not self.state.present:
            return None
        if self.state.occluded_at is None:
            return self.whole
        origin, end = self.ends_m
        low, high = sorted((origin, origin + self.state.occluded_at * (end - origin)))
        return part(self.whole, low, high)

    def has(self, level_m: float) -> bool:
        """Tell whether a level of the whole course is in what is left."""
        if self.left is None:
            return False
        low, high = self.left.ends_m
        return low <= level_m <= high

    def feeds(self, stack: Stack, end_m: float) -> bool:
        """Tell whether the end of another stack joins what is left of this artery."""
        level, _ = nearest_m(self.whole, stack.points(np.array(end_m)))
        return self.has(level) and gap_mm(stack, end_m, self.whole) <= JUNCTION_MM


def trunks_of(
    person: Person, solids: Sequence[Solid], states: Mapping[str, ArteryState]
) -> Mapping[str, Trunk]:
    """Return the arteries of wrist and palm by name.

    Parameters
    ----------
    person
        Whose.
    solids
        What is there already: a course is moved aside where it would cross something.
    states
        What is wrong, by name.
    """
    found = {}
    for name in TRUNKS:
        state, r = states.get(name, ArteryState()), RADIUS_MM[name]
        path = [[*knot, r, r] for knot in _path(person, name)]
        plain = tube_mm(path, axis=_AXIS.get(name, 2))
        narrow = narrowed(plain, 0.5 * sum(plain.ends_m), state.stenosis_percent)
        whole = settle(solids, narrow)
        found[name] = Trunk(name=name, state=state, plain=plain, whole=whole)
    return found


def palm_arteries(trunks: Mapping[str, Trunk]) -> Iterator[Vessel]:
    """Yield the arteries of wrist and palm that are left, each after what feeds it."""
    for name, trunk in trunks.items():
        if trunk.left is None:
            continue
        percent = trunk.state.stenosis_percent
        lost, place = narrowing(trunk.left, trunk.plain, trunk.middle_m, percent)
        yield Vessel(
            name=name,
            kind="artery",
            stack=trunk.left,
            feeders=_feeders(trunks, trunk),
            backwards=trunk.backwards,
            stenosis_percent=lost,
            narrowest_m=place,
        )


def _feeders(trunks: Mapping[str, Trunk], trunk: Trunk) -> tuple[str, ...]:
    """Return what feeds an artery of the palm: at its origin, and at its end if it gets there."""
    ends = zip(FED_BY[trunk.name], trunk.ends_m, strict=False)
    return tuple(
        name for name, end in ends if trunk.has(end) and trunks[name].feeds(trunk.whole, end)
    )


def fork_mm(person: Person, name: str) -> tuple[float, float, float]:
    """Return where a common artery divides: level and centre in mm."""
    return _common_path(person, name)[-1]


# Assumed courses in mm at scale 1: level and centre, clear of bones and tendons.
_PALM_PATHS: Final[Mapping[str, Sequence[tuple[float, float, float]]]] = {
    "radial_artery": (
        (-30.0, 19.5, -11.6),
        (-6.0, 21.0, -11.4),
        (6.0, 25.5, -8.6),
        (18.0, 25.0, 3.7),
        (31.0, 20.4, 3.7),
        (38.0, 21.6, 0.5),
        (46.5, 21.0, -6.9),
    ),
    "ulnar_artery": (
        (-30.0, -14.0, -12.6),
        (8.0, -13.0, -13.6),
        (30.0, -15.0, -15.6),
        (46.0, -18.8, -15.2),
    ),
    "radial_superficial_branch": (
        (-3.0, 19.6, -13.0),
        (20.0, 18.0, -16.2),
        (40.0, 16.0, -16.2),
        (55.6, 14.4, -15.2),
    ),
    "superficial_arch": (
        (-19.4, -15.0, 46.8),
        (-12.0, -15.2, 55.0),
        (0.0, -15.2, 59.4),
        (14.4, -15.0, 56.4),
    ),
    "deep_palmar_branch": (  # between the flexor tendons of the two ulnar digits
        (40.0, -15.7, -13.8),
        (42.0, -15.6, -11.9),
        (46.8, -17.6, -8.9),
    ),
    "deep_arch": ((-18.0, -7.3, 48.0), (0.0, -7.1, 50.0), (21.0, -7.0, 47.2)),
}
_ENDS_ABOVE: Final[Mapping[str, Mapping[int, str]]] = {
    "superficial_arch": {0: "ulnar_artery", -1: "radial_superficial_branch"},
    "deep_arch": {-1: "radial_artery"},
}
"""First and last knots that lie beyond the flat end of another artery: as radii do not scale, an
arch of a small hand would begin inside of it."""
_AXIS: Final = {"superficial_arch": 0, "deep_arch": 0}
"""Axis along which an artery runs, where it is not the hand's own. None along y: series of images
would need grids of a third orientation, three times the time for a single vessel."""


def _path(person: Person, name: str) -> list[tuple[float, float, float]]:
    """Return the course of an artery of the palm: position along its axis, and centre, in mm."""
    if name.startswith("common"):
        return _common_path(person, name)
    s = person.scale
    path = [(s * a, s * b, s * c) for a, b, c in _PALM_PATHS[name]]
    for end, below in _ENDS_ABOVE.get(name, {}).items():
        top = s * _PALM_PATHS[below][-1][0]
        a, b, c = path[end]
        path[end] = a, b, max(c, top + RADIUS_MM[name] + _CLEAR_MM)
    return path


def _common_path(person: Person, name: str) -> list[tuple[float, float, float]]:
    proximal, distal = int(name[-2]), int(name[-1])
    s = person.scale
    level = levels_of(person)
    fork = (level.little if distal == 5 else level.fingers) - 6.0 * s
    arch = tube_mm([(*knot, 1.0, 1.0) for knot in _path(person, "superficial_arch")], axis=0)
    x = {2: 10.4, 3: -0.6, 4: -11.0}[proximal] * s
    near = np.array([x - 0.8, x, x + 0.8])
    y, _ = arch.at(near[1] * M_PER_MM)[0] / M_PER_MM
    z = float(arch.at(near * M_PER_MM)[0][:, 1].max() / M_PER_MM)

    def midway(at: float) -> float:
        return 0.5 * (person.rays[proximal].at(at)[0] + person.rays[distal].at(at)[0])

    half = 0.5 * (z + fork)
    return [
        (z + RADIUS_MM["superficial_arch"] + _CLEAR_MM, x, y),
        (half, midway(half), -12.0 * s),
        (fork, midway(fork), -8.6 * s),
    ]
