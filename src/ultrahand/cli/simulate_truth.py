"""Write what is true of a simulated examination: volumes, tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.io.nifti import NiftiWriter
from ultrahand.io.tables import write_tsv
from ultrahand.phantoms.digital_hand import truth, vessel_truth
from ultrahand.phantoms.digital_hand.courses import Course, courses_in
from ultrahand.phantoms.digital_hand.dynamic_series import (
    arrivals_of,
    shot_times_s,
    signal_arrivals_of,
)
from ultrahand.phantoms.digital_hand.hand_truth import hands_truth
from ultrahand.phantoms.digital_hand.lesion_truth import (
    LESION_COLUMNS,
    lesion_rows,
    lesion_script,
)
from ultrahand.phantoms.digital_hand.protocol import Dynamic, Radial3D, Series
from ultrahand.phantoms.digital_hand.series import scan_of
from ultrahand.phantoms.digital_hand.vials import (
    LEAST_STDERR_MMOL_PER_L,
    RADIUS_MM,
    RELATIVE_STDERR,
)
from ultrahand.records import Geometry

_EVERYWHERE: Final = ("labels", "joints", "off_resonance_hz", "transmit")
"""Volumes that every series has."""
_PROTON: Final = ("t1_s", "t2star_s")
"""Those of every proton series."""
_SODIUM: Final = (
    "concentration_mmol_per_l",
    "t1_s",
    "t2star_short_s",
    "t2star_long_s",
    "short_fraction",
)
"""Those of the sodium series."""
_MAX_COIL_VOXELS: Final = 4_000_000
"""Coils times voxels up to which sensitivities are written on fine grids: 32 MB."""
_TABLE_BYTES: Final = 4_000_000
"""Of all tables, at most."""

if TYPE_CHECKING:
    from ultrahand.cli.simulate_plan import Planned
    from ultrahand.phantoms.digital_hand.protocol import Protocol
    from ultrahand.phantoms.digital_hand.setting import Setting
    from ultrahand.records.arrays import Float32


def truth_bytes(protocol: Protocol, planned: Sequence[Planned]) -> int:
    """Return how large ``truth/`` is, at most: as if nothing could be compressed.

    Parameters
    ----------
    protocol
        Of the examination.
    planned
        Its series.
    """
    volumes = 2 * int(np.prod(_finer(planned[0].geometry, protocol.fine_m).shape))
    for one in planned:
        coils = 2 * one.n_coils if _has_coils(one) else 0
        volumes += one.n_voxels * (len(_map_names(one.series)) + coils)
    return 4 * volumes + _TABLE_BYTES


def write_truth(setting: Setting, planned: Sequence[Planned], folder: Path) -> None:
    """Write ``truth/`` and the tables that ``exam.toml`` names.

    Parameters
    ----------
    setting
        The examination.
    planned
        Its series.
    folder
        Where it is made.
    """
    place = folder / "truth"
    place.mkdir()
    subject = setting.subject
    write_tsv(folder / "landmarks.tsv", truth.landmark_rows(subject))
    vials = truth.vial_rows(subject, RADIUS_MM, RELATIVE_STDERR, LEAST_STDERR_MMOL_PER_L)
    write_tsv(folder / "vials.tsv", vials)
    arrivals, rises = arrivals_of(subject), signal_arrivals_of(setting, _dynamic(setting))
    courses = courses_in(subject, arrivals)
    tables = {
        "joints": truth.joint_rows(subject),
        "vessels": [
            row | {"signal_arrival_s": rises[str(row["name"])]}
            for row in vessel_truth.vessel_rows(subject, arrivals)
        ],
        "transit": vessel_truth.transit_rows(subject, arrivals),
        "lesions": lesion_rows(subject),
        "solids": [
            row | {"course": course.name if course else None}
            for row, course in zip(truth.solid_rows(subject), courses, strict=True)
        ],
    }
    columns = {"lesions": LESION_COLUMNS}
    for name, rows in tables.items():
        write_tsv(place / f"{name}.tsv", rows, columns=columns.get(name))
    reading = json.dumps(hands_truth(subject), indent=2) + "\n"
    (place / "hand.json").write_text(reading, encoding="utf-8")
    (place / "lesions.toml").write_text(lesion_script(subject), encoding="utf-8")
    _write_labels(place / "labels.tsv", truth.TISSUES)
    _write_labels(place / "joint_labels.tsv", truth.joint_labels(subject))
    _write_courses(setting, {c for c in courses if c}, place / "courses.tsv")
    _write_volumes(setting, planned, place)


def _write_volumes(setting: Setting, planned: Sequence[Planned], place: Path) -> None:
    """Write labels on every grid, and maps on those of the series that they belong to."""
    fine = _on(setting, _finer(planned[0].geometry, setting.protocol.fine_m))
    _write(place / "labels_fine.nii.gz", fine.tissue(), fine.geometry)
    _write(place / "joints_fine.nii.gz", fine.joints(), fine.geometry)
    for one in planned:
        seen, nucleus = _on(setting, one.geometry), _nucleus(one.series)
        for name in _map_names(one.series):
            values = _map(seen, name, nucleus)
            _write(place / f"{name}_{one.series.name}.nii.gz", values, one.geometry)
        if _has_coils(one):
            _write_coils(setting, one.series, one.geometry, place)


def _nucleus(series: Series) -> str:
    return "23Na" if isinstance(series, Radial3D) else "1H"


def _map_names(series: Series) -> tuple[str, ...]:
    """Return the volumes that a series has on its grid, by the names of their files."""
    names = (*_EVERYWHERE, *(_PROTON if _nucleus(series) == "1H" else ()))
    return (*names, *_SODIUM) if series.kind == "sodium" else names


def _map(seen: truth.Truth, name: str, nucleus: str) -> Float32:
    """Return one of the volumes of `_map_names`."""
    match name:
        case "labels":
            return seen.tissue()
        case "joints":
            return seen.joints()
        case "off_resonance_hz":
            return seen.off_resonance(nucleus)
        case "transmit":
            return seen.transmit(nucleus)
        case "concentration_mmol_per_l":
            return seen.concentration()
        case _:
            return seen.relaxation(nucleus, name)


def _has_coils(one: Planned) -> bool:
    """Tell whether a series' sensitivities are written: they are smooth, coarse grids will do."""
    return one.series.kind in ("b1", "sodium_b1") or (
        one.series.kind in ("sodium", "dynamic") and one.n_coils * one.n_voxels <= _MAX_COIL_VOXELS
    )


def _write_coils(setting: Setting, series: Series, geometry: Geometry, place: Path) -> None:
    """Write the sensitivities of the array, real and imaginary, coils along the fourth axis."""
    k, j, i = np.indices(geometry.shape)
    affine = geometry.lps_affine() * 1e-3
    points = np.stack([i, j, k], axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    values = setting.coils(series).values(points)
    for part in ("real", "imag"):
        path = place / f"coils_{series.name}_part-{part}.nii.gz"
        with NiftiWriter(path, compress=True, geometry=geometry, n_frames=len(values)) as file:
            for value in values:
                file.append(getattr(value, part))


def _on(setting: Setting, geometry: Geometry) -> truth.Truth:
    return truth.Truth(subject=setting.subject, fields=setting.fields, geometry=geometry)


def _finer(geometry: Geometry, voxel_m: float) -> Geometry:
    """Return the same field of view in finer voxels."""
    extent = np.array(geometry.voxel_size_m) * geometry.shape[::-1]
    n = np.rint(extent / voxel_m).astype(int)
    nx, ny, nz = n.tolist()
    size = (extent / n).tolist()
    return Geometry(
        shape=(nz, ny, nx),
        voxel_size_m=(size[0], size[1], size[2]),
        position_mm=geometry.position_mm,
        read_dir=geometry.read_dir,
        phase_dir=geometry.phase_dir,
        slice_dir=geometry.slice_dir,
        known=True,
    )


def _write(path: Path, values: Float32, geometry: Geometry) -> None:
    with NiftiWriter(path, compress=True, geometry=geometry, n_frames=1) as file:
        file.append(values)


def _write_labels(path: Path, names: Sequence[str]) -> None:
    """Write the names of labels, each with a colour of its own."""
    write_tsv(
        path,
        [
            {"index": n, "name": name, "color": _colour(n) if n else "#000000"}
            for n, name in enumerate(names)
        ],
    )


def _colour(number: int) -> str:
    """Return a colour; neighbours in number are far apart on the circle of hues."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb((number * 0.618034) % 1.0, 0.65, 0.95)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _write_courses(setting: Setting, courses: set[Course], path: Path) -> None:
    """Write the contrast agent's concentration over time, a column for each course."""
    series = _dynamic(setting)
    times = shot_times_s(series, scan_of(setting, series))  # type: ignore[arg-type]
    found = {f"{c.name}_mmol_per_l": c.concentration(times) for c in sorted(courses)}
    rows = [
        {"t_s": round(float(t), 4), **{name: float(values[n]) for name, values in found.items()}}
        for n, t in enumerate(times)
    ]
    write_tsv(path, rows)


def _dynamic(setting: Setting) -> Dynamic:
    return next(s for s in setting.protocol.series if isinstance(s, Dynamic))
