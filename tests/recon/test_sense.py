"""SENSE against a dense solution in double precision, and what it takes for noise."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.numerics.solution import Status
from ultrahand.recon.fourier import image_to_kspace, kspace_to_image
from ultrahand.recon.normal import spectra_of_mask
from ultrahand.recon.sense import combine_coils, noise_of_rhs, sense

SHAPE, AXES = (1, 6, 5), (0, 1, 2)


@pytest.fixture
def problem(rng):
    """Maps, weights (how often each sample was measured), and the dense encoding matrix."""
    maps = complex_normal(rng, (4, 1, *SHAPE)).astype(np.complex64)
    counts = rng.integers(0, 3, SHAPE).astype(float)
    counts[0, 3, 2] = 2
    units = np.eye(30).reshape(30, *SHAPE)
    columns = [image_to_kspace(coil[0] * units, (1, 2, 3)).reshape(30, 30).T for coil in maps]
    return maps, counts, np.concatenate(columns)


@pytest.mark.parametrize("damping", [0.05, 1.0])
def test_it_solves_the_damped_normal_equations(problem, damping, rng):
    maps, counts, matrix = problem
    y = complex_normal(rng, (4, *SHAPE)) * (counts > 0)
    rhs = combine_coils(kspace_to_image(counts * y, (1, 2, 3)).astype(np.complex64), maps)
    found = sense(rhs, spectra_of_mask(counts), maps, damping=damping, tolerance=1e-6)
    weight = np.tile(counts.ravel(), 4)
    normal = matrix.conj().T @ (weight[:, None] * matrix) + damping * np.eye(30)
    exact = np.linalg.solve(normal, matrix.conj().T @ (weight * y.ravel()))
    assert found.solution.status is Status.CONVERGED
    error = np.linalg.norm(found.image.ravel() - exact) / np.linalg.norm(exact)
    assert error <= 1e-6 * np.linalg.cond(normal) + 1e-6


def test_the_noise_of_the_right_side_is_the_trace(problem):
    maps, counts, matrix = problem
    weight = np.tile(counts.ravel(), 4)
    trace = float(np.sum(weight[:, None] * np.abs(matrix) ** 2))
    assert noise_of_rhs(spectra_of_mask(counts), maps) == pytest.approx(trace, rel=1e-5)


def test_the_weight_left_out_is_one_over_the_power_in_noise_units(rng):
    """One coil, everything sampled once: the image is the samples' own, of a known power."""
    maps = np.ones((1, 1, 1, 64, 64), np.complex64)
    image = 20 * complex_normal(rng, (1, 64, 64)) + complex_normal(rng, (1, 64, 64))
    found = sense(image[None].astype(np.complex64), spectra_of_mask(np.ones((1, 64, 64))), maps)
    # The mean of 4096 squares of normal parts, both of them: good to 1 / 64, three times that.
    assert found.damping == pytest.approx(1 / 400, rel=0.05)


def test_wrong_shapes_are_refused():
    maps = np.ones((2, 1, *SHAPE), np.complex64)
    with pytest.raises(RecordError, match="rhs must be"):
        sense(np.zeros(SHAPE, np.complex64), spectra_of_mask(np.ones(SHAPE)), maps)
