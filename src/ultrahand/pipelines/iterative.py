"""Images of samples anywhere by iterative SENSE: all channels at once, through coil sensitivities.

The normal operator is a convolution (`recon.normal`), so an iteration costs the same for any number
of samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.pipelines.assemble import NO_SCAN, Combined
from ultrahand.pipelines.field import field_of
from ultrahand.pipelines.memory import cg_fits
from ultrahand.pipelines.problem import MAPS_GIVEN, Problem, note_noise, note_status
from ultrahand.pipelines.replicas import white
from ultrahand.pipelines.workspace import Workspace, spoke_delays, whitening_of
from ultrahand.recon._sigpy_apps import Measured
from ultrahand.recon.beyond import HeldOperator
from ultrahand.recon.cartesian_sense import wiener_damping_of
from ultrahand.recon.coil_compression import coil_gram, compress, svd_compression
from ultrahand.recon.gridding import EPS, read_samples
from ultrahand.recon.map_grid import find_maps
from ultrahand.recon.noise_level import outermost
from ultrahand.recon.noise_map import noise_of_sense
from ultrahand.recon.normal import spectra_of_samples
from ultrahand.recon.nufft import plan_nufft
from ultrahand.recon.sample_calibration import calibration_from_samples, choose_width
from ultrahand.recon.sense import normal_equations, sense
from ultrahand.records.findings import info

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.non_cartesian import NonCartesianPlan
    from ultrahand.recon.off_resonance import OffResonance
    from ultrahand.records.arrays import Complex64, Float32, Float64, Ints
    from ultrahand.records.raw import RawData

MAX_ITERATIONS: Final = 300
FIELD_ITERATIONS: Final = 100
FIELD_TOLERANCE: Final = 1e-3
"""Of the residual, relative: the encoding with a field map errs by as much."""
NO_FIELD_NOISE: Final = (
    "the noise of cg with a field map is not computed; --method gridding with it has a standard "
    "error, and so has cg without"
)


def solve_samples(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Combined:
    """Reconstruct one slice or slab by conjugate gradients."""
    threads = plan.options.workers
    problem = samples_problem(raw, plan, encoding, rows, workspace)
    if problem.encoding is not None:
        return _with_field(problem, problem.encoding, encoding, workspace, threads)
    made = sense(
        problem.rhs,
        problem.spectra,
        problem.maps,
        damping=problem.damping,
        max_iterations=MAX_ITERATIONS,
        threads=threads,
    )
    note_status((made.solution,), workspace)
    sigma = None
    if encoding.whitener is not None:
        noise = noise_of_sense(problem.spectra, problem.maps, problem.damping, threads=threads)
        note_noise(noise.uncertainty, workspace)
        sigma = noise.sd[0] * problem.soft  # the scale is 1 where the noise is known
    how = f"{made.solution.iterations} iterations, damping {made.damping:.3g} in units of noise"
    values = problem.image_of(made.image)
    steps = (*problem.steps, f"conjugate gradients, {how}")
    return Combined(values, sigma, 1, steps, given=MAPS_GIVEN)


def _with_field(
    problem: Problem,
    operator: OffResonance,
    encoding: EncodingPlan,
    workspace: Workspace,
    threads: int,
) -> Combined:
    """Solve where off-resonance makes the normal operator no convolution: by transforms."""
    from ultrahand.kernels import COILS

    maps = problem.maps[:, 0].reshape(-1, *operator.domain)
    # Beyond the samples, and before the field, it is the problem without one.
    plain, improve = normal_equations(
        problem.spectra, problem.maps, problem.damping, threads=threads
    )
    hold = plain.hold if isinstance(plain, HeldOperator) else np.zeros_like

    def normal(image: Complex64) -> Complex64:
        x, total = image.reshape(operator.domain), np.zeros(operator.domain, np.complex64)
        for first in range(0, len(maps), COILS):
            part = maps[first : first + COILS]
            back = operator.adjoint(operator.forward(part * x))
            total += (part.conj() * back).sum(axis=0)
        return total.reshape(image.shape) + hold(image[None])[0]

    solution = conjugate_gradient(
        normal,
        problem.rhs,
        damping=problem.damping,
        preconditioner=(lambda x: improve(x[None])[0]) if improve is not None else None,
        tolerance=FIELD_TOLERANCE,
        max_iterations=FIELD_ITERATIONS,
    )
    note_status((solution,), workspace)
    image = np.where(np.any(maps, axis=0).reshape(problem.rhs.shape), solution.value, 0)
    how = f"{solution.iterations} iterations, damping {problem.damping:.3g} in units of noise"
    steps = (*problem.steps, f"conjugate gradients, {how}")
    values = problem.image_of(image.astype(np.complex64))
    unknown = NO_FIELD_NOISE if encoding.whitener is not None else NO_SCAN
    return Combined(values, None, 1, steps, unknown=unknown)


def samples_problem(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    rows: Ints,
    workspace: Workspace,
    *,
    keep: bool = False,
) -> Problem:
    """Read samples anywhere and put up their normal equations; `keep`: with the samples."""
    grid = encoding.non_cartesian
    assert grid is not None
    n_samples = int(raw.readouts["number_of_samples"][rows].sum())
    max_bytes = cg_fits(plan, encoding, n_samples)
    threads = plan.options.workers
    delays = spoke_delays(raw, plan, encoding, rows, workspace)
    samples, k, inside = read_samples(
        raw,
        grid,
        rows,
        whitening=whitening_of(raw, encoding, rows),
        coils=slice(0, encoding.n_coils),
        threads=threads,
        watch=workspace.watch,
        progress=workspace.progress,
        delay=delays.shift,
    )
    scale, unit = _to_noise_units(samples, k, encoding, workspace)
    channels = _channels(samples, k, grid, threads, max_bytes)
    known = whitening_of(raw, encoding, rows)
    del samples
    nufft = plan_nufft(
        k,
        shape=grid.shape[-k.shape[1] :],
        voxel_size_m=grid.voxel_m[: k.shape[1]],
        n_coils=len(channels.samples),
        eps=EPS,
        threads=threads,
        max_bytes=max_bytes,
    )
    field = field_of(raw, plan, encoding, rows)
    operator = None if field is None else field.encoding(nufft, inside)

    def gathered(series: Complex64) -> Complex64:
        found = np.zeros((1, *grid.shape), np.complex64)
        for coil, sensitivity in zip(series, channels.maps[:, 0], strict=True):
            found[0] += sensitivity.conj() * (operator or nufft).adjoint(coil).reshape(grid.shape)
        return found

    spectra = spectra_of_samples(
        k,
        [np.ones(len(k), np.float32)],
        shape=grid.shape,
        voxel_size_m=grid.voxel_m,
        eps=EPS,
        threads=threads,
        max_bytes=max_bytes,
    )
    measured = None
    if keep:
        measured = Measured(
            samples=channels.samples,
            maps=channels.maps[:, 0],
            weights=None,
            cycles=k[:, ::-1] * np.array(grid.voxel_m[: k.shape[1]])[::-1],
        )
    return Problem(
        rhs=gathered(channels.samples),
        spectra=spectra,
        maps=channels.maps,
        soft=channels.soft,
        damping=channels.damping,
        scale=scale,
        whitening=channels.matrix @ (np.diag(unit) if known is None else known),
        steps=(
            *delays.steps,
            *channels.steps,
            f"{len(k)} samples, {int((~inside).sum())} beyond the matrix left out",
            *((field.step(operator.terms.n_terms),) if field and operator else ()),
        ),
        draw=lambda rng: gathered(white(rng, channels.samples.shape)),
        encoding=operator,
        measured=measured,
    )


def _to_noise_units(
    samples: Complex64, k_per_m: Float64, encoding: EncodingPlan, workspace: Workspace
) -> tuple[float, Float32]:
    """Divide samples of unknown noise by an estimate of it, in place.

    Return the unit of the image, and what each channel was multiplied by.
    """
    if encoding.whitener is not None:
        return 1.0, np.ones(len(samples), np.float32)
    level = outermost(samples, k_per_m)
    alive = level > 0
    workspace.notes.append(
        info(
            "noise level",
            found="no noise readouts are used",
            expected="units of noise, for the weight of the data",
            remedy="estimated from the outermost samples of each channel; no standard error",
        )
    )
    inverse = np.divide(1.0, level, out=np.zeros_like(level), where=alive).astype(np.float32)
    samples *= inverse[:, None]
    return float(np.sqrt(np.mean(level[alive] ** 2))) if alive.any() else 1.0, inverse


@dataclass(frozen=True, slots=True)
class _Channels:
    """Samples of virtual channels, and what is known of them."""

    samples: Complex64
    matrix: Complex64
    """From whitened channels to them."""
    maps: Complex64
    """``(channels, 1, z, y, x)``, ending where the object does."""
    soft: Float32
    """How much of each voxel the maps take: see `map_grid.MapGrid`."""
    damping: float
    steps: tuple[str, ...]


def _channels(
    samples: Complex64, k: Float64, grid: NonCartesianPlan, threads: int, max_bytes: int
) -> _Channels:
    """Find sensitivities from the centre of k-space; of one channel there are none to find."""
    width = choose_width(k, shape=grid.shape, voxel_size_m=grid.voxel_m)
    found = calibration_from_samples(
        samples,
        k,
        width,
        shape=grid.shape,
        voxel_size_m=grid.voxel_m,
        threads=threads,
        max_bytes=max_bytes,
    )
    variance = found.noise_variance
    if len(samples) == 1:
        ones = np.ones((1, 1, *grid.shape), np.complex64)
        seen = float(np.prod(grid.shape))
        damping = wiener_damping_of(found.kspace, seen, noise_variance=variance)
        steps = ("one channel, no sensitivities",)
        one = np.ones((1, 1), np.complex64)
        return _Channels(samples, one, ones, np.ones(grid.shape, np.float32), damping, steps)
    block = (found.kspace / np.float32(math.sqrt(variance))).reshape(1, len(samples), -1)
    fewer = svd_compression(coil_gram(block), block.shape[2])
    calibration = compress(block, fewer).reshape(-1, *width)
    maps = find_maps(calibration, grid.shape, threads=threads)
    sensitivities, soft = maps.columns(slice(0, grid.shape[2]))
    size = " x ".join(str(n) for n in reversed(width))
    return _Channels(
        samples=fewer.matrix @ samples,
        matrix=fewer.matrix,
        maps=sensitivities,
        soft=soft[0],
        damping=wiener_damping_of(found.kspace, maps.seen, noise_variance=variance),
        steps=(
            f"{len(calibration)} virtual channels, {fewer.kept:.4%} of the calibration's signal",
            f"coil sensitivities by ESPIRiT from {size} gridded calibration samples",
        ),
    )
