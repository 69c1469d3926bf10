"""Compiled loops against plain numpy, on shapes that cannot be confused."""

import numpy as np
import pytest

from laws import complex_normal
from reference import coil_combination as slow
from ultrahand import kernels

SHAPES = [(3, 4, 5, 7), (5, 1, 9, 4), (2, 1, 1, 1), (1, 3, 1, 2), (4, 2, 6, 1)]


def coil_images(rng, shape):
    """Smooth signal in every coil, so that the covariance has one dominant eigenvalue, and noise.

    The dominant eigenvalue is then some ten times the next: the power iteration's 1e-7 holds.
    """
    sensitivity = complex_normal(rng, (shape[0], 1, 1, 1))
    return (10 * sensitivity + complex_normal(rng, shape)).astype(np.complex64)


@pytest.mark.parametrize("shape", [(3, 1), (1, 7), (5, 2048), (2, 2049), (4, 10_000)])
def test_add_squares_adds_the_sum_over_coils(shape, rng):
    images = complex_normal(rng, shape).astype(np.complex64)
    out = rng.uniform(0, 1, shape[1]).astype(np.float32)
    expected = out + np.sum(np.abs(images.astype(np.complex128)) ** 2, axis=0)
    kernels.add_squares(images, out)
    np.testing.assert_allclose(out, expected, rtol=3e-7)  # two roundings to float32


@pytest.mark.parametrize("radius", [(0, 1, 2), (1, 1, 1), (9, 9, 9)])
@pytest.mark.parametrize("shape", SHAPES)
def test_walsh_is_the_dominant_eigenvector_of_the_block(shape, radius, rng):
    images = coil_images(rng, shape)
    at = [np.arange(0, n, 2) for n in shape[1:]]
    out = np.full((*map(len, at), shape[0]), np.nan, np.complex64)
    kernels.walsh(images, *at, np.array(radius), out)
    # The kernel stops at steps of 1e-7; float32 output and the eigenvalue gap allow 1e-5.
    np.testing.assert_allclose(out, slow.walsh(images, at, radius), atol=1e-5)


def test_walsh_gives_zero_where_the_block_is_empty():
    images = np.zeros((2, 1, 1, 9), np.complex64)
    images[:, 0, 0, 8] = 3, 4j
    out = np.full((1, 1, 2, 2), np.nan, np.complex64)
    kernels.walsh(images, *(np.array([0]),) * 2, np.array([0, 8]), np.array([1, 1, 1]), out)
    np.testing.assert_array_equal(out[0, 0, 0], 0)
    np.testing.assert_allclose(out[0, 0, 1], [-0.6j, 0.8], atol=1e-7)


def test_walsh_has_no_preferred_scale(rng):
    images = coil_images(rng, (3, 1, 4, 5))
    at, radius = [np.arange(n) for n in (1, 4, 5)], np.array([1, 1, 1])
    weak, strong = (np.empty((1, 4, 5, 3), np.complex64) for _ in range(2))
    kernels.walsh(images * np.float32(2.0**-60), *at, radius, weak)
    kernels.walsh(images * np.float32(2.0**60), *at, radius, strong)
    np.testing.assert_array_equal(weak, strong)


@pytest.mark.parametrize("shape", SHAPES)
def test_plane_covariances_add_over_planes(shape, rng):
    images = coil_images(rng, shape)
    out = np.full((shape[1], shape[0], shape[0]), np.nan, np.complex128)
    kernels.plane_covariances(images, out)
    flat = images.astype(np.complex128)
    expected = np.einsum("azyx,bzyx->zab", flat, flat.conj())
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12 * abs(expected).max())


@pytest.mark.parametrize("n", [1, 2, 7])
def test_dominant_eigenvector_of_a_matrix(n, rng):
    root = complex_normal(rng, (n, 3 * n)) + 5 * complex_normal(rng, (n, 1))
    covariance = root @ root.conj().T
    out = np.empty(n, np.complex128)
    kernels.dominant_eigenvector(covariance, out)
    np.testing.assert_allclose(out, slow.dominant(covariance), atol=1e-6)


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_combine_interpolates_unit_weights(shape, step, rng):
    images = coil_images(rng, shape)
    at = [np.unique(np.append(np.arange(0, n, step), n - 1)) for n in shape[1:]]
    weights = complex_normal(rng, (*map(len, at), shape[0])) + 4
    weights = (weights / np.linalg.norm(weights, axis=-1, keepdims=True)).astype(np.complex64)
    out = np.full(shape[1:], np.nan, np.complex64)
    kernels.combine(images, weights, *at, out)
    expected = slow.combine(images, weights, at)
    np.testing.assert_allclose(out, expected, atol=1e-5 * np.abs(images).max())


@pytest.mark.parametrize("half", [0, 1, 2])
def test_steady_turns_weights_to_the_eigenvector_around_them(half, rng):
    """Neighbours alike, as coils make them: four steps of the power iteration then suffice."""
    weights = complex_normal(rng, (2, 5, 4, 3)) * 0.05 + np.array([1.0, 0.5j, -0.7])
    weights *= np.exp(2j * np.pi * rng.uniform(size=weights.shape[:3]))[..., None]
    weights = (weights / np.linalg.norm(weights, axis=-1, keepdims=True)).astype(np.complex64)
    power = rng.uniform(1, 3, weights.shape[:3]).astype(np.float32)
    reference = np.array([0.8, 0.3 + 0.2j, -0.2], np.complex128)
    out = np.full_like(weights, np.nan)
    kernels.steady(weights, power, half, reference, out)
    np.testing.assert_allclose(out, slow.steady(weights, power, half, reference), atol=1e-5)


def test_combine_without_weights_gives_zero():
    at = [np.array([0]), np.array([0]), np.array([0, 1])]
    out = np.full((1, 1, 2), np.nan, np.complex64)
    images, weights = np.ones((2, 1, 1, 2), np.complex64), np.zeros((1, 1, 2, 2), np.complex64)
    kernels.combine(images, weights, *at, out)
    np.testing.assert_array_equal(out, 0)


def test_number_of_threads_does_not_change_bits(rng):
    images = coil_images(rng, (3, 9, 14, 17))
    at = [np.unique(np.append(np.arange(0, n, 3), n - 1)) for n in images.shape[1:]]
    results = []
    for n in (1, 2):
        with kernels.threads(n):
            squares = np.zeros(images[0].size, np.float32)
            weights = np.empty((*map(len, at), 3), np.complex64)
            combined = np.empty(images.shape[1:], np.complex64)
            kernels.add_squares(images.reshape(3, -1), squares)
            kernels.walsh(images, *at, np.array([1, 2, 2]), weights)
            turned = np.empty_like(weights)
            power = np.ones(weights.shape[:3], np.float32)
            kernels.steady(weights, power, 1, np.ones(3, np.complex128), turned)
            kernels.combine(images, turned, *at, combined)
            planes = np.empty((9, 3, 3), np.complex128)
            kernels.plane_covariances(images, planes)
        results.append((squares, weights, turned, combined, planes))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_kernels_leave_their_inputs(rng):
    images = coil_images(rng, (3, 4, 5, 7))
    before = images.copy()
    at = [np.arange(n) for n in (4, 5, 7)]
    weights = np.empty((4, 5, 7, 3), np.complex64)
    kernels.walsh(images, *at, np.array([1, 1, 1]), weights)
    kept = weights.copy()
    combined = np.empty((4, 5, 7), np.complex64)
    turned = np.empty_like(weights)
    kernels.steady(weights, np.ones((4, 5, 7), np.float32), 1, np.ones(3, np.complex128), turned)
    kernels.combine(images, turned, *at, combined)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(weights, kept)
