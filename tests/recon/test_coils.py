"""Combining coils: what is left of the signal, its phase and its noise."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.recon.coils import adaptive_combine, root_sum_of_squares


def grid(shape):
    return np.meshgrid(*[np.linspace(-1, 1, n) if n > 1 else [0.0] for n in shape], indexing="ij")


def smooth_coils(n_coils, shape):
    """Coils around the object: Gaussian reach, linear phase. Shape (coils, z, y, x)."""
    z, y, x = grid(shape)
    angles = 2 * np.pi * np.arange(n_coils) / n_coils
    return np.stack(
        [
            np.exp(-0.4 * ((x - np.cos(a)) ** 2 + (y - np.sin(a)) ** 2 + z**2))
            * np.exp(1j * (a + 0.3 * x - 0.2 * y * np.cos(a) + 0.2 * z))
            for a in angles
        ]
    )


def test_root_sum_of_squares_over_coils(rng):
    images = complex_normal(rng, (3, 4, 5, 7)).astype(np.complex64)
    found = root_sum_of_squares(images, threads=2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.linalg.norm(images, axis=0), rtol=3e-7)


def test_one_coil_stays_as_it_is(rng):
    image = complex_normal(rng, (1, 3, 5, 7)).astype(np.complex64)
    np.testing.assert_allclose(adaptive_combine(image), image[0], rtol=1e-6)


def step(unit, axis, order):
    """The largest difference between neighbours along an axis, over all coils."""
    steps = np.diff(unit, order, axis) if unit.shape[axis] > order else np.zeros((1, 1))
    return np.linalg.norm(steps, axis=0).max()


@pytest.mark.parametrize("shape", [(1, 40, 37), (14, 20, 17)])
def test_signal_is_kept_and_takes_the_phase_of_the_virtual_coil(shape):
    coils = smooth_coils(6, shape)
    _z, y, x = grid(shape)
    rho = 50 * (1.5 + np.cos(3 * x) * np.cos(2 * y)) * np.exp(1j * (x * y + 2 * y))
    images = (rho * coils).astype(np.complex64)
    found = adaptive_combine(images, radius=2, spacing=1)
    sensitivity = np.linalg.norm(coils, axis=0)
    # The block's eigenvector lies among the unit sensitivities in the block, off the centre's by
    # no more than the block's half width times their steps; half the square is lost.
    unit = coils / sensitivity
    angle = 2 * sum(step(unit, axis, 1) for axis in (1, 2, 3))
    ratio = np.abs(found) / (np.abs(rho) * sensitivity)
    assert ratio.max() <= 1 + 1e-5
    assert ratio.min() >= 1 - angle**2 / 2
    flat = images.reshape(6, -1).astype(np.complex128)
    virtual = np.linalg.eigh(flat @ flat.conj().T)[1][:, -1]
    phase = found * np.conj(np.tensordot(virtual.conj(), images, 1))
    phase *= np.conj(phase.sum()) / abs(phase.sum())  # the virtual coil's own is free
    seen = np.abs(np.tensordot(virtual.conj(), unit, 1))
    assert (np.abs(np.angle(phase)) <= 2 * angle / seen).all()


@pytest.mark.parametrize("shape", [(1, 50, 43), (18, 22, 19)])
def test_coarse_weights_agree_with_weights_in_every_voxel(shape):
    coils = smooth_coils(8, shape)
    _, y, x = grid(shape)
    images = (40 * (1.2 + np.sin(5 * x + y)) * coils).astype(np.complex64)
    fine = adaptive_combine(images, spacing=1)
    coarse = adaptive_combine(images, spacing=4)
    # Linear interpolation over h voxels errs by h^2 / 8 of the second difference along each axis;
    # making it unit again can double that. The weights are as smooth as the unit sensitivities.
    unit = coils / np.linalg.norm(coils, axis=0)
    second = sum(step(unit, axis, 2) for axis in (1, 2, 3))
    bound = 2 * 4**2 / 8 * second * np.linalg.norm(images, axis=0)
    # The phase is taken over so many estimates, coarse or fine; what is combined is the magnitude.
    difference = np.abs(np.abs(coarse) - np.abs(fine))
    assert (difference <= bound + 1e-5).all()
    assert difference.max() > 1e-5  # they are not the same computation


def test_noise_under_signal_keeps_unit_variance(rng):
    shape, n_coils = (12, 24, 26), 8
    coils = smooth_coils(n_coils, shape)
    signal = 300 * coils / np.linalg.norm(coils, axis=0)
    noise = complex_normal(rng, signal.shape)
    clean = adaptive_combine(signal.astype(np.complex64))
    noisy = adaptive_combine((signal + noise).astype(np.complex64))
    left = noisy - clean
    # sd of a variance from N draws is sqrt(2 / N); four of them, and as much again because blocks
    # of 343 voxels fit 8 complex weights to their own noise.
    bound = 4 * np.sqrt(2 / left.size) + 2 * n_coils / 343
    assert left.real.var() == pytest.approx(1, abs=bound)
    assert left.imag.var() == pytest.approx(1, abs=bound)


@pytest.mark.parametrize("shape", [(1, 60, 62), (20, 24, 22)])
def test_noise_alone_stays_within_the_law_of_marchenko_and_pastur(shape, rng):
    n_coils = 6
    noise = complex_normal(rng, (n_coils, *shape)).astype(np.complex64)
    found = adaptive_combine(noise, radius=3)
    widths = [
        np.minimum(np.arange(n) + 3, n - 1) - np.maximum(np.arange(n) - 3, 0) + 1 for n in shape
    ]
    block = np.multiply.outer(np.multiply.outer(*widths[:2]), widths[2])
    highest = np.mean((1 + np.sqrt(n_coils / block)) ** 2)
    spread = 4 * np.sqrt(2 / found.size)  # four standard errors of a variance
    for part in (found.real, found.imag):
        assert 1 - spread <= part.var() <= highest * (1 + spread)


def test_unitary_mixing_of_coils_does_not_change_the_magnitude(rng):
    images = 20 * smooth_coils(4, (6, 12, 13)) + complex_normal(rng, (4, 6, 12, 13))
    mixing = np.linalg.qr(complex_normal(rng, (4, 4)))[0]
    mixed = np.tensordot(mixing, images, 1)
    one, other = (np.abs(adaptive_combine(i.astype(np.complex64))) for i in (images, mixed))
    np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(images).max() * 10)


@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (2, 1, 1, 1), (4, 1, 9, 2)])
def test_number_of_threads_does_not_change_bits(shape, rng):
    images = (complex_normal(rng, shape) + 3).astype(np.complex64)
    one, two = (adaptive_combine(images, threads=n) for n in (1, 2))
    assert one.dtype == np.complex64
    np.testing.assert_array_equal(one, two)
    rss = [root_sum_of_squares(images, threads=n) for n in (1, 2)]
    np.testing.assert_array_equal(*rss)


def test_images_stay_as_they_were(rng):
    images = complex_normal(rng, (3, 4, 5, 7)).astype(np.complex64)
    before = images.copy()
    adaptive_combine(images)
    root_sum_of_squares(images)
    np.testing.assert_array_equal(images, before)


def test_no_signal_at_all_gives_zero():
    np.testing.assert_array_equal(adaptive_combine(np.zeros((2, 3, 4, 5), np.complex64)), 0)


def test_nan_is_refused_with_its_coil():
    images = np.ones((3, 1, 4, 5), np.complex64)
    images[1, 0, 2, 3] = np.nan
    with pytest.raises(RecordError, match="coil 1"):
        adaptive_combine(images)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 4, 5), {}, "coils, z, y, x"),
        ((0, 1, 4, 5), {}, "coils, z, y, x"),
        ((2, 1, 4, 5), {"radius": -1}, "radius"),
        ((2, 1, 4, 5), {"spacing": 0}, "spacing"),
    ],
)
def test_nonsense_is_refused(shape, options, message):
    with pytest.raises(RecordError, match=message):
        adaptive_combine(np.ones(shape, np.complex64), **options)
