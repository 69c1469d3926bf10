"""The digital hand through `simulate` and `exam`: what is reconstructed lies where the truth says.

The picture that the labels predict (each tissue's signal, displaced along read by the truth's
static field and by the chemical shift of fat) is compared with the reconstructed one around each
object.
"""

import csv
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, map_coordinates, spline_filter
from scipy.optimize import minimize

from ultrahand.phantoms.digital_hand.protocol import PROTOCOLS
from ultrahand.physics.nuclei import frequency_hz
from ultrahand.physics.steady_state import spoiled_gradient_echo
from ultrahand.physics.tissues import tissue

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
SERIES = PROTOCOLS["small"].series[0]
OVERSAMPLING = PROTOCOLS["small"].readout_oversampling
REACH_MM = {"vial": 8.0, "joint": 5.0, "lesion": 5.0, "vessel": 5.0}
TEN = 10


@pytest.fixture(scope="module", params=["healthy", "ssc_severe"])
def examined(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    raw, out = folder / "raw", folder / "out"
    ultrahand("simulate", raw, "--size", "small", "--preset", request.param, "--seed", "3")
    ultrahand("exam", raw / "exam.toml", "-o", out)
    return raw, out


def ultrahand(*arguments):
    subprocess.run([sys.executable, "-m", "ultrahand", *map(str, arguments), "-q"], check=True)


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def loaded(path):
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image.affine


def predicted(raw, shape, affine):
    """The magnitude that the fine labels make on the image's grid.

    Each fine voxel is put where its frequency (static field and chemical shift) puts it along read.
    """
    labels, fine = loaded(raw / "truth" / "labels_fine.nii.gz")
    names = [row["name"] for row in table(raw / "truth" / "labels.tsv")][1:]
    signal, shift_hz = np.zeros(len(names) + 1), np.zeros(len(names) + 1)
    for number, name in enumerate(names, 1):
        found = tissue(name)
        proton = found.proton
        flip, tr = np.deg2rad(SERIES.flips_deg[0]), SERIES.tr_s[0]
        excited = proton.proton_density * spoiled_gradient_echo(flip, tr, proton.t1_s)
        signal[number] = excited * np.exp(-SERIES.echo_times_s[0] / proton.t2star_s)
        shift_hz[number] = -3.4e-6 * frequency_hz("1H", 7.0) * (found.chemical_shift_ppm != 0)
    labels = labels.astype(int)
    hz = field_hz(raw, np.linalg.solve(affine, fine), labels.shape) + shift_hz[labels]
    phased = signal[labels] * np.exp(-2j * np.pi * hz * SERIES.echo_times_s[0])
    k = coarse(moved_along_read(phased, hz / bandwidth_hz(labels.shape)), shape)
    return np.abs(np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(k))))


def field_hz(raw, to_voxel, shape):
    """The truth's field at each fine voxel; in air (no signal, no field) that of the nearest."""
    field, _ = loaded(raw / "truth" / "off_resonance_hz_morphology.nii.gz")
    nearest = distance_transform_edt(np.isnan(field), None, False, True)
    at = to_voxel[:3, :3] @ np.indices(shape).reshape(3, -1) + to_voxel[:3, 3:]
    return map_coordinates(field[tuple(nearest)], at, order=1, mode="nearest").reshape(shape)


def moved_along_read(volume, voxels):
    """Each voxel's signal moved by its own distance, shared between the two that it falls upon."""
    _, y, z = np.indices(volume.shape)
    to = np.arange(volume.shape[0])[:, None, None] + voxels
    low = np.floor(to).astype(int)
    moved = np.zeros(volume.shape, complex)
    for x, share in ((low, 1 - (to - low)), (low + 1, to - low)):
        np.add.at(moved, (x % volume.shape[0], y, z), share * volume)
    return moved


def coarse(volume, shape):
    """The centre of a volume's k-space."""
    k = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(volume)))
    kept = (
        slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(k.shape, shape, strict=True)
    )
    return k[tuple(kept)]


def bandwidth_hz(shape):
    """Of a voxel along read."""
    return 1.0 / (SERIES.sample_time_s * OVERSAMPLING * shape[0])


def objects(raw):
    """Kind, name, volume and centre of everything, largest first."""
    found = [("vial", r["name"], 3357.0, place(r)) for r in table(raw / "vials.tsv")]
    found += [
        ("joint", r["name"], float(r["cartilage_mm3"]) + float(r["fluid_mm3"]), place(r))
        for r in table(raw / "truth" / "joints.tsv")
    ]
    found += [
        ("lesion", r["name"], float(r["volume_mm3"]), place(r))
        for r in table(raw / "truth" / "lesions.tsv")
        if r["kind"] != "cartilage" and r["volume_mm3"] != "n/a"  # those are joints
    ]
    found += [
        (
            "vessel",
            r["name"],
            float(r["lumen_area_mm2"]) * float(r["length_mm"]),
            0.5 * (place(r, "start_") + place(r, "end_")),
        )
        for r in table(raw / "truth" / "vessels.tsv")
    ]
    return sorted(found, key=lambda item: -item[2])


def place(row, prefix=""):
    return np.array([float(row[f"{prefix}{axis}_mm"]) for axis in "xyz"])


def displacement(image, splines, centre, half):
    """How far the picture around a voxel is displaced against the expected one, in voxels."""
    low = np.maximum(np.rint(centre).astype(int) - half, 1)
    high = np.minimum(np.rint(centre).astype(int) + half + 1, np.array(image.shape) - 1)
    ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*ranges, indexing="ij"))
    patch = image[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].ravel()

    def unlike(move):
        at = (grid - np.asarray(move)[:, None, None, None]).reshape(3, -1)
        expected = map_coordinates(splines, at, order=3, mode="nearest", prefilter=False)
        return -np.corrcoef(expected, patch)[0, 1]

    return minimize(unlike, np.zeros(3), method="Powell", bounds=[(-2, 2)] * 3).x


@pytest.mark.parametrize("kind", ["vial", "joint", "vessel", "lesion"])
def test_the_largest_objects_lie_where_the_truth_says(examined, kind):
    """Within half a voxel: what the static field displaces is displaced in the expectation too."""
    raw, out = examined
    (path,) = out.glob("sub-*/ses-*/anat/*morphology.nii.gz")
    image, affine = loaded(path)
    splines = spline_filter(predicted(raw, image.shape, affine), order=3, mode="nearest")
    size = np.linalg.norm(affine[:3, :3], axis=0)
    half = np.ceil(REACH_MM[kind] / size).astype(int) + 1
    chosen = [item for item in objects(raw) if item[0] == kind][:TEN]
    assert chosen or "lesion" in kind
    for _, name, _, centre in chosen:
        voxel = np.linalg.solve(affine, [*centre, 1.0])[:3]
        moved = displacement(image, splines, voxel, half)
        if kind == "vessel":  # it runs along read, where nothing tells it from itself
            moved = moved[1:]
        assert np.abs(moved).max() < 0.5, f"{name} is {moved.round(2)} voxels off"
