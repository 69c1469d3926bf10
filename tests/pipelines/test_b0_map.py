"""Spirals with a field map, from raw data to images: the exact signal of solids that turn."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from making import planned
from ultrahand.errors import InputError, UsageError
from ultrahand.io.field_file import read_field
from ultrahand.phantoms import (
    GaussianBead,
    NonCartesianScan,
    ThermalNoise,
    random_covariance,
    simulate,
    smooth_coils,
)
from ultrahand.physics.nuclei import GAMMA_HZ_PER_T
from ultrahand.pipelines import Workspace, reconstruct_volume
from ultrahand.recon.field_on_grid import field_on_grid
from ultrahand.recon.trajectories import k_max_per_m, spiral_2d
from ultrahand.records.field_image import FieldImage
from ultrahand.records.geometry import Geometry

N, FOV = 48, 0.096
CENTRES = ((-22e-3, -10e-3), (20e-3, -8e-3), (0.0, 22e-3))
HZ = (-140.0, 160.0, 60.0)
"""A range of 300 Hz, of each of three solids."""
DIRECTIONS = {"read_dir": (0.0, 1.0, 0.0), "phase_dir": (-1.0, 0.0, 0.0)}
POSITION_MM = (12.0, -30.0, 45.0)
READ, PHASE = (np.array(DIRECTIONS[name]) for name in ("read_dir", "phase_dir"))


def scan(nucleus="1H", **changes):
    """Spirals of 8 ms: at 150 Hz more than a turn of phase."""
    given = {
        "matrix": (N, N, 1),
        "fov_m": (FOV, FOV, 0.02),
        "dimension": 2,
        "k_per_m": spiral_2d(24, 600, k_max_per_m(N, FOV), turns=3),
        "trajectory": "spiral",
        "sample_time_s": 13e-6,
        "echo_times_s": (1e-3,),
        "nucleus": nucleus,
        "position_mm": POSITION_MM,
        **DIRECTIONS,
    }
    noise = ThermalNoise(
        covariance=random_covariance(np.random.default_rng(5), 3, 1e-14), n_readouts=32
    )
    return NonCartesianScan(**(given | {"noise": noise} | changes))


def solids(frequencies):
    return [
        GaussianBead(
            centre_m=np.array(POSITION_MM) * 1e-3 + x * READ + y * PHASE,
            sigma_m=4e-3,
            density=density,
            off_resonance_hz=f,
        )
        for (x, y), f, density in zip(CENTRES, frequencies, (1.0, 0.8, 1.2), strict=True)
    ]


def measured(frequencies, **changes):
    coils = smooth_coils(3, (FOV, FOV, FOV))
    return simulate(solids(frequencies), coils, scan(**changes), np.random.default_rng(2))


def field(frequencies, *, nucleus="1H", step_mm=1.5, spacing=70):
    """Return the beads' frequencies, smooth between them, on axes that are not the scan's."""
    along = (np.arange(spacing) - spacing // 2) * step_mm
    x, y, z = np.meshgrid(along, along, np.array([-20.0, 0.0, 20.0]), indexing="ij")
    lps = np.stack([x, y, z], axis=-1) + np.array(POSITION_MM)
    at = np.stack([(lps - POSITION_MM) @ READ, (lps - POSITION_MM) @ PHASE], axis=-1) * 1e-3
    near = [np.exp(-((at - c) ** 2).sum(axis=-1) / (2 * 10e-3**2)) for c in CENTRES]
    hz = np.tensordot(np.array(frequencies, float), near, axes=1) / np.sum(near, axis=0)
    affine = np.diag([-step_mm, -step_mm, 20.0, 1.0])
    affine[:3, 3] = np.array([-1, -1, 1]) * lps[0, 0, 0]
    return FieldImage(values=hz, ras_affine=affine, nucleus=nucleus)


def image(raw, **options):
    plan = planned(raw, **options)
    (series,) = plan.series
    made = reconstruct_volume(raw, plan, series, series.volumes[0], Workspace())
    return made.parts["mag"], made


def error(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("method", ["gridding", "cg"])
@pytest.mark.parametrize("nucleus", ["1H", "23Na"])
def test_the_image_is_that_on_resonance(method, nucleus):
    """Within 2 %, over 300 Hz of the nucleus; a map of protons is scaled."""
    ratio = GAMMA_HZ_PER_T["1H"] / GAMMA_HZ_PER_T[nucleus]
    protons = field([ratio * f for f in HZ])
    exact, _ = image(measured((0.0,) * 3, nucleus=nucleus), method=method)
    blurred = measured(HZ, nucleus=nucleus)
    found, made = image(blurred, method=method, b0=protons)
    wrong, _ = image(blurred, method=method, b0=replace(protons, values=-protons.values))
    left, _ = image(blurred, method=method)
    # Where there is an object; between beads, where the field changes by a turn within voxels, what
    # both make of their last percent differs.
    there = exact.values > 0.05 * exact.values.max()
    assert error(found.values[there], exact.values[there]) < 0.02
    assert error(found.values, exact.values) < 0.04
    assert error(left.values[there], exact.values[there]) > 0.15
    assert error(wrong.values[there], exact.values[there]) > 0.25
    (step,) = [step for step in made.steps if "field map" in step]
    assert "-140.0 to 160.0 Hz, 100% of the voxels" in step


def test_the_noise_of_gridding_is_told_with_the_map_as_given():
    found, _ = image(measured(HZ), method="gridding", b0=field(HZ))
    plain, _ = image(measured(HZ), method="gridding")
    assert "field map is taken as given" in found.standard_error_note
    bright = found.values > 0.3 * found.values.max()
    np.testing.assert_allclose(
        np.median(found.standard_error[bright]), np.median(plain.standard_error[bright]), rtol=0.01
    )
    none, _ = image(measured(HZ), method="cg", b0=field(HZ))
    assert none.standard_error is None
    assert "not computed" in none.standard_error_note


def test_holes_are_filled_and_a_map_of_elsewhere_is_refused():
    full = field(HZ)
    holes = full.values.copy()
    holes[::7, ::5] = np.nan
    raw = measured(HZ)
    exact, _ = image(raw, method="gridding", b0=full)
    found, _ = image(raw, method="gridding", b0=replace(full, values=holes))
    assert error(found.values, exact.values) < 0.05
    moved = full.ras_affine.copy()
    moved[0, 3] += 200
    with pytest.raises(InputError, match="within the map"):
        image(raw, method="gridding", b0=replace(full, ras_affine=moved))


def test_what_cannot_be_known_is_refused():
    raw = measured(HZ)
    silent = replace(raw, header=replace(raw.header, echo_times_s=()))
    with pytest.raises(InputError, match="echo time"):
        image(silent, method="gridding", b0=field(HZ))
    with pytest.raises(UsageError, match="no part in --method cs"):
        planned(measured(HZ), method="cs", b0=field(HZ))
    with pytest.raises(UsageError, match="--engine ultrahand"):
        planned(measured(HZ), method="cg", engine="sigpy", b0=field(HZ))


# --- the file -------------------------------------------------------------------------------------


def write(folder, values, fields=None, *, code=1, name="map.nii.gz"):
    made = nibabel.Nifti1Image(values, np.diag([2.0, 3.0, 4.0, 1.0]) if code else None)
    nibabel.save(made, folder / name)
    if fields is not None:
        (folder / "map.json").write_text(json.dumps(fields))
    return folder / name


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("Hz", 1.0), ("rad/s", 1 / (2 * np.pi)), ("T", GAMMA_HZ_PER_T["23Na"])],
)
def test_units_are_read(tmp_path, unit, factor):
    values = np.arange(24.0).reshape(2, 3, 4)
    values[1, 1, 1] = np.nan
    path = write(tmp_path, values, {"Units": unit, "ResonantNucleus": "23Na"})
    found = read_field(path)
    np.testing.assert_allclose(found.values, values)
    assert found.unit == unit
    place = Geometry(
        shape=(1, 1, 1),
        voxel_size_m=(2e-3, 3e-3, 4e-3),
        position_mm=np.array([-2.0, -6.0, 12.0]),
        read_dir=np.array([-1.0, 0, 0]),
        phase_dir=np.array([0, -1.0, 0]),
        slice_dir=np.array([0, 0, 1.0]),
        known=True,
    )
    hz, within = field_on_grid(found, place, "23Na")
    np.testing.assert_allclose(hz, [[[values[1, 2, 3] * factor]]])
    assert within == 1
    np.testing.assert_array_equal(found.ras_affine, np.diag([2.0, 3.0, 4.0, 1.0]))
    assert found.nucleus == "23Na"


@pytest.mark.parametrize(
    ("values", "fields", "code", "message"),
    [
        (np.ones((2, 3, 4)), None, 1, "no Units in its sidecar"),
        (np.ones((2, 3, 4)), {"Units": "ppm"}, 1, "Units 'ppm'"),
        (np.ones((2, 3, 4, 2)), {"Units": "Hz"}, 1, "one volume"),
        (np.full((2, 3, 4), np.nan), {"Units": "Hz"}, 1, "no finite value"),
        (np.ones((2, 3, 4)), {"Units": "Hz"}, 0, "no direction in space"),
        (np.ones((2, 3, 4)), [1], 1, "a list"),
    ],
)
def test_files_that_say_too_little_are_refused(tmp_path, values, fields, code, message):
    with pytest.raises(InputError, match=message):
        read_field(write(tmp_path, values, fields, code=code))


def test_a_file_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "map.nii").write_bytes(b"no image")
    (tmp_path / "map.json").write_text('{"Units": "Hz"}')
    with pytest.raises(InputError, match="a NIfTI image"):
        read_field(tmp_path / "map.nii")
