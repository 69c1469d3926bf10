"""Joints: lining, cartilage on both sides, fluid between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ultrahand.phantoms.digital_hand.bones import CAPSULE_MM, HALF_CAPSULE_MM, capsule_semi, slabs
from ultrahand.phantoms.digital_hand.person import DIGITS, Person, joint_names
from ultrahand.phantoms.digital_hand.solids import Solid
from ultrahand.phantoms.digital_hand.stack import ACROSS, Stack, tube_mm
from ultrahand.units import M_PER_MM


def capsules(
    person: Person, synovitis_mm: Mapping[str, float], effusion_mm: Mapping[str, float]
) -> Iterator[Solid]:
    """Yield each finger joint's lining, and the fluid inside it where there is an effusion.

    Bones and cartilage are painted over it. Swelling adds to a thin healthy lining, more to the
    sides than to palm and back, where tendons run.
    """
    for d in DIGITS:
        ray = person.rays[d]
        for joint in joint_names(d):
            low, high = ray.z_mm[joint]
            middle = 0.5 * (low + high)
            reach = HALF_CAPSULE_MM[joint.rstrip("12345")] * person.scale
            synovium, fluid = synovitis_mm.get(joint, 0.0), effusion_mm.get(joint, 0.0)
            levels = [middle - reach, low, high, middle + reach]
            size = np.array(capsule_semi(person, d, joint))
            thick = CAPSULE_MM * person.scale + synovium
            outer = [(z, *ray.at(z), *(size + thick + fluid)) for z in levels]
            tissue = "inflamed_synovium" if synovium > 0 else "synovium"
            yield Solid(name=f"{joint}_synovium", tissue=tissue, stack=tube_mm(outer))
            if fluid > 0:
                inner = [(z, *ray.at(z), *(size + 0.1 + fluid)) for z in levels]
                inner[0] = (inner[0][0] + 0.4, *inner[0][1:])
                inner[-1] = (inner[-1][0] - 0.4, *inner[-1][1:])
                yield Solid(name=f"{joint}_effusion", tissue="effusion", stack=tube_mm(inner))


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
