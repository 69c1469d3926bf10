"""Write images as NIfTI-1, frame by frame, so that a series never has to be in memory."""

from __future__ import annotations

import zlib
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import IO, Self, final

import nibabel
import numpy as np

from ultrahand.errors import UsageError
from ultrahand.records.arrays import Real
from ultrahand.records.geometry import Geometry

_HEADER_BYTES = 352
NIFTI_MAX = 32767


class NiftiWriter:
    """A float32 NIfTI-1 file that grows by one volume at a time.

    Parameters
    ----------
    path
        Where to write; compressed where the name of the final file ends in ``.gz``.
    compress
        Whether to gzip. The same input gives the same bytes (no time stamp inside).
    geometry
        Frame of every volume.
    n_frames
        How many volumes will come; more than one makes a fourth axis.
    frame_step_s
        Time from frame to frame where that is what the fourth axis is, else 0.
    """

    def __init__(
        self,
        path: Path,
        *,
        compress: bool,
        geometry: Geometry,
        n_frames: int,
        frame_step_s: float = 0.0,
    ) -> None:
        self._shape = geometry.shape
        self._left = n_frames
        self._stack = ExitStack()
        header = _header(geometry, n_frames, frame_step_s)
        self._file: _Gzip | IO[bytes] = self._stack.enter_context(path.open("wb"))
        if compress:
            self._file = self._stack.enter_context(closing(_Gzip(self._file)))
        self._file.write(header.binaryblock.ljust(_HEADER_BYTES, b"\0"))

    def append(self, values: Real) -> None:
        """Write one volume of shape ``(z, y, x)``."""
        if values.shape != self._shape or not self._left:
            raise ValueError(f"volume {values.shape} does not fit {self._shape}")
        self._left -= 1
        self._file.write(np.ascontiguousarray(values, "<f4").data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if kind is None and self._left:
            raise ValueError(f"{self._left} volumes were not written")


@final
class _Gzip:
    """A gzip stream of Huffman codes and runs alone, without name or time.

    The bytes of noisy floats hardly ever repeat: looking for repeats takes three times as long and
    makes the file larger (measured on magnitudes at level 1; level 6 gains nothing).
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS, 8, zlib.Z_RLE)

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(self._packer.compress(data))

    def close(self) -> None:
        self._file.write(self._packer.flush())


def _header(geometry: Geometry, n_frames: int, frame_step_s: float) -> nibabel.Nifti1Header:
    shape = (*reversed(geometry.shape), *((n_frames,) if n_frames > 1 else ()))
    if max(shape) > NIFTI_MAX:
        raise UsageError(f"an image of {shape} voxels does not fit NIfTI-1 (at most {NIFTI_MAX})")
    header = nibabel.Nifti1Header(endianness="<")
    header.set_data_dtype(np.float32)
    header.set_data_shape(shape)
    affine = geometry.ras_affine()
    header.set_qform(affine, code=1, strip_shears=True)
    header.set_sform(affine, code=1 if geometry.known else 0)
    header.set_xyzt_units("mm", "sec")
    if n_frames > 1:
        header["pixdim"][4] = frame_step_s
    header["vox_offset"] = _HEADER_BYTES
    header["magic"] = b"n+1"
    header["scl_slope"], header["scl_inter"] = 1, 0
    return header
