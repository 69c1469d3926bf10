"""Images by one transform: FFT of Cartesian lines, gridding of samples anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.pipelines.assemble import Combined
from ultrahand.pipelines.field import GIVEN, Field, field_of
from ultrahand.pipelines.memory import coil_blocks, slabs_of, transforms_limit
from ultrahand.pipelines.options import Combine, PartialFourier
from ultrahand.pipelines.workspace import Workspace, spoke_delays, whitening_of
from ultrahand.recon import fourier
from ultrahand.recon.coils import adaptive_combine, root_sum_of_squares
from ultrahand.recon.coverage import Coverage
from ultrahand.recon.grid import complete_grid, fill_grid, sum_of_squares_image, to_image
from ultrahand.recon.gridding import grid_readouts

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.recon.nufft import Nufft
    from ultrahand.recon.off_resonance import OffResonance
    from ultrahand.records.arrays import Bools, Complex64, Float32, Ints
    from ultrahand.records.raw import RawData


WALSH_GIVEN: Final = (
    "adaptive weights are taken as given, which holds where the signal has the sensitivities of "
    "its neighbourhood (not for artefacts)"
)


def transform_lines(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    rows: Ints,
    workspace: Workspace,
) -> Combined:
    """Reconstruct one slice or slab by FFT, zeros where lines are missing."""
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
            whitening=whitening_of(raw, encoding, rows),
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
    values = parts[0] if len(parts) == 1 else beside(parts)
    sigma = float(np.sqrt(coverage.variance())) if encoding.whitener and not pocs else None
    return _made(values, sigma, tuple(steps), plan, encoding)


def beside(slabs: list[Complex64 | Float32]) -> Complex64 | Float32:
    """Join slabs of the read axis."""
    joined = np.empty((*slabs[0].shape[:2], sum(s.shape[2] for s in slabs)), slabs[0].dtype)
    np.concatenate(slabs, axis=2, out=joined)
    return joined


def _combine_grid(grid: Complex64, plan: ReconPlan, encoding: EncodingPlan) -> Complex64 | Float32:
    assert encoding.cartesian is not None
    threads = plan.options.workers
    if plan.combine is Combine.RSS and len(grid) > 1:
        return sum_of_squares_image(grid, encoding.cartesian, threads)
    return combine_images(to_image(grid, encoding.cartesian, threads), plan)


def combined_fft(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    rows: Ints,
    workspace: Workspace,
    inverse: Callable[[Complex64], Complex64],
) -> Combined:
    """Reconstruct as `transform_lines`, by another transform of centred ``(coils, z, y, x)``."""
    lines = encoding.cartesian
    assert lines is not None
    threads, coverage = plan.options.workers, Coverage(lines, rows)
    grid = fill_grid(
        raw,
        lines,
        coverage,
        whitening=whitening_of(raw, encoding, rows),
        coils=encoding.n_coils,
        columns=slice(0, lines.axes[0].n_image),
        threads=threads,
        watch=workspace.watch,
        progress=workspace.progress,
    )
    kspace = fourier.image_to_kspace(grid, (3,), workers=threads)
    images = inverse(fourier.from_fft_order(kspace, (1, 2)))
    asked = np.ascontiguousarray(images[(slice(None), *kept_voxels(lines))])
    sigma = float(np.sqrt(coverage.variance())) if encoding.whitener else None
    steps = ("zero-filled to the encoded matrix", "SigPy's ifft")
    return _made(combine_images(asked, plan), sigma, steps, plan, encoding)


def kept_voxels(lines: CartesianPlan) -> tuple[slice, slice]:
    """Return the voxels along z and y of a centred grid that were asked for."""
    _, y, z = lines.axes
    first = [axis.n_grid // 2 - axis.n_image // 2 for axis in (z, y)]
    return slice(first[0], first[0] + z.n_image), slice(first[1], first[1] + y.n_image)


def grid_samples(
    raw: RawData,
    plan: ReconPlan,
    encoding: EncodingPlan,
    rows: Ints,
    workspace: Workspace,
    *,
    sigpy: bool = False,
) -> Combined:
    """Reconstruct one slice or slab by gridding; `sigpy`: by its transform."""
    grid = encoding.non_cartesian
    assert grid is not None
    n_samples = int(raw.readouts["number_of_samples"][rows].sum())
    images: list[Complex64] = []
    delays, field = spoke_delays(raw, plan, encoding, rows, workspace), None
    known = field_of(raw, plan, encoding, rows)
    told: list[str] = []
    if known is not None:

        def field(nufft: Nufft, inside: Bools, known: Field = known) -> OffResonance:
            made = known.encoding(nufft, inside)
            told[:] = [known.step(made.terms.n_terms)]
            return made

    for coils in coil_blocks(plan, encoding, n_samples):
        width = coils.stop - coils.start
        one, variance, steps = grid_readouts(
            raw,
            grid,
            rows,
            whitening=whitening_of(raw, encoding, rows),
            coils=coils,
            n_coils=encoding.n_coils,
            threads=plan.options.workers,
            max_bytes=transforms_limit(plan, encoding, n_samples, width),
            densities=workspace.densities,
            delay=delays.shift,
            sigpy=sigpy,
            field=field,
            watch=workspace.watch,
            progress=workspace.progress,
        )
        images.append(one)
        workspace = workspace.again()
    values = combine_images(np.concatenate(images) if len(images) > 1 else images[0], plan)
    sigma = math.sqrt(variance) if encoding.whitener else None
    made = _made(values, sigma, (*delays.steps, *steps, *told), plan, encoding)
    return replace(made, given="; ".join(filter(None, (made.given, GIVEN)))) if told else made


def combine_images(images: Complex64, plan: ReconPlan) -> Complex64 | Float32:
    """Combine coil images as the plan says."""
    if len(images) == 1:
        return images[0]
    if plan.combine is Combine.RSS:
        return root_sum_of_squares(images, threads=plan.options.workers)
    return adaptive_combine(images, threads=plan.options.workers)


def _made(
    values: Complex64 | Float32,
    sigma: float | None,
    steps: tuple[str, ...],
    plan: ReconPlan,
    encoding: EncodingPlan,
) -> Combined:
    """Say what the values are."""
    whitener = encoding.whitener
    channels = 1 if np.iscomplexobj(values) or whitener is None else whitener.n_alive
    if not np.iscomplexobj(values):
        combination = f"root sum of squares of {channels if whitener else 'all'} channels"
    elif plan.combine is Combine.WALSH:
        combination = "adaptive combination (Walsh)"
    else:
        combination = "one channel"
    made = Combined(values, sigma, channels, (*steps, combination))
    if whitener is not None and sigma is None:
        return replace(
            made, unknown="the noise of a POCS reconstruction is not known in closed form"
        )
    if plan.combine is Combine.WALSH:
        return replace(made, given=WALSH_GIVEN)
    return made
