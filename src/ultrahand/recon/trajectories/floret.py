r"""FLORET: Fermat spirals on cones, turned by the golden angle, about one to three axes.

A shot of elevation :math:`\beta` from the plane of its hub is a flat Fermat spiral
:math:`\phi = a k^2`, folded onto a cone: its in-plane part times :math:`\cos\beta`, its radius
times :math:`\sin\beta` along the axis (Pipe et al., MRM 2011;66:1303, doi:10.1002/mrm.22918).
All shots share one timing.

With N shots of a hub spread evenly in :math:`|\beta| \le \beta_{max}`, the length of trajectory
per volume is

.. math:: \frac{N}{4 \pi \beta_{max} k^2 \cos\beta} \sqrt{1 + (2 a k^2 \cos\beta)^2}
          \;\to\; \frac{N a}{2 \pi \beta_{max}}

the same everywhere from :math:`2 a k^2 \cos\beta \gg 1` on. It is least at the edge for
:math:`\beta = 0`, and one line per :math:`1 / FOV^2` there takes

.. math:: N = \frac{4 \pi \beta_{max} (k_{max} FOV)^2}{\sqrt{1 + (2 a k_{max}^2)^2}}.
"""

from __future__ import annotations

from math import ceil, pi

import numpy as np
from scipy.optimize import brentq

from ultrahand.recon.trajectories.design import Design, about_z, make_design, sample_times_s
from ultrahand.recon.trajectories.directions import golden_angles_rad
from ultrahand.recon.trajectories.prescription import Prescription, too_short
from ultrahand.recon.trajectories.time_optimal import LAG_S, Timing, fastest, waveforms
from ultrahand.recon.trajectories.twisted_path import PolynomialTwist, TwistedPath
from ultrahand.records.arrays import Float64, require

HUBS = np.array([np.eye(3), np.eye(3)[[1, 2, 0]], np.eye(3)[[2, 0, 1]]])
"""Rotations that turn the axis of a hub, z, to z, y and x."""


def design_floret(
    prescription: Prescription,
    *,
    readout_s: float,
    n_hubs: int = 3,
    largest_elevation_rad: float = pi / 4.0,
    n_shots: int | None = None,
) -> Design:
    """Design FLORET shots from the centre out.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        From the start of the gradient to the edge of k-space; longer ones turn more often.
    n_hubs
        1 to 3 axes. Elevations up to 45 degrees cover the sphere from two hubs on; one hub leaves
        the poles out.
    largest_elevation_rad
        Larger than 0 and at most ``pi / 2``.
    n_shots
        Of all hubs, split evenly; as many as Nyquist needs where not given.

    Returns
    -------
    Design
        Shots of the hubs after each other, from the lowest elevation to the highest.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    require(1 <= n_hubs <= len(HUBS), f"n_hubs must be 1, 2 or 3, got {n_hubs}")
    require(
        0 < largest_elevation_rad <= pi / 2,
        f"largest_elevation_rad must be in (0, pi / 2], got {largest_elevation_rad}",
    )
    winding, timing = _wind_most(prescription, readout_s)
    twist_at_edge = 2.0 * winding * prescription.k_max_per_m**2
    area = 4.0 * pi * (prescription.k_max_per_m * prescription.fov_m) ** 2
    n_hub = ceil(largest_elevation_rad * area / np.hypot(1.0, twist_at_edge) - 1e-9)
    each = n_hub if n_shots is None else ceil(n_shots / n_hubs)
    frames = _fold(each, largest_elevation_rad, HUBS[:n_hubs])
    return make_design(
        prescription,
        _flat_and_radial(timing, prescription, readout_s),
        time_s=sample_times_s(readout_s, prescription.sample_time_s),
        pattern=np.zeros(len(frames), np.intp),
        frames=frames,
        n_nyquist=n_hubs * n_hub,
    )


def _wind_most(prescription: Prescription, readout_s: float) -> tuple[float, Timing]:
    """Return the most winding ``a`` (rad m2) that the readout has time for, and its timing."""
    available_s = readout_s - LAG_S
    shortest_s = float(_flat_timing(0.0, prescription).duration_s[0])
    if available_s < shortest_s:
        raise too_short(readout_s, shortest_s + LAG_S, "read out longer or make voxels larger")

    def spare(winding: float) -> float:
        return float(_flat_timing(winding, prescription).duration_s[0]) / available_s - 1.0

    most = 2.0 * pi / prescription.k_max_per_m**2
    while spare(most) < 0:
        most *= 2.0
    winding = brentq(spare, 0.0, most, rtol=1e-6)
    return winding, _flat_timing(winding, prescription)


def _flat_timing(winding_rad_m2: float, prescription: Prescription) -> Timing:
    """Return the timing of the flat spiral, which all shots share.

    A folded gradient is ``(cos b * flat, sin b * radial)``, no longer than the longer of both; so
    every elevation keeps the limits when the flat spiral and the radius alone do. The radius
    does: it starts straight, at the limit, and brakes with about half of it when the twist sets
    in, however many turns there are.
    """
    twist = PolynomialTwist(linear_rad_m=0.0, quadratic_rad_m2=winding_rad_m2)
    return fastest(TwistedPath(polar_rad=np.array([pi / 2.0]), twist=twist), prescription)


def _flat_and_radial(timing: Timing, prescription: Prescription, readout_s: float) -> Float64:
    """Return the gradients in T/m of the flat spiral (x, y) and of its radius (z)."""
    flat = waveforms(timing, prescription, readout_s)
    radial = waveforms(timing.straight(), prescription, readout_s)
    return flat * [1.0, 1.0, 0.0] + radial


def _fold(n: int, largest_elevation_rad: float, hubs: Float64) -> Float64:
    """Return what folds and turns the flat spiral to n shots of each hub, ``(hubs * n, 3, 3)``."""
    elevation = largest_elevation_rad * ((2.0 * np.arange(n) + 1.0) / n - 1.0)
    fold = np.zeros((n, 3, 3))
    fold[:, 0, 0] = fold[:, 1, 1] = np.cos(elevation)
    fold[:, 2, 2] = np.sin(elevation)
    turned = about_z(golden_angles_rad(n, half=False)) @ fold
    return (hubs[:, None] @ turned).reshape(-1, 3, 3)
