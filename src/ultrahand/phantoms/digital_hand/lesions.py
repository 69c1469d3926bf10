"""What can be wrong with a hand, and where.

Whatever is not named is healthy, or drawn from the distributions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, final

from ultrahand.phantoms.digital_hand.bones import CARPALS
from ultrahand.phantoms.digital_hand.person import DIGITS, SEGMENTS, joint_names
from ultrahand.phantoms.digital_hand.vessels import SIDES, TRUNKS, ArteryState

FINGER_JOINTS: Final = tuple(j for d in DIGITS for j in joint_names(d))
JOINTS: Final = ("cmc1", *FINGER_JOINTS, "rcj", "mcj", "druj")
BONE_ENDS: Final = tuple(
    f"{segment}{d}_{end}" for d in DIGITS for segment in SEGMENTS[d] for end in ("base", "head")
)
SITES: Final = (*BONE_ENDS, *CARPALS)
ARTERIES: Final = (*(f"{d}_{side}" for d in DIGITS for side in SIDES), *TRUNKS)


@final
@dataclass(frozen=True, kw_only=True)
class Erosion:
    """A hole in a bone's surface, filled with pannus."""

    site: str
    volume_mm3: float
    side: str
    """``radial``, ``ulnar``, ``dorsal`` or ``palmar``."""


@final
@dataclass(frozen=True, kw_only=True)
class Oedema:
    """Water in the marrow of a bone's end."""

    site: str
    share: float
    """Of the assessed marrow: 1 cm from the joint, all of a carpal bone."""


@final
@dataclass(frozen=True, kw_only=True)
class Deposit:
    """Calcium under the skin."""

    place: str
    """``pulp`` of a fingertip, or ``palm``: its ulnar border, else the pad below the
    knuckles."""
    digit: int
    shape: str
    size_mm: float
    """Longest axis."""


@final
@dataclass(frozen=True, kw_only=True)
class Lesions:
    """Everything that differs from a healthy hand."""

    erosions: tuple[Erosion, ...] = ()
    oedemas: tuple[Oedema, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    synovitis_mm: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    effusion_mm: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    sheath_mm: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    skin_mm: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    """Added thickness by digit, 0 for the palm."""
    arteries: Mapping[str, ArteryState] = field(default_factory=lambda: MappingProxyType({}))
    """By name: of `ARTERIES`."""
    veins: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """Dorsal veins of a digit, instead of a drawn number."""
    cartilage: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Sodium concentration in mmol/L by joint."""
    lumen_mm2: tuple[float, float] = (0.53, 0.26)
    """Mean and standard deviation of the proper digital arteries, for what is drawn."""
    vein_count: tuple[float, float] = (3.13, 0.99)
    transit_s: tuple[float, float] = (8.0, 3.0)
    """From the digit's arteries to its veins: a working assumption, no value is published."""
