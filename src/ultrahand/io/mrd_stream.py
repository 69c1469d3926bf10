"""Readouts of an MRD v1 byte stream kept in a file, as newer converters write it.

Each message is a little-endian uint16 id and a body; the layout follows the MRD streaming protocol
(https://ismrmrd.readthedocs.io) and the ``ismrmrd`` package.
"""

from __future__ import annotations

import io
import math
import struct
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.io.acquisition_head import HEAD_BYTES, HEAD_DTYPE, readouts_of
from ultrahand.io.file_bytes import gather, read_at
from ultrahand.io.xml_tree import MAX_BYTES
from ultrahand.records.arrays import Complex64, Float32, Ints, Structured
from ultrahand.records.findings import Finding, info, warning

if TYPE_CHECKING:
    from ultrahand.io.file_bytes import Unchanged

CONFIG_FILE, CONFIG_TEXT, HEADER, CLOSE, TEXT = 1, 2, 3, 4, 5
ACQUISITION, IMAGE, WAVEFORM, ARRAY = 1008, 1022, 1026, 1030
_CONFIG_FILE_BYTES: Final = 1024
_IMAGE_HEAD_BYTES: Final = 198
_WAVEFORM_HEAD_BYTES: Final = 40  # aligned in C, not packed
_VALUE_BYTES: Final = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4, 6: 8, 7: 8, 8: 16}
_MAX_ARRAY_DIMS: Final = 64
_COMPRESSED: Final = 0b1111 << 52
_AHEAD: Final = 4096
_BLOCK_HEADS: Final = 8192


@dataclass(slots=True)
class _Scan:
    """What a walk over the messages found."""

    xml: tuple[int, int] | None = None
    """First byte and length."""
    heads: array[int] = field(default_factory=lambda: array("q"))
    """Byte of each acquisition head."""
    skipped: dict[str, int] = field(default_factory=dict)
    closed: bool = False

    def skip(self, what: str, count: int = 1) -> None:
        self.skipped[what] = self.skipped.get(what, 0) + count


def read_stream(
    file: Unchanged,
) -> tuple[bytes, Structured, StreamSource, tuple[Finding, ...]]:
    """Walk a stream once; return its XML, table of readouts, source of samples and findings.

    Raises
    ------
    InputError
        An unknown message, a message cut off by the end of the file, no header, no readouts.
    """
    with file.open() as stored:
        scan = _walk(_Window(stored, file.size))
        if scan.xml is None:
            raise _refuse("message 3 (header)", "none", "the ISMRMRD header before the readouts")
        if not scan.heads:
            raise _refuse("message 1008 (acquisition)", "0 readouts", "at least one")
        if scan.xml[1] > MAX_BYTES:
            raise _refuse("message 3 (header)", f"{scan.xml[1]} bytes", f"at most {MAX_BYTES}")
        xml = read_at(stored, *scan.xml)
        starts = np.array(scan.heads, np.int64)
        tables = [
            readouts_of(gather(stored, part, HEAD_BYTES).reshape(-1).view(HEAD_DTYPE))
            for part in np.split(starts, range(_BLOCK_HEADS, len(starts), _BLOCK_HEADS))
        ]
    readouts = np.concatenate(tables)
    return xml, readouts, StreamSource(file, starts, readouts), _findings(scan)


@final
class StreamSource:
    """Samples of a stream, read where its messages are."""

    def __init__(self, file: Unchanged, starts: Ints, readouts: Structured) -> None:
        self._file = file
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
        with self._file.open() as stored:
            return gather(stored, self._starts[rows] + (HEAD_BYTES + skip), length)


@final
class _Window:
    """Bytes of a file read ahead in small pieces: messages may be long or many."""

    def __init__(self, stored: io.FileIO, size: int) -> None:
        self.size = size
        self._stored = stored
        self._start = 0
        self._ahead = b""

    def unpack(self, form: str, at: int, what: str) -> tuple[Any, ...]:
        """Read little-endian numbers from a place."""
        length = struct.calcsize(form)
        if at + length > self.size:
            raise _refuse(
                what, "the end of the file", "a complete message: the stream is truncated"
            )
        if not self._start <= at <= self._start + len(self._ahead) - length:
            self._start, self._ahead = at, read_at(self._stored, at, max(length, _AHEAD))
        return struct.unpack_from(form, self._ahead, at - self._start)


def _walk(stored: _Window) -> _Scan:
    scan, at = _Scan(), 0
    while at < stored.size and not scan.closed:
        (message,) = stored.unpack("<H", at, "message id")
        start, at = at, at + 2
        if message == ACQUISITION:
            scan.heads.append(at)
        at = _after(message, stored, at, scan)
        if at > stored.size:
            raise _refuse(
                f"message {message} ({_NAMES[message]}) at byte {start}",
                f"{at - stored.size} bytes beyond the end of the file",
                "a complete message: the stream is truncated",
            )
    if scan.closed and at < stored.size:
        scan.skip("bytes after the close message", stored.size - at)
    return scan


def _after(message: int, stored: _Window, at: int, scan: _Scan) -> int:
    """Return where the next message begins."""
    if message == ACQUISITION:
        return at + _acquisition_bytes(stored, at)
    if message == CLOSE:
        scan.closed = True
        return at
    if message == CONFIG_FILE:
        return at + _CONFIG_FILE_BYTES
    if message in (CONFIG_TEXT, HEADER, TEXT):
        (length,) = stored.unpack("<I", at, "text length")
        if message == HEADER:
            if scan.xml is not None:
                raise _refuse("message 3 (header)", "a second header", "one header")
            scan.xml = (at + 4, int(length))
        return int(at + 4 + length)
    if message in _SET_ASIDE:
        scan.skip(f"{_NAMES[message]} messages")
        return at + _SET_ASIDE[message](stored, at)
    old = ", a message of an old version" if 1000 < message < ARRAY else ""
    raise _refuse(
        f"message at byte {at - 2}",
        f"id {message}{old}",
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
    ARRAY: "array",
}


def _acquisition_bytes(stored: _Window, at: int) -> int:
    (flags,) = stored.unpack("<Q", at + 2, "acquisition flags")
    samples, _, channels = stored.unpack("<HHH", at + 34, "acquisition head")
    (dims,) = stored.unpack("<H", at + 176, "acquisition head")
    if flags & _COMPRESSED:
        raise _refuse("acquisition", "compressed samples (flags 53 to 56)", "plain samples")
    return HEAD_BYTES + 4 * int(samples) * int(dims) + 8 * int(samples) * int(channels)


def _image_bytes(stored: _Window, at: int) -> int:
    (kind,) = stored.unpack("<H", at + 2, "image type")
    size = stored.unpack("<HHH", at + 16, "image size")
    (channels,) = stored.unpack("<H", at + 34, "image channels")
    (attributes,) = stored.unpack("<Q", at + _IMAGE_HEAD_BYTES, "image attributes")
    values = _value_bytes("image", kind) * math.prod((*size, channels))
    return int(_IMAGE_HEAD_BYTES + 8 + attributes + values)


def _waveform_bytes(stored: _Window, at: int) -> int:
    samples, channels = stored.unpack("<HH", at + 28, "waveform head")
    return int(_WAVEFORM_HEAD_BYTES + 4 * samples * channels)


def _array_bytes(stored: _Window, at: int) -> int:
    kind, _, dims = stored.unpack("<HHH", at, "array head")
    if dims > _MAX_ARRAY_DIMS:
        raise _refuse("array", f"{dims} dimensions", f"at most {_MAX_ARRAY_DIMS}")
    shape = stored.unpack(f"<{dims}Q", at + 6, "array size")
    return int(6 + 8 * dims + _value_bytes("array", kind) * math.prod(shape))


def _value_bytes(what: str, kind: int) -> int:
    if kind not in _VALUE_BYTES:
        raise _refuse(what, f"data_type {kind}", "1 to 8")
    return _VALUE_BYTES[kind]


_SET_ASIDE: Final = {IMAGE: _image_bytes, WAVEFORM: _waveform_bytes, ARRAY: _array_bytes}


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
