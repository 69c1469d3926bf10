import io
import struct
import zipfile

import h5py
import numpy as np
import pytest

from damage import cartesian, radial, write, write_stream
from ultrahand.cli.arguments import split_name
from ultrahand.errors import InputError, UsageError
from ultrahand.io.trajectory_file import read_trajectory

PLENTY = 10**6


@pytest.fixture
def k(rng):
    """Positions of 3 shots of 5 samples in 2 dimensions."""
    return rng.standard_normal((3, 5, 2))


def read(path, inside=None, most=PLENTY):
    return read_trajectory(path, inside, most=most)


def refusal(path, inside=None, most=PLENTY):
    with pytest.raises(InputError) as caught:
        read(path, inside, most)
    assert caught.value.file == path.name
    return caught.value


# --- NumPy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["<f4", ">f8", "<f2", "<i2", ">u4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read(kind, order, k, tmp_path):
    values = np.asarray(np.abs(10 * k), dtype=kind, order=order)
    np.save(tmp_path / "k.npy", values)
    found, unit = read(tmp_path / "k.npy")
    np.testing.assert_array_equal(found, values)
    assert unit is None


def test_npz_of_one_array_needs_no_choice(k, tmp_path):
    np.savez_compressed(tmp_path / "k.npz", anything=k)
    np.testing.assert_array_equal(read(tmp_path / "k.npz")[0], k)


def test_of_several_arrays_one_must_be_chosen(k, tmp_path):
    np.savez(tmp_path / "k.npz", k=k, weights=k[0])
    with pytest.raises(UsageError, match="k, weights"):
        read(tmp_path / "k.npz")
    np.testing.assert_array_equal(read(tmp_path / "k.npz", "k")[0], k)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(30),
        np.zeros((2, 3, 5, 2)),
        np.zeros((3, 0, 2)),
        np.zeros((3, 5), complex),
        np.zeros((3, 5), "U4"),
        np.zeros((3, 5), object),
        np.zeros((3, 5), bool),
        np.zeros((3, 5), [("x", float)]),
    ],
    ids=lambda values: f"{values.dtype} {values.shape}",
)
@pytest.mark.parametrize("save", [np.save, np.savez], ids=["npy", "npz"])
def test_what_are_no_positions_is_refused(save, values, tmp_path):
    path = tmp_path / "k"
    with path.open("wb") as file:
        save(file, values)  # with pickles, where it must
    assert "real numbers" in refusal(path).expected


@pytest.mark.parametrize("length", [6, 8, 10, 40, 127, 128, 200])
def test_a_cut_npy_is_refused(length, k, tmp_path):
    path = tmp_path / "k.npy"
    np.save(path, k)
    path.write_bytes(path.read_bytes()[:length])
    refusal(path)


def test_a_cut_npz_is_refused_anywhere(k, tmp_path):
    path = tmp_path / "k.npz"
    np.savez_compressed(path, k=k)
    content = path.read_bytes()
    for length in range(4, len(content), 7):
        path.write_bytes(content[:length])
        refusal(path)


def test_a_changed_npz_is_read_or_refused(k, tmp_path, rng):
    path = tmp_path / "k.npz"
    np.savez_compressed(path, k=k)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for place in range(4, len(content)):
        changed = content.copy()
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed.tobytes())
        try:
            read(path)
        except (InputError, UsageError):
            continue


def zipped(head, *, count=1):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(count):
            archive.writestr(f"k{i}.npy", head)
    return file.getvalue()


def npy_head(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize("wrap", [bytes, zipped], ids=["npy", "npz"])
@pytest.mark.parametrize("shape", [(10**9, 3), (10**18, 3), (2**31, 2**31, 3)])
def test_more_numbers_than_there_can_be_are_refused_unread(shape, wrap, tmp_path):
    path = tmp_path / "k"
    path.write_bytes(wrap(npy_head(shape)))
    assert "at most 1000000" in refusal(path).expected


@pytest.mark.parametrize("wrap", [bytes, zipped], ids=["npy", "npz"])
@pytest.mark.parametrize(
    "shape", ["(-3, 5, 2)", "(3.5, 2)", "('a', 2)", "3", "(3,", "((((1", "a()"]
)
def test_shapes_that_are_none_are_refused(shape, wrap, tmp_path):
    path = tmp_path / "k"
    path.write_bytes(wrap(npy_head(shape)))
    refusal(path)


def test_an_archive_of_endless_names_is_refused_unread(tmp_path):
    path = tmp_path / "k.npz"
    path.write_bytes(zipped(b"", count=25_000))
    assert "directory" in refusal(path).found


# --- HDF5 -----------------------------------------------------------------------------------------


def hdf5(path, k, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("k", data=k, **options)
    return path


@pytest.mark.parametrize(
    "options", [{}, {"chunks": (1, 5, 2), "compression": "gzip"}, {"compression": "lzf"}]
)
def test_hdf5_is_read(options, k, tmp_path):
    found, unit = read(hdf5(tmp_path / "k.h5", k, **options))
    np.testing.assert_array_equal(found, k)
    assert unit is None


@pytest.mark.parametrize("unit", ["1/m", np.bytes_(b"1/m"), np.array(["1/m"], object)])
@pytest.mark.parametrize("name", ["unit", "units", "k_unit"])
def test_an_attribute_declares_the_unit(name, unit, k, tmp_path):
    path = hdf5(tmp_path / "k.h5", k)
    with h5py.File(path, "r+") as file:
        file["k"].attrs[name] = unit
    assert read(path)[1] == "1/m"


@pytest.mark.parametrize("unit", [3, np.zeros(4), np.bytes_(b"x" * 100)])
def test_an_attribute_that_is_no_short_text_is_refused(unit, k, tmp_path):
    path = hdf5(tmp_path / "k.h5", k)
    with h5py.File(path, "r+") as file:
        file["k"].attrs["unit"] = unit
    assert "one short text" in refusal(path).expected


def test_of_several_data_sets_one_must_be_chosen(k, tmp_path):
    path = hdf5(tmp_path / "k.h5", k)
    with h5py.File(path, "r+") as file:
        file["spiral/out"] = 2 * k
        file["weights"] = k[0]
    with pytest.raises(UsageError, match="FILE:DATASET; found k, weights"):
        read(path)
    np.testing.assert_array_equal(read(path, "spiral/out")[0], 2 * k)


@pytest.mark.parametrize("inside", ["x", "spiral", "spiral/x", "k/x", "../k"])
def test_a_data_set_that_is_not_there_is_wrong_use(inside, k, tmp_path):
    path = hdf5(tmp_path / "k.h5", k)
    with pytest.raises(UsageError, match="no data set"):
        read(path, inside)


def test_links_are_not_followed(k, tmp_path):
    hdf5(tmp_path / "secret.h5", k)
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file["k"] = h5py.ExternalLink("secret.h5", "/k")
        file["group"] = h5py.ExternalLink("secret.h5", "/")
    assert "a link to elsewhere" in refusal(tmp_path / "k.h5", "k").found
    with pytest.raises(UsageError, match="no data set"):
        read(tmp_path / "k.h5", "group/k")
    with pytest.raises(UsageError, match="no data set at the root"):
        read(tmp_path / "k.h5")


def test_more_numbers_than_there_can_be_in_hdf5_are_refused_unread(tmp_path):
    path = hdf5(tmp_path / "k.h5", np.zeros((1000, 1000, 2)), compression="gzip")
    assert "at most 30" in refusal(path, most=30).expected


def test_positions_of_variable_length_are_refused(tmp_path):
    path = tmp_path / "k.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("k", (3, 2), h5py.vlen_dtype(np.float32))[:] = np.zeros((3, 2, 4))
    assert "real numbers" in refusal(path).expected


# --- ISMRMRD --------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [write, write_stream], ids=["hdf5", "stream"])
def test_a_raw_file_lends_its_trajectory(save, tmp_path):
    scan = radial()
    found, unit = read(save(tmp_path / "raw", scan))
    expected = np.stack([scan.traj[row].reshape(16, 2) for row in scan.imaging])
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert unit is None


def test_a_raw_file_without_trajectory_lends_none(tmp_path):
    assert "0 readouts" in refusal(write(tmp_path / "raw.h5", cartesian())).found


def test_a_group_of_a_raw_file_can_be_chosen(tmp_path):
    path = write(tmp_path / "raw.h5", radial(), group="first")
    write(path, radial(spokes=7), group="second")
    assert read(path, "second")[0].shape == (7, 16, 2)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path", "inside"),
    [
        ("k.npy", "k.npy", None),
        ("k.h5:a/b", "k.h5", "a/b"),
        ("with:colon.npy", "with:colon.npy", None),
        ("with:colon.npy:k", "with:colon.npy", "k"),
        (":k", ":k", None),
        ("x" * 300 + ":k", "x" * 300 + ":k", None),
    ],
)
def test_a_name_and_what_is_inside_are_told_apart(text, path, inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "with:colon.npy").write_bytes(b"")
    found, name = split_name(text)
    assert (str(found), name) == (path, inside)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "k.txt").write_text("0 0\n0 1\n")
    assert "begins with" in refusal(tmp_path / "k.txt").found
