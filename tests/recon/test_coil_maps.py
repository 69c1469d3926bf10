"""Maps of low resolution against the true ones; the support against noise and object."""

import numpy as np
import pytest
from scipy import ndimage

from laws import complex_normal
from ultrahand.errors import InputError, RecordError
from ultrahand.recon.coil_maps import ratio_maps, walsh_maps
from ultrahand.recon.espirit import espirit
from ultrahand.recon.fourier import image_to_kspace
from ultrahand.recon.sample_calibration import calibration_from_samples, near_centre

BOTH = pytest.mark.parametrize("make", [ratio_maps, walsh_maps])


def places(shape):
    return np.meshgrid(*((np.arange(n) - n // 2) / n for n in shape), indexing="ij")


def true_maps(shape, n_coils):
    """Plane waves of less than one turn over the field of view, so that they are smooth round it
    nearly everywhere; no two alike.
    """
    z, y, x = places(shape)
    maps = []
    for number in range(n_coils):
        a = 2 * np.pi * number / n_coils
        loud = 1.3 + np.cos(2 * np.pi * x - a) + 0.7 * np.cos(2 * np.pi * y + 2 * a)
        maps.append((loud + 0.3 * np.sin(2 * np.pi * z)) * np.exp(1j * (a + np.sin(a) * x)))
    return np.array(maps)


def disc(shape):
    z, y, x = places(shape)
    return ((x / 0.33) ** 2 + (y / 0.3) ** 2 + (z / 0.4) ** 2 < 1).astype(float)


def centre(k, width):
    at = tuple(
        slice(n // 2 - w // 2, n // 2 - w // 2 + w) for n, w in zip(k.shape[1:], width, strict=True)
    )
    return k[(slice(None), *at)]


def sines(found, true, where):
    norms = np.linalg.norm(found, axis=0) * np.linalg.norm(true, axis=0)
    cosine = np.abs((found.conj() * true).sum(axis=0)) / norms
    return np.sqrt(np.maximum(0, 1 - cosine**2))[where]


def measured(rng, shape, width, snr=300, n_coils=6):
    maps, image = true_maps(shape, n_coils), disc(shape)
    k = image_to_kspace(maps * image * snr, (1, 2, 3))
    k = centre(k + complex_normal(rng, k.shape), width)
    return k.astype(np.complex64), maps, image


@BOTH
@pytest.mark.parametrize("taper", ["hann", "kaiser"])
@pytest.mark.parametrize(
    ("shape", "width"),
    [((1, 64, 61), (1, 24, 23)), ((1, 48, 48), (1, 16, 25)), ((20, 21, 24), (14, 15, 16))],
)
def test_maps_are_those_of_the_coils(make, taper, shape, width, rng):
    k, maps, image = measured(rng, shape, width)
    found = make(k, shape, taper=taper)
    assert found.maps.shape == (6, 1, *shape)
    np.testing.assert_allclose(np.linalg.norm(found.maps, axis=0), 1, atol=1e-5)
    rest = sines(found.maps[:, 0], maps, image > 0)
    # Taper and block move the place that a map is of, at the object's edge, by up to a cell or two
    # and on the mean by half a cell; the maps turn by three radians a field of view at most.
    cell = 1 / min(n for n in width if n > 1)
    assert np.sqrt(np.mean(rest**2)) < 3 * cell / 2
    if make is ratio_maps:  # no block, so only the edge is moved
        assert np.median(rest) < 0.04


@pytest.mark.parametrize(
    ("shape", "width"), [((1, 47, 48), (1, 16, 17)), ((20, 21, 24), (14, 15, 16))]
)
def test_blocks_of_one_voxel_give_the_ratio(shape, width, rng):
    """And so tell that the interpolation puts the maps where they belong, odd and even."""
    k, _, image = measured(rng, shape, width)
    one = walsh_maps(k, shape, radius=0).maps[:, 0]
    rest = sines(one, ratio_maps(k, shape).maps[:, 0], image > 0)
    # Cubic splines through unit vectors of neighbouring cells, which differ by up to 3 / width at
    # the edge; half a voxel of misplacement would be 0.03.
    assert np.sqrt(np.mean(rest**2)) < 0.02


@BOTH
def test_the_phase_is_that_of_a_virtual_coil(make, rng):
    """The combined image has the phase of one coil: only smooth ones are left in the maps."""
    k, _, image = measured(rng, (1, 64, 64), (1, 24, 24))
    phase = np.exp(1j * 2 * np.pi * places((1, 64, 64))[2])
    turned = image_to_kspace(true_maps((1, 64, 64), 6) * image * 300 * phase, (1, 2, 3))
    other = make(centre(turned, (1, 24, 24)).astype(np.complex64), (1, 64, 64))
    one = make(k, (1, 64, 64))
    well = image > 0
    # An object of another phase has the same maps, but for what the resolution mixes.
    change = np.linalg.norm(other.maps - one.maps, axis=0)[0][well]
    assert np.median(change) < 0.1
    assert np.isfinite(one.maps).all()


@BOTH
def test_noise_has_no_support(make, rng):
    shape, crossed = (1, 64, 64), 0
    for _ in range(20):
        noise = complex_normal(rng, (4, 1, 16, 16)).astype(np.complex64)
        crossed += make(noise, shape).support.max() > 0
    # A level that one in 20 images crosses; interpolated ones have a few more independent places.
    assert crossed <= 6


@BOTH
@pytest.mark.parametrize("snr", [3, 3000])
def test_support_holds_the_object_and_little_more(make, snr, rng):
    shape = (1, 96, 96)
    k, _, image = measured(rng, shape, (1, 32, 32), snr=snr)
    support = make(k, shape).support
    assert support.min() >= 0
    assert support.max() <= 1
    inside = image[0] > 0
    assert (support[0][ndimage.binary_erosion(inside, iterations=4)] > 0.99).mean() > 0.99
    # Two cells of the calibration, 3 voxels each, for what a taper of Hann spreads.
    far = ~ndimage.binary_dilation(inside, iterations=9)
    assert (support[0][far] > 0).mean() < 0.02


def test_noise_in_other_units_changes_nothing(rng):
    k, _, _ = measured(rng, (1, 48, 48), (1, 16, 16), snr=5)
    one = walsh_maps(k, (1, 48, 48))
    other = walsh_maps(k * 32, (1, 48, 48), noise_variance=32.0**2)
    np.testing.assert_allclose(other.support, one.support, atol=1e-5)
    np.testing.assert_allclose(other.maps, one.maps, atol=1e-4)


@BOTH
def test_the_same_bits_for_every_number_of_threads(make, rng):
    k, _, _ = measured(rng, (12, 13, 14), (8, 9, 10))
    one, two = (make(k, (12, 13, 14), threads=t) for t in (1, 2))
    np.testing.assert_array_equal(two.maps, one.maps)
    np.testing.assert_array_equal(two.support, one.support)


@BOTH
def test_one_voxel_and_one_coil(make):
    found = make(np.full((1, 1, 1, 1), 30, np.complex64), (1, 1, 1))
    np.testing.assert_allclose(found.maps, 1, rtol=1e-6)
    assert found.support == 1


@BOTH
def test_zeros_have_no_maps(make):
    found = make(np.zeros((2, 1, 8, 8), np.complex64), (1, 16, 16))
    assert not found.support.any()
    assert np.isfinite(found.maps).all()


@BOTH
def test_bad_input_is_refused(make):
    good = np.ones((2, 1, 8, 8), np.complex64)
    with pytest.raises(InputError, match="NaN"):
        make(good * np.nan, (1, 16, 16))
    for shape, options in (
        ((1, 4, 16), {}),
        ((1, 16, 16), {"taper": "boxcar"}),
        ((1, 16, 16), {"noise_variance": 0.0}),
    ):
        with pytest.raises(RecordError):
            make(good, shape, **options)


def radial(spokes, samples):
    """Spokes over the diameter of k-space, in cycles per voxel."""
    angle = np.pi * np.arange(spokes) / spokes
    r = (np.arange(samples) - samples // 2) / samples
    return np.stack([np.outer(np.cos(angle), r).ravel(), np.outer(np.sin(angle), r).ravel()], 1)


def seen_at(image, k, voxel_m):
    """Sum over voxels, in the units of an orthonormal transform, ``(coils, samples)``."""
    shape = image.shape[1:]
    place = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    turns = sum(
        np.outer(k[:, a] * v, p.ravel())
        for a, (v, p) in enumerate(zip(voxel_m, place[::-1], strict=False))
        if a < k.shape[1]
    )
    return image.reshape(len(image), -1) @ np.exp(-2j * np.pi * turns).T / np.sqrt(place[0].size)


def test_a_radial_trajectory_has_the_calibration_of_lines():
    shape, width, voxel = (1, 48, 44), (1, 16, 15), (2e-3, 1e-3, 1.0)
    image = true_maps(shape, 4) * disc(shape) * 300
    k = radial(90, 96) / np.array(voxel[:2])
    samples = seen_at(image, k, voxel).astype(np.complex64)
    found = calibration_from_samples(samples, k, width, shape=shape, voxel_size_m=voxel)
    exact = centre(image_to_kspace(image, (1, 2, 3)), width)
    # Gridding with density compensation is good to a few percent of the whole.
    assert np.linalg.norm(found.kspace - exact) < 0.05 * np.linalg.norm(exact)
    near = near_centre(k, width, shape=shape, voxel_size_m=voxel)
    samples[:, ~near] = np.nan
    again = calibration_from_samples(samples, k, width, shape=shape, voxel_size_m=voxel)
    np.testing.assert_array_equal(again.kspace, found.kspace)


def test_espirit_of_a_radial_trajectory(rng):
    shape, width, voxel = (1, 48, 48), (1, 18, 18), (1e-3, 1e-3, 1.0)
    maps = true_maps(shape, 6)
    k = radial(90, 96) / 1e-3
    samples = seen_at(maps * disc(shape) * 300, k, voxel)
    samples = (samples + complex_normal(rng, samples.shape)).astype(np.complex64)
    calibration = calibration_from_samples(samples, k, width, shape=shape, voxel_size_m=voxel)
    found = espirit(calibration.kspace, shape, noise_variance=calibration.noise_variance)
    rest = sines(found.maps[:, 0], maps, disc(shape) > 0)
    assert np.sqrt(np.mean(rest**2)) < 0.03


def test_the_noise_of_the_calibration_is_what_it_says(rng):
    shape, width, voxel = (1, 40, 40), (1, 16, 16), (1e-3, 1e-3, 1.0)
    k = radial(70, 80) / 1e-3
    noise = complex_normal(rng, (200, len(k))).astype(np.complex64)
    found = calibration_from_samples(noise, k, width, shape=shape, voxel_size_m=voxel)
    drawn = np.mean(np.abs(found.kspace) ** 2) / 2
    # It is the mean over the region and its margin: the rim, of more noise, counts with it.
    assert 0.3 * found.noise_variance < drawn < 1.1 * found.noise_variance


def test_lines_in_three_dimensions_give_themselves(rng):
    shape, width, voxel = (14, 16, 18), (5, 6, 7), (1e-3, 2e-3, 3e-3)
    grid = complex_normal(rng, (2, *shape)).astype(np.complex64)
    axes = [(np.arange(n) - n // 2) / n / v for n, v in zip(shape, voxel[::-1], strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    k = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    found = calibration_from_samples(grid.reshape(2, -1), k, width, shape=shape, voxel_size_m=voxel)
    # On the points of a grid all weights are 1 but for the rim of what is gridded.
    exact = centre(grid, width)
    assert np.linalg.norm(found.kspace - exact) < 0.05 * np.linalg.norm(exact)


def test_samples_that_cannot_be_are_refused():
    k = np.full((5, 2), 400.0)
    options = {"shape": (1, 32, 32), "voxel_size_m": (1e-3, 1e-3, 1.0)}
    with pytest.raises(InputError, match="no sample near"):
        calibration_from_samples(np.ones((1, 5), np.complex64), k, (1, 8, 8), **options)
    with pytest.raises(InputError, match="NaN"):
        calibration_from_samples(np.full((1, 5), np.nan, np.complex64), 0 * k, (1, 8, 8), **options)
    with pytest.raises(RecordError, match="width"):
        calibration_from_samples(np.ones((1, 5), np.complex64), k, (1, 8, 33), **options)
    with pytest.raises(RecordError, match="do not fit"):
        calibration_from_samples(np.ones((1, 4), np.complex64), k, (1, 8, 8), **options)
    with pytest.raises(RecordError, match="one plane"):
        calibration_from_samples(np.ones((1, 5), np.complex64), k, (2, 8, 8), **options)
