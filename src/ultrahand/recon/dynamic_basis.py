r"""A few functions of time that hold every curve of a library, and how many it takes.

The first is constant, so that what does not enhance is held exactly; the others are the principal
components of the curves without their means. The number follows from the arrival times that are
left of the curves, not from their energy: a basis that keeps 99.6 % of that can still move a vessel
by seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.dynamic_arrival import half_rise_s
from ultrahand.recon.dynamic_library import Library
from ultrahand.records.arrays import Float64, freeze, require

MOST: Final = 24
"""Functions that are tried."""
RISEN: Final = 1e-3
"""Of the largest enhancement of all curves: one that stays below has not risen."""
_REAL: Final = 1e-7
"""Of the largest singular value: functions below are rounding."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """Functions of time."""

    time_s: Float64
    """Of the spokes, ``(spokes,)``."""
    functions: Float64
    """At these times, orthonormal, ``(K, spokes)``."""
    library: Library
    mixing: Float64
    """``(K, 1 + curves)``: each function is a sum of 1 and the curves of the library."""

    def __post_init__(self) -> None:
        freeze(self, functions=self.functions, mixing=self.mixing)

    @property
    def size(self) -> int:
        return len(self.functions)

    def at(self, time_s: Float64) -> Float64:
        """Return the functions at any times, ``(K, times)``.

        They are the library's own sums, not interpolated; beyond the spokes' times nothing was
        measured.
        """
        return self.mixing[:, :1] + self.mixing[:, 1:] @ self.library.curves(time_s)


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SizeErrors:
    """What arrival times become in the span of the first K functions."""

    sizes: tuple[int, ...]
    worst_s: tuple[float, ...]
    """Largest error among curves that the basis was not made of."""
    sd_s: tuple[float, ...]
    """Root mean square of the errors."""
    lost: tuple[int, ...]
    """Curves without an arrival in the span: they count as infinitely wrong."""
    energy: tuple[float, ...]
    """Share of the curves' energy about their means that is kept, for comparison only."""


def choose_basis(
    time_s: Float64, trained: Library, tested: Library, *, error_s: float, most: int = MOST
) -> tuple[Basis, SizeErrors]:
    """Return the smallest basis that keeps every arrival time.

    Parameters
    ----------
    time_s
        K-centre times of the spokes, ``(spokes,)``, in any order.
    trained
        Curves of which the basis is made.
    tested
        Curves by which it is judged: between those of the first, and of all kinds that are to be
        timed. Those that do not reach their half within the times are left out.
    error_s
        Largest error of `dynamic_arrival.half_rise_s` that is accepted: of the span alone, without
        noise, which grows with the size.
    most
        Functions that are tried.

    Raises
    ------
    InputError
        No size is good enough.
    """
    require(error_s > 0 and most >= 1, "error_s must be positive, most at least 1")
    basis = make_basis(time_s, trained, most=most)
    errors = arrival_errors(basis, tested)
    for size, worst in zip(errors.sizes, errors.worst_s, strict=True):
        if worst <= error_s:
            return first_functions(basis, size), errors
    best = int(np.argmin(errors.worst_s))
    raise InputError(
        "temporal subspace",
        found=f"arrivals wrong by up to {errors.worst_s[best]:.3g} s with {errors.sizes[best]} "
        f"functions, the best of {len(errors.sizes)}",
        expected=f"at most {error_s:g} s",
        remedy="train on curves of the kinds that are tested, in smaller steps of arrival, or "
        "accept a larger error",
    )


def make_basis(time_s: Float64, trained: Library, *, most: int = MOST) -> Basis:
    """Return as many functions as asked for, or as the curves have.

    Parameters
    ----------
    time_s
        K-centre times of the spokes, ``(spokes,)``.
    trained
        The curves.
    most
        Functions, the constant one among them.
    """
    require(time_s.ndim == 1 and len(time_s) >= 1, "time_s must be (spokes,)")
    excess = trained.curves(time_s)
    curves, scale = _scaled(excess)
    means = curves.mean(axis=1)
    left, sizes, _ = np.linalg.svd(curves - means[:, None], full_matrices=False)
    count = min(most - 1, int((sizes > _REAL * sizes[0]).sum()) if sizes[0] > 0 else 0)
    mixing = np.zeros((count + 1, 1 + len(curves)))
    mixing[0, 0] = 1 / np.sqrt(len(time_s))
    mixing[1:, 1:] = (left[:, :count] / sizes[:count]).T
    mixing[1:, 0] = -(mixing[1:, 1:] @ means)
    mixing[:, 1:] *= scale
    return Basis(
        time_s=time_s,
        functions=mixing[:, :1] + mixing[:, 1:] @ excess,
        library=trained,
        mixing=mixing,
    )


def _scaled(curves: Float64) -> tuple[Float64, Float64]:
    """Return curves whose largest value is 1, so that all count the same, and the factors.

    Those that do not rise within the times are 0 instead: scaled up they would be rounding.
    """
    tops = curves.max(axis=1)
    risen = tops > RISEN * tops.max(initial=0.0)
    scale = np.divide(1.0, tops, out=np.zeros_like(tops), where=risen)
    return curves * scale[:, None], scale


def first_functions(basis: Basis, size: int) -> Basis:
    """Return a basis of the first functions of another."""
    require(1 <= size <= basis.size, f"size must lie in [1, {basis.size}], got {size}")
    return Basis(
        time_s=basis.time_s,
        functions=basis.functions[:size],
        library=basis.library,
        mixing=basis.mixing[:size],
    )


def arrival_errors(basis: Basis, tested: Library) -> SizeErrors:
    """Return the errors of arrival of curves projected onto the first 1 to K functions."""
    order = np.argsort(basis.time_s, kind="stable")
    times, first = np.unique(basis.time_s[order], return_index=True)
    curves, _ = _scaled(tested.curves(basis.time_s))
    truth = half_rise_s(times, curves[:, order][:, first])
    curves, truth = curves[np.isfinite(truth)], truth[np.isfinite(truth)]
    require(len(curves) > 0, "no tested curve rises within the times of the spokes")
    shares = curves @ basis.functions.T
    about = ((curves - curves.mean(axis=1, keepdims=True)) ** 2).sum()
    worst, sd, lost, energy = [], [], [], []
    for size in range(1, basis.size + 1):
        kept = shares[:, :size] @ basis.functions[:size]
        errors = half_rise_s(times, kept[:, order][:, first]) - truth
        missing = int((~np.isfinite(errors)).sum())
        lost.append(missing)
        worst.append(float("inf") if missing else float(np.abs(errors).max()))
        sd.append(float("inf") if missing else float(np.sqrt((errors**2).mean())))
        energy.append(float((shares[:, 1:size] ** 2).sum() / about))
    return SizeErrors(
        sizes=tuple(range(1, basis.size + 1)),
        worst_s=tuple(worst),
        sd_s=tuple(sd),
        lost=tuple(lost),
        energy=tuple(energy),
    )
