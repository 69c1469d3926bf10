"""Labels and tables of the truth: against the solids themselves, on grids that lie obliquely."""

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of
from ultrahand.phantoms.digital_hand.lesion_truth import lesion_rows
from ultrahand.phantoms.digital_hand.lesions import JOINTS
from ultrahand.phantoms.digital_hand.series import scan_of
from ultrahand.phantoms.digital_hand.solids import AIR
from ultrahand.phantoms.digital_hand.truth import (
    TISSUES,
    Truth,
    joint_labels,
    joint_rows,
    landmark_rows,
    solid_rows,
    vial_rows,
)
from ultrahand.phantoms.digital_hand.vessel_truth import transit_rows, vessel_rows
from ultrahand.phantoms.setting import geometry_of
from ultrahand.physics.tissues import tissue
from ultrahand.records import Geometry

CASES = [(1, "ssc_severe", "left"), (1, "healthy", "right")]
BOTH = [(1, "ssc_mild", "both")]
VOXEL_MM = 0.6


def seen_on(seed, preset, sides, name="morphology"):
    """Return the truth on the grid of a series of the tiny examination."""
    setting = hands.setting(seed, preset, sides)
    series, _ = hands.series_of(setting.protocol, name)
    geometry = geometry_of(scan_of(setting, series))
    return Truth(subject=setting.subject, fields=setting.fields, geometry=geometry)


def finer(geometry, voxel_mm=VOXEL_MM):
    """Return a grid of other voxels over the same field of view."""
    extent = np.array(geometry.voxel_size_m) * geometry.shape[::-1]
    counts = np.ceil(extent / (voxel_mm * 1e-3)).astype(int)
    return Geometry(
        shape=tuple(counts[::-1].tolist()),
        voxel_size_m=(voxel_mm * 1e-3,) * 3,
        position_mm=geometry.position_mm,
        read_dir=geometry.read_dir,
        phase_dir=geometry.phase_dir,
        slice_dir=geometry.slice_dir,
        known=True,
    )


_FINE = {}


def fine(*case):
    """Return the truth on a fine grid, and the number of the solid in each of its voxels."""
    if case not in _FINE:
        found = seen_on(*case)
        truth = Truth(subject=found.subject, fields=found.fields, geometry=finer(found.geometry))
        _FINE.clear()  # one at a time: they are large
        _FINE[case] = truth
    return _FINE[case]


def ras_mm(truth, voxels):
    """Return where voxels ``(n, 3)``, indices z, y, x, lie: scanner RAS."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ truth.geometry.lps_affine()
    return voxels[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]


def placed(row, prefix=""):
    return np.array([row[f"{prefix}{axis}_mm"] for axis in "xyz"])


# --- labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*CASES, pytest.param(BOTH[0], marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["morphology", "sodium"])
def test_each_voxel_is_the_last_solid_painted_there(case, name, rng):
    truth = seen_on(*case, name=name)
    subject = truth.subject
    assert np.abs(truth.geometry.read_dir - np.array([0.0, 0.0, 1.0])).max() > 0.01  # oblique
    voxels = np.stack([rng.integers(0, n, 4000) for n in truth.geometry.shape], axis=1)
    inside = np.argwhere(truth.solid != AIR)
    voxels = np.concatenate([voxels, inside[rng.integers(0, len(inside), 3000)]])
    lps_m = ras_mm(truth, voxels) * [-1e-3, -1e-3, 1e-3]
    common = np.linalg.solve(subject.placement.rotation.T, (lps_m - subject.placement.origin_m).T).T
    expected = np.full(len(voxels), AIR)
    for number, item in enumerate(subject.solids):
        expected[item.stack.contains(common)] = number
    found = truth.solid[tuple(voxels.T)]
    assert (found != expected).mean() < 1e-3  # points on a surface, to rounding
    named = np.array([*(s.tissue for s in subject.solids), "air"])
    labels = truth.tissue()[tuple(voxels.T)].astype(int)
    same = found == expected
    np.testing.assert_array_equal(np.array(TISSUES)[labels[same]], named[expected[same]])
    sodium = truth.concentration()[tuple(voxels.T)]
    np.testing.assert_allclose(
        sodium[same], np.append(hands.sodium(subject.solids), 0.0)[expected[same]], rtol=1e-6
    )


def test_maps_hold_the_tissue_table_and_nothing_in_air():
    truth = seen_on(*CASES[0])
    air = truth.solid == AIR
    for name in ("t1_s", "t2star_s"):
        values = truth.relaxation("1H", name)
        assert np.isnan(values[air]).all()
        muscle = truth.tissue() == TISSUES.index("muscle")
        np.testing.assert_allclose(values[muscle], getattr(tissue("muscle").proton, name))
    for values in (truth.off_resonance("1H"), truth.transmit("1H"), truth.transmit("23Na")):
        np.testing.assert_array_equal(np.isnan(values), air)
    np.testing.assert_allclose(
        truth.off_resonance("23Na")[~air], 0.26451900 * truth.off_resonance("1H")[~air], rtol=1e-5
    )
    assert not truth.concentration()[air].any()


def test_sodium_has_its_relaxation_in_every_voxel():
    truth = seen_on(*CASES[0], name="sodium")
    air, labels = truth.solid == AIR, truth.tissue().astype(int)
    for name in ("t1_s", "t2star_short_s", "t2star_long_s", "short_fraction"):
        values = truth.relaxation("23Na", name)
        np.testing.assert_array_equal(np.isnan(values), air)
        for label in np.unique(labels[~air]).tolist():
            expected = getattr(tissue(TISSUES[label]).sodium, name)
            np.testing.assert_allclose(values[labels == label], expected, rtol=1e-6)


# --- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_joints_lie_where_their_labels_do(case):
    truth = fine(*case)
    labels, names = truth.joints(), joint_labels(truth.subject)
    rows = joint_rows(truth.subject)
    assert [row["name"] for row in rows] == list(JOINTS) == names[1:]
    for row in rows:
        voxels = np.argwhere(labels == names.index(row["name"]))
        centre = ras_mm(truth, voxels.astype(float)).mean(axis=0)
        assert np.abs(centre - placed(row)).max() < 0.5 * VOXEL_MM, row["name"]
        volume = len(voxels) * VOXEL_MM**3
        told = row["cartilage_mm3"] + row["fluid_mm3"]
        # A slab some 2 mm thick may gain or lose a layer of voxels.
        thick = 2 * row["cartilage_thickness_mm"] + row["fluid_thickness_mm"]
        assert abs(volume / told - 1.0) < VOXEL_MM / thick, row["name"]


@pytest.mark.parametrize("case", CASES)
def test_vials_lie_where_the_table_says(case):
    truth = fine(*case)
    subject = truth.subject
    rows = vial_rows(subject, 7.5, 0.01, 0.1)
    assert [row["concentration_mmol_per_l"] for row in rows] == [50, 100, 150, 200, 250, 0, 75, 150]
    concentration = truth.concentration()
    for row in rows:
        voxels = np.argwhere(truth.solid == subject.index[row["name"]])
        centre = ras_mm(truth, voxels.astype(float)).mean(axis=0)
        assert np.linalg.norm(centre - placed(row)) < 0.5 * VOXEL_MM
        values = concentration[tuple(voxels.T)]
        np.testing.assert_array_equal(values, row["concentration_mmol_per_l"])
        assert row["concentration_stderr_mmol_per_l"] == pytest.approx(
            max(values[0] * 0.01, 0.1)  # no weight is infinite
        )
        # The ball of the table lies inside the vial: all voxels nearer than it are the vial's.
        near = (
            np.linalg.norm(ras_mm(truth, voxels.astype(float)) - placed(row), axis=1)
            < row["radius_mm"]
        )
        ball = 4 / 3 * np.pi * row["radius_mm"] ** 3 / VOXEL_MM**3
        assert near.sum() == pytest.approx(ball, rel=0.02)


def test_lesions_lie_where_the_table_says():
    truth = fine(*CASES[0])
    subject = truth.subject
    rows = lesion_rows(subject)
    kinds = {row["kind"] for row in rows}
    assert kinds == {
        "erosion", "bone_oedema", "synovitis", "effusion", "tenosynovitis", "calcinosis",
        "skin", "artery", "veins", "cartilage",
    }  # fmt: skip
    assert len({row["name"] for row in rows}) == len(rows)
    joints = {row["name"]: row for row in joint_rows(subject)}
    for row in (r for r in rows if r["kind"] == "cartilage"):  # thinner than two voxels
        told = joints[row["site"]]["cartilage_mm3"]
        assert row["volume_mm3"] == pytest.approx(told, rel=1e-6)
        assert np.linalg.norm(placed(row) - placed(joints[row["site"]])) < 0.5 * VOXEL_MM
    rows = [r for r in rows if r["volume_mm3"] is not None and r["kind"] != "cartilage"]
    seen = 0
    for row in rows:
        numbers = [subject.index[name] for name in row["solids"].split()]
        stacks = [subject.solids[number].stack for number in numbers]
        voxels = np.argwhere(np.isin(truth.solid, numbers))
        if row["volume_mm3"] < 8 * VOXEL_MM**3:  # a nodule of one or two voxels
            distance = np.linalg.norm(ras_mm(truth, voxels.astype(float)) - placed(row), axis=1)
            spread = 0.5 * row["size_mm"] if row["shape"] == "cluster" else 0.0
            assert (distance < 1.5 * VOXEL_MM + spread).all()
            continue
        # Counted on voxels: each of the surface, 4.8 n^(2/3) of a ball, is in or out, by chance
        # (0.29 of a voxel; four standard deviations); a flat end, as one.
        volume = len(voxels) * VOXEL_MM**3
        chance = 2.6 * (row["visible_mm3"] / VOXEL_MM**3) ** (-2 / 3)
        layer = max(
            0.0 if max(stack.caps_m) > 0 else VOXEL_MM * 1e-3 / stack.length_m for stack in stacks
        )
        assert volume == pytest.approx(row["visible_mm3"], rel=max(0.06, layer, chance)), row[
            "name"
        ]
        centre = ras_mm(truth, voxels.astype(float)).mean(axis=0)
        assert np.linalg.norm(centre - placed(row)) < 0.5 * VOXEL_MM, row["name"]
        seen += 1
    assert seen >= 12


def test_vessels_begin_and_end_where_the_table_says():
    truth = fine(*CASES[1])
    subject = truth.subject
    rows = vessel_rows(subject, arrivals_of(subject))
    seen = 0
    for row in rows:
        voxels = np.argwhere(truth.solid == subject.index[row["name"]])
        assert len(voxels), row["name"]
        place = ras_mm(truth, voxels.astype(float))
        direction = placed(row, "end_") - placed(row, "start_")
        length = np.linalg.norm(direction)
        along = (place - placed(row, "start_")) @ direction / length
        radius = np.sqrt(row["lumen_area_mm2"] / np.pi)
        if subject.solids[subject.index[row["name"]]].stack.axis == 2:
            reach = VOXEL_MM + 1.5 * radius
            assert along.min() > -reach, row["name"]
            assert length - along.max() > -reach, row["name"]
            if radius > VOXEL_MM:  # thinner ones have gaps
                assert along.min() < VOXEL_MM + reach, row["name"]
                assert length - along.max() < VOXEL_MM + reach, row["name"]
                seen += 1
    assert seen >= 5


def test_every_solid_has_its_volume_and_sodium():
    subject = hands.subject()
    rows = solid_rows(subject)
    assert [row["name"] for row in rows] == [item.name for item in subject.solids]
    assert [row["index"] for row in rows] == list(range(len(subject.solids)))
    np.testing.assert_allclose(
        [row["sodium_mmol_per_l"] for row in rows], hands.sodium(subject.solids)
    )
    vial = next(row for row in rows if row["name"] == "vial3")
    assert vial["volume_mm3"] == pytest.approx(np.pi * 7.5**2 * 19.0, rel=1e-9)


# --- hands -------------------------------------------------------------------------------------


def test_a_left_hand_is_the_mirror_image(rng):
    subject = hands.subject(1, "ssc_severe", "left")
    hand = subject.hands["left"]
    own = {item.name: item.stack for item in hand.solids}
    placed_ = {item.name: item.stack for item in subject.solids if item.name in own}
    assert set(placed_) == set(own)
    for name, stack in own.items():
        r = rng.uniform(*stack.box_m, (100, 3))
        same = stack.contains(r) == placed_[name].contains(r * [-1.0, 1.0, 1.0])
        assert same.mean() >= 0.99, name


@pytest.mark.parametrize(("case", "sign"), [(CASES[0], -1.0), (CASES[1], 1.0)])
def test_the_thumb_points_to_the_other_hand(case, sign):
    """Prone, arms stretched out, palms down: a right thumb points to the patient's left."""
    rows = {row["name"]: row for row in landmark_rows(hands.subject(*case))}
    across = rows["tip1"]["x_mm"] - rows["tip5"]["x_mm"]
    assert np.sign(-across) == sign  # RAS: x to the patient's right
    assert rows["tip3"]["z_mm"] > rows["mcp3"]["z_mm"] > rows["wrist_ulnar"]["z_mm"]


def test_two_hands_have_names_of_their_own():
    subject = hands.subject(*BOTH[0])
    for item, side in zip(subject.solids, subject.side, strict=True):
        prefix = {"left": "l_", "right": "r_", "": "vial"}[side]
        assert item.name.startswith(prefix)
    assert [row["name"] for row in joint_rows(subject)] == joint_labels(subject)[1:]
    rows = [
        *landmark_rows(subject),
        *joint_rows(subject),
        *vessel_rows(subject, arrivals_of(subject)),
        *lesion_rows(subject),
    ]
    assert {row["side"] for row in rows} == {"left", "right"}
    for row in rows:
        assert row["name"].startswith(row["side"][0] + "_")
    for row in lesion_rows(subject):
        assert row["site"].startswith(row["side"][0] + "_")
    for row in vessel_rows(subject, arrivals_of(subject)):
        assert row["upstream"] is None or row["upstream"].startswith(row["side"][0] + "_")
    assert len(transit_rows(subject, arrivals_of(subject))) == 10
    assert len(joint_rows(subject)) == 36
    assert joint_labels(subject)[1:3] == ["r_cmc1", "r_mcp1"]
    x = {row["name"]: row["x_mm"] for row in landmark_rows(subject)}
    assert x["r_mcp3"] - x["l_mcp3"] > 150.0  # RAS: the right hand lies to the right
    assert x["r_tip1"] < x["r_tip5"]
    assert x["l_tip1"] > x["l_tip5"]


@pytest.mark.parametrize("case", [*CASES, *BOTH])
def test_landmarks_lie_in_the_solids_they_name(case):
    subject = hands.subject(*case)
    rows = landmark_rows(subject)
    assert len(rows) == 22 * len(subject.hands)
    for row in rows:
        lps_m = placed(row) * [-1e-3, -1e-3, 1e-3]
        r = subject.placement.from_patient(lps_m)[None]
        inside = [hands.plain(s.name) for s in subject.solids if s.stack.contains(r)[0]]
        name = hands.plain(row["name"]) if len(subject.hands) == 2 else row["name"]
        if name.startswith("tip"):  # the end of the bone, under the fingertip's skin
            assert f"digit{name[3:]}_fat" in inside
            below = subject.placement.from_patient(lps_m)[None] - [0.0, 0.0, 0.3e-3]
            bone = subject.index[f"{subject.prefix(row['side'])}dp{name[3:]}_cortex"]
            assert subject.solids[bone].stack.contains(below)[0]
        elif name.startswith("wrist"):
            assert "palm1_fat" in inside
        else:
            assert inside[-1] == f"{name}_fluid"


def test_the_slab_s_sodium_is_the_mean_over_cartilage_and_fluid():
    rows = {row["name"]: row for row in joint_rows(hands.subject(1, "ssc_severe", "left"))}
    row = rows["mcp2"]
    assert row["cartilage_mmol_per_l"] == 100.0
    fluid = tissue("synovial_fluid").sodium.concentration_mmol_per_l
    share = row["cartilage_mm3"] / (row["cartilage_mm3"] + row["fluid_mm3"])
    expected = 100.0 * share + fluid * (1 - share)
    assert row["slab_mmol_per_l"] == pytest.approx(expected, rel=1e-12)
    thick = row["cartilage_thickness_mm"]
    assert share == pytest.approx(2 * thick / (2 * thick + row["fluid_thickness_mm"]), rel=0.02)
