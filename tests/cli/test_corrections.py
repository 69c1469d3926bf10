"""Corrections from the command line: what is written beside the image says what was done."""

import hashlib
import json

import nibabel
import numpy as np
import pytest
from commands import snapshot, ultrahand

from ultrahand.io.write_ismrmrd import write_hdf5
from ultrahand.phantoms import NonCartesianScan, five_fingers, simulate, smooth_coils
from ultrahand.recon.trajectories import k_max_per_m, radial_2d

N, FOV = 24, 0.096


@pytest.fixture
def folder(tmp_path):
    fov = (FOV, FOV, 0.005)
    k = radial_2d(40, 2 * N, k_max_per_m(N, FOV), golden=True)
    scan = NonCartesianScan(
        matrix=(N, N, 1), fov_m=fov, dimension=2, k_per_m=k, trajectory="radial", nucleus="23Na"
    )
    raw = simulate(five_fingers(fov), smooth_coils(2, fov), scan, np.random.default_rng(1))
    write_hdf5(raw, tmp_path / "raw.h5")
    affine = np.diag([-4.0, -4.0, 4.0, 1.0])
    affine[:3, 3] = [60, 60, -8]
    nibabel.save(nibabel.Nifti1Image(np.full((31, 31, 5), 100.0), affine), tmp_path / "b0.nii.gz")
    (tmp_path / "b0.json").write_text('{"Units": "Hz", "ResonantNucleus": "1H"}')
    (tmp_path / "tmp").mkdir()  # of the command, there before it is looked at
    return tmp_path


def test_a_field_map_is_named_with_its_digest(folder):
    done = ultrahand(
        "recon", "raw.h5", "-o", "image.nii.gz", "--b0-map", "b0.nii.gz", folder=folder
    )
    assert done.code == 0, done.err
    told = json.loads((folder / "image.json").read_text())["Provenance"]
    assert told["Options"]["b0_map"] == "file"
    digest = hashlib.sha256((folder / "b0.nii.gz").read_bytes()).hexdigest()
    assert told["Inputs"]["b0_map"] == {"sha256": digest}
    # 100 Hz of protons are 26.45 Hz of sodium.
    assert any("in Hz of 1H; 26.5 to 26.5 Hz" in step for step in told["Steps"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--b0-map", "none.nii.gz"), 3, "none.nii.gz"),
        (("--b0-map", "raw.h5"), 3, "NIfTI"),
        (("--b0-map", "b0.nii.gz", "--method", "cs"), 2, "no part in --method cs"),
        (("--gradient-delays", "none", "--method", "fft"), 2, "--gradient-delays"),
        (("--replicas", "16"), 2, "--replicas"),
        (("--engine", "sigpy", "--method", "dynamic", "--frame-time", "1"), 2, "no counterpart"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(folder, arguments, code, words):
    before = snapshot(folder)
    done = ultrahand("recon", "raw.h5", "-o", "image.nii.gz", *arguments, folder=folder)
    assert done.code == code
    assert words in done.err
    assert snapshot(folder) == before


def test_a_map_without_a_unit_says_how_to_give_one(folder):
    (folder / "b0.json").unlink()
    done = ultrahand(
        "recon", "raw.h5", "-o", "image.nii.gz", "--b0-map", "b0.nii.gz", folder=folder
    )
    assert done.code == 3
    assert "no Units in its sidecar" in done.err
    assert "b0.json" in done.err


def test_the_engine_is_told(folder):
    done = ultrahand("recon", "raw.h5", "-o", "image.nii.gz", "--engine", "sigpy", folder=folder)
    assert done.code == 0, done.err
    told = json.loads((folder / "image.json").read_text())
    assert told["ReconstructionEngine"] == "sigpy"
    assert "sigpy" in json.dumps(told["Provenance"])
