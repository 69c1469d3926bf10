"""How much noise a series has, for the signal-to-noise ratio that its protocol names."""

from __future__ import annotations

from math import exp, sqrt
from typing import Final

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.digital_hand.magnetisation import Excitation
from ultrahand.phantoms.digital_hand.protocol import Cartesian, Dynamic
from ultrahand.phantoms.thermal import ThermalNoise, random_covariance
from ultrahand.physics.tissues import tissue

_NOISE_READOUTS: Final = 64


def proton_noise(
    series: Cartesian | Dynamic, excite: Excitation, echo_s: float, n_samples: float
) -> float:
    """Return the variance of a sample that gives muscle its signal-to-noise ratio.

    Parameters
    ----------
    series, excite, echo_s
        The series, its signal equation and echo time.
    n_samples
        Of one image.
    """
    muscle = tissue("muscle").proton
    excited = float(excite(np.array(muscle.t1_s), np.array(1.0)))
    signal = muscle.proton_density * excited * exp(-echo_s / muscle.t2star_s)
    depth = series.partition_m if isinstance(series, Dynamic) else series.voxel_m
    return noise_level(signal, series.voxel_m**2 * depth, n_samples, series.snr)


def noise_level(signal: float, voxel_m3: float, n_samples: float, snr: float) -> float:
    """Return the variance of a sample's noise that gives a voxel this signal-to-noise ratio.

    The orthonormal transform of N samples of a signal m has m V sqrt(N) in a voxel of volume V,
    and the noise of a sample in it.
    """
    return 2.0 * (signal * voxel_m3 * sqrt(n_samples) / snr) ** 2


def receiver_noise(
    rng: np.random.Generator, coils: Coils, variance: float, sample_time_s: float
) -> ThermalNoise:
    """Return correlated noise of an array, with noise readouts ahead of the scan."""
    return ThermalNoise(
        covariance=random_covariance(rng, coils.n_coils, variance),
        n_readouts=_NOISE_READOUTS,
        n_samples=256,
        dwell_s=sample_time_s,
        relative_bandwidth=0.8,
    )
