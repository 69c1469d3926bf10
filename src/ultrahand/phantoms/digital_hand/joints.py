"""Joints: lining, cartilage on both sides, fluid between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.bones import HALF_CAPSULE_MM, LINING_MM, semi_at, slabs
from ultrahand.phantoms.digital_hand.person import DIGITS, Person, joint_names
from ultrahand.phantoms.digital_hand.solids import Solid
from ultrahand.phantoms.digital_hand.stack import ACROSS, Stack, tube_mm
from ultrahand.units import M_PER_MM

_LEVELS: Final = 5
"""On each side of a joint at which its lining is as far out as the bone asks."""


def capsules(
    person: Person, synovitis_mm: Mapping[str, float], effusion_mm: Mapping[str, float]
) -> Iterator[Solid]:
    """Yield each finger joint's lining, and the fluid inside it where there is an effusion.

    Bones and cartilage are painted over it: it follows them at the depth of its thickness, to
    which swelling adds.
    """
    for d in DIGITS:
        for joint in joint_names(d):
            synovium, fluid = synovitis_mm.get(joint, 0.0), effusion_mm.get(joint, 0.0)
            outer = _around(person, d, joint, LINING_MM * person.scale + synovium + fluid, 0.0)
            tissue = "inflamed_synovium" if synovium > 0 else "synovium"
            yield Solid(name=f"{joint}_synovium", tissue=tissue, stack=outer)
            if fluid > 0:
                inner = _around(person, d, joint, 0.1 + fluid, 0.4)
                yield Solid(name=f"{joint}_effusion", tissue="effusion", stack=inner)


def _around(person: Person, digit: int, joint: str, thick: float, short: float) -> Stack:
    """Return what surrounds the bones of a joint with a thickness, shorter at both ends; in mm."""
    ray = person.rays[digit]
    low, high = ray.z_mm[joint]
    reach = HALF_CAPSULE_MM[joint.rstrip("12345")] * person.scale - short
    middle = 0.5 * (low + high)
    # Just beside the joint's slab `semi_at` is that of the bone on that side.
    below, above = (low - 1e-3, middle - reach), (high + 1e-3, middle + reach)
    levels = [*np.linspace(*below, _LEVELS)[::-1].tolist(), *np.linspace(*above, _LEVELS).tolist()]
    path = []
    for z in levels:
        a, b = semi_at(person, digit, z)
        path.append((z, *ray.at(z), a + thick, b + thick))
    return tube_mm(path)


def cartilages(person: Person, concentration: Mapping[str, float]) -> Iterator[Solid]:
    """Yield each joint's fluid, and in its slab the cartilage of both bones."""
    for joint, ((low, high), slab) in slabs(person).items():
        thick = person.cartilage_mm[joint]
        asked = concentration.get(joint)
        names = ("proximal", "distal")
        for name, ends in zip(names, ((low, low + thick), (high - thick, high)), strict=True):
            yield Solid(
                name=f"{joint}_cartilage_{name}",
                tissue="cartilage",
                stack=between(slab, *ends),
                concentration_mmol_per_l=asked,
            )
        yield Solid(
            name=f"{joint}_fluid",
            tissue="synovial_fluid",
            stack=between(slab, low + thick, high - thick),
        )


def between(stack: Stack, low_mm: float, high_mm: float) -> Stack:
    """Return the part of a stack between two levels; a rounded end that is cut off becomes flat."""
    low, high = low_mm * M_PER_MM, high_mm * M_PER_MM
    inner = stack.knots_m[(stack.knots_m > low + 1e-9) & (stack.knots_m < high - 1e-9)]
    knots = np.concatenate([[low], inner, [high]])
    shape = stack._curves(knots)
    kept = [
        cap if abs(end - edge) < 1e-9 else 0.0
        for cap, end, edge in zip(stack.caps_m, stack.ends_m, (low, high), strict=True)
    ]
    assert len(ACROSS[stack.axis]) == 2
    return Stack(axis=stack.axis, knots_m=knots, shape_m=shape, caps_m=(kept[0], kept[1]))
