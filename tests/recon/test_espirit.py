"""Coil maps against the true ones, and against eigenvectors in double precision."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import InputError, RecordError
from ultrahand.recon.espirit import EDGE, espirit
from ultrahand.recon.fourier import image_to_kspace


def smooth_coils(shape, n_coils):
    """Loops around the object: wide Gaussians with a phase of their own, no two alike."""
    axes = [np.zeros(1) if n == 1 else (np.arange(n) - n // 2) / n for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    maps = []
    for number in range(n_coils):
        angle = 2 * np.pi * number / n_coils
        place = (0.4 * (-1) ** number, 0.55 * np.sin(angle), 0.55 * np.cos(angle))
        square = sum((a - p) ** 2 for a, p in zip((z, y, x), place, strict=True))
        maps.append(np.exp(-square / 0.4) * np.exp(1j * (angle + x * np.cos(angle) + y)))
    return np.array(maps)


def blob(shape):
    axes = [np.zeros(1) if n == 1 else (np.arange(n) - n // 2) / n for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside = (x / 0.36) ** 2 + (y / 0.3) ** 2 + (z / 0.4) ** 2 < 1
    return inside * (1 + 0.5 * np.sin(25 * x + 11 * y))


def measured(rng, shape, n_coils, width, snr=300):
    """Return the calibration of a noisy object in whitened units, its maps and where it is."""
    maps, image = smooth_coils(shape, n_coils), blob(shape)
    k = image_to_kspace(maps * image * snr, (1, 2, 3))
    k = k + complex_normal(rng, k.shape)  # real and imaginary parts of variance 1
    at = tuple(
        slice(n // 2 - min(n, w) // 2, n // 2 - min(n, w) // 2 + min(n, w))
        for n, w in zip(shape, width, strict=True)
    )
    return k[(slice(None), *at)].astype(np.complex64), maps, image > 0


def sines(found, true, where):
    """Return the sine of the angle between the coil vectors of each voxel."""
    norms = np.linalg.norm(found, axis=0) * np.linalg.norm(true, axis=0)
    cosine = np.abs((found.conj() * true).sum(axis=0)) / norms
    return np.sqrt(np.maximum(0, 1 - cosine**2))[where]


@pytest.mark.parametrize(
    ("shape", "width", "snr"),
    [
        ((1, 48, 61), (1, 20, 20), 300),
        ((1, 40, 40), (1, 17, 24), 300),
        ((18, 17, 20), (18, 17, 20), 1000),
    ],
)
def test_maps_are_those_of_the_coils(shape, width, snr, rng):
    calibration, maps, inside = measured(rng, shape, 6, width, snr)
    found = espirit(calibration, shape)
    assert found.maps.shape == (6, 1, *shape)
    # A calibration of w samples resolves the maps, which vary over half the field of view, to a few
    # thousandths; noise of 1 / 300 in w^2 samples adds less.
    assert np.sqrt(np.mean(sines(found.maps[:, 0], maps, inside) ** 2)) < 4e-3
    assert np.abs(found.eigenvalues[0][inside] - 1).max() < 0.02
    np.testing.assert_allclose(np.linalg.norm(found.maps, axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(("shape", "width"), [((1, 11, 19), (1, 11, 12)), ((5, 6, 7), (5, 6, 7))])
def test_eigenvectors_are_those_of_the_definition(shape, width, rng):
    """The operator of every voxel by brute force over windows, kernels and lags, in double."""
    calibration, _, inside = measured(rng, shape, 3, width)
    window = tuple(min(4, n) for n in shape)
    found = espirit(calibration, shape, kernel=4)
    windows = np.lib.stride_tricks.sliding_window_view(calibration, window, axis=(1, 2, 3))
    table = windows.transpose(0, 4, 5, 6, 1, 2, 3).reshape(3 * np.prod(window), -1).astype(complex)
    gram = table @ table.conj().T
    values, vectors = np.linalg.eigh(gram)
    weight = values / (values + EDGE * 2 * table.shape[1])
    projection = ((vectors * weight) @ vectors.conj().T).reshape(3, *window, 3, *window)
    for voxel in np.argwhere(inside)[::7]:
        r = [(v - n // 2) / n for v, n in zip(voxel, shape, strict=True)]
        phase = np.zeros(window, complex)
        for a in np.ndindex(*window):
            phase[a] = np.exp(2j * np.pi * np.dot(a, r))
        matrix = np.einsum("iabcjdef,abc,def->ij", projection, phase, phase.conj())
        values, vectors = np.linalg.eigh(matrix / np.prod(window))
        ours = found.maps[(slice(None), 0, *voxel)]
        assert abs(np.vdot(vectors[:, -1], ours)) == pytest.approx(1, abs=1e-5)
        assert found.eigenvalues[(0, *voxel)] == pytest.approx(values[-1], abs=1e-5)


def test_two_sets_explain_an_object_that_folds_onto_itself(rng):
    """A field of view of half the object: each voxel sees two places."""
    shape = (1, 64, 48)
    maps, image = smooth_coils(shape, 8), blob(shape)
    folded = (maps * image * 300).reshape(8, 1, 2, 32, 48).sum(axis=2)
    k = image_to_kspace(folded, (1, 2, 3)) + complex_normal(rng, folded.shape)
    calibration = k[:, :, 4:28, 12:36].astype(np.complex64)
    found = espirit(calibration, (1, 32, 48), sets=2)
    inside = (image > 0).reshape(1, 2, 32, 48)
    twice = inside.all(axis=1)
    assert twice.sum() > 50
    assert found.eigenvalues[:, twice].min() > 0.9
    sets = found.maps[:, :, twice]
    overlap = np.abs((sets[:, 0].conj() * sets[:, 1]).sum(axis=0))
    assert overlap.max() < 1e-3
    parts = maps.reshape(8, 1, 2, 32, 48)
    for half in (0, 1):  # each place's coil vector lies in the span of the two sets
        vector = parts[:, :, half][:, twice]
        vector = vector / np.linalg.norm(vector, axis=0)
        inside_span = np.abs((sets.conj() * vector[:, None]).sum(axis=0)) ** 2
        assert np.sqrt(np.mean(1 - inside_span.sum(axis=0))) < 0.05


def test_scale_of_data_and_noise_together_changes_nothing(rng):
    calibration, _, _ = measured(rng, (1, 30, 31), 4, (1, 16, 16))
    one = espirit(calibration, (1, 30, 31))
    other = espirit(calibration * 64, (1, 30, 31), noise_variance=64.0**2)
    np.testing.assert_allclose(other.maps, one.maps, atol=1e-5)


def test_the_same_bits_for_every_number_of_threads(rng):
    calibration, _, _ = measured(rng, (1, 30, 31), 4, (1, 16, 16))
    one = espirit(calibration, (1, 30, 31), sets=2, threads=1)
    for threads in (2, 3):
        other = espirit(calibration, (1, 30, 31), sets=2, threads=threads)
        np.testing.assert_array_equal(other.maps, one.maps)
        np.testing.assert_array_equal(other.eigenvalues, one.eigenvalues)


def test_noise_alone_has_no_eigenvalue_near_one(rng):
    noise = complex_normal(rng, (4, 1, 24, 24)).astype(np.complex64)
    assert espirit(noise, (1, 32, 32)).eigenvalues.max() < 0.5


def test_too_small_a_calibration_is_refused(rng):
    small = complex_normal(rng, (2, 1, 5, 20)).astype(np.complex64)
    with pytest.raises(InputError, match="20 x 5 x 1 samples") as refused:
        espirit(small, (1, 64, 64))
    assert "at least 6 x 6 x 1" in str(refused.value)


def test_what_is_not_finite_is_refused():
    with pytest.raises(InputError, match="NaN"):
        espirit(np.full((2, 1, 8, 8), np.nan, np.complex64), (1, 16, 16))


@pytest.mark.parametrize(
    "wrong", [{"sets": 0}, {"sets": 3}, {"kernel": 0}, {"noise_variance": 0.0}]
)
def test_options_out_of_range_are_refused(wrong, rng):
    with pytest.raises(RecordError):
        espirit(complex_normal(rng, (2, 1, 8, 8)).astype(np.complex64), (1, 16, 16), **wrong)
