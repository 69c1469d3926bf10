"""Readouts of an MRD v1 byte stream kept in a file, as newer converters write it.

Each message is a little-endian uint16 id and a body; the layout follows the MRD streaming protocol
(https://ismrmrd.readthedocs.io) and the ``ismrmrd`` package.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.io.acquisition_head import HEAD_BYTES, HEAD_DTYPE, readouts_of
from ultrahand.io.hdf5_readouts import fingerprint
from ultrahand.records.arrays import Complex64, Float32, Ints, Structured
from ultrahand.records.findings import Finding, info, warning

CONFIG_FILE, CONFIG_TEXT, HEADER, CLOSE, TEXT = 1, 2, 3, 4, 5
ACQUISITION, IMAGE, WAVEFORM = 1008, 1022, 1026
_CONFIG_FILE_BYTES: Final = 1024
_IMAGE_HEAD_BYTES: Final = 198
_WAVEFORM_HEAD_BYTES: Final = 40  # aligned in C, not packed
_IMAGE_VALUE_BYTES: Final = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4, 6: 8, 7: 8, 8: 16}
_COMPRESSED: Final = 0b1111 << 52


@dataclass(slots=True)
class _Scan:
    """What a walk over the messages found."""

    xml: tuple[int, int] | None = None
    heads: list[int] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    closed: bool = False


def read_stream(path: Path) -> tuple[bytes, Structured, StreamSource, tuple[Finding, ...]]:
    """Walk a stream once; return its XML, table of readouts, source of samples and findings.

    Raises
    ------
    InputError
        An unknown message, a message cut off by the end of the file, no header, no readouts.
    """
    stored = np.memmap(path, np.uint8, "r")
    scan = _walk(memoryview(stored.data))
    if scan.xml is None:
        raise _refuse("message 3 (header)", "none", "the ISMRMRD header before the readouts")
    if not scan.heads:
        raise _refuse("message 1008 (acquisition)", "0 readouts", "at least one")
    starts = np.array(scan.heads, np.int64)
    heads = np.empty((len(starts), HEAD_BYTES), np.uint8)
    for first in range(0, len(starts), 8192):
        part = slice(first, first + 8192)
        heads[part] = stored[starts[part, None] + np.arange(HEAD_BYTES)]
    readouts = readouts_of(heads.reshape(-1).view(HEAD_DTYPE))
    xml = bytes(stored[scan.xml[0] : scan.xml[1]])
    return xml, readouts, StreamSource(path, stored, starts, readouts), _findings(scan)


@final
class StreamSource:
    """Samples of a memory-mapped stream."""

    def __init__(
        self, path: Path, stored: NDArray[np.uint8], starts: Ints, readouts: Structured
    ) -> None:
        self._path = path
        self._fingerprint = fingerprint(path)
        self._stored = stored
        self._starts = starts
        self._readouts = readouts

    def samples(self, rows: Ints) -> Complex64:
        first = self._readouts[rows[0]]
        coils, samples = int(first["active_channels"]), int(first["number_of_samples"])
        skip = 4 * int(first["trajectory_dimensions"]) * samples
        flat = self._gather(rows, skip, 8 * coils * samples)
        return flat.view(np.complex64).reshape(len(rows), coils, samples).transpose(1, 0, 2)

    def trajectory(self, rows: Ints) -> Float32:
        first = self._readouts[rows[0]]
        dims, samples = int(first["trajectory_dimensions"]), int(first["number_of_samples"])
        flat = self._gather(rows, 0, 4 * dims * samples)
        return flat.view(np.float32).reshape(len(rows), samples, dims)

    def _gather(self, rows: Ints, skip: int, length: int) -> NDArray[np.uint8]:
        if fingerprint(self._path) != self._fingerprint:
            raise _refuse("file", "a file that changed while it was read", "one that stays")
        out = np.empty((len(rows), length), np.uint8)
        for place, row in enumerate(rows):
            start = int(self._starts[row]) + HEAD_BYTES + skip
            out[place] = self._stored[start : start + length]
        return out


def _walk(stored: memoryview) -> _Scan:
    scan, at, end = _Scan(), 0, len(stored)
    while at < end and not scan.closed:
        (message,) = _unpack("<H", stored, at, "message id")
        at += 2
        if message == ACQUISITION:
            scan.heads.append(at)
        at = _after(message, stored, at, scan)
        if at > end:
            raise _refuse(
                f"message {message} ({_NAMES.get(message, 'unknown')})",
                f"{at - end} bytes beyond the end of the file",
                "a complete message: the stream is truncated",
            )
    if scan.closed and at < end:
        scan.skipped["bytes after the close message"] = end - at
    return scan


def _after(message: int, stored: memoryview, at: int, scan: _Scan) -> int:
    """Return where the next message begins."""
    if message == ACQUISITION:
        return at + _acquisition_bytes(stored, at)
    if message == CLOSE:
        scan.closed = True
        return at
    if message == CONFIG_FILE:
        return at + _CONFIG_FILE_BYTES
    if message in (CONFIG_TEXT, HEADER, TEXT):
        (length,) = _unpack("<I", stored, at, "text length")
        if message == HEADER:
            if scan.xml is not None:
                raise _refuse("message 3 (header)", "a second header", "one header")
            scan.xml = (at + 4, at + 4 + length)
        return int(at + 4 + length)
    if message in (IMAGE, WAVEFORM):
        name = _NAMES[message]
        scan.skipped[f"{name} messages"] = scan.skipped.get(f"{name} messages", 0) + 1
        return at + (_image_bytes if message == IMAGE else _waveform_bytes)(stored, at)
    raise _refuse(
        f"message at byte {at - 2}",
        f"id {message}",
        f"one of {', '.join(f'{k} ({v})' for k, v in _NAMES.items())}",
    )


_NAMES: Final = {
    CONFIG_FILE: "config file",
    CONFIG_TEXT: "config text",
    HEADER: "header",
    CLOSE: "close",
    TEXT: "text",
    ACQUISITION: "acquisition",
    IMAGE: "image",
    WAVEFORM: "waveform",
}


def _acquisition_bytes(stored: memoryview, at: int) -> int:
    (flags,) = _unpack("<Q", stored, at + 2, "acquisition flags")
    samples, _, channels = _unpack("<HHH", stored, at + 34, "acquisition head")
    (dims,) = _unpack("<H", stored, at + 176, "acquisition head")
    if flags & _COMPRESSED:
        raise _refuse("acquisition", "compressed samples (flags 53 to 56)", "plain samples")
    return HEAD_BYTES + 4 * int(samples) * int(dims) + 8 * int(samples) * int(channels)


def _image_bytes(stored: memoryview, at: int) -> int:
    (kind,) = _unpack("<H", stored, at + 2, "image type")
    x, y, z = _unpack("<HHH", stored, at + 16, "image size")
    (channels,) = _unpack("<H", stored, at + 34, "image channels")
    (attributes,) = _unpack("<Q", stored, at + _IMAGE_HEAD_BYTES, "image attributes")
    if kind not in _IMAGE_VALUE_BYTES:
        raise _refuse("image", f"data_type {kind}", "1 to 8")
    values = int(x) * int(y) * int(z) * int(channels) * _IMAGE_VALUE_BYTES[kind]
    return _IMAGE_HEAD_BYTES + 8 + int(attributes) + values


def _waveform_bytes(stored: memoryview, at: int) -> int:
    samples, channels = _unpack("<HH", stored, at + 28, "waveform head")
    return _WAVEFORM_HEAD_BYTES + 4 * int(samples) * int(channels)


def _unpack(form: str, stored: memoryview, at: int, what: str) -> tuple[Any, ...]:
    if at + struct.calcsize(form) > len(stored):
        raise _refuse(what, "the end of the file", "a complete message: the stream is truncated")
    return struct.unpack_from(form, stored, at)


def _findings(scan: _Scan) -> tuple[Finding, ...]:
    found = [
        info(f"stream: {name}", found=str(count), expected="readouts only", remedy="set aside")
        for name, count in scan.skipped.items()
    ]
    if not scan.closed:
        found.append(
            warning(
                "stream",
                found="no close message (id 4) at the end",
                expected="a closed stream",
                remedy="the last readouts may be missing; compare the counts",
            )
        )
    return tuple(found)


def _refuse(name: str, found: str, expected: str) -> InputError:
    return InputError(
        name, found=found, expected=expected, remedy="copy or convert the measurement again"
    )
