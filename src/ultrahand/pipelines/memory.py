"""How much memory a reconstruction needs, and how to cut it so that it fits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ultrahand.errors import ResourceError
from ultrahand.recon.conditioning import BLOCK_BYTES, in_flight

if TYPE_CHECKING:
    from ultrahand.recon.cartesian import CartesianPlan

PROGRAM_BYTES = 250 * 2**20
"""The interpreter with its libraries, measured."""


def slabs_of(
    plan: CartesianPlan, coils: int, limit: int, *, threads: int, may_split: bool
) -> list[slice]:
    """Cut the read axis into slabs whose grids fit the memory; every slab reads the file again.

    Parameters
    ----------
    plan
        Sizes of the grid.
    coils
        Number of channels.
    limit
        Bytes allowed for the whole process.
    threads
        As many blocks of readouts are in flight.
    may_split
        False where the whole grid is needed at once (adaptive combination, POCS).

    Raises
    ------
    ResourceError
        It does not fit, with what is needed for what.
    """
    x, y, z = plan.axes
    column = 8 * coils * y.n_grid * z.n_grid
    image = 16 * y.n_image * z.n_image * x.n_image
    # Whitening, zero-filling and transforming a block each hold a copy of it, oversampled.
    blocks = 5 * BLOCK_BYTES * in_flight(threads) * max(1, x.n_grid // max(x.n_image, 1))
    free = limit - PROGRAM_BYTES - blocks - image
    copies = 1 + 1 / coils if may_split else 3
    needed = math.ceil(copies * column * x.n_image)
    if needed <= free:
        return [slice(0, x.n_image)]
    width = int(free / (copies * column)) if may_split else 0
    if width < 1:
        total = needed + PROGRAM_BYTES + blocks + image
        raise ResourceError(
            f"--max-memory {limit / 1e9:.2f} GB is too small: {total / 1e9:.2f} GB are needed "
            f"(grid {needed / 1e9:.2f}, blocks {blocks / 1e9:.2f}, image {image / 1e9:.2f}, "
            f"program {PROGRAM_BYTES / 1e9:.2f}); allow more"
            + ("" if may_split else ", or use --combine rss without POCS, which goes in slabs")
        )
    return [slice(a, min(a + width, x.n_image)) for a in range(0, x.n_image, width)]


def coil_blocks(
    n_samples: int, voxels: int, coils: int, limit: int, *, threads: int
) -> list[slice]:
    """Cut the channels of a gridding reconstruction so that their samples fit the memory.

    Parameters
    ----------
    n_samples
        Samples of one channel.
    voxels
        Of the image.
    coils
        Number of channels.
    limit
        Bytes allowed for the whole process.
    threads
        As many blocks of readouts are in flight.

    Raises
    ------
    ResourceError
        Not even one channel fits.
    """
    # Positions in double and single precision, weights and the planned transform's own copies.
    shared = 80 * n_samples + 2 * 8 * 8 * voxels + PROGRAM_BYTES
    shared += 5 * BLOCK_BYTES * in_flight(threads)
    channel = 2 * 8 * n_samples + 2 * 8 * voxels
    width = (limit - shared) // channel
    if width < 1:
        raise ResourceError(
            f"--max-memory {limit / 1e9:.2f} GB is too small: one channel of {n_samples} samples "
            f"needs {(shared + channel) / 1e9:.2f} GB; allow more"
        )
    return [slice(a, min(a + width, coils)) for a in range(0, coils, width)]
