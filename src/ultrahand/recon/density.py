r"""Density compensation of any trajectory: the iteration of Pipe and Menon.

Weights :math:`w` that make the sampling density uniform once it is blurred by :math:`\psi`:

.. math:: w \leftarrow \frac{w}{(w * \psi)}, \qquad
          \psi(k) = \left| \mathcal F\{1_{|r_a| < FOV_a / 2}\} \right|^2 / V

evaluated at the samples (Pipe, Menon: MRM 1999;41:179, doi:10.1002/(SICI)1522-2594(199901)41:1
<179::AID-MRM25>3.0.CO;2-V). :math:`\psi` is that of Johnson and Pipe (MRM 2009;61:439,
doi:10.1002/mrm.21840) for an elliptic field of view: it is not negative, so weights stay positive,
and its transform, the autocorrelation of the ellipse, is zero outside twice the field of view, so
the convolution is exact on a grid of that size: type 1, window, type 2.

The unit of :math:`w` is the Nyquist cell of the field of view, :math:`1 / \prod FOV_a`. By Poisson
summation a complete Cartesian grid has :math:`w * \psi = h(0) = 1` for :math:`w = 1`. A sample
with no neighbour gets the largest weight, :math:`1 / \psi(0)`, which is :math:`4/\pi` in 2D and
:math:`6/\pi` in 3D. k-space is taken as periodic with the voxel grid, as the image is.

What differs from the papers, for speed and not for the result: the iteration starts from the
number of samples in each cell, and steps of :math:`\log w` carry Nesterov's momentum, which takes
a third to half of the steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ultrahand.recon._finufft import FINEST_EPS, plan_nufft
from ultrahand.records.arrays import Float32, Float64, freeze, require

PARTS = 2
"""Samples are split in two, so that two cores can share one transform; see `plan_nufft`."""

FINEST_TOLERANCE = 10 * FINEST_EPS["complex64"]
"""The convolution is made in single precision, ten times finer than the tolerance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DensityWeights:
    """The k-space area (volume) of every sample."""

    weights: Float32
    """Shape ``(samples,)``, in Nyquist cells of the field of view; positive."""
    iterations: int
    """How often ``w * psi`` was evaluated."""
    residual: float
    """Root mean square of ``w * psi - 1``, weighted with ``w``."""
    converged: bool
    """Whether the residual came below the tolerance."""

    def __post_init__(self) -> None:
        freeze(self, weights=self.weights)


def density_weights(
    k_per_m: Float64,
    *,
    shape: tuple[int, ...],
    voxel_size_m: tuple[float, ...],
    tolerance: float = 1e-2,
    max_iterations: int = 40,
    threads: int = 1,
    max_bytes: int = 4 * 1024**3,
) -> DensityWeights:
    """Return the density weights of a trajectory.

    Parameters
    ----------
    k_per_m
        Sample positions in cycles per metre, shape ``(samples, dims)``, dims in the order read,
        phase, slice.
    shape, voxel_size_m
        Image voxels ``(z, y, x)`` or ``(y, x)``, and their spacing along read, phase, slice; their
        product is the field of view. Samples beyond the grid's Nyquist frequency are kept apart
        (the grid is made finer), not aliased.
    tolerance
        Stop when the residual is below; at least `FINEST_TOLERANCE`.
    max_iterations
        Give up after as many; the result says so.
    threads, max_bytes
        As for `ultrahand.recon._finufft.plan_nufft`; they never change the result.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other or the tolerance is out of reach.
    ultrahand.errors.ResourceError
        If the work needs more than ``max_bytes``.
    """
    require(tolerance >= FINEST_TOLERANCE, f"tolerance must be >= {FINEST_TOLERANCE:g}")
    require(max_iterations >= 1, f"max_iterations must be >= 1, got {max_iterations}")
    cycles = _cycles_per_fov(k_per_m, shape, voxel_size_m)
    grid = _covering_grid(cycles, shape)
    blur, peak = _plan_blur(
        cycles, grid, eps=min(tolerance / 10, 1e-3), threads=threads, max_bytes=max_bytes
    )
    return _iterate(blur, peak, _one_over_count(cycles, grid), tolerance, max_iterations)


def _iterate(
    blur: Callable[[Float32], Float32],
    peak: np.float32,
    start: Float32,
    tolerance: float,
    max_iterations: int,
) -> DensityWeights:
    """Step ``log w`` by ``-log(w * psi)``, from a point ahead on the line of the last two."""
    log_w = before = np.log(start)
    for step in range(max_iterations):
        ahead = log_w + np.float32(step / (step + 3)) * (log_w - before)
        w = np.exp(ahead)
        # psi is nowhere negative, so this bound is exact: only rounding can fall below it.
        blurred = np.maximum(blur(w), peak * w)
        residual = math.sqrt(np.average((blurred - 1.0) ** 2, weights=w))
        if residual < tolerance:
            break
        before, log_w = log_w, ahead - np.log(blurred)
    return DensityWeights(
        weights=w, iterations=step + 1, residual=residual, converged=residual < tolerance
    )


def _plan_blur(
    cycles: Float64, grid: tuple[int, ...], *, eps: float, threads: int, max_bytes: int
) -> tuple[Callable[[Float32], Float32], np.float32]:
    """Return ``w -> w * psi`` at the samples, and ``psi(0)``.

    The image of real weights is Hermitian, so only the half ``0 <= r < FOV`` of the first axis is
    made; its first plane counts half, as it belongs to both. The half is centred on the grid of
    the transform by the phase of a shift.
    """
    n_first, dims = grid[0], len(grid)
    box = (n_first, *(2 * n for n in grid[1:]))
    transform = plan_nufft(
        cycles[:, ::-1],
        shape=box,
        voxel_size_m=tuple(1 / n for n in reversed(grid)),
        eps=eps,
        threads=threads,
        max_bytes=max_bytes,
        n_parts=PARTS,
    )
    turns = cycles[:, 0] * (n_first // 2) / n_first
    shift = np.exp(2j * np.pi * (turns - np.rint(turns))).astype(np.complex64)
    half = autocorrelation_window(grid)[n_first:]
    half[0] *= 0.5
    half *= 2 ** (dims - 1) * 2  # box voxels over grid voxels; the other half, by symmetry

    def blur(w: Float32) -> Float32:
        image = transform.adjoint(w * shift)
        image *= half
        blurred = transform.forward(image)
        blurred *= shift.conj()
        return blurred.real

    return blur, np.float32(half.sum(dtype=np.float64) / math.prod(box))


def autocorrelation_window(grid: tuple[int, ...]) -> Float32:
    r"""Return the overlap of the field of view's ellipse with itself, moved by ``r``; 1 at 0.

    With :math:`\rho = |r / FOV|`: :math:`\frac{2}{\pi} (\arccos \rho - \rho \sqrt{1 - \rho^2})`
    for an ellipse, :math:`1 - \frac32 \rho + \frac12 \rho^3` for an ellipsoid; 0 from 1 on.

    Parameters
    ----------
    grid
        Voxels across the field of view; the window has twice as many, origin at ``N // 2``.
    """
    axes = [np.arange(-n, n) / n for n in grid]
    squares = [a**2 for a in np.meshgrid(*axes, indexing="ij", sparse=True)]
    rho = np.sqrt(np.minimum(sum(squares[1:], start=squares[0]), 1))
    if len(grid) == 2:
        window = 2 / np.pi * (np.arccos(rho) - rho * np.sqrt(1 - rho**2))
    else:
        window = 1 - 1.5 * rho + 0.5 * rho**3
    return window.astype(np.float32)


def _cycles_per_fov(
    k_per_m: Float64, shape: tuple[int, ...], voxel_size_m: tuple[float, ...]
) -> Float64:
    """Positions in Nyquist cells along the axes of the image, ``(z,) y, x``."""
    k = np.asarray(k_per_m, np.float64)
    require(
        k.ndim == 2 and len(k) > 0 and k.shape[1] == len(shape) == len(voxel_size_m),
        f"k_per_m {k.shape}, shape {shape} and voxel_size_m {voxel_size_m} must have the same "
        "dimensions",
    )
    require(len(shape) in (2, 3), f"shape must be (y, x) or (z, y, x), got {shape}")
    require(bool(np.isfinite(k).all()), "k_per_m must be finite")
    fov_m = [n * size for n, size in zip(reversed(shape), voxel_size_m, strict=True)]
    return np.ascontiguousarray((k * fov_m)[:, ::-1])


def _covering_grid(cycles: Float64, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Enough cells along each axis that no two of them are the same by periodicity."""
    extent = 2 * np.abs(cycles).max(axis=0)
    return tuple(max(n, math.ceil(e - 1e-6)) for n, e in zip(shape, extent, strict=True))


def _one_over_count(cycles: Float64, grid: tuple[int, ...]) -> Float32:
    """Share each cell among the samples in it: exact on Cartesian grids, near it elsewhere."""
    cell = np.floor(cycles + (0.5 + 1e-9)).astype(np.int64) % grid
    index = np.ravel_multi_index(tuple(cell.T), grid)
    return (1 / np.bincount(index, minlength=math.prod(grid))[index]).astype(np.float32)
