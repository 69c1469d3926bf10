"""Stack of stars: radial sampling in the plane, phase encoding across it.

All partitions of one angle are measured before the next angle, so that any number of successive
angles makes an image (Feng et al., MRM 2014;72:707, doi:10.1002/mrm.24980).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, pi
from types import MappingProxyType
from typing import Final

import numpy as np

from ultrahand.recon.trajectories.design import Design, about_z, make_design
from ultrahand.recon.trajectories.directions import angles_rad
from ultrahand.recon.trajectories.prescription import Prescription
from ultrahand.recon.trajectories.spokes import full_spoke
from ultrahand.records.arrays import Ints, require


def linear(n: int) -> Ints:
    """Return partitions from one edge of k-space to the other, shape ``(n,)``."""
    return np.arange(n)


def centre_first(n: int) -> Ints:
    """Return the centre, partition ``n // 2``, then its neighbours in turn, shape ``(n,)``."""
    return np.argsort(np.abs(np.arange(n) - n // 2), kind="stable")


PARTITIONS: Final[Mapping[str, Callable[[int], Ints]]] = MappingProxyType(
    {"linear": linear, "centre_first": centre_first}
)
"""Orders of the partitions of one angle."""


def design_stack_of_stars(
    prescription: Prescription,
    *,
    readout_s: float,
    n_partitions: int,
    slab_m: float,
    n_spokes: int | None = None,
    order: str = "golden",
    partitions: str = "linear",
) -> Design:
    """Design full spokes in planes ``k_z = (p - n_partitions // 2) / slab_m``.

    Parameters
    ----------
    prescription
        Voxels, field of view, dwell time, nucleus and gradient limits.
    readout_s
        Time in which samples are taken, after the ramp.
    n_partitions
        Planes.
    slab_m
        Field of view across the planes.
    n_spokes
        Angles; as many as Nyquist needs in the plane where not given, ``pi k_max FOV``.
    order
        Of angles: one of `ultrahand.recon.trajectories.directions.ANGLES`.
    partitions
        Their order: one of `PARTITIONS`.

    Returns
    -------
    Design
        Shot ``s`` is partition ``pattern[s]``.

    Raises
    ------
    InputError
        The gradients cannot play it.
    """
    require(n_partitions >= 1, f"n_partitions must be >= 1, got {n_partitions}")
    require(slab_m > 0, f"slab_m must be > 0, got {slab_m}")
    require(
        partitions in PARTITIONS,
        f"partitions {partitions!r} is unknown; one of {', '.join(PARTITIONS)}",
    )
    aside = np.zeros((n_partitions, 3))
    aside[:, 2] = (np.arange(n_partitions) - n_partitions // 2) / slab_m
    gradient, time_s = full_spoke(prescription, readout_s, axis=0, aside_per_m=aside)
    in_plane = ceil(pi * prescription.k_max_per_m * prescription.fov_m - 1e-9)
    angle = angles_rad(order, in_plane if n_spokes is None else n_spokes, half=True)
    return make_design(
        prescription,
        gradient,
        time_s=time_s,
        pattern=np.tile(PARTITIONS[partitions](n_partitions), len(angle)),
        frames=about_z(np.repeat(angle, n_partitions)),
        n_nyquist=in_plane * n_partitions,
    )
