r"""Twisted projection imaging: radial to ``k0``, then winding on a cone at full gradient.

Beyond :math:`k_0 = p\, k_{max}` the radius is that of an even density, as in density-adapted
radial sampling; what the radius leaves of the gradient turns the shot about z, so that the
gradient stays at :math:`G_0`:

.. math:: \phi(k) = \frac{q - \arctan q}{2 \sin\theta}, \qquad
          q = k \sin\theta \frac{d\phi}{dk} = \sqrt{(k / k_0)^4 - 1}

(Boada et al., MRM 1997;37:706). Compared with straight spokes a share :math:`p` of the shots is
enough. Two things the gradients cannot do are changed:

* The twist sets in with an infinite slew. A running mean, which is the ramp too, limits it.
* Near the poles the circles are too small for full gradient. The cones there twist as slowly as
  the one where half of the slew limit is used, and need more shots.
"""

from __future__ import annotations

from math import ceil, pi

import numpy as np

from ultrahand.recon.trajectories.adapted_radius import AdaptedRadius, reaching
from ultrahand.recon.trajectories.cones import cone_angles_rad, interleaf_angles_rad
from ultrahand.recon.trajectories.design import Design, about_z, make_design, sample_times_s
from ultrahand.recon.trajectories.prescription import RASTER_S, Prescription, too_short
from ultrahand.recon.trajectories.waveform import n_steps, running_mean
from ultrahand.records.arrays import Float64, Ints, require

INWARDS = 0.8 * 5.0**-0.25
"""The maximum of ``(1 - u^-4) / u``, at ``u^4 = 5``."""

SLEW_SHARE = 0.5
"""Of the slew limit, for winding: the gradient then turns by at most half a radian to one radian
within the running mean."""


def design_twisted_projections(
    prescription: Prescription, *, readout_s: float, radial_fraction: float = 0.4
) -> Design:
    """Design twisted projections from the centre out.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        From the start of the gradient to the edge of k-space.
    radial_fraction
        ``p = k0 / k_max``, larger than 0 and less than 1; 0.2 to 0.4 are common.

    Returns
    -------
    Design
        As many shots as Nyquist needs, about ``p 4 pi (k_max FOV)^2``; pattern ``j`` is the cone
        of polar angle ``(j + 1/2) pi / cones``.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    require(0 < radial_fraction < 1, f"radial_fraction must be in (0, 1), got {radial_fraction}")
    polar = cone_angles_rad(prescription)
    n_width = 1
    while True:
        radius = twisted_radius(prescription, readout_s, radial_fraction, n_width)
        path = _Winding(radius, polar, prescription)
        if path.slew(n_width) <= prescription.limits.slew_t_per_m_per_s:
            break
        n_width += 1  # ends where width * slew limit is twice the gradient, at the latest
    shots = path.shots()
    return make_design(
        prescription,
        path.waveforms(readout_s, n_width),
        time_s=sample_times_s(readout_s, prescription.sample_time_s),
        pattern=np.repeat(np.arange(len(polar)), shots),
        frames=about_z(interleaf_angles_rad(shots)),
        n_nyquist=int(shots.sum()),
    )


def twisted_radius(
    prescription: Prescription, readout_s: float, radial_fraction: float, n_width: int
) -> AdaptedRadius:
    """Return the radius that reaches the edge when the readout ends, ``n_width / 2`` steps late.

    Raises
    ------
    InputError
        It needs more gradient than the limits allow.
    """
    edge, gamma = prescription.k_max_per_m, prescription.gamma_hz_per_t
    k0 = radial_fraction * edge

    def of(gradient_t_per_m: float) -> AdaptedRadius:
        return AdaptedRadius(gamma_hz_per_t=gamma, gradient_t_per_m=gradient_t_per_m, k0_per_m=k0)

    share = SLEW_SHARE * prescription.limits.slew_t_per_m_per_s
    largest = min(
        prescription.largest_gradient_t_per_m, float(np.sqrt(share * k0 / (INWARDS * gamma)))
    )
    radius = reaching(
        of, edge_per_m=edge, readout_s=readout_s, n_width=n_width, largest_t_per_m=largest
    )
    if radius is None:
        raise too_short(
            readout_s,
            _played_in_s(of(largest), prescription),
            "read out longer, make voxels larger or the radial fraction larger",
        )
    return radius


def _played_in_s(radius: AdaptedRadius, prescription: Prescription) -> float:
    """Return when a radius is at the edge, on the raster, with the mean that it needs."""
    path = _Winding(radius, cone_angles_rad(prescription), prescription)
    n_width = 1
    while path.slew(n_width) > prescription.limits.slew_t_per_m_per_s:
        n_width += 1
    ideal_s = radius.time_to_s(prescription.k_max_per_m)
    return (n_steps(ideal_s + 0.5 * n_width * RASTER_S) + 1) * RASTER_S


class _Winding:
    """The paths of all cones in time.

    Winding needs the slew ``gamma G0^2 (1 - u^-4) / (k0 u sin)`` inwards with ``u = k / k0``, at
    most `INWARDS` of ``gamma G0^2 / (k0 sin)``; cones too small for that are wound as slowly as
    the one that takes `SLEW_SHARE`.
    """

    def __init__(self, radius: AdaptedRadius, polar: Float64, prescription: Prescription) -> None:
        self.radius, self.prescription = radius, prescription
        self.sin, self.cos = np.sin(polar), np.cos(polar)
        inwards = INWARDS * radius.gamma_hz_per_t * radius.gradient_t_per_m**2 / radius.k0_per_m
        share = SLEW_SHARE * prescription.limits.slew_t_per_m_per_s
        self.wound_as = np.maximum(self.sin, inwards / share)

    def position_per_m(self, time_s: Float64) -> Float64:
        """Return positions at times ``(nodes,)``, shape ``(cones, nodes, 3)``."""
        k = self.radius.k_per_m(time_s)
        twist = self._twist(k)
        angle = np.outer(1.0 / self.wound_as, 0.5 * (twist - np.arctan(twist)))
        ring = np.outer(self.sin, k)
        return np.stack([ring * np.cos(angle), ring * np.sin(angle), np.outer(self.cos, k)], -1)

    def waveforms(self, duration_s: float, n_width: int) -> Float64:
        """Return gradients in T/m, shape ``(cones, nodes, 3)``."""
        return running_mean(
            self.position_per_m,
            duration_s=duration_s,
            n_width=n_width,
            gamma_hz_per_t=self.prescription.gamma_hz_per_t,
        )

    def slew(self, n_width: int) -> float:
        """Return the largest slew up to the edge in T/m/s."""
        end_s = self.radius.time_to_s(self.prescription.k_max_per_m)
        gradient = self.waveforms(end_s + (0.5 * n_width + 1) * RASTER_S, n_width)
        return float(np.linalg.norm(np.diff(gradient, axis=1), axis=2).max()) / RASTER_S

    def shots(self) -> Ints:
        """Return how many shots keep neighbours on each cone ``1 / FOV`` apart, ``(cones,)``."""
        k = np.linspace(self.radius.k0_per_m, self.prescription.k_max_per_m, 200)
        twist = np.outer(self.sin / self.wound_as, self._twist(k))
        turn = 2.0 * pi * self.prescription.fov_m
        around = turn * np.outer(self.sin, k) / np.hypot(1.0, twist)
        return np.array([ceil(n - 1e-9) for n in around.max(axis=1)])

    def _twist(self, k_per_m: Float64) -> Float64:
        return np.sqrt(np.maximum((k_per_m / self.radius.k0_per_m) ** 4 - 1.0, 0.0))
