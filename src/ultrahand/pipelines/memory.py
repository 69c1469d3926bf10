"""How much memory a reconstruction needs, and how to cut it so that it fits."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ultrahand.errors import ResourceError
from ultrahand.pipelines.options import Combine, Method, PartialFourier
from ultrahand.recon.calibration import MOST
from ultrahand.recon.cartesian_sense import block_columns
from ultrahand.recon.conditioning import BLOCK_BYTES, in_flight
from ultrahand.recon.density import density_bytes
from ultrahand.recon.espirit import KERNEL
from ultrahand.recon.gridding import EPS
from ultrahand.recon.map_grid import COARSE
from ultrahand.recon.noise_exact import exact_bytes
from ultrahand.recon.noise_map import EXACT_WORK
from ultrahand.recon.nufft import transform_bytes

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.sorting import Series
    from ultrahand.records.raw import RawData

PROGRAM_BYTES = 225 * 2**20
"""The interpreter with its libraries and compiled kernels, measured."""

Needs = dict[str, int]
"""Bytes by what they are for."""


def slabs_of(plan: ReconPlan, encoding: EncodingPlan) -> list[slice]:
    """Cut the read axis into slabs whose grids fit the memory; every slab reads the file again.

    Adaptive combination and POCS need the whole grid at once.

    Raises
    ------
    ResourceError
        It does not fit, with what is needed for what.
    """
    assert encoding.cartesian is not None
    width = encoding.cartesian.axes[0].n_image
    whole = _cartesian_needs(plan, encoding)
    limit = plan.options.memory_limit
    if sum(whole.values()) <= limit:
        return [slice(0, width)]
    may_split = _may_split(plan)
    fixed = sum(whole.values()) - whole["grid"]
    fitting = (limit - fixed) * width // whole["grid"] if may_split else 0
    if fitting < 1:
        whole["grid"] = math.ceil(whole["grid"] / width) if may_split else whole["grid"]
        instead = "" if may_split else ", or use --combine rss without POCS, which goes in slabs"
        raise too_small(limit, whole, instead)
    return [slice(a, min(a + fitting, width)) for a in range(0, width, fitting)]


def sense_slabs(plan: ReconPlan, encoding: EncodingPlan, n_coils: int | None = None) -> list[slice]:
    """Cut the read axis into slabs of whole blocks whose grids fit the memory.

    Parameters
    ----------
    plan, encoding
        What is to be done.
    n_coils
        Virtual channels; None where they are not known yet, so that all count.

    Raises
    ------
    ResourceError
        Not even one block fits.
    """
    assert encoding.cartesian is not None
    x, y, z = encoding.cartesian.axes
    coils = n_coils or encoding.n_coils
    width = block_columns(coils, z.n_grid, y.n_grid)
    whole, limit = _sense_needs(plan, encoding, coils), plan.options.memory_limit
    free = limit - sum(whole.values()) + whole["grid"]
    fitting = max(free, 0) * x.n_image // whole["grid"] // width * width
    if fitting < width and free < whole["grid"]:
        raise too_small(limit, whole | {"grid": whole["grid"] * width // x.n_image})
    return [slice(a, min(a + fitting, x.n_image)) for a in range(0, x.n_image, fitting or width)]


def grappa_fits(plan: ReconPlan, encoding: EncodingPlan) -> None:
    """Refuse a grid that does not fit the memory: GRAPPA takes it whole.

    Raises
    ------
    ResourceError
        With what is needed for what.
    """
    whole = _grappa_needs(plan, encoding)
    if sum(whole.values()) > plan.options.memory_limit:
        raise too_small(
            plan.options.memory_limit, whole, ", or use --method sense, which goes in slabs"
        )


def lines_fit(plan: ReconPlan, encoding: EncodingPlan) -> None:
    """Refuse a grid that does not fit the memory: a prior takes it whole.

    Raises
    ------
    ResourceError
        With what is needed for what.
    """
    whole = _lines_needs(plan, encoding)
    if sum(whole.values()) > plan.options.memory_limit:
        raise too_small(
            plan.options.memory_limit, whole, ", or use --method sense, which goes in slabs"
        )


def coil_blocks(plan: ReconPlan, encoding: EncodingPlan, n_samples: int) -> list[slice]:
    """Cut the channels of a gridding reconstruction so that their samples fit the memory.

    Parameters
    ----------
    plan, encoding
        What is to be done.
    n_samples
        Samples of one channel of one volume (3D) or slice (2D).

    Raises
    ------
    ResourceError
        Not even one channel fits.
    """
    whole = _gridding_needs(plan, encoding, n_samples)
    coils, limit = encoding.n_coils, plan.options.memory_limit
    fixed = sum(whole.values()) - whole["channels"]
    width = min((limit - fixed) * coils // whole["channels"], coils)
    if width < 1:
        raise too_small(limit, whole | {"channels": whole["channels"] // coils})
    return [slice(a, min(a + width, coils)) for a in range(0, coils, width)]


def cg_fits(plan: ReconPlan, encoding: EncodingPlan, n_samples: int) -> int:
    """Return the bytes that the transforms of iterative SENSE may use.

    Parameters
    ----------
    plan, encoding
        What is to be done.
    n_samples
        Samples of one channel of one volume (3D) or slice (2D).

    Raises
    ------
    ResourceError
        It does not fit, with what is needed for what.
    """
    whole, limit = _cg_needs(plan, encoding, n_samples), plan.options.memory_limit
    if sum(whole.values()) > limit:
        raise too_small(limit, whole, ", or use --method gridding")
    return limit - sum(whole.values()) + whole["transforms"]


def transforms_limit(plan: ReconPlan, encoding: EncodingPlan, n_samples: int, width: int) -> int:
    """Return the bytes that the transforms of ``width`` channels may use."""
    whole = _gridding_needs(plan, encoding, n_samples)
    used = sum(whole.values()) - whole["channels"] - whole["transforms"]
    free = plan.options.memory_limit - used - whole["channels"] * width // encoding.n_coils
    return max(free, whole["transforms"])


def memory_needed(raw: RawData, plan: ReconPlan) -> int:
    """Return the bytes of the largest image's reconstruction, cut to fit where it must be.

    Raises
    ------
    ResourceError
        As the reconstruction would.
    """
    most = 0
    for series in plan.series:
        encoding = plan.encodings[series.volumes[0].encoding]
        if plan.dynamic is not None:
            most = max(most, dynamic_peak(plan, encoding, series))
            continue
        if encoding.cartesian is not None:
            fits, needs = _CARTESIAN[encoding.method]
            fits(plan, encoding)
            most = max(most, sum(needs(plan, encoding).values()))
            continue
        for volume in series.volumes:
            for rows in volume.slices.values():
                n_samples = int(raw.readouts["number_of_samples"][rows].sum())
                refuse, needed = _ANYWHERE[encoding.method]
                refuse(plan, encoding, n_samples)
                most = max(most, sum(needed(plan, encoding, n_samples).values()))
    return min(most, plan.options.memory_limit)


def dynamic_peak(plan: ReconPlan, encoding: EncodingPlan, series: Series) -> int:
    """Return the bytes of a dynamic series, or refuse it."""
    from ultrahand.pipelines.dynamic_memory import dynamic_needs, dynamic_slabs

    assert plan.dynamic is not None
    mine = plan.dynamic.series[plan.dynamic.find(series.volumes[0].rows)[0]]
    dynamic_slabs(plan, encoding, mine)
    return sum(dynamic_needs(plan, encoding, mine).values())


def _may_split(plan: ReconPlan) -> bool:
    return plan.combine is Combine.RSS and not _pocs(plan)


def _pocs(plan: ReconPlan) -> bool:
    return plan.options.partial_fourier is PartialFourier.POCS


def _cartesian_needs(plan: ReconPlan, encoding: EncodingPlan) -> Needs:
    grid = encoding.cartesian
    assert grid is not None
    x, y, z = grid.axes
    # Either the sum over coils or all images stand beside the grid; POCS copies one coil.
    copies = encoding.n_coils + 1 if _may_split(plan) else 2 * encoding.n_coils
    needs = {
        "grid": (copies + 5 * _pocs(plan)) * 8 * x.n_image * y.n_grid * z.n_grid,
        "lines": 8 * (len(grid.classes) + 3) * y.n_grid * z.n_grid,
        "blocks": block_bytes(plan, encoding, x.n_grid / min(c.n_kept for c in grid.classes)),
    }
    return with_image(needs, encoding)


def _sense_needs(plan: ReconPlan, encoding: EncodingPlan, n_coils: int | None = None) -> Needs:
    grid, coils = encoding.cartesian, n_coils or encoding.n_coils
    assert grid is not None
    x, y, z = grid.axes
    lines = y.n_grid * z.n_grid
    block = 8 * coils * lines * min(block_columns(coils, z.n_grid, y.n_grid), x.n_image)
    window = math.prod(min(KERNEL, n) for n in (x.n_image, y.n_grid, z.n_grid))
    coarse = math.prod(min(COARSE, n) for n in (x.n_image, y.n_grid, z.n_grid))
    needs = {
        "grid": 8 * coils * lines * x.n_image,
        # Samples, their images, maps, and what conjugate gradients and the operator work in.
        "blocks of columns": 6 * block,
        # The windows' matrix, in double precision, and the lines.
        "calibration": 18 * (coils * window) ** 2 + 24 * coils * MOST**2 * x.n_image,
        "maps": 20 * coils * coarse,
        "noise": _noise_bytes(plan, encoding, lines, x.n_image),
        "lines": 8 * (len(grid.classes) + 6) * lines,
        "blocks": block_bytes(plan, encoding, x.n_grid / min(c.n_kept for c in grid.classes)),
    }
    return with_image(needs, encoding)


def _lines_needs(plan: ReconPlan, encoding: EncodingPlan) -> Needs:
    """Return what compressed sensing of lines needs: SENSE of one block as wide as the image."""
    needs = _sense_needs(plan, encoding)
    assert encoding.cartesian is not None
    x, y, z = encoding.cartesian.axes
    voxels = x.n_image * y.n_grid * z.n_grid
    samples = 8 * encoding.n_coils * voxels
    columns = (5 if plan.options.replicas else 3) * samples  # noise, and as it is transformed
    return needs | {"blocks of columns": columns, "solver": 12 * 16 * voxels}


def _grappa_needs(plan: ReconPlan, encoding: EncodingPlan) -> Needs:
    grid, coils = encoding.cartesian, encoding.n_coils
    assert grid is not None
    x, y, z = grid.axes
    lines = y.n_grid * z.n_grid
    sources = coils * 4 * 4 * 5  # of the default kernel, at most
    needs = {
        # Hybrid space, the same in k-space or centred, and coil maps where phase is asked for.
        "grid": (3 if plan.combine is Combine.RSS else 4) * 8 * coils * lines * x.n_image,
        "calibration": 48 * sources * (sources + 16 * coils) + 8 * coils * MOST**2 * x.n_image,
        "lines": 8 * (len(grid.classes) + 6) * lines,
        "blocks": block_bytes(plan, encoding, x.n_grid / min(c.n_kept for c in grid.classes)),
    }
    return with_image(needs, encoding)


def _gridding_needs(plan: ReconPlan, encoding: EncodingPlan, n_samples: int) -> Needs:
    grid = encoding.non_cartesian
    assert grid is not None
    shape = grid.shape if grid.three_d else grid.shape[1:]
    transforms = max(
        transform_bytes(n_samples, shape, EPS),
        density_bytes(n_samples, shape),
    )
    needs = {
        # Sample and image, each once more while it is put in order.
        "channels": 2 * 8 * (n_samples + math.prod(shape)) * encoding.n_coils,
        "transforms": transforms,
        "trajectory": 80 * n_samples,
        "field map": _field_bytes(plan, n_samples, math.prod(shape), encoding.n_coils),
        "blocks": block_bytes(plan, encoding, 1.0),
    }
    return with_image(needs, encoding)


def _field_bytes(plan: ReconPlan, n_samples: int, voxels: int, coils: int) -> int:
    """Return what a map takes: times and turns, and each coil once more, times a term's factor."""
    if plan.b0 is None:
        return 0
    return 8 * coils * (n_samples + 2 * voxels) + 40 * n_samples + 64 * voxels


def _cg_needs(plan: ReconPlan, encoding: EncodingPlan, n_samples: int) -> Needs:
    grid, coils = encoding.non_cartesian, encoding.n_coils
    assert grid is not None
    shape = grid.shape if grid.three_d else grid.shape[1:]
    voxels = math.prod(shape)
    lags = tuple(2 * n for n in shape)
    window = math.prod(min(KERNEL, n) for n in shape)
    needs = {
        # Read, and of virtual channels.
        "samples": (3 if plan.options.replicas else 2) * 8 * n_samples * coils,
        "trajectory": 80 * n_samples,
        # The transform of the point spread function is the largest.
        "transforms": max(
            transform_bytes(n_samples, lags, EPS) + 16 * math.prod(lags),
            density_bytes(n_samples, shape),
        ),
        "maps": 3 * 8 * coils * voxels,
        # Vectors in double precision, the image, and what the operator works in.
        "conjugate gradients": 6 * 16 * voxels + 12 * math.prod(lags),
        "calibration": 18 * (coils * window) ** 2,
        "noise": _noise_bytes(plan, encoding, voxels, 1),
        "field map": _field_bytes(plan, n_samples, voxels, min(coils, 4)),
        "blocks": block_bytes(plan, encoding, 1.0),
    }
    return with_image(needs, encoding)


def _noise_bytes(plan: ReconPlan, encoding: EncodingPlan, plane: int, planes: int) -> int:
    if encoding.whitener is None:
        return 0
    return exact_bytes(plane, planes, EXACT_WORK, plan.options.workers)


def block_bytes(plan: ReconPlan, encoding: EncodingPlan, longer: float) -> int:
    """Return what blocks in flight take: each is held raw, whitened, filled and transformed.

    ``longer``: how many times as long zeros make a readout; blocks have fewer readouts then.
    """
    longer = max(longer, 1.0)
    block = max(BLOCK_BYTES, encoding.readout_bytes * longer)  # at least one readout
    return math.ceil(5 * min(block * in_flight(plan.options.workers), encoding.data_bytes * longer))


def with_image(needs: Needs, encoding: EncodingPlan) -> Needs:
    """Add what an image takes: complex while slices are made, then its parts and their errors."""
    voxels = math.prod(encoding.shape)
    image = max(8 * voxels, 40 * voxels - sum(needs.values()))
    return needs | {"image": image, "program": PROGRAM_BYTES}


def too_small(limit: int, needs: Needs, instead: str = "") -> ResourceError:
    """Return the refusal of what does not fit, with what is needed for what."""
    listed = ", ".join(f"{name} {size_text(size)}" for name, size in needs.items())
    return ResourceError(
        f"--max-memory {size_text(limit)} is too small: {size_text(sum(needs.values()))} are "
        f"needed ({listed}); allow more{instead}"
    )


def size_text(n_bytes: int) -> str:
    """Return a size as people read it: MB below 1 GB, kB below 1 MB."""
    if n_bytes >= 10**9:
        return f"{n_bytes / 1e9:.2f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 10**6 else f"{n_bytes / 1e3:.3g} kB"


_CARTESIAN: Final = MappingProxyType(
    {
        Method.FFT: (slabs_of, _cartesian_needs),
        Method.SENSE: (sense_slabs, _sense_needs),
        Method.GRAPPA: (grappa_fits, _grappa_needs),
        Method.CS: (lines_fit, _lines_needs),
    }
)
"""Method to what refuses it where it does not fit, and to what it needs."""
_ANYWHERE: Final = MappingProxyType(
    {
        Method.GRIDDING: (coil_blocks, _gridding_needs),
        Method.CG: (cg_fits, _cg_needs),
        Method.CS: (cg_fits, _cg_needs),  # a prior's own arrays are fewer than the maps
    }
)
"""The same for samples anywhere."""
