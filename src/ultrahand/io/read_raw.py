"""Read raw data: ISMRMRD v1, in HDF5 or as a byte stream."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError, UsageError
from ultrahand.io.container import Container, container_of
from ultrahand.io.file_bytes import Unchanged, naming
from ultrahand.io.hdf5_file import measurement_group, names_in, open_file
from ultrahand.io.hdf5_readouts import read_readouts, read_xml
from ultrahand.io.mrd_stream import read_stream
from ultrahand.io.xml_header import read_header
from ultrahand.records.arrays import Complex64, Float32, Ints, Structured
from ultrahand.records.findings import Finding, info
from ultrahand.records.header import Header
from ultrahand.records.raw import RawData, SampleSource
from ultrahand.records.readouts import (
    COMPRESSED_FLAGS,
    Kind,
    has,
    kinds_of,
    name_readout,
)
from ultrahand.units import S_PER_US

MAX_TRAJECTORY_DIMS = 6


class Conjugate(enum.StrEnum):
    """Whether the samples are conjugated on reading."""

    AUTO = "auto"
    """By vendor: Siemens-converted files hold the other Fourier sign."""
    YES = "yes"
    NO = "no"


def read_raw(
    path: Path | str, *, group: str | None = None, conjugate: Conjugate = Conjugate.AUTO
) -> RawData:
    """Read a raw file; its samples stay on disk until they are asked for.

    Parameters
    ----------
    path
        ISMRMRD v1 HDF5 or MRD v1 byte stream, told apart by content. Opened read-only.
    group
        HDF5 group of the measurement, needed where there are several.
    conjugate
        Siemens-converted k-space has the opposite Fourier sign of the ISMRMRD examples (MRpro
        pull request 833; Gadgetron applies the forward transform): its complex conjugate is
        taken once, here.

    Raises
    ------
    UsageError
        No such file or group, or several groups without a choice.
    InputError
        A file that is refused, with what was found, what was expected and the remedy.
    """
    path = Path(path)
    with naming(path):
        container = container_of(path)
        xml, readouts, source, findings, group = _parts(path, container, group)
        header, header_findings = read_header(xml)
        _check_readouts(readouts, header)
    turned = _conjugates(header, conjugate)
    if turned:
        source = Conjugated(source)
        findings += (
            info(
                "Fourier sign",
                found=f"systemVendor {header.vendor}, --conjugate {conjugate}",
                expected="exp(-2 pi i k x) for a point at +x",
                remedy="the complex conjugate of the samples is used",
            ),
        )
    reading = {"container": container.value, "group": group, "conjugate": turned}
    return RawData(
        header=header,
        readouts=readouts,
        source=source,
        findings=header_findings + findings,
        reading=MappingProxyType(reading),
    )


def _parts(
    path: Path, container: Container, group: str | None
) -> tuple[bytes, Structured, SampleSource, tuple[Finding, ...], str | None]:
    """Read all but the samples: header, table of readouts, their source, findings, group."""
    file = Unchanged.now(path)
    if container is Container.STREAM:
        if group is not None:
            raise UsageError("--group: a byte stream has no groups; leave the option out")
        return *read_stream(file), None
    with open_file(path) as opened:
        place = measurement_group(opened, group)
        xml = read_xml(place, file)
        readouts, source = read_readouts(place, file)
        name = place.name.strip("/")
        others = [n for n in names_in(place) if n not in ("xml", "data")]
    findings = (
        (
            info(
                f"group {name}",
                found=f"also {', '.join(others[:8])}",
                expected="xml and data",
                remedy="set aside",
            ),
        )
        if others
        else ()
    )
    return xml, readouts, source, findings, name


@final
@dataclass(frozen=True, slots=True)
class Conjugated:
    """A source whose samples are the complex conjugate of another's."""

    source: SampleSource

    def samples(self, rows: Ints) -> Complex64:
        block = self.source.samples(rows)
        return np.conjugate(block, out=block if block.flags.writeable else None)

    def trajectory(self, rows: Ints) -> Float32:
        return self.source.trajectory(rows)


def _conjugates(header: Header, conjugate: Conjugate) -> bool:
    by_vendor = "siemens" in (header.vendor or "").lower()
    return conjugate is Conjugate.YES or (conjugate is Conjugate.AUTO and by_vendor)


def _check_readouts(readouts: Structured, header: Header) -> None:
    """Refuse heads that contradict the standard, whatever is done with them later."""
    kinds = kinds_of(readouts["flags"])
    used = np.isin(kinds, (Kind.IMAGING, Kind.CALIBRATION, Kind.NOISE))
    placed = np.isin(kinds, (Kind.IMAGING, Kind.CALIBRATION))
    packed = has(readouts["flags"], COMPRESSED_FLAGS)
    _refuse_rows(readouts, packed, "flags", "plain samples, without flags 53 to 56 (compressed)")
    for name in ("active_channels", "number_of_samples"):
        _refuse_rows(readouts, used & (readouts[name] == 0), name, "at least 1")
    count = len(header.encodings)
    beyond = used & (readouts["encoding_space_ref"] >= count)
    expected = f"0 to {count - 1}: the header has {count} encoding(s)"
    _refuse_rows(readouts, beyond, "encoding_space_ref", expected)
    many = readouts["trajectory_dimensions"] > MAX_TRAJECTORY_DIMS
    _refuse_rows(readouts, many, "trajectory_dimensions", f"0 to {MAX_TRAJECTORY_DIMS}")
    time = readouts["sample_time_s"]
    _refuse_rows(readouts, used & ~((time >= 0) & np.isfinite(time)), "sample_time_s", "0 or more")
    for name in ("position_mm", "read_dir", "phase_dir", "slice_dir"):
        bad = placed & ~np.isfinite(readouts[name]).all(axis=1)
        _refuse_rows(readouts, bad, name, "finite numbers")


_IN_THE_FILE: Final = {
    "sample_time_s": ("sample_time_us", S_PER_US),
    "position_mm": ("position", None),
}
"""Columns that have another name, and unit, in the file."""


def _refuse_rows(readouts: Structured, wrong: np.ndarray, field: str, expected: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        row = int(rows[0])
        name, unit = _IN_THE_FILE.get(field, (field, None))
        value = readouts[field][row] if unit is None else f"{readouts[field][row] / unit:g}"
        raise InputError(
            f"{name_readout(readouts, row)}, {name}",
            found=f"{value} (so or alike in {rows.size} of {len(readouts)} readouts)",
            expected=expected,
            remedy="convert the measurement again",
        )
