r"""Few time courses: the nuclear norm of a series of images, whole or block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.numerics.priors.contract import frames, require_weight
from ultrahand.records.arrays import Complex64, require

VOXELS_AT_A_TIME = 2**16
"""As many voxels of all frames are copied, in double precision, at a time."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LowRank:
    r"""The sum over blocks of ``w edge`` times the singular values of (voxels, frames).

    Blocks tile the image from a random cyclic shift on in each iteration, so that none of their
    edges stays (locally low rank: Trzasko, Manduca, Borisch: Proc ISMRM 2011;19:4371; shifts as in
    cycle spinning).

    In noise units: a matrix of p x t complex entries of noise alone, variance 1 a part, has its
    largest singular value at :math:`\sqrt 2 (\sqrt p + \sqrt t)` (Yin, Bai,
    Krishnaiah: Probab Theory Relat Fields 1988;78:509, doi:10.1007/BF00353874),
    the ``edge``. So w = 1 just removes fully measured
    noise, for blocks of any size and any number of frames; a signal's singular value s shrinks to
    s - w edge.
    """

    weight: float
    block: tuple[int, int, int] | None = (8, 8, 8)
    """Voxels along z, y, x; an axis shorter than that is one block. None: one block for all."""
    shifts: int | None = 0
    """Seed of the random shifts; None: blocks begin at voxel 0."""

    def __post_init__(self) -> None:
        require_weight(self.weight)
        good = self.block is None or (len(self.block) == 3 and min(self.block) >= 1)
        require(good, f"block must be three numbers >= 1, got {self.block}")

    @property
    def steady(self) -> bool:
        return self.shifts is None or self.block is None

    def prox(self, z: Complex64, step: float, turn: int, out: Complex64, /) -> float:
        return self._shrink(frames(z), step, turn, frames(out))

    def value(self, x: Complex64, /) -> float:
        return self._shrink(frames(x), 0.0, 0, None)

    def _shrink(self, x: Complex64, step: float, turn: int, out: Complex64 | None) -> float:
        """Go through the blocks a row of them at a time."""
        total = 0.0
        sizes = x.shape[1:] if self.block is None else self.block
        indices = [
            _tiles(n, size, shift)
            for n, size, shift in zip(
                x.shape[1:], sizes, self._shift(x.shape[1:], turn), strict=True
            )
        ]
        with one_blas_thread():
            for z in indices[0]:
                for y in indices[1]:
                    for group in _grouped(indices[2], VOXELS_AT_A_TIME // max(1, len(z) * len(y))):
                        total += self._row((x, out), (z, y), group, step)
        return total

    def _shift(self, shape: tuple[int, ...], turn: int) -> tuple[int, ...]:
        if self.shifts is None or self.block is None:
            return (0, 0, 0)
        most = [min(n, size) for n, size in zip(shape, self.block, strict=True)]
        return tuple(int(s) for s in np.random.default_rng([self.shifts, turn]).integers(0, most))

    def _row(
        self,
        images: tuple[Complex64, Complex64 | None],
        place: tuple[NDArray[Any], NDArray[Any]],
        group: NDArray[Any],
        step: float,
    ) -> float:
        """Shrink some blocks of equal size beside each other along x, ``(blocks, size)``."""
        x, out = images
        z, y = place
        at = (z[:, None, None], y[:, None], group.ravel())
        part = x[(slice(None), *at)]
        matrices = part.reshape(len(x), len(z) * len(y), *group.shape)
        matrices = np.moveaxis(matrices, 2, 0).reshape(len(group), len(x), -1)
        edge = math.sqrt(2) * (math.sqrt(matrices.shape[2]) + math.sqrt(len(x)))
        shrunk, sizes = _threshold(matrices.astype(np.complex128), step * self.weight * edge)
        if out is not None:
            back = shrunk.reshape(len(group), len(x), len(z) * len(y), group.shape[1])
            out[(slice(None), *at)] = np.moveaxis(back, 0, 2).reshape(part.shape)
        return self.weight * edge * sizes


def _tiles(n: int, size: int, shift: int) -> list[NDArray[Any]]:
    """Return the voxels of each block along an axis; the last may be shorter."""
    order = (np.arange(n) + shift) % n
    return [order[first : first + size] for first in range(0, n, size)]


def _grouped(tiles: list[NDArray[Any]], most: int) -> list[NDArray[Any]]:
    """Return blocks of equal size along x, as many at a time as fit, ``(blocks, size)``."""
    whole = [tile for tile in tiles if len(tile) == len(tiles[0])]
    at_once = max(1, most // len(tiles[0]))
    groups = [np.stack(whole[i : i + at_once]) for i in range(0, len(whole), at_once)]
    return groups + [tile[None] for tile in tiles if len(tile) != len(tiles[0])]


def _threshold(
    matrices: NDArray[np.complex128], threshold: float
) -> tuple[NDArray[np.complex128], float]:
    """Soft-threshold the singular values of ``(blocks, t, p)``; return also the sum of what's left.

    The Gram matrix of the shorter side gives them: in double precision those lost in rounding are
    1e-8 of the largest, far below the noise of single precision data.
    """
    t, p = matrices.shape[1:]
    turned = matrices.conj().swapaxes(1, 2)
    gram = matrices @ turned if t <= p else turned @ matrices
    power, vectors = np.linalg.eigh(gram)
    sizes = np.sqrt(np.maximum(power, 0))
    left = np.maximum(sizes - threshold, 0)
    share = np.divide(left, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    weights = (vectors * share[:, None]) @ vectors.conj().swapaxes(1, 2)
    shrunk = weights @ matrices if t <= p else matrices @ weights
    return shrunk, float(left.sum())
