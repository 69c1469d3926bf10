r"""The fastest way along a path within amplitude and slew limits.

With the speed :math:`v` along a path of curvature :math:`\kappa`, the gradient is as long as
:math:`v / \gamma` and its change as :math:`\sqrt{\dot v^2 + (\kappa v^2)^2} / \gamma`. In the
phase plane of arc length and :math:`v^2`, the fastest solution is the lower one of a pass forwards
from rest and a pass backwards from the end, both at the limit (Lustig, Kim, Pauly: IEEE Trans Med
Imaging 2008;27:866, doi:10.1109/TMI.2008.922699). Here the end is free: it is left at any speed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from ultrahand.recon.trajectories.prescription import RASTER_S, Prescription
from ultrahand.recon.trajectories.twisted_path import PolynomialTwist, TwistedPath
from ultrahand.recon.trajectories.waveform import running_mean
from ultrahand.records.arrays import Float64

N_RADII = 1500
"""Steps along a path. They are finer at the centre, where speed and curvature change fast."""

LAG_S = 0.5 * RASTER_S
"""How late a waveform plays its path when it is put on the raster."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Timing:
    """When paths reach each radius; one row a path."""

    path: TwistedPath
    k_per_m: Float64
    """Radii, shape ``(radii,)``."""
    time_s: Float64
    """Shape ``(patterns, radii)``; 0 at the centre."""
    rate_per_m_per_s: Float64
    """``dk / dt``, shape ``(patterns, radii)``."""

    @property
    def duration_s(self) -> Float64:
        """Time to the edge of k-space, shape ``(patterns,)``."""
        return self.time_s[:, -1]

    def stretched(self, duration_s: Float64 | float) -> Timing:
        """Return the same paths played more slowly, each to a duration of its own.

        Gradients fall by the ratio of durations and slew by its square, so limits are kept.
        """
        ratio = (duration_s / self.duration_s)[:, None]
        return Timing(
            path=self.path,
            k_per_m=self.k_per_m,
            time_s=self.time_s * ratio,
            rate_per_m_per_s=self.rate_per_m_per_s / ratio,
        )

    def straight(self) -> Timing:
        """Return the radii alone, played along z with the same timing."""
        still = PolynomialTwist(linear_rad_m=0.0, quadratic_rad_m2=0.0)
        path = TwistedPath(polar_rad=np.zeros(len(self.time_s)), twist=still)
        return replace(self, path=path)

    def radius_per_m(self, time_s: Float64) -> Float64:
        """Return radii at times ``(nodes,)``, shape ``(patterns, nodes)``; the last one after."""
        rows = zip(self.time_s, self.rate_per_m_per_s, strict=True)
        return np.stack(
            [
                CubicHermiteSpline(own, self.k_per_m, rate)(np.minimum(time_s, own[-1]))
                for own, rate in rows
            ]
        )

    def position_per_m(self, time_s: Float64) -> Float64:
        """Return positions at times ``(nodes,)``, shape ``(patterns, nodes, 3)``.

        After the end, paths go on as they left: straight and at the same speed.
        """
        position = self.path.position_per_m(self.radius_per_m(time_s))
        end = np.full((len(position), 1), self.k_per_m[-1])
        velocity = self.path.tangent(end) * self.rate_per_m_per_s[:, -1:, None]
        after_s = np.maximum(time_s - self.duration_s[:, None], 0.0)
        return position + velocity * after_s[..., None]


def fastest(path: TwistedPath, prescription: Prescription) -> Timing:
    """Return the fastest timing of paths to the edge of k-space.

    Both passes use the larger curvature and the larger speed of each step, so that the limits
    hold within it, not at its ends alone.
    """
    radius = prescription.k_max_per_m * np.linspace(0.0, 1.0, N_RADII) ** 2
    k = np.broadcast_to(radius, (len(path.polar_rad), N_RADII))
    limit = prescription.strongest_per_m_per_s2
    length = path.length(k)
    middle = path.length(0.5 * (k[:, 1:] + k[:, :-1]))
    step = np.diff(radius) / 6.0 * (length[:, 1:] + 4.0 * middle + length[:, :-1])
    at_node = path.curvature_m(k)
    curvature = np.maximum(at_node[:, 1:], at_node[:, :-1])
    energy = _ceiling(curvature, limit, prescription.fastest_per_m_per_s**2)
    _rise(energy.T, step.T, curvature.T, limit)
    _rise(energy.T[::-1], step.T[::-1], curvature.T[::-1], limit)
    speed = np.sqrt(energy)
    time_s = np.cumsum(2.0 * step / (speed[:, 1:] + speed[:, :-1]), axis=1)
    return Timing(
        path=path,
        k_per_m=radius,
        time_s=np.pad(time_s, ((0, 0), (1, 0))),
        rate_per_m_per_s=speed / length,
    )


def _ceiling(curvature: Float64, limit: float, fastest2: float) -> Float64:
    """Return the largest ``v^2`` at nodes from the curvature of the steps beside them."""
    beside = np.pad(curvature, ((0, 0), (1, 1)))
    worst = np.maximum(beside[:, 1:], beside[:, :-1])
    energy = np.minimum(fastest2, limit / np.maximum(worst, limit / fastest2))
    energy[:, 0] = 0.0
    return energy


def _rise(energy: Float64, step: Float64, curvature: Float64, limit: float) -> None:
    """Lower ``v^2`` of each node to what the slew limit allows after the node before.

    The change d over a step solves ``(d / 2 step)^2 + curvature^2 (energy + d)^2 = limit^2``.

    Parameters
    ----------
    energy
        ``v^2``, shape ``(nodes, patterns)``; written in place.
    step, curvature
        Of the way between nodes, shape ``(nodes - 1, patterns)``.
    limit
        Largest acceleration.
    """
    bend2, inverse2 = curvature**2, 1.0 / (4.0 * step**2)
    total = bend2 + inverse2
    for i in range(len(step)):
        here = energy[i]
        root = np.sqrt(np.maximum(total[i] * limit**2 - bend2[i] * inverse2[i] * here**2, 0.0))
        change = (root - bend2[i] * here) / total[i]
        energy[i + 1] = np.minimum(energy[i + 1], here + change)


def waveforms(timing: Timing, prescription: Prescription, readout_s: float) -> Float64:
    """Return gradients in T/m that reach the edge at the end of the readout.

    Returns
    -------
    ndarray
        Shape ``(patterns, nodes, 3)``.
    """
    stretched = timing.stretched(readout_s - LAG_S)
    return running_mean(
        stretched.position_per_m,
        duration_s=readout_s,
        n_width=1,
        gamma_hz_per_t=prescription.gamma_hz_per_t,
    )
