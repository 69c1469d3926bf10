import os

import h5py
import pytest

from damage import cartesian, stream_bytes, write
from ultrahand.errors import InputError, UsageError
from ultrahand.io.container import Container, container_of


def test_hdf5_is_told_by_its_signature(tmp_path):
    assert container_of(write(tmp_path / "image.nii", cartesian())) is Container.HDF5


@pytest.mark.parametrize("size", [512, 1024, 65536])
def test_hdf5_is_found_behind_a_user_block(size, tmp_path):
    path = tmp_path / "raw.mat"
    h5py.File(path, "w", userblock_size=size).close()
    assert container_of(path) is Container.HDF5


def test_a_stream_is_told_by_its_first_message(tmp_path):
    path = tmp_path / "raw.h5"
    path.write_bytes(stream_bytes(cartesian()))
    assert container_of(path) is Container.STREAM


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"x", "begins with b'x'"),
        (b"\x89HDF\r\n", "begins with"),
        (b"%PDF-1.7 and more", "begins with b'%PDF'"),
        (b"\x03\x00", "begins with"),
        (b"\x03\x00\x00\x00\x00\x00", "begins with"),
        (b"\x03\x00\xff\x00\x00\x00no header", "begins with"),
        (b"\x00\x00\x00yardl\x01\x00", "MRD v2"),
        (bytes(4000), "begins with"),
    ],
)
def test_anything_else_is_refused_with_its_first_bytes(content, words, tmp_path):
    path = tmp_path / "raw.h5"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        container_of(path)
    assert words in caught.value.found


def test_no_more_than_four_bytes_of_a_strange_file_are_shown(tmp_path):
    """It may be a list of patients."""
    path = tmp_path / "raw.h5"
    path.write_bytes(b"ZAPHOD BEEBLEBROX")
    with pytest.raises(InputError) as caught:
        container_of(path)
    assert "ZAPH" in str(caught.value)
    assert "ZAPHO" not in str(caught.value)


def test_a_missing_file_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match=r"raw.h5: no such file"):
        container_of(tmp_path / "raw.h5")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="a directory"):
        container_of(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "raw.h5")
    with pytest.raises(InputError, match="a pipe, device or socket"):
        container_of(tmp_path / "raw.h5")


@pytest.mark.parametrize("name", ["x" * 300, "raw.h5/inside", "circle"])
def test_a_path_that_cannot_be_is_refused(name, tmp_path):
    (tmp_path / "raw.h5").write_bytes(b"x")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError, match="file: found"):
        container_of(tmp_path / name)
