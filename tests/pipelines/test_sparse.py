"""Compressed sensing from raw data to an image."""

import numpy as np
import pytest

from making import only_magnitude, planned
from ultrahand.errors import ResourceError
from ultrahand.io.read_raw import read_raw
from ultrahand.phantoms import (
    CartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
)
from ultrahand.pipelines import Workspace
from ultrahand.pipelines.parallel import lines_problem
from ultrahand.recon import fourier
from ultrahand.recon.coverage import Coverage
from ultrahand.recon.grid import fill_grid
from ultrahand.recon.regularised import Prior, regularised
from ultrahand.recon.sense import sense
from ultrahand.recon.watch import Watch
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


def left_out(raw, seed=0):
    """Hold out one outer line of ten; return the rest, and the held-out rows."""
    plan = planned(raw).encodings[0].cartesian
    lines = plan.lines(np.arange(len(raw.readouts)))
    far = np.abs(lines).max(axis=1) > 16
    rng = np.random.default_rng(seed)
    held = {tuple(line) for line in lines[far & (rng.random(len(lines)) < 0.1)]}
    n = np.array([plan.axes[2].n_grid, plan.axes[1].n_grid])
    places = np.stack([plan.line2, plan.line1], axis=1)
    places = (places + n // 2) % n - n // 2
    out = np.array([tuple(place) in held for place in places.tolist()])
    return np.flatnonzero(~out), np.flatnonzero(out)


@pytest.mark.long
def test_held_out_lines_of_a_real_brain_are_predicted(real_data):
    """Zero filling predicts nothing: an error of 1. What coils and prior say is less wrong."""
    raw = read_raw(real_data / "brain_cartesian_8ch" / "brain_8ch.h5")
    kept, held = left_out(raw)
    some = chosen(raw, kept)
    plan = planned(some)
    encoding = plan.encodings[0]
    rows = plan.series[0].volumes[0].rows
    problem = lines_problem(some, plan, encoding, rows, Workspace())
    images = {
        "sense": sense(
            problem.rhs, problem.spectra, problem.maps, damping=problem.damping, threads=2
        ).image,
        "cs": regularised(
            problem.rhs, problem.spectra, problem.maps, prior=Prior.WAVELET, threads=2
        ).image,
    }
    whole = planned(raw).encodings[0].cartesian
    grid = fill_grid(
        raw,
        whole,
        Coverage(whole, held),
        whitening=problem.whitening,
        coils=len(problem.maps),
        columns=slice(0, whole.axes[0].n_image),
        threads=2,
        watch=Watch(),
        progress=lambda _: None,
    )
    mask = np.zeros(grid.shape[1:3], bool)
    mask[whole.line2[held], whole.line1[held]] = True
    errors = {}
    for name, image in images.items():
        coils = problem.maps[:, 0] * image
        predicted = fourier.to_fft_order(fourier.image_to_kspace(coils, (1, 2)), (1, 2))
        errors[name] = np.linalg.norm((predicted - grid)[:, mask]) / np.linalg.norm(grid[:, mask])
    assert 0.4 < errors["sense"] < 0.65, errors  # found 0.55; zeros 1
    assert 0.3 < errors["cs"] < 0.5, errors  # found 0.41
