"""Archimedean spirals in a plane, of constant or varying density."""

from __future__ import annotations

from math import pi

import numpy as np

from ultrahand.recon.trajectories.design import Design, about_z, make_design, sample_times_s
from ultrahand.recon.trajectories.directions import uniform_angles_rad
from ultrahand.recon.trajectories.prescription import Prescription, too_short
from ultrahand.recon.trajectories.time_optimal import LAG_S, fastest, waveforms
from ultrahand.recon.trajectories.twisted_path import PolynomialTwist, TwistedPath
from ultrahand.records.arrays import Float64, require


def spiral_2d(n_interleaves: int, n_samples: int, k_max_per_m: float, *, turns: float) -> Float64:
    """Return Archimedean spirals from the centre out, shape ``(interleaves, samples, 2)``.

    Positions alone, without gradients: radius and angle grow linearly along an interleaf (Ahn,
    Kim, Cho, IEEE Trans Med Imaging 1986;5:2, doi:10.1109/TMI.1986.4307732); interleaves are
    turned evenly over a full turn. Neighbouring turns are ``k_max / (turns * interleaves)`` apart.
    """
    along = np.arange(n_samples) / max(n_samples - 1, 1)
    first = uniform_angles_rad(n_interleaves, half=False)
    angle = first[:, None] + 2.0 * pi * turns * along
    radius = k_max_per_m * along
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def design_spiral(
    prescription: Prescription,
    *,
    n_interleaves: int,
    fov_edge_m: float | None = None,
    readout_s: float | None = None,
) -> Design:
    r"""Design interleaved spirals from the centre out.

    Neighbouring turns lie ``1 / FOV`` apart, where the field of view changes linearly with the
    radius, from that of the prescription at the centre to ``fov_edge_m``:

    .. math:: \frac{d\phi}{dk} = \frac{2 \pi\, FOV(k)}{n}

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    n_interleaves
        Shots.
    fov_edge_m
        Field of view at the edge of k-space; smaller than at the centre for variable density,
        that of the prescription where not given.
    readout_s
        From the start of the gradient to the edge of k-space; the shortest where not given.

    Returns
    -------
    Design
        ``n_nyquist`` is the number of interleaves that would give the field of view at the edge.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    require(n_interleaves >= 1, f"n_interleaves must be >= 1, got {n_interleaves}")
    centre = prescription.fov_m
    edge = centre if fov_edge_m is None else fov_edge_m
    require(0 < edge <= centre, f"fov_edge_m must be > 0 and <= fov_m, got {edge}")
    turn = 2.0 * pi / n_interleaves
    twist = PolynomialTwist(
        linear_rad_m=turn * centre,
        quadratic_rad_m2=0.5 * turn * (edge - centre) / prescription.k_max_per_m,
    )
    timing = fastest(TwistedPath(polar_rad=np.array([pi / 2.0]), twist=twist), prescription)
    shortest_s = float(timing.duration_s[0]) + LAG_S
    if readout_s is None:
        readout_s = shortest_s
    elif readout_s < shortest_s:
        raise too_short(readout_s, shortest_s, "use more interleaves or read out longer")
    return make_design(
        prescription,
        waveforms(timing, prescription, readout_s),
        time_s=sample_times_s(readout_s, prescription.sample_time_s),
        pattern=np.zeros(n_interleaves, np.intp),
        frames=about_z(uniform_angles_rad(n_interleaves, half=False)),
        n_nyquist=int(np.ceil(n_interleaves * centre / edge - 1e-9)),
    )
