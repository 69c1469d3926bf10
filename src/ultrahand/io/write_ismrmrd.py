"""Write raw data as ISMRMRD v1: an HDF5 file, or the MRD v1 byte stream.

A file appears complete or not at all: it is written beside its place and renamed. One that is
already there is replaced.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ultrahand.records import Encoding, EncodingSpace, Header, Limit, RawData
from ultrahand.records.arrays import Ints, Structured, require
from ultrahand.records.readouts import COUNTERS, name_readout
from ultrahand.units import M_PER_MM, S_PER_MS, S_PER_US

if TYPE_CHECKING:
    from types import ModuleType

BLOCK: Final = 1000
"""Readouts written at a time, and rows in a chunk of the HDF5 data set."""

_HEADER: Final = 3
_CLOSE: Final = 4
_ACQUISITION: Final = 1008

_SAME_NAME: Final = (
    *("flags", "scan_counter", "acquisition_time_stamp", "number_of_samples"),
    *("active_channels", "discard_pre", "discard_post", "center_sample"),
    *("encoding_space_ref", "trajectory_dimensions", "read_dir", "phase_dir", "slice_dir"),
)


def write_hdf5(raw: RawData, path: Path | str, *, group: str = "dataset") -> None:
    """Write an ISMRMRD v1 HDF5 file.

    Parameters
    ----------
    raw
        What to write; its samples are read in blocks.
    path
        The file; it is replaced if it exists.
    group
        Name of the HDF5 group, ``dataset`` by custom.

    Raises
    ------
    RecordError
        A counter or size does not fit the format's 16 bits, or samples contradict the table.
    """
    import h5py
    from ismrmrd.hdf5 import acquisition_dtype

    n = len(raw.readouts)
    with _in_place_of(Path(path)) as partial, h5py.File(partial, "w") as file:
        xml = file.create_dataset(f"{group}/xml", (1,), h5py.special_dtype(vlen=bytes))
        xml[0] = _header_xml(raw)
        chunks = (min(max(n, 1), BLOCK),)
        data = file.create_dataset(
            f"{group}/data", (n,), acquisition_dtype, maxshape=(None,), chunks=chunks
        )
        for rows in _runs(raw.readouts):
            block = np.empty(len(rows), acquisition_dtype)
            block["head"] = _heads(raw.readouts, rows)
            trajectory, samples = _floats(raw, rows)
            for i in range(len(rows)):
                block["traj"][i] = trajectory[i]
                block["data"][i] = samples[i]
            data[rows[0] : rows[-1] + 1] = block


def write_stream(raw: RawData, path: Path | str) -> None:
    """Write an MRD v1 byte stream: header, acquisitions, close; little endian.

    Parameters
    ----------
    raw
        What to write; its samples are read in blocks.
    path
        The file; it is replaced if it exists.

    Raises
    ------
    RecordError
        A counter or size does not fit the format's 16 bits, or samples contradict the table.
    """
    xml = _header_xml(raw)
    with _in_place_of(Path(path)) as partial, partial.open("wb") as file:
        file.write(struct.pack("<HI", _HEADER, len(xml)) + xml)
        for rows in _runs(raw.readouts):
            trajectory, samples = _floats(raw, rows)
            head = _heads(raw.readouts, rows)
            floats = {"traj": trajectory.shape[1:], "data": samples.shape[1:]}
            layout = [("id", "<u2", ()), ("head", head.dtype, ())]
            layout += [(name, np.dtype("<f4"), shape) for name, shape in floats.items()]
            messages = np.empty(len(rows), np.dtype(layout))
            messages["id"], messages["head"] = _ACQUISITION, head
            messages["traj"], messages["data"] = trajectory, samples
            file.write(messages.tobytes())
        file.write(struct.pack("<H", _CLOSE))


@contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """Give a name beside the file; rename it at the end, remove it if anything fails."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _runs(readouts: Structured) -> Iterator[Ints]:
    """Yield consecutive rows of equal shape, at most a block at a time."""
    shape = ["number_of_samples", "active_channels", "trajectory_dimensions"]
    shapes = readouts[shape]
    ends = np.flatnonzero(shapes[1:] != shapes[:-1]) + 1
    for run in np.split(np.arange(len(readouts)), ends):
        yield from (run[i : i + BLOCK] for i in range(0, len(run), BLOCK))


def _heads(readouts: Structured, rows: Ints) -> NDArray[Any]:
    """Return acquisition heads, with what the table does not know at zero."""
    from ismrmrd.hdf5 import acquisition_header_dtype

    table = readouts[rows]
    _check_range(readouts, rows)
    heads = np.zeros(len(rows), acquisition_header_dtype)
    heads["version"] = 1
    for name in _SAME_NAME:
        heads[name] = table[name]
    heads["available_channels"] = table["active_channels"]
    channel = np.arange(1024)
    used = (channel < table["active_channels"][:, None]).reshape(len(rows), 16, 64)
    heads["channel_mask"] = (used << channel[:64].astype(np.uint64)).sum(axis=2, dtype=np.uint64)
    heads["sample_time_us"] = table["sample_time_s"] / S_PER_US
    heads["position"] = table["position_mm"]
    for name in (*COUNTERS, "user"):
        heads["idx"][name] = table[name]
    return heads


def _check_range(readouts: Structured, rows: Ints) -> None:
    names = (*(n for n in _SAME_NAME if readouts.dtype[n] == np.int32), *COUNTERS, "user")
    for name in names:
        values = readouts[name][rows].reshape(len(rows), -1)
        bad = np.flatnonzero(((values < 0) | (values > 65535)).any(axis=1))
        if len(bad):
            found = values[bad[0]].tolist() if name == "user" else int(values[bad[0], 0])
            where = name_readout(readouts, int(rows[bad[0]]))
            require(False, f"{where}: {name} {found} does not fit 0 to 65535 of ISMRMRD v1")


def _floats(raw: RawData, rows: Ints) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return trajectories and samples as the format stores them, one row a readout."""
    head = raw.readouts[rows[0]]
    n_samples, dims = int(head["number_of_samples"]), int(head["trajectory_dimensions"])
    trajectory = np.empty((len(rows), 0), np.float32)
    if dims:
        trajectory = np.asarray(raw.source.trajectory(rows), np.float32)
        _check_shape(raw, rows, trajectory.shape[1:], (n_samples, dims), "trajectory")
    samples = np.asarray(raw.source.samples(rows), np.complex64)
    expected = (int(head["active_channels"]), n_samples)
    _check_shape(raw, rows, (samples.shape[0], samples.shape[2]), expected, "samples")
    by_row = np.ascontiguousarray(samples.transpose(1, 0, 2))
    return trajectory.reshape(len(rows), -1), by_row.view(np.float32).reshape(len(rows), -1)


def _check_shape(
    raw: RawData, rows: Ints, found: tuple[int, ...], expected: tuple[int, ...], what: str
) -> None:
    where = name_readout(raw.readouts, int(rows[0]))
    require(found == expected, f"{where}: {what} have the shape {found}, its table says {expected}")


def _header_xml(raw: RawData) -> bytes:
    """Return the XML header, UTF-8.

    What the standard demands and the record does not know is written as 0 (the frequency) or left
    out (limits, patient position and with it the names of the measurement); a trajectory's name
    outside the standard's list becomes ``other``.

    Parameters
    ----------
    raw
        The number of receiver channels is taken from its readouts.
    """
    from ismrmrd import xsd

    header = raw.header
    document = xsd.ismrmrdHeader(
        measurementInformation=_measurement(xsd, header),
        acquisitionSystemInformation=_system(xsd, raw),
        experimentalConditions=xsd.experimentalConditionsType(
            H1resonanceFrequency_Hz=round(header.frequency_hz or 0.0)
        ),
        encoding=[_encoding(xsd, encoding) for encoding in header.encodings],
        sequenceParameters=xsd.sequenceParametersType(
            TR=_milliseconds(header.repetition_times_s),
            TE=_milliseconds(header.echo_times_s),
            TI=_milliseconds(header.inversion_times_s),
            flipAngle_deg=list(header.flip_angles_deg),
        ),
        userParameters=_user_parameters(xsd, header),
    )
    xml: str = document.toXML(encoding="utf-8")
    return xml.encode()


def _measurement(xsd: ModuleType, header: Header) -> Any:  # noqa: ANN401 - untyped package
    if header.patient_position is None:
        return None
    names = [member.value for member in xsd.patientPositionType]
    found = header.patient_position
    require(found in names, f"patient_position {found!r} must be one of {', '.join(names)}")
    return xsd.measurementInformationType(
        measurementID=header.measurement_id,
        patientPosition=xsd.patientPositionType(found),
        protocolName=header.protocol_name,
    )


def _system(xsd: ModuleType, raw: RawData) -> Any:  # noqa: ANN401 - untyped package
    header, channels = raw.header, raw.readouts["active_channels"]
    return xsd.acquisitionSystemInformationType(
        systemVendor=header.vendor,
        systemModel=header.model,
        systemFieldStrength_T=header.field_strength_t,
        relativeReceiverNoiseBandwidth=header.relative_noise_bandwidth,
        receiverChannels=int(channels.max()) if len(channels) else None,
        coilLabel=[
            xsd.coilLabelType(coilNumber=number, coilName=name)
            for number, name in enumerate(header.coil_labels)
        ],
    )


def _encoding(xsd: ModuleType, encoding: Encoding) -> Any:  # noqa: ANN401 - untyped package
    names = {member.value for member in xsd.trajectoryType}
    trajectory = encoding.trajectory if encoding.trajectory in names else "other"
    parallel = None
    if encoding.acceleration is not None:
        first, second = encoding.acceleration
        factor = xsd.accelerationFactorType(
            kspace_encoding_step_1=first, kspace_encoding_step_2=second
        )
        parallel = xsd.parallelImagingType(accelerationFactor=factor)
    return xsd.encodingType(
        encodedSpace=_space(xsd, encoding.encoded),
        reconSpace=_space(xsd, encoding.recon),
        encodingLimits=xsd.encodingLimitsType(
            **{name: _limit(xsd, limit) for name, limit in encoding.limits.items()}
        ),
        trajectory=xsd.trajectoryType(trajectory),
        parallelImaging=parallel,
    )


def _space(xsd: ModuleType, space: EncodingSpace) -> Any:  # noqa: ANN401 - untyped package
    (nx, ny, nz), (x, y, z) = space.matrix, (length / M_PER_MM for length in space.fov_m)
    return xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=nx, y=ny, z=nz),
        fieldOfView_mm=xsd.fieldOfViewMm(x=x, y=y, z=z),
    )


def _limit(xsd: ModuleType, limit: Limit) -> Any:  # noqa: ANN401 - untyped package
    return xsd.limitType(minimum=limit.minimum, maximum=limit.maximum, center=limit.center)


def _user_parameters(xsd: ModuleType, header: Header) -> Any:  # noqa: ANN401 - untyped package
    parameters = xsd.userParametersType()
    for name, value in header.user_parameters.items():
        match value:
            case str():
                parameters.userParameterString.append(
                    xsd.userParameterStringType(name=name, value=value)
                )
            case int():
                parameters.userParameterLong.append(
                    xsd.userParameterLongType(name=name, value=value)
                )
            case float():
                parameters.userParameterDouble.append(
                    xsd.userParameterDoubleType(name=name, value=value)
                )
    return parameters


def _milliseconds(times_s: tuple[float, ...]) -> list[float]:
    return [time / S_PER_MS for time in times_s]
