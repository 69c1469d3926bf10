"""Predicted noise of conjugate gradients on radial samples against drawn noise.

A standard deviation from n draws scatters by s = 1 / sqrt(2 n) of its value (normal theory); the
real and the imaginary part of an image are two draws. Asked is a median ratio within 2 % and no
more than 7 % of the voxels outside 2 s, 4.6 % by chance, of 300 draws (s = 4.1 %).
"""

import math

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.numerics.solution import Status
from ultrahand.recon.noise_map import noise_of_sense
from ultrahand.recon.normal import spectra_of_mask, spectra_of_samples
from ultrahand.recon.nufft import plan_nufft
from ultrahand.recon.sense import combine_coils, sense


def arrangement(n, n_coils, *, masked):
    """Normalised sensitivities of wide loops around an ellipse, ``(coils, 1, 1, n, n)``."""
    y, x = np.meshgrid(*((np.arange(n) - n // 2) / n,) * 2, indexing="ij")
    maps = []
    for number in range(n_coils):
        angle = 2 * np.pi * number / n_coils
        square = (x - 0.5 * np.cos(angle)) ** 2 + (y - 0.5 * np.sin(angle)) ** 2
        maps.append(np.exp(-square / 0.5 + 1j * (angle + 2 * x * np.sin(3 * angle))))
    maps = np.array(maps) / np.sqrt((np.abs(maps) ** 2).sum(axis=0))
    inside = (x / 0.4) ** 2 + (y / 0.33) ** 2 < 1
    return (maps * (inside if masked else 1))[:, None, None].astype(np.complex64)


def spokes(number, n):
    """Spokes of 2 n samples across k-space, in cycles a voxel, ``(samples, 2)``."""
    angle, r = np.pi * np.arange(number) / number, (np.arange(2 * n) - n) / (2 * n)
    return np.stack([np.outer(f(angle), r).ravel() for f in (np.cos, np.sin)], axis=1)


def radial_ratio(n, number, damping, draws, rng, *, masked, **options):
    """Return the ratios of predicted to drawn noise."""
    shape, k = (1, n, n), spokes(number, n)
    maps = arrangement(n, 8, masked=masked)
    voxel = {"voxel_size_m": (1.0, 1.0, 1.0)}
    spectra = spectra_of_samples(k, [np.ones(len(k))], shape=shape, **voxel)
    found = noise_of_sense(spectra, maps, damping, **options)
    nufft = plan_nufft(
        k, shape=(n, n), voxel_size_m=(1.0, 1.0), n_coils=8, eps=1e-5, threads=1, max_bytes=2**30
    )
    power = 0
    for _ in range(draws // 2):
        noise = complex_normal(rng, (8, len(k))).astype(np.complex64)
        rhs = combine_coils(nufft.adjoint(noise)[:, None], maps)
        solved = sense(rhs, spectra, maps, damping=damping, tolerance=0.01, max_iterations=100)
        assert solved.solution.status is Status.CONVERGED
        power = power + np.abs(solved.image) ** 2
    drawn = np.sqrt(power / (2 * (draws // 2)))
    return found.sd[drawn > 0] / drawn[drawn > 0]


def outside(ratio, draws):
    return float(np.mean(np.abs(ratio - 1) > 2 / math.sqrt(2 * draws)))


@pytest.mark.parametrize("options", [{}, {"exact_work": 0}], ids=["matrix", "readings"])
def test_conjugate_gradients_against_40_realisations(options, rng):
    """Of n = 40 draws the median of estimated deviations is 1 / (3 n) low, and that of voxels of
    which some hundred count on their own scatters by s / 8; those share what is outside, too."""
    ratio = radial_ratio(40, 32, 0.05, 40, rng, masked=True, **options)
    assert np.median(ratio) == pytest.approx(1 + 1 / 120, abs=0.02 + 0.25 / math.sqrt(80))
    assert outside(ratio, 40) < 0.12


CASES = [
    (64, 50, 0.02, True),
    (64, 50, 0.002, True),
    (64, 50, 0.02, False),
    (64, 32, 0.05, True),
    (64, 32, 0.05, False),
    (96, 75, 0.005, True),
    (128, 100, 0.005, True),
]


@pytest.mark.long
@pytest.mark.parametrize(("n", "number", "damping", "masked"), CASES)
def test_conjugate_gradients_against_300_realisations(n, number, damping, masked, rng):
    ratio = radial_ratio(n, number, damping, 300, rng, masked=masked)
    assert np.median(ratio) == pytest.approx(1, abs=0.02)
    assert outside(ratio, 300) <= 0.07


def test_full_sampling_has_the_closed_form():
    """A grid measured whole: C = 1 / (1 + lambda)^2 where the sensitivities have the norm 1."""
    maps = arrangement(32, 6, masked=False)
    found = noise_of_sense(spectra_of_mask(np.ones((1, 32, 32))), maps, 0.1)
    np.testing.assert_allclose(found.sd, 1 / 1.1, rtol=0.01)  # solved to 1 %
