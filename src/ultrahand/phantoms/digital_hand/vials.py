"""Calibration vials beside the thumb: sodium chloride in agar and in saline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from ultrahand.phantoms.digital_hand.person import Person
from ultrahand.phantoms.digital_hand.solids import Solid
from ultrahand.phantoms.digital_hand.stack import tube_mm

CONTENTS: Final = (
    ("agar", 50.0),
    ("agar", 100.0),
    ("agar", 150.0),
    ("agar", 200.0),
    ("agar", 250.0),
    ("saline", 0.0),
    ("saline", 75.0),
    ("saline", 150.0),
)
"""What is in each vial, and its sodium in mmol/L."""
RELATIVE_STDERR: Final = 0.01
"""Relative standard error of a concentration (assumed: weighing and volume, 1 %)."""
LEAST_STDERR_MMOL_PER_L: Final = 0.1
"""Standard error of the vial without sodium (assumed: traces in water and agar)."""
RADIUS_MM: Final = 7.5
WALL_MM: Final = 0.8
HALF_LENGTH_MM: Final = 9.5
_COLUMNS_MM: Final = (59.0, 77.0)
_ROW_MM: Final = 22.0


@final
@dataclass(frozen=True, kw_only=True)
class Vial:
    """A cylinder along the fingers, in its sleeve of the holder."""

    name: str
    content: str
    concentration_mmol_per_l: float
    centre_mm: tuple[float, float, float]


def vials(person: Person) -> tuple[Vial, ...]:
    """Return the vials beside a right hand, above its thumb."""
    first = person.rays[1].tip_mm + 18.0
    found = []
    for number, (content, concentration) in enumerate(CONTENTS):
        x, z = _COLUMNS_MM[number % 2], first + _ROW_MM * (number // 2)
        found.append(
            Vial(
                name=f"vial{number + 1}",
                content=content,
                concentration_mmol_per_l=concentration,
                centre_mm=(x, -2.0, z),
            )
        )
    return tuple(found)


def vial_solids(found: tuple[Vial, ...]) -> Iterator[Solid]:
    """Yield each sleeve and its content."""
    for vial in found:
        x, y, z = vial.centre_mm
        for name, tissue, more in (
            (f"{vial.name}_sleeve", "holder", WALL_MM),
            (vial.name, vial.content, 0.0),
        ):
            r = RADIUS_MM + more
            ends = (z - HALF_LENGTH_MM - more, z + HALF_LENGTH_MM + more)
            yield Solid(
                name=name,
                tissue=tissue,
                stack=tube_mm([(end, x, y, r, r) for end in ends]),
                concentration_mmol_per_l=None if more else vial.concentration_mmol_per_l,
            )
