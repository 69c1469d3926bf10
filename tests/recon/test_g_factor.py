"""The geometry factor against Pruessmann's formula for two voxels, written out."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.recon.g_factor import full_noise, g_factor, rate_of
from ultrahand.recon.noise_map import noise_of_sense
from ultrahand.recon.normal import spectra_of_mask


def test_two_coils_and_two_aliasing_voxels(rng):
    r"""g^2 = 1 / (1 - |<s1, s2>|^2 / (|s1| |s2|)^2), the closed form of R = 2."""
    maps = complex_normal(rng, (3, 1, 1, 8, 6)).astype(np.complex64)
    mask = np.zeros((1, 8, 6))
    mask[:, ::2] = 1
    sd = noise_of_sense(spectra_of_mask(mask), maps, 0.0, tolerance=1e-4).sd
    found = g_factor(sd, full_noise(maps), rate_of(mask))[0, 0]
    one, other = maps[:, 0, 0], np.roll(maps[:, 0, 0], 4, axis=1)
    overlap = np.abs((one.conj() * other).sum(axis=0)) ** 2
    power = (np.abs(one) ** 2).sum(axis=0) * (np.abs(other) ** 2).sum(axis=0)
    # The block of two is the whole truth; a residual of 1e-4 and single precision are left.
    np.testing.assert_allclose(found, 1 / np.sqrt(1 - overlap / power), rtol=2e-3)
    assert found.min() > 1 - 2e-3


def test_full_noise_has_its_closed_form(rng):
    maps = complex_normal(rng, (4, 1, 2, 3, 5)).astype(np.complex64)
    maps[..., 2] = 0
    power = (np.abs(maps.astype(complex)) ** 2).sum(axis=0)
    for damping in (0.0, 0.7):
        expected = np.sqrt(power) / np.where(power > 0, power + damping, 1)
        np.testing.assert_allclose(full_noise(maps, damping), expected, rtol=1e-5)


def test_full_sampling_has_no_geometry_factor(rng):
    maps = complex_normal(rng, (4, 1, 1, 6, 7)).astype(np.complex64)
    sd = noise_of_sense(spectra_of_mask(np.ones((1, 6, 7))), maps, 0.0, tolerance=1e-6).sd
    np.testing.assert_allclose(g_factor(sd, full_noise(maps), 1.0), 1, rtol=1e-5)


def test_where_nothing_is_seen_it_is_not_a_number():
    found = g_factor(np.array([2.0, 0.0]), np.array([1.0, 0.0]), 4.0)
    assert found[0] == 1
    assert np.isnan(found[1])


def test_nonsense_is_refused():
    with pytest.raises(RecordError, match="agree"):
        g_factor(np.ones(2), np.ones(3), 1.0)
    with pytest.raises(RecordError, match="rate"):
        g_factor(np.ones(2), np.ones(2), 0.0)
    with pytest.raises(RecordError, match="nothing"):
        rate_of(np.zeros((1, 2, 2)))
