"""SENSE of a Cartesian scan, a few columns at a time.

Along the fully sampled read axis columns do not alias into each other, so each block of them is a
problem of its own, solved while it lies near the processor. The blocks depend on the shape alone:
so no bit depends on the memory that was allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.numerics.solution import Solution, Status
from ultrahand.recon import fourier
from ultrahand.recon.map_grid import MapGrid
from ultrahand.recon.noise_map import noise_of_sense
from ultrahand.recon.normal import spectra_of_mask
from ultrahand.recon.sense import combine_coils, sense
from ultrahand.records.arrays import Complex64, Float32, Ints, require

BLOCK_BYTES: Final = 32 * 2**20
LANES: Final = 16
"""Columns that the kernels work on side by side."""
MAX_ITERATIONS: Final = 200


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unfolded:
    """Some columns of an image."""

    values: Complex64
    """``(sets, z, y, x)``: the sum over coils of each set, as full sampling would give it."""
    noise_sd: Float32 | None
    """Of a real part, of the same shape."""
    noise_uncertainty: float
    """Of it, relative: see `noise_map.NoiseMap`; root mean square over voxels, 0 without noise."""
    n_seen: int
    """Voxels that any coil sees."""
    solutions: tuple[Solution, ...]
    """Of the blocks."""


def block_columns(n_coils: int, n_z: int, n_y: int) -> int:
    """Return how many columns are solved at once: whole lanes, near `BLOCK_BYTES` of samples."""
    return LANES * max(1, BLOCK_BYTES // (8 * n_coils * n_z * n_y * LANES))


def wiener_damping_of(calibration: Complex64, seen: float, *, noise_variance: float = 1.0) -> float:
    """Return one over the mean power of a voxel's real part, where there is an object.

    Parameters
    ----------
    calibration
        The centre of k-space, ``(coils, z, y, x)``, in the image's unit: most of the signal is in
        it.
    seen
        Voxels that hold an object: see `MapGrid.seen`.
    noise_variance
        Of a real part of the calibration.
    """
    power = float(np.vdot(calibration, calibration).real)
    noise = 2.0 * noise_variance * calibration.size
    signal = max(power - noise, 0.01 * noise)  # an image of noise alone is held to a tenth of it
    return 2.0 * seen / signal


def unfold(
    grid: Complex64,
    counts: Ints,
    maps: MapGrid,
    *,
    first: int,
    damping: float,
    noise: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Unfolded:
    """Solve for some columns of an image.

    Parameters
    ----------
    grid
        Hybrid space as `grid.fill_grid` returns it, ``(coils, z, y, x)``: image along x, the mean
        of each line's measurements, origin of z and y at index 0.
    counts
        How often each line was measured, ``(z, y)``, origin first.
    maps
        Of the whole image.
    first
        Column of the image at which `grid` begins, a multiple of `block_columns`.
    damping
        lambda, see `sense.sense`.
    noise
        Whether to compute its standard deviation, which takes twice as long again.
    threads
        Cores; the result is the same for any number.
    progress
        Called with the number of columns done.
    """
    coils, nz, ny, nx = grid.shape
    require(counts.shape == (nz, ny), f"counts must be {(nz, ny)}, got {counts.shape}")
    width = block_columns(coils, nz, ny)
    require(first % width == 0, f"columns must begin at a multiple of {width}, got {first}")
    weights = np.fft.fftshift(counts).astype(np.float32)[:, :, None]
    sets = maps.coarse.maps.shape[1]
    values = np.empty((sets, nz, ny, nx), np.complex64)
    sd = np.empty(values.shape, np.float32) if noise else None
    solutions, misses, n_seen = [], 0.0, 0
    for start in range(0, nx, width):
        here = slice(start, min(start + width, nx))
        sensitivities, soft = maps.columns(slice(first + here.start, first + here.stop))
        spectra = spectra_of_mask(np.broadcast_to(weights, (nz, ny, here.stop - here.start)))
        made = sense(
            gathered(grid[..., here], counts, sensitivities, threads),
            spectra,
            sensitivities,
            damping=damping,
            max_iterations=MAX_ITERATIONS,
            threads=threads,
        )
        values[..., here] = made.image * soft
        if sd is not None:
            found = noise_of_sense(spectra, sensitivities, damping, threads=threads)
            sd[..., here] = found.sd * soft
            n_here = int(np.count_nonzero(found.sd))
            misses += n_here * found.uncertainty**2
            n_seen += n_here
        solutions.append(made.solution)
        progress(here.stop - here.start)
    return Unfolded(
        values=values,
        noise_sd=sd,
        noise_uncertainty=math.sqrt(misses / n_seen) if n_seen else 0.0,
        n_seen=n_seen,
        solutions=tuple(solutions),
    )


def gathered(grid: Complex64, counts: Ints, maps: Complex64, threads: int) -> Complex64:
    """Return :math:`A^H W y`, ``(sets, z, y, x)``.

    Parameters
    ----------
    grid, counts
        As of `unfold`.
    maps
        Of the same columns, ``(coils, sets, z, y, x)``.
    threads
        Of the transform.
    """
    lines = np.ascontiguousarray(grid)
    if counts.max() > 1:
        lines = lines * counts[:, :, None].astype(np.float32)
    elif lines is grid:
        lines = grid.copy()
    images = fourier.kspace_to_image_in_place(lines, (1, 2), workers=threads)
    return combine_coils(fourier.from_fft_order(images, (1, 2)), maps)


def worst_of(solutions: tuple[Solution, ...]) -> Solution | None:
    """Return the solution of the largest residual among those that did not converge."""
    bad = [s for s in solutions if s.status is not Status.CONVERGED]
    return max(bad, key=lambda s: s.residuals[-1]) if bad else None
