"""The samples of a dynamic series, transformed along slice, and the maps of their coils."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.pipelines.delays import corrected
from ultrahand.pipelines.workspace import Workspace, whitening_of
from ultrahand.recon.coil_compression import coil_gram, compress, svd_compression
from ultrahand.recon.conditioning import Progress, each_block
from ultrahand.recon.espirit import KERNEL
from ultrahand.recon.map_grid import find_maps
from ultrahand.recon.sample_calibration import MARGIN, calibration_from_samples, near_centre
from ultrahand.recon.watch import Watch
from ultrahand.records.findings import info

if TYPE_CHECKING:
    from ultrahand.pipelines.dynamic_plan import DynamicSeries
    from ultrahand.pipelines.dynamic_spokes import Spokes
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.records.arrays import Bools, Complex64, Float64, Ints
    from ultrahand.records.raw import RawData

WIDEST: Final = 24
"""Of the calibration region, along any axis: maps are smooth."""
_PROBED: Final = 64
"""Spokes that tell the noise where nothing else does."""
_ENDS: Final = 8
"""Of each, this part at either end."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What all planes of a series share."""

    series: DynamicSeries
    """Without spokes that hold NaN or infinity."""
    matrix: Complex64
    """From channels to whitened virtual coils, ``(virtual, channels)``."""
    sensitivities: Complex64
    """Of unit norm over coils in every voxel, ``(virtual, z, y, x)``: the noise of an image is then
    the same in all planes, and a plane without signal is no special case."""
    scale: float
    """What to multiply images by, that were made of samples of unit noise."""
    steps: tuple[str, ...]


def calibrate_series(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    series: DynamicSeries,
    workspace: Workspace,
    progress: Progress,
) -> Calibrated:
    """Read the centre of k-space of all spokes and find coil maps of their mean over time.

    Raises
    ------
    InputError
        Too many readouts with NaN, or too few spokes for coil maps.
    """
    grid = encoding.non_cartesian
    assert grid is not None
    threads, spokes = plan.options.workers, series.spokes
    width = calibration_width(spokes, encoding)
    voxel = encoding.voxel_m
    whitening, level = _whitening(raw, encoding, spokes, workspace)
    wanted = plan.options.gradient_delays
    spokes, delay_step = corrected(raw, spokes, whitening, workspace.notes, wanted=wanted)
    series = replace(series, spokes=spokes)
    k = _positions(spokes, three_d=grid.three_d)
    near = near_centre(
        k.reshape(-1, k.shape[2]), width, shape=grid.shape, voxel_size_m=voxel[: k.shape[2]]
    )
    near = near.reshape(k.shape[:2])
    rows = spokes.rows.reshape(-1)
    seen = Watch()
    samples = _centre(raw, rows, spokes.keep, near, whitening, seen, progress)
    workspace.watch.add(seen)
    kept = np.repeat(~np.isin(rows, seen.bad), near.sum(axis=1))
    if seen.bad:
        seen.refuse_bad(raw)
        series = series.without(np.array(seen.bad))
        spokes = series.spokes
    found = calibration_from_samples(
        samples[:, kept],
        k[near][kept],
        width,
        shape=grid.shape,
        voxel_size_m=voxel[: k.shape[2]],
        threads=threads,
    )
    calibration = found.kspace
    # Virtual coils: what they leave out is below the noise, and work goes with their number.
    block = calibration.reshape(1, len(calibration), -1)
    fewer = svd_compression(coil_gram(block), block.shape[2])
    virtual = compress(block, fewer).reshape(-1, *calibration.shape[1:])
    found_maps = find_maps(virtual, grid.shape, threads=threads)
    maps, _ = found_maps.columns(slice(0, grid.shape[2]), soft=False)
    text = " x ".join(str(n) for n in reversed(width[3 - k.shape[2] :]))
    return Calibrated(
        series=series,
        matrix=fewer.matrix @ whitening,
        sensitivities=maps[:, 0],
        scale=level * math.sqrt(_plane_variance(spokes, encoding)),
        steps=(
            *delay_step,
            f"{len(virtual)} virtual channels, {fewer.kept:.4%} of the calibration's signal",
            f"coil sensitivities by ESPIRiT from the mean over time, {text} gridded samples",
        ),
    )


def read_planes(
    raw: RawData,
    encoding: EncodingPlan,
    calibrated: Calibrated,
    planes: slice,
    progress: Progress,
) -> Complex64:
    """Return samples of some planes of the image, of unit noise, ``(coils, z, spokes, samples)``.

    One readout after the other, so that sums over partitions have one order.
    """
    spokes = calibrated.series.spokes
    n_partitions = spokes.rows.shape[1]
    to_planes = _to_planes(spokes, encoding)[planes]
    matrix = calibrated.matrix
    out = np.zeros(
        (len(matrix), len(to_planes), len(spokes.rows), spokes.k_per_m.shape[1]), np.complex64
    )

    def take(part: slice, block: Complex64, _: Watch) -> None:
        for place, white in enumerate(np.matmul(matrix, block), part.start):
            spoke, partition = divmod(place, n_partitions)
            for turn, plane in zip(to_planes[:, partition], range(len(to_planes)), strict=True):
                out[:, plane, spoke] += turn * white

    each_block(
        raw,
        spokes.rows.reshape(-1),
        spokes.keep,
        take,
        threads=1,
        watch=Watch(),
        progress=progress,
    )
    return out


def calibration_width(spokes: Spokes, encoding: EncodingPlan) -> tuple[int, int, int]:
    """Return the largest region, ``(z, y, x)``, that all spokes sample at the Nyquist distance.

    Raises
    ------
    InputError
        It is smaller than a window of ESPIRiT.
    """
    nz, ny, nx = encoding.shape
    voxel = encoding.voxel_m
    fov = max(nx * voxel[0], ny * voxel[1])
    # Golden angles leave gaps of up to twice the mean: half the radius at even spokes' Nyquist.
    by_spokes = len(spokes.rows) / math.pi - MARGIN
    by_reach = float(np.linalg.norm(spokes.k_per_m, axis=-1).max()) * fov
    side = int(2 * min(by_spokes, by_reach) / math.sqrt(2))
    levels = np.rint(spokes.kz_per_m * nz * voxel[2]).astype(int)
    z = max(
        (w for w in range(1, nz + 1) if levels[0] <= -(w // 2) and levels[-1] >= w - w // 2 - 1),
        default=0,
    )
    width = (min(z, WIDEST), min(side, ny, WIDEST), min(side, nx, WIDEST))
    least = tuple(min(KERNEL, n) for n in (nz, ny, nx))
    if any(have < need for have, need in zip(width, least, strict=True)):
        raise InputError(
            "calibration",
            found=f"{len(spokes.rows)} spokes in {len(levels)} partition(s), which fully sample "
            + " x ".join(str(max(w, 0)) for w in reversed(width))
            + " points about the centre",
            expected="at least " + " x ".join(str(w) for w in reversed(least)),
            remedy="run with --method gridding: this is too little to find coil sensitivities",
        )
    return width


def _positions(spokes: Spokes, *, three_d: bool) -> Float64:
    """Return positions of all readouts, ``(spokes times partitions, samples, 2 or 3)``."""
    n_partitions = spokes.rows.shape[1]
    k = np.repeat(spokes.k_per_m, n_partitions, axis=0)
    if not three_d:
        return k
    kz = np.tile(spokes.kz_per_m, len(spokes.rows))[:, None, None]
    return np.concatenate([k, np.broadcast_to(kz, (*k.shape[:2], 1))], axis=2)


def _centre(
    raw: RawData,
    rows: Ints,
    keep: slice,
    near: Bools,
    whitening: Complex64,
    seen: Watch,
    progress: Progress,
) -> Complex64:
    """Read the samples near the centre, readout by readout, ``(coils, samples)``."""
    ends = np.concatenate([[0], np.cumsum(near.sum(axis=1))])
    out = np.empty((len(whitening), int(ends[-1])), np.complex64)

    def take(part: slice, block: Complex64, _: Watch) -> None:
        white = np.matmul(whitening, block).transpose(1, 0, 2)
        out[:, ends[part.start] : ends[part.stop]] = white[:, near[part]]

    each_block(raw, rows, keep, take, threads=1, watch=seen, progress=progress)
    return out


def _to_planes(spokes: Spokes, encoding: EncodingPlan) -> Complex64:
    """Return the transform from partitions to planes, of unit rows, ``(z, partitions)``.

    Row by row it is that of a Fourier transform of any length, so that slabs which are wider than
    the image, and partitions left out at one end, need nothing of their own.
    """
    nz = encoding.shape[0]
    at = (np.arange(nz) - nz // 2) * encoding.voxel_m[2]
    count = len(spokes.kz_per_m)
    turns = np.exp(2j * np.pi * at[:, None] * spokes.kz_per_m) / math.sqrt(count)
    return turns.astype(np.complex64)


def _plane_variance(spokes: Spokes, encoding: EncodingPlan) -> float:
    """Return the noise of an orthonormal transform's planes, in that of `_to_planes`.

    As gridding has it: a partition stands for its distance to the next, in cells of the image's
    field of view.
    """
    if len(spokes.kz_per_m) == 1:
        return 1.0 if encoding.shape[0] == 1 else 1 / encoding.shape[0]
    nz = encoding.shape[0]
    step = float(np.diff(spokes.kz_per_m).min()) * nz * encoding.voxel_m[2]
    return len(spokes.kz_per_m) * step**2 / nz


def _whitening(
    raw: RawData, encoding: EncodingPlan, spokes: Spokes, workspace: Workspace
) -> tuple[Complex64, float]:
    """Return what makes the noise one unit, and what to multiply the image by after."""
    known = whitening_of(raw, encoding, spokes.rows.reshape(-1))
    if known is not None:
        return known, 1.0
    level = _outer_noise(raw, spokes)
    alive = level > 0
    workspace.notes.append(
        info(
            "noise level",
            found="no noise readouts are used",
            expected="units of noise, for the weight of the data",
            remedy="estimated from the ends of spokes, an upper bound; no standard error",
        )
    )
    inverse = np.divide(1.0, level, out=np.zeros_like(level), where=alive)
    scale = float(np.sqrt(np.mean(level[alive] ** 2))) if alive.any() else 1.0
    return np.diag(inverse).astype(np.complex64), scale


def _outer_noise(raw: RawData, spokes: Spokes) -> Float64:
    """Return each channel's noise at the ends of spokes, as `ultrahand.recon.noise_level` does."""
    rows = spokes.rows.reshape(-1)
    chosen = np.sort(rows[np.linspace(0, len(rows) - 1, min(_PROBED, len(rows))).astype(int)])
    samples = raw.source.samples(chosen)[:, :, spokes.keep]
    part = max(1, samples.shape[2] // _ENDS)
    ends = np.concatenate([samples[:, :, :part], samples[:, :, -part:]], axis=2)
    power = np.abs(ends.reshape(len(ends), -1).astype(np.complex128)) ** 2
    finite = np.where(np.isfinite(power), power, np.nan)
    return np.sqrt(np.nanmedian(finite, axis=1) / (2 * math.log(2)))
