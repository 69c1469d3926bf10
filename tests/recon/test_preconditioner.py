"""The circulant inverse against dense matrices, and the hull of sampled cells."""

import numpy as np
import pytest

from ultrahand.recon.beyond import beyond_mask, hull
from ultrahand.recon.normal import Spectra, spectra_of_mask, spectra_of_samples
from ultrahand.recon.preconditioner import circulant_inverse, smoothed_density


@pytest.mark.parametrize("n", [5, 6])
def test_the_density_is_that_of_the_nearest_circulant(n, rng):
    """T. Chan's: the mean of each wrapped diagonal of the Toeplitz matrix."""
    m = 2 * n - 1
    values = rng.uniform(0.5, 2.0, m)
    values = values + values[(-np.arange(m)) % m]  # real lags, to be simple
    lags = np.fft.ifft(values)
    matrix = np.array([[lags[(i - j) % m] for j in range(n)] for i in range(n)])
    circulant = [np.mean([matrix[(j + d) % n, j] for j in range(n)]) for d in range(n)]
    spectra = Spectra(
        shape=(1, 1, n), grid=(1, 1, m), values=values[None, None, None].astype(np.float32)
    )
    found = smoothed_density(spectra)[0, 0]
    np.testing.assert_allclose(found, np.maximum(np.fft.fft(circulant).real, 0), rtol=1e-6)


def test_even_weights_have_the_inverse_exactly(rng):
    """Of full sampling the operator is a multiple of one, and so is its inverse."""
    shape, grid = (4, 5, 6), (8, 10, 12)
    spectra = Spectra(shape=shape, grid=grid, values=np.full((1, *grid), 3.0, np.float32))
    maps = np.zeros((2, 1, *shape), np.complex64)
    maps[0], maps[1] = 0.6, 0.8j
    inverse = circulant_inverse(spectra, maps, 0.5)
    x = (rng.standard_normal((1, 1, *shape)) + 1j).astype(np.complex64)
    np.testing.assert_allclose(inverse(x), x / 3.5, rtol=1e-5, atol=1e-6)
    assert inverse.noise_power == pytest.approx(2 * 120 * 3.0 / 3.5, rel=1e-5)


def test_corners_beyond_a_disc_are_held():
    """Spokes: the hull is their disc, its gaps included."""
    angle = np.pi * np.arange(20) / 20
    radius = np.arange(-32, 32) / 64 / 2e-3
    k = np.stack([np.outer(np.cos(angle), radius), np.outer(np.sin(angle), radius)], axis=-1)
    k = k.reshape(-1, 2)
    spectra = spectra_of_samples(
        k, [np.ones(len(k))], shape=(1, 64, 64), voxel_size_m=(2e-3, 2e-3, 1.0)
    )
    maps = np.ones((1, 1, 1, 64, 64), np.complex64)
    held = circulant_inverse(spectra, maps, 1e-3).held[0]
    y, x = np.meshgrid(*(np.fft.fftfreq(64, 1 / 64),) * 2, indexing="ij")
    inside = np.hypot(x, y) < 30  # the smoothing adds a cell or two at the rim
    assert (held[inside] == 0).all()
    density = smoothed_density(spectra)[0]
    level = np.median(density[held == 0])
    np.testing.assert_allclose(held[np.hypot(x, y) > 35], level, rtol=1e-6)


def test_the_hull_of_a_ball_and_of_a_box():
    z, y, x = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in (16, 20, 24)), indexing="ij")
    ball = (z / 8) ** 2 + (y / 10) ** 2 + (x / 12) ** 2 <= 1
    holes = ball & ((x + y + z) % 3 == 0)
    found = hull(holes)
    assert (found >= holes).all()
    assert 0.85 < found.sum() / ball.sum() < 1.15
    assert hull(np.ones((1, 6, 5), bool)).all()


@pytest.mark.parametrize("rate", [2, 3, 4, 5])
@pytest.mark.parametrize("n", [30, 31])
def test_a_lattice_reaches_to_the_ends_of_the_matrix(rate, n):
    """The last lines have no next ones, and are not beyond the samples."""
    for first in range(rate):
        mask = np.zeros((1, n, 24))
        mask[:, first::rate, first % 2 :: 2] = 1
        assert not beyond_mask(spectra_of_mask(mask)).any()


def test_an_empty_side_and_empty_corners_are_held_as_if_measured():
    mask = np.zeros((40, 32, 1))
    mask[::2, ::2] = 1
    mask[:10] = 0
    held = np.fft.fftshift(beyond_mask(spectra_of_mask(np.broadcast_to(mask, (40, 32, 8)))))
    assert held.shape == (40, 32, 1)
    np.testing.assert_allclose(held[:10], 0.25, rtol=0.1)
    assert not held[10:].any()
    z, y = np.meshgrid((np.arange(40) - 20) / 20, (np.arange(32) - 16) / 16, indexing="ij")
    r = np.hypot(z, y)[..., None]
    mask = (r <= 1) * np.ones((40, 32, 1))
    mask[1::2] = 0
    held = np.fft.fftshift(beyond_mask(spectra_of_mask(mask)))
    assert (held[r > 1.15] > 0).all()
    assert not held[r <= 1].any()
