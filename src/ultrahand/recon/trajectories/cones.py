r"""3D cones: spirals on cones about z, each with as few interleaves as the readout allows.

The cones are ``1 / FOV`` apart along a meridian of the edge. On a cone, interleaves with a twist
:math:`q = k \sin\theta\, d\phi / dk` are

.. math:: d = \frac{2 \pi k \sin\theta}{n \sqrt{1 + q^2}}

apart, measured across them, so that ``1 / FOV`` needs :math:`q^2 \ge u^2 - 1` with
:math:`u = k / k_0, k_0 = n / (2 \pi \sin\theta\, FOV)` (Gurney, Hargreaves, Nishimura: MRM
2006;55:575, doi:10.1002/mrm.20796). That twist sets in with infinite curvature at :math:`k_0`.
Here

.. math:: q = \frac{u^2}{\sqrt{1 + u^2}}, \qquad
          \phi = \frac{\sqrt{1 + u^2} - 1}{\sin\theta}

is smooth from the centre on and never less: :math:`q^2 = u^2 - 1 + 1 / (1 + u^2)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi

import numpy as np

from ultrahand.recon.trajectories.design import Design, about_z, make_design, sample_times_s
from ultrahand.recon.trajectories.directions import GOLDEN_ANGLE_RAD, uniform_angles_rad
from ultrahand.recon.trajectories.prescription import Prescription, too_short
from ultrahand.recon.trajectories.time_optimal import LAG_S, Timing, fastest, waveforms
from ultrahand.recon.trajectories.twisted_path import TwistedPath
from ultrahand.records.arrays import Float64, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class ConeTwist:
    """The twist of the module's text; one row a cone."""

    k0_per_m: Float64
    """Shape ``(cones, 1)``."""
    sin_polar: Float64
    """Shape ``(cones, 1)``."""

    def angle_rad(self, k_per_m: Float64) -> Float64:
        return (np.hypot(1.0, k_per_m / self.k0_per_m) - 1.0) / self.sin_polar

    def slope_rad_m(self, k_per_m: Float64) -> Float64:
        u = k_per_m / self.k0_per_m
        return u / np.hypot(1.0, u) / (self.k0_per_m * self.sin_polar)

    def bend_rad_m2(self, k_per_m: Float64) -> Float64:
        u = k_per_m / self.k0_per_m
        return np.hypot(1.0, u) ** -3 / (self.k0_per_m**2 * self.sin_polar)


def design_cones(prescription: Prescription, *, readout_s: float) -> Design:
    """Design 3D cones from the centre out.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        From the start of the gradient to the edge of k-space.

    Returns
    -------
    Design
        As many shots as Nyquist needs; pattern ``j`` is the cone of polar angle
        ``(j + 1/2) pi / cones``.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    polar = cone_angles_rad(prescription)
    interleaves, timing = _fewest(prescription, polar, readout_s)
    cone = np.repeat(np.arange(len(polar)), interleaves)
    return make_design(
        prescription,
        waveforms(timing, prescription, readout_s),
        time_s=sample_times_s(readout_s, prescription.sample_time_s),
        pattern=cone,
        frames=about_z(interleaf_angles_rad(interleaves)),
        n_nyquist=len(cone),
    )


def cone_angles_rad(prescription: Prescription) -> Float64:
    """Return polar angles of cones at most ``1 / FOV`` apart at the edge, shape ``(cones,)``."""
    n = ceil(pi * prescription.k_max_per_m * prescription.fov_m - 1e-9)
    return (np.arange(n) + 0.5) * pi / n


def interleaf_angles_rad(interleaves: Ints) -> Float64:
    """Return the azimuths of all interleaves, evenly on each cone, shape ``(shots,)``.

    Each cone starts a golden angle after the last, so that they do not line up.
    """
    return np.concatenate(
        [
            uniform_angles_rad(n, half=False) + 2.0 * GOLDEN_ANGLE_RAD * j
            for j, n in enumerate(interleaves)
        ]
    )


def _fewest(prescription: Prescription, polar: Float64, readout_s: float) -> tuple[Ints, Timing]:
    """Bisect, on all cones at once, for the fewest interleaves that meet the readout."""
    sin = np.sin(polar)
    around = 2.0 * pi * prescription.fov_m * sin

    def timing_of(interleaves: Ints) -> Timing:
        twist = ConeTwist(k0_per_m=(interleaves / around)[:, None], sin_polar=sin[:, None])
        return fastest(TwistedPath(polar_rad=polar, twist=twist), prescription)

    # With as many, k0 is at the edge: the twist is small and Nyquist needs none.
    enough = np.ceil(prescription.k_max_per_m * around).astype(np.intp)
    shortest_s = float(timing_of(enough).duration_s.max()) + LAG_S
    if readout_s < shortest_s:
        raise too_short(readout_s, shortest_s, "read out longer or make voxels larger")
    few = np.zeros_like(enough)
    while (enough - few).max() > 1:
        half = np.maximum((enough + few) // 2, 1)
        meets = timing_of(half).duration_s + LAG_S <= readout_s
        enough, few = np.where(meets, half, enough), np.where(meets, few, half)
    return enough, timing_of(enough)
