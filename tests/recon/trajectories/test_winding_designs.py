"""Spirals, cones, twisted projections and FLORET: what each is designed for."""

from dataclasses import replace

import numpy as np
import pytest

from ultrahand.recon.trajectories import (
    GradientLimits,
    Prescription,
    design_cones,
    design_floret,
    design_spiral,
    design_twisted_projections,
)
from ultrahand.recon.trajectories.floret import _flat_timing
from ultrahand.recon.trajectories.time_optimal import fastest
from ultrahand.recon.trajectories.twisted_path import PolynomialTwist, TwistedPath
from ultrahand.recon.trajectories.twisted_projections import twisted_radius

RASTER_S = 10e-6
SODIUM = Prescription(voxel_size_m=1.5e-3, fov_m=0.2, sample_time_s=10e-6, nucleus="23Na")
PROTON = Prescription(voxel_size_m=2e-3, fov_m=0.1, sample_time_s=2e-6)


def off_path_per_m(spec):
    """How far a mean over one step and straight lines between nodes leave a path."""
    return spec.strongest_per_m_per_s2 * RASTER_S**2 * (1 / 24 + 1 / 8)


@pytest.fixture(scope="module")
def twisted():
    return design_twisted_projections(SODIUM, readout_s=10e-3, radial_fraction=0.4)


def test_a_solved_twisted_projection(twisted):
    """dx 1.5 mm, p 0.4, 10 ms, FOV 200 mm: 6.956 mT/m; 22340 shots for 55851 spokes."""
    # With a mean over one step the path is half a step late.
    ideal = twisted_radius(SODIUM, 10e-3 + RASTER_S / 2, 0.4, 1)
    assert 1e3 * ideal.gradient_t_per_m == pytest.approx(6.956, rel=1e-3)
    assert ideal.k0_per_m == pytest.approx(0.4 / 3e-3)
    # Shots are whole on each of 210 cones, and a few more where these are slow at the poles.
    n_cones = len(twisted.pattern_gradient_t_per_m)
    assert n_cones == np.ceil(np.pi * 0.2 / 3e-3)
    assert 22340 < twisted.n_shots < 22340 + n_cones


def test_twisted_projections_keep_their_gradient(twisted):
    """Everywhere but in the corners, on all cones that are wound at full gradient."""
    ideal = twisted_radius(SODIUM, 10e-3, 0.4, 8)
    gradient = np.linalg.norm(twisted.pattern_gradient_t_per_m, axis=2)
    times = np.arange(gradient.shape[1]) * RASTER_S
    after = (times > ideal.t0_s * 1.2) & (times < 10e-3)
    early = (times > 150e-6) & (times < ideal.t0_s)
    polar = (np.arange(len(gradient)) + 0.5) * np.pi / len(gradient)
    wide = np.sin(polar) > 0.2
    g0 = gradient[wide][:, early]
    np.testing.assert_allclose(g0, g0[0, 0], rtol=1e-9)
    # A mean over w of a gradient that turns by a is shorter by a^2 / 24; the turn is at most
    # 0.535 gamma G0^2 / (k0 sin) / G0 * w, and 1.5 times that within 20 % of the onset.
    turn = 0.535 * 11.2625e6 * g0[0, 0] / ideal.k0_per_m / 0.2 * 1.5 * 80e-6
    short = 1 - gradient[wide][:, after] / g0[0, 0]
    assert short.min() > -1e-9
    assert short.max() < turn**2 / 24
    assert (gradient <= g0[0, 0] * (1 + 1e-9)).all()


def test_twisted_projections_wind_gently_and_evenly(twisted):
    widest = len(twisted.pattern_gradient_t_per_m) // 2
    shot = int(np.argmax(twisted.pattern == widest))
    k = twisted.k_per_m(slice(shot, shot + 1))[0]
    radius = np.linalg.norm(k, axis=1)
    late = radius > 0.45 / 3e-3
    shells = np.diff(radius[late] ** 3)
    np.testing.assert_allclose(shells, shells.mean(), rtol=2e-3)
    slew = np.linalg.norm(
        np.diff(twisted.gradient_t_per_m(slice(shot, shot + 1))[0], axis=0), axis=1
    )
    times = np.arange(1, len(slew) + 1) * RASTER_S
    onset_s = 0.4 / 3e-3 / (11.2625e6 * 6.97e-3)
    assert slew[(times > 1.1 * onset_s) & (times < 10e-3)].max() / RASTER_S < 18


def test_cones_at_the_poles_are_wound_slowly_enough_to_be_played():
    """A mean over less than 1 rad takes at most 1 / 24 of the ring."""
    spec = replace(SODIUM, fov_m=0.4)
    design = design_twisted_projections(spec, readout_s=6e-3, radial_fraction=0.4)
    n = len(design.pattern_gradient_t_per_m)
    shot = int(np.argmax(design.pattern == 0))
    k = design.k_per_m(slice(shot, shot + 1))[0]
    radius = np.linalg.norm(k, axis=1)
    late = radius > 0.6 / 3e-3
    ring = np.hypot(k[late, 0], k[late, 1]) / (radius[late] * np.sin(0.5 * np.pi / n))
    assert 1 - 1 / 24 < ring.min() < ring.max() < 1 + 1e-3


def test_cones_do_not_line_up(cones):
    first = np.unique(cones.pattern, return_index=True)[1]
    turn = np.degrees(np.arctan2(cones.frames[first, 1, 0], cones.frames[first, 0, 0]))
    np.testing.assert_allclose(np.diff(turn) % 360, 222.4922, atol=1e-3)


def crossing(design, spec, pattern=0):
    """The angle and radius along a shot whose pattern starts along x."""
    shot = int(np.argmax(design.pattern == pattern))
    k = design.k_per_m(slice(shot, shot + 1))[0]
    radius = np.linalg.norm(k, axis=1)
    keep = radius > 2 / spec.fov_m
    angle = np.unwrap(np.angle(k[:, 0] + 1j * k[:, 1]))
    return radius[keep], angle[keep]


@pytest.mark.parametrize("fov_edge_m", [None, 0.04])
@pytest.mark.parametrize("n", [1, 8])
def test_turns_of_a_spiral_are_a_nyquist_step_apart(n, fov_edge_m):
    """d phi / dk = 2 pi FOV(k) / n, integrated by hand."""
    design = design_spiral(PROTON, n_interleaves=n, fov_edge_m=fov_edge_m)
    radius, angle = crossing(design, PROTON)
    drop = 0.1 - (fov_edge_m or 0.1)
    expected = 2 * np.pi / n * (0.1 * radius - drop * radius**2 / (2 * PROTON.k_max_per_m))
    slope = 2 * np.pi / n * 0.1
    turned = angle - expected
    first = 2 * np.pi * round(turned[0] / (2 * np.pi))
    # Off the path by a step, and by the angle that this is seen at.
    bound = off_path_per_m(PROTON) * (slope + 1 / radius)
    assert (np.abs(turned - first) <= bound).all()
    assert design.n_nyquist == np.ceil(n * 0.1 / (fov_edge_m or 0.1))


def test_interleaves_are_turned_evenly():
    design = design_spiral(PROTON, n_interleaves=5)
    z = design.k_per_m()[..., 0] + 1j * design.k_per_m()[..., 1]
    turn = np.exp(2j * np.pi * np.arange(5) / 5)[:, None]
    np.testing.assert_allclose(z, z[:1] * turn, atol=1e-9)


@pytest.mark.parametrize("nucleus", ["1H", "23Na"])
@pytest.mark.parametrize("n", [2, 32])
def test_spirals_are_at_a_limit_all_the_time(nucleus, n):
    """Time-optimal: at each time amplitude or slew is used up."""
    spec = replace(PROTON, nucleus=nucleus, sample_time_s=1e-6)
    design = design_spiral(spec, n_interleaves=n)
    n_read = int(design.time_s[-1] / RASTER_S)
    gradient = design.gradient_t_per_m(slice(1))[0, : n_read + 1]
    slew = np.linalg.norm(np.diff(gradient, axis=0), axis=1) / RASTER_S / 170
    amplitude = np.linalg.norm(gradient, axis=1)[1:] / spec.largest_gradient_t_per_m
    used = np.maximum(slew, amplitude)
    assert used[0] == pytest.approx(0.5, rel=0.05)  # the mean over one step
    # At the onset the gradient turns by at most sqrt(curvature * acceleration) in a second, its
    # change at most twice as fast, and a mean over a turn a is shorter by a^2 / 24, twice over;
    # where slew hands over to amplitude, three steps see both.
    turn2 = (4 * np.pi * spec.fov_m / n) * spec.strongest_per_m_per_s2 * RASTER_S**2
    handover = 3 * 170 * RASTER_S / spec.limits.amplitude_t_per_m
    assert used[1:].min() > 1 - max(4 * turn2 / 12, handover)
    assert np.median(used) > 0.995


@pytest.mark.parametrize("amplitude", [5e-3, 70e-3])
def test_straight_lines_take_the_time_of_a_ramp_and_a_plateau(amplitude):
    limits = GradientLimits(amplitude_t_per_m=amplitude)
    spec = replace(PROTON, limits=limits, sample_time_s=0.1e-6)
    still = PolynomialTwist(linear_rad_m=0.0, quadratic_rad_m2=0.0)
    timing = fastest(TwistedPath(polar_rad=np.array([0.3, 1.0]), twist=still), spec)
    area, ramp_s = spec.k_max_per_m / spec.gamma_hz_per_t, amplitude / 170
    ramped = area / amplitude + ramp_s / 2
    expected = ramped if area > amplitude * ramp_s / 2 else np.sqrt(2 * area / 170)
    np.testing.assert_allclose(timing.duration_s, expected, rtol=1e-4)
    early = np.array([0.3, 0.9]) * min(ramp_s, expected)
    radius = spec.strongest_per_m_per_s2 * early**2 / 2
    np.testing.assert_allclose(timing.radius_per_m(early), np.tile(radius, (2, 1)), rtol=1e-6)


def test_paths_and_their_derivatives():
    """Against differences of the positions themselves."""
    twist = PolynomialTwist(linear_rad_m=0.3, quadratic_rad_m2=2e-3)
    path = TwistedPath(polar_rad=np.array([0.4, 1.3, np.pi / 2]), twist=twist)
    k = np.tile([3.0, 40.0, 90.0], (3, 1))
    step = 1e-3
    ahead, here, back = (path.position_per_m(k + s) for s in (step, 0, -step))
    first, second = (ahead - back) / (2 * step), (ahead - 2 * here + back) / step**2
    np.testing.assert_allclose(path.tangent(k), first, rtol=1e-5, atol=1e-6)
    length = np.linalg.norm(first, axis=-1)
    np.testing.assert_allclose(path.length(k), length, rtol=1e-6)
    bend = np.linalg.norm(np.cross(first, second), axis=-1) / length**3
    np.testing.assert_allclose(path.curvature_m(k), bend, rtol=1e-4)


@pytest.fixture(scope="module")
def cones():
    return design_cones(PROTON, readout_s=1.5e-3)


def test_interleaves_on_cones_are_a_nyquist_step_apart(cones):
    """Across them, from the twist of the positions; just so at the edge where they wind much."""
    counts = np.bincount(cones.pattern)
    for pattern in (3, len(counts) // 4, len(counts) // 2):
        radius, angle = crossing(cones, PROTON, pattern)
        sin = np.sin((pattern + 0.5) * np.pi / len(counts))
        twist = radius * sin * np.gradient(angle, radius)
        apart = 2 * np.pi * radius * sin / counts[pattern] / np.hypot(1, twist)
        apart = apart[5:-10]  # beyond the edge shots go straight on, which the mean begins to see
        assert apart.max() <= 1.01 / PROTON.fov_m
        assert apart[-1] >= 0.97 / PROTON.fov_m


def test_cones_are_a_nyquist_step_apart_and_have_few_interleaves(cones):
    n = len(cones.pattern_gradient_t_per_m)
    assert n == np.ceil(np.pi * 25)
    ends = cones.k_per_m()[:, -1]
    polar = np.arccos(ends[:, 2] / np.linalg.norm(ends, axis=1))
    np.testing.assert_allclose(polar, (cones.pattern + 0.5) * np.pi / n, atol=2e-3)
    # One fewer on the widest cone would take longer than the readout: the longest design that
    # is refused tells that more are needed for less time.
    longer = design_cones(PROTON, readout_s=3e-3)
    fewer, more = np.bincount(longer.pattern), np.bincount(cones.pattern)
    assert (fewer <= more).all()
    assert fewer.sum() < 0.6 * more.sum()
    assert cones.n_shots < 0.2 * 4 * np.pi * 25**2


def test_floret_fills_its_elevations_evenly():
    """Length of trajectory per volume of zones of one hub, counted from the samples."""
    design = design_floret(replace(PROTON, sample_time_s=1e-6), readout_s=2e-3, n_hubs=1)
    k = design.k_per_m()
    step = np.linalg.norm(np.diff(k, axis=1), axis=2).ravel()
    middle = (0.5 * (k[:, 1:] + k[:, :-1])).reshape(-1, 3)
    radius = np.linalg.norm(middle, axis=1)
    elevation = np.arcsin(middle[:, 2] / radius)
    radii = np.linspace(0.5, 0.95, 4) * PROTON.k_max_per_m
    zones = np.linspace(-0.25, 0.25, 6) * np.pi
    length = np.histogram2d(radius, elevation, [radii, zones], weights=step)[0]
    volume = 2 * np.pi / 3 * np.outer(np.diff(radii**3), np.diff(np.sin(zones)))
    density = length / volume * 0.1**-2
    # The bins hold whole shots, N / 5 of them, give or take one on each side.
    assert np.abs(density / density.mean() - 1).max() < 2 / (design.n_shots / 5)
    assert 1 - 2 / (design.n_shots / 5) < density.min() < density.max() < 1.1
    outside = np.abs(elevation[radius > 5]) > np.pi / 4
    assert not outside.any()


@pytest.mark.parametrize("n_hubs", [1, 2, 3])
def test_floret_shots(n_hubs):
    design = design_floret(PROTON, readout_s=2e-3, n_hubs=n_hubs)
    assert design.n_shots == design.n_nyquist
    assert design.n_shots % n_hubs == 0
    hubs = design.k_per_m().reshape(n_hubs, -1, len(design.time_s), 3)
    for axis, hub in zip([2, 1, 0], hubs, strict=False):
        elevation = np.arcsin(hub[:, -1, axis] / np.linalg.norm(hub[:, -1], axis=1))
        n = len(hub)
        np.testing.assert_allclose(
            elevation, np.pi / 4 * ((2 * np.arange(n) + 1) / n - 1), atol=2e-3
        )
    z = hubs[0, :, -1, 0] + 1j * hubs[0, :, -1, 1]
    turn = np.degrees(np.angle(z[1:] / z[:-1])) % 360
    np.testing.assert_allclose(turn, 222.4922, atol=1e-3)


def test_floret_follows_fermat():
    """phi = a k^2 with the number of shots that it stands for."""
    design = design_floret(PROTON, readout_s=2e-3, n_hubs=1, n_shots=1)
    radius, angle = crossing(design, PROTON)
    a = np.polyfit(radius**2, angle, 1)[0]
    n = np.pi**2 * (PROTON.k_max_per_m * 0.1) ** 2 / np.hypot(1, 2 * a * PROTON.k_max_per_m**2)
    assert design.n_nyquist == pytest.approx(n, abs=1.5)
    expected = a * radius**2
    bound = off_path_per_m(PROTON) * (2 * a * radius + 1 / radius)
    assert (np.abs(angle - expected - (angle - expected).mean()) < 2 * bound).all()


@pytest.mark.parametrize("turns", [0.1, 1, 20])
def test_the_radius_of_a_fermat_spiral_brakes_gently(turns):
    """So that folded shots keep the limits at every elevation."""
    timing = _flat_timing(2 * np.pi * turns / PROTON.k_max_per_m**2, PROTON)
    along = np.diff(timing.rate_per_m_per_s[0]) / np.diff(timing.time_s[0])
    along /= PROTON.strongest_per_m_per_s2
    assert along.max() == pytest.approx(1, abs=1e-9)
    assert -0.56 < along.min() < -0.5
