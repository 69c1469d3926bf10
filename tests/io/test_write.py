import struct
from dataclasses import replace

import h5py
import ismrmrd
import ismrmrd.hdf5
import ismrmrd.xsd
import numpy as np
import pytest
from ismrmrd.serialization import ProtocolDeserializer

from ultrahand.errors import RecordError
from ultrahand.io.write_ismrmrd import write_hdf5, write_stream
from ultrahand.records import (
    READOUT_DTYPE,
    ArraySource,
    Encoding,
    EncodingSpace,
    Header,
    Limit,
    RawData,
)
from ultrahand.records.readouts import COUNTERS

SAME_NAME = (
    *("flags", "scan_counter", "acquisition_time_stamp", "number_of_samples"),
    *("active_channels", "discard_pre", "discard_post", "center_sample"),
    *("encoding_space_ref", "trajectory_dimensions"),
)


def make_header(**changes):
    encoding = Encoding(
        trajectory="spiral",
        encoded=EncodingSpace(matrix=(16, 9, 5), fov_m=(0.4, 0.18, 0.0625)),
        recon=EncodingSpace(matrix=(8, 9, 4), fov_m=(0.2, 0.18, 0.05)),
        limits={
            "kspace_encoding_step_1": Limit(minimum=0, maximum=6, center=3),
            "slice": Limit(minimum=0, maximum=2, center=None),
        },
        acceleration=(2, 1),
    )
    header = Header(
        encodings=(encoding, replace(encoding, trajectory="custom", acceleration=None)),
        field_strength_t=6.98,
        frequency_hz=78611032.0,
        vendor="SIEMENS",
        model="Terra",
        patient_position="FFP",
        protocol_name="spiral <2>",
        measurement_id="M-7",
        relative_noise_bandwidth=0.793,
        coil_labels=("A1", "Ä<2>"),
        repetition_times_s=(0.0115,),
        echo_times_s=(0.0002, 0.0043),
        inversion_times_s=(0.9,),
        flip_angles_deg=(11.0,),
        user_parameters={"word": "a & b", "count": 3, "number": 0.25},
    )
    return replace(header, **changes)


def make_raw(n=23, header=None):
    """Readouts of two shapes, with and without trajectory, every field different."""
    rng = np.random.default_rng(20240907)
    table = np.zeros(n, READOUT_DTYPE)
    for name in (*SAME_NAME, *COUNTERS, "user"):
        table[name] = rng.integers(0, 60000, table[name].shape)
    table["flags"] = rng.integers(0, 2**63, n, dtype=np.uint64)
    for name in ("position_mm", "read_dir", "phase_dir", "slice_dir"):
        table[name] = rng.standard_normal((n, 3))
    table["sample_time_s"] = 2.5e-6
    short = np.arange(n) < 3
    table["number_of_samples"] = np.where(short, 4, 7)
    table["active_channels"] = np.where(short, 70, 3)
    table["trajectory_dimensions"] = np.where(short, 0, 2)
    shapes = zip(table["active_channels"], table["number_of_samples"], strict=True)
    parts = [rng.standard_normal((*shape, 2)) @ (1, 1j) for shape in shapes]
    k = [
        rng.standard_normal((row["number_of_samples"], row["trajectory_dimensions"]))
        for row in table
    ]
    source = ArraySource(
        data=tuple(part.astype(np.complex64) for part in parts),
        k=tuple(line.astype(np.float32) for line in k),
    )
    return RawData(header=header or make_header(), readouts=table, source=source)


def check_acquisition(raw, row, acquisition):
    head = raw.readouts[row]
    for name in SAME_NAME:
        assert getattr(acquisition, name) == head[name], name
    for name in COUNTERS:
        assert getattr(acquisition.idx, name) == head[name], name
    np.testing.assert_array_equal(acquisition.idx.user, head["user"])
    np.testing.assert_array_equal(acquisition.position, head["position_mm"])
    for name in ("read_dir", "phase_dir", "slice_dir"):
        np.testing.assert_array_equal(getattr(acquisition, name), head[name])
    assert acquisition.sample_time_us == pytest.approx(2.5, rel=1e-7)
    assert acquisition.version == 1
    assert acquisition.available_channels == head["active_channels"]
    n_channels = int(head["active_channels"])
    assert [bool(acquisition.isChannelActive(c)) for c in range(80)] == [
        c < n_channels for c in range(80)
    ]
    np.testing.assert_array_equal(acquisition.data, raw.source.data[row])
    np.testing.assert_array_equal(acquisition.traj, raw.source.k[row])


def check_header(found):
    encoding = found.encoding[0]
    assert (encoding.encodedSpace.matrixSize.x, encoding.encodedSpace.matrixSize.z) == (16, 5)
    assert encoding.encodedSpace.fieldOfView_mm.z == pytest.approx(62.5)
    assert (encoding.reconSpace.matrixSize.y, encoding.reconSpace.matrixSize.z) == (9, 4)
    assert encoding.reconSpace.fieldOfView_mm.x == pytest.approx(200.0)
    step = encoding.encodingLimits.kspace_encoding_step_1
    assert (step.minimum, step.maximum, step.center) == (0, 6, 3)
    assert encoding.encodingLimits.slice.maximum == 2
    assert encoding.encodingLimits.average is None
    assert encoding.trajectory.value == "spiral"
    assert encoding.parallelImaging.accelerationFactor.kspace_encoding_step_1 == 2
    assert found.encoding[1].trajectory.value == "other"
    assert found.encoding[1].parallelImaging is None
    system = found.acquisitionSystemInformation
    assert (system.systemVendor, system.systemModel) == ("SIEMENS", "Terra")
    assert system.systemFieldStrength_T == 6.98
    assert system.relativeReceiverNoiseBandwidth == 0.793
    assert system.receiverChannels == 70
    assert [label.coilName for label in system.coilLabel] == ["A1", "Ä<2>"]
    assert found.experimentalConditions.H1resonanceFrequency_Hz == 78611032
    measurement = found.measurementInformation
    assert measurement.patientPosition.value == "FFP"
    assert (measurement.protocolName, measurement.measurementID) == ("spiral <2>", "M-7")
    sequence = found.sequenceParameters
    np.testing.assert_allclose(sequence.TR + sequence.TE + sequence.TI, [11.5, 0.2, 4.3, 900.0])
    assert sequence.flipAngle_deg == [11.0]
    parameters = found.userParameters
    assert [(p.name, p.value) for p in parameters.userParameterString] == [("word", "a & b")]
    assert [(p.name, p.value) for p in parameters.userParameterLong] == [("count", 3)]
    assert [(p.name, p.value) for p in parameters.userParameterDouble] == [("number", 0.25)]


@pytest.mark.parametrize("block", [1000, 6])
@pytest.mark.parametrize("group", ["dataset", "other_7"])
def test_the_ismrmrd_package_reads_the_hdf5_file(group, block, tmp_path, monkeypatch):
    monkeypatch.setattr("ultrahand.io.write_ismrmrd.BLOCK", block)
    raw, path = make_raw(), tmp_path / "raw.h5"
    write_hdf5(raw, path, group=group)
    with ismrmrd.Dataset(path, group, mode="r") as dataset:
        check_header(ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header()))
        assert dataset.number_of_acquisitions() == 23
        for row in range(23):
            check_acquisition(raw, row, dataset.read_acquisition(row))


def test_the_hdf5_types_are_those_of_the_ismrmrd_package(tmp_path):
    ours, theirs = tmp_path / "ours.h5", tmp_path / "theirs.h5"
    write_hdf5(make_raw(), ours)
    with ismrmrd.Dataset(theirs) as dataset:
        dataset.write_xml_header(b"<x/>")
        dataset.append_acquisition(ismrmrd.Acquisition.from_array(np.ones((2, 3), np.complex64)))
    with h5py.File(ours, "r") as one, h5py.File(theirs, "r") as two:
        for name in ("data", "xml"):
            types = [file["dataset"][name].id.get_type() for file in (one, two)]
            assert types[0].equal(types[1])
        assert one["dataset"]["data"].maxshape == (None,)


@pytest.mark.parametrize("block", [1000, 6])
def test_the_ismrmrd_package_reads_the_stream(block, tmp_path, monkeypatch):
    monkeypatch.setattr("ultrahand.io.write_ismrmrd.BLOCK", block)
    raw, path = make_raw(), tmp_path / "raw.mrd"
    write_stream(raw, path)
    with path.open("rb") as file:
        found = list(ProtocolDeserializer(file).deserialize())
        assert file.read() == b""
    check_header(found[0])
    assert len(found) == 24
    for row, acquisition in enumerate(found[1:]):
        check_acquisition(raw, row, acquisition)


def test_the_stream_is_laid_out_byte_by_byte(tmp_path):
    raw, path = make_raw(4), tmp_path / "raw.mrd"
    write_stream(raw, path)
    content = path.read_bytes()
    message, length = struct.unpack_from("<HI", content)
    assert message == 3
    assert content[6:].startswith(b"<?xml")
    at = 6 + length
    for row in range(4):
        head = raw.readouts[row]
        assert struct.unpack_from("<H", content, at) == (1008,)
        offset = at + 2
        assert struct.unpack_from("<H", content, offset + 34) == (head["number_of_samples"],)
        assert struct.unpack_from("<3f", content, offset + 182) == tuple(head["position_mm"])
        assert struct.unpack_from("<H", content, offset + 254) == (head["repetition"],)
        floats = head["number_of_samples"] * (
            head["trajectory_dimensions"] + 2 * head["active_channels"]
        )
        at = offset + 340 + 4 * floats
    assert content[at:] == struct.pack("<H", 4)


def test_a_header_that_knows_nothing_can_be_written(tmp_path):
    space = EncodingSpace(matrix=(4, 4, 1), fov_m=(0.1, 0.1, 0.01))
    encoding = Encoding(
        trajectory="cartesian", encoded=space, recon=space, limits={}, acceleration=None
    )
    write_hdf5(make_raw(header=Header(encodings=(encoding,))), tmp_path / "raw.h5")
    with ismrmrd.Dataset(tmp_path / "raw.h5", mode="r") as dataset:
        found = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
    assert found.measurementInformation is None
    assert found.experimentalConditions.H1resonanceFrequency_Hz == 0
    assert found.acquisitionSystemInformation.systemFieldStrength_T is None


def test_no_readouts_make_an_empty_data_set(tmp_path):
    raw = RawData(
        header=make_header(), readouts=np.zeros(0, READOUT_DTYPE), source=ArraySource(data=())
    )
    write_hdf5(raw, tmp_path / "raw.h5")
    write_stream(raw, tmp_path / "raw.mrd")
    with ismrmrd.Dataset(tmp_path / "raw.h5", mode="r") as dataset:
        assert dataset.number_of_acquisitions() == 0


def break_source(raw):
    data = (*raw.source.data[:-1], raw.source.data[-1][:, :-1])
    return replace(raw, source=ArraySource(data=data, k=raw.source.k))


def break_counter(raw):
    table = raw.readouts.copy()
    table["kspace_encode_step_1"][-1] = 70000
    return replace(raw, readouts=table)


def break_position(raw):
    return replace(raw, header=replace(raw.header, patient_position="sideways"))


@pytest.mark.parametrize("write", [write_hdf5, write_stream])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_counter, r"readout 4 \(scan_counter \d+\): kspace_encode_step_1 70000"),
        (break_source, r"readout 4 \(scan_counter \d+\): samples have the shape"),
        (break_position, "patient_position 'sideways'"),
    ],
)
def test_a_failure_leaves_what_was_there(write, damage, words, tmp_path, monkeypatch):
    monkeypatch.setattr("ultrahand.io.write_ismrmrd.BLOCK", 1)
    path = tmp_path / "raw"
    path.write_bytes(b"before")
    with pytest.raises(RecordError, match=words):
        write(damage(make_raw(5)), path)
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("write", [write_hdf5, write_stream])
def test_an_existing_file_is_replaced_whole(write, tmp_path):
    path = tmp_path / "raw"
    write(make_raw(23), path)
    write(make_raw(2), path)
    fresh = tmp_path / "fresh"
    write(make_raw(2), fresh)
    if write is write_stream:
        assert path.read_bytes() == fresh.read_bytes()
    assert path.stat().st_size == fresh.stat().st_size
    assert {p.name for p in tmp_path.iterdir()} == {"raw", "fresh"}


def test_the_record_is_left_as_it_was(tmp_path):
    raw = make_raw()
    table, data = raw.readouts.copy(), [part.copy() for part in raw.source.data]
    write_hdf5(raw, tmp_path / "raw.h5")
    np.testing.assert_array_equal(raw.readouts, table)
    for before, after in zip(data, raw.source.data, strict=True):
        np.testing.assert_array_equal(before, after)
