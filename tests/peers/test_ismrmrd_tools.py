"""Debian's ismrmrd-tools: files they write are read, files we write are read by them."""

import subprocess

import h5py
import numpy as np
import pytest

from making import only_magnitude, volumes
from ultrahand.io.read_raw import read_raw
from ultrahand.io.write_ismrmrd import write_hdf5
from ultrahand.phantoms import CartesianScan, five_fingers, simulate, smooth_coils

NRMSE = 1e-4
OPTIONS = {
    "default": (),
    "with a zero noise scan": ("-C", "-c", "3"),
    "no oversampling": ("-O", "1", "-m", "64"),
    "threefold oversampling": ("-O", "3", "-m", "96", "-c", "1"),
    "stored coordinates": ("-k", "-m", "64", "-c", "4"),
    "repetitions": ("-r", "3", "-m", "48", "-c", "2"),
    "odd matrix": ("-m", "65", "-c", "2"),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_their_files_give_their_coil_images(program, tmp_path, options):
    path = tmp_path / "theirs.h5"
    tool = program("ismrmrd_generate_cartesian_shepp_logan")
    subprocess.run([tool, "-n", "0", *options, "-o", path], check=True, stdout=subprocess.DEVNULL)
    with h5py.File(path) as file:
        stored = file["dataset/coil_images"][:]
    coils = stored["real"] + 1j * stored["imag"]
    made = volumes(read_raw(path))
    for (_, _, parts), truth in zip(
        made, np.repeat(coils, len(made) // len(coils), 0), strict=True
    ):
        magnitude = np.sqrt((np.abs(truth) ** 2).sum(axis=0))
        if magnitude.shape[0] % 2:
            # The tool shifts by half the size in both directions, so that the origin of an odd axis
            # is its voxel (N + 1) / 2; ours is N // 2.
            magnitude = np.roll(magnitude, -1, axis=0)
        image = parts["mag"].values[0]
        first = magnitude.shape[1] // 2 - image.shape[1] // 2
        expected = magnitude[:, first : first + image.shape[1]]
        scale = (image * expected).sum() / (image * image).sum()
        error = np.linalg.norm(scale * image - expected) / np.linalg.norm(expected)
        assert error <= NRMSE


def test_their_reconstruction_reads_our_file(program, tmp_path, rng):
    """The tool does not combine coils, so it is given one; its images are not cropped."""
    tool = program("ismrmrd_recon_cartesian_2d")
    fov = (0.192, 0.192, 0.005)
    scan = CartesianScan(matrix=(96, 96, 1), fov_m=fov, dimension=2, readout_oversampling=2.0)
    raw = simulate(five_fingers(fov), smooth_coils(1, fov), scan, rng)
    path = tmp_path / "ours.h5"
    write_hdf5(raw, path)
    done = subprocess.run([tool, path], check=True, capture_output=True, text=True)
    assert done.returncode == 0
    with h5py.File(path) as file:
        (name,) = [key for key in file["dataset"] if key not in ("xml", "data")]
        theirs = file[f"dataset/{name}/data"][:].squeeze()
    ours = only_magnitude(raw).values[0]
    scale = (ours * theirs).sum() / (ours * ours).sum()
    assert np.linalg.norm(scale * ours - theirs) / np.linalg.norm(theirs) <= NRMSE
