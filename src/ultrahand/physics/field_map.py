r"""Off-resonance of a voxel from its phase at several echo times, with its standard error.

The echoes of one voxel are taken as :math:`z_e = m_e\, e^{i (\phi_0 - 2 \pi f t_e)}` with any
magnitudes, so that decay is no part of the model. To first order in the noise the phase of an
echo has the standard deviation :math:`\sigma / m_e`, and the least-squares line through the
unwrapped phases with the weights :math:`m_e^2` is the most likely one (Funai, Fessler, Yeo,
Olafsson, Noll: IEEE Trans Med Imaging 2008;27:1484, doi:10.1109/TMI.2008.923956, section II):

.. math:: sd(f) = \frac{\sigma}{2 \pi \sqrt{\sum_e m_e^2 (t_e - \bar t)^2}}, \qquad
          \bar t = \frac{\sum_e m_e^2 t_e}{\sum_e m_e^2}

One resonance is assumed. In a voxel of water and fat the phase is no straight line: its map is
neither field, unless the echo times are in phase (at 7 T every 1.0 ms). With three echoes or more
the misfit tells, with two nothing does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.physics.off_resonance import PHASE_SIGN
from ultrahand.records.arrays import Complex, Complex64, Float64, freeze, require

TURN: Final = 2.0 * pi
_CHUNK: Final = 1 << 16
SAME_SPACING: Final = 1e-6
"""Spacings of echoes that differ by less, in seconds, are one."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class EchoFit:
    """The line through the phases of each voxel."""

    off_resonance_hz: Float64
    phase_rad: Float64
    """At the excitation, ``phi_0``."""
    noise_error_hz: Float64
    """Standard error from the noise alone; infinite without signal."""
    misfit: Float64
    """Chi squared of the phases over its degrees of freedom, about 1 for noise alone; NaN for two
    echoes, which fit any line."""

    def __post_init__(self) -> None:
        freeze(
            self,
            off_resonance_hz=self.off_resonance_hz,
            phase_rad=self.phase_rad,
            noise_error_hz=self.noise_error_hz,
            misfit=self.misfit,
        )

    @property
    def standard_error_hz(self) -> Float64:
        """Standard error from noise and misfit: that of the noise, times ``sqrt(misfit)`` if > 1.

        (Birge's ratio: Phys Rev 1932;40:207, doi:10.1103/PhysRev.40.207.) It covers what scatters
        from echo to echo (flow, several resonances), not what bends all phases the same way.
        """
        scatter = np.where(np.isfinite(self.misfit), np.maximum(self.misfit, 1.0), 1.0)
        return self.noise_error_hz * np.sqrt(scatter)


def combine_coils(images: Complex) -> Complex64:
    """Return the echoes of one virtual coil from those of many.

    The echoes of a voxel are its sensitivities times one course: the best such product is the first
    singular vector of the matrix ``(coils, echoes)``, for noise that is white over the coils
    (Eckart, Young: Psychometrika 1936;1:211, doi:10.1007/BF02288367). The noise of the result has
    the variance of one coil's, and its phase is set so that the first echo is real.

    Parameters
    ----------
    images
        Shape ``(echoes, coils, z, y, x)``, whitened.

    Returns
    -------
    ndarray
        complex64, ``(echoes, z, y, x)``.
    """
    require(images.ndim == 5, f"images must be (echoes, coils, z, y, x), got {images.shape}")
    n_echoes, n_coils = images.shape[:2]
    voxels = images.reshape(n_echoes, n_coils, -1)
    out = np.empty((n_echoes, voxels.shape[2]), np.complex64)
    for first in range(0, voxels.shape[2], _CHUNK):
        part = voxels[:, :, first : first + _CHUNK].astype(np.complex128)
        gram = np.einsum("ecv,dcv->ved", part, part.conj())
        power, vectors = np.linalg.eigh(gram)
        course = vectors[:, :, -1] * np.sqrt(np.maximum(power[:, -1:], 0.0))
        course *= np.exp(-1j * np.angle(course[:, :1]))
        out[:, first : first + _CHUNK] = course.T
    return out.reshape(n_echoes, *images.shape[2:])


def closest_spacing(echo_times_s: Float64) -> tuple[float, list[tuple[int, int]]]:
    """Return the shortest time between two successive echoes, and all pairs that far apart."""
    spacing = np.diff(echo_times_s)
    shortest = float(spacing.min())
    pairs = [(e, e + 1) for e in range(len(spacing)) if spacing[e] - shortest <= SAME_SPACING]
    return shortest, pairs


def fit_echoes(
    echoes: Complex,
    echo_times_s: Float64,
    first_guess_hz: Float64,
    *,
    noise_sd: float | Float64 = 1.0,
) -> EchoFit:
    """Fit the line through the phases of each voxel.

    Each echo's whole turns are those nearest to the line through the echoes before it, starting
    from the first guess, so that only the guess has to be within ``1 / (2 spacing)`` of the field.

    Parameters
    ----------
    echoes
        One complex image an echo, shape ``(echoes, ...)``.
    echo_times_s
        After the excitation, rising, shape ``(echoes,)``.
    first_guess_hz
        Shape ``(...)``.
    noise_sd
        Of the real and of the imaginary part; 1 for whitened data. A number, or shape ``(...)``.
    """
    times = checked_times(echo_times_s, len(echoes))
    guess = np.asarray(first_guess_hz, np.float64)
    require(echoes.shape[1:] == guess.shape, f"first guess {guess.shape} of {echoes.shape[1:]}")
    weight = np.abs(echoes).astype(np.float64) ** 2
    phase = np.angle(echoes).astype(np.float64)
    slope, line, spread = PHASE_SIGN * TURN * guess, phase[0], np.zeros_like(guess)
    for echo in range(1, len(times)):
        expected = line + slope * (times[echo] - times[0])
        phase[echo] += TURN * np.rint((expected - phase[echo]) / TURN)
        so_far = slice(echo + 1)
        slope, line, spread = _line(phase[so_far], weight[so_far], times[so_far], slope)
    since = (times - times[0]).reshape(-1, *(1,) * guess.ndim)
    rest = phase - line - slope * since
    noise = np.broadcast_to(np.asarray(noise_sd, np.float64), guess.shape)
    error, misfit = np.full_like(guess, np.inf), np.full_like(guess, np.nan)
    np.divide(noise, TURN * np.sqrt(spread), out=error, where=spread > 0)
    freedom = len(times) - 2
    if freedom:
        chi = (weight * rest**2).sum(axis=0)
        np.divide(chi, noise**2 * freedom, out=misfit, where=noise > 0)
    return EchoFit(
        off_resonance_hz=slope / (PHASE_SIGN * TURN),
        phase_rad=line - slope * times[0],
        noise_error_hz=error,
        misfit=misfit,
    )


def _line(
    phase: Float64, weight: Float64, times: Float64, before: Float64
) -> tuple[Float64, Float64, Float64]:
    """Return slope, value at the first time and weighted spread of the times of each line.

    Without signal the slope is the one before.
    """
    since = (times - times[0]).reshape(-1, *(1,) * before.ndim)
    total = weight.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    middle, mean = (weight * since).sum(axis=0) / safe, (weight * phase).sum(axis=0) / safe
    spread = (weight * (since - middle) ** 2).sum(axis=0)
    slope = before.copy()
    moment = (weight * (since - middle) * (phase - mean)).sum(axis=0)
    np.divide(moment, spread, out=slope, where=spread > 0)
    return slope, np.where(total > 0, mean - slope * middle, phase[0]), spread


def checked_times(echo_times_s: Float64, n_echoes: int) -> Float64:
    """Return echo times that rise, one for each echo.

    Raises
    ------
    InputError
        Fewer than two echoes, or times that do not fit them.
    """
    times = np.asarray(echo_times_s, np.float64)
    good = times.shape == (n_echoes,) and n_echoes >= 2 and bool(np.isfinite(times).all())
    if good and float(times[0]) >= 0 and bool((np.diff(times) > 0).all()):
        return times
    shown = ", ".join(f"{1e3 * t:.4g}" for t in times.ravel()[:8])
    raise InputError(
        "echo times",
        found=f"{n_echoes} echoes with the times ({shown}) ms",
        expected="two echoes or more, one time each in seconds, rising from the excitation",
        remedy="a field map needs a series of at least two contrasts",
    )
