"""Radial sampling in a plane and in space: full spokes and spokes from the centre out."""

from __future__ import annotations

from math import ceil, pi

import numpy as np

from ultrahand.recon.trajectories.design import Design, about_z, make_design, towards
from ultrahand.recon.trajectories.directions import angles_rad, directions, spiral_phyllotaxis
from ultrahand.recon.trajectories.prescription import Prescription
from ultrahand.recon.trajectories.spokes import centre_out_spoke, full_spoke, n_nyquist_3d
from ultrahand.records.arrays import Float64


def k_max_per_m(matrix: int, fov_m: float) -> float:
    """Return the edge of k-space of a matrix: half a cycle per voxel."""
    return matrix / (2.0 * fov_m)


def radial_2d(n_spokes: int, n_samples: int, k_max_per_m: float, *, golden: bool) -> Float64:
    """Return full spokes through the centre, shape ``(spokes, samples, 2)``.

    Positions alone, without gradients. Sample n lies at ``(n - N // 2) * 2 k_max / N``. Spokes are
    spread evenly over half a turn, or by the golden angle.
    """
    angle = angles_rad("golden" if golden else "uniform", n_spokes, half=True)
    radius = (np.arange(n_samples) - n_samples // 2) * (2.0 * k_max_per_m / n_samples)
    return np.stack([np.outer(np.cos(angle), radius), np.outer(np.sin(angle), radius)], axis=-1)


def radial_3d(n_spokes: int, n_samples: int, k_max_per_m: float) -> Float64:
    """Return spokes from the centre out, shape ``(spokes, samples, 3)``.

    Positions alone, without gradients: sample n lies at ``n / (N - 1) * k_max`` on the directions
    of `ultrahand.recon.trajectories.directions.spiral_phyllotaxis`.
    """
    radius = k_max_per_m * np.arange(n_samples) / max(n_samples - 1, 1)
    return spiral_phyllotaxis(n_spokes, half=False)[:, None, :] * radius[:, None]


def design_radial_2d(
    prescription: Prescription,
    *,
    readout_s: float,
    n_shots: int | None = None,
    order: str = "golden",
    full: bool = True,
) -> Design:
    """Design spokes in the plane z = 0.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        Time in which samples are taken; full spokes take them after the ramp.
    n_shots
        As many as Nyquist needs where not given: ``pi k_max FOV`` full spokes, twice as many from
        the centre out, which are at most ``1 / FOV`` apart at the edge when spread evenly.
    order
        One of `ultrahand.recon.trajectories.directions.ANGLES`.
    full
        Through the centre, else from the centre out.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    spoke = full_spoke if full else centre_out_spoke
    gradient, time_s = spoke(prescription, readout_s, axis=0)
    turn = pi if full else 2.0 * pi
    n_nyquist = ceil(turn * prescription.k_max_per_m * prescription.fov_m - 1e-9)
    angle = angles_rad(order, n_nyquist if n_shots is None else n_shots, half=full)
    return _spokes(prescription, gradient, time_s, about_z(angle), n_nyquist)


def design_radial_3d(
    prescription: Prescription,
    *,
    readout_s: float,
    n_shots: int | None = None,
    order: str = "golden_means",
    full: bool = False,
) -> Design:
    """Design spokes in all directions.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        Time in which samples are taken; full spokes take them after the ramp.
    n_shots
        As many as Nyquist needs where not given: one for each ``1 / FOV^2`` of the edge's area,
        ``4 pi (k_max FOV)^2``, half as many full spokes.
    order
        One of `ultrahand.recon.trajectories.directions.DIRECTIONS`.
    full
        Through the centre, else from the centre out.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    spoke = full_spoke if full else centre_out_spoke
    gradient, time_s = spoke(prescription, readout_s, axis=2)
    n_nyquist = n_nyquist_3d(prescription, half=full)
    spokes = directions(order, n_nyquist if n_shots is None else n_shots, half=full)
    return _spokes(prescription, gradient, time_s, towards(spokes), n_nyquist)


def _spokes(
    prescription: Prescription,
    gradient: Float64,
    time_s: Float64,
    frames: Float64,
    n_nyquist: int,
) -> Design:
    return make_design(
        prescription,
        gradient,
        time_s=time_s,
        pattern=np.zeros(len(frames), np.intp),
        frames=frames,
        n_nyquist=n_nyquist,
    )
