r"""What gradient coils play when they are asked for a waveform, from their impulse responses.

Coils, amplifiers and eddy currents are linear and do not change with time, so that their output is
the asked waveform filtered:

.. math:: \hat G_i(f) = \sum_j H_{ij}(f)\, \hat G^{nom}_j(f), \qquad
          \hat B_0(f) = \sum_j h_j(f)\, \hat G^{nom}_j(f)

with self terms :math:`H_{ii}`, cross terms, and the terms of the uniform field (Vannesjo,
Haeberlin, Kasper et al.: MRM 2013;69:583, doi:10.1002/mrm.24263). Axes are those of the coils, in
the frame of `ultrahand.recon.device_axes`.

What is computed is the difference, :math:`(H - 1) G^{nom}`, which is added to the exact integral of
the asked waveform: a response of 1 changes nothing, and above the highest measured frequency F,
where a waveform has little, the gradient is taken as played. A bend of the waveform by a slope s
has the spectrum :math:`s / (2 \pi f)^2`, so that each leaves out no more than
:math:`\gamma s |H - 1| / ((2 \pi)^3 F^2)` of k.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.physics.off_resonance import PHASE_SIGN
from ultrahand.records.arrays import Complex, Float64, freeze, require

FINER: Final = 8
"""Steps of the computation a step of the raster: the waveform has straight lines between nodes,
with frequencies above the raster's own."""
FEWEST: Final = 8
SYMMETRIC: Final = 0.05
"""Largest difference of the two sides of a spectrum, over the largest value."""
_CHUNK: Final = 16


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Girf:
    """Responses of the coils; frequencies from 0 on, as those below are the conjugates."""

    frequency_hz: Float64
    """Rising from 0, shape ``(n,)``; the response lasts no longer than ``1 / step``."""
    gradient: Complex
    """Played gradient of coil i over that asked of coil j, no unit, shape ``(3, 3, n)``."""
    uniform_m: Complex
    """Uniform field in tesla over the gradient asked of coil j in tesla per metre, ``(3, n)``."""
    origin: str
    """Where the measurement came from, in words."""

    def __post_init__(self) -> None:
        f = np.array(self.frequency_hz, np.float64)
        gradient = np.array(self.gradient, np.complex128)
        uniform = np.array(self.uniform_m, np.complex128)
        good = f.ndim == 1 and len(f) >= FEWEST and bool(np.isfinite(f).all())
        require(
            good and f[0] == 0 and bool((np.diff(f) > 0).all()),
            f"frequency_hz must rise from 0, at least {FEWEST} of them; `fold` makes them so",
        )
        require(
            gradient.shape == (3, 3, len(f)) and uniform.shape == (3, len(f)),
            f"gradient {gradient.shape} must be (3, 3, {len(f)}), uniform_m {uniform.shape} "
            f"(3, {len(f)})",
        )
        require(
            bool(np.isfinite(gradient).all() and np.isfinite(uniform).all()),
            "responses must be finite",
        )
        freeze(self, frequency_hz=f, gradient=gradient, uniform_m=uniform)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class PlayedGradients:
    """Where samples were really taken."""

    k_per_m: Float64
    """Along read, phase, slice, shape ``(shots, samples, 3)``."""
    phase_rad: Float64
    """Of the uniform field, shape ``(shots, samples)``: samples were multiplied by
    ``exp(i phase)``, so that ``exp(-i phase)`` corrects them."""

    def __post_init__(self) -> None:
        freeze(self, k_per_m=self.k_per_m, phase_rad=self.phase_rad)


def fold(frequency_hz: Float64, response: Complex) -> tuple[Float64, Complex]:
    """Return frequencies from 0 on, and the mean of both sides of a two-sided spectrum.

    Parameters
    ----------
    frequency_hz
        Rising, even about 0 but for a first one that has no partner, shape ``(n,)``.
    response
        Shape ``(..., n)``.

    Raises
    ------
    InputError
        The sides are not each other's conjugates, as those of real waveforms are.
    """
    f = np.asarray(frequency_hz, np.float64)
    zero = int(np.argmin(np.abs(f)))
    above, below = f[zero:], -f[zero::-1]
    n = min(len(above), len(below))
    step = float(np.diff(f).max()) if len(f) > 1 else 1.0
    even = n > 1 and abs(len(above) - len(below)) <= 1
    matched = even and bool(np.allclose(above[:n], below[:n], atol=1e-3 * step, rtol=0))
    one, other = response[..., zero : zero + n], response[..., zero::-1][..., :n].conj()
    largest = float(np.abs(response).max())
    if not matched or float(np.abs(one - other).max()) > SYMMETRIC * largest:
        raise InputError(
            "impulse response",
            found="two sides of a spectrum that are not each other's conjugates",
            expected="the spectrum of a real response, even frequencies about 0",
            remedy="check the order of the frequencies (fftshift) and that the response is complex",
        )
    return np.concatenate([[0.0], above[1:n]]), 0.5 * (one + other)


def played(
    girf: Girf,
    gradient_t_per_m: Float64,
    *,
    raster_s: float,
    time_s: Float64,
    to_device: Float64,
    gamma_hz_per_t: float,
) -> PlayedGradients:
    """Return where samples are taken when the coils are asked for waveforms.

    Parameters
    ----------
    girf
        The responses.
    gradient_t_per_m
        Asked for along read, phase and slice, at the nodes of the raster and straight between
        them, 0 at first; shape ``(shots, nodes, 3)``.
    raster_s
        From node to node.
    time_s
        Of the samples after the first node, within the waveform, shape ``(samples,)``. Sample and
        waveform clocks must agree: a constant delay between them belongs to the response.
    to_device
        From `ultrahand.recon.device_axes.logical_to_device`.
    gamma_hz_per_t
        Gyromagnetic ratio over 2 pi: `ultrahand.physics.nuclei.GAMMA_HZ_PER_T`.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other or samples lie outside the waveform.
    """
    asked, times = np.asarray(gradient_t_per_m, np.float64), np.asarray(time_s, np.float64)
    _check(asked, times, raster_s, to_device)
    k = np.empty((len(asked), len(times), 3))
    phase = np.empty((len(asked), len(times)))
    for first in range(0, len(asked), _CHUNK):
        part = slice(first, first + _CHUNK)
        moved, uniform = differences(girf, asked[part] @ to_device.T, raster_s, times)
        nominal = _integral(asked[part], raster_s, times)
        k[part] = gamma_hz_per_t * (nominal + moved @ to_device)
        phase[part] = PHASE_SIGN * 2.0 * pi * gamma_hz_per_t * uniform
    return PlayedGradients(k_per_m=k, phase_rad=phase)


def _integral(gradient: Float64, raster_s: float, times: Float64) -> Float64:
    """Return the exact integral of waveforms ``(shots, nodes, 3)``, straight between nodes."""
    from scipy.interpolate import make_interp_spline

    nodes = raster_s * np.arange(gradient.shape[1])
    return make_interp_spline(nodes, gradient, k=1, axis=1).antiderivative()(times)


def differences(
    girf: Girf, asked: Float64, raster_s: float, times: Float64
) -> tuple[Float64, Float64]:
    """Return what the coils add to the integrals of gradient and uniform field at the times.

    Parameters
    ----------
    girf
        The responses.
    asked
        In tesla per metre on the axes of the coils, shape ``(shots, nodes, 3)``.
    raster_s, times
        As in `played`.

    Returns
    -------
    gradient : ndarray
        In T s / m on the axes of the coils, shape ``(shots, samples, 3)``.
    uniform : ndarray
        In T s, shape ``(shots, samples)``.
    """
    import scipy.fft
    from scipy.interpolate import CubicSpline

    rest_s = 1.0 / float(np.diff(girf.frequency_hz).max())
    n_rest = ceil(rest_s / raster_s)
    wave = _ended(asked, n_rest)
    n_nodes = scipy.fft.next_fast_len(wave.shape[1] + n_rest)
    n, fine_s = FINER * n_nodes, raster_s / FINER
    f = scipy.fft.rfftfreq(n, fine_s)
    # Straight lines between nodes are a sum of triangles, whose transform is a squared sinc.
    of_nodes = scipy.fft.fft(wave, n_nodes, axis=1)[:, np.arange(len(f)) % n_nodes]
    spectrum = of_nodes * (FINER * np.sinc(f * raster_s) ** 2)[:, None]
    added = np.einsum("ijf,sfj->sfi", _change(girf, f), spectrum)
    mean = added[:, :1].real / n
    added[:, 0] = 0.0
    added[:, 1:] /= 2j * pi * f[1:, None]
    periodic = scipy.fft.irfft(added, n, axis=1)
    grid = fine_s * np.arange(n)
    total = periodic - periodic[:, :1] + mean * grid[:, None]
    used = np.searchsorted(grid, times.max()) + 8
    at_times = CubicSpline(grid[:used], total[:, :used], axis=1)(times)
    return at_times[..., :3], at_times[..., 3]


def _change(girf: Girf, f: Float64) -> Complex:
    """Return ``H - 1`` and the terms of the uniform field at frequencies, ``(4, 3, n)``.

    A cubic spline through both sides of the spectrum, so that it has no end at 0.
    """
    from scipy.interpolate import CubicSpline

    measured = np.concatenate([girf.gradient - np.eye(3)[:, :, None], girf.uniform_m[None]])
    measured[..., 0].imag = 0.0
    both = np.concatenate([measured[..., :0:-1].conj(), measured], axis=2)
    hz = np.concatenate([-girf.frequency_hz[:0:-1], girf.frequency_hz])
    inside = f <= hz[-1]
    change = np.zeros((4, 3, len(f)), np.complex128)
    change[:, :, inside] = CubicSpline(hz, both, axis=2)(f[inside])
    return change


def _ended(asked: Float64, n_tail: int) -> Float64:
    """Return waveforms with a slow way to 0 after their end.

    What is asked after the last sample has no effect on it, but a jump there would ring back as far
    as the band is cut.
    """
    down = 1.0 - np.arange(1, n_tail + 1) / n_tail
    return np.concatenate([asked, asked[:, -1:] * down[:, None]], axis=1)


def _check(asked: Float64, times: Float64, raster_s: float, to_device: Float64) -> None:
    require(
        asked.ndim == 3 and asked.shape[2] == 3 and asked.shape[1] >= 2,
        f"gradient_t_per_m must be (shots, nodes, 3), got {asked.shape}",
    )
    require(bool(np.isfinite(asked).all()), "gradient_t_per_m must be finite")
    require(not asked[:, 0].any(), "waveforms must start at 0: before, the coils were at rest")
    require(raster_s > 0, f"raster_s must be > 0, got {raster_s}")
    end = raster_s * (asked.shape[1] - 1)
    inside = times.ndim == 1 and len(times) > 0 and bool(np.isfinite(times).all())
    require(
        inside and float(times.min()) >= 0 and float(times.max()) <= end * (1 + 1e-9),
        f"time_s must be (samples,), within the waveform of {end:g} s",
    )
    require(
        to_device.shape == (3, 3)
        and bool(np.allclose(to_device @ to_device.T, np.eye(3), atol=1e-3)),
        "to_device must be orthonormal",
    )
