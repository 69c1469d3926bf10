"""How often each sample of a Cartesian grid was acquired."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from ultrahand.recon.lines import ReadoutClass

if TYPE_CHECKING:
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.records.arrays import Bools, Float64, Ints


@final
class Coverage:
    """How often each sample of the grid was acquired: averages are merged by their counts.

    Readouts of a line may cover different samples (partial echoes read in both directions), so
    counts are kept per shape of readout and turned into counts per sample where needed.
    """

    def __init__(self, plan: CartesianPlan, rows: Ints) -> None:
        self._plan = plan
        rows = np.sort(plan.used(rows))
        kinds = plan.shape_of[rows]
        self._groups = [(shape, rows[kinds == n]) for n, shape in enumerate(plan.classes)]
        size = plan.axes[2].n_grid * plan.axes[1].n_grid
        self._per_shape = np.stack(
            [np.bincount(self._line(mine), minlength=size) for _, mine in self._groups], axis=1
        )
        self.repeated = bool((self._per_shape.sum(axis=1) > 1).any())

    def _line(self, rows: Ints) -> Ints:
        return self._plan.line2[rows] * self._plan.axes[1].n_grid + self._plan.line1[rows]

    def groups(self) -> list[tuple[ReadoutClass, Ints]]:
        """Return rows by shape, such that no line occurs twice in a group."""
        if not self.repeated:
            return [(shape, mine) for shape, mine in self._groups if mine.size]
        found = []
        for shape, mine in self._groups:
            turn = _occurrence(self._line(mine))
            found += [(shape, mine[turn == t]) for t in np.unique(turn)]
        return found

    def weights(self, rows: Ints) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Return one over the number of readouts that cover each sample, 0 where none does."""
        return _inverse(self._per_shape[self._line(rows)] @ self._masks()).astype(np.float32)

    def line_counts(self) -> Ints:
        """Return how often each line was acquired, shape ``(z, y)``, origin first."""
        counts: Ints = self._per_shape.sum(axis=1).reshape(
            self._plan.axes[2].n_grid, self._plan.axes[1].n_grid
        )
        return counts

    def read_fraction(self) -> float:
        """Return which part of an acquired line's samples was acquired, on average."""
        counts, lines = self._patterns()
        some = counts.any(axis=1)
        return float(((counts[some] > 0).mean(axis=1) * lines[some]).sum() / lines[some].sum())

    def acquired(self) -> Bools:
        """Return which samples of the grid were acquired, shape ``(z, y, x)``, origin first."""
        y, z, x = self._plan.axes[1], self._plan.axes[2], self._plan.axes[0]
        return (self._per_shape @ self._masks() > 0).reshape(z.n_grid, y.n_grid, x.n_grid)

    @property
    def complete(self) -> bool:
        """Whether every sample of the encoded matrix was acquired, as far as the grid holds it."""
        x, y, z = (
            axis.grid_rows(k[axis.on_grid(k)])
            for axis in self._plan.axes
            for k in [np.arange(axis.n_encoded) - axis.n_encoded // 2]
        )
        lines = (z[:, None] * self._plan.axes[1].n_grid + y).ravel()
        patterns = np.unique(self._per_shape[lines], axis=0)
        return bool((patterns @ self._masks()[:, x] > 0).all())

    def variance(self) -> float:
        """Noise variance of an image voxel for unit variance of a sample (orthonormal FFT)."""
        counts, lines = self._patterns()
        voxels = np.prod([float(axis.n_grid) for axis in self._plan.axes])
        return float((_inverse(counts).sum(axis=1) * lines).sum() / voxels)

    def _patterns(self) -> tuple[Float64, Ints]:
        """Return how often each sample of a line was acquired, for each kind of line there is."""
        patterns, lines = np.unique(self._per_shape, axis=0, return_counts=True)
        return patterns @ self._masks(), lines

    def _masks(self) -> Float64:
        """Return which samples each shape covers, shape ``(shapes, x)``, origin first."""
        x = self._plan.axes[0]
        masks = np.zeros((len(self._groups), x.n_grid))
        for i, (shape, _) in enumerate(self._groups):
            k = shape.k_first + np.arange(shape.n_kept)
            masks[i, x.grid_rows(k[x.on_grid(k)])] = 1
        return masks


def _occurrence(values: Ints) -> Ints:
    """Count each value's occurrences so far: 0, 1, 2 ..."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    start = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    turn = np.arange(len(values)) - np.repeat(start, np.diff(np.r_[start, len(values)]))
    out = np.empty(len(values), np.int64)
    out[order] = turn
    return out


def _inverse(counts: Float64) -> Float64:
    return np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
