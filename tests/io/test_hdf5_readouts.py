import os
import re
import resource
import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from ismrmrd.hdf5 import acquisition_dtype

from damage import N_NOISE, XML, cartesian, radial, text_type, write
from ultrahand.errors import InputError, UsageError
from ultrahand.io.read_raw import read_raw

ROWS = len(cartesian().heads)


def samples_of(scan, row):
    coils, samples = (int(scan.heads[n][row]) for n in ("active_channels", "number_of_samples"))
    return scan.data[row].view(np.complex64).reshape(coils, samples)


def assert_same(raw, scan):
    """Heads, samples and positions are those that were written."""
    for name in ("flags", "scan_counter", "number_of_samples", "center_sample"):
        np.testing.assert_array_equal(raw.readouts[name], scan.heads[name])
    np.testing.assert_array_equal(
        raw.readouts["kspace_encode_step_1"], scan.heads["idx"]["kspace_encode_step_1"]
    )
    rows = scan.imaging
    expected = np.stack([samples_of(scan, row) for row in rows], axis=1)
    np.testing.assert_array_equal(raw.source.samples(rows), expected)
    if raw.readouts["trajectory_dimensions"][rows].any():
        k = np.stack([scan.traj[row].reshape(-1, 2) for row in rows]).astype(np.float32)
        np.testing.assert_array_equal(raw.source.trajectory(rows), k)


# --- every layout that a writer may choose --------------------------------------------------------

LAYOUTS = {
    "a row a chunk": {},
    "seven rows a chunk": {"chunks": (7,)},
    "more rows a chunk than there are": {"chunks": (100,)},
    "in one piece": {"chunks": None, "maxshape": None},
    "gzip": {"chunks": (5,), "compression": "gzip"},
    "shuffled gzip with sums": {
        "chunks": (5,),
        "compression": "gzip",
        "shuffle": True,
        "fletcher32": True,
    },
    "sums alone": {"chunks": (9,), "fletcher32": True},
}


@pytest.mark.parametrize("make", [cartesian, radial])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_the_same(layout, make, tmp_path):
    scan = make()
    assert_same(read_raw(write(tmp_path / "raw.h5", scan, **LAYOUTS[layout])), scan)


@pytest.mark.parametrize("layout", ["a row a chunk", "in one piece", "gzip"])
@pytest.mark.parametrize("size", [512, 4096])
def test_a_user_block_is_passed_over(size, layout, tmp_path):
    scan, path = radial(), tmp_path / "raw.h5"
    h5py.File(path, "w", userblock_size=size).close()
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(size))
    assert_same(read_raw(write(path, scan, **LAYOUTS[layout])), scan)


@pytest.mark.parametrize("version", ["earliest", "v110", "latest"])
def test_every_version_of_the_format_reads_the_same(version, tmp_path):
    scan, path = radial(), tmp_path / "raw.h5"
    h5py.File(path, "w", libver=version).close()
    assert_same(read_raw(write(path, scan)), scan)


def test_rows_of_several_shapes_read_the_same(tmp_path):
    scan = cartesian()
    for row in scan.imaging[::2]:
        scan.heads["number_of_samples"][row] = 12
        scan.data[row] = scan.data[row][: 2 * 2 * 12]
    raw = read_raw(write(tmp_path / "raw.h5", scan))
    for rows in (scan.imaging[::2], scan.imaging[1::2]):
        expected = np.stack([samples_of(scan, row) for row in rows], axis=1)
        np.testing.assert_array_equal(raw.source.samples(rows), expected)


def test_long_readouts_read_the_same(tmp_path):
    """Longer than what is read ahead, with trajectories in one heap collection with them."""
    scan = radial(samples=1500)
    assert_same(read_raw(write(tmp_path / "raw.h5", scan)), scan)


def test_rows_come_in_the_order_they_are_asked_for(tmp_path, rng):
    scan = cartesian()
    raw = read_raw(write(tmp_path / "raw.h5", scan))
    rows = rng.choice(scan.imaging, 40)  # some of them twice
    expected = np.stack([samples_of(scan, row) for row in rows], axis=1)
    np.testing.assert_array_equal(raw.source.samples(rows), expected)


def test_big_endian_files_read_the_same(tmp_path):
    scan, path = radial(), tmp_path / "raw.h5"
    little = scan.rows()
    floats = h5py.vlen_dtype(np.dtype(">f4"))
    turned = np.dtype(
        [("head", acquisition_dtype["head"].newbyteorder(">")), ("traj", floats), ("data", floats)]
    )
    big = np.zeros(len(little), turned)
    for name in ("head", "traj", "data"):
        big[name] = little[name]
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=[scan.xml], dtype=text_type(scan.xml))
        group.create_dataset("data", data=big, dtype=turned)
    assert_same(read_raw(path), scan)


def test_heads_with_gaps_between_their_fields_read_the_same(tmp_path):
    """A compiler may align the fields of the head."""
    scan, path = cartesian(), tmp_path / "raw.h5"
    head = acquisition_dtype["head"]
    aligned = np.dtype([(name, head[name]) for name in reversed(head.names)], align=True)
    floats = h5py.vlen_dtype(np.float32)
    dtype = np.dtype([("data", floats), ("head", aligned), ("traj", floats)])
    rows = np.zeros(ROWS, dtype)
    rows["head"] = scan.heads[list(reversed(head.names))].astype(aligned)
    for name in ("traj", "data"):
        rows[name] = scan.rows()[name]
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=[scan.xml], dtype=text_type(scan.xml))
        group.create_dataset("data", data=rows, dtype=dtype)
    assert_same(read_raw(path), scan)


@pytest.mark.parametrize(
    "options",
    [
        {"data": [XML], "dtype": h5py.string_dtype("ascii")},
        {"data": [XML], "dtype": h5py.string_dtype("utf-8"), "chunks": (1,), "maxshape": (None,)},
        {"data": XML, "dtype": h5py.string_dtype("utf-8")},
        {"data": XML.encode(), "dtype": h5py.string_dtype("ascii", len(XML) + 9)},
        {"data": [XML.encode()], "dtype": h5py.string_dtype("ascii", len(XML)), "chunks": (1,)},
        {"data": [[XML]], "dtype": h5py.string_dtype("utf-8")},
    ],
    ids=["one row", "a chunk", "no dimension", "fixed", "fixed in a chunk", "two dimensions"],
)
def test_every_way_to_store_the_header_reads_the_same(options, tmp_path):
    path = write(tmp_path / "raw.h5", cartesian())
    expected = read_raw(path).header
    with h5py.File(path, "r+") as file:
        del file["dataset/xml"]
        file["dataset"].create_dataset("xml", **options)
    assert read_raw(path).header == expected


def test_a_header_in_the_object_head_is_read(tmp_path):
    """The compact layout has no place of its own in the file."""
    path = write(tmp_path / "raw.h5", cartesian())
    expected = read_raw(path).header
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    kind = h5py.h5t.py_create(text_type(XML), logical=True)
    with h5py.File(path, "r+") as file:
        del file["dataset/xml"]
        place = h5py.h5d.create(
            file["dataset"].id, b"xml", kind, h5py.h5s.create_simple((1,)), creation
        )
        h5py.Dataset(place)[0] = XML
    assert read_raw(path).header == expected


# --- groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["dataset", "2026-07-09 11:17", "a/b/c"])
def test_a_measurement_is_found_by_its_group(group, tmp_path):
    scan = cartesian()
    path = write(tmp_path / "raw.h5", scan, group=group)
    assert_same(read_raw(path, group=group), scan)


def test_the_only_measurement_needs_no_choice(tmp_path):
    path = write(tmp_path / "raw.h5", cartesian(), group="scan_7")
    with h5py.File(path, "r+") as file:
        file.create_group("notes")
        file["number"] = 3
    assert len(read_raw(path).readouts) == ROWS


def test_of_several_measurements_one_must_be_chosen(tmp_path):
    path = write(tmp_path / "raw.h5", cartesian(), group="first")
    write(path, radial(), group="second")
    with pytest.raises(UsageError, match=r"--group.*first, second"):
        read_raw(path)
    assert_same(read_raw(path, group="second"), radial())


@pytest.mark.parametrize("group", ["third", "first/data", "", "/", "../first", "a/" * 20])
def test_a_group_that_is_none_is_wrong_use(group, tmp_path):
    path = write(tmp_path / "raw.h5", cartesian(), group="first")
    with pytest.raises(UsageError, match="no such group; found first"):
        read_raw(path, group=group)


@pytest.mark.parametrize(
    "link",
    [h5py.SoftLink("/first"), h5py.ExternalLink("raw.h5", "/first")],
    ids=["soft", "external"],
)
def test_links_are_not_followed(link, tmp_path):
    path = write(tmp_path / "raw.h5", cartesian(), group="first")
    with h5py.File(path, "r+") as file:
        file["other"] = link
    with pytest.raises(UsageError, match="no such group"):
        read_raw(path, group="other")
    assert len(read_raw(path).readouts) == ROWS


# --- damage ---------------------------------------------------------------------------------------


def read_samples(path):
    return read_raw(path).source.samples(np.arange(N_NOISE, ROWS))


def refusal(path, read=read_raw):
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.file == path.name
    return caught.value


def patched(path, change):
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(bytes(content))
    return path


def heap_object(content, scan, row):
    """Find the bytes of a readout's samples; the object's head lies 16 before them."""
    return bytes(content).index(np.float32(scan.data[row]).tobytes())


@pytest.mark.parametrize("size", [0, 8, 127, 384, 2**31, 2**63, 2**64 - 1])
def test_a_heap_object_of_another_size_is_refused(size, tmp_path):
    """HDF5 copies it over the end of the memory it took for the row."""
    scan = cartesian()
    row = scan.imaging[6]

    def change(content):
        place = heap_object(content, scan, row)
        struct.pack_into("<Q", content, place - 8, size)

    error = refusal(patched(write(tmp_path / "raw.h5", scan), change), read_samples)
    assert error.field.startswith("readout")
    assert re.search("heap object|no object", error.found)


def test_a_missing_heap_object_is_refused_by_its_readout(tmp_path):
    scan = cartesian()
    row = scan.imaging[6]

    def change(content):
        struct.pack_into("<H", content, heap_object(content, scan, row) - 16, 999)

    error = refusal(patched(write(tmp_path / "raw.h5", scan), change), read_samples)
    assert error.field == f"readout {row} (scan_counter {row + 1}), data"
    assert "no object" in error.found


@pytest.mark.parametrize("address", [0, 8, 2**20, 2**63, 2**64 - 1])
def test_a_heap_that_is_not_there_is_refused_by_its_readout(address, tmp_path):
    scan = cartesian()

    def change(content):
        head = scan.heads[12].tobytes()
        place = bytes(content).index(head) + 340 + 16
        struct.pack_into("<Q", content, place + 4, address)

    error = refusal(patched(write(tmp_path / "raw.h5", scan), change), read_samples)
    assert error.field == "readout 12 (scan_counter 13), data"
    assert "heap" in error.found


def test_a_row_that_claims_gigabytes_costs_none(tmp_path):
    scan = cartesian()
    scan.heads["number_of_samples"][12] = scan.heads["active_channels"][12] = 32767
    path = write(tmp_path / "raw.h5", scan)

    def change(content):
        place = bytes(content).index(scan.heads[12].tobytes()) + 340 + 16
        struct.pack_into("<I", content, place, 2 * 32767**2)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    raw = read_raw(patched(path, change))
    with pytest.raises(InputError, match="8589410312 bytes"):
        raw.source.samples(np.array([12]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_damaged_compressed_chunk_is_refused(tmp_path):
    path = write(tmp_path / "raw.h5", cartesian(), chunks=(5,), compression="gzip")

    def change(content):
        place = (
            bytes(content).index(b"\x78\x5e") if b"\x78\x5e" in content else content.index(b"x\x9c")
        )
        content[place + 40 : place + 60] = bytes(20)

    assert refusal(patched(path, change)).field == "data set data"


def test_a_wrong_checksum_is_refused(tmp_path):
    scan = cartesian()
    path = write(tmp_path / "raw.h5", scan, chunks=(5,), fletcher32=True)

    def change(content):
        content[bytes(content).index(scan.heads[7].tobytes()) + 10] ^= 1

    error = refusal(patched(path, change))
    assert error.field == "data set data"
    assert "checksum" in error.found


def test_rows_in_a_filter_we_cannot_undo_are_refused(tmp_path):
    path = write(tmp_path / "raw.h5", cartesian(), chunks=(5,), compression="lzf")
    error = refusal(path)
    assert "filter 32000" in error.found
    assert "h5repack" in error.remedy


def test_addresses_of_four_bytes_are_refused(tmp_path):
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_sizes(4, 4)
    path = tmp_path / "raw.h5"
    h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, creation).close()
    assert "h5repack" in refusal(write(path, cartesian())).found


@pytest.mark.parametrize("member", ["traj", "data"])
@pytest.mark.parametrize("kind", [np.float64, np.int16])
def test_samples_of_another_type_are_refused(kind, member, tmp_path):
    path = tmp_path / "raw.h5"
    kinds = {"traj": np.float32, "data": np.float32} | {member: kind}
    dtype = np.dtype(
        [("head", acquisition_dtype["head"]), *((n, h5py.vlen_dtype(k)) for n, k in kinds.items())]
    )
    rows = np.zeros(3, dtype)
    for name, base in kinds.items():
        rows[name] = [np.zeros(4, base)] * 3
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=[XML], dtype=text_type(XML))
        group.create_dataset("data", data=rows, dtype=dtype)
    assert "vlen float32" in refusal(path).expected


# --- a file that does not stay as it is ---------------------------------------------------------


def replaced(path):
    shutil.copy(path, path.with_name("new.h5"))
    path.with_name("new.h5").replace(path)


def written_to(path):
    with path.open("ab") as file:
        file.write(b"more")


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def touched(path):
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("change", [replaced, written_to, cut, touched, os.remove])
def test_a_file_that_changes_while_it_is_read_is_refused(change, tmp_path):
    scan = cartesian()
    path = write(tmp_path / "raw.h5", scan)
    raw = read_raw(path)
    raw.source.samples(scan.imaging)
    change(path)
    with pytest.raises(InputError, match=r"changed while it was read|no file any more") as caught:
        raw.source.samples(scan.imaging)
    assert caught.value.file == "raw.h5"


def test_reading_works_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scan = cartesian()
    write(tmp_path / "raw.h5", scan)
    raw = read_raw("raw.h5")
    monkeypatch.chdir("/")
    assert_same(raw, scan)


def test_reading_leaves_no_file_open(tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no /proc")
    before = len(list(folder.iterdir()))
    raw = read_raw(write(tmp_path / "raw.h5", cartesian()))
    raw.source.samples(np.arange(N_NOISE, ROWS))
    assert len(list(folder.iterdir())) == before
