r"""Gradient waveforms on the raster: from a path in time, and back to the path they play.

A path whose gradient jumps or bends too fast is made playable by a running mean over ``width``:

.. math:: G(t) = \frac{k(t) - k(t - width)}{\gamma\, width}

A mean of vectors is never longer than the longest of them, so it keeps the limits that the path
keeps, along any direction; where the gradient of the path jumps by :math:`\Delta G`, the mean
slews by :math:`\Delta G / width`. The path is played late by half the width.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt

import numpy as np

from ultrahand.recon.trajectories.prescription import RASTER_S, GradientLimits
from ultrahand.records.arrays import Float64

Path = Callable[[Float64], Float64]
"""Times ``(nodes,)`` in seconds to positions ``(patterns, nodes, 3)`` in cycles per metre."""


def n_steps(duration_s: float) -> int:
    """Return how many steps of the raster a duration needs."""
    return max(ceil(duration_s / RASTER_S - 1e-9), 1)


def running_mean(path: Path, *, duration_s: float, n_width: int, gamma_hz_per_t: float) -> Float64:
    """Return the waveform that plays a path from k = 0 at time 0.

    Parameters
    ----------
    path
        Position at any time >= 0.
    duration_s
        Time to be covered from the first node.
    n_width
        Width of the mean, in steps of the raster.
    gamma_hz_per_t
        Gyromagnetic ratio over 2 pi.

    Returns
    -------
    ndarray
        Gradient in T/m at the nodes of the raster, shape ``(patterns, nodes, 3)``; 0 at first.
    """
    nodes = RASTER_S * np.arange(n_steps(duration_s) + 1, dtype=np.float64)
    width_s = n_width * RASTER_S
    ahead = path(nodes) - path(np.maximum(nodes - width_s, 0.0))
    return ahead / (gamma_hz_per_t * width_s)


def played(radius: Callable[[Float64], Float64], time_s: float, n_width: int) -> float:
    """Return the radius, in cycles per metre, where `running_mean` is at a time.

    Its waveform is a straight line between nodes, so that the mean is that of the trapezoidal
    rule; exact at the nodes.
    """
    before_s = time_s - RASTER_S * np.arange(n_width + 1, dtype=np.float64)
    return float(np.trapezoid(radius(np.maximum(before_s, 0.0))) / n_width)


def lobe(area_t_s_per_m: Float64, limits: GradientLimits) -> Float64:
    """Return the shortest trapezoids of given areas, all with the timing of the largest.

    Parameters
    ----------
    area_t_s_per_m
        Shape ``(patterns, 3)``.
    limits
        What the largest may use.

    Returns
    -------
    ndarray
        Gradient in T/m at the nodes of the raster, shape ``(patterns, nodes, 3)``; 0 at both ends.
    """
    area = float(np.linalg.norm(area_t_s_per_m, axis=-1).max())
    peak = min(limits.amplitude_t_per_m, sqrt(area * limits.slew_t_per_m_per_s))
    n_rise = n_steps(peak / limits.slew_t_per_m_per_s)
    n_flat = max(n_steps(area / limits.amplitude_t_per_m) - n_rise, 0)
    shape = np.interp(
        np.arange(2 * n_rise + n_flat + 1),
        [0, n_rise, n_rise + n_flat, 2 * n_rise + n_flat],
        [0.0, 1.0, 1.0, 0.0],
    )
    return area_t_s_per_m[:, None, :] * (shape / (shape.sum() * RASTER_S))[:, None]


def with_ramp_down(gradient_t_per_m: Float64, limits: GradientLimits) -> Float64:
    """Return waveforms ``(patterns, nodes, 3)`` with a straight ramp to zero at their end."""
    last = gradient_t_per_m[:, -1:, :]
    largest = float(np.linalg.norm(last, axis=-1).max())
    n = n_steps(largest / limits.slew_t_per_m_per_s)
    down = 1.0 - np.arange(1, n + 1) / n
    return np.concatenate([gradient_t_per_m, last * down[:, None]], axis=1)


def integrate(gradient_t_per_m: Float64, time_s: Float64, gamma_hz_per_t: float) -> Float64:
    """Return where waveforms are at some times, exactly.

    Parameters
    ----------
    gradient_t_per_m
        At the nodes of the raster, shape ``(patterns, nodes, 3)``.
    time_s
        After the first node, shape ``(samples,)``, within the waveform.
    gamma_hz_per_t
        Gyromagnetic ratio over 2 pi.

    Returns
    -------
    ndarray
        k in cycles per metre, shape ``(patterns, samples, 3)``; 0 at time 0.
    """
    mean = 0.5 * (gradient_t_per_m[:, 1:] + gradient_t_per_m[:, :-1])
    at_node = np.concatenate(
        [np.zeros_like(mean[:, :1]), np.cumsum(mean, axis=1) * RASTER_S], axis=1
    )
    node = np.minimum((time_s / RASTER_S).astype(np.intp), mean.shape[1] - 1)
    rest = (time_s - node * RASTER_S)[:, None]
    start, end = gradient_t_per_m[:, node], gradient_t_per_m[:, node + 1]
    within = start * rest + (end - start) * rest**2 / (2.0 * RASTER_S)
    return gamma_hz_per_t * (at_node[:, node] + within)
