"""Real files of other writers, reconstructed by the command."""

import json

import h5py
import nibabel
import numpy as np
import pytest

from ultrahand.cli.main import build_parser, run

# The axis order of the third party's spiral images: its picture's rows run along our read axis and
# its columns along our phase axis, without any flip (JEMRIS stores the trajectory as kx, ky and its
# images as [x, y]; ours are [y, x]).
SPIRALS = {"clean": 0.985, "Susc70Mhz": 0.98}


def recon(path, folder, *options):
    out = folder / "image.nii.gz"
    arguments = build_parser().parse_args(["recon", str(path), "-o", str(out), "-q", *options])
    arguments.command_line = []
    assert run(arguments) == 0
    image = nibabel.load(out)
    return image, json.loads((folder / "image.json").read_text())


@pytest.mark.parametrize(("name", "least"), SPIRALS.items())
def test_spiral_correlates_with_the_third_party_image(real_data, tmp_path, name, least):
    folder = real_data / "jemris_spiral_ismrmrd"
    image, sidecar = recon(folder / f"signals_spiralout_{name}_slc30.h5", tmp_path)
    with h5py.File(folder / f"reco_spiralout_{name}_slc30.h5") as file:
        theirs = file["images/image_1/data"][0, 0, 0]
    ours = np.asarray(image.dataobj)[:, :, 0]
    transposed = ours.T  # [y, x], as arrays of pictures are
    assert np.corrcoef(transposed.ravel(), theirs.ravel())[0, 1] >= least
    assert sidecar["Geometry"] == "unknown"
    assert sidecar["ResonantNucleus"] == "unknown"
    assert image.header["sform_code"] == 0


def test_undersampled_brain_is_a_brain(real_data, tmp_path):
    """Against the root sum of squares of a plain transform of the published samples."""
    folder = real_data / "brain_cartesian_8ch"
    image, sidecar = recon(folder / "brain_8ch.h5", tmp_path, "--method", "fft")
    assert image.shape == (1, 230, 180)
    kspace = np.load(folder / "cartesian_ksp.npy")
    coils = np.fft.fftshift(
        np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2)), norm="ortho"), axes=(1, 2)
    )
    expected = np.sqrt((np.abs(coils) ** 2).sum(axis=0))
    ours = np.asarray(image.dataobj)[0]
    np.testing.assert_allclose(ours, expected, atol=1e-5 * expected.max())
    fields = {finding["field"] for finding in sidecar["Provenance"]["Findings"]}
    assert {"missing lines", "noise readouts"} <= fields


def test_dynamic_urea_shows_vessels_then_kidneys(real_data, tmp_path):
    """Eight frames: noise, then the bolus in the vessels, then the kidneys."""
    image, sidecar = recon(real_data / "xnuclei_15n_dynamic_kspace" / "urea_15n.h5", tmp_path)
    assert image.shape == (80, 40, 12, 8)
    assert sidecar["ResonantNucleus"] == "15N"
    assert sidecar["FrameTimesStart"] == [4.0 * frame for frame in range(8)]
    frames = np.asarray(image.dataobj)
    projection = frames.max(axis=2)
    noise = np.percentile(projection[..., 0], 95)
    vessels = projection[5:60, 17:24]
    left, right = projection[18:33, 3:12], projection[31:44, 26:37]
    kidneys = (left.mean(axis=(0, 1)) + right.mean(axis=(0, 1))) / 2
    bright = [np.percentile(vessels[..., frame], 95) / noise for frame in range(8)]
    assert bright[0] < 1.5  # before the bolus
    assert bright[1] == max(bright) > 10
    assert kidneys[2] > 1.1 * kidneys[1] > 2 * kidneys[0]
    late = projection[..., 5:].mean(axis=-1)
    assert late[18:33, 3:12].mean() > 1.2 * late[5:60, 17:24].mean()
