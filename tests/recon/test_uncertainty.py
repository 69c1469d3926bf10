"""The noise of magnitudes against its distribution, drawn and integrated."""

import math

import numpy as np
import pytest
from scipy import integrate, special

from ultrahand.errors import RecordError
from ultrahand.recon.uncertainty import (
    UNIFORM_PHASE_SD,
    first_order_limit,
    magnitude_moments,
    magnitude_sd,
    phase_sd,
    signal_from_magnitude,
)


def integrated_moments(t, n):
    """Mean and sd of the non-central chi law with signal t and unit noise, by quadrature."""

    def density(m, power):
        bessel = special.ive(n - 1, m * t)
        return m**power * m * (m / t) ** (n - 1) * math.exp(-((m - t) ** 2) / 2) * bessel

    middle = math.sqrt(t**2 + 2 * n)
    low, high = max(0, middle - 12), middle + 12
    total, first, second = (
        integrate.quad(density, low, high, args=(p,), epsabs=0, epsrel=1e-12, limit=400)[0]
        for p in range(3)
    )
    assert total == pytest.approx(1, rel=1e-10)
    return first, math.sqrt(second - first**2)


@pytest.mark.parametrize("n_coils", [1, 2, 5, 16, 64])
def test_moments_are_those_of_the_chi_law(n_coils):
    limit = first_order_limit(n_coils)
    for t in (0.01, 0.7, 2, 5, 10, limit, 3.99 * limit, 4.01 * limit):
        mean, sd = magnitude_moments(np.array([3 * t]), 3.0, n_coils)
        exact_mean, exact_sd = integrated_moments(t, n_coils)
        # The table is good to 1e-5 of sigma.
        assert sd[0] / 3 == pytest.approx(exact_sd, abs=1e-5)
        assert mean[0] / 3 == pytest.approx(exact_mean, abs=2e-5)


@pytest.mark.parametrize(("n_coils", "t"), [(1, 0.0), (1, 1.5), (1, 6.0), (4, 0.0), (4, 3.0)])
def test_moments_agree_with_drawn_noise(n_coils, t, rng):
    n = 200_000
    noise = rng.standard_normal((2, n_coils, n))
    signal = np.zeros((2, n_coils, 1))
    signal[0, -1] = t
    drawn = np.sqrt(np.sum((signal + noise) ** 2, axis=(0, 1)))
    mean, sd = magnitude_moments(np.array([t]), 1.0, n_coils)
    # The standard error of a mean is sd / sqrt(n), of an sd about sd / sqrt(2 n); four of them.
    assert drawn.mean() == pytest.approx(mean[0], abs=4 * sd[0] / math.sqrt(n))
    assert drawn.std() == pytest.approx(sd[0], abs=4 * 1.1 * sd[0] / math.sqrt(2 * n))


def test_no_signal_has_the_known_limits():
    _, sd = magnitude_moments(np.zeros(1), 2.0, 1)
    assert sd[0] == pytest.approx(2 * math.sqrt(2 - math.pi / 2), abs=2e-5)
    assert magnitude_sd(np.zeros(1), 2.0, 1)[0] == pytest.approx(sd[0], rel=1e-5)


@pytest.mark.parametrize("n_coils", [1, 4, 32])
def test_first_order_holds_within_one_percent_from_its_limit(n_coils):
    limit = first_order_limit(n_coils)
    at, below = magnitude_moments(np.array([limit, 0.9 * limit]), 1.0, n_coils)[1]
    assert 0.0090 <= 1 - at <= 0.0110  # the next term is 0.01, its square corrects it
    assert 1 - below > 1.1 * (1 - at)
    assert first_order_limit(1) == 5


@pytest.mark.parametrize("n_coils", [1, 8])
def test_signal_inverts_the_second_moment(n_coils):
    signal = np.array([0.0, 0.5, 3.0, 80.0])
    noise_sd = np.array([2.0, 1.0, 0.0, 4.0])
    magnitude = np.sqrt(signal**2 + 2 * n_coils * noise_sd**2)
    found = signal_from_magnitude(magnitude, noise_sd, n_coils)
    # Near zero the square root takes half the digits.
    np.testing.assert_allclose(found, signal, atol=1e-6)
    assert signal_from_magnitude(np.array([0.1]), 1.0, n_coils)[0] == 0


def test_magnitude_sd_takes_the_noise_of_each_voxel():
    magnitude, noise_sd = np.array([[3.0, 30.0], [0.2, 5.0]]), np.array([[1.0, 2.0], [1.0, 0.0]])
    found = magnitude_sd(magnitude, noise_sd, 3)
    each = [magnitude_sd(m, s, 3) for m, s in zip(magnitude.ravel(), noise_sd.ravel(), strict=True)]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.ravel(), each)
    assert found[1, 1] == 0


def test_magnitude_sd_scales_with_the_unit():
    m = np.array([0.5, 4.0, 40.0])
    np.testing.assert_allclose(
        magnitude_sd(m * 1e-7, 1e-7, 2), magnitude_sd(m, 1.0, 2) * 1e-7, 1e-6
    )


@pytest.mark.parametrize(("t", "tolerance"), [(5, 0.03), (20, 0.005)])
def test_phase_sd_is_first_order_above_the_limit(t, tolerance, rng):
    n = 400_000
    z = t + rng.standard_normal(n) + 1j * rng.standard_normal(n)
    found = phase_sd(np.array([t], float), 1.0)[0]
    statistical = 4 / math.sqrt(2 * n)
    assert np.angle(z).std() == pytest.approx(found, rel=tolerance + statistical)


def test_phase_without_signal_is_uniform(rng):
    assert phase_sd(np.zeros(1), 1.0)[0] == pytest.approx(UNIFORM_PHASE_SD)
    assert rng.uniform(-np.pi, np.pi, 100_000).std() == pytest.approx(UNIFORM_PHASE_SD, rel=0.01)


@pytest.mark.parametrize(
    ("magnitude", "noise_sd", "n_coils", "message"),
    [
        (np.array([-1.0]), 1.0, 1, "magnitude"),
        (np.array([np.nan]), 1.0, 1, "magnitude"),
        (np.array([1.0]), -1.0, 1, "noise_sd"),
        (np.array([1.0]), np.ones(2), 1, "does not fit"),
        (np.array([1.0]), 1.0, 0, "n_coils"),
    ],
)
def test_nonsense_is_refused(magnitude, noise_sd, n_coils, message):
    with pytest.raises(RecordError, match=message):
        magnitude_sd(magnitude, noise_sd, n_coils)
