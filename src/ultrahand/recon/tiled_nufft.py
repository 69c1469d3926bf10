"""The non-uniform transform in single precision, four coils at a time; see `ultrahand.recon.nufft`.

Samples are carried to a grid that is finer than the image by a Kaiser-Bessel kernel
(`interpolation`), tile by tile (`tiling`, `kernels.spread`), and the grid is transformed, leaving
out the lines that the image does not need. A sample's weights are found once for all coils, whose
numbers lie side by side in a vector; of one coil alone, neighbouring cells do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from threading import Lock
from typing import Any, Final, final

import numpy as np

from ultrahand.numerics import fft
from ultrahand.recon.batch import as_batch
from ultrahand.recon.interpolation import kernel_table, kernel_transform
from ultrahand.recon.tiling import Tiling, tile_samples
from ultrahand.records.arrays import Complex, Complex64, Float32, Float64

ERRORS: Final = {
    2.0: {3: 7.8e-3, 4: 8.2e-4, 5: 8.6e-5, 6: 8.8e-6, 7: 9.4e-7},
    1.5: {3: 2e-2, 4: 2.9e-3, 5: 4.3e-4, 6: 6.2e-5, 7: 8.5e-6, 8: 1.9e-6},
}
"""Relative l2 error by upsampling and width of the kernel in cells, both directions: measured for
random samples in three dimensions, beside the direct sum (less in two, less for an object)."""
_SAMPLE, _WEIGHTS, _CELL = 10.0, 0.12, 22.0
"""Nanoseconds a coil on one core: of a sample, each of its weights, and a cell of the grid."""
_POINT_BYTES = 4 + 6 + 12
_PLAN_BYTES = 24 + 4
"""Bytes a sample: sorted, and while it is being sorted."""

Kernel = tuple[float, int]
"""Upsampling of the grid, and width in cells."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TiledNufft:
    """Made by `plan_tiled`; meets `ultrahand.recon.nufft.Nufft`."""

    shape: tuple[int, ...]
    n_samples: int
    eps: float
    kernel: Kernel
    threads: int
    tiling: Tiling
    table: Float32
    weights: tuple[Float32, Float32, Float32]
    """What undoes the kernel, along z, y, x; the scale is in it."""
    grids: Complex64
    """The fine grid, ``(coils, z, y, x)``, for as many coils at a time."""
    lock: Lock = field(default_factory=Lock)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.complex64)

    @property
    def domain(self) -> tuple[int, ...]:
        return self.shape

    @property
    def codomain(self) -> tuple[int, ...]:
        return (self.n_samples,)

    def forward(self, image: Complex, /) -> Complex64:
        """Transform ``(..., *shape)`` to ``(..., n_samples)``."""
        from ultrahand import kernels

        images, batch = as_batch(image, self.domain, self.dtype)
        images = images.reshape(len(images), *self._voxels)
        out = np.empty((len(images), self.n_samples), np.complex64)
        with self.lock, kernels.threads(self.threads):
            for coils in self._groups(len(images)):
                grids = self.grids[: coils.stop - coils.start]
                self._to_grids(images[coils], grids)
                kernels.interpolate(grids, *self._arguments, out[coils])
        return out.reshape(*batch, self.n_samples)

    def adjoint(self, samples: Complex, /) -> Complex64:
        """Transform ``(..., n_samples)`` to ``(..., *shape)``."""
        from ultrahand import kernels

        series, batch = as_batch(samples, self.codomain, self.dtype)
        out = np.empty((len(series), *self._voxels), np.complex64)
        with self.lock, kernels.threads(self.threads):
            for coils in self._groups(len(series)):
                grids = self.grids[: coils.stop - coils.start]
                grids.fill(0)
                kernels.spread(series[coils], *self._arguments, grids)
                self._to_images(grids, out[coils])
        return out.reshape(*batch, *self.shape)

    @property
    def _voxels(self) -> tuple[int, ...]:
        return (1,) * (3 - len(self.shape)) + self.shape

    @property
    def _arguments(self) -> tuple[Any, ...]:
        t = self.tiling
        return t.points, t.tiles, t.columns, t.chunks, self.table, t.reach, t.buffer

    def _groups(self, n_coils: int) -> Iterator[slice]:
        for first in range(0, n_coils, len(self.grids)):
            yield slice(first, min(first + len(self.grids), n_coils))

    def _to_grids(self, images: Complex64, grids: Complex64) -> None:
        """Undo the kernel, and transform: lines of zeros are left out."""
        grids.fill(0)
        for on_grid, in_image in self._corners():
            grids[on_grid] = images[in_image] * self._undone(in_image)
        for lines, axis in reversed(self._passes()):
            _transform(fft.fftn, grids[lines], axis, "backward", self.threads)

    def _to_images(self, grids: Complex64, images: Complex64) -> None:
        """Transform back what the image needs, and undo the kernel."""
        for lines, axis in self._passes():
            _transform(fft.ifftn, grids[lines], axis, "forward", self.threads)
        for on_grid, in_image in self._corners():
            np.multiply(grids[on_grid], self._undone(in_image), out=images[in_image])

    def _passes(self) -> list[tuple[tuple[slice, ...], int]]:
        """Return which lines of the grid are transformed, and along which axis: z, then y, x."""
        every, slabs, rows = slice(None), self._halves(0), self._halves(1)
        along_z: list[tuple[tuple[slice, ...], int]] = [((every,), 1)]
        along_y = [((every, slab), 2) for slab, _ in slabs]
        along_x = [((every, slab, row), 3) for (slab, _), (row, _) in product(slabs, rows)]
        return [*(along_z if len(self.shape) == 3 else []), *along_y, *along_x]

    def _halves(self, axis: int) -> list[tuple[slice, slice]]:
        """Return where voxels from the origin on, and those before it, are on the grid."""
        n, m = self._voxels[axis], self.grids.shape[axis + 1]
        origin = n // 2
        after = slice(0, n - origin), slice(origin, n)
        return [after, (slice(m - origin, m), slice(0, origin))] if origin else [after]

    def _corners(self) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """Give the parts of the image, on the grid and in the image."""
        for corner in product(*(self._halves(axis) for axis in range(3))):
            on_grid, in_image = zip(*corner, strict=True)
            yield (slice(None), *on_grid), (slice(None), *in_image)

    def _undone(self, place: tuple[slice, ...]) -> Float32:
        z, y, x = (weights[part] for weights, part in zip(self.weights, place[1:], strict=True))
        weights: Float32 = z[:, None, None] * y[:, None] * x
        return weights


def _transform(run: Any, lines: Complex64, axis: int, norm: str, threads: int) -> None:  # noqa: ANN401
    made = run(lines, (axis,), norm=norm, workers=threads)
    if not np.may_share_memory(made, lines):
        lines[...] = made


def plan_tiled(
    cycles: Float64,
    shape: tuple[int, ...],
    kernel: Kernel,
    *,
    eps: float,
    coils: int,
    threads: int,
    alone: bool = False,
) -> TiledNufft:
    """Plan a transform.

    Parameters
    ----------
    cycles
        Positions in cycles per voxel, ``(samples, dims)``, along read, phase, slice.
    shape
        Voxels ``(z, y, x)`` or ``(y, x)``.
    kernel, eps
        From `choose_kernel`, and the relative l2 error for which it was chosen.
    coils
        How many grids to work on at a time; more than `kernels.COILS` are of no use.
    threads
        Cores; the result has the same bits for any number.
    alone
        There is one coil: its numbers are added up in another order, which is faster for it.
    """
    from ultrahand.kernels import CELL, COILS, PAD

    upsampling, width = kernel
    flat = (1,) * (3 - len(shape))
    grid = flat + _fine_grid(shape, kernel)
    weights = []
    for n, m in zip(flat + shape, grid, strict=True):
        frequency = (np.arange(n) - n // 2) / m
        undone = 1 / kernel_transform(frequency, width, upsampling) if m > 1 else np.ones(1)
        weights.append(undone / math.sqrt(n))
    z, y, x = (w.astype(np.float32) for w in weights)
    return TiledNufft(
        shape=shape,
        n_samples=len(cycles),
        eps=eps,
        kernel=kernel,
        threads=threads,
        tiling=tile_samples(cycles, grid, width, 2 if alone else CELL, threads),
        table=kernel_table(width, upsampling, PAD),
        weights=(z, y, x),
        grids=np.zeros((1 if alone else min(coils, COILS), *grid), np.complex64),
    )


def choose_kernel(n_samples: int, shape: tuple[int, ...], eps: float) -> Kernel:
    """Return the kernel that takes least time among those that err by no more than `eps`.

    A coarser grid takes less time to transform, and needs a wider kernel.
    """

    def cost(kernel: Kernel) -> float:
        weights = kernel[1] ** len(shape)
        grid = math.prod(_fine_grid(shape, kernel))
        return n_samples * (_SAMPLE + _WEIGHTS * weights) + grid * _CELL

    fit = [(s, w) for s, widths in ERRORS.items() for w, error in widths.items() if error <= eps]
    return min(fit or [(2.0, max(ERRORS[2.0]))], key=cost)


def tiled_bytes(n_samples: int, shape: tuple[int, ...], eps: float) -> tuple[int, int]:
    """Return the bytes of a plan, and of each coil that is worked on at a time: grid and lines."""
    grid = math.prod(_fine_grid(shape, choose_kernel(n_samples, shape, eps)))
    return n_samples * (_POINT_BYTES + _PLAN_BYTES), 2 * 8 * grid


def _fine_grid(shape: tuple[int, ...], kernel: Kernel) -> tuple[int, ...]:
    from scipy.fft import next_fast_len

    upsampling, width = kernel
    return tuple(next_fast_len(max(math.ceil(upsampling * n), 2 * width)) for n in shape)
