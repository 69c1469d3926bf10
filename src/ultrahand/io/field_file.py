"""Read a field map: NIfTI with a BIDS sidecar that says its unit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np

from ultrahand.errors import InputError, one_line
from ultrahand.records.field_image import FIELD_UNITS, FieldImage

_NUCLEUS: Final = ("ResonantNucleus", "ImagedNucleus")
_MOST_VOXELS: Final = 10**9


def read_field(path: Path) -> FieldImage:
    """Read a map of off-resonance.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz`` of one volume, with a sidecar of the same name that ends in
        ``.json``: its ``Units`` are ``Hz``, ``rad/s`` or ``T`` (BIDS, field maps), and
        ``ResonantNucleus`` names whose frequency it is (protons, ``1H``, where it is not there).

    Raises
    ------
    InputError
        No image of one volume, no direction in space, no unit, or nothing measured.
    """
    image, fields = _image(path), _sidecar(path)
    nucleus = next((str(fields[name]) for name in _NUCLEUS if fields.get(name)), "1H")
    said = str(fields.get("Units", ""))
    unit = next((u for u in FIELD_UNITS if u.lower() == said.lower()), None)
    if unit is None:
        raise _refuse(
            path,
            f"Units {said!r} in its sidecar" if said else "no Units in its sidecar",
            "Hz, rad/s or T",
            f'write {{"Units": "Hz"}} into {_sidecar_of(path).name}',
        )
    values = np.asanyarray(image.dataobj).astype(np.float64)
    values = values.reshape(values.shape[:3])
    values[~np.isfinite(values)] = np.nan
    if np.isnan(values).all():
        raise _refuse(path, "no finite value", "a measured voxel")
    return FieldImage(values=values, unit=unit, ras_affine=image.affine, nucleus=nucleus)


def _image(path: Path) -> Any:  # noqa: ANN401 - nibabel's
    try:
        image: Any = nibabel.load(path)
        shape = tuple(image.shape) + (1,) * (3 - len(image.shape))
    except (OSError, nibabel.filebasedimages.ImageFileError, ValueError, EOFError) as error:
        raise _refuse(path, one_line(str(error)), "a NIfTI image") from error
    if math.prod(shape[3:]) != 1 or math.prod(shape) == 0 or math.prod(shape) > _MOST_VOXELS:
        raise _refuse(path, f"shape {tuple(image.shape)}", "one volume")
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise _refuse(
            path, "no direction in space (sform and qform code 0)", "a NIfTI with its affine"
        )
    return image


def _sidecar_of(path: Path) -> Path:
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    return path.with_name(f"{name}.json")


def _sidecar(path: Path) -> dict[str, Any]:
    beside = _sidecar_of(path)
    try:
        fields = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _refuse(beside, one_line(str(error)), "a JSON object") from error
    if not isinstance(fields, dict):
        raise _refuse(beside, f"a {type(fields).__name__}", "a JSON object")
    return fields


def _refuse(path: Path, found: str, expected: str, remedy: str = "") -> InputError:
    error = InputError(
        "field map",
        found=found,
        expected=expected,
        remedy=remedy or "give another file to --b0-map, or leave it out",
    )
    error.file = path.name
    return error
