"""Sparsity in an orthonormal wavelet basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.numerics.priors.contract import frames, require_weight
from ultrahand.records.arrays import Complex64, Float32, Float64, require


def daubechies(moments: int) -> Float64:
    """Return the coarse filter with as many vanishing moments, of twice as many taps.

    Of the extremal phase: Daubechies: Commun Pure Appl Math 1988;41:909,
    doi:10.1002/cpa.3160410705. Its autocorrelation is known; the roots of that inside the unit
    circle make the filter. 1 gives Haar's, 2 and 4 what other toolkits call db2 and db4.
    """
    from math import comb

    p, y = np.polynomial.Polynomial, np.polynomial.Polynomial([-0.25, 0.5, -0.25])
    # sum over k of C(p - 1 + k, k) sin^2k(w / 2), sin^2(w / 2) = -(z - 1)^2 / (4 z), times z^(p-1)
    total = p([0.0])
    for k in range(moments):
        total += comb(moments - 1 + k, k) * y**k * p([0.0, 1.0]) ** (moments - 1 - k)
    roots = total.roots() if moments > 1 else np.zeros(0)
    inside = roots[np.abs(roots) < 1]
    zeros = np.concatenate([np.full(moments, -1.0), inside])
    taps = np.polynomial.polynomial.polyfromroots(zeros).real[::-1]
    return np.asarray(taps / np.linalg.norm(taps), np.float64)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Wavelets:
    """``w`` times the sum of the sizes of all wavelet coefficients but the coarsest means.

    In noise units: an orthonormal transform of white noise is white, so each coefficient has a
    noise of 1, on every level, for every matrix, and a fully measured one is shrunk by w of its
    noise standard deviations; those of noise alone exceed w with a probability of ``exp(-w^2 / 2)``
    (of complex noise with variance 1 a part). A finer matrix of the same field of view with
    `levels` one more gives the coarser coefficients the same signal in noise units as before.

    Sizes: an axis of odd length is paired but for its last voxel, which joins the coarse half as it
    is; an axis of length 1 is that case. So the basis is orthonormal for every size, with less
    sparsity at that end; `shifts` move the end about.
    """

    weight: float
    moments: int = 1
    """Vanishing moments of Daubechies' filter: 1 for Haar's."""
    levels: int = 4
    """Splits; fewer where every axis has come to 1."""
    axes: tuple[int, ...] = (-3, -2, -1)
    """Which of z, y, x are transformed."""
    shifts: int | None = 0
    """Seed of the random cyclic shift of the basis in each iteration (cycle spinning: Figueiredo,
    Nowak: IEEE Trans Image Process 2003;12:906, doi:10.1109/TIP.2003.814255): it removes the
    basis's blocks at no cost; the same seed gives the same bits. None: the basis stays where it
    is, and the objective is one and the same function throughout."""

    def __post_init__(self) -> None:
        require_weight(self.weight)
        require(1 <= self.moments <= 8, f"1 to 8 vanishing moments, got {self.moments}")
        require(self.levels >= 1, f"levels must be >= 1, got {self.levels}")
        good = bool(self.axes) and set(self.axes) <= {-3, -2, -1}
        require(good, f"axes must be some of -3, -2, -1, got {self.axes}")

    @property
    def steady(self) -> bool:
        return self.shifts is None

    def prox(self, z: Complex64, step: float, turn: int, out: Complex64, /) -> float:
        shift = self._shift(z.shape[-3:], turn)
        return self.weight * self._shrink(frames(z), frames(out), step * self.weight, shift)

    def value(self, x: Complex64, /) -> float:
        return self.weight * self._shrink(
            frames(x), np.empty_like(frames(x)), 0.0, self._shift(x.shape[-3:], 0)
        )

    def _shift(self, shape: tuple[int, ...], turn: int) -> tuple[int, int, int]:
        if self.shifts is None:
            return 0, 0, 0
        most = [min(n, 2**self.levels) for n in shape]
        drawn = np.random.default_rng([self.shifts, turn]).integers(0, most)
        z, y, x = (
            int(s) if axis in self.axes else 0 for axis, s in zip((-3, -2, -1), drawn, strict=True)
        )
        return z, y, x

    def _shrink(
        self, x: Complex64, out: Complex64, threshold: float, shift: tuple[int, int, int]
    ) -> float:
        if self.moments == 1:
            split = (-3 in self.axes, -2 in self.axes, -1 in self.axes)
            return _haar(x, out, np.float32(threshold), (split, shift, self.levels))
        return self._general(x, out, np.float32(threshold), shift)

    def _general(
        self, x: Complex64, out: Complex64, threshold: np.float32, shift: tuple[int, int, int]
    ) -> float:
        from ultrahand import kernels

        filters = self._filters()
        out[...] = x
        boxes = [(x.shape[1], x.shape[2], x.shape[3])]
        axes = sorted(axis + 4 for axis in self.axes)
        while len(boxes) <= self.levels and any(boxes[-1][axis - 1] > 1 for axis in axes):
            here = shift if len(boxes) == 1 else (0, 0, 0)
            for axis in axes:
                kernels.wavelet_lines(filters, boxes[-1], axis, here[axis - 1], False, out)
            z, y, x_ = (-(-n // 2) if a in axes else n for a, n in enumerate(boxes[-1], 1))
            boxes.append((z, y, x_))
        sums = np.empty(out.shape[:3])
        kernels.shrink_details(boxes.pop(), threshold, (out, sums))
        while boxes:
            box = boxes.pop()
            here = (0, 0, 0) if boxes else shift
            for axis in reversed(axes):
                kernels.wavelet_lines(filters, box, axis, here[axis - 1], True, out)
        return float(sums.sum())

    def _filters(self) -> Float32:
        low = daubechies(self.moments)
        signs = (-1.0) ** np.arange(len(low))
        return np.stack([low, signs * low[::-1]]).astype(np.float32)


def _haar(
    x: Complex64,
    out: Complex64,
    threshold: np.float32,
    basis: tuple[tuple[bool, bool, bool], tuple[int, int, int], int],
) -> float:
    """Split, shrink, go on with the coarse image, and join: each level reads its image twice."""
    from ultrahand import kernels

    split, shift, levels = basis
    sizes = [-(-n // 2) if s else n for n, s in zip(x.shape[1:], split, strict=True)]
    if levels == 0 or sizes == list(x.shape[1:]):
        out[...] = x
        return 0.0
    coarse = np.empty((len(x), *sizes), np.complex64)
    sums = np.empty(coarse.shape[:3])
    kernels.haar_down(x, split, shift, threshold, (out, coarse, sums))
    finer = float(sums.sum())
    finer += _haar(coarse, coarse, threshold, (split, (0, 0, 0), levels - 1))
    kernels.haar_up(coarse, split, shift, out)
    return finer
