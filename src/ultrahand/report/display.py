"""Volumes small enough to travel in a page: for looking, not for measuring.

The rule of `display_volume`, from mild to harsh, until the compressed file fits: every frame and
voxel in 254 levels; at most `MAX_FRAMES` frames, evenly spaced; means over blocks of voxels, the
axis first whose blocks stay the shortest, so that they grow towards cubes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import nibabel
import numpy as np
from numpy.typing import NDArray

from ultrahand.records.arrays import Float32, Float64, Real, require
from ultrahand.records.geometry import Geometry
from ultrahand.report.content import Volume
from ultrahand.report.cuts import signal_cut
from ultrahand.report.drawing import series_window
from ultrahand.report.planes import brightest_frame
from ultrahand.report.series_frames import Frames

MAX_FRAMES = 24
MIN_BYTES = 8_192
"""A file of `MAX_FRAMES` frames of one voxel fits in this many bytes with room to spare."""
_LEVELS = 254
"""Of the 256 codes of a byte, 0 says that nothing was measured and 255 that it is brighter."""
_MAX_PACKED = 20
"""Voxels a byte from which packing is not tried: maps of a few regions get there, images do not."""
_REACH = 3
"""Windows that the levels reach at most: 84 levels are then left for one window."""
_GZIP = 31
"""`wbits` of zlib for a gzip file; its time stamp is then 0."""
_HEADER_BYTES = 352


def display_volume(
    values: Frames,
    geometry: Geometry,
    *,
    name: str,
    unit: str,
    limit_bytes: int,
    frame_names: Sequence[str] = (),
    image: str = "",
    colormap: str = "gray",
) -> Volume:
    """Make a volume for the viewer.

    Parameters
    ----------
    values
        An array ``(z, y, x)``, or an array or other series ``(frames, z, y, x)``; NaN where nothing
        was measured.
    geometry
        Their frame.
    name, unit
        What they are.
    limit_bytes
        Size of the compressed file at most; `budget.share_bytes` gives it.
    frame_names
        What tells the frames apart; needed where there are several.
    image
        Which of several images of a series it is.
    colormap
        One of `content.COLORMAPS`.

    Returns
    -------
    Volume
        Its `note` says in which respects it is coarser than the image.

    Raises
    ------
    RecordError
        The shapes do not fit, or `limit_bytes` is below `MIN_BYTES`.
    """
    series: Frames = np.asarray(values)[np.newaxis] if len(values.shape) == 3 else values
    require(series.shape[1:] == geometry.shape, "values do not fit geometry")
    require(limit_bytes >= MIN_BYTES, f"limit_bytes must be at least {MIN_BYTES}")
    named = len(frame_names) == len(series) or (len(series) == 1 and not frame_names)
    require(named, f"{len(series)} frames need a name each, got {len(frame_names)}")
    for frames, factors in _attempts(series.shape, geometry.voxel_size_m):
        n_voxels = len(frames) * np.prod(np.ceil(np.divide(geometry.shape, factors)))
        if n_voxels > _MAX_PACKED * limit_bytes:
            continue
        shown = np.stack([_blocks(series[i], factors) for i in frames])
        window = series_window(shown)
        codes, step, base = _codes(shown, window)
        affine = _coarse_affine(geometry, factors)
        data = _nifti_gz(codes, affine, step, base)
        if len(data) <= limit_bytes:
            break
    gaps, cut = bool((codes == 0).any()), bool((codes == 255).any())
    return Volume(
        nifti_gz=data,
        name=name,
        unit=unit,
        window=window,
        colormap=colormap,
        directions_known=geometry.known,
        start_ras_mm=_start(shown, geometry, affine),
        start_frame=brightest_frame(shown),
        frames=tuple(frame_names[i] for i in frames) if frame_names else (),
        step=step,
        gap=base if gaps else None,
        clipped=(None, base + 255 * step if cut else None),
        image=image,
        note=_note(len(series), len(frames), geometry, factors, f"{step:.2g} {unit}"),
    )


def _attempts(
    shape: tuple[int, ...], voxel_size_m: tuple[float, float, float]
) -> Iterator[tuple[NDArray[np.int64], tuple[int, int, int]]]:
    """Yield frames and block sizes ``(z, y, x)``, each smaller than the one before."""
    n = shape[0]
    factors = [1, 1, 1]
    yield np.arange(n), (1, 1, 1)
    few = np.unique(np.linspace(0, n - 1, min(n, MAX_FRAMES)).round().astype(np.int64))
    if len(few) < n:
        yield few, (1, 1, 1)
    size = voxel_size_m[::-1]
    while any(f < m for f, m in zip(factors, shape[1:], strict=True)):
        left = [a for a in range(3) if factors[a] < shape[1 + a]]
        shortest = min(left, key=lambda a: (factors[a] + 1) * size[a])
        factors[shortest] += 1
        yield few, (factors[0], factors[1], factors[2])


def _blocks(volume: Real, factors: tuple[int, int, int]) -> Float32:
    """Return the mean of what was measured in each block; NaN where nothing was."""
    if max(factors) == 1:
        return volume.astype(np.float32)
    # A layer of blocks at a time: the copies in double precision stay small.
    layers = [volume[z : z + factors[0]] for z in range(0, len(volume), factors[0])]
    return np.stack([_layer(layer, factors) for layer in layers])


def _layer(slices: Real, factors: tuple[int, int, int]) -> Float32:
    known = np.isfinite(slices)
    total = np.where(known, slices, 0).sum(axis=0, dtype=np.float64)
    count = known.sum(axis=0, dtype=np.float64)
    for axis, factor in enumerate(factors[1:]):
        starts = np.arange(0, slices.shape[1 + axis], factor)
        total = np.add.reduceat(total, starts, axis=axis)
        count = np.add.reduceat(count, starts, axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _codes(shown: Float32, window: tuple[float, float]) -> tuple[NDArray[np.uint8], float, float]:
    """Return bytes with their step and base: value = base + step * byte.

    They reach from the smallest value to the greatest, but at most `_REACH` windows far: a lone
    spike must not take the levels of all others.
    """
    known = np.isfinite(shown)
    measured = shown[known]
    low, high = (float(measured.min()), float(measured.max())) if measured.size else (0.0, 1.0)
    high = min(high, low + _REACH * (window[1] - window[0]))
    # NIfTI keeps both as float32: round first, so that the codes are of what will be read.
    step = float(np.float32((high - low) / (_LEVELS - 1))) or float(np.float32(abs(low) or 1.0))
    base = float(np.float32(low - step))
    scaled = np.clip(np.rint((np.where(known, shown, low) - base) / step), 1, 255)
    return np.where(known, scaled, 0).astype(np.uint8), step, base


def _coarse_affine(geometry: Geometry, factors: tuple[int, int, int]) -> Float64:
    """Return the RAS affine of blocks: their centres are half a block less half a voxel in.

    Without directions the axes run against RAS: shown in radiological order, read then runs to the
    right and phase and slice down, as in the still pictures.
    """
    affine = geometry.ras_affine()
    if not geometry.known:
        affine[2] *= -1
    steps = np.array(factors[::-1], np.float64)
    affine[:3, 3] += affine[:3, :3] @ ((steps - 1) / 2)
    affine[:3, :3] *= steps
    return affine


def _start(shown: Float32, geometry: Geometry, affine: Float64) -> tuple[float, float, float]:
    """Return the RAS millimetres of the centre of the signal: in the object that is cut."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0) * 1e-3
    coarse = replace(
        geometry,
        shape=(shown.shape[1], shown.shape[2], shown.shape[3]),
        voxel_size_m=(float(sizes[0]), float(sizes[1]), float(sizes[2])),
    )
    brightest = np.where(np.isfinite(shown), shown, 0).max(axis=0)
    centre = signal_cut(brightest, coarse).centre
    x, y, z = affine[:3, :3] @ np.array(centre[::-1], np.float64) + affine[:3, 3]
    return float(x), float(y), float(z)


def _nifti_gz(codes: NDArray[np.uint8], affine: Float64, step: float, base: float) -> bytes:
    """Return the file; `Volume.directions_known` says whether its frame is the patient's."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(codes.shape[:0:-1] + (codes.shape[:1] if len(codes) > 1 else ()))
    header.set_slope_inter(step, base)
    header.set_xyzt_units("mm", "sec")
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    header["vox_offset"], header["magic"] = _HEADER_BYTES, b"n+1"
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    head = header.binaryblock.ljust(_HEADER_BYTES, b"\0")
    return packer.compress(head + codes.tobytes()) + packer.flush()


def _note(
    n_all: int, n_shown: int, geometry: Geometry, factors: tuple[int, int, int], step: str
) -> str:
    parts = [f"values rounded to steps of {step}"]
    if max(factors) > 1:
        sizes = zip(geometry.voxel_size_m, factors[::-1], strict=True)
        shown = " x ".join(f"{size * factor * 1e3:.3g}" for size, factor in sizes)
        parts.insert(0, f"voxels averaged to {shown} mm")
    if n_shown < n_all:
        parts.insert(0, f"{n_shown} of {n_all} frames")
    return f"In the viewer: {', '.join(parts)}."
