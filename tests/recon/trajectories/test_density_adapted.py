"""Density-adapted spokes: solved designs, and what they are made for."""

import numpy as np
import pytest

from ultrahand.recon.trajectories import Prescription, design_density_adapted, design_radial_3d
from ultrahand.recon.trajectories.adapted_radius import AdaptedRadius
from ultrahand.recon.trajectories.density_adapted import adapted, ramped

GOLDEN = {  # dx mm, T_RO ms: G0 mT/m, k0 / k_max, t0 ms, G0 / S ms, spokes for 180 mm; S = 170
    (1.0, 8): (30.68, 0.2493, 0.361, 0.180, 101788),
    (1.25, 8): (26.81, 0.2381, 0.315, 0.158, 65144),
    (1.5, 10): (22.94, 0.2093, 0.270, 0.135, 45239),
    (2.0, 10): (19.30, 0.1973, 0.227, 0.114, 25447),
    (3.0, 10): (15.12, 0.1817, 0.178, 0.089, 11310),
}


def sodium(dx_mm, **changes):
    asked = {"fov_m": 0.18, "sample_time_s": 1e-6, "nucleus": "23Na"} | changes
    return Prescription(voxel_size_m=1e-3 * dx_mm, **asked)


@pytest.mark.parametrize(("asked", "expected"), GOLDEN.items())
def test_solved_designs_without_a_ramp(asked, expected):
    """Solved apart from this package, by bisection; the printed digits allow 1e-3, 3e-3 for times.

    A ramp of 1 us stands for none: it takes 0.5 us of 8 ms.
    """
    dx_mm, readout_ms = asked
    spec = sodium(dx_mm)
    radius = adapted(spec, 1e-3 * readout_ms + 5e-6, 1)
    g0_mt, share, t0_ms, ramp_ms, n_spokes = expected
    assert 1e3 * radius.gradient_t_per_m == pytest.approx(g0_mt, rel=1e-3)
    assert radius.k0_per_m / spec.k_max_per_m == pytest.approx(share, rel=1e-3)
    assert 1e3 * radius.t0_s == pytest.approx(t0_ms, rel=3e-3)
    ramp_s = radius.gradient_t_per_m / spec.limits.slew_t_per_m_per_s
    assert 1e3 * ramp_s == pytest.approx(ramp_ms, rel=6e-3)
    design = design_density_adapted(spec, readout_s=1e-3 * readout_ms)
    assert design.n_nyquist == design.n_shots
    assert n_spokes <= design.n_shots <= n_spokes + 1  # printed rounded, made rounded up


def test_the_radius_spreads_samples_evenly_over_the_volume():
    radius = AdaptedRadius(gamma_hz_per_t=11e6, gradient_t_per_m=0.02, k0_per_m=70.0)
    early = np.linspace(0, radius.t0_s, 50)
    np.testing.assert_allclose(np.diff(radius.k_per_m(early), 2), 0, atol=1e-10)
    late = np.linspace(radius.t0_s, 30 * radius.t0_s, 500)
    shells = np.diff(radius.k_per_m(late) ** 3)
    np.testing.assert_allclose(shells, shells[0], rtol=1e-9)
    for time_s in (0.3 * radius.t0_s, 7 * radius.t0_s):
        there = float(radius.k_per_m(np.array(time_s)))
        assert radius.time_to_s(there) == pytest.approx(time_s)
    step_s = 1e-7
    after = radius.k_per_m(radius.t0_s + step_s * np.arange(4))
    slew = np.abs(np.diff(after, 2)).max() / step_s**2
    assert slew == pytest.approx(2 * (11e6 * 0.02) ** 2 / 70.0, rel=2e-3)


def efficiency(radius):
    """Signal-to-noise ratio squared relative to an even density, from radii even in time."""
    edges = np.concatenate([[0], (radius[1:] + radius[:-1]) / 2, [radius[-1]]])
    shell = np.diff(edges**3)
    return shell.sum() ** 2 / (len(shell) * (shell**2).sum())


def closed_form(u):
    """The same with k_max / k0 = u, from the integrals of k^2 over the two parts."""
    return (u**3 / 3) ** 2 / ((1 + (u**3 - 1) / 3) * (1 / 5 + (u**3 - 1) / 3))


@pytest.mark.parametrize(("u", "expected"), [(1, np.sqrt(5) / 3), (5, 0.9937), (1e3, 1.0)])
def test_efficiency_of_the_radius(u, expected):
    assert np.sqrt(closed_form(u)) == pytest.approx(expected, abs=1e-4)
    radius = AdaptedRadius(gamma_hz_per_t=11e6, gradient_t_per_m=0.02, k0_per_m=100.0 / u)
    times = np.linspace(0, radius.time_to_s(100.0), 200_001)
    assert efficiency(radius.k_per_m(times)) == pytest.approx(closed_form(u), rel=1e-4)


def radii(design):
    return np.linalg.norm(design.k_per_m(slice(1))[0], axis=1)


def test_the_gain_over_plain_spokes():
    """4/3 and more for a share k0 / k_max of a fifth, less what the ramps take of the readout."""
    spec, readout_s = sodium(1.5), 10e-3
    radius, n_ramp = ramped(spec, readout_s)
    plain = efficiency(radii(design_radial_3d(spec, readout_s=readout_s, n_shots=1)))
    found = efficiency(radii(design_density_adapted(spec, readout_s=readout_s, n_shots=1)))
    ideal = closed_form(spec.k_max_per_m / radius.k0_per_m)
    lost = n_ramp * 10e-6 / readout_s
    assert ideal * (1 - lost) < found < ideal
    assert 5 / 9 * (1 - lost) < plain < 5 / 9 * (1 + lost)
    assert np.sqrt(found / plain) == pytest.approx(1.333, rel=lost)


@pytest.mark.parametrize(
    ("window", "width"),
    [
        (np.ones_like, 1.590),
        (lambda q: 0.54 + 0.46 * np.cos(np.pi * q), 1.990),
        (lambda q: 0.5 + 0.5 * np.cos(np.pi * q), 2.246),
    ],
    ids=["none", "Hamming", "Hann"],
)
def test_samples_resolve_what_was_asked_for(window, width):
    """Full width at half maximum of the point spread function, in voxels."""
    spec = sodium(1.5)
    radius = radii(design_density_adapted(spec, readout_s=10e-3, n_shots=1))
    edges = np.concatenate([[0], (radius[1:] + radius[:-1]) / 2, [spec.k_max_per_m]])
    weights = np.diff(edges**3) * window(radius / spec.k_max_per_m)
    r = np.linspace(0, 3 * spec.voxel_size_m, 3001)
    spread = np.sinc(2 * np.outer(r, radius)) @ weights
    half = r[np.argmax(spread < spread[0] / 2)]
    assert 2 * half / spec.voxel_size_m == pytest.approx(width, rel=5e-3)


def test_a_window_costs_what_it_should():
    """Hamming weights on an even density lose 1.2823 of signal to noise: 1.28 in print
    (Konstandin, Nagel, MRM 2013;69:495, doi:10.1002/mrm.24255)."""
    spec = sodium(3.0, sample_time_s=4e-6)
    radius = radii(design_density_adapted(spec, readout_s=200e-3, n_shots=1))
    edges = np.concatenate([[0], (radius[1:] + radius[:-1]) / 2, [spec.k_max_per_m]])
    shell = np.diff(edges**3)
    window = 0.54 + 0.46 * np.cos(np.pi * radius / spec.k_max_per_m)
    ratio = [w.sum() ** 2 / (w**2).sum() for w in (shell, shell * window)]
    assert np.sqrt(ratio[0] / ratio[1]) == pytest.approx(1.2823, rel=3e-3)


def test_the_waveform_is_the_radius_half_a_ramp_late():
    """Away from its two corners; a running mean is off by the curvature in time."""
    spec, readout_s = sodium(1.5), 10e-3
    radius, n_ramp = ramped(spec, readout_s)
    design = design_density_adapted(spec, readout_s=readout_s, n_shots=1)
    width_s = n_ramp * 10e-6
    after = design.time_s > radius.t0_s + 2 * width_s
    expected = radius.k_per_m(design.time_s[after] - width_s / 2)
    # The mean begins a width before; the curvature falls with time.
    before = radius.k_per_m(design.time_s[after][:3] - 1.5 * width_s)
    bend = np.abs(np.diff(before, 2)).max() / spec.sample_time_s**2
    off = np.abs(radii(design)[after] - expected).max()
    assert off <= bend * (width_s**2 / 24 + (10e-6) ** 2 / 8)
    assert off > 0
