"""Raw data to images, one volume at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.pipelines.memory import coil_blocks, slabs_of, transforms_limit
from ultrahand.pipelines.options import Combine, PartialFourier, Parts
from ultrahand.recon.coils import adaptive_combine, root_sum_of_squares
from ultrahand.recon.conditioning import Progress
from ultrahand.recon.coverage import Coverage
from ultrahand.recon.grid import complete_grid, fill_grid, sum_of_squares_image, to_image
from ultrahand.recon.gridding import DensityCache, grid_readouts
from ultrahand.recon.uncertainty import first_order_limit, magnitude_sd, phase_sd
from ultrahand.recon.watch import Watch
from ultrahand.records.image import Image

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.sorting import Series, Volume
    from ultrahand.records.arrays import Bools, Complex64, Float32, Ints
    from ultrahand.records.noise import Noise
    from ultrahand.records.raw import RawData


@dataclass(frozen=True, slots=True)
class VolumeImages:
    """The parts of one reconstructed volume."""

    parts: Mapping[str, Image]
    """``mag`` always; ``phase``, or ``real`` and ``imag``, where asked for."""
    steps: tuple[str, ...]
    """What was done to the data, in order."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """What the volumes of one measurement share while they are made."""

    watch: Watch = field(default_factory=Watch)
    """What the samples showed; checked when all volumes are made."""
    densities: DensityCache = field(default_factory=DensityCache)
    progress: Progress = lambda _: None
    """Called with numbers of readouts done."""


@dataclass(frozen=True, slots=True)
class _Combined:
    """One slice or slab after combination."""

    values: Complex64 | Float32
    sigma: float | None
    """Noise of one real part; None where it is not known."""
    channels: int
    """How many independent channels a root sum of squares has; 1 for a weighted sum."""
    steps: tuple[str, ...]


def reconstruct_volume(
    raw: RawData, plan: ReconPlan, series: Series, volume: Volume, workspace: Workspace
) -> VolumeImages:
    """Reconstruct one volume of a series.

    Parameters
    ----------
    raw
        The measurement; its samples are read block by block.
    plan
        As `plan_reconstruction` made it from the same measurement.
    series, volume
        Which volume.
    workspace
        Shared by the volumes of the measurement. After the last of them ``workspace.watch.check``
        refuses a measurement without signal, and ``findings`` says what was odd.

    Raises
    ------
    InputError
        NaN or infinity in more than one in twenty readouts.
    ResourceError
        More memory needed than allowed, even in blocks.
    """
    encoding = plan.encodings[volume.encoding]
    order = encoding.slice_order if encoding.stack is not None else tuple(volume.slices)
    slices = [
        _slice(raw, plan, encoding, volume.slices[number], workspace)
        if number in volume.slices
        else None
        for number in order
    ]
    return _assemble(plan, series, slices)


def _slice(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> _Combined:
    """Reconstruct one slice or slab; where readouts held NaN, once more without them."""
    one = _cartesian if encoding.cartesian is not None else _gridded
    mine = replace(workspace, watch=Watch())
    made = one(raw, plan, encoding, rows, mine)
    if mine.watch.bad:
        mine.watch.refuse_bad(raw)
        quiet = Workspace(densities=workspace.densities)
        made = one(raw, plan, encoding, np.setdiff1d(rows, mine.watch.bad), quiet)
    workspace.watch.add(mine.watch)
    return made


def _cartesian(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    rows: Ints,
    workspace: Workspace,
) -> _Combined:
    grid_plan = encoding.cartesian
    assert grid_plan is not None
    slabs = slabs_of(plan, encoding)
    threads = plan.options.workers
    coverage = Coverage(grid_plan, rows)
    pocs = plan.options.partial_fourier is PartialFourier.POCS and not coverage.complete
    parts: list[Complex64 | Float32] = []
    steps = ["zero-filled to the encoded matrix", "orthonormal inverse FFT"]
    if pocs:
        steps = ["orthonormal inverse FFT", "partial Fourier by POCS"]
    for columns in slabs:
        grid = fill_grid(
            raw,
            grid_plan,
            coverage,
            whitening=_whitening(raw, encoding, rows),
            coils=encoding.n_coils,
            columns=columns,
            threads=threads,
            watch=workspace.watch,
            progress=workspace.progress,
        )
        if pocs:
            complete_grid(grid, grid_plan, coverage, threads)
        parts.append(_combine_grid(grid, plan, encoding))
        del grid  # or the next slab's would stand beside it
        workspace = Workspace()  # further slabs read the same samples again
    values = parts[0] if len(parts) == 1 else _beside(parts)
    sigma = float(np.sqrt(coverage.variance())) if encoding.whitener and not pocs else None
    return _Combined(values, sigma, _channels(encoding, values), tuple(steps))


def _beside(slabs: list[Complex64 | Float32]) -> Complex64 | Float32:
    """Join slabs of the read axis."""
    joined = np.empty((*slabs[0].shape[:2], sum(s.shape[2] for s in slabs)), slabs[0].dtype)
    np.concatenate(slabs, axis=2, out=joined)
    return joined


def _combine_grid(grid: Complex64, plan: ReconPlan, encoding: EncodingPlan) -> Complex64 | Float32:
    assert encoding.cartesian is not None
    threads = plan.options.workers
    if plan.combine is Combine.RSS and len(grid) > 1:
        return sum_of_squares_image(grid, encoding.cartesian, threads)
    return _combine(to_image(grid, encoding.cartesian, threads), plan)


def _gridded(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> _Combined:
    grid = encoding.non_cartesian
    assert grid is not None
    n_samples = int(raw.readouts["number_of_samples"][rows].sum())
    images: list[Complex64] = []
    for coils in coil_blocks(plan, encoding, n_samples):
        width = coils.stop - coils.start
        made, variance, steps = grid_readouts(
            raw,
            grid,
            rows,
            whitening=_whitening(raw, encoding, rows),
            coils=coils,
            n_coils=encoding.n_coils,
            threads=plan.options.workers,
            max_bytes=transforms_limit(plan, encoding, n_samples, width),
            densities=workspace.densities,
            watch=workspace.watch,
            progress=workspace.progress,
        )
        images.append(made)
        workspace = Workspace(densities=workspace.densities)
    values = _combine(np.concatenate(images) if len(images) > 1 else images[0], plan)
    sigma = math.sqrt(variance) if encoding.whitener else None
    return _Combined(values, sigma, _channels(encoding, values), steps)


def _combine(images: Complex64, plan: ReconPlan) -> Complex64 | Float32:
    if len(images) == 1:
        return images[0]
    if plan.combine is Combine.RSS:
        return root_sum_of_squares(images, threads=plan.options.workers)
    return adaptive_combine(images, threads=plan.options.workers)


def _whitening(raw: RawData, encoding: EncodingPlan, rows: Ints) -> Complex64 | None:
    """Return the matrix for the dwell time of some readouts."""
    if encoding.whitener is None:
        return None
    return encoding.whitener.at(float(raw.readouts["sample_time_s"][rows[0]]))


def _channels(encoding: EncodingPlan, values: Complex64 | Float32) -> int:
    if np.iscomplexobj(values) or encoding.whitener is None:
        return 1
    return encoding.whitener.n_alive


def _assemble(plan: ReconPlan, series: Series, slices: list[_Combined | None]) -> VolumeImages:
    """Stack slices, split the parts and give each its standard error."""
    geometry = plan.geometry(series)
    noise = _noise_of(plan, series)
    first = next(s for s in slices if s is not None)
    shape = (1, *geometry.shape[1:]) if len(slices) > 1 else geometry.shape
    empty = np.zeros(shape, first.values.dtype)
    gaps = np.array([s is None for s in slices])
    values = np.concatenate([s.values if s is not None else empty for s in slices])
    known = all(s.sigma is not None for s in slices if s is not None)
    sigma = np.array([(s.sigma if s is not None else 0.0) or 0.0 for s in slices], np.float32)
    sigma_map = np.broadcast_to(sigma.reshape(-1, 1, 1), values.shape) if known else None
    steps = (_whitening_step(noise), *first.steps, _combination_step(plan, first, noise, values))
    parts: dict[str, Image] = {}

    def add(name: str, part: np.ndarray, unit: str, error: np.ndarray | None) -> None:
        parts[name] = Image(
            values=_blank(part, gaps),
            geometry=geometry,
            unit=unit,
            standard_error=None if error is None else _blank(error, gaps),
            standard_error_note=_note(plan, first, noise, name, known=known),
        )

    unit = "SNR" if noise else "arbitrary"
    magnitude = np.abs(values)
    error = None
    if sigma_map is not None:
        level = sigma_map if len(set(sigma.tolist())) > 1 else sigma[0]
        threads = plan.options.workers
        error = magnitude_sd(magnitude, level, first.channels, threads=threads)
    add("mag", magnitude, unit, error)
    if plan.options.parts is Parts.MAG_PHASE:
        angle = None if sigma_map is None else phase_sd(magnitude, sigma_map)
        add("phase", np.angle(values), "rad", angle)
    if plan.options.parts is Parts.COMPLEX:
        add("real", values.real, unit, sigma_map)
        add("imag", values.imag, unit, sigma_map)
    return VolumeImages(parts, steps)


def _blank(part: np.ndarray, gaps: Bools) -> Float32:
    """Return float32 values, NaN in slices that were not measured."""
    values = np.asarray(part, np.float32)
    if gaps.any():
        values = values.copy()
        values[gaps] = np.nan
    return values


def _noise_of(plan: ReconPlan, series: Series) -> Noise | None:
    whitener = plan.encodings[series.volumes[0].encoding].whitener
    return whitener.noise if whitener else None


def _whitening_step(noise: Noise | None) -> str:
    if noise is None:
        return "not whitened"
    return f"whitened with {noise.origin}, covariance scaled by {noise.scale:.4g}"


def _combination_step(
    plan: ReconPlan, first: _Combined, noise: Noise | None, values: np.ndarray
) -> str:
    if not np.iscomplexobj(values):
        return f"root sum of squares of {first.channels if noise else 'all'} channels"
    return "adaptive combination (Walsh)" if plan.combine is Combine.WALSH else "one channel"


def _note(plan: ReconPlan, first: _Combined, noise: Noise | None, part: str, *, known: bool) -> str:
    """Say how the standard error of a part was made and where it holds, or why there is none."""
    if not known:
        return (
            "none: the noise of a POCS reconstruction is not known in closed form"
            if noise is not None
            else "none: no noise scan was used, so the noise level is not known"
        )
    law = {
        "mag": "the standard deviation of the non-central chi distribution of "
        f"{first.channels} channel(s) at the signal of the voxel, valid from SNR 5, and one noise "
        f"unit from SNR {first_order_limit(first.channels):.0f} on",
        "phase": "the noise over the magnitude (first order), valid from SNR 5",
    }.get(part, "the noise of this part, at every signal")
    given = (
        "; adaptive weights are taken as given, which holds where the signal has the sensitivities "
        "of its neighbourhood (not for artefacts)"
        if plan.combine is Combine.WALSH
        else ""
    )
    return f"analytic, from the noise scan: {law}{given}"
