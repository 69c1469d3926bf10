r"""The noise of magnitude and phase images.

The magnitude :math:`m` of :math:`n` coils with signal :math:`s` (root sum of squares of the noise-
free images) and noise :math:`\sigma` in every real and imaginary part follows the non-central chi
law with :math:`2 n` degrees of freedom; :math:`n = 1` is Rice's (Constantinides, Atalar, McVeigh:
MRM 1997;38:852, doi:10.1002/mrm.1910380524). With :math:`t = s / \sigma`,

.. math:: E[m^2] = s^2 + 2 n \sigma^2, \qquad
          E[m] = \sigma \sqrt 2 \sum_j e^{-t^2 / 2} \frac{(t^2 / 2)^j}{j!}
                 \frac{\Gamma(n + j + 1/2)}{\Gamma(n + j)}

(a Poisson mixture of central laws: no cancellation, where the equal closed form
:math:`{}_1F_1(-1/2; n; -t^2/2)` overflows in scipy for 64 coils) and
:math:`var(m) = E[m^2] - E[m]^2`. A measured magnitude gives :math:`s` by inverting the first
(Koay and Basser correct it further: J Magn Reson 2006;179:317, doi:10.1016/j.jmr.2006.01.016).

First order: :math:`sd(m) = \sigma` and :math:`sd(phase) = \sigma / m`. The next term is
:math:`var(m) / \sigma^2 = 1 - (2 n - 1) / (2 t^2)`, so the first order holds within 1 % from
:math:`t = 5 \sqrt{2 n - 1}` on: `first_order_limit`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import interpolate, special

from ultrahand.records.arrays import Float32, Float64, Real, require

UNIFORM_PHASE_SD = math.pi / math.sqrt(3)
"""Standard deviation of a phase of which nothing is known, in radians."""

TABLE_POINTS = 640
"""Up to four times `first_order_limit`; a cubic spline through them is good to 1e-5 sigma."""


def first_order_limit(n_coils: int) -> float:
    """Return the ``s / sigma`` from which ``sd(m) = sigma`` holds within 1 %: 5 for one coil."""
    require(n_coils >= 1, f"n_coils must be >= 1, got {n_coils}")
    return 5 * math.sqrt(2 * n_coils - 1)


def magnitude_moments(
    signal: Real, noise_sd: float | Real, n_coils: int
) -> tuple[Float64, Float64]:
    """Return mean and standard deviation of the magnitude of a known signal.

    Parameters
    ----------
    signal
        Noise-free magnitude ``s >= 0``, any shape.
    noise_sd
        ``sigma`` of each real and imaginary part of each coil, a number or an array of the same
        shape, in the unit of `signal`.
    n_coils
        Coils in the root sum of squares; 1 for the magnitude of a combined image.
    """
    s, sigma = _checked(signal, noise_sd, n_coils)
    t = np.divide(s, sigma, out=np.full_like(s, np.inf), where=sigma > 0)
    ratio = _sd_over_sigma(t, n_coils)
    mean = np.sqrt(s**2 + (2 * n_coils - ratio**2) * sigma**2)
    return mean, ratio * sigma


def signal_from_magnitude(magnitude: Real, noise_sd: float | Real, n_coils: int) -> Float64:
    """Return ``s`` with ``E[m^2] = s^2 + 2 n sigma^2`` for the measured ``m``; 0 below the noise.

    Parameters
    ----------
    magnitude
        Measured ``m >= 0``, any shape.
    noise_sd
        ``sigma``, a number or an array of the same shape, in the unit of `magnitude`.
    n_coils
        Coils in the root sum of squares; 1 for the magnitude of a combined image.
    """
    m, sigma = _checked(magnitude, noise_sd, n_coils)
    return np.sqrt(np.maximum(m**2 - 2 * n_coils * sigma**2, 0))


def magnitude_sd(
    magnitude: Real, noise_sd: float | Real, n_coils: int, *, threads: int = 1
) -> Float32:
    """Return the standard deviation of a measured magnitude.

    The exact law at the signal that `signal_from_magnitude` gives: ``sigma`` within 1 % from
    `first_order_limit` on, less below it, down to ``0.655 sigma`` (one coil, no signal).

    Parameters
    ----------
    magnitude
        Measured ``m >= 0``, any shape.
    noise_sd
        ``sigma``, a number or an array of the same shape, in the unit of `magnitude`.
    n_coils
        Coils in the root sum of squares; 1 for the magnitude of a combined image.
    threads
        Cores; the result is the same for any number.
    """
    from ultrahand import kernels

    m, sigma = _checked(magnitude, noise_sd, n_coils, np.float32)
    table = _table(n_coils)
    step = float(table.x[1])
    out = np.empty(m.shape, np.float32)
    with kernels.threads(threads):
        kernels.chi_sd(m.ravel(), sigma.ravel(), n_coils, table.c, step, out.reshape(-1))
    return out


def phase_sd(magnitude: Real, noise_sd: float | Real) -> Float32:
    """Return the standard deviation of the phase of one combined image in radians: ``sigma / m``.

    First order, like ``sd(m) = sigma``: within 3 % from ``m / sigma = 5``. Without signal the phase
    is uniform, so `UNIFORM_PHASE_SD` is never exceeded.
    """
    m, sigma = _checked(magnitude, noise_sd, 1)
    ratio = np.divide(sigma, m, out=np.full_like(m, np.inf), where=m > 0)
    return np.minimum(ratio, UNIFORM_PHASE_SD).astype(np.float32)


def _sd_over_sigma(t: Float64, n: int) -> Float64:
    """Interpolate a table of the exact law near the noise; far from it use two terms."""
    end = 4 * first_order_limit(n)
    near = _table(n)(np.minimum(t, end))
    with np.errstate(divide="ignore"):
        far = np.sqrt(np.maximum(1 - (2 * n - 1) / (2 * t**2), 0))
    return np.where(t < end, near, far)


@lru_cache(maxsize=8)
def _table(n: int) -> interpolate.CubicSpline:
    """Return the spline for one number of coils: it costs more than a small image."""
    known = np.linspace(0, 4 * first_order_limit(n), TABLE_POINTS)
    return interpolate.CubicSpline(known, _exact_sd(known, n))


def _exact_sd(t: Float64, n: int) -> Float64:
    """Sum the mixture over +-9 standard deviations of its Poisson law; in units of sigma."""
    x = (t**2 / 2)[:, None]
    reach = math.ceil(9 * math.sqrt(x.max())) + 30
    j = np.floor(x) + np.arange(-reach, reach + 1)
    possible = np.maximum(j, 0)
    poisson = np.exp(special.xlogy(possible, x) - x - special.gammaln(possible + 1))
    chi_mean = np.exp(special.gammaln(n + possible + 0.5) - special.gammaln(n + possible))
    mean = math.sqrt(2) * np.sum(np.where(j >= 0, poisson * chi_mean, 0), axis=1)
    return np.sqrt(t**2 + 2 * n - mean**2)


def _checked(
    magnitude: Real, noise_sd: float | Real, n_coils: int, kind: type[np.floating] = np.float64
) -> tuple[Real, Real]:
    m = np.asarray(magnitude, kind)
    sigma = np.asarray(noise_sd, kind)
    require(n_coils >= 1, f"n_coils must be >= 1, got {n_coils}")
    require(bool((sigma >= 0).all()), "noise_sd must not be negative or NaN")
    require(bool((m >= 0).all()), "the magnitude must not be negative or NaN")
    require(sigma.shape in ((), m.shape), f"noise_sd {sigma.shape} does not fit {m.shape}")
    return m, sigma
