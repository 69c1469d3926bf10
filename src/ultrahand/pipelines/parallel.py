"""Images of undersampled Cartesian lines: SENSE and GRAPPA."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.pipelines.assemble import Combined
from ultrahand.pipelines.direct import beside, combine_images, kept_voxels
from ultrahand.pipelines.memory import grappa_fits, lines_fit, sense_slabs
from ultrahand.pipelines.options import Combine
from ultrahand.pipelines.parallel_plan import calibration_of
from ultrahand.pipelines.problem import MAPS_GIVEN, Problem, note_noise, note_status
from ultrahand.pipelines.replicas import white
from ultrahand.pipelines.workspace import Workspace, whitening_of
from ultrahand.recon import fourier
from ultrahand.recon._sigpy_apps import Measured
from ultrahand.recon.calibration import line_mask, read_calibration
from ultrahand.recon.cartesian_sense import Unfolded, gathered, unfold, wiener_damping_of
from ultrahand.recon.coil_compression import coil_gram, compress, svd_compression
from ultrahand.recon.coverage import Coverage
from ultrahand.recon.grappa import fill
from ultrahand.recon.grappa_noise import grappa_noise
from ultrahand.recon.grappa_weights import GrappaWeights, calibrate
from ultrahand.recon.grid import fill_grid
from ultrahand.recon.lattice_search import find_lattice
from ultrahand.recon.map_grid import find_maps
from ultrahand.recon.noise_level import outer_noise
from ultrahand.recon.normal import spectra_of_mask
from ultrahand.records.findings import info

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.records.arrays import Bools, Complex64, Float32, Ints
    from ultrahand.records.raw import RawData

READING: Final = 4
"""Reading counts as one part in so many of the progress, solving as the rest."""
WEIGHTS_GIVEN: Final = "the weights of GRAPPA are taken as given"


@dataclass(frozen=True, slots=True)
class _Scan:
    """The readouts of one slice or slab, and what calibrates them."""

    lines: CartesianPlan
    coverage: Coverage
    whitening: Complex64
    scale: float
    """Unit of the image: 1 for units of noise, else what an estimated noise was."""
    calibration: Complex64
    mask: Bools
    """Acquired lines, centred, ``(z, y)``."""
    steps: tuple[str, ...]
    """What was done to the channels."""

    @property
    def n_coils(self) -> int:
        return len(self.whitening)


def unfold_lines(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Combined:
    """Reconstruct one slice or slab by SENSE with the maps of ESPIRiT."""
    scan = _scan(raw, plan, encoding, rows, workspace)
    x, y, z = scan.lines.axes
    threads = plan.options.workers
    maps = find_maps(scan.calibration, (z.n_grid, y.n_grid, x.n_image), threads=threads)
    damping = wiener_damping_of(scan.calibration, maps.seen)
    made: list[Unfolded] = []
    tell = _shared(workspace.progress, len(rows), x.n_image)
    for columns in sense_slabs(plan, encoding, scan.n_coils):
        grid = _grid(raw, scan, columns, threads, workspace, tell[0])
        made.append(
            unfold(
                grid,
                scan.coverage.line_counts(),
                maps,
                first=columns.start,
                damping=damping,
                noise=encoding.whitener is not None,
                threads=threads,
                progress=tell[1],
            )
        )
        del grid  # or the next slab's would stand beside it
        workspace = Workspace(notes=workspace.notes)  # further slabs read the same samples again
        tell = (lambda _: None, tell[1])
    note_status(tuple(s for m in made for s in m.solutions), workspace)
    seen = sum(m.n_seen for m in made)
    misses = sum(m.n_seen * m.noise_uncertainty**2 for m in made)
    note_noise(math.sqrt(misses / seen) if seen else 0.0, workspace)
    values = _cropped(beside([m.values[0] for m in made]), scan.lines)
    values *= np.float32(scan.scale)
    sigma = None
    known = [m.noise_sd for m in made if m.noise_sd is not None]
    if encoding.whitener is not None and known:
        whole = beside([noise[0] for noise in known])
        sigma = _cropped(whole, scan.lines) * np.float32(math.sqrt(scan.coverage.read_fraction()))
    kernel = " x ".join(str(n) for n in reversed(scan.calibration.shape[1:]))
    steps = (
        *scan.steps,
        f"coil sensitivities by ESPIRiT from {kernel} calibration samples",
        f"SENSE by conjugate gradients, damping {damping:.3g} in units of noise",
    )
    return Combined(values, sigma, 1, steps, given=MAPS_GIVEN)


def lines_problem(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    rows: Ints,
    workspace: Workspace,
    *,
    keep: bool = False,
) -> Problem:
    """Read lines and put up the normal equations of the whole slice or slab.

    ``keep``: with the samples, centred.
    """
    lines_fit(plan, encoding)
    scan = _scan(raw, plan, encoding, rows, workspace)
    x, y, z = scan.lines.axes
    threads = plan.options.workers
    shape = (z.n_grid, y.n_grid, x.n_image)
    maps = find_maps(scan.calibration, shape, threads=threads)
    whole = slice(0, x.n_image)
    grid = _grid(raw, scan, whole, threads, workspace, workspace.progress)
    counts = scan.coverage.line_counts()
    weights = np.fft.fftshift(counts).astype(np.float32)[:, :, None]
    sensitivities, soft = maps.columns(whole)
    shares = np.divide(1.0, counts, out=np.zeros(counts.shape), where=counts > 0)
    size = np.sqrt(shares * scan.coverage.read_fraction()).astype(np.float32)[:, :, None]

    def draw(rng: np.random.Generator) -> Complex64:
        noise = white(rng, grid_shape)
        noise *= size
        return gathered(noise, counts, sensitivities, threads)

    measured, grid_shape = None, grid.shape
    if keep:
        kspace = fourier.image_to_kspace(grid, (3,), workers=threads)
        measured = Measured(
            samples=fourier.from_fft_order(kspace, (1, 2)),
            maps=sensitivities[:, 0],
            weights=np.ascontiguousarray(np.broadcast_to(weights, shape)),
            cycles=None,
        )
    return Problem(
        rhs=gathered(grid, counts, sensitivities, threads),
        spectra=spectra_of_mask(np.broadcast_to(weights, shape)),
        maps=sensitivities,
        soft=soft[0],
        damping=wiener_damping_of(scan.calibration, maps.seen),
        scale=scan.scale,
        steps=scan.steps,
        whitening=scan.whitening,
        kept=kept_voxels(scan.lines),
        draw=draw,
        measured=measured,
    )


def complete_lines(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Combined:
    """Reconstruct one slice or slab by GRAPPA."""
    grappa_fits(plan, encoding)
    scan = _scan(raw, plan, encoding, rows, workspace)
    x = scan.lines.axes[0]
    threads = plan.options.workers
    every = np.broadcast_to(scan.mask[:, :, None], (*scan.mask.shape, x.n_image))
    lattice = find_lattice(every)
    weights = calibrate(scan.calibration, lattice, threads=threads)
    whole = slice(0, x.n_image)
    grid = _grid(raw, scan, whole, threads, workspace, workspace.progress)
    _complete(grid, scan, weights, threads)
    images = fourier.kspace_to_image_in_place(grid, (1, 2), workers=threads)
    values, sigma, combination = _combine(images, plan, scan, weights)
    values *= np.float32(scan.scale)
    if sigma is not None and encoding.whitener is not None:
        sigma = _cropped(sigma, scan.lines) * np.float32(math.sqrt(scan.coverage.read_fraction()))
    known = encoding.whitener is not None
    return Combined(
        values,
        sigma if known else None,
        1 if np.iscomplexobj(values) else scan.n_coils,
        (*scan.steps, f"GRAPPA, rate {lattice.rate}", combination),
        given=WEIGHTS_GIVEN,
        first_order=not np.iscomplexobj(values),
    )


def _scan(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> _Scan:
    """Read what calibrates a slice or slab."""
    lines, parallel = encoding.cartesian, encoding.parallel
    assert lines is not None
    assert parallel is not None
    found = calibration_of(raw, lines, parallel, rows)
    assert found is not None  # the plan has looked
    whitening, scale = _whitening(raw, encoding, rows, workspace)
    calibration = read_calibration(
        raw, found, whitening=whitening, coils=encoding.n_coils, threads=plan.options.workers
    )
    # Virtual coils: what they leave out is below the noise, and work goes with their square.
    block = calibration.reshape(1, encoding.n_coils, -1)
    fewer = svd_compression(coil_gram(block), block.shape[2])
    virtual = compress(block, fewer).reshape(-1, *calibration.shape[1:])
    kept = f"{len(virtual)} virtual channels, {fewer.kept:.4%} of the calibration's signal"
    return _Scan(
        lines=lines,
        coverage=Coverage(lines, rows),
        whitening=fewer.matrix @ whitening,
        scale=scale,
        calibration=virtual,
        mask=line_mask(lines, rows),
        steps=(kept,),
    )


def _whitening(
    raw: RawData, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> tuple[Complex64, float]:
    """Return what makes the noise one unit, and what to multiply the image by after."""
    known = whitening_of(raw, encoding, rows)
    if known is not None:
        return known, 1.0
    assert encoding.cartesian is not None
    level = outer_noise(raw, encoding.cartesian, rows)
    alive = level > 0
    workspace.notes.append(
        info(
            "noise level",
            found="no noise readouts are used",
            expected="units of noise, for the weight of the data",
            remedy="estimated from the outermost samples of each channel; no standard error",
        )
    )
    inverse = np.divide(1.0, level, out=np.zeros_like(level), where=alive)
    scale = float(np.sqrt(np.mean(level[alive] ** 2))) if alive.any() else 1.0
    return np.diag(inverse).astype(np.complex64), scale


def _grid(
    raw: RawData,
    scan: _Scan,
    columns: slice,
    threads: int,
    workspace: Workspace,
    progress: Callable[[int], None],
) -> Complex64:
    return fill_grid(
        raw,
        scan.lines,
        scan.coverage,
        whitening=scan.whitening,
        coils=scan.n_coils,
        columns=columns,
        threads=threads,
        watch=workspace.watch,
        progress=progress,
    )


def _complete(grid: Complex64, scan: _Scan, weights: GrappaWeights, threads: int) -> None:
    """Fill hybrid space, as `fill_grid` returns it, in place."""
    mask = np.broadcast_to(scan.mask[:, :, None], (*scan.mask.shape, grid.shape[3]))
    kspace = fourier.image_to_kspace(grid, (3,), workers=threads)
    kspace = fourier.from_fft_order(kspace, (1, 2))
    fill(kspace, mask, weights, out=kspace, threads=threads)
    hybrid = fourier.kspace_to_image(kspace, (3,), workers=threads)
    grid[:] = fourier.to_fft_order(hybrid, (1, 2))


def _combine(
    images: Complex64, plan: ReconPlan, scan: _Scan, weights: GrappaWeights
) -> tuple[Complex64 | Float32, Float32 | None, str]:
    """Combine coil images, origin of z and y at index 0; return what was done and the noise."""
    threads = plan.options.workers
    mask = np.broadcast_to(scan.mask[:, :, None], images.shape[1:])
    if plan.options.combine is Combine.WALSH:
        return (
            combine_images(_cropped(_centred(images), scan.lines), plan),
            None,
            "adaptive (Walsh)",
        )
    centred = _centred(images)
    if plan.combine is Combine.RSS:
        root = np.sqrt((centred.real**2 + centred.imag**2).sum(axis=0))
        centred /= np.maximum(root, np.float32(1e-30))
        sigma = grappa_noise(weights, centred, mask=mask, threads=threads)
        return _cropped(root, scan.lines), sigma, "root sum of squares"
    maps = find_maps(scan.calibration, _three(centred.shape[1:]), threads=threads)
    sensitivity = maps.columns(slice(0, centred.shape[3]), soft=False)[0][:, 0]
    combined = (sensitivity.conj() * centred).sum(axis=0)
    sigma = grappa_noise(weights, sensitivity, mask=mask, threads=threads)
    return _cropped(combined, scan.lines), sigma, "weighted by coil sensitivities (ESPIRiT)"


def _centred(images: Complex64) -> Complex64:
    return fourier.from_fft_order(images, (1, 2))


def _cropped(image: np.ndarray, lines: CartesianPlan) -> np.ndarray:
    """Cut a centred image, ``(..., z, y, x)``, to the voxels that were asked for."""
    return np.ascontiguousarray(image[(..., *kept_voxels(lines), slice(None))])


def _shared(
    progress: Callable[[int], None], n_readouts: int, n_columns: int
) -> tuple[Callable[[int], None], Callable[[int], None]]:
    """Divide the progress of some readouts between reading them and solving for columns."""
    told = 0
    done = {"readouts": 0, "columns": 0}

    def tell(kind: str, count: int) -> None:
        nonlocal told
        done[kind] += count
        read = min(done["readouts"], n_readouts) * n_columns
        solved = (READING - 1) * done["columns"] * n_readouts
        reached = (read + solved) // (READING * n_columns)
        progress(reached - told)
        told = reached

    return lambda n: tell("readouts", n), lambda n: tell("columns", n)


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return shape[0], shape[1], shape[2]
