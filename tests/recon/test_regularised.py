"""Reconstruction with a prior: its bounds, its units, and what it makes of noise and signal."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.numerics.solution import Status
from ultrahand.recon.fourier import image_to_kspace, kspace_to_image
from ultrahand.recon.normal import normal_operator, spectra_of_mask, spectra_of_samples
from ultrahand.recon.normal_bounds import information, largest_bound
from ultrahand.recon.regularised import WEIGHTS, Prior, regularised
from ultrahand.recon.sense import combine_coils, sense

AXES = (-3, -2, -1)
SPATIAL = (Prior.WAVELET, Prior.TV, Prior.TGV)


def dense(operator):
    """Return the matrix of an operator, column by column."""
    size = int(np.prod(operator.domain))
    units = np.eye(size, dtype=np.complex64).reshape(size, *operator.domain)
    return np.stack([operator.forward(unit).ravel() for unit in units], axis=1)


def some_maps(rng, coils, sets, shape):
    return complex_normal(rng, (coils, sets, *shape)).astype(np.complex64)


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("sets", [1, 2])
def test_the_bounds_hold_for_masks(shape, sets, rng):
    maps = some_maps(rng, 3, sets, shape)
    mask = rng.integers(0, 3, shape).astype(float)
    mask.flat[0] = 1
    operator = normal_operator(spectra_of_mask(mask), maps)
    matrix = dense(operator)
    assert information(operator) == pytest.approx(np.trace(matrix).real / len(matrix), rel=1e-5)
    assert np.linalg.eigvalsh(matrix)[-1] <= largest_bound(operator) * (1 + 1e-5)


def test_the_bound_is_the_eigenvalue_for_maps_of_unit_power(rng):
    maps = some_maps(rng, 4, 1, (1, 5, 4))
    maps /= np.sqrt((np.abs(maps) ** 2).sum(axis=0))
    mask = (rng.random((1, 5, 4)) < 0.5).astype(float)
    operator = normal_operator(spectra_of_mask(mask), maps[:1] / np.abs(maps[:1]))
    largest = np.linalg.eigvalsh(dense(operator))[-1]
    assert largest_bound(operator) == pytest.approx(largest, rel=1e-5)


def test_the_bounds_hold_for_the_components_of_a_subspace(rng):
    k = rng.uniform(-500, 500, (40, 2))
    functions = rng.standard_normal((2, 40))
    pairs = [functions[i] * functions[j] for i in range(2) for j in range(i + 1)]
    spectra = spectra_of_samples(k, pairs, shape=(1, 4, 4), voxel_size_m=(1e-3, 1e-3))
    operator = normal_operator(spectra, some_maps(rng, 2, 1, (1, 4, 4)))
    matrix = dense(operator)
    # The transforms' own 1e-6, of the largest entry.
    assert information(operator) == pytest.approx(np.trace(matrix).real / 32, rel=1e-4)
    assert np.linalg.eigvalsh(matrix)[-1] <= largest_bound(operator) * (1 + 1e-4)


def blocks(shape):
    """Return an image of constant pieces of 1, with a phase."""
    image = np.zeros(shape, complex)
    image[:, shape[1] // 4 : shape[1] // 2, shape[2] // 4 : 3 * shape[2] // 4] = 1
    image[:, shape[1] // 2 : 5 * shape[1] // 8, shape[2] // 3 : shape[2] // 2] = 2j
    return image


def measured(rng, image, *, coils=4, snr=20.0, mask=None, scale=1.0):
    """Return rhs, spectra, maps and the image, in whitened units: noise 1 a part, unit maps.

    `snr`: of an image of 1; `scale` multiplies maps and divides the image.
    """
    shape = image.shape
    maps = some_maps(rng, coils, 1, (1, 1, 1)) * np.ones((1, 1, *shape), np.float32)
    maps *= scale / np.sqrt((np.abs(maps) ** 2).sum(axis=0))
    mask = np.ones(shape) if mask is None else mask
    truth = snr * image / scale
    samples = image_to_kspace(maps[:, 0] * truth, AXES)
    samples = samples + complex_normal(rng, samples.shape)
    rhs = combine_coils(kspace_to_image(mask * samples, AXES).astype(np.complex64), maps)
    return rhs, spectra_of_mask(mask), maps, truth


@pytest.mark.parametrize("prior", SPATIAL)
@pytest.mark.parametrize("shape", [(1, 64, 64), (16, 16, 16)])
def test_a_weight_left_out_leaves_a_tenth_of_noise(prior, shape, rng):
    """The criterion of `WEIGHTS`, to a factor of two, in planes and volumes.

    A wavelet coefficient keeps ``exp(-w^2 / 2) - w sqrt(pi / 2) erfc(w / sqrt 2)`` of its power:
    0.07 of its size for 2.5; the coarsest means, 1 of 256 in a plane, keep theirs: 0.06.
    """
    rhs, spectra, maps, _ = measured(rng, np.zeros(shape))
    found = regularised(rhs, spectra, maps, prior=prior)
    left = np.sqrt(np.mean(np.abs(found.image) ** 2) / 2)
    mean = np.sqrt(1 / found.image.size)  # no prior holds the mean down
    assert found.weight == WEIGHTS[prior]
    assert max(0.01, 0.5 * mean) <= left <= 0.2


@pytest.mark.parametrize("prior", SPATIAL)
def test_a_weight_means_the_same_at_every_scale_and_for_every_number_of_coils(prior, rng):
    """The same image, noise and mask: the image in noise units is one and the same.

    Maps of unit power that do not vary leave the same normal operator, and `combine_coils` the
    same statistics; with the same right-hand side, nothing but rounding may differ. 1e-4 is some
    hundred iterations of it.
    """
    mask = (rng.random((1, 16, 16)) < 0.6).astype(float)
    mask[:, 6:11, 6:11] = 1
    rhs, spectra, maps, _ = measured(rng, blocks((1, 16, 16)), mask=mask)
    one = regularised(rhs, spectra, maps, prior=prior, weight=1.3, max_iterations=60).image
    for coils, scale in ((1, 1.0), (9, 1.0), (4, 300.0), (4, 1e-4)):
        others = some_maps(rng, coils, 1, (1, 1, 1)) * np.ones((1, 1, 1, 16, 16), np.float32)
        others *= scale / np.sqrt((np.abs(others) ** 2).sum(axis=0))
        again = regularised(
            rhs * np.float32(scale), spectra, others, prior=prior, weight=1.3, max_iterations=60
        ).image
        error = np.linalg.norm(scale * again - one) / np.linalg.norm(one)
        assert error <= 1e-4


def test_more_noise_means_more_of_the_same_smoothing():
    """The bias of a plateau is in noise standard deviations, whatever the signal.

    A weight w of total variation lowers a fully measured square of side m, in a wide plane, by
    w (perimeter / area) = 4 w / m noise standard deviations: 4 * 2 / 16 = 0.5. Corners are rounded,
    within the square's own third; the mean of the 16 x 16 noise is good to 1 / 16.
    """
    image = np.zeros((1, 64, 64))
    image[0, 24:40, 24:40] = 1
    lowered = []
    for snr in (20.0, 200.0):
        rhs, spectra, maps, truth = measured(np.random.default_rng(3), image, snr=snr)
        found = regularised(
            rhs, spectra, maps, prior=Prior.TV, weight=2.0, tolerance=1e-6, max_iterations=1000
        )
        lowered.append((truth - found.image[0]).real[0, 28:36, 28:36].mean())
    assert lowered[0] == pytest.approx(lowered[1], abs=0.02)
    assert 0.3 <= lowered[0] <= 0.7


def test_a_weight_means_the_same_for_every_matrix():
    """Half the voxel in a plane: what smoothing does to a square of given size is unchanged.

    With `voxel_size_m` the balance is that of densities. The square of 16 mm is lowered by
    4 w / 16 of the noise of a 1 mm voxel; a voxel of 0.5 mm has twice the noise for the same
    signal, so that in its units the square is half as high and lowered by half as much.
    """
    lowered = []
    for fine in (1, 2):
        image = np.zeros((1, 40 * fine, 40 * fine))
        image[0, 12 * fine : 28 * fine, 12 * fine : 28 * fine] = 1
        rhs = (100 / fine * image).astype(np.complex64)  # without noise
        spectra, maps = spectra_of_mask(np.ones(image.shape)), np.ones((1, 1, *image.shape))
        found = regularised(
            rhs[None],
            spectra,
            maps.astype(np.complex64),
            prior=Prior.TV,
            weight=2.0,
            voxel_size_m=(1e-3 / fine, 1e-3 / fine, 5e-3),
            tolerance=1e-6,
            max_iterations=1500,
        )
        middle = slice(16 * fine, 24 * fine)
        lowered.append(fine * (rhs - found.image[0]).real[0, middle, middle].mean())
    # Isotropic differences on a finer grid round the corners otherwise: some percent.
    assert lowered[0] == pytest.approx(4 * 2 / 16, rel=0.25)
    assert lowered[1] == pytest.approx(lowered[0], rel=0.1)


@pytest.mark.parametrize("prior", SPATIAL)
@pytest.mark.parametrize("shape", [(1, 48, 47), (6, 24, 24)])
def test_half_of_kspace_is_enough_for_simple_images(prior, shape, rng):
    """Better than SENSE by two, from random halves of k-space with a full centre."""
    mask = np.broadcast_to(rng.random(shape[1:]) < 0.4, shape).astype(float)
    mask[:, shape[1] // 2 - 4 : shape[1] // 2 + 4, shape[2] // 2 - 4 : shape[2] // 2 + 4] = 1
    rhs, spectra, maps, truth = measured(rng, blocks(shape), snr=50, mask=mask)
    found = regularised(rhs, spectra, maps, prior=prior, max_iterations=100).image
    plain = sense(rhs, spectra, maps).image
    errors = [np.linalg.norm(x[0] - truth) for x in (found, plain)]
    assert errors[0] < 0.5 * errors[1]


def test_the_squares_are_sense(rng):
    rhs, spectra, maps, _ = measured(rng, blocks((1, 16, 16)), mask=np.ones((1, 16, 16)))
    plain = sense(rhs, spectra, maps)
    found = regularised(rhs, spectra, maps, prior=Prior.L2)
    np.testing.assert_array_equal(found.image, plain.image)
    assert found.damping == plain.damping
    weighed = regularised(rhs, spectra, maps, prior=Prior.L2, weight=1.0, tolerance=1e-6)
    np.testing.assert_allclose(weighed.image, rhs / 2, atol=1e-4 * np.abs(rhs).max())
    assert weighed.damping == pytest.approx(1.0, rel=1e-5)


def test_a_guide_keeps_the_edges_that_it_knows(rng):
    """Weak noisy signal, strong guide with the same edges: nearer to the truth than without."""
    image = np.abs(blocks((1, 48, 48)))
    rhs, spectra, maps, truth = measured(rng, image, snr=4)
    errors = []
    for guide in (None, 50 * image + rng.standard_normal(image.shape)):
        found = regularised(rhs, spectra, maps, prior=Prior.TV, weight=1.5, guide=guide)
        errors.append(np.linalg.norm(found.image[0] - truth))
    assert errors[1] < 0.8 * errors[0]


def test_a_guide_of_noise_is_no_guide(rng):
    """Its gradients count little: the image hardly changes."""
    rhs, spectra, maps, _ = measured(rng, blocks((1, 32, 32)), snr=10)
    plain = regularised(rhs, spectra, maps, prior=Prior.TV).image
    guide = rng.standard_normal((1, 32, 32))
    led = regularised(rhs, spectra, maps, prior=Prior.TV, guide=guide).image
    assert np.linalg.norm(led - plain) < 0.05 * np.linalg.norm(plain)


def subspace(rng, shape=(1, 12, 12)):
    """Return two components of one time course, and random points enough for a plane."""
    k = rng.uniform(-500, 500, (1500, 2))
    ones, ramp = np.ones(1500), np.linspace(-1, 1, 1500)
    spectra = spectra_of_samples(k, [ones, ramp, ramp**2], shape=shape, voxel_size_m=(1e-3, 1e-3))
    maps = np.ones((1, 1, *shape), np.complex64)
    truth = blocks(shape)[None] * np.array([1, 0.3])[:, None, None, None]
    return spectra, maps, truth[:, None].astype(np.complex64)


def test_components_of_a_subspace_share_their_rank(rng):
    spectra, maps, truth = subspace(rng)
    rhs = normal_operator(spectra, maps).forward(200 * truth)
    found = regularised(rhs, spectra, maps, prior=Prior.LLR, weight=0.1, max_iterations=300)
    assert found.image.shape == truth.shape
    error = np.linalg.norm(found.image / 200 - truth) / np.linalg.norm(truth)
    assert error < 0.03  # 0.1 edge of some hundred noise standard deviations


def test_where_no_coil_sees_the_image_is_nothing(rng):
    rhs, spectra, maps, _ = measured(rng, blocks((1, 16, 16)))
    maps[..., :4] = 0
    rhs[..., :4] = 0
    for prior in Prior:
        if prior is not Prior.LLR:
            found = regularised(rhs, spectra, maps, prior=prior, max_iterations=10)
            assert not found.image[..., :4].any()
            assert found.image[..., 4:].any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (3, 1, 2)])
@pytest.mark.parametrize("prior", [Prior.L2, *SPATIAL])
def test_axes_of_length_one_are_no_trouble(prior, shape, rng):
    rhs, spectra, maps, truth = measured(rng, np.ones(shape), snr=1000)
    found = regularised(rhs, spectra, maps, prior=prior, max_iterations=300)
    # The noise of 1 a part; a voxel left over by pairs is no mean of two, so that a constant has
    # wavelet coefficients, each shrunk by w: two levels and axes of that.
    np.testing.assert_allclose(found.image[0], truth, atol=4 + 4 * 2.5)


def test_a_tolerance_makes_the_wavelets_stand_still(rng):
    rhs, spectra, maps, _ = measured(rng, blocks((1, 16, 16)))
    found = regularised(rhs, spectra, maps, prior=Prior.WAVELET, tolerance=1e-4)
    assert found.solution.status is Status.CONVERGED
    told = []
    free = regularised(
        rhs, spectra, maps, prior=Prior.WAVELET, max_iterations=7, progress=told.append
    )
    assert (free.solution.status, sum(told)) == (Status.ITERATIONS, 7)


@pytest.mark.parametrize("prior", [*SPATIAL, Prior.L2])
def test_the_same_bits_for_every_number_of_threads(prior, rng):
    rhs, spectra, maps, _ = measured(rng, blocks((2, 17, 9)))
    one, two = (
        regularised(rhs, spectra, maps, prior=prior, max_iterations=6, threads=n).image
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_bad_input_is_refused(rng):
    rhs, spectra, maps, _ = measured(rng, blocks((1, 8, 8)))
    with pytest.raises(RecordError, match="rhs must be"):
        regularised(rhs[..., :4], spectra, maps, prior=Prior.TV)
    with pytest.raises(RecordError, match="subspace"):
        regularised(rhs, spectra, maps, prior=Prior.LLR)
    with pytest.raises(RecordError, match="guide needs"):
        regularised(rhs, spectra, maps, prior=Prior.TGV, guide=np.zeros((1, 8, 8)))
    with pytest.raises(RecordError, match="guide must be"):
        regularised(rhs, spectra, maps, prior=Prior.TV, guide=np.zeros((1, 8, 4)))
    for prior in Prior:
        if prior is not Prior.LLR:
            with pytest.raises(RecordError, match="weight"):
                regularised(rhs, spectra, maps, prior=prior, weight=-1.0)
            with pytest.raises(RecordError, match="measures nothing"):
                regularised(rhs, spectra, np.zeros_like(maps), prior=prior)
