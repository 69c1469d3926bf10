"""Density-adapted 3D radial sampling from the centre out.

Ramp, constant gradient to ``k0``, then a gradient that falls so that samples are spread evenly
over the volume: plain spokes take five ninths of the signal-to-noise ratio squared of an even
density, density-adapted ones nearly all (Nagel et al., MRM 2009;62:1565, doi:10.1002/mrm.22157).
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ultrahand.recon.trajectories.adapted_radius import AdaptedRadius, reaching
from ultrahand.recon.trajectories.design import Design, make_design, sample_times_s, towards
from ultrahand.recon.trajectories.directions import directions
from ultrahand.recon.trajectories.prescription import RASTER_S, Prescription, too_short
from ultrahand.recon.trajectories.spokes import along, n_nyquist_3d
from ultrahand.recon.trajectories.waveform import n_steps, running_mean


def design_density_adapted(
    prescription: Prescription,
    *,
    readout_s: float,
    n_shots: int | None = None,
    order: str = "golden_means",
) -> Design:
    """Design density-adapted spokes from the centre out.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        From the start of the gradient to the edge of k-space.
    n_shots
        As many as Nyquist needs where not given, ``4 pi (k_max FOV)^2``.
    order
        One of `ultrahand.recon.trajectories.directions.DIRECTIONS`.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    radius, n_ramp = ramped(prescription, readout_s)
    gradient = running_mean(
        along(radius.k_per_m, axis=2),
        duration_s=readout_s,
        n_width=n_ramp,
        gamma_hz_per_t=prescription.gamma_hz_per_t,
    )
    n_nyquist = n_nyquist_3d(prescription)
    n = n_nyquist if n_shots is None else n_shots
    return make_design(
        prescription,
        gradient,
        time_s=sample_times_s(readout_s, prescription.sample_time_s),
        pattern=np.zeros(n, np.intp),
        frames=towards(directions(order, n, half=False)),
        n_nyquist=n_nyquist,
    )


def ramped(prescription: Prescription, readout_s: float) -> tuple[AdaptedRadius, int]:
    """Return the radius without its ramp, and the steps of the ramp that delay it by half.

    The ramp follows from the gradient and the gradient from what the ramp leaves of the readout.
    A longer ramp asks for a larger gradient, so the steps only grow until they suffice.

    Raises
    ------
    InputError
        The gradients cannot reach the edge of k-space in that time.
    """
    n_ramp = 1
    while True:
        radius = adapted(prescription, readout_s, n_ramp)
        needed = n_steps(radius.gradient_t_per_m / prescription.limits.slew_t_per_m_per_s)
        if needed <= n_ramp:
            return radius, n_ramp
        n_ramp = needed


def adapted(prescription: Prescription, readout_s: float, n_ramp: int) -> AdaptedRadius:
    """Return the radius that turns as early as the slew limit lets it: ``k0 = 2 gamma G0^2 / S``.

    The gradient follows from the readout. It is larger the shorter that is, up to where ``k0``
    is at the edge.

    Raises
    ------
    InputError
        The gradients cannot reach the edge of k-space in that time.
    """
    gamma, edge = prescription.gamma_hz_per_t, prescription.k_max_per_m
    slew = prescription.limits.slew_t_per_m_per_s

    def of(gradient_t_per_m: float) -> AdaptedRadius:
        return AdaptedRadius(
            gamma_hz_per_t=gamma,
            gradient_t_per_m=gradient_t_per_m,
            k0_per_m=2.0 * gamma * gradient_t_per_m**2 / slew,
        )

    largest = min(prescription.largest_gradient_t_per_m, sqrt(edge * slew / (2.0 * gamma)))
    radius = reaching(
        of, edge_per_m=edge, readout_s=readout_s, n_width=n_ramp, largest_t_per_m=largest
    )
    if radius is None:
        ramp_s = n_steps(largest / slew) * RASTER_S
        raise too_short(
            readout_s,
            of(largest).time_to_s(edge) + 0.5 * ramp_s + RASTER_S,
            "read out longer, make voxels larger or use plain spokes",
        )
    return radius
