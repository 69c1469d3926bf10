"""How much memory a dynamic series needs, and how many of its planes fit at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ultrahand.pipelines.dynamic_read import WIDEST, calibration_width
from ultrahand.pipelines.memory import Needs, block_bytes, too_small, with_image
from ultrahand.pipelines.options import Dynamic
from ultrahand.recon.density import density_bytes
from ultrahand.recon.dynamic_basis import MOST
from ultrahand.recon.dynamic_data import EPS
from ultrahand.recon.espirit import KERNEL
from ultrahand.recon.map_grid import COARSE
from ultrahand.recon.nufft import transform_bytes
from ultrahand.recon.sample_calibration import MARGIN

if TYPE_CHECKING:
    from ultrahand.pipelines.dynamic_plan import DynamicSeries
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan

_COPIES: Final = {
    Dynamic.GRASP: 10,
    Dynamic.LOW_RANK_SPARSE: 24,
    Dynamic.VIEW_SHARING: 2,
}
"""Series of one plane that stand beside each other: right side, iterates, duals, and the result."""


def dynamic_slabs(
    plan: ReconPlan, encoding: EncodingPlan, series: DynamicSeries, n_coils: int | None = None
) -> list[slice]:
    """Cut the planes of an image into slabs whose samples fit the memory.

    Every slab reads the file again; the images do not depend on it.

    Parameters
    ----------
    plan, encoding, series
        What is to be done.
    n_coils
        Virtual channels; None where they are not known yet, so that all count.

    Raises
    ------
    ResourceError
        Not even one plane fits.
    """
    needs = dynamic_needs(plan, encoding, series, n_coils)
    limit, planes = plan.options.memory_limit, encoding.shape[0]
    fixed = sum(needs.values()) - needs["samples"]
    fitting = min(planes, max(0, limit - fixed) * planes // max(needs["samples"], 1))
    if fitting < 1:
        raise too_small(
            limit,
            needs | {"samples": math.ceil(needs["samples"] / planes)},
            ", or give a longer --frame-time",
        )
    return [slice(a, min(a + fitting, planes)) for a in range(0, planes, fitting)]


def dynamic_needs(
    plan: ReconPlan, encoding: EncodingPlan, series: DynamicSeries, n_coils: int | None = None
) -> Needs:
    """Return the bytes of a series by what they are for, all planes' samples at once."""
    assert plan.dynamic is not None
    coils = n_coils or encoding.n_coils
    nz, ny, nx = encoding.shape
    spokes, partitions = series.spokes.rows.shape
    samples = spokes * series.spokes.k_per_m.shape[1]
    frames, plane, grid = len(series.frames.spokes), ny * nx, 4 * ny * nx
    if plan.dynamic.which is Dynamic.SUBSPACE:
        pairs = MOST * (MOST + 1) // 2
        # Spectra of all pairs of functions twice while they are packed; images and iterates.
        solver = 8 * pairs * grid + 8 * plane * (8 * MOST + 2 * frames) + 8 * samples * pairs
    else:
        spectra = 0 if plan.dynamic.which is Dynamic.VIEW_SHARING else 5 * grid * frames
        solver = 8 * plane * frames * _COPIES[plan.dynamic.which] + spectra
    width = calibration_width(series.spokes, encoding)
    near = min(1.0, (WIDEST + 2 * MARGIN) / min(nx, ny)) * samples * partitions
    window = math.prod(min(KERNEL, n) for n in width)
    coarse = math.prod(min(COARSE, n) for n in (nz, ny, nx))
    if plan.options.replicas:
        solver += 8 * coils * samples + 12 * plane * frames  # noise, and sums over replicas
    needs = {
        "samples": 8 * coils * samples * nz,
        # Near the centre, once more as they are picked; the windows' matrix in double precision.
        "calibration": int(3 * 8 * encoding.n_coils * near) + 18 * (coils * window) ** 2,
        "maps": 20 * coils * coarse + 8 * coils * nz * plane,
        "series": (12 if plan.options.replicas else 8) * frames * nz * plane,
        "solver": solver,
        "transforms": 3 * 8 * coils * samples
        + max(transform_bytes(samples, (ny, nx), EPS), density_bytes(samples, (ny, nx))),
        "trajectory": 80 * samples + 24 * int(near),
        "blocks": block_bytes(plan, encoding, 1.0),
    }
    return with_image(needs, encoding)
