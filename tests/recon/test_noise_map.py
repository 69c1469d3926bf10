"""Predicted noise against the diagonal of the covariance, dense and in double precision."""

import math

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.recon.fourier import image_to_kspace, kspace_to_image
from ultrahand.recon.noise_combs import choose_spacing, place_combs
from ultrahand.recon.noise_map import noise_of_sense
from ultrahand.recon.normal import normal_operator, spectra_of_mask, spectra_of_samples
from ultrahand.recon.sense import combine_coils


def loops(shape, n_coils, waist=0.5):
    """Wide Gaussians around the object with phases of their own."""
    z, y, x = positions(shape)
    maps = []
    for number in range(n_coils):
        angle = 2 * np.pi * number / n_coils
        square = (x - 0.5 * np.cos(angle)) ** 2 + (y - 0.5 * np.sin(angle)) ** 2
        square = square + (z - 0.3 * (-1) ** number) ** 2
        maps.append(np.exp(-square / waist + 1j * (angle + 2 * x * np.sin(3 * angle))))
    return np.array(maps)[:, None]


def positions(shape):
    axes = [(np.arange(n) - n // 2) / n for n in shape]
    return np.meshgrid(*axes, indexing="ij")


def ellipse(shape):
    z, y, x = positions(shape)
    return (x / 0.4) ** 2 + (y / 0.33) ** 2 + (z / 0.6) ** 2 < 1


def lattice(shape, rates, block=None):
    mask = np.zeros(shape)
    mask[tuple(slice(n // 2 % r, None, r) for n, r in zip(shape, rates, strict=True))] = 1
    if block:
        at = (
            slice(n // 2 - b // 2, n // 2 - b // 2 + b) for n, b in zip(shape, block, strict=True)
        )
        mask[tuple(at)] = 1
    return mask


def dense_sd(matrix, maps, weights, damping):
    """``diag`` of the covariance from the encoding matrix of one coil of constant sensitivity."""
    coils, sets = maps.shape[:2]
    flat = maps.reshape(coils, sets, 1, -1)
    encoding = np.concatenate([np.concatenate(list(matrix * coil), axis=1) for coil in flat])
    seen = np.any(maps != 0, axis=0).reshape(-1)
    part = encoding[:, seen] * np.sqrt(np.tile(weights.ravel(), coils))[:, None]
    normal = part.conj().T @ part
    inverse = np.linalg.inv(normal + damping * np.eye(len(normal)))
    sd = np.zeros(len(seen))
    sd[seen] = np.sqrt(np.einsum("ij,jk,ki->i", inverse, normal, inverse, optimize=True).real)
    return sd.reshape(maps.shape[1:])


def fourier_matrix(shape):
    size = math.prod(shape)
    units = np.eye(size, dtype=complex).reshape(size, *shape)
    return image_to_kspace(units, (1, 2, 3)).reshape(size, size).T


def errors(found, exact):
    return found.sd[exact > 0] / exact[exact > 0] - 1


@pytest.mark.parametrize("damping", [1e-3, 0.1])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rates", [(1, 2, 2), (1, 3, 1), (1, 1, 1)])
def test_a_lattice_is_exact_voxel_by_voxel_and_has_sharp_edges(rates, masked, damping):
    shape = (1, 24, 20)
    maps = loops(shape, 7) * (ellipse(shape) if masked else 1)
    mask = lattice(shape, rates)
    exact = dense_sd(fourier_matrix(shape), maps, mask, damping)
    found = noise_of_sense(spectra_of_mask(mask), maps.astype(np.complex64), damping)
    # The predictor is exact, the comb adds what is left after solving: a relative residual of 1 %
    # of v, of which a tooth sees its own share and half of that is in the standard deviation.
    assert np.abs(errors(found, exact)).max() < 0.02
    assert abs(np.median(errors(found, exact))) < 0.005
    assert found.converged
    assert not found.sd[exact == 0].any()


@pytest.mark.parametrize("shape", [(1, 36, 40), (1, 37, 41)])
def test_with_a_calibration_block_and_sizes_no_rate_divides(shape):
    maps = loops(shape, 8) * ellipse(shape)
    mask = lattice(shape, (1, 2, 2), (1, 6, 6))
    exact = dense_sd(fourier_matrix(shape), maps, mask, 1e-3)
    found = noise_of_sense(spectra_of_mask(mask), maps.astype(np.complex64), 1e-3, combs=4)
    rest = errors(found, exact)
    # The object is four teeth wide here and the block's lobe is as wide as a gap: nearly the worst
    # case. At the size of real images the long test below holds the accuracy asked.
    assert abs(np.median(rest)) < 0.02
    assert np.sqrt(np.mean(rest**2)) < 0.05
    assert_told(found.uncertainty, rest)


def assert_told(uncertainty, rest):
    """What one comb fewer misses at some teeth estimates the error everywhere, within 2."""
    error = np.sqrt(np.mean(rest**2))
    assert error / 2 < uncertainty < 2 * error + 0.02


@pytest.mark.parametrize("pattern", ["partial Fourier", "elliptical", "both"])
def test_where_the_map_is_poor_it_says_so(pattern):
    """Empty sides and corners of k-space and little damping: errors of tens of percent, told."""
    shape = (1, 32, 28)
    maps = loops(shape, 8) * ellipse(shape)
    mask = lattice(shape, (1, 2, 2), (1, 10, 10))
    if pattern != "elliptical":
        mask[:, :8] = 0
    if pattern != "partial Fourier":
        _, y, x = positions(shape)
        mask[y**2 + x**2 > 0.25] = 0
    exact = dense_sd(fourier_matrix(shape), maps, mask, 1e-3)
    found = noise_of_sense(spectra_of_mask(mask), maps.astype(np.complex64), 1e-3, combs=2)
    rest = errors(found, exact)
    error = np.sqrt(np.mean(rest**2))
    assert error > 0.1
    # Teeth of two combs see a few places only: right within a factor of 3, and told at 5 %.
    assert max(0.05, error / 3) < found.uncertainty < 3 * error


def test_a_volume_with_lines_fully_sampled():
    shape = (8, 12, 5)
    maps = loops(shape, 8)
    mask = lattice(shape, (2, 2, 1))
    exact = dense_sd(fourier_matrix(shape), maps, mask, 0.01)
    found = noise_of_sense(spectra_of_mask(mask), maps.astype(np.complex64), 0.01)
    assert found.spacing[2] == 1  # the readout couples nothing
    assert np.abs(errors(found, exact)).max() < 0.02


def test_partial_fourier_without_filling():
    """Half the lines are missing on one side: what the damping leaves is the truth here."""
    shape = (1, 32, 6)
    maps = loops(shape, 6)
    mask = np.ones(shape)
    mask[:, :10] = 0
    exact = dense_sd(fourier_matrix(shape), maps, mask, 0.3)
    found = noise_of_sense(spectra_of_mask(mask), maps.astype(np.complex64), 0.3, combs=2)
    rest = errors(found, exact)
    # The ends along y, beyond the last teeth, are a fifth too low at this size.
    assert abs(np.median(rest)) < 0.02
    assert np.sqrt(np.mean(rest**2)) < 0.08


def test_samples_anywhere():
    """A radial trajectory of 20 spokes for 63 of full sampling, by its own matrix."""
    shape, spokes = (1, 40, 40), 20
    angle = np.pi * np.arange(spokes) / spokes
    r = (np.arange(80) - 40) / 160 * 2
    k = np.stack([np.outer(np.cos(angle), r).ravel(), np.outer(np.sin(angle), r).ravel()], axis=1)
    _, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    matrix = np.exp(-2j * np.pi * (np.outer(k[:, 0], x.ravel()) + np.outer(k[:, 1], y.ravel())))
    matrix /= math.sqrt(math.prod(shape))
    maps = loops(shape, 6)
    exact = dense_sd(matrix, maps, np.ones(len(k)), 0.05)
    spectra = spectra_of_samples(k, [np.ones(len(k))], shape=shape, voxel_size_m=(1.0, 1.0, 1.0))
    found = noise_of_sense(spectra, maps.astype(np.complex64), 0.05, combs=4)
    rest = errors(found, exact)
    assert abs(np.median(rest)) < 0.02
    assert np.sqrt(np.mean(rest**2)) < 0.05


def test_two_sets_and_one_that_sees_nothing():
    shape = (1, 20, 24)
    maps = np.concatenate([loops(shape, 8), loops(shape, 8)[::-1] * 1j, 0 * loops(shape, 8)], 1)
    maps[:, 1, :, :8] = 0
    mask = lattice(shape, (1, 2, 1))
    exact = dense_sd(fourier_matrix(shape), maps, mask, 0.05)
    found = noise_of_sense(spectra_of_mask(mask), maps.astype(np.complex64), 0.05)
    assert np.abs(errors(found, exact)).max() < 0.03
    assert not found.sd[2].any()


def test_the_same_bits_for_every_number_of_threads():
    shape = (4, 18, 20)
    maps = loops(shape, 4).astype(np.complex64)
    spectra = spectra_of_mask(lattice(shape, (1, 2, 2), (4, 6, 6)))
    one, two = (noise_of_sense(spectra, maps, 0.01, threads=t) for t in (1, 2))
    np.testing.assert_array_equal(two.sd, one.sd)
    assert two.iterations == one.iterations


def test_maps_of_zeros_have_no_noise():
    spectra = spectra_of_mask(np.ones((1, 8, 8)))
    found = noise_of_sense(spectra, np.zeros((2, 1, 1, 8, 8), np.complex64), 0.1)
    assert not found.sd.any()
    assert found.solves == 0
    assert math.isnan(found.uncertainty)


@pytest.mark.parametrize(
    "wrong", [{"combs": 0}, {"tolerance": 0.0}, {"tolerance": 1.0}, {"damping": -1.0}]
)
def test_options_out_of_range_are_refused(wrong):
    spectra = spectra_of_mask(np.ones((1, 8, 8)))
    options = {"damping": 0.1, **wrong}
    with pytest.raises(RecordError):
        noise_of_sense(spectra, np.ones((2, 1, 1, 8, 8), np.complex64), **options)


def test_teeth_keep_off_the_aliasing_shifts():
    spread = np.zeros((1, 120, 120), np.complex64)
    spread[0, ::60, ::40] = 1  # R = 2 x 3
    _, y, x = choose_spacing(spread, (1, 120, 120))
    assert (y, x) == (7, 3)  # the smallest numbers that do not divide 60 and 40


def test_combs_lie_in_each_others_gaps_and_never_beside_the_image():
    combs = place_combs((1, 6, 9), (1, 30, 8), 4)
    teeth = np.zeros((1, 30, 8), int)
    for comb in combs:
        teeth[comb.teeth] += 1
    assert teeth.max() == 1
    assert len({c.first for c in combs}) == len(combs)
    assert (teeth.sum(axis=(0, 1)) > 0).sum() == 2


@pytest.mark.long
@pytest.mark.parametrize("masked", [False, True])
def test_300_realisations(masked, rng):
    """R = 2 x 2 with a calibration block: what is asked is a median within 2 %, and no more than 7
    % of the voxels outside twice the scatter of the reference (4.6 % would be by chance).
    """
    shape, damping, number = (1, 96, 100), 1e-3, 150  # images; both parts of each are a draw
    maps = (loops(shape, 8) * (ellipse(shape) if masked else 1)).astype(np.complex64)
    mask = lattice(shape, (1, 2, 2), (1, 20, 20))
    spectra = spectra_of_mask(mask)
    found = noise_of_sense(spectra, maps, damping)
    normal, power = normal_operator(spectra, maps), 0
    for _ in range(number):
        noise = (complex_normal(rng, (8, *shape)) * mask).astype(np.complex64)
        rhs = combine_coils(kspace_to_image(noise, (1, 2, 3)), maps)[None]
        solved = conjugate_gradient(normal.forward, rhs, damping=damping, tolerance=3e-3)
        power = power + np.abs(solved.value[0]) ** 2
    drawn = np.sqrt(power / (2 * number))
    ratio = found.sd[drawn > 0] / drawn[drawn > 0]
    assert abs(np.median(ratio) - 1) < 0.02
    assert np.mean(np.abs(ratio - 1) > 2 / math.sqrt(4 * number)) < 0.07
