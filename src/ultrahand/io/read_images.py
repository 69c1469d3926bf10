"""Read back the images of `io.nifti` and their sidecars, one volume in memory at a time."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import nibabel
import numpy as np

from ultrahand.errors import InputError
from ultrahand.io.file_bytes import naming
from ultrahand.records.arrays import Float32
from ultrahand.records.geometry import LPS_TO_RAS, Geometry

_HEADER_BYTES = 352
_BLOCK_BYTES = 2**22
_REMEDY = "run again with --verify: what was changed is made anew"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSeries:
    """The volumes of an image, unpacked in a file of their own: any of them is one read away."""

    file: Path
    """Float32, little-endian, read fastest, frame after frame; the caller removes it."""
    geometry: Geometry
    n_frames: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Frames, then voxels ``(z, y, x)``."""
        return (self.n_frames, *self.geometry.shape)

    def __len__(self) -> int:
        return self.n_frames

    def __getitem__(self, frame: int) -> Float32:
        """Return one volume, shape ``(z, y, x)``."""
        if not 0 <= frame < self.n_frames:
            raise IndexError(frame)
        n = int(np.prod(self.geometry.shape))
        values = np.fromfile(self.file, "<f4", count=n, offset=4 * n * frame)
        return values.reshape(self.geometry.shape)

    def __iter__(self) -> Iterator[Float32]:
        return (self[frame] for frame in range(self.n_frames))


def unpack_series(path: Path, scratch: Path) -> StoredSeries:
    """Unpack an image that `NiftiWriter` wrote compressed.

    Parameters
    ----------
    path
        The image, ``.nii.gz``.
    scratch
        Where its volumes go; the caller removes it.

    Raises
    ------
    InputError
        It is no such image any more: another type, cut short, damaged.
    """
    with naming(path):
        try:
            with gzip.open(path) as packed, scratch.open("wb") as unpacked:
                geometry, n_frames = _header(packed.read(_HEADER_BYTES))
                n_bytes = 0
                while block := packed.read(_BLOCK_BYTES):
                    n_bytes += unpacked.write(block)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _refused(str(error)) from None
        expected = 4 * n_frames * int(np.prod(geometry.shape))
        if n_bytes != expected:
            raise _refused(f"{n_bytes} bytes of values where the header asks for {expected}")
        return StoredSeries(file=scratch, geometry=geometry, n_frames=n_frames)


def read_voxels(path: Path) -> int:
    """Return how many values an image has, all volumes together.

    Raises
    ------
    InputError
        It is no image of `NiftiWriter`.
    """
    with naming(path):
        try:
            with gzip.open(path) as packed:
                geometry, n_frames = _header(packed.read(_HEADER_BYTES))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _refused(str(error)) from None
        return n_frames * int(np.prod(geometry.shape))


def read_sidecar(path: Path) -> Mapping[str, object]:
    """Return the fields of the JSON beside an image.

    Raises
    ------
    InputError
        It is no JSON object.
    """
    with naming(path):
        try:
            fields = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise _refused(str(error)) from None
        if not isinstance(fields, dict):
            raise _refused("JSON that is no object")
        return fields


def _header(data: bytes) -> tuple[Geometry, int]:
    """Return the frame and the number of volumes: the reverse of `NiftiWriter`'s header."""
    if len(data) < _HEADER_BYTES:
        raise _refused("no whole header")
    header = nibabel.Nifti1Header(data[:348], endianness="<", check=False)
    shape = tuple(int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])])
    if header.get_data_dtype() != np.dtype("<f4") or len(shape) not in (3, 4) or min(shape) < 1:
        raise _refused(f"{header.get_data_dtype()} of shape {shape}")
    known = int(header["sform_code"]) > 0
    affine = LPS_TO_RAS @ (header.get_sform() if known else header.get_qform())
    sizes_mm = np.linalg.norm(affine[:3, :3], axis=0)
    read, phase, slice_ = (affine[:3, :3] / sizes_mm).T
    centre = np.array([n // 2 for n in shape[:3]], np.float64)
    x, y, z = (float(size) * 1e-3 for size in sizes_mm)
    geometry = Geometry(
        shape=(shape[2], shape[1], shape[0]),
        voxel_size_m=(x, y, z),
        position_mm=affine[:3, :3] @ centre + affine[:3, 3],
        read_dir=read,
        phase_dir=phase,
        slice_dir=slice_,
        known=known,
    )
    return geometry, shape[3] if len(shape) == 4 else 1


def _refused(found: str) -> InputError:
    return InputError("image", found=found, expected="the file as it was written", remedy=_REMEDY)
