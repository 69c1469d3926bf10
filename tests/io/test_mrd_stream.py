"""Streams are written by the ismrmrd package's own serializer wherever it can write them."""

import io
import struct

import ismrmrd
import ismrmrd.xsd
import numpy as np
import pytest
from ismrmrd.serialization import ConfigFile, ConfigText, ProtocolSerializer

from damage import XML, cartesian, message, radial, stream_bytes, write_stream
from ultrahand.errors import InputError, UsageError
from ultrahand.io.read_raw import read_raw

HEADER = ismrmrd.xsd.CreateFromDocument(XML.encode())


def acquisitions(scan):
    for head, traj, data in zip(scan.heads, scan.traj, scan.data, strict=True):
        values = np.float32(data).view(np.complex64).reshape(int(head["active_channels"]), -1)
        dims = int(head["trajectory_dimensions"])
        made = ismrmrd.Acquisition.from_array(
            values,
            np.float32(traj).reshape(-1, dims) if dims else None,
            flags=int(head["flags"]),
            scan_counter=int(head["scan_counter"]),
            acquisition_time_stamp=int(head["acquisition_time_stamp"]),
            center_sample=int(head["center_sample"]),
            sample_time_us=float(head["sample_time_us"]),
            read_dir=tuple(map(float, head["read_dir"])),
            phase_dir=tuple(map(float, head["phase_dir"])),
            slice_dir=tuple(map(float, head["slice_dir"])),
        )
        made.idx.kspace_encode_step_1 = int(head["idx"]["kspace_encode_step_1"])
        yield made


def image():
    values = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    made = ismrmrd.Image.from_array(values, transpose=False)
    made.attribute_string = "<ismrmrdMeta/>"
    return made


def waveform():
    return ismrmrd.Waveform.from_array(np.arange(21, dtype=np.uint32).reshape(3, 7))


def serialized(objects, *, close=True):
    place = io.BytesIO()
    writer = ProtocolSerializer(place)
    for item in objects:
        writer.serialize(item)
    if close:
        writer.close()
    return place.getvalue()


def read(content, folder):
    path = folder / "raw.mrd"
    path.write_bytes(content)
    return read_raw(path)


def refusal(content, folder):
    with pytest.raises(InputError) as caught:
        read(content, folder)
    assert caught.value.file == "raw.mrd"
    return caught.value


def assert_same(raw, scan):
    for name in ("flags", "scan_counter", "number_of_samples", "trajectory_dimensions"):
        np.testing.assert_array_equal(raw.readouts[name], scan.heads[name])
    np.testing.assert_array_equal(
        raw.readouts["kspace_encode_step_1"], scan.heads["idx"]["kspace_encode_step_1"]
    )
    rows = scan.imaging
    expected = np.stack([np.float32(scan.data[r]).view(np.complex64).reshape(2, -1) for r in rows])
    np.testing.assert_array_equal(raw.source.samples(rows), expected.transpose(1, 0, 2))
    if raw.readouts["trajectory_dimensions"][rows].any():
        k = np.stack([np.float32(scan.traj[row]).reshape(-1, 2) for row in rows])
        np.testing.assert_array_equal(raw.source.trajectory(rows), k)


# --- what writers write ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [cartesian, radial])
def test_a_stream_of_another_writer_is_read(make, tmp_path):
    scan = make()
    raw = read(serialized([HEADER, *acquisitions(scan)]), tmp_path)
    assert raw.findings == ()
    assert_same(raw, scan)
    assert raw.header.encodings[0].encoded.matrix == (16, 24, 1)


def test_our_own_bytes_are_those_of_the_other_writer():
    scan = radial()
    ours = stream_bytes(scan)
    theirs = serialized([HEADER, *acquisitions(scan)])
    n = 340 * len(scan.heads)
    assert len(ours[ours.index(message(1008)) :]) == len(theirs[theirs.index(message(1008)) :]) > n


@pytest.mark.parametrize(
    "first",
    [ConfigFile("default.xml"), ConfigText("<configuration/>"), ConfigText('{"version": 1}')],
    ids=["file", "xml", "json"],
)
def test_a_configuration_may_come_first(first, tmp_path):
    scan = cartesian()
    raw = read(serialized([first, HEADER, *acquisitions(scan)]), tmp_path)
    assert raw.findings == ()
    assert_same(raw, scan)


def test_messages_between_the_readouts_are_set_aside_and_counted(tmp_path):
    scan = radial()
    others = [image(), waveform(), "DBG: a text", np.arange(6.0).reshape(2, 3)]
    mixed = [HEADER]
    for i, acquisition in enumerate(acquisitions(scan)):
        mixed += [others[i % 4], acquisition]
    raw = read(serialized(mixed), tmp_path)
    assert_same(raw, scan)
    counts = {finding.field: finding.found for finding in raw.findings}
    assert counts == {
        "stream: image messages": "9",
        "stream: waveform messages": "9",
        "stream: array messages": "8",
    }


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float64, np.complex64, np.complex128])
def test_images_of_every_type_are_passed_over(kind, tmp_path):
    scan = cartesian()
    other = ismrmrd.Image.from_array(np.zeros((1, 2, 3, 5), kind), transpose=False)
    assert_same(read(serialized([HEADER, other, *acquisitions(scan)]), tmp_path), scan)


@pytest.mark.parametrize("tail", [b"\0", b""], ids=["with NUL", "without"])
def test_texts_end_with_or_without_nul(tail, tmp_path):
    scan = cartesian()
    xml, text = XML.encode() + tail, b"INF: hello" + tail
    start = message(3, struct.pack("<I", len(xml)) + xml)
    start += message(5, struct.pack("<I", len(text)) + text)
    rest = stream_bytes(scan)
    assert_same(read(start + rest[rest.index(message(1008)) :], tmp_path), scan)


def test_a_stream_without_close_is_read_with_a_warning(tmp_path):
    scan = cartesian()
    raw = read(serialized([HEADER, *acquisitions(scan)], close=False), tmp_path)
    assert_same(raw, scan)
    assert [finding.field for finding in raw.findings] == ["stream"]
    assert "no close message" in raw.findings[0].found


def test_what_follows_the_close_is_counted(tmp_path):
    raw = read(stream_bytes(cartesian()) + b"and more", tmp_path)
    assert [(f.field, f.found) for f in raw.findings] == [
        ("stream: bytes after the close message", "8")
    ]


def test_a_stream_has_no_groups(tmp_path):
    path = write_stream(tmp_path / "raw.mrd", cartesian())
    with pytest.raises(UsageError, match="no groups"):
        read_raw(path, group="dataset")


def test_a_stream_that_changes_while_it_is_read_is_refused(tmp_path):
    path = write_stream(tmp_path / "raw.mrd", cartesian())
    raw = read_raw(path)
    path.write_bytes(stream_bytes(cartesian()) + b"x")
    with pytest.raises(InputError, match="changed while it was read"):
        raw.source.samples(np.array([9]))


# --- truncation -----------------------------------------------------------------------------------


def boundaries(scan):
    """Ends of the messages of a stream."""
    size = len(stream_bytes(scan, close=False))
    body = [340 + 4 * len(t) + 4 * len(d) + 2 for t, d in zip(scan.traj, scan.data, strict=True)]
    return set((size - np.cumsum([0, *reversed(body)])).tolist())


def test_a_stream_cut_anywhere_is_refused_unless_between_messages(tmp_path):
    scan = cartesian(lines=2, samples=4, n_noise=1)
    content = stream_bytes(scan, close=False)
    whole = boundaries(scan)
    first = content.index(message(1008))
    for length in range(len(content)):
        if length in whole and length > first:
            assert "no close" in read(content[:length], tmp_path).findings[-1].found
        else:
            words = str(refusal(content[:length], tmp_path))
            assert length < first + 2 or "truncated" in words or "0 readouts" in words


def test_a_truncation_says_where(tmp_path):
    content = stream_bytes(cartesian(), close=False)
    error = refusal(content[:-10], tmp_path)
    assert error.field.startswith("message 1008 (acquisition) at byte ")
    assert error.found.startswith("10 bytes beyond the end")


# --- messages that cannot be ----------------------------------------------------------------------

DEPRECATED = [*range(1001, 1008), *range(1009, 1018), 1020, 1021, 1023]


@pytest.mark.parametrize("number", [0, 6, 7, 8, 1018, 1019, 7777, 65535, *DEPRECATED])
def test_other_messages_are_refused_by_their_number(number, tmp_path):
    content = stream_bytes(cartesian(), close=False) + message(number, bytes(400))
    error = refusal(content, tmp_path)
    assert f"id {number}" in error.found
    assert "1008 (acquisition)" in error.expected


def changed_head(name, value):
    scan = cartesian()
    scan.heads[name][9] = value
    return stream_bytes(scan)


@pytest.mark.parametrize("number", [53, 54, 55, 56])
def test_compressed_readouts_are_refused(number, tmp_path):
    error = refusal(changed_head("flags", 1 << (number - 1)), tmp_path)
    assert "compressed" in error.found


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("text", struct.pack("<I", 2**32 - 1) + b"x" * 9),
        ("config text", struct.pack("<I", 2**31) + b"x" * 9),
        ("config file", b"default.xml"),
        ("image", struct.pack("<HHQI", 1, 8, 0, 0) + b"\xff" * 182 + struct.pack("<Q", 0)),
        ("image", struct.pack("<HHQI", 1, 1, 0, 0) + bytes(182) + struct.pack("<Q", 2**62)),
        ("waveform", bytes(28) + b"\xff\xff\xff\xff" + bytes(8)),
        ("array", struct.pack("<HHH3Q", 5, 0, 3, 2**40, 2**40, 2**40)),
        ("acquisition", b"\xff" * 4 + bytes(30) + b"\xff\xff\1\0\xff\xff" + bytes(300)),
    ],
)
def test_sizes_beyond_the_file_are_refused(what, body, tmp_path):
    numbers = {"config file": 1, "config text": 2, "text": 5, "acquisition": 1008}
    numbers |= {"image": 1022, "waveform": 1026, "array": 1030}
    content = stream_bytes(cartesian(), close=False) + message(numbers[what], body)
    error = refusal(content, tmp_path)
    assert what in error.field
    assert "beyond the end" in error.found


@pytest.mark.parametrize("kind", [0, 9, 65535])
def test_images_of_no_type_are_refused(kind, tmp_path):
    body = struct.pack("<HH", 1, kind) + bytes(194 + 8)
    error = refusal(stream_bytes(cartesian(), close=False) + message(1022, body), tmp_path)
    assert error.found == f"data_type {kind}"


def test_arrays_of_many_dimensions_are_refused(tmp_path):
    body = struct.pack("<HHH", 5, 0, 65535) + bytes(8 * 65535)
    error = refusal(stream_bytes(cartesian(), close=False) + message(1030, body), tmp_path)
    assert error.found == "65535 dimensions"


def test_a_second_header_is_refused(tmp_path):
    scan = cartesian()
    assert (
        "second header"
        in refusal(serialized([HEADER, HEADER, *acquisitions(scan)]), tmp_path).found
    )


def test_a_stream_without_header_is_refused(tmp_path):
    content = serialized([ConfigFile("default.xml"), *acquisitions(cartesian())])
    assert "header" in refusal(content, tmp_path).field


def test_a_stream_without_readouts_is_refused(tmp_path):
    assert refusal(serialized([HEADER, waveform()]), tmp_path).found == "0 readouts"


def test_a_header_of_nine_megabytes_is_refused(tmp_path):
    xml = XML.replace("<TR>", f"<!--{'x' * 9 * 2**20}--><TR>").encode()
    rest = stream_bytes(cartesian())
    content = message(3, struct.pack("<I", len(xml)) + xml) + rest[rest.index(message(1008)) :]
    assert "at most 8388608" in refusal(content, tmp_path).expected
