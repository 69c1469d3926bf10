"""What all series of an examination share: the subject, its fields, the frame of the scans."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final, final

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.digital_hand.fields import Fields, receive_array
from ultrahand.phantoms.digital_hand.magnetisation import Sample
from ultrahand.phantoms.digital_hand.protocol import Protocol, Radial3D, Series
from ultrahand.phantoms.digital_hand.solids import cut
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.records.arrays import Float64
from ultrahand.records.header import Lengths, Triple
from ultrahand.units import M_PER_MM

MARGIN: Final = 1.03
"""Field of view over the extent of what lies in it."""
_CORNER: Final = 1.75
"""Spatial frequencies that plates are cut for, over those along one axis: corners and waves."""
AXES: Final = (2, 0, 1)
"""Axes of the common frame along read, phase and slice: fingers, across the hand, through it."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What all series of an examination share."""

    subject: Subject
    fields: Fields
    protocol: Protocol
    seed: int
    threads: int

    def coils(self, series: Series) -> Coils:
        """Return the array that a series is received with."""
        n = series.n_coils if isinstance(series, Radial3D) else self.protocol.n_coils
        order = self.protocol.coil_order if n > 1 else 2
        extent = extent_m(self)[np.argsort(AXES)]
        centre = self.subject.box_m.mean(axis=0)
        return receive_array(n, self.subject.placement, centre, extent, order=order)

    def sample(self, series: Series) -> Sample:
        """Return the subject cut as finely as a series needs."""
        nucleus = "23Na" if isinstance(series, Radial3D) else "1H"
        pieces = cut(self.subject.solids, _CORNER * 0.5 / series.voxel_m)
        return Sample(subject=self.subject, cut=pieces, fields=self.fields, nucleus=nucleus)


def extent_m(setting: Setting) -> Float64:
    """Return the field of view along read, phase, slice: that of all series."""
    span = (setting.subject.box_m[1] - setting.subject.box_m[0])[list(AXES)] * MARGIN
    unit = setting.protocol.unit_m
    return unit * np.ceil(span / unit)


def matrix_of(setting: Setting, voxel_m: float) -> tuple[Triple, Lengths]:
    """Return matrix and field of view along read, phase, slice."""
    fov = extent_m(setting)
    n = np.rint(fov / voxel_m).astype(int).tolist()
    return (n[0], n[1], n[2]), (float(fov[0]), float(fov[1]), float(fov[2]))


def side_of(setting: Setting, voxel_m: float) -> int:
    """Return the matrix of a cube, or a square, that holds all; even."""
    return 2 * ceil(float(extent_m(setting).max()) / (2.0 * voxel_m))


def position_of(setting: Setting) -> dict[str, Lengths]:
    """Return where every scan lies: its centre and directions, by their names."""
    placement = setting.subject.placement
    centre = placement.to_patient(setting.subject.box_m.mean(axis=0)) / M_PER_MM
    frame = placement.rotation[list(AXES)]
    names = ("position_mm", "read_dir", "phase_dir", "slice_dir")
    vectors = (centre, *frame)
    return {n: (float(v[0]), float(v[1]), float(v[2])) for n, v in zip(names, vectors, strict=True)}
