r"""The geometry factor: the noise of an accelerated image beyond what fewer samples explain.

.. math:: g = \frac{SNR_{full}}{SNR\, \sqrt R} = \frac{sd}{sd_{full}\, \sqrt R}

(Pruessmann, Weiger, Scheidegger, Boesiger: MRM 1999;42:952, doi:10.1002/(SICI)1522-2594(199911)42:5
<952::AID-MRM16>3.0.CO;2-S). The second form is for images of the same signal, so for SENSE with
little damping: damping takes noise away, and signal with it.
"""

from __future__ import annotations

import math

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.noise_alias import aliased_variance
from ultrahand.recon.normal import spectra_of_mask
from ultrahand.records.arrays import Complex64, Float32, Real, require


def g_factor(noise_map: Real, full_noise: Real, rate: float) -> Float32:
    """Return g, NaN where an image has no noise.

    Parameters
    ----------
    noise_map
        Standard deviation of the accelerated image, any shape.
    full_noise
        That of the fully sampled one, the same shape and unit: see `full_noise`.
    rate
        R: samples of full sampling over samples acquired, `rate_of` them.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes differ or the rate is not positive.
    """
    require(
        noise_map.shape == full_noise.shape,
        f"noise_map {noise_map.shape} and full_noise {full_noise.shape} must agree",
    )
    require(0 < rate < math.inf, f"rate must be positive, got {rate}")
    expected = np.asarray(full_noise, np.float64) * math.sqrt(rate)
    known = (expected > 0) & (np.asarray(noise_map) > 0)
    found = np.divide(noise_map, expected, out=np.full(expected.shape, np.nan), where=known)
    return found.astype(np.float32)


def rate_of(weights: Real) -> float:
    """Return R of a Cartesian pattern: cells over the sum of how often each was measured."""
    total = float(np.sum(weights, dtype=np.float64))
    require(total > 0, "nothing was sampled")
    return weights.size / total


def full_noise(maps: Complex64, damping: float = 0.0) -> Float32:
    r"""Return the standard deviation of SENSE from every sample measured once, ``(sets, z, y, x)``.

    For one set of maps of the power :math:`p = \sum_c |S_c|^2` it is :math:`\sqrt p / (p +
    \lambda)`, that is :math:`1 / \sqrt p` without damping. It is 0 where the maps are.

    Parameters
    ----------
    maps
        Sensitivities, ``(coils, sets, z, y, x)``.
    damping
        lambda, as of `ultrahand.recon.sense.sense`.
    """
    require(maps.ndim == 5, f"maps must be (coils, sets, z, y, x), got {maps.shape}")
    require(damping >= 0, f"damping must not be negative, got {damping}")
    shape = (maps.shape[2], maps.shape[3], maps.shape[4])
    once = spectra_of_mask(np.broadcast_to(np.float32(1), shape))
    support = np.any(maps != 0, axis=(0, 1))
    with one_blas_thread():
        variance = aliased_variance(once, maps, damping, support)
    return np.sqrt(variance).astype(np.float32)
