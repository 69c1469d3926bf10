"""Delays of radial scans: known shifts of exact spokes come back, within their errors."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import InputError, RecordError
from ultrahand.phantoms.objects import Ellipsoid, transform
from ultrahand.phantoms.sections import Slice
from ultrahand.recon.gradient_delay import estimate_delay
from ultrahand.recon.trajectories.directions import angles_rad

FOV_M = 0.2
PLANE = Slice(position_m=np.zeros(3), read_dir=(1, 0, 0), phase_dir=(0, 1, 0), thickness_m=1.0)
SOLIDS = (
    ((0.01, -0.01, 0), (0.07, 0.05, 1), 1.0),
    ((-0.03, 0.02, 0), (0.02, 0.015, 1), 0.6),
    ((0.04, -0.03, 0), (0.01, 0.02, 1), -0.5),
)
WAVES_PER_M = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]) * 0.5 / FOV_M


def spokes(n_spokes, n, order="golden", oversampling=2):
    """Nominal positions (spokes, samples, 2), their directions and their spacing."""
    angle = angles_rad(order, n_spokes, half=True)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    spacing = 1 / (oversampling * FOV_M)
    radius = (np.arange(n) - n // 2) * spacing
    return direction[:, None] * radius[:, None], direction, spacing


def measured(k, n_coils=4, scale=1000.0):
    """Exact samples (coils, spokes, samples) of three ellipses seen by smooth coils."""
    flat = np.concatenate([k, np.zeros((*k.shape[:2], 1))], axis=2)
    rng = np.random.default_rng(5)
    weights = complex_normal(rng, (n_coils, len(WAVES_PER_M)))
    total = np.zeros((n_coils, *k.shape[:2]), complex)
    for centre, axes, density in SOLIDS:
        part = Ellipsoid(centre_m=np.array(centre), semi_axes_m=np.array(axes), density=density)
        seen = [transform(part.section(PLANE), flat - wave) for wave in WAVES_PER_M]
        total += np.tensordot(weights, np.array(seen), axes=1)
    return total * scale / np.abs(total).max()


def shifted(k, direction, spacing, shift):
    xx, yy, xy = shift
    return k + (spacing * direction @ np.array([[xx, xy], [xy, yy]]))[:, None]


@pytest.mark.parametrize(
    "shift", [(0.0, 0.0, 0.0), (0.9, -0.3, 0.15), (-3.4, -2.8, -0.2), (2.5, 3.5, 0.4)]
)
@pytest.mark.parametrize("n", [64, 65, 256])
@pytest.mark.parametrize("order", ["golden", "uniform"])
def test_known_shifts_of_exact_spokes_come_back(order, n, shift):
    k, direction, spacing = spokes(24, n, order)
    truth = shifted(k, direction, spacing, shift)
    found = estimate_delay(measured(truth), k)
    # Measured: 1e-7 for 128 samples and more, 1e-4 for half of them: the Gaussian's ends.
    tolerance = 1e-6 if n > 128 else 1e-3
    np.testing.assert_allclose(found.shift_samples, shift, atol=tolerance)
    np.testing.assert_allclose(found.applied(k), truth, atol=2 * tolerance * spacing)
    assert found.mismatch < 1e-5


@pytest.mark.parametrize(("n_coils", "scale"), [(1, 1000.0), (6, 1000.0), (6, 60.0)])
def test_noise_gives_the_stated_errors(n_coils, scale, rng):
    k, direction, spacing = spokes(31, 128)
    shift = np.array([0.7, -0.4, 0.2])
    exact = measured(shifted(k, direction, spacing, shift), n_coils, scale)
    scores = []
    for _ in range(40):
        found = estimate_delay(exact + complex_normal(rng, exact.shape), k)
        error = found.shift_per_m - shift * spacing
        scores.append(np.linalg.solve(np.linalg.cholesky(found.covariance), error))
    # 120 unit numbers: their mean square is 1 within sqrt(2 / 120) = 0.13; a misfit above 1 makes
    # errors a little wider.
    assert 0.6 < np.mean(np.square(scores)) < 1.4
    assert 0.7 < found.misfit < 1.4
    twice = estimate_delay(2 * exact, k, noise_sd=2.0)
    once = estimate_delay(exact, k)
    np.testing.assert_allclose(twice.covariance, once.covariance, rtol=1e-6)


def test_partitions_without_signal_only_add_noise(rng):
    k, direction, spacing = spokes(31, 128)
    shift = np.array([0.7, -0.4, 0.2])
    exact = measured(shifted(k, direction, spacing, shift), 2, scale=30.0)
    samples = np.zeros((2, 12, 31, 128), complex)
    samples[:, 6] = exact
    found = estimate_delay(samples + complex_normal(rng, samples.shape), k)
    assert found.mismatch < 0.05
    error = (found.shift_per_m - shift * spacing) / found.standard_error_per_m
    assert np.abs(error).max() < 4
    assert 0.8 < found.misfit < 1.3


def test_a_late_gradient_is_a_positive_delay():
    """Gradients late by T on read and phase: k(t) is the nominal k(t - T) of each axis."""
    k, direction, spacing = spokes(24, 256)
    dwell_s, late_s = 4e-6, np.array([3e-6, 1e-6])
    truth = k - spacing / dwell_s * direction[:, None] * late_s
    found = estimate_delay(measured(truth), k)
    np.testing.assert_allclose(found.delays_s(dwell_s), [3e-6, 1e-6, 0], atol=1e-11)


def test_partitions_of_a_stack_are_measured_together():
    k, direction, spacing = spokes(24, 256)
    truth = shifted(k, direction, spacing, (0.5, 0.2, -0.1))
    exact = measured(truth, 6)
    found = estimate_delay(exact.reshape(2, 3, 24, 256), k)
    np.testing.assert_allclose(found.shift_samples, [0.5, 0.2, -0.1], atol=1e-6)
    stack = np.concatenate([k, np.full((24, 256, 1), 7.0)], axis=2)
    placed = found.applied(stack)
    np.testing.assert_allclose(placed[..., :2], truth, atol=2e-6 * spacing)
    np.testing.assert_array_equal(placed[..., 2], 7.0)


def test_a_phase_of_each_spoke_shows_in_the_misfit(rng):
    k, _, _ = spokes(24, 128)
    exact = measured(k)
    found = estimate_delay(exact * np.exp(0.1j * rng.standard_normal((24, 1))), k)
    assert found.misfit > 100
    noise_alone = estimate_delay(exact, k).standard_error_per_m
    assert (found.standard_error_per_m > 10 * noise_alone).all()


def refused(samples, k, message, **options):
    with pytest.raises(InputError, match=message):
        estimate_delay(samples, k, **options)


def test_what_does_not_cross_is_refused_by_name():
    k, *_ = spokes(24, 128)
    exact = measured(k)
    space = np.concatenate([k, np.zeros((24, 128, 1))], axis=2)
    refused(exact, space, "three dimensions, which miss each other")
    refused(exact[..., 64:], k[:, 64:], "k = 0 at sample 0.0 of 64")
    refused(exact[:, :5], k[:5], "5 spokes, expected at least 6")
    refused(exact[..., 60:68], k[:, 60:68], "8 samples a spoke")
    refused(exact, k * np.linspace(0.9, 1.1, 24)[:, None, None], "different lengths")
    bent = k + 0.1 * np.array([0, 1]) * k[..., :1] ** 2
    refused(exact, bent, "spokes")
    narrow = spokes(160, 128, "uniform")[0][:24]
    refused(measured(narrow), narrow, "within 30 degrees")


def test_what_says_nothing_is_refused(rng):
    k, direction, spacing = spokes(24, 128)
    refused(np.zeros((2, 24, 128), complex), k, "no signal beyond the noise")
    refused(complex_normal(rng, (2, 24, 128)), k, "no signal beyond the noise")
    refused(complex_normal(rng, (2, 24, 128)), k, "of the power differs", noise_sd=0.1)
    far = measured(shifted(k, direction, spacing, (9.0, 9.0, 0.0)))
    refused(far, k, "expected at most 2 samples", reach=2.0)
    # Two directions cross in one place: two equations for three numbers.
    two = k[[0, 1, 0, 1, 0, 1, 0, 1]]
    refused(measured(two), two, "leave a combination of delays open")


def test_contradictions_are_refused():
    k, *_ = spokes(24, 128)
    with pytest.raises(RecordError, match="same spokes"):
        estimate_delay(np.ones((2, 23, 128), complex), k)
    with pytest.raises(RecordError, match="must be"):
        estimate_delay(np.ones((24, 128), complex), k)
    with pytest.raises(RecordError, match="finite"):
        estimate_delay(np.full((2, 24, 128), np.nan + 0j), k)
    with pytest.raises(RecordError, match="> 0"):
        estimate_delay(np.ones((2, 24, 128), complex), k, reach=0)
