"""Erosions break the cortex: painted, they touch what is not bone, at the side that was asked."""

import numpy as np
import pytest

from ultrahand.phantoms.digital_hand.erosions import SIDES, bite
from ultrahand.phantoms.digital_hand.lesions import CARPALS, SITES, Erosion
from ultrahand.phantoms.digital_hand.painting import paint
from ultrahand.phantoms.digital_hand.solids import crossing
from ultrahand.phantoms.digital_hand.subject import make_subject

VOXELS = 40
"""Of a painted erosion along its longest side."""


def eroded(sites, volume_mm3, side):
    said = f'volume_mm3 = {volume_mm3}\nside = "{side}"\n'
    text = "".join(f'[[erosion]]\nsite = "{site}"\n{said}' for site in sites)
    return make_subject(1, "healthy", "right", text)


def painted(subject, name):
    """Return where a solid is painted, what is painted around it, and the voxels' size in mm."""
    low, high = subject.solids[subject.index[name]].stack.box_m
    size = (high - low).max() / VOXELS
    axes = [np.arange(a - 3 * size, b + 3 * size, size) for a, b in zip(low, high, strict=True)]
    names = np.array([*(item.name for item in subject.solids), "air"])
    found = paint(subject.solids, axes)
    return found == subject.index[name], names[found], 1e3 * size


def mouth_mm2(subject, site, side):
    """Return the area of the erosion's voxels that touch no bone on the asked side."""
    own, names, size = painted(subject, f"{site}_erosion")
    axis, sign = SIDES[side]
    beyond = np.roll(names, -int(sign), axis)[own]
    bone = np.char.find(beyond, "cortex") + np.char.find(beyond, "marrow") > -2
    return (~bone & (beyond != f"{site}_erosion")).sum() * size**2


@pytest.mark.parametrize(
    ("volume_mm3", "sites"),
    [
        (0.5, ["mc2_head", "pp3_base", "dp5_head", "lunate", "pisiform"]),
        (5.0, ["mc2_head", "pp3_base", "dp2_base", "lunate", "pisiform"]),
        (40.0, ["mc2_head", "pp3_base", "mc1_base", "lunate", "capitate"]),
    ],
)
@pytest.mark.parametrize("side", ["radial", "palmar"])
def test_an_erosion_is_open_at_the_side_of_its_bone(volume_mm3, sites, side):
    subject = eroded(sites, volume_mm3, side)
    for site in sites:
        stack = subject.solids[subject.index[f"{site}_erosion"]].stack
        assert stack.volume_m3() * 1e9 == pytest.approx(volume_mm3, rel=1e-6)
        # Of its outline, seen from that side, at least a quarter is open.
        extent = 1e3 * np.delete(stack.box_m[1] - stack.box_m[0], SIDES[side][0])
        assert mouth_mm2(subject, site, side) > 0.25 * np.pi / 4 * extent.prod(), site


def test_an_erosion_of_every_site_touches_what_is_not_bone():
    for sites in (
        [s for s in SITES if s.endswith("_base")],
        [s for s in SITES if s[-4:] != "base"],
    ):
        subject = eroded(sites, 3.0, "ulnar")
        for site in sites:
            assert mouth_mm2(subject, site, "ulnar") > 0.5, site


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("bone", ["mc3", "dp4", "hamate"])
def test_an_erosion_lies_beside_the_joint_and_inside_of_its_bone(bone, side):
    subject = make_subject(2, "healthy", "right")
    cortex = subject.solids[subject.index[f"{bone}_cortex"]]
    stack = cortex.stack
    for site in [bone] if bone in CARPALS else [f"{bone}_base", f"{bone}_head"]:
        hole = bite(stack, Erosion(site=site, volume_mm3=8.0, side=side)).stack
        before = subject.solids[: subject.index[f"{bone}_cortex"] + 1]
        assert crossing(before, hole) is None
        if site.endswith("_head"):
            assert 0.3e-3 < stack.ends_m[1] - hole.ends_m[1] < 1e-3
        if site.endswith("_base"):
            assert 0.3e-3 < hole.ends_m[0] - stack.ends_m[0] < 1e-3


def test_two_ends_of_a_bone_have_an_erosion_each_and_oedema_beside_it():
    text = "".join(
        f'[[erosion]]\nsite = "pp3_{end}"\nvolume_mm3 = 10\n'
        f'[[bone_oedema]]\nsite = "pp3_{end}"\nshare = 0.5\n'
        for end in ("base", "head")
    )
    subject = make_subject(1, "healthy", "right", text)
    names = [item.name for item in subject.solids if item.name.startswith("pp3_")]
    assert {"pp3_base_erosion", "pp3_head_erosion", "pp3_base_oedema1"} <= set(names)
