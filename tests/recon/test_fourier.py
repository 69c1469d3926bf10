"""The centred orthonormal FFT against its definition."""

import numpy as np
import pytest

from laws import complex_normal
from reference.direct_sum import cartesian_points, direct_sum
from ultrahand.errors import RecordError
from ultrahand.recon.fourier import (
    from_fft_order,
    image_to_kspace,
    image_to_kspace_in_place,
    kspace_to_image,
    kspace_to_image_in_place,
    to_fft_order,
)

SHAPES = [(7, 8), (8, 7), (1, 5), (5, 6, 9), (6, 5, 4)]
ULP = {np.complex64: 1.2e-7, np.complex128: 2.3e-16}


@pytest.mark.parametrize("shape", SHAPES)
def test_transform_is_the_centred_sum_with_minus_sign(shape, rng):
    voxels = (1e-3, 2e-3, 3e-3)[: len(shape)]
    image = complex_normal(rng, shape)
    kspace = image_to_kspace(image, tuple(range(len(shape))))
    exact = direct_sum(image, cartesian_points(shape, voxels), voxels).reshape(shape)
    np.testing.assert_allclose(kspace, exact, atol=1e-13)


def test_a_point_along_x_gives_the_phase_ramp():
    image = np.zeros((4, 7), np.complex128)
    image[2, 7 // 2 + 2] = 1
    k = np.arange(7) - 7 // 2
    ramp = np.exp(-2j * np.pi * k * 2 / 7) / np.sqrt(7)
    np.testing.assert_allclose(image_to_kspace(image, (1,))[2], ramp, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("shape", SHAPES)
def test_round_trip_keeps_values_norm_and_precision(shape, dtype, rng):
    axes = tuple(range(-len(shape), 0))
    image = complex_normal(rng, (3, *shape)).astype(dtype)
    kspace = image_to_kspace(image, axes)
    back = kspace_to_image(kspace, axes)
    assert kspace.dtype == back.dtype == dtype
    tolerance = 20 * ULP[dtype]  # a few roundings for each of the log2 N stages
    assert np.linalg.norm(back - image) <= tolerance * np.linalg.norm(image)
    assert np.linalg.norm(kspace) == pytest.approx(np.linalg.norm(image), rel=tolerance)


def test_other_axes_are_a_batch(rng):
    image = complex_normal(rng, (3, 4, 5))
    each = np.stack([image_to_kspace(plane, (0,)) for plane in image])
    np.testing.assert_array_equal(image_to_kspace(image, (1,)), each)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_in_place_pair_works_in_its_argument(dtype, rng):
    image = complex_normal(rng, (5, 6, 9)).astype(dtype)
    work = to_fft_order(image, (0, 1, 2))
    kspace = image_to_kspace_in_place(work, (0, 1, 2))
    assert np.shares_memory(kspace, work)
    np.testing.assert_array_equal(
        from_fft_order(kspace, (0, 1, 2)), image_to_kspace(image, (0, 1, 2))
    )
    back = kspace_to_image_in_place(kspace, (0, 1, 2))
    assert np.shares_memory(back, work)
    np.testing.assert_allclose(from_fft_order(back, (0, 1, 2)), image, atol=100 * ULP[dtype])


def test_arguments_of_the_centred_pair_stay_as_they_were(rng):
    image = complex_normal(rng, (1, 5, 6))
    before = image.copy()
    image_to_kspace(image, (0,))
    kspace_to_image(image, (0, 1, 2))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_threads_do_not_change_bits(dtype, rng):
    image = complex_normal(rng, (3, 31, 17, 29)).astype(dtype)
    one = image_to_kspace(image, (1, 2, 3))
    for workers in (2, 3):
        np.testing.assert_array_equal(image_to_kspace(image, (1, 2, 3), workers=workers), one)


@pytest.mark.parametrize("axes", [(), (0, 0), (0, -2), (2,)])
def test_odd_axes_are_refused(axes):
    with pytest.raises(RecordError, match="axes"):
        image_to_kspace(np.ones((3, 4), np.complex64), axes)


def test_real_data_are_refused():
    with pytest.raises(RecordError, match="complex"):
        kspace_to_image(np.ones((3, 4), np.float32), (0,))
