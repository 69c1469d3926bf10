r"""Fill the unsampled end of k-space from the smoothness of the phase: POCS.

Partial Fourier and partial (asymmetric) echoes leave out a part at one end of an axis. If the
phase :math:`\phi` of the object is smooth, the symmetric centre that was sampled shows it, and the
image lies in two convex sets: its k-space equals the data where there are data, and it is real
once :math:`\phi` is taken off. Projecting onto one and the other in turn converges to both:

.. math:: x \leftarrow e^{i \phi}\, \mathrm{Re}(e^{-i \phi} x), \qquad
          \mathcal F x \leftarrow data \ \text{where sampled}

(Cuppen, van Est: Magn Reson Imaging 1987;5:526, doi:10.1016/0730-725X(87)90151-5; Haacke,
Lindskog, Lin: J Magn Reson 1991;92:126, doi:10.1016/0022-2364(91)90253-P). Haacke keeps
:math:`|x| e^{i \phi}`; the part along the phase differs only where noise makes it negative, keeps
the noise Gaussian of mean zero, and is a projection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ultrahand.recon.fourier import (
    from_fft_order,
    image_to_kspace_in_place,
    kspace_to_image_in_place,
    to_fft_order,
)
from ultrahand.records.arrays import Bools, Complex64, Real, freeze, require

Axes = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FilledKspace:
    """A k-space whose unsampled end is filled."""

    value: Complex64
    """Shape ``(coils, z, y, x)``; bit for bit the data where there are data."""
    iterations: int
    """The most that any coil took."""
    residual: float
    """Last change of a coil's image over its norm; the largest of the coils."""
    converged: bool
    """Whether all residuals came below the tolerance."""

    def __post_init__(self) -> None:
        freeze(self, value=self.value)


class _Run(NamedTuple):
    """The sampled positions ``first:stop`` of an axis of `size` with its origin at `size // 2`."""

    first: int
    stop: int
    size: int

    @property
    def half_width(self) -> int:
        """Positions on each side of the origin that are sampled on both."""
        return min(self.size // 2 - self.first, self.stop - 1 - self.size // 2)

    @property
    def support(self) -> slice:
        """The run and its mirror image: what can be filled. The ends beyond stay zero."""
        first = 0 if self.stop == self.size else self.size // 2 * 2 - self.stop + 1
        stop = self.size // 2 * 2 - self.first + 1
        return slice(max(0, min(self.first, first)), min(self.size, max(self.stop, stop)))

    @property
    def partial(self) -> bool:
        return self.support != slice(self.first, self.stop)


def fill_partial_fourier(
    kspace: Complex64,
    sampled: Bools,
    *,
    tolerance: float = 1e-3,
    max_iterations: int = 50,
    workers: int = 1,
) -> FilledKspace:
    """Fill the unsampled end of one or more axes by projections onto convex sets.

    Parameters
    ----------
    kspace
        Centred k-space, shape ``(coils, z, y, x)``; what it holds where nothing was sampled is
        not read.
    sampled
        Where there are data, shape ``(z, y, x)``: along each axis one run of positions around the
        origin, together a block.
    tolerance
        Stop when a step changes a coil's image by less than this part of its norm.
    max_iterations
        Give up after as many; the result says so.
    workers
        Threads of the transforms; the result is the same for any number.

    Raises
    ------
    ultrahand.errors.RecordError
        If the shapes differ, the samples are no such block, or they are not finite.
    """
    data = np.asarray(kspace, np.complex64)
    require(
        data.ndim == 4 and sampled.shape == data.shape[1:],
        f"kspace {data.shape} must be (coils, z, y, x) and sampled {sampled.shape} its (z, y, x)",
    )
    require(max_iterations >= 1, f"max_iterations must be >= 1, got {max_iterations}")
    runs = _runs(sampled)
    data = np.where(sampled, data, np.complex64(0))
    require(bool(np.isfinite(data).all()), "sampled k-space must be finite")
    if not any(run.partial for run in runs):
        return FilledKspace(value=data, iterations=0, residual=0.0, converged=True)
    iterations, residual = 0, 0.0
    for coil, measured in enumerate(data):
        filled, steps, change = _fill(measured, runs, tolerance, max_iterations, workers)
        data[coil] = np.where(sampled, measured, filled)
        iterations, residual = max(iterations, steps), max(residual, change)
    return FilledKspace(
        value=data, iterations=iterations, residual=residual, converged=residual < tolerance
    )


def _fill(
    measured: Complex64, runs: list[_Run], tolerance: float, max_iterations: int, workers: int
) -> tuple[Complex64, int, float]:
    """Iterate the two projections for one coil, shape ``(z, y, x)``."""
    partial = tuple(axis for axis, run in enumerate(runs) if run.partial)
    complete = tuple(axis for axis, run in enumerate(runs) if not run.partial)
    every = tuple(range(len(runs)))
    # Along complete axes both projections act alike in image space: transform those only once.
    data = to_fft_order(measured, every)
    if complete:
        kspace_to_image_in_place(data, complete, workers=workers)
    known = _mask(runs, partial, [slice(r.first, r.stop) for r in runs])
    support = _mask(runs, partial, [r.support for r in runs])
    rotation = _smooth_phase(data, runs, partial, workers)
    back = rotation.conj()
    kspace, before, change, step = data.copy(), np.zeros_like(data.real), 0.0, 0
    while step < max_iterations:
        step += 1
        image = kspace_to_image_in_place(kspace, partial, workers=workers)
        image *= back
        along = image.real.copy()
        norm = _energy(along)
        change = math.sqrt(_energy(along - before) / norm) if norm > 0 else 0.0
        before = along
        image.imag = 0
        image *= rotation
        kspace = image_to_kspace_in_place(image, partial, workers=workers)
        kspace *= support
        np.copyto(kspace, data, where=known)
        if change < tolerance:
            break
    if complete:
        image_to_kspace_in_place(kspace, complete, workers=workers)
    return from_fft_order(kspace, every), step, change


def _smooth_phase(data: Complex64, runs: list[_Run], partial: Axes, workers: int) -> Complex64:
    """Return ``exp(i phase)`` of the symmetric centre, tapered by a Hann window."""
    low = data.copy()
    for axis in partial:
        run = runs[axis]
        distance = np.arange(run.size) - run.size // 2
        hann = np.cos(np.pi / 2 * distance / (run.half_width + 1)) ** 2
        hann[np.abs(distance) > run.half_width] = 0
        low *= np.fft.ifftshift(hann).astype(np.float32).reshape(_along(axis, run.size))
    low = kspace_to_image_in_place(low, partial, workers=workers)
    size = np.abs(low)
    return np.divide(low, size, out=np.ones_like(low), where=size > 0)


def _runs(sampled: Bools) -> list[_Run]:
    """Return the sampled run of each axis; refuse what is not a block around the origin."""
    runs = []
    for axis, size in enumerate(sampled.shape):
        others = tuple(a for a in range(sampled.ndim) if a != axis)
        hit = np.flatnonzero(sampled.any(axis=others))
        require(hit.size > 0, "nothing is sampled")
        run = _Run(int(hit[0]), int(hit[-1]) + 1, size)
        require(
            run.half_width >= 1 or not run.partial,
            f"axis {axis}: samples {run.first} to {run.stop - 1} of {size} do not surround the "
            f"origin {size // 2}",
        )
        runs.append(run)
    block = sampled[tuple(slice(run.first, run.stop) for run in runs)]
    require(bool(block.all()), "the sampled positions must form a block without gaps")
    return runs


def _mask(runs: list[_Run], axes: Axes, inside: list[slice]) -> Bools:
    """Mark the slices of `axes`, in FFT order; of size 1 along the other axes."""
    mask = np.ones((1, 1, 1), np.bool_)
    for axis in axes:
        line = np.zeros(runs[axis].size, np.bool_)
        line[inside[axis]] = True
        mask = mask & np.fft.ifftshift(line).reshape(_along(axis, runs[axis].size))
    return mask


def _along(axis: int, size: int) -> list[int]:
    return [size if a == axis else 1 for a in range(3)]


def _energy(image: Real) -> float:
    """Sum of squares in float64; numpy's own norm uses threaded BLAS, whose bits vary."""
    return float(np.square(image, dtype=np.float64).sum())
