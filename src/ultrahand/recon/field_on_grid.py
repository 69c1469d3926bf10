"""A field map on the voxels of an image, for its nucleus."""

from __future__ import annotations

from typing import Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.physics.nuclei import frequency_hz
from ultrahand.physics.off_resonance import scale_field
from ultrahand.recon.field_extension import extend
from ultrahand.records.arrays import Float64
from ultrahand.records.field_image import FieldImage
from ultrahand.records.geometry import Geometry

LEAST_COVERED: Final = 0.5
"""Part of the image's voxels that must lie within the map: less is a map of something else."""
_EDGE: Final = 0.5
"""Voxels beyond the outermost centres that still belong to the map."""


def field_on_grid(field: FieldImage, geometry: Geometry, nucleus: str) -> tuple[Float64, float]:
    """Return the off-resonance of each voxel of an image.

    Voxels of the map that were not measured are filled smoothly (`field_extension`); between
    voxels it is linear in each axis; voxels of the image beyond the map have the value of its rim.

    Parameters
    ----------
    field
        The map.
    geometry
        Of the image.
    nucleus
        Of the image: the field in tesla is the same for all.

    Returns
    -------
    ndarray, float
        Hertz ``(z, y, x)``, finite; and the part of its voxels that lie within the map.

    Raises
    ------
    InputError
        The file does not say where the image lies, or less than half of it lies within the map.
    """
    from scipy.ndimage import map_coordinates

    if not geometry.known:
        raise _refuse("raw data without directions", "to know where the image lies")
    measured = np.isfinite(field.values)
    smooth = extend(np.where(measured, field.values, 0.0), np.zeros(measured.shape), measured)
    to_map = np.linalg.inv(field.ras_affine) @ geometry.ras_affine()
    voxels = np.indices(tuple(reversed(geometry.shape)), np.float64)
    places = np.tensordot(to_map[:3, :3], voxels, axes=1) + to_map[:3, 3, None, None, None]
    last = np.array(measured.shape)[:, None, None, None] - 1
    within = float(((places >= -_EDGE) & (places <= last + _EDGE)).all(axis=0).mean())
    if within < LEAST_COVERED:
        raise _refuse(
            f"{within:.0%} of the image's voxels within the map", f"at least {LEAST_COVERED:.0%}"
        )
    found = map_coordinates(smooth, places, order=1, mode="nearest").T
    if field.unit == "T":
        return found * frequency_hz(nucleus, 1.0), within
    hz = found / (2.0 * np.pi) if field.unit == "rad/s" else found
    return scale_field(hz, measured=field.nucleus, wanted=nucleus), within


def _refuse(found: str, expected: str) -> InputError:
    return InputError(
        "field map",
        found=found,
        expected=expected,
        remedy="give a map of this scan to --b0-map, or leave it out",
    )
