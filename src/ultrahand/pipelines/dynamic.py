"""All frames of a dynamic series at once: radial in a plane, or a stack of stars plane by plane.

A stack, transformed along slice, is as many problems in a plane as it has planes. Each is solved
alone, so that what a plane becomes depends on no other one, nor on how many are in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.numerics.priors.low_rank import LowRank
from ultrahand.pipelines.assemble import NO_SCAN, Combined
from ultrahand.pipelines.dynamic_memory import dynamic_slabs
from ultrahand.pipelines.dynamic_read import Calibrated, calibrate_series, read_planes
from ultrahand.pipelines.joint import JointImages
from ultrahand.pipelines.options import Dynamic
from ultrahand.pipelines.replicas import scatter_of, white, words
from ultrahand.recon.dynamic_basis import Basis, choose_basis
from ultrahand.recon.dynamic_data import DynamicData
from ultrahand.recon.dynamic_grasp import ITERATIONS, WEIGHT, grasp
from ultrahand.recon.dynamic_gridding import grid_frames
from ultrahand.recon.dynamic_library import Ranges, Sequence, library
from ultrahand.recon.dynamic_low_rank_sparse import (
    LOW_RANK,
    SPARSE,
    VARIATION,
    low_rank_sparse,
)
from ultrahand.recon.dynamic_subspace import subspace_with_prior

if TYPE_CHECKING:
    from ultrahand.pipelines.dynamic_plan import DynamicPlan, DynamicSeries
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.pipelines.workspace import Workspace
    from ultrahand.records.arrays import Complex64, Float32, Float64, Ints
    from ultrahand.records.raw import RawData

MAPS_GIVEN: Final = "coil sensitivities are taken as given; frames that share spokes share noise"
NO_ERROR: Final = (
    "the noise of an image that a prior in time has made is not known in closed form, and the bias "
    "of the prior is no noise; --replicas 16 measures the scatter"
)
READING: Final = 0.1
"""Of the progress, both readings together; the planes are the rest."""
ARRIVAL_ERROR: Final = 0.2
"""Of a frame's length: the error of arrival that the subspace may make."""
LIBRARY_STEPS: Final = 60
"""Arrivals of the library, at most: from the first spoke to the last."""
BLOCK: Final = (1, 8, 8)
SPREAD: Final = 1.0
"""Weight of the subspace's prior, and the blocks of voxels that share mixtures."""


def dynamic_frame(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Combined:
    """Return one frame; the first that is asked for makes all of its series."""
    dynamic = plan.dynamic
    assert dynamic is not None
    number, frame = dynamic.find(rows)
    made = workspace.joint.get(number)
    if made is None:
        workspace.joint.release()  # or two series would stand beside each other
        made = _reconstruct(raw, plan, encoding, dynamic.series[number], workspace)
        workspace.joint.put(number, made)
    values = made.images[frame].copy()
    if frame == len(made.images) - 1:
        workspace.joint.release()
    sigma = made.sigma[frame] if len(made.sigma) else None
    unknown = NO_SCAN if encoding.whitener is None else NO_ERROR
    law = words(plan.options.replicas) if plan.options.replicas else "analytic"
    return Combined(values, sigma, 1, made.steps, given=MAPS_GIVEN, unknown=unknown, law=law)


@dataclass(frozen=True, slots=True)
class _Solver:
    """What makes the frames of a plane."""

    solve: Callable[[DynamicData, Callable[[int], None]], tuple[Complex64, Float64 | None]]
    """Returns ``(frames, z, y, x)``, and the noise of each frame where it is known."""
    ticks: int
    """Calls of its progress for a plane."""
    step: str


def _reconstruct(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    series: DynamicSeries,
    workspace: Workspace,
) -> JointImages:
    """Reconstruct all frames of a series."""
    dynamic = plan.dynamic
    assert dynamic is not None
    nz, ny, nx = encoding.shape
    tell = _Share(workspace.progress, series.spokes.rows.size)
    reading = tell.part(READING, 2 * series.spokes.rows.size)
    calibrated = calibrate_series(raw, plan, encoding, series, workspace, reading)
    series = calibrated.series
    solver = _solver(dynamic, series, plan.options.workers)
    replicas = plan.options.replicas if encoding.whitener is not None else 0
    solving = tell.part(1 - READING, nz * solver.ticks * (1 + replicas))
    scatter = np.empty((len(series.frames.spokes) * bool(replicas), nz, ny, nx), np.float32)
    images = np.empty((len(series.frames.spokes), nz, ny, nx), np.complex64)
    noise: Float64 | None = None
    for slab in dynamic_slabs(plan, encoding, series, len(calibrated.matrix)):
        samples = read_planes(raw, encoding, calibrated, slab, reading)
        reading = _silent  # further slabs read the same samples again
        for plane in range(slab.start, slab.stop):
            data = _plane(samples[:, plane - slab.start], calibrated, encoding, plane)
            made, noise = solver.solve(data, solving)
            images[:, plane] = made[:, 0]
            if replicas:
                del made

                def replica(rng: np.random.Generator, data: DynamicData = data) -> Complex64:
                    noisy = data.samples + white(rng, data.samples.shape)
                    return solver.solve(replace(data, samples=noisy), solving)[0][:, 0]

                key = int(series.spokes.rows[0, 0]), plane
                scatter[:, plane] = scatter_of(replica, replicas, *key)
                continue
            del made, data  # or the next plane's would stand beside it
        del samples
    images *= np.float32(calibrated.scale)
    known = noise is not None and encoding.whitener is not None
    sigma: tuple[float, ...] | Float32
    if replicas:
        sigma = scatter * np.float32(calibrated.scale)
    else:
        sigma = (
            tuple(float(s) * calibrated.scale for s in noise) if known and noise is not None else ()
        )
    return JointImages(images=images, sigma=sigma, steps=(*calibrated.steps, solver.step))


def _plane(
    samples: Complex64, calibrated: Calibrated, encoding: EncodingPlan, plane: int
) -> DynamicData:
    spokes, maps = calibrated.series.spokes, calibrated.sensitivities[:, plane]
    return DynamicData(
        samples=samples[:, None],
        k_per_m=spokes.k_per_m,
        time_s=spokes.time_s,
        maps=maps[:, None],
        voxel_size_m=encoding.voxel_m[:2],
    )


def _solver(dynamic: DynamicPlan, series: DynamicSeries, threads: int) -> _Solver:
    """Return what was asked for."""
    frames = series.frames
    if dynamic.which is Dynamic.VIEW_SHARING:
        shared = series.shared
        assert shared is not None

        def share(data: DynamicData, tell: Callable[[int], None]) -> tuple[Complex64, Float64]:
            images, noise = grid_frames(data, shared, threads=threads)
            tell(1)
            return images, noise

        return _Solver(share, 1, "view sharing (KWIC): density compensation, adjoint NUFFT")
    if dynamic.which is Dynamic.GRASP:
        return _Solver(
            lambda data, tell: (grasp(data, frames, threads=threads, progress=tell).images, None),
            ITERATIONS,
            f"GRASP: temporal total variation, weight {WEIGHT:g} in units of noise, {ITERATIONS} "
            "iterations",
        )
    if dynamic.which is Dynamic.LOW_RANK_SPARSE:
        return _Solver(
            lambda data, tell: (
                low_rank_sparse(data, frames, threads=threads, progress=tell).images,
                None,
            ),
            ITERATIONS,
            f"L+S: low rank {LOW_RANK:g}, sparse {SPARSE:g}, total variation {VARIATION:g} in "
            f"units of noise, {ITERATIONS} iterations; the image is L + S",
        )
    assert dynamic.sequence is not None
    basis = _basis(series, dynamic.sequence)
    prior = LowRank(weight=SPREAD, block=BLOCK)

    def mix(data: DynamicData, tell: Callable[[int], None]) -> tuple[Complex64, None]:
        found = subspace_with_prior(
            data, basis, prior, max_iterations=ITERATIONS, threads=threads, progress=tell
        )
        return found.images(frames.time_s), None

    return _Solver(
        mix,
        ITERATIONS,
        f"subspace of {basis.size} functions of time, locally low rank of weight {SPREAD:g} in "
        f"units of noise, {ITERATIONS} iterations; images at the frames' k-centre times",
    )


def _basis(series: DynamicSeries, sequence: Sequence) -> Basis:
    """Return the functions of time that keep all arrivals, from the first spoke to the last."""
    time_s = series.spokes.time_s
    ranges = Ranges(first_arrival_s=float(time_s[0]), last_arrival_s=float(time_s[-1]))
    length = float(np.median([p.width_s for p in series.frames.footprints]))
    step = max((time_s[-1] - time_s[0]) / LIBRARY_STEPS, length / 2)
    trained = library(ranges, sequence, step_s=step)
    tested = library(ranges, sequence, step_s=step, offset_s=step / 2)
    basis, _ = choose_basis(time_s, trained, tested, error_s=max(0.5, ARRIVAL_ERROR * length))
    return basis


def _silent(_: int) -> None:
    """Tell nobody."""


class _Share:
    """Progress in readouts, of work that is counted otherwise."""

    def __init__(self, progress: Callable[[int], None], total: int) -> None:
        self._progress, self._total = progress, total
        self._done, self._told = 0.0, 0

    def part(self, share: float, ticks: int) -> Callable[[int], None]:
        """Return the progress of a part of the work that has so many ticks."""

        def tell(count: int) -> None:
            self._done += share * count / max(ticks, 1)
            reached = int(self._total * min(self._done, 1.0) + 0.5)
            self._progress(reached - self._told)
            self._told = reached

        return tell
