r"""The signal of many plates at any positions in k-space: the exact sum.

.. math:: S_c(k, t) = e^{2 \pi i k \cdot p} \sum_m a_{cm} \sum_j w_j(t)\, V_j\,
    \frac{2 J_1(q_j)}{q_j}\, e^{-2 \pi i (k - q_m) \cdot r_j}, \quad
    q_j = 2 \pi |span_j (k - q_m)|

with the volume :math:`V_j` of a plate and its magnetisation :math:`w_j(t)`, the sum of its terms.
"""

from __future__ import annotations

from math import pi

import numpy as np

from ultrahand.kernels import sum_plates
from ultrahand.kernels import threads as on_threads
from ultrahand.phantoms.bessel_table import bessel_table
from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.plates import Plates, Terms
from ultrahand.physics.off_resonance import PHASE_SIGN
from ultrahand.records.arrays import Complex, Float64, Ints, Real, require

POINTS_AT_A_TIME = 1 << 16
"""Bounds the temporaries: 16 bytes for each of them and each wave."""


def direct_signal(
    plates: Plates,
    terms: Terms,
    coils: Coils,
    k_per_m: Float64,
    time_s: Float64,
    *,
    demodulation_m: Float64,
    curves: Float64 | None = None,
    threads: int = 1,
) -> Complex:
    """Return the signal at every sample, exact to about 1e-13 of the largest.

    The cost is that of plates times samples times waves; the bits do not depend on `threads`.

    Parameters
    ----------
    plates, terms
        The object.
    coils
        What receives.
    k_per_m
        Patient LPS, shape ``(shots, samples, 3)``.
    time_s
        After the excitation, shape ``(samples,)`` or ``(shots, samples)``.
    demodulation_m
        The receiver follows this point, patient LPS, shape ``(3,)``.
    curves
        Time courses, a factor for each shot, shape ``(curves, shots)``.
    threads
        Cores to work on.

    Returns
    -------
    ndarray
        complex128 ``(shots, coils, samples)``.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other or a term names a plate or a curve that is not there.
    """
    k = np.asarray(k_per_m, np.float64)
    point = np.asarray(demodulation_m, np.float64)
    require(k.ndim == 3 and k.shape[2] == 3, f"k_per_m must be (shots, samples, 3), got {k.shape}")
    require(point.shape == (3,), f"demodulation_m must have shape (3,), got {point.shape}")
    n_shots, n_samples, _ = k.shape
    fits = np.shape(time_s) in ((n_samples,), (n_shots, n_samples))
    require(fits, f"time_s {np.shape(time_s)} must be ({n_samples},) or {(n_shots, n_samples)}")
    time = np.broadcast_to(np.asarray(time_s, np.float64), (n_shots, n_samples)).reshape(-1)
    shot = np.repeat(np.arange(n_shots), n_samples)
    courses = with_constant(curves, n_shots)
    check_terms(plates, terms, courses.shape[1] - 1)
    positions = k.reshape(-1, 3)
    shape = np.concatenate([plates.centre_m - point, plates.span_m.reshape(-1, 6)], axis=1).T
    offsets, columns, rates = _in_order(plates, terms)
    table = bessel_table(largest_q(plates, positions, coils.waves_per_m))
    weights = coils.weights * np.exp(2j * pi * (coils.waves_per_m @ point))
    out = np.empty((n_shots * n_samples, coils.n_coils), np.complex128)
    with on_threads(threads):
        for start in range(0, len(out), POINTS_AT_A_TIME):
            some = slice(start, start + POINTS_AT_A_TIME)
            waves = np.empty((len(out[some]), len(coils.waves_per_m)), np.complex128)
            sum_plates(
                positions[some],
                time[some],
                shot[some],
                coils.waves_per_m,
                np.ascontiguousarray(shape),
                offsets,
                columns,
                rates,
                courses,
                table,
                waves,
            )
            out[some] = waves @ weights.T
    return out.reshape(n_shots, n_samples, -1).transpose(0, 2, 1)


def with_constant(curves: Float64 | None, n_shots: int) -> Float64:
    """Return the time courses by shot, ``(shots, 1 + curves)``: before them one that is 1."""
    given = np.empty((0, n_shots)) if curves is None else np.asarray(curves, np.float64)
    fits = given.ndim == 2 and given.shape[1] == n_shots
    require(fits, f"curves must be (curves, {n_shots} shots), got {given.shape}")
    return np.ascontiguousarray(np.vstack([np.ones(n_shots), given]).T)


def check_terms(plates: Plates, terms: Terms, n_curves: int) -> None:
    """Refuse terms of plates or curves that are not there: kernels do not check."""
    if len(terms):
        low, high = int(terms.plate.min()), int(terms.plate.max())
        fits = low >= 0 and high < len(plates)
        require(fits, f"terms name plates {low} to {high}, there are {len(plates)}")
        low, high = int(terms.curve.min()), int(terms.curve.max())
        fits = low >= -1 and high < n_curves
        require(fits, f"terms follow curves {low} to {high}, there are {n_curves} (-1: none)")


def largest_q(plates: Plates, k_per_m: Float64, waves_per_m: Float64) -> float:
    """Return a bound of q over all plates, positions and waves."""
    if not len(plates) or not len(k_per_m):
        return 0.0
    reach = np.linalg.norm(k_per_m, axis=-1).max() + np.linalg.norm(waves_per_m, axis=-1).max()
    return 2.0 * pi * float(reach * np.linalg.norm(plates.span_m, axis=(1, 2)).max())


def _in_order(plates: Plates, terms: Terms) -> tuple[Ints, tuple[Real | Ints, ...], Float64]:
    """Return where each plate's terms start, the terms in order of the plates, distinct rates."""
    order = np.argsort(terms.plate, kind="stable")
    plate = terms.plate[order]
    strength = terms.amplitude[order] * plates.volume_m3[plate]
    rates, rate = np.unique(terms.r2star_per_s[order], return_inverse=True)
    columns = (
        plate,
        strength.real.copy(),
        strength.imag.copy(),
        rate.reshape(-1),
        PHASE_SIGN * terms.off_resonance_hz[order],
        terms.curve[order] + 1,
    )
    return np.searchsorted(plate, np.arange(len(plates) + 1)), columns, rates
