"""Images come back as they were written, and what was changed since is refused."""

import gzip
import json

import numpy as np
import pytest

from ultrahand.errors import InputError
from ultrahand.io.nifti import NiftiWriter
from ultrahand.io.read_images import read_sidecar, read_voxels, unpack_series
from ultrahand.io.sidecar import write_sidecar
from ultrahand.records import Geometry

TURN = np.deg2rad(20.0)


def geometry(shape=(3, 4, 5), *, known=True):
    directions = np.eye(3)
    if known:  # oblique, and left-handed
        c, s = np.cos(TURN), np.sin(TURN)
        directions = np.array([[c, s, 0], [-s, c, 0], [0, 0, -1.0]])
    return Geometry(
        shape=shape,
        voxel_size_m=(1e-3, 1.5e-3, 4e-3),
        position_mm=np.array([12.0, -30.5, 7.0]) if known else np.zeros(3),
        read_dir=directions[0],
        phase_dir=directions[1],
        slice_dir=directions[2],
        known=known,
    )


def written(path, frames, frame):
    writer = NiftiWriter(path, compress=True, geometry=frame, n_frames=len(frames))
    with writer as image:
        for values in frames:
            image.append(values)
    return path


@pytest.mark.parametrize("n_frames", [1, 3])
@pytest.mark.parametrize("known", [True, False])
def test_values_and_frame_come_back(n_frames, known, tmp_path):
    frame = geometry(known=known)
    values = np.random.default_rng(1).random((n_frames, *frame.shape)).astype(np.float32)
    values[0, 0] = np.nan
    path = written(tmp_path / "image.nii.gz", values, frame)
    series = unpack_series(path, tmp_path / "scratch")
    assert series.shape == values.shape
    assert len(list(series)) == n_frames
    for i in range(n_frames):
        np.testing.assert_array_equal(series[i], values[i])
    with pytest.raises(IndexError):
        series[n_frames]
    assert series.geometry.known is known
    # NIfTI keeps an affine in float32.
    np.testing.assert_allclose(series.geometry.lps_affine(), frame.lps_affine(), atol=1e-4)
    np.testing.assert_allclose(series.geometry.voxel_size_m, frame.voxel_size_m, rtol=1e-6)
    assert read_voxels(path) == values.size


def test_one_frame_is_in_memory_at_a_time(tmp_path):
    """A block of what is read is a copy of its own, of one volume."""
    values = np.ones((4, 3, 4, 5), np.float32)
    series = unpack_series(written(tmp_path / "i.nii.gz", values, geometry()), tmp_path / "s")
    frame = series[2]
    assert frame.base is None or frame.base.size == frame.size
    assert frame.size == 60


def damaged(path, change):
    with gzip.open(path) as file:
        data = bytearray(file.read())
    with gzip.open(path, "wb") as file:
        file.write(bytes(change(data)))


def another_type(data):
    data[70:72] = (4).to_bytes(2, "little")  # int16
    return data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-4], "236 bytes of values"),
        (lambda data: data + b"1234", "244 bytes of values"),
        (lambda data: data[:200], "no whole header"),
        (another_type, "int16 of shape"),
    ],
)
def test_what_was_changed_is_refused(change, words, tmp_path):
    path = written(tmp_path / "image.nii.gz", np.ones((1, 3, 4, 5), np.float32), geometry())
    damaged(path, change)
    with pytest.raises(InputError, match=words) as caught:
        unpack_series(path, tmp_path / "scratch")
    assert caught.value.file == "image.nii.gz"
    assert "--verify" in caught.value.remedy


@pytest.mark.parametrize("keep", [3, 40, -3])
def test_a_file_that_is_cut_is_refused(keep, tmp_path):
    path = written(tmp_path / "image.nii.gz", np.ones((1, 3, 4, 5), np.float32), geometry())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError):
        unpack_series(path, tmp_path / "scratch")


def test_sidecars_come_back_and_others_are_refused(tmp_path):
    path = tmp_path / "image.json"
    fields = {"Units": "SNR", "EchoTime": [0.001, None]}
    write_sidecar(path, fields)
    assert read_sidecar(path) == fields
    for text in ("[1]", "{", json.dumps("text"), "[" * 100_000):
        path.write_text(text)
        with pytest.raises(InputError, match="image"):
            read_sidecar(path)
