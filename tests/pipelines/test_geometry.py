"""Beads of known place are found there, whatever the scan did."""

import itertools

import numpy as np
import pytest

from making import as_file, only_magnitude, volumes
from ultrahand.phantoms import CartesianScan, GaussianBead, NonCartesianScan, simulate, uniform_coil
from ultrahand.recon.trajectories import k_max_per_m, radial_2d, radial_3d

ALLOWED_VOXELS = 0.05
POSITIONS = ("HFS", "HFP", "HFDL", "HFDR", "FFS", "FFP", "FFDL", "FFDR")
SIZES = {"even": (32, 28, 10), "odd": (33, 27, 9), "mixed": (32, 27, 9)}
ECHOES = {"full": (0, 0), "front": (9, 0), "end": (0, 7)}
FACTORS = (("3D", "2D", "stack"), SIZES, (1.0, 2.0), ECHOES, ("none", "lines"))
SIEMENS = "SIEMENS"


def frame(number):
    """An oblique frame; every other one is left-handed, as scanners write them too."""
    rng = np.random.default_rng(number)
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    if (np.linalg.det(q) < 0) != bool(number % 2):
        q[:, 2] *= -1
    return {name: tuple(q[:, i]) for i, name in enumerate(("read_dir", "phase_dir", "slice_dir"))}


def bead_in(scan_frame, position_mm, offset_mm, sigma_m):
    """A bead some millimetres along read, phase and slice from the scan's position."""
    axes = np.array([scan_frame[n] for n in ("read_dir", "phase_dir", "slice_dir")])
    centre_mm = np.array(position_mm) + np.array(offset_mm) @ axes
    return GaussianBead(centre_m=centre_mm * 1e-3, sigma_m=sigma_m, density=1e9), centre_mm


def found_at(image, near_mm):
    """Centroid in patient LPS millimetres of the signal within a few voxels of a place."""
    affine = image.geometry.lps_affine()
    index = np.indices(image.values.shape)[::-1].reshape(3, -1).T
    place = index @ affine[:3, :3].T + affine[:3, 3]
    voxel = np.array(image.geometry.voxel_size_m) * 1e3
    steps = (place - near_mm) @ (affine[:3, :3] / voxel) / voxel
    near = (np.abs(steps) <= 7.0).all(axis=1)
    weight = image.values.reshape(-1)[near].astype(float)
    return weight @ place[near] / weight.sum()


def voxels_off(image, truth_mm, axes=(0, 1, 2)):
    affine = image.geometry.lps_affine()[:3, :3]
    off = np.linalg.solve(affine, found_at(image, truth_mm) - truth_mm)
    return np.abs(off[list(axes)]).max()


def cases():
    for number, (kind, *others) in enumerate(itertools.product(*FACTORS)):
        for place, position in enumerate(POSITIONS):
            size, oversampling, echo, reverse = others
            # Every combination of the others has both vendors, each in half of the positions.
            vendor = SIEMENS if (number // 2 + place) % 2 else None
            name = f"{kind}-{size}-os{oversampling:g}-echo_{echo}-reverse_{reverse}-{position}"
            name += "-siemens" if vendor else "-no_vendor"
            yield pytest.param(kind, *others, vendor, position, number, id=name)


CASES = list(cases())


def test_both_vendors_come_with_every_combination_of_the_other_factors():
    """Conjugation and the place of a reversed readout depend on the vendor."""
    every = itertools.product(*FACTORS, (None, SIEMENS))
    assert {case.values[:6] for case in CASES} == set(every)


@pytest.mark.parametrize(
    ("kind", "size", "oversampling", "echo", "reverse", "vendor", "position", "number"), CASES
)
def test_bead_is_found_where_it_is(
    kind, size, oversampling, echo, reverse, vendor, position, number, rng, tmp_path
):
    nx, ny, nz = SIZES[size]
    fov = (0.096, 0.081, 0.030)
    oblique = frame(number + 17 * POSITIONS.index(position))
    place_mm = (31.0, -22.5, 47.25)
    flat = kind != "3D"
    n_slices = nz if kind == "stack" else 1
    thickness = 0.003
    scan = CartesianScan(
        matrix=(nx, ny, 1 if flat else nz),
        fov_m=(fov[0], fov[1], thickness if flat else fov[2]),
        dimension=2 if flat else 3,
        n_slices=n_slices,
        slice_gap_m=0.0004 if kind == "stack" else 0.0,
        slice_order=("scrambled", "interleaved", "sequential")[(number // 6) % 3],
        readout_oversampling=oversampling,
        partial_echo=ECHOES[echo],
        reversed_readouts=reverse,
        vendor=vendor,
        position_mm=place_mm,
        patient_position=position,
        **oblique,
    )
    along_slice = 0.0 if kind == "2D" else 2.9
    sigma = 0.0037 if flat else 0.0033
    bead, truth_mm = bead_in(oblique, place_mm, (17.3, -11.9, along_slice), sigma)
    raw = simulate([bead], uniform_coil(), scan, rng)
    image = only_magnitude(as_file(raw, tmp_path, stream=bool(number % 3)))
    assert image.geometry.known
    assert voxels_off(image, truth_mm) < ALLOWED_VOXELS


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["radial 2D", "radial 3D"])
def test_bead_is_found_by_gridding(kind, size, position, rng, tmp_path):
    nx, ny, nz = SIZES[size]
    nz = nz + 16  # near cubic, so that a radial trajectory suits it
    number = POSITIONS.index(position) + 100
    oblique = frame(number)
    place_mm = (-12.0, 25.5, 8.0)
    fov = (nx * 0.003, ny * 0.003, nz * 0.003)
    k_max = k_max_per_m(nx, fov[0])
    if kind == "radial 2D":
        k = radial_2d(61, 2 * nx, k_max, golden=True)
        matrix, fov, flat = (nx, ny, 1), (fov[0], fov[1], 0.003), True
    else:
        k, matrix, flat = radial_3d(1500, nx, k_max), (nx, ny, nz), False
    scan = NonCartesianScan(
        matrix=matrix,
        fov_m=fov,
        dimension=2 if flat else 3,
        k_per_m=k,
        trajectory="radial",
        trajectory_unit="1/m",
        position_mm=place_mm,
        patient_position=position,
        vendor=SIEMENS if (number + list(SIZES).index(size)) % 2 else None,
        **oblique,
    )
    bead, truth_mm = bead_in(oblique, place_mm, (14.3, -9.9, 0.0 if flat else 8.3), 0.0045)
    image = only_magnitude(as_file(simulate([bead], uniform_coil(), scan, rng), tmp_path))
    assert voxels_off(image, truth_mm) < ALLOWED_VOXELS


def test_two_nuclei_of_one_examination_land_in_one_frame(rng):
    oblique = frame(5)
    proton = CartesianScan(
        matrix=(48, 45, 24),
        fov_m=(0.12, 0.1125, 0.06),
        dimension=3,
        readout_oversampling=2.0,
        position_mm=(10.0, -4.0, 22.0),
        nucleus="1H",
        **oblique,
    )
    sodium = NonCartesianScan(
        matrix=(33, 33, 33),
        fov_m=(0.132, 0.132, 0.132),
        dimension=3,
        k_per_m=radial_3d(2500, 34, k_max_per_m(33, 0.132)),
        trajectory="radial",
        position_mm=(3.0, 1.5, 18.0),
        nucleus="23Na",
        **oblique,
    )
    bead, truth_mm = bead_in(oblique, (10.0, -4.0, 22.0), (9.7, 6.1, -4.4), 0.005)
    for scan in (proton, sodium):
        image = only_magnitude(simulate([bead], uniform_coil(), scan, rng))
        assert voxels_off(image, truth_mm) < ALLOWED_VOXELS


def test_slices_without_a_common_spacing_become_files_of_their_own(rng):
    scan = CartesianScan(
        matrix=(24, 20, 1),
        fov_m=(0.072, 0.06, 0.003),
        dimension=2,
        n_slices=4,
        slice_gap_m=0.001,
        position_mm=(5.0, 6.0, 7.0),
    )
    bead, _ = bead_in(
        {"read_dir": (1, 0, 0), "phase_dir": (0, 1, 0), "slice_dir": (0, 0, 1)},
        (5.0, 6.0, 7.0),
        (0, 0, 0),
        0.004,
    )
    raw = simulate([bead], uniform_coil(), scan, rng)
    table = raw.readouts.copy()
    table["position_mm"][table["slice"] == 3] += (0, 0, 1.7)
    moved = type(raw)(header=raw.header, readouts=table, source=raw.source)
    made = volumes(moved)
    assert [series.entities["slab"] for series, _, _ in made] == [1, 2, 3, 4]
    for series, _, parts in made:
        z_mm = parts["mag"].geometry.position_mm[2]
        rows = table["slice"] == series.entities["slab"] - 1
        assert z_mm == pytest.approx(float(table["position_mm"][rows][0, 2]), abs=1e-4)
