"""The waveforms of spokes, through the centre and from the centre out.

Spokes from the centre out are sampled from the first moment, on the ramp too, and give the
shortest echo time; full spokes are sampled at even steps on a constant gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, pi

import numpy as np

from ultrahand.recon.trajectories.design import sample_times_s
from ultrahand.recon.trajectories.prescription import RASTER_S, Prescription, too_short
from ultrahand.recon.trajectories.waveform import lobe, n_steps, running_mean
from ultrahand.records.arrays import Float64, require


def n_nyquist_3d(prescription: Prescription, *, half: bool = False) -> int:
    """Return how many spokes give one for each ``1 / FOV^2`` of the area at the edge."""
    area = 4.0 * pi * (prescription.k_max_per_m * prescription.fov_m) ** 2
    return ceil((area / 2.0 if half else area) - 1e-9)


def full_spoke(
    prescription: Prescription, readout_s: float, *, axis: int, aside_per_m: Float64 | None = None
) -> tuple[Float64, Float64]:
    """Return the waveform of a spoke through the centre, and the times of its samples.

    A prephaser, then samples ``(n - N // 2) * 2 k_max / N`` on a constant gradient.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        Time in which samples are taken, after the ramp.
    axis
        Along which it runs: 0, 1 or 2.
    aside_per_m
        Where the whole spoke is moved to, one waveform each, shape ``(patterns, 3)``.

    Returns
    -------
    gradient : ndarray
        In T/m, shape ``(patterns, nodes, 3)``.
    time_s : ndarray
        Shape ``(samples,)``.
    """
    limits, gamma = prescription.limits, prescription.gamma_hz_per_t
    edge, dwell_s = prescription.k_max_per_m, prescription.sample_time_s
    n_samples = round(readout_s / dwell_s)
    require(n_samples >= 1, "readout_s must be at least one sample long")
    gradient = 2.0 * edge / (n_samples * dwell_s * gamma)
    if gradient > prescription.largest_gradient_t_per_m * (1.0 + 1e-12):
        n_needed = ceil(2.0 * edge / (prescription.fastest_per_m_per_s * dwell_s) - 1e-9)
        raise too_short(readout_s, n_needed * dwell_s, "read out longer or make voxels larger")
    n_ramp = n_steps(gradient / limits.slew_t_per_m_per_s)
    n_flat = n_steps(n_samples * dwell_s)
    before = gradient * (0.5 * n_ramp * RASTER_S + (n_samples // 2) * dwell_s)
    aside = np.zeros((1, 3)) if aside_per_m is None else aside_per_m
    area = aside / gamma - before * np.eye(3)[axis]
    prephaser = lobe(area, limits)
    read = np.zeros((len(area), n_ramp + n_flat, 3))
    read[:, :, axis] = gradient * np.minimum(np.arange(1, n_ramp + n_flat + 1) / n_ramp, 1.0)
    waveform = np.concatenate([prephaser, read], axis=1)
    start_s = (prephaser.shape[1] - 1 + n_ramp) * RASTER_S
    return waveform, start_s + dwell_s * np.arange(n_samples)


def centre_out_spoke(
    prescription: Prescription, readout_s: float, *, axis: int
) -> tuple[Float64, Float64]:
    """Return the waveform of a spoke from the centre out, and the times of its samples.

    A ramp from zero, then a constant gradient that reaches the edge at the end of the readout.

    Returns
    -------
    gradient : ndarray
        In T/m, shape ``(1, nodes, 3)``.
    time_s : ndarray
        Shape ``(samples,)``.
    """
    gamma, edge = prescription.gamma_hz_per_t, prescription.k_max_per_m
    limits = prescription.limits

    def constant(n_ramp: int) -> float:
        return edge / (gamma * (readout_s - 0.5 * n_ramp * RASTER_S))

    for n_ramp in range(1, n_steps(readout_s) + 1):
        gradient = constant(n_ramp)
        if gradient <= limits.slew_t_per_m_per_s * n_ramp * RASTER_S:
            break
    else:
        gradient = np.inf
    if gradient > prescription.largest_gradient_t_per_m:
        raise too_short(
            readout_s,
            shortest_spoke_s(prescription),
            "read out longer or make voxels larger",
        )
    waveform = running_mean(
        along(lambda t: gamma * gradient * t, axis),
        duration_s=readout_s,
        n_width=n_ramp,
        gamma_hz_per_t=gamma,
    )
    return waveform, sample_times_s(readout_s, prescription.sample_time_s)


def shortest_spoke_s(prescription: Prescription) -> float:
    """Return the shortest time from the centre to the edge, on the raster or a step longer."""
    limits, gamma = prescription.limits, prescription.gamma_hz_per_t
    largest = prescription.largest_gradient_t_per_m
    rise_s = n_steps(largest / limits.slew_t_per_m_per_s) * RASTER_S
    area = prescription.k_max_per_m / gamma
    if area >= 0.5 * largest * rise_s:
        return area / largest + 0.5 * rise_s
    return n_steps(float(np.sqrt(2.0 * area / limits.slew_t_per_m_per_s))) * RASTER_S


def along(radius: Callable[[Float64], Float64], axis: int) -> Callable[[Float64], Float64]:
    """Return the path of a radius in time along one axis, shape ``(1, nodes, 3)``."""
    return lambda time_s: radius(time_s)[None, :, None] * np.eye(3)[axis]
