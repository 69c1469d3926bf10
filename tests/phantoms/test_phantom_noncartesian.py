from dataclasses import replace

import numpy as np
import pytest

from ultrahand.errors import RecordError
from ultrahand.phantoms import (
    CartesianScan,
    Ellipsoid,
    GaussianBead,
    NonCartesianScan,
    Slice,
    ThermalNoise,
    in_unit,
    simulate,
    smooth_coils,
    transform,
)
from ultrahand.recon.trajectories import k_max_per_m, radial_2d, radial_3d, spiral_2d

FRAME = {
    "read_dir": (0.36, 0.48, -0.8),
    "phase_dir": (-0.8, 0.6, 0.0),
    "slice_dir": (0.48, 0.64, 0.6),
    "position_mm": (4.0, -7.5, 11.25),
}
FOV_M = (0.16, 0.2, 0.12)
COILS = smooth_coils(3, FOV_M)
OBJECTS = (
    Ellipsoid(
        centre_m=np.array([0.012, -0.02, 0.01]),
        semi_axes_m=np.array([0.05, 0.03, 0.06]),
        density=1.0,
        r2star_per_s=300.0,
        off_resonance_hz=120.0,
    ),
    GaussianBead(centre_m=np.array([-0.01, -0.015, 0.002]), sigma_m=0.012, density=2.0),
)
SCANS = {
    "radial": NonCartesianScan(
        matrix=(16, 20, 1),
        fov_m=(0.16, 0.2, 0.01),
        dimension=2,
        k_per_m=radial_2d(5, 9, 50.0, golden=True),
        trajectory="radial",
        n_slices=3,
        discard_pre=2,
        discard_post=1,
        **FRAME,
    ),
    "spiral": NonCartesianScan(
        matrix=(16, 20, 1),
        fov_m=(0.16, 0.2, 0.01),
        dimension=2,
        k_per_m=spiral_2d(3, 11, 50.0, turns=2.0),
        trajectory="spiral",
        trajectory_unit="1/m",
        vendor="SIEMENS",
        echo_times_s=(1e-4, 2e-3),
        **FRAME,
    ),
    "centre-out": NonCartesianScan(
        matrix=(16, 20, 12),
        fov_m=FOV_M,
        dimension=3,
        k_per_m=radial_3d(7, 6, 50.0),
        trajectory_unit="rad/pixel",
        repetitions=2,
        **FRAME,
    ),
    "stack": NonCartesianScan(
        matrix=(16, 20, 5),
        fov_m=FOV_M,
        dimension=3,
        k_per_m=radial_2d(4, 7, 50.0, golden=False),
        trajectory_in_file=False,
        **FRAME,
    ),
}


@pytest.mark.parametrize("name", SCANS)
def test_every_sample_is_what_the_trajectory_says(name, rng):
    scan = replace(SCANS[name], sample_time_s=1e-4)
    raw = simulate(OBJECTS, COILS, scan, rng)
    axes = np.array([scan.read_dir, scan.phase_dir, scan.slice_dir])
    largest = np.abs(np.concatenate([d.ravel() for d in raw.source.data])).max()
    tested = 0
    for row in range(0, len(raw.readouts), 2):
        head = raw.readouts[row]
        k = np.zeros((scan.n_samples, 3))
        k[:, : scan.k_per_m.shape[2]] = scan.k_per_m[head["kspace_encode_step_1"]]
        if name == "stack":
            k[:, 2] = (head["kspace_encode_step_2"] - 2) / 0.12
        k = k @ axes
        at = head["position_mm"].astype(float) * 1e-3
        where = Slice(position_m=at, read_dir=axes[0], phase_dir=axes[1], thickness_m=0.01)
        n = np.arange(scan.n_samples) - (head["center_sample"] - scan.discard_pre)
        time_s = scan.echo_times_s[head["contrast"]] + n * 1e-4
        total = 0
        for item in OBJECTS:
            part = item if scan.dimension == 3 else item.section(where)
            if part is None:
                continue
            decay = np.exp((-item.r2star_per_s - 2j * np.pi * item.off_resonance_hz) * time_s)
            shifted = transform(part, k[:, None] - COILS.waves_per_m)
            total = total + (COILS.weights @ shifted.T) * decay
        total = total * np.exp(2j * np.pi * k @ at)
        if scan.vendor == "SIEMENS":
            total = total.conj()
        stored = raw.source.samples(np.array([row]))[:, 0]
        kept = stored[:, scan.discard_pre : stored.shape[1] - scan.discard_post]
        np.testing.assert_allclose(kept, total, rtol=0, atol=3e-6 * largest)
        tested += 1
    assert tested >= 3


def test_a_grid_given_as_trajectory_is_the_cartesian_scan(rng):
    cartesian = CartesianScan(matrix=(8, 7, 5), fov_m=FOV_M, dimension=3, **FRAME)
    x, y, z = np.arange(8) - 4, np.arange(7) - 3, np.arange(5) - 2
    k = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1) / FOV_M
    points = NonCartesianScan(
        matrix=(8, 7, 5),
        fov_m=FOV_M,
        dimension=3,
        k_per_m=k.reshape(35, 8, 3),
        echo_times_s=cartesian.echo_times_s,
        **FRAME,
    )
    rows = np.arange(35)
    one = simulate(OBJECTS, COILS, cartesian, rng).source.samples(rows)
    two = simulate(OBJECTS, COILS, points, rng).source.samples(rows)
    np.testing.assert_allclose(one, two, rtol=0, atol=3e-6 * np.abs(one).max())


# k = 40 1/m along read and 25 1/m along phase; voxels of 10 and 8 mm, 0.16 and 0.2 m across.
UNITS = {
    "cycles/pixel": (0.4, 0.2),
    "rad/pixel": (0.8 * np.pi, 0.4 * np.pi),
    "cycles/fov": (6.4, 5.0),
    "1/m": (40.0, 25.0),
    "1/cm": (0.4, 0.25),
    "1/mm": (0.04, 0.025),
    "rad/m": (80.0 * np.pi, 50.0 * np.pi),
    "rad/mm": (0.08 * np.pi, 0.05 * np.pi),
}


@pytest.mark.parametrize("unit", UNITS)
def test_trajectory_units(unit):
    k = np.array([40.0, 25.0])
    found = in_unit(k, unit, fov_m=np.array([0.16, 0.2]), matrix=np.array([16, 25]))
    np.testing.assert_allclose(found, UNITS[unit], rtol=1e-14)


def test_the_file_holds_the_trajectory_in_its_unit(rng):
    noise = ThermalNoise(covariance=np.eye(3), n_readouts=2, n_samples=5)
    scan = replace(SCANS["radial"], noise=noise, trajectory_unit="cycles/fov")
    raw = simulate(OBJECTS, COILS, scan, rng)
    dims = raw.readouts["trajectory_dimensions"]
    assert set(dims[:2]) == {0}
    assert set(dims[2:]) == {2}
    assert raw.source.k[0].shape == (5, 0)
    stored = raw.source.trajectory(np.array([2 + 3]))[0]
    assert stored.shape == (12, 2)
    np.testing.assert_allclose(stored[2:-1], scan.k_per_m[3] * (0.16, 0.2), rtol=1e-6)
    # Samples to be discarded repeat their neighbours.
    np.testing.assert_array_equal(stored[[0, 1, -1]], stored[[2, 2, -2]])
    assert raw.readouts["center_sample"][2] == 2 + 4


def test_a_trajectory_may_be_left_out_of_the_file(rng):
    raw = simulate(OBJECTS, COILS, SCANS["stack"], rng)
    assert not raw.readouts["trajectory_dimensions"].any()
    assert raw.source.k == ()
    encoding = raw.header.encodings[0]
    assert encoding.limits["kspace_encoding_step_2"].center == 2
    assert len(raw.readouts) == 4 * 5


@pytest.mark.parametrize("n_samples", [8, 9])
def test_full_spokes_pass_the_centre_at_half(n_samples):
    k = radial_2d(7, n_samples, 30.0, golden=False)
    radius = np.linalg.norm(k, axis=2)
    np.testing.assert_allclose(radius[:, n_samples // 2], 0)
    assert (radius <= 30.0 * (1 + 1e-12)).all()
    np.testing.assert_allclose(np.diff(np.sort(radius[0]))[-1], 2 * 30.0 / n_samples, atol=7)
    np.testing.assert_allclose(np.linalg.norm(np.diff(k, axis=1), axis=2), 60.0 / n_samples)
    ends = k[:, -1] / radius[:, -1:]
    angle = np.unwrap(np.arctan2(ends[:, 1], ends[:, 0]))
    np.testing.assert_allclose(np.diff(angle), np.pi / 7)


def test_golden_spokes_turn_by_the_golden_angle():
    ends = radial_2d(5, 4, 30.0, golden=True)[:, -1]
    turn = np.diff(np.angle(ends[:, 0] + 1j * ends[:, 1])) % (2 * np.pi)
    np.testing.assert_allclose(np.degrees(turn), 111.246, atol=1e-3)


def test_spirals_are_archimedean():
    k = spiral_2d(4, 101, 30.0, turns=3.0)
    z = k[..., 0] + 1j * k[..., 1]
    np.testing.assert_allclose(np.abs(z), np.broadcast_to(np.linspace(0, 30, 101), z.shape))
    np.testing.assert_allclose(z[1:], z[:1] * np.exp(0.5j * np.pi * np.arange(1, 4))[:, None])
    assert np.unwrap(np.angle(z[0, 1:]))[-1] == pytest.approx(6 * np.pi)


def test_centre_out_spokes_cover_the_sphere_evenly():
    k = radial_3d(500, 4, 30.0)
    np.testing.assert_array_equal(k[:, 0], 0)
    np.testing.assert_allclose(
        np.linalg.norm(k, axis=2), np.broadcast_to([0, 10, 20, 30], (500, 4))
    )
    tips = k[:, -1] / 30.0
    np.testing.assert_allclose(tips.mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(tips.T @ tips / 500, np.eye(3) / 3, atol=2e-3)
    cosines = tips @ tips.T - 2 * np.eye(500)
    nearest = np.degrees(np.arccos(cosines.max(axis=1)))
    # 500 equal areas in a hexagonal packing would be 9.76 degrees apart.
    assert nearest.min() > 7.5
    assert nearest.max() < 9.76


def test_the_edge_of_k_space_is_half_a_cycle_per_voxel():
    assert k_max_per_m(64, 0.16) == pytest.approx(0.5 / 0.0025)


def test_a_trajectory_of_the_wrong_dimensions_is_refused():
    with pytest.raises(RecordError, match="k_per_m"):
        replace(SCANS["radial"], k_per_m=radial_3d(3, 4, 50.0))
