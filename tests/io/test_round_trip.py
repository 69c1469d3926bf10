"""What is written is read: any readouts, in either container, in any order and any selection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ultrahand.io.read_raw import read_raw
from ultrahand.io.write_ismrmrd import write_hdf5, write_stream
from ultrahand.records import (
    READOUT_DTYPE,
    ArraySource,
    Encoding,
    EncodingSpace,
    Header,
    RawData,
)
from ultrahand.records.readouts import COUNTERS

SPACE = EncodingSpace(matrix=(8, 8, 1), fov_m=(0.1, 0.1, 0.01))
ENCODING = Encoding(trajectory="radial", encoded=SPACE, recon=SPACE, limits={}, acceleration=None)
WHOLE = ("discard_pre", "discard_post", "center_sample", "encoding_space_ref", *COUNTERS)
FLOATS = st.floats(-1e3, 1e3, width=32)
VECTORS = st.tuples(FLOATS, FLOATS, FLOATS)

readouts = st.fixed_dictionaries(
    {
        "flags": st.integers(0, 2**52 - 1),  # from bit 53 on the samples are compressed
        "scan_counter": st.integers(0, 2**32 - 1),
        "acquisition_time_stamp": st.integers(0, 2**32 - 1),
        "number_of_samples": st.integers(1, 6),
        "active_channels": st.integers(1, 3),
        "trajectory_dimensions": st.integers(0, 3),
        "sample_time_s": st.integers(0, 100).map(lambda n: n * 1e-6),
        "user": st.lists(st.integers(0, 65535), min_size=8, max_size=8),
        **dict.fromkeys(("position_mm", "read_dir", "phase_dir", "slice_dir"), VECTORS),
        **{n: st.just(0) if n == "encoding_space_ref" else st.integers(0, 65535) for n in WHOLE},
    }
)


def measurement(rows, seed):
    rng = np.random.default_rng(seed)
    table = np.zeros(len(rows), READOUT_DTYPE)
    for name in READOUT_DTYPE.names:
        table[name] = [row[name] for row in rows]
    data, k = [], []
    for row in table:
        shape = (row["active_channels"], row["number_of_samples"])
        data.append((rng.standard_normal((*shape, 2)) @ (1, 1j)).astype(np.complex64))
        dims = (row["number_of_samples"], row["trajectory_dimensions"])
        k.append(rng.standard_normal(dims).astype(np.float32))
    header = Header(encodings=(ENCODING,), field_strength_t=7.0, frequency_hz=297.2e6)
    return RawData(header=header, readouts=table, source=ArraySource(data=tuple(data), k=tuple(k)))


@pytest.mark.parametrize("write", [write_hdf5, write_stream])
@given(st.lists(readouts, min_size=1, max_size=8), st.integers(0, 2**32), st.randoms())
def test_readouts_come_back_as_they_were(tmp_path_factory, write, rows, seed, random):
    raw = measurement(rows, seed)
    path = tmp_path_factory.mktemp("round") / "raw"
    write(raw, path)
    back = read_raw(path)
    for name in READOUT_DTYPE.names:
        if name == "sample_time_s":  # stored in microseconds, single precision
            np.testing.assert_allclose(back.readouts[name], raw.readouts[name], rtol=1e-6)
        else:
            np.testing.assert_array_equal(back.readouts[name], raw.readouts[name])
    shapes = ("number_of_samples", "active_channels", "trajectory_dimensions")
    for shape in np.unique(raw.readouts[list(shapes)]):
        alike = np.flatnonzero([tuple(row) == tuple(shape) for row in raw.readouts[list(shapes)]])
        chosen = np.array(random.choices(alike.tolist(), k=len(alike)))
        np.testing.assert_array_equal(back.source.samples(chosen), raw.source.samples(chosen))
        if shape["trajectory_dimensions"]:
            there = back.source.trajectory(chosen)
            np.testing.assert_array_equal(there, raw.source.trajectory(chosen))
