"""Predicted noise against the diagonal of the covariance, dense and in double precision."""

import math

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.recon.beyond import beyond_mask, beyond_samples, norm_of
from ultrahand.recon.fourier import image_to_kspace, kspace_to_image
from ultrahand.recon.noise_map import noise_of_sense
from ultrahand.recon.noise_readings import random_phases, smoothed
from ultrahand.recon.normal import normal_operator, spectra_of_mask, spectra_of_samples
from ultrahand.recon.preconditioner import smoothed_density
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


def dense_sd(matrix, maps, weights, damping, held=0.0):
    """``diag`` of the covariance from the encoding matrix of one coil of constant sensitivity.

    ``held`` is what each cell of k-space, ``(z, y, x)``, origin in the middle, is held with.
    """
    coils, sets = maps.shape[:2]
    flat = maps.reshape(coils, sets, 1, -1)
    encoding = np.concatenate([np.concatenate(list(matrix * coil), axis=1) for coil in flat])
    seen = np.any(maps != 0, axis=0).reshape(-1)
    part = encoding[:, seen] * np.sqrt(np.tile(weights.ravel(), coils))[:, None]
    normal = part.conj().T @ part
    whole = normal + damping * np.eye(len(normal))
    if np.any(held):
        norm = np.sqrt((np.abs(maps[:, 0]) ** 2).sum(axis=0)).reshape(-1)
        rows = fourier_matrix(maps.shape[2:])[:, seen] * norm[seen]
        whole += rows.conj().T @ (np.ravel(held)[:, None] * rows)
    inverse = np.linalg.inv(whole)
    sd = np.zeros(len(seen))
    sd[seen] = np.sqrt(np.einsum("ij,jk,ki->i", inverse, normal, inverse, optimize=True).real)
    return sd.reshape(maps.shape[1:])


def held_of(mask):
    """Of every cell, origin in the middle."""
    return np.broadcast_to(np.fft.fftshift(beyond_mask(spectra_of_mask(mask))), mask.shape)


def both_ways(spectra, maps, damping):
    """Of the dense matrix, and from readings."""
    maps = maps.astype(np.complex64)
    return [noise_of_sense(spectra, maps, damping, exact_work=work) for work in (1e12, 0)]


def fourier_matrix(shape):
    size = math.prod(shape)
    units = np.eye(size, dtype=complex).reshape(size, *shape)
    return image_to_kspace(units, (1, 2, 3)).reshape(size, size).T


def errors(found, exact):
    return found.sd[exact > 0] / exact[exact > 0] - 1


PATTERNS = {
    "R = 1": {"rates": (1, 1, 1)},
    "R = 2 x 2": {"rates": (1, 2, 2)},
    "R = 3": {"rates": (1, 3, 1)},
    "block": {"rates": (1, 2, 2), "block": (1, 6, 6)},
    "partial Fourier": {"rates": (1, 2, 2), "block": (1, 10, 10), "side": 8},
    "elliptical": {"rates": (1, 2, 2), "block": (1, 10, 10), "ellipse": True},
    "both": {"rates": (1, 2, 2), "block": (1, 10, 10), "side": 8, "ellipse": True},
}


def pattern(shape, rates, block=None, side=0, ellipse=False):
    mask = lattice(shape, rates, block)
    mask[:, :side] = 0
    if ellipse:
        _, y, x = positions(shape)
        mask[y**2 + x**2 > 0.25] = 0
    return mask


@pytest.mark.parametrize("damping", [1e-3, 0.1])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(1, 24, 28), (1, 23, 27)])
@pytest.mark.parametrize("name", PATTERNS)
def test_few_voxels_have_the_diagonal_itself(name, shape, masked, damping):
    maps = loops(shape, 7) * (ellipse(shape) if masked else 1)
    mask = pattern(shape, **PATTERNS[name])
    exact = dense_sd(fourier_matrix(shape), maps, mask, damping, held_of(mask))
    found = noise_of_sense(spectra_of_mask(mask), maps.astype(np.complex64), damping)
    # Maps and spectra are rounded to 6e-8 of N's largest values, 1 to 3, beside lambda.
    np.testing.assert_allclose(found.sd, exact, rtol=1e-5 + 3e-7 / damping)
    assert (found.uncertainty, found.vectors) == (0, 0)


@pytest.mark.parametrize("rates", [(1, 2, 2), (1, 3, 1), (1, 1, 1)])
def test_readings_of_a_lattice_are_right_voxel_by_voxel_and_have_sharp_edges(rates):
    shape = (1, 24, 20)
    maps = loops(shape, 7) * ellipse(shape)
    mask = lattice(shape, rates)
    exact = dense_sd(fourier_matrix(shape), maps, mask, 1e-3)
    _, found = both_ways(spectra_of_mask(mask), maps, 1e-3)
    # The model is exact: what is left is the scatter of the readings' mean and of the solutions.
    assert np.sqrt(np.mean(errors(found, exact) ** 2)) < 0.02
    assert found.converged
    assert not found.sd[exact == 0].any()


@pytest.mark.parametrize("name", list(PATTERNS)[3:])
@pytest.mark.parametrize("shape", [(1, 36, 40), (1, 37, 41)])
def test_readings_come_near_the_diagonal_and_say_how_near(name, shape):
    maps = loops(shape, 8) * ellipse(shape)
    mask = pattern(shape, **PATTERNS[name])
    exact = dense_sd(fourier_matrix(shape), maps, mask, 1e-3, held_of(mask))
    _, found = both_ways(spectra_of_mask(mask), maps, 1e-3)
    rest = errors(found, exact)
    error = np.sqrt(np.mean(rest**2))
    assert abs(np.median(rest)) < 0.02
    assert error < 0.1  # 64 vectors: twice the scatter of readings of elliptical scans
    # The estimate holds the scatter of the bias, so it may be above; a third below of 64 readings.
    assert error / 1.5 < found.uncertainty < 2 * error + 0.01


@pytest.mark.parametrize("damping", [1e-3, 1e-5])
def test_readings_where_maps_end_softly(damping):
    """C grows to 1 / (4 lambda) there; the image that the coils see does not, nor the error."""
    shape = (1, 48, 40)
    _, y, x = positions(shape)
    soft = np.clip((1.2 - np.hypot(x / 0.4, y / 0.33)) / 0.3, 0, 1) ** 3
    maps = (loops(shape, 8) * soft).astype(np.complex64)
    whole, read = both_ways(spectra_of_mask(lattice(shape, (1, 2, 2), (1, 10, 10))), maps, damping)
    exact, found = whole.sd * norm_of(maps), read.sd * norm_of(maps)
    bright = exact**2 > 0.05 * np.mean(exact[exact > 0] ** 2)
    error = np.sqrt(np.mean((found[bright] / exact[bright] - 1) ** 2))
    assert bright.mean() > 0.4
    assert error < 0.02
    assert error / 1.5 < read.uncertainty < 0.02


def test_few_voxels_at_the_rim_of_a_large_plane_have_the_diagonal_itself():
    shape = (1, 160, 144)
    maps = np.zeros((4, 1, *shape), np.complex64)
    maps[:, 0, 0, 70:73, 100:140] = 1e-3 * loops(shape, 4)[:, 0, 0, 70:73, 100:140]
    found = noise_of_sense(spectra_of_mask(lattice(shape, (1, 2, 2))), maps, 1e-6)
    assert (found.uncertainty, found.vectors) == (0, 0)
    assert np.count_nonzero(found.sd) == 120


def test_a_volume_with_lines_fully_sampled():
    shape = (8, 12, 5)
    maps = loops(shape, 8)
    mask = lattice(shape, (2, 2, 1))
    exact = dense_sd(fourier_matrix(shape), maps, mask, 0.01)
    whole, read = both_ways(spectra_of_mask(mask), maps, 0.01)
    np.testing.assert_allclose(whole.sd, exact, rtol=1e-4)
    assert np.sqrt(np.mean(errors(read, exact) ** 2)) < 0.02


@pytest.mark.parametrize("n", [40, 41])
def test_samples_anywhere(n):
    """A radial trajectory of 20 spokes for 63 of full sampling, by its own matrix."""
    shape, spokes = (1, n, n), 20
    angle = np.pi * np.arange(spokes) / spokes
    r = (np.arange(80) - 40) / 160 * 2
    k = np.stack([np.outer(np.cos(angle), r).ravel(), np.outer(np.sin(angle), r).ravel()], axis=1)
    _, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    matrix = np.exp(-2j * np.pi * (np.outer(k[:, 0], x.ravel()) + np.outer(k[:, 1], y.ravel())))
    matrix /= math.sqrt(math.prod(shape))
    maps = loops(shape, 6) * (0.3 + positions(shape)[1] ** 2)  # whose norm is not one
    spectra = spectra_of_samples(k, [np.ones(len(k))], shape=shape, voxel_size_m=(1.0, 1.0, 1.0))
    held = np.fft.fftshift(beyond_samples(smoothed_density(spectra))[0])
    assert 0.1 < (held > 0).mean() < 0.3  # corners about the disc
    exact = dense_sd(matrix, maps, np.ones(len(k)), 0.05, held)
    whole, read = both_ways(spectra, maps, 0.05)
    np.testing.assert_allclose(whole.sd, exact, rtol=1e-3)  # spectra are good to 1e-6 of the middle
    rest = errors(read, exact)
    assert abs(np.median(rest)) < 0.02
    assert np.sqrt(np.mean(rest**2)) / 1.5 < read.uncertainty < 0.08


def test_two_sets_and_one_that_sees_nothing():
    shape = (1, 20, 24)
    maps = np.concatenate([loops(shape, 8), loops(shape, 8)[::-1] * 1j, 0 * loops(shape, 8)], 1)
    maps[:, 1, :, :8] = 0
    mask = lattice(shape, (1, 2, 1))
    exact = dense_sd(fourier_matrix(shape), maps, mask, 0.05)
    whole, read = both_ways(spectra_of_mask(mask), maps, 0.05)
    np.testing.assert_allclose(whole.sd, exact, rtol=1e-4, atol=1e-9)
    assert np.sqrt(np.mean(errors(read, exact) ** 2)) < 0.05
    assert not whole.sd[2].any()
    assert not read.sd[2].any()


@pytest.mark.parametrize("work", [0, 1e12])
def test_the_same_bits_for_every_number_of_threads(work):
    shape = (4, 18, 20)
    maps = loops(shape, 4).astype(np.complex64)
    spectra = spectra_of_mask(lattice(shape, (1, 2, 2), (4, 6, 6)))
    options = {"exact_work": work, "enough": 0.05}
    one, two = (noise_of_sense(spectra, maps, 0.01, threads=t, **options) for t in (1, 2))
    np.testing.assert_array_equal(two.sd, one.sd)
    assert two.iterations == one.iterations


def test_maps_of_zeros_have_no_noise():
    spectra = spectra_of_mask(np.ones((1, 8, 8)))
    for work in (0, 1e12):
        found = noise_of_sense(
            spectra, np.zeros((2, 1, 1, 8, 8), np.complex64), 0.1, exact_work=work
        )
        assert not found.sd.any()
        assert found.iterations == 0


@pytest.mark.parametrize(
    "wrong", [{"enough": 0.0}, {"tolerance": 0.0}, {"tolerance": 1.0}, {"damping": -1.0}]
)
def test_options_out_of_range_are_refused(wrong):
    spectra = spectra_of_mask(np.ones((1, 8, 8)))
    options = {"damping": 0.1, **wrong}
    with pytest.raises(RecordError):
        noise_of_sense(spectra, np.ones((2, 1, 1, 8, 8), np.complex64), **options)


def test_readings_of_a_known_covariance():
    """Neighbours share half of their noise: a reading scatters by sqrt(4 / 4 / 2) of the value."""
    n, reads = 4096, np.zeros((2, 1, 1, 4096))
    truth = 1 + 0.2 * np.sin(np.arange(n) / 300)
    for number in range(16):
        v = random_phases(np.ones((1, 1, n), bool), number)[0, 0]
        half = np.sqrt(truth) * v
        seen = half + 0.5 * (np.roll(half, 1) + np.roll(half, -1))
        reads[number % 2, 0, 0] += (v.conj() * np.sqrt(truth) * seen).real / 8
    found = smoothed((reads[0], reads[1]), np.ones((1, 1, n), bool))
    scatter = reads.mean(axis=0)[0, 0] - truth
    # Of 16 vectors: sqrt(2 * 0.25 / 2 / 16) = 0.125; of 4096 voxels that to 5 % is ample.
    assert scatter.std() == pytest.approx(0.125, rel=0.05)
    error = np.sqrt(np.mean((found.values[0, 0] - truth) ** 2))
    assert found.width == 16  # the smoothest offered: the truth turns over hundreds of voxels
    assert error < 0.3 * 0.125
    assert error / 1.5 < found.error < 0.08


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
    found = noise_of_sense(spectra, maps, damping, exact_work=0)
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
