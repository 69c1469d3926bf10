"""Noise from random vectors and from replicas, against covariances that are known."""

import math

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.recon.noise_sampling import hutchinson, pseudo_replicas


def test_the_diagonal_of_a_known_matrix_lies_within_its_standard_error(rng):
    half = complex_normal(rng, (60, 90)) / 10
    matrix = half @ half.conj().T
    found, error = hutchinson(
        lambda v: (matrix @ v.ravel()).reshape(v.shape), (5, 12), vectors=400, seed=3
    )
    exact = matrix.diagonal().real.reshape(5, 12)
    predicted = np.sqrt((np.abs(matrix) ** 2).sum(axis=1) - exact.ravel() ** 2) / math.sqrt(800)
    # The variance of 400 draws is known to 1 / sqrt(200) or so: its root to 4 %, five times that.
    np.testing.assert_allclose(error.ravel(), predicted, rtol=0.2)
    pull = (found - exact) / error
    assert 0.7 < np.sqrt(np.mean(pull**2)) < 1.3  # 60 values, loosely coupled: 1 +- 0.1
    assert np.abs(pull).max() < 5


def test_a_diagonal_matrix_needs_no_luck(rng):
    diagonal = rng.random((3, 4)) + 1
    found, error = hutchinson(lambda v: diagonal * v, (3, 4), vectors=2)
    np.testing.assert_allclose(found, diagonal, rtol=1e-6)
    assert error.max() < 1e-6


def test_replicas_of_a_linear_reconstruction_have_its_covariance(rng):
    matrix = complex_normal(rng, (6, 20)) / 5
    data = 50 * complex_normal(rng, 20)
    found = pseudo_replicas(lambda n: matrix @ (data + n), (20,), replicas=2000)
    sd = np.linalg.norm(matrix, axis=1)
    # Four standard errors, of a standard deviation and of a mean.
    assert found.standard_error == pytest.approx(1 / math.sqrt(2 * 1999))
    np.testing.assert_allclose(found.along, sd, rtol=4 * found.standard_error)
    np.testing.assert_allclose(found.across, sd, rtol=4 * found.standard_error)
    assert (np.abs(found.mean - matrix @ data) < 4 * math.sqrt(2 / 2000) * sd).all()


def test_along_and_across_the_phase_are_told_apart():
    """A magnitude halved and a phase kept: noise along is half, whatever the phase of the image."""
    signal = 1000 * np.exp(1j * np.array([0.3, 1.7, -2.9]))

    def squeeze(noise):
        image = signal + noise
        return np.exp(1j * np.angle(image)) * (500 + np.abs(image) / 2)

    found = pseudo_replicas(squeeze, (3,), replicas=2000, seed=5)
    np.testing.assert_allclose(found.along, 0.5, rtol=4 * found.standard_error)
    np.testing.assert_allclose(found.across, 1.0, rtol=4 * found.standard_error)


def test_real_images_vary_along_only():
    found = pseudo_replicas(lambda n: 30 + n.real, (4,), replicas=1000)
    np.testing.assert_allclose(found.along, 1, rtol=4 * found.standard_error)
    assert not found.across.any()


def test_the_same_seed_gives_the_same_and_another_another():
    one, same, other = (
        pseudo_replicas(lambda n: n, (5,), replicas=4, seed=s).along for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


def test_replicas_are_those_of_a_shorter_run():
    seen = []
    for number in (3, 5):
        drawn = []
        pseudo_replicas(lambda n, d=drawn: d.append(n) or n, (2,), replicas=number)
        seen.append(drawn[:3])
    np.testing.assert_array_equal(seen[0], seen[1])


def test_nonsense_is_refused():
    with pytest.raises(RecordError, match="replicas"):
        pseudo_replicas(lambda n: n, (2,), replicas=1)
    with pytest.raises(RecordError, match="vectors"):
        hutchinson(lambda v: v, (2,), vectors=1)
    with pytest.raises(RecordError, match="replica 0 is not finite"):
        pseudo_replicas(lambda n: n * np.nan, (2,), replicas=2)
