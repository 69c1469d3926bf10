"""Compressed sensing from raw data to an image."""

import numpy as np
import pytest

from making import only_magnitude
from ultrahand.errors import ResourceError
from ultrahand.phantoms import (
    CartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
)
from ultrahand.records import RawData

FOV = (0.12, 0.1, 0.004)


def chosen(raw, rows):
    """Return a measurement with some of its readouts."""
    data = tuple(raw.source.samples(np.array([row]))[:, 0] for row in rows)
    from ultrahand.records import ArraySource

    return RawData(header=raw.header, readouts=raw.readouts[rows], source=ArraySource(data=data))


def measured(seed=1, sd=1e-6):
    """A plane of which the middle 16 lines and a random half of the others are taken."""
    noise = ThermalNoise(
        covariance=random_covariance(np.random.default_rng(5), 8, 2 * sd**2), n_readouts=64
    )
    scan = CartesianScan(matrix=(64, 60, 1), fov_m=FOV, dimension=2, noise=noise)
    raw = simulate(five_fingers(FOV), smooth_coils(8, FOV), scan, np.random.default_rng(seed))
    rng = np.random.default_rng(7)
    line = raw.readouts["kspace_encode_step_1"]
    keep = (np.abs(line - 30) < 8) | (rng.random(60)[line] < 0.4) | (raw.readouts["flags"] != 0)
    return raw, chosen(raw, np.flatnonzero(keep))


def error_of(image, reference):
    bright = reference > 0.3 * reference.max()
    return np.linalg.norm((image - reference)[bright]) / np.linalg.norm(reference[bright])


@pytest.mark.parametrize("prior", ["wavelet", "tv", "tgv"])
def test_lines_left_out_at_random_are_no_longer_seen(prior):
    whole, some = measured()
    expected = only_magnitude(whole, method="sense").values
    zeros = error_of(only_magnitude(some, method="fft").values, expected)
    image = only_magnitude(some, method="cs", prior=prior)
    assert error_of(image.values, expected) < zeros / 3
    assert image.standard_error is None
    assert "in no linear way" in image.standard_error_note


def test_a_larger_weight_leaves_less():
    _, some = measured(sd=3e-5)
    images = [only_magnitude(some, method="cs", prior_weight=w).values for w in (0.5, 2.5, 50.0)]
    roughness = [np.abs(np.diff(image, axis=1)).sum() for image in images]
    assert roughness[0] > roughness[1] > roughness[2]


def test_what_does_not_fit_is_refused():
    _, some = measured()
    with pytest.raises(ResourceError, match="solver"):
        only_magnitude(some, method="cs", max_memory=10**6)
