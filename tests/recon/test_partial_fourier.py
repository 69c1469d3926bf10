"""POCS on objects whose complete k-space is known in closed form."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.recon.fourier import kspace_to_image
from ultrahand.recon.partial_fourier import fill_partial_fourier

IMAGE = (1, 2, 3)


def line(n, width, centre, slope, curve):
    r"""k-space of :math:`e^{-((x - c) / w)^2 + i (b x + q x^2)}`, x in voxels, one axis.

    :math:`\int e^{-a x^2 + l x} dx = \sqrt{\pi / a}\, e^{l^2 / 4 a}` with complex a and l.
    """
    k = (np.arange(n) - n // 2) / n
    a = 1 / width**2 - 1j * curve
    linear = 2 * centre / width**2 + 1j * (slope - 2 * np.pi * k)
    full = np.sqrt(np.pi / a) * np.exp(linear**2 / (4 * a) - (centre / width) ** 2)
    return full / np.sqrt(n)


def object_kspace(shape, phase=1.0):
    """Sharp Gaussian beads, all with one smooth quadratic phase, in two coils; complex128."""
    bends = [(0.02, 0.004), (-0.03, 0.003), (0.05, -0.002)]
    beads = [(1.0, 1.4), (-1.5, 1.8), (2.2, 1.3)]
    kspace = np.zeros(shape, complex)
    for number, (place, width) in enumerate(beads):
        axes = [
            line(n, width if n > 1 else 1.0, place * n / 9, phase * b, phase * q)
            for n, (b, q) in zip(shape, bends, strict=True)
        ]
        kspace += (number + 1) * np.multiply.outer(np.multiply.outer(*axes[:2]), axes[2])
    return np.stack([kspace, 0.5j * kspace])


def missing(shape, axis, first=0, stop=None):
    sampled = np.zeros(shape, bool)
    sampled[tuple(slice(first, stop) if a == axis else slice(None) for a in range(3))] = True
    return sampled


# What filling leaves of the error of zeros.
MASKS = {
    "even, low end": (missing((1, 40, 36), 1, first=13), 0.2),
    "even, high end": (missing((1, 40, 36), 2, stop=26), 0.2),
    "odd, low end": (missing((1, 37, 33), 1, first=12), 0.2),
    "odd, high end": (missing((9, 37, 33), 2, stop=23), 0.2),
    "partial echo and partial Fourier": (
        missing((1, 41, 36), 1, first=13) & missing((1, 41, 36), 2, stop=28),
        0.3,  # the corners beside the data are known from the phase alone
    ),
    "three axes": (
        missing((18, 37, 32), 0, stop=13)
        & missing((18, 37, 32), 1, first=10)
        & missing((18, 37, 32), 2, stop=25),
        0.3,
    ),
}


@pytest.fixture(params=MASKS.values(), ids=MASKS.keys())
def case(request):
    sampled, expected = request.param
    return object_kspace(sampled.shape), sampled, expected


def distance(kspace, full):
    return np.linalg.norm(kspace - full) / np.linalg.norm(full)


def test_filling_beats_zeros(case):
    full, sampled, expected = case
    zeros = distance(np.where(sampled, full, 0), full)
    found = fill_partial_fourier(full, sampled)
    assert found.converged
    assert zeros > 0.05  # there is something to win
    # What is left is the error of the phase, which the symmetric centre shows at low resolution.
    assert distance(found.value, full) < expected * zeros


def test_acquired_samples_stay_bit_for_bit(case):
    full, sampled, _ = case
    kspace = full.astype(np.complex64)
    found = fill_partial_fourier(kspace, sampled)
    assert found.value.dtype == np.complex64
    np.testing.assert_array_equal(found.value[:, sampled], kspace[:, sampled])


def test_what_stands_where_nothing_was_sampled_is_not_read(case):
    full, sampled, _ = case
    clean = fill_partial_fourier(np.where(sampled, full, 0), sampled).value
    junk = fill_partial_fourier(np.where(sampled, full, np.nan), sampled).value
    np.testing.assert_array_equal(clean, junk)


def test_a_real_object_is_completed_by_conjugation():
    """Without phase the missing half is the mirror image of the other."""
    shape = (1, 33, 25)  # odd: every position has a mirror image
    full = object_kspace(shape, phase=0.0)
    sampled = missing(shape, 1, first=10)
    found = fill_partial_fourier(full, sampled, tolerance=1e-6, max_iterations=500)
    assert distance(found.value, full) <= 1e-5  # float32 through the transforms


def test_noise_is_not_rectified(rng):
    """Along the phase noise keeps mean zero; a magnitude would give it sqrt(2 / pi)."""
    shape = (1, 64, 48)
    full = object_kspace(shape) * 0 + complex_normal(rng, (2, *shape))
    full[:, 0, 32, 24] += 1e4  # a strong origin: the phase is 0 everywhere
    image = kspace_to_image(fill_partial_fourier(full, missing(shape, 1, first=20)).value, IMAGE)
    noise = image[:, 0] - 1e4 / np.sqrt(64 * 48)
    assert abs(noise.real.mean()) <= 4 * noise.real.std() / np.sqrt(noise.size / 2)
    assert 0.5 <= noise.real.std() <= 1.5


def test_coils_do_not_see_each_other(case, rng):
    full, sampled, _ = case
    alone = fill_partial_fourier(full[:1], sampled)
    crowd = np.concatenate([full[:1], complex_normal(rng, full.shape)])
    together = fill_partial_fourier(crowd, sampled)
    np.testing.assert_array_equal(together.value[:1], alone.value)


def test_threads_do_not_change_bits(case):
    full, sampled, _ = case
    one, two = (fill_partial_fourier(full, sampled, workers=n) for n in (1, 2))
    np.testing.assert_array_equal(one.value, two.value)
    assert (one.iterations, one.residual) == (two.iterations, two.residual)


def test_scale_of_the_data_does_not_matter(case):
    full, sampled, _ = case
    one = fill_partial_fourier(full, sampled)
    small = fill_partial_fourier(full * 2.0**-40, sampled)
    assert one.iterations == small.iterations
    np.testing.assert_array_equal(one.value, small.value * np.float32(2.0**40))


def test_complete_data_come_back_at_once(rng):
    full = complex_normal(rng, (2, 3, 4, 5)).astype(np.complex64)
    found = fill_partial_fourier(full, np.ones((3, 4, 5), bool))
    assert (found.iterations, found.converged) == (0, True)
    np.testing.assert_array_equal(found.value, full)


def test_what_has_no_mirror_image_stays_zero(rng):
    """A zero-filled matrix: 21 of 40 lines around the origin, four of them on one side only."""
    sampled = missing((1, 40, 6), 1, first=12, stop=25)
    found = fill_partial_fourier(complex_normal(rng, (1, 1, 40, 6)), sampled)
    filled = np.flatnonzero(np.abs(found.value[0, 0]).sum(axis=1))
    np.testing.assert_array_equal(filled, np.arange(12, 29))


def test_giving_up_is_said(case):
    full, sampled, _ = case
    found = fill_partial_fourier(full, sampled, tolerance=1e-9, max_iterations=2)
    assert (found.iterations, found.converged) == (2, False)
    assert found.residual >= 1e-9


def test_data_stay_as_they_were(case):
    full, sampled, _ = case
    before = full.copy()
    fill_partial_fourier(full, sampled)
    np.testing.assert_array_equal(full, before)


def every_other(shape):
    sampled = np.ones(shape, bool)
    sampled[:, 1::2] = False
    return sampled


@pytest.mark.parametrize(
    ("sampled", "message"),
    [
        (every_other((1, 8, 6)), "without gaps"),
        (missing((1, 8, 6), 1, first=5), "do not surround the origin 4"),
        (missing((1, 8, 6), 1, first=4), "do not surround the origin 4"),
        (np.zeros((1, 8, 6), bool), "nothing"),
        (np.ones((1, 6, 8), bool), "must be"),
    ],
)
def test_other_patterns_are_refused(sampled, message):
    with pytest.raises(RecordError, match=message):
        fill_partial_fourier(np.ones((2, 1, 8, 6), np.complex64), sampled)


def test_nan_in_the_data_is_refused():
    kspace = np.ones((1, 1, 8, 6), np.complex64)
    kspace[0, 0, 5, 3] = np.nan
    with pytest.raises(RecordError, match="finite"):
        fill_partial_fourier(kspace, missing((1, 8, 6), 1, first=2))
