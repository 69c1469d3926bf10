"""Solids in the order they are painted: a later one replaces what it lies in.

As densities add in k-space, a solid adds its own signal and takes away that of its surroundings.
So it must lie in exactly one of them at every level, and none may cross another: that is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import RecordError
from ultrahand.phantoms.digital_hand.stack import ACROSS, Stack
from ultrahand.phantoms.plates import Plates
from ultrahand.records.arrays import Float64, Ints, freeze

AIR: Final = -1
OUTERMOST: Final = ("skin", "fibrotic_skin", "holder")
"""Tissues that air surrounds."""
_RIM: Final = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)


@final
@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Solid:
    """A piece of anatomy, or a vial."""

    name: str
    tissue: str
    """A name of the tissue table."""
    stack: Stack
    concentration_mmol_per_l: float | None = None
    """Of sodium, where it is not the table's."""
    course: str | None = None
    """Which time course of the contrast agent it follows; None: that of its tissue."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """Solids cut into plates, each with what it is and what it replaces."""

    plates: Plates
    """In the hand's frame, metres."""
    solid: Ints
    """Index of the plate's solid, shape ``(plates,)``."""
    parent: Ints
    """Index of the solid that it replaces; `AIR` for none."""

    def __post_init__(self) -> None:
        freeze(self, solid=np.array(self.solid, np.int64), parent=np.array(self.parent, np.int64))


def cut(solids: Sequence[Solid], k_max_per_m: float) -> Cut:
    """Cut solids into as many plates as transforms up to `k_max_per_m` need."""
    plates, own, parents = [], [], []
    for index, item in enumerate(solids):
        around = _around(solids[:index], item.stack)
        breaks = _breaks(solids, around, item.stack)
        s, weight = item.stack.nodes(k_max_per_m, breaks)
        plates.append(item.stack.plates(s, weight))
        parents.append(innermost(solids, around, plates[-1].centre_m))
        own.append(np.full(len(s), index))
    return Cut(
        plates=Plates(
            centre_m=np.concatenate([p.centre_m for p in plates]),
            span_m=np.concatenate([p.span_m for p in plates]),
            weight_m=np.concatenate([p.weight_m for p in plates]),
        ),
        solid=np.concatenate(own),
        parent=np.concatenate(parents),
    )


def innermost(solids: Sequence[Solid], candidates: Sequence[int], r_m: Float64) -> Ints:
    """Return the last painted of the candidates that contains each point ``(n, 3)``."""
    found = np.full(len(r_m), AIR)
    for index in candidates:
        found[solids[index].stack.contains(r_m)] = index
    return found


def check_nesting(solids: Sequence[Solid]) -> None:
    """Refuse solids that cross each other.

    Raises
    ------
    RecordError
        Which two solids cross, and where.
    """
    for index, item in enumerate(solids):
        found = crossing(solids[:index], item.stack, outermost=item.tissue in OUTERMOST)
        if found:
            raise RecordError(f"{item.name} {found}")


def crossing(
    solids: Sequence[Solid], stack: Stack, *, outermost: bool = False, samples: int = 15
) -> str | None:
    """Tell where a stack would reach out of its surroundings; None if it does not.

    Only what is `outermost` may lie in air. It is probed at `samples` levels of each of its pieces:
    its rim must have the same surroundings as its centre.
    """
    around = _around(solids, stack)
    bounds = np.unique([*stack.knots_m, *_breaks(solids, around, stack)])
    fraction = (np.arange(samples) + 0.5) / samples
    s = (bounds[:-1, None] + np.diff(bounds)[:, None] * fraction).ravel()
    centre = innermost(solids, around, stack.points(s))
    rim = _rim(stack, s)
    at_rim = innermost(solids, around, rim.reshape(-1, 3)).reshape(rim.shape[:2])
    bad = np.argwhere((at_rim != centre[:, None]) | ((centre == AIR) & (not outermost))[:, None])
    if not len(bad):
        return None
    level, where = bad[0]
    if centre[level] == AIR and not outermost:
        return f"lies in air at {np.round(rim[level, where] * 1e3, 1).tolist()} mm"
    inside, outside = (
        "air" if n == AIR else solids[n].name for n in (centre[level], at_rim[level, where])
    )
    place = np.round(rim[level, where] * 1e3, 1).tolist()
    return f"lies in {inside} but reaches into {outside} at {place} mm"


def first_free(solids: Sequence[Solid], candidates: Iterable[Stack]) -> Stack | None:
    """Return the first candidate that crosses nothing; None if all do."""

    def free(stack: Stack) -> bool:  # a few levels refuse most of those that cross
        return all(crossing(solids, stack, samples=n) is None for n in (2, 15))

    return next((stack for stack in candidates if free(stack)), None)


def settle(solids: Sequence[Solid], stack: Stack, *, reach_m: float = 2.4e-3) -> Stack:
    """Return a stack, its inner knots moved together as little as it takes to cross nothing.

    Where no move up to `reach_m` helps, it is returned as it is.
    """
    steps = np.arange(-4, 5) * (reach_m / 4.0)
    moves = sorted(((x, y) for x in steps for y in steps), key=lambda m: (m[0] ** 2 + m[1] ** 2, m))
    options = (_moved_inside(stack, move) for move in moves)
    return first_free(solids, options) or stack


def _moved_inside(stack: Stack, move: tuple[float, float]) -> Stack:
    """Move the inner knots of a stack sideways; its ends stay where they are."""
    shape = stack.shape_m.copy()
    shape[1:-1, :2] += move
    return Stack(axis=stack.axis, knots_m=stack.knots_m, shape_m=shape, caps_m=stack.caps_m)


def _rim(stack: Stack, s: Float64) -> Float64:
    """Return points on the rim of each ellipse, a little inside, ``(levels, 24, 3)``."""
    centre, semi = stack.at(s)
    circle = np.stack([np.cos(_RIM), np.sin(_RIM)], axis=1) * 0.995
    points = np.empty((len(s), len(_RIM), 3))
    points[..., stack.axis] = s[:, None]
    points[..., ACROSS[stack.axis]] = centre[:, None] + semi[:, None] * circle
    return points


def _around(solids: Sequence[Solid], stack: Stack) -> list[int]:
    """Return the solids whose boxes touch a stack's box."""
    low, high = stack.box_m
    return [
        n
        for n, other in enumerate(solids)
        if (other.stack.box_m[0] <= high).all() and (other.stack.box_m[1] >= low).all()
    ]


def _breaks(solids: Sequence[Solid], around: Sequence[int], stack: Stack) -> list[float]:
    """Return where the surroundings of a stack can change: at the ends of those along its axis."""
    low, high = stack.ends_m
    ends = (
        end for n in around if solids[n].stack.axis == stack.axis for end in solids[n].stack.ends_m
    )
    return [end for end in ends if low < end < high]
