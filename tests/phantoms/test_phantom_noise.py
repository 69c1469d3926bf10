from dataclasses import replace

import numpy as np
import pytest

from ultrahand.errors import RecordError
from ultrahand.phantoms import (
    CartesianScan,
    ThermalNoise,
    random_covariance,
    simulate,
    smooth_coils,
)
from ultrahand.records import Kind, kinds_of

N_COILS = 4
COILS = smooth_coils(N_COILS, (0.1, 0.1, 0.1))


def make_scan(rng, **changes):
    noise = ThermalNoise(
        covariance=random_covariance(rng, N_COILS, 3.0),
        n_readouts=40,
        n_samples=500,
        dwell_s=2.5e-6,
        relative_bandwidth=0.8,
    )
    return CartesianScan(
        matrix=(40, 30, 10),
        fov_m=(0.1, 0.1, 0.1),
        dimension=3,
        sample_time_s=1e-5,
        noise=noise,
        **changes,
    )


def covariance_of(raw, kind):
    rows = np.flatnonzero(kinds_of(raw.readouts["flags"]) == kind)
    x = raw.source.samples(rows).reshape(N_COILS, -1).astype(complex)
    return x @ x.conj().T / x.shape[1], x


def check_covariance(found, expected, n_samples):
    """Entry (i, j) of a mean of n x x^H has a standard deviation of sqrt(C_ii C_jj / n)."""
    power = np.diag(expected).real
    spread = np.sqrt(np.outer(power, power) / n_samples)
    np.testing.assert_array_less(np.abs(found - expected), 5 * spread)


def test_imaging_noise_has_the_covariance(rng):
    scan = make_scan(rng)
    found, x = covariance_of(simulate([], COILS, scan, rng), Kind.IMAGING)
    check_covariance(found, scan.noise.covariance, x.shape[1])
    # Circular: E[n n^T] = 0.
    power = np.diag(found).real
    pseudo = np.abs(x @ x.T) / x.shape[1]
    np.testing.assert_array_less(pseudo, 6 * np.sqrt(np.outer(power, power) / x.shape[1]))


def test_noise_readouts_scale_with_dwell_and_bandwidth(rng):
    scan = make_scan(rng)
    raw = simulate([], COILS, scan, rng)
    found, x = covariance_of(raw, Kind.NOISE)
    # C T / T_n b with T / T_n = 4 and b = 0.8.
    check_covariance(found, 3.2 * scan.noise.covariance, x.shape[1])
    first = raw.readouts[:40]
    assert (kinds_of(first["flags"]) == Kind.NOISE).all()
    assert set(first["number_of_samples"]) == {500}
    assert set(first["sample_time_s"]) == {2.5e-6}
    assert raw.header.relative_noise_bandwidth == 0.8
    np.testing.assert_array_equal(raw.readouts["scan_counter"], np.arange(len(raw.readouts)) + 1)


def test_a_siemens_files_noise_is_conjugate_too(rng):
    scan = make_scan(rng, vendor="SIEMENS")
    raw = simulate([], COILS, scan, rng)
    for kind, factor in ((Kind.IMAGING, 1.0), (Kind.NOISE, 3.2)):
        found, x = covariance_of(raw, kind)
        check_covariance(found, factor * scan.noise.covariance.conj(), x.shape[1])


def test_averages_differ_by_noise_alone(rng):
    quiet = make_scan(rng, averages=2)
    raw = simulate([], COILS, quiet, rng)
    imaging = kinds_of(raw.readouts["flags"]) == Kind.IMAGING
    one, two = (
        raw.source.samples(np.flatnonzero(imaging & (raw.readouts["average"] == a))) for a in (0, 1)
    )
    x = ((one - two) / np.sqrt(2)).reshape(N_COILS, -1).astype(complex)
    check_covariance(x @ x.conj().T / x.shape[1], quiet.noise.covariance, x.shape[1])


def test_a_random_covariance_has_the_mean_variance(rng):
    covariance = random_covariance(rng, 6, 2.5)
    assert np.trace(covariance).real / 6 == pytest.approx(2.5)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() > 0.1


def test_what_is_no_covariance_is_refused(rng):
    with pytest.raises(RecordError, match="positive definite"):
        ThermalNoise(covariance=np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(RecordError, match="4 x 4"):
        simulate([], COILS, replace(make_scan(rng), noise=ThermalNoise(covariance=np.eye(3))), rng)
