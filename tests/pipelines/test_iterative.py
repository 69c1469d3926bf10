"""Iterative SENSE of samples anywhere, from raw data to an image."""

import dataclasses

import numpy as np
import pytest

from making import only_magnitude, planned, volumes
from ultrahand.errors import InputError, ResourceError, UsageError
from ultrahand.phantoms import (
    CartesianScan,
    NonCartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
    uniform_coil,
)
from ultrahand.pipelines import Workspace, reconstruct_volume
from ultrahand.recon.trajectories import k_max_per_m, radial_2d

FOV = (0.128, 0.128, 0.005)
SD = 3e-6
"""Of a sample's real part: signal of 78 times the noise."""


def spokes(number, **changes):
    settings = {
        "matrix": (64, 64, 1),
        "fov_m": FOV,
        "dimension": 2,
        "k_per_m": radial_2d(number, 128, k_max_per_m(64, 0.128), golden=True),
        "trajectory": "radial",
    }
    return NonCartesianScan(**(settings | changes))


def measured(scan, sd=SD, coils=8, seed=1):
    covariance = random_covariance(np.random.default_rng(5), coils, 2 * sd**2)
    noisy = dataclasses.replace(scan, noise=ThermalNoise(covariance=covariance, n_readouts=64))
    array = smooth_coils(coils, FOV) if coils > 1 else uniform_coil()
    return simulate(five_fingers(FOV), array, noisy, np.random.default_rng(seed))


def error_of(image, reference):
    bright = reference > 0.3 * reference.max()
    found, expected = image[bright], reference[bright]
    scale = found @ expected / (expected @ expected)
    return np.linalg.norm(found / scale - expected) / np.linalg.norm(expected)


def test_half_the_spokes_make_the_image_of_all():
    """48 of the 100 spokes of full sampling: gridding streaks, the coils tell what is between.

    Noise of 1 / 78 in each voxel times the root of 2 is 1.8 %, maps add a percent.
    """
    expected = only_magnitude(measured(spokes(301), sd=SD / 100)).values
    few = measured(spokes(48))
    solved = error_of(only_magnitude(few, method="cg").values, expected)
    gridded = error_of(only_magnitude(few, method="gridding").values, expected)
    assert 0.005 < solved < 0.03
    assert gridded > 2 * solved


def test_one_channel_has_no_sensitivities():
    expected = only_magnitude(measured(spokes(301), sd=SD / 100, coils=1)).values
    image = only_magnitude(measured(spokes(160), coils=1), method="cg")
    assert error_of(image.values, expected) < 0.03
    assert image.standard_error is not None


def test_it_converges_soon_and_says_how():
    """Without the preconditioner the same problem takes a hundred iterations and more."""
    raw = measured(spokes(48))
    plan = planned(raw, method="cg")
    workspace = Workspace()
    (series,) = plan.series
    made = reconstruct_volume(raw, plan, series, series.volumes[0], workspace)
    (step,) = [text for text in made.steps if text.startswith("conjugate gradients")]
    assert 5 <= int(step.split()[2]) <= 50
    assert [note for note in workspace.notes if note.field == "conjugate gradients"] == []


def test_threads_do_not_change_a_bit():
    raw = measured(spokes(48))
    one, two = (only_magnitude(raw, method="cg", threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.standard_error, two.standard_error)


def test_without_noise_readouts_the_unit_is_that_of_the_samples():
    raw = measured(spokes(96))
    known = only_magnitude(raw, method="cg")
    plain = only_magnitude(raw, method="cg", whiten=False)
    assert (plain.unit, plain.standard_error) == ("arbitrary", None)
    bright = known.values > 0.3 * known.values.max()
    assert np.median(plain.values[bright] / known.values[bright]) == pytest.approx(SD, rel=0.3)


def test_repetitions_are_made_one_by_one():
    raw = measured(spokes(64, repetitions=2))
    assert len(volumes(raw, method="cg")) == 2


def test_what_cannot_work_is_refused():
    few = measured(spokes(5))
    with pytest.raises(InputError, match="gaps between the samples"):
        only_magnitude(few, method="cg")
    with pytest.raises(ResourceError, match="conjugate gradients"):
        only_magnitude(measured(spokes(48)), method="cg", max_memory=10**6)
    lines = CartesianScan(matrix=(32, 32, 1), fov_m=FOV, dimension=2)
    raw = simulate(five_fingers(FOV), uniform_coil(), lines, np.random.default_rng(0))
    with pytest.raises(UsageError, match="--method cg needs a trajectory"):
        planned(raw, method="cg")
