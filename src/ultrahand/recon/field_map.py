"""A map of the static field from images at several echo times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.physics.bipolar import BipolarPhase, estimate_bipolar, remove_bipolar
from ultrahand.physics.field_map import (
    checked_times,
    closest_spacing,
    combine_coils,
    fit_echoes,
)
from ultrahand.physics.off_resonance import PHASE_SIGN
from ultrahand.recon.unwrap import TURN, unwrap
from ultrahand.records.arrays import Bools, Complex, Float64, Ints, freeze, require

LEAST_SNR: Final = 5.0
"""Magnitude in units of its noise from which the phase is normal within a percent, as in
`ultrahand.recon.uncertainty.first_order_limit`."""
CHANCE: Final = 3.5
"""Noise alone passes the test of `_above_noise` in at most ``exp(-3.5^2)``, 5e-6 of all voxels."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FieldMap:
    """Off-resonance of each voxel; what was not measured is NaN and not valid, never 0."""

    off_resonance_hz: Float64
    """Shape ``(z, y, x)``; the sign is that of `ultrahand.physics.off_resonance`."""
    standard_error_hz: Float64
    """From noise and misfit (k = 1)."""
    misfit: Float64
    """See `ultrahand.physics.field_map.EchoFit`."""
    valid: Bools
    region: Ints
    """Number of the region of touching valid voxels, -1 elsewhere. The first guess of each region
    is known to whole multiples of `period_hz`; the multiple that brings its mean nearest to 0 is
    taken, as the scanner's own adjustment does for the largest one."""
    period_hz: float
    bipolar: BipolarPhase | None
    """What was removed from odd echoes, None where it was not asked for."""

    def __post_init__(self) -> None:
        freeze(
            self,
            off_resonance_hz=self.off_resonance_hz,
            standard_error_hz=self.standard_error_hz,
            misfit=self.misfit,
            valid=self.valid,
            region=self.region,
        )


def field_map(
    images: Complex,
    echo_times_s: Float64,
    *,
    noise_sd: float | Float64 = 1.0,
    mask: Bools | None = None,
    bipolar: bool = False,
    least_snr: float = LEAST_SNR,
) -> FieldMap:
    """Estimate the field.

    The phase differences of the closest echoes are unwrapped in space; from there each echo is
    unwrapped in time and a line fitted. Fat counts with its own frequency, see
    `ultrahand.physics.field_map`.

    Parameters
    ----------
    images
        Complex, shape ``(echoes, z, y, x)`` of one coil or combined with the *same* weights for all
        echoes, or ``(echoes, coils, z, y, x)``.
    echo_times_s
        After the excitation, rising, shape ``(echoes,)``.
    noise_sd
        Of real and imaginary part of a coil: 1 for whitened data; a number or ``(z, y, x)``.
    mask
        Voxels to be looked at, all where not given.
    bipolar
        Readouts go to and fro: estimate and remove the phase of odd echoes.
    least_snr
        A voxel is valid where both echoes of the first closest pair have this magnitude, in units
        of ``noise_sd``, and all coils and echoes together are more than noise can make. 0 leaves no
        check but the mask.

    Raises
    ------
    InputError
        Echo times that do not fit; `bipolar` with fewer than three evenly spaced echoes.
    ultrahand.errors.RecordError
        If shapes contradict each other or images are not finite.
    """
    require(images.ndim in (4, 5), f"images must be (echoes, [coils,] z, y, x), got {images.shape}")
    require(bool(np.isfinite(images).all()), "images must be finite")
    times = checked_times(echo_times_s, len(images))
    echoes = combine_coils(images) if images.ndim == 5 else images
    shape = echoes.shape[1:]
    inside = np.ones(shape, np.bool_) if mask is None else np.asarray(mask, np.bool_)
    require(inside.shape == shape, f"mask {inside.shape} must have the shape of an image, {shape}")
    removed = estimate_bipolar(np.where(inside, echoes, 0), times) if bipolar else None
    if removed is not None:
        echoes = remove_bipolar(echoes, removed)
    spacing_s, pairs = closest_spacing(times)
    low, high = pairs[0]
    noise = np.asarray(noise_sd, np.float64)
    smallest = np.minimum(np.abs(echoes[low]), np.abs(echoes[high]))
    valid = inside & (smallest >= least_snr * noise) & (smallest > 0)
    if images.ndim == 5 and least_snr > 0:
        valid &= _above_noise(echoes, images.shape[1], noise)
    guess, region = _first_guess(echoes, pairs, spacing_s, valid)
    fit = fit_echoes(echoes, times, np.where(valid, guess, 0.0), noise_sd=noise)
    return FieldMap(
        off_resonance_hz=np.where(valid, fit.off_resonance_hz, np.nan),
        standard_error_hz=np.where(valid, fit.standard_error_hz, np.nan),
        misfit=np.where(valid, fit.misfit, np.nan),
        valid=valid,
        region=region,
        period_hz=1.0 / spacing_s,
        bipolar=removed,
    )


def _above_noise(echoes: Complex, n_coils: int, noise: Float64) -> Bools:
    """Tell where the best common course of all coils is more than that of noise.

    The largest singular value of ``(coils, echoes)`` of white complex noise, each part of deviation
    s, is beyond ``sqrt(2) s (sqrt(coils) + sqrt(echoes) + t)`` with a chance below ``exp(-t^2)``
    (Davidson, Szarek: Handbook of the Geometry of Banach Spaces 2001;1:317, theorem II.13, for
    complex numbers of variance 2 s^2).
    """
    power = (np.abs(echoes) ** 2).sum(axis=0)
    edge = np.sqrt(n_coils) + np.sqrt(len(echoes)) + CHANCE
    return np.asarray(power > 2.0 * (noise * edge) ** 2)


def _first_guess(
    echoes: Complex, pairs: list[tuple[int, int]], spacing_s: float, valid: Bools
) -> tuple[Float64, Ints]:
    """Unwrap the mean phase difference of the closest echoes; its size is about its precision."""
    product = np.zeros(echoes.shape[1:], np.complex128)
    for low, high in pairs:
        product += echoes[high].astype(np.complex128) * np.conj(echoes[low])
    phase, region = unwrap(np.angle(product), np.sqrt(np.abs(product)), valid)
    return PHASE_SIGN * phase / (TURN * spacing_s), region
