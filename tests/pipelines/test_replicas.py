"""Pseudo-replicas: the scatter of images with a prior, beside that of measurements repeated."""

from dataclasses import replace

import numpy as np
import pytest

from making import planned
from ultrahand.errors import UsageError
from ultrahand.phantoms import (
    CartesianScan,
    NonCartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
)
from ultrahand.pipelines import Workspace, reconstruct_volume
from ultrahand.pipelines.replicas import scatter_of, white
from ultrahand.recon.trajectories import k_max_per_m, radial_2d

FOV = (0.128, 0.128, 0.005)
SD = 6e-6
MISSING = {"acceleration": (2, 1), "calibration_lines": (16, 1)}


def measured(scan, seed, coils=4):
    covariance = random_covariance(np.random.default_rng(5), coils, 2 * SD**2)
    noisy = replace(scan, noise=ThermalNoise(covariance=covariance, n_readouts=64))
    return simulate(five_fingers(FOV), smooth_coils(coils, FOV), noisy, np.random.default_rng(seed))


def lines(seed=1, **changes):
    scan = CartesianScan(matrix=(32, 32, 1), fov_m=FOV, dimension=2, **(MISSING | changes))
    return measured(scan, seed)


def spokes(seed=1):
    k = radial_2d(40, 64, k_max_per_m(32, FOV[0]), golden=True)
    scan = {"matrix": (32, 32, 1), "fov_m": FOV, "dimension": 2, "k_per_m": k}
    return measured(NonCartesianScan(**scan, trajectory="radial"), seed)


def real_part(raw, **options):
    plan = planned(raw, parts="complex", **options)
    (series,) = plan.series
    made = reconstruct_volume(raw, plan, series, series.volumes[0], Workspace())
    return made.parts["real"]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lines, {"method": "cs"}),
        (lines, {"method": "cs", "prior": "tv"}),
        pytest.param(spokes, {"method": "cs"}, marks=pytest.mark.long),
    ],
    ids=["wavelet", "tv", "radial"],
)
def test_replicas_scatter_as_repeated_measurements_do(make, options):
    """16 of each: a voxel's ratio is known to 20 %, the median of some fifty neighbours to 5 %.
    Replicas have noise on noise, and a threshold then decides otherwise: 10 % less was seen."""
    image = real_part(make(), replicas=16, **options)
    repeats = [real_part(make(seed), **options).values for seed in range(100, 116)]
    exact = np.std(repeats, axis=0, ddof=1)
    mean = np.abs(np.mean(repeats, axis=0))
    bright = mean > 0.1 * mean.max()
    assert bright.sum() > 50
    ratio = image.standard_error[bright] / exact[bright]
    assert 0.8 < np.median(ratio) < 1.25
    assert "16 pseudo-replicas" in image.standard_error_note
    assert "bias of the prior" in image.standard_error_note


def test_the_scatter_is_that_of_the_definition():
    """Noise alone: the image is its samples."""
    sd = scatter_of(lambda generator: 3 * white(generator, (20, 30)), 50, 7)
    images = [3 * white(np.random.default_rng([20081, 7, n]), (20, 30)) for n in range(50)]
    parts = np.stack([np.real(images), np.imag(images)])
    exact = np.sqrt(parts.var(axis=1, ddof=1).mean(axis=0))
    np.testing.assert_allclose(sd, exact, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.mean(sd**2)), 3, rtol=0.02)  # of 60,000 numbers


def test_the_same_seed_and_another_for_another_slice():
    first = scatter_of(lambda g: white(g, (4, 4)), 4, 1)
    np.testing.assert_array_equal(first, scatter_of(lambda g: white(g, (4, 4)), 4, 1))
    assert not np.array_equal(first, scatter_of(lambda g: white(g, (4, 4)), 4, 2))


def test_without_noise_readouts_there_is_none():
    scan = CartesianScan(matrix=(32, 32, 1), fov_m=FOV, dimension=2, **MISSING)
    raw = simulate(five_fingers(FOV), smooth_coils(4, FOV), scan, np.random.default_rng(1))
    image = real_part(raw, method="cs", replicas=4)
    assert image.standard_error is None
    assert "no noise scan" in image.standard_error_note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sense", "replicas": 16}, "for images with a prior"),
        ({"method": "cs", "replicas": 2}, "must be 4 or more"),
        ({"method": "cs", "replicas": 8, "engine": "sigpy"}, "--engine ultrahand"),
    ],
)
def test_replicas_that_say_nothing_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        planned(lines(), **options)
