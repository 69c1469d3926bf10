"""Who lies in the scanner: one hand or both, and the vials, in one frame.

The common frame has the hands' axes (x to the patient's left, y to the back, z to the fingertips:
the patient lies prone, arms stretched out, palms down). Everything is turned a little against the
magnet; scans are prescribed along the common frame, as an operator would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, TypeAlias, final

import numpy as np

from ultrahand.errors import InputError, RecordError
from ultrahand.phantoms.digital_hand.anatomy import Hand, build_hand, draw_wrist_s
from ultrahand.phantoms.digital_hand.lesion_script import parse, preset
from ultrahand.phantoms.digital_hand.lesions import Lesions
from ultrahand.phantoms.digital_hand.person import draw_scale
from ultrahand.phantoms.digital_hand.solids import AIR, Solid, cut
from ultrahand.phantoms.digital_hand.vials import Vial, vial_solids, vials
from ultrahand.records.arrays import Float64, freeze
from ultrahand.units import M_PER_MM, RAD_PER_DEG

Side: TypeAlias = Literal["left", "right"]
Sides: TypeAlias = Literal["left", "right", "both"]

BOTH_APART_M: Final = 0.090
"""Half the distance of the two hands' axes where both are scanned at once."""
_TRIES: Final = 8
_TURN_DEG: Final = 4.0
"""Standard deviation of the turn about each axis (assumed)."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """Where the common frame lies in the patient."""

    rotation: Float64
    """Rows are the frame's axes in patient LPS, shape ``(3, 3)``."""
    origin_m: Float64
    """Of the frame, patient LPS."""

    def __post_init__(self) -> None:
        freeze(self, rotation=np.array(self.rotation), origin_m=np.array(self.origin_m))

    def to_patient(self, r_m: Float64) -> Float64:
        """Bring points ``(..., 3)`` of the common frame to patient LPS."""
        return r_m @ self.rotation + self.origin_m

    def from_patient(self, r_m: Float64) -> Float64:
        """Bring points ``(..., 3)`` in patient LPS to the common frame."""
        return (r_m - self.origin_m) @ self.rotation.T


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """Everything that lies in the coil."""

    sides: Sides
    hands: Mapping[str, Hand]
    """By side, each in its own frame."""
    vials: tuple[Vial, ...]
    """In the common frame."""
    solids: tuple[Solid, ...]
    """In the common frame, in the order they are painted."""
    side: tuple[str, ...]
    """Of each solid; empty for a vial."""
    placement: Placement

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Number of each solid by its name."""
        return {item.name: number for number, item in enumerate(self.solids)}

    @cached_property
    def box_m(self) -> Float64:
        """Lowest and highest corner of all solids, shape ``(2, 3)``."""
        boxes = np.array([item.stack.box_m for item in self.solids])
        return np.stack([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)])

    @cached_property
    def visible_m3(self) -> Float64:
        """Volume of each solid less that of what is painted over it, shape ``(solids,)``."""
        pieces, visible = cut(self.solids, 0.0), np.zeros(len(self.solids))
        volume, covers = pieces.plates.volume_m3, pieces.parent != AIR
        np.add.at(visible, pieces.solid, volume)
        np.subtract.at(visible, pieces.parent[covers], volume[covers])
        return visible

    def common(self, side: str, point_m: Float64) -> Float64:
        """Bring points ``(..., 3)`` of one hand's own frame to the common frame."""
        offset, mirrored = _place(self.sides, side)
        flip = np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
        return np.asarray(point_m) * flip + offset

    def prefix(self, side: str) -> str:
        """Return what stands before names of one hand where both are in view."""
        return f"{side[0]}_" if self.sides == "both" else ""


def make_subject(seed: int, preset_name: str, sides: Sides, script: str | None = None) -> Subject:
    """Make the subject of an examination.

    Parameters
    ----------
    seed
        Everything that varies follows from it.
    preset_name
        ``healthy``, ``ssc_mild`` or ``ssc_severe``.
    sides
        Which hands.
    script
        TOML of further lesions, on top of the preset.

    Raises
    ------
    InputError
        The script is refused, or a lesion does not fit into the hand.
    """
    turns, *streams, whole, blood = np.random.SeedSequence(seed).spawn(5)
    size = draw_scale(np.random.default_rng(whole))
    wrist_s = draw_wrist_s(np.random.default_rng(blood))
    hands: dict[str, Hand] = {}
    for side, stream in zip(("right", "left"), streams, strict=True):
        if sides in (side, "both"):
            lesions = lesions_of(preset_name, side, script)
            hands[side] = _fitting_hand(stream, lesions, size, wrist_s)
    first = next(iter(hands))
    found = vials(hands[first].person)
    offset, mirrored = _place(sides, first)
    solids: list[Solid] = []
    owner: list[str] = []
    for side, hand in hands.items():
        shift, flip = _place(sides, side)
        prefix = f"{side[0]}_" if sides == "both" else ""
        for item in hand.solids:
            stack = item.stack.moved(shift, mirrored=flip)
            solids.append(replace(item, name=prefix + item.name, stack=stack))
            owner.append(side)
    for item in vial_solids(found):
        solids.append(replace(item, stack=item.stack.moved(offset, mirrored=mirrored)))
        owner.append("")
    flip_x = np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
    placed = [np.array(v.centre_mm) * flip_x + offset / M_PER_MM for v in found]
    return Subject(
        sides=sides,
        hands=hands,
        vials=tuple(
            replace(v, centre_mm=(float(p[0]), float(p[1]), float(p[2])))
            for v, p in zip(found, placed, strict=True)
        ),
        solids=tuple(solids),
        side=tuple(owner),
        placement=_placement(np.random.default_rng(turns)),
    )


def _fitting_hand(
    stream: np.random.SeedSequence, lesions: Lesions, size: float, wrist_s: float
) -> Hand:
    """Draw hands until one's parts do not touch: about one in sixty healthy ones is drawn anew."""
    problem: RecordError | None = None
    for one in stream.spawn(_TRIES):
        try:
            return build_hand(np.random.default_rng(one), lesions, size, wrist_s)
        except RecordError as error:
            problem = error
    raise InputError(
        "lesions",
        found=f"no hand in {_TRIES} that has room for them ({problem})",
        expected="swellings that leave tendons, vessels and skin their place",
        remedy="make them smaller",
    )


def lesions_of(preset_name: str, side: str, script: str | None) -> Lesions:
    """Return a preset's lesions for one hand, and those of a script on top."""
    lesions = preset(preset_name, side)
    return lesions if script is None else parse(script, side, base=lesions)


def _place(sides: Sides, side: str) -> tuple[Float64, bool]:
    """Return how far a hand is displaced along x, and whether it is the mirror image.

    A right hand's thumb points to the patient's left, +x, as in its own frame.
    """
    if sides != "both":
        return np.zeros(3), side == "left"
    apart = BOTH_APART_M if side == "left" else -BOTH_APART_M
    return np.array([apart, 0.0, 0.0]), side == "left"


def _placement(rng: np.random.Generator) -> Placement:
    """Draw how the frame is turned and displaced against the magnet."""
    a, b, c = rng.normal(0.0, _TURN_DEG, 3).clip(-8.0, 8.0) * RAD_PER_DEG
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    origin = rng.normal(0.0, 4e-3, 3).clip(-8e-3, 8e-3) + np.array([0.0, 0.0, -0.08])
    return Placement(rotation=about_x @ about_y @ about_z, origin_m=origin)
