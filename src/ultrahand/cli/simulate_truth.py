"""Write what is true of a simulated examination: volumes, tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.io.nifti import NiftiWriter
from ultrahand.io.tables import write_tsv
from ultrahand.phantoms.digital_hand import truth, vessel_truth
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of, courses_of, shot_times_s
from ultrahand.phantoms.digital_hand.lesion_truth import (
    LESION_COLUMNS,
    lesion_rows,
    lesion_script,
)
from ultrahand.phantoms.digital_hand.protocol import Cartesian, Dynamic, Radial3D, Series
from ultrahand.phantoms.digital_hand.series import scan_of
from ultrahand.phantoms.digital_hand.vials import (
    LEAST_STDERR_MMOL_PER_L,
    RADIUS_MM,
    RELATIVE_STDERR,
)
from ultrahand.phantoms.setting import geometry_of
from ultrahand.records import Geometry

if TYPE_CHECKING:
    from ultrahand.phantoms.digital_hand.setting import Setting
    from ultrahand.records.arrays import Float32


def write_truth(setting: Setting, folder: Path) -> None:
    """Write ``truth/`` and the tables that ``exam.toml`` names.

    Parameters
    ----------
    setting
        The examination.
    folder
        Where it is made.
    """
    place = folder / "truth"
    place.mkdir()
    subject = setting.subject
    write_tsv(folder / "landmarks.tsv", truth.landmark_rows(subject))
    vials = truth.vial_rows(subject, RADIUS_MM, RELATIVE_STDERR, LEAST_STDERR_MMOL_PER_L)
    write_tsv(folder / "vials.tsv", vials)
    arrivals = arrivals_of(subject)
    tables = {
        "joints": truth.joint_rows(subject),
        "vessels": vessel_truth.vessel_rows(subject, arrivals),
        "transit": vessel_truth.transit_rows(subject, arrivals),
        "lesions": lesion_rows(subject),
        "solids": truth.solid_rows(subject),
    }
    columns = {"lesions": LESION_COLUMNS}
    for name, rows in tables.items():
        write_tsv(place / f"{name}.tsv", rows, columns=columns.get(name))
    (place / "lesions.toml").write_text(lesion_script(subject), encoding="utf-8")
    _write_labels(place / "labels.tsv", truth.TISSUES)
    _write_labels(place / "joint_labels.tsv", truth.joint_labels(subject))
    _write_courses(setting, place / "courses.tsv")
    _write_volumes(setting, place)


def _write_volumes(setting: Setting, place: Path) -> None:
    """Write labels on every grid, and maps on those of the series that they belong to."""
    first = geometry_of(scan_of(setting, setting.protocol.series[0]))
    fine = _on(setting, _finer(first, setting.protocol.fine_m))
    _write(place / "labels_fine.nii.gz", fine.tissue(), fine.geometry)
    _write(place / "joints_fine.nii.gz", fine.joints(), fine.geometry)
    for series in setting.protocol.series:
        seen = _on(setting, geometry_of(scan_of(setting, series)))
        nucleus = "23Na" if isinstance(series, Radial3D) else "1H"
        maps = {"labels": seen.tissue(), "joints": seen.joints()}
        if not isinstance(series, Dynamic):
            maps["off_resonance_hz"] = seen.off_resonance(nucleus)
            maps["transmit"] = seen.transmit(nucleus)
        if series.kind == "sodium":
            maps["concentration_mmol_per_l"] = seen.concentration()
        if isinstance(series, Cartesian) and series.kind in ("morphology", "t1"):
            maps["t1_s"] = seen.relaxation(nucleus, "t1_s")
            maps["t2star_s"] = seen.relaxation(nucleus, "t2star_s")
        for name, values in maps.items():
            _write(place / f"{name}_{series.name}.nii.gz", values, seen.geometry)
        if series.kind in ("b1", "sodium_b1"):
            _write_coils(setting, series, seen.geometry, place)


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


def _write_courses(setting: Setting, path: Path) -> None:
    """Write the contrast agent's concentration over time, a column for each course."""
    series = next(s for s in setting.protocol.series if isinstance(s, Dynamic))
    times = shot_times_s(series, scan_of(setting, series))  # type: ignore[arg-type]
    courses = courses_of(setting, series, setting.sample(series), times)
    names = sorted(courses.concentration)
    rows = [
        {
            "t_s": round(float(t), 4),
            **{
                f"{name.replace(' ', '_')}_mmol_per_l": float(courses.concentration[name][n])
                for name in names
            },
        }
        for n, t in enumerate(times)
    ]
    write_tsv(path, rows)
