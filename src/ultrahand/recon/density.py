r"""Density compensation of any trajectory: the iteration of Pipe and Menon.

Weights :math:`w` that make the sampling density, blurred by :math:`\psi`, as uniform as it can be:

.. math:: w \leftarrow w\, \frac{c * \psi}{w * \psi}, \qquad
          \psi(k) = \left| \mathcal F\{1_{|r| < FOV / 2}\} \right|^2 / V

evaluated at the samples (Pipe, Menon: MRM 1999;41:179, doi:10.1002/(SICI)1522-2594(199901)41:1
<179::AID-MRM25>3.0.CO;2-V). :math:`\psi` is that of Johnson and Pipe (MRM 2009;61:439,
doi:10.1002/mrm.21840) for an elliptic field of view: it is not negative, so weights stay positive,
and its transform, the autocorrelation of the ellipse, is zero outside twice the field of view, so
the convolution is exact on a grid of that size: type 1, window, type 2.

Three things differ from the papers:

* The papers have 1 for :math:`c * \psi`. At the rim of k-space, where part of :math:`\psi` lies
  beyond the samples, 1 is reached only by piling weight onto the outermost samples: in a
  density-adapted 3D radial scan (3000 spokes, 24^3) the last sample of a spoke ends at 17 times
  its volume and noise at 2.3 times the least, against 5 and 1.3 here. Here :math:`c` is the
  region that was sampled, 1 inside and 0 outside, so that the goal is what uniform density over
  that region gives. Inside, it is 1.
* The iteration starts from the number of samples near each, not from 1.
* Steps of :math:`\log w` carry Nesterov's momentum, which takes a third to half of the steps.

The unit of :math:`w` is the Nyquist cell of the field of view, :math:`1 / \prod FOV`. By Poisson
summation a complete Cartesian grid has :math:`w * \psi = 1` for :math:`w = 1`. k-space is taken as
periodic with the voxel grid, as the image is.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np

from ultrahand.numerics import fft
from ultrahand.recon.nufft import FINEST_EPS, Nufft, plan_nufft, transform_bytes
from ultrahand.records.arrays import Complex64, Float32, Float64, freeze, require

DEFAULT_TOLERANCE = 2.5e-3
FINEST_TOLERANCE = 10 * FINEST_EPS["complex64"]
"""The convolution is made in single precision, ten times finer than the tolerance."""

MARGIN = 1.5
"""A cell is inside the sampled region when its samples stand for 1 / MARGIN of its volume: the
first estimate of their areas is good to about a third."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DensityWeights:
    """The k-space area (volume) of every sample."""

    weights: Float32
    """Shape ``(samples,)``, in Nyquist cells of the field of view; positive."""
    iterations: int
    """How often ``w * psi`` was evaluated."""
    residual: float
    """Root mean square of ``(w * psi) / (c * psi) - 1``, weighted as ``|k|^-(dims + 1)``: as the
    energy of an object with edges."""
    converged: bool
    """Whether the residual came below the tolerance."""

    def __post_init__(self) -> None:
        freeze(self, weights=self.weights)


def density_weights(
    k_per_m: Float64,
    *,
    shape: tuple[int, ...],
    voxel_size_m: tuple[float, ...],
    tolerance: float = DEFAULT_TOLERANCE,
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
        Stop when the residual is below; at least `FINEST_TOLERANCE`. Finer than the default buys
        little: what is left is detail finer than a cell, and fitting it makes noise.
    max_iterations
        Give up after as many; the result says so.
    threads, max_bytes
        As for `ultrahand.recon.nufft.plan_nufft`; they never change the result.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other or the tolerance is out of reach.
    ultrahand.errors.ResourceError
        If the transforms need more than ``max_bytes``.
    """
    require(tolerance >= FINEST_TOLERANCE, f"tolerance must be >= {FINEST_TOLERANCE:g}")
    require(max_iterations >= 1, f"max_iterations must be >= 1, got {max_iterations}")
    cycles = _cycles_per_fov(k_per_m, shape, voxel_size_m)
    grid = _covering_grid(cycles, shape)
    eps = _eps(tolerance)
    blur = _plan_blur(cycles, grid, eps=eps, threads=threads, max_bytes=max_bytes)
    start, area = _first_estimate(cycles, grid)
    inside = np.minimum(MARGIN * area, 1)
    goal = np.maximum(blur.of_cells(inside), blur.peak / 10)
    energy = (0.5 + np.linalg.norm(cycles, axis=1)) ** -(len(grid) + 1)
    return _iterate(blur, start, goal, energy, tolerance, max_iterations)


def density_bytes(n_samples: int, shape: tuple[int, ...]) -> int:
    """Return the least ``max_bytes`` of `density_weights` for samples within the matrix."""
    half = _half_of_double(shape)
    windows = 3 * 8 * math.prod(half)
    return transform_bytes(n_samples, half, _eps(DEFAULT_TOLERANCE)) + windows


def _eps(tolerance: float) -> float:
    return min(tolerance / 10, 1e-3)


def _half_of_double(grid: tuple[int, ...]) -> tuple[int, ...]:
    """Twice the field of view, of which half the first axis is enough; see `_Blur`."""
    return (grid[0], *(2 * n for n in grid[1:]))


@dataclass(frozen=True, eq=False)
class _Blur:
    """The convolution with ``psi``, seen at the samples.

    The image of real weights is Hermitian, so only the half ``0 <= r < FOV`` of the first axis is
    made; its first plane counts half, as it belongs to both. `shift` centres that half on the
    grid of the transform.
    """

    transform: Nufft
    shift: Complex64
    window: Float32

    @property
    def peak(self) -> np.float32:
        """``psi(0)``: what a sample of weight 1 contributes at its own place."""
        return np.float32(self.window.sum(dtype=np.float64) / self.window.size)

    def of_samples(self, w: Float32) -> Float32:
        """Blur weights of the samples."""
        return self._back(self.transform.adjoint(w * self.shift))

    def of_cells(self, values: Float32) -> Float32:
        """Blur values on the lattice of Nyquist cells, origin at index 0."""
        n_first, *others = values.shape
        image = fft.ifftn(values.astype(np.complex64), norm="forward") / math.sqrt(self.window.size)
        rows = [np.arange(n_first), *(np.arange(-n, n) % n for n in others)]
        return self._back(image[np.ix_(*rows)].astype(np.complex64))

    def _back(self, image: Complex64) -> Float32:
        blurred = self.transform.forward(image * self.window)
        blurred *= self.shift.conj()
        return blurred.real


def _iterate(
    blur: _Blur,
    start: Float32,
    goal: Float32,
    energy: Float64,
    tolerance: float,
    max_iterations: int,
) -> DensityWeights:
    """Step ``log w`` by ``log(goal / w * psi)``, from a point ahead on the line of the last two."""
    log_w = before = np.log(start)
    for step in range(max_iterations):
        ahead = log_w + np.float32(step / (step + 3)) * (log_w - before)
        w = np.exp(ahead)
        # psi is nowhere negative, so this bound is exact: only rounding can fall below it.
        excess = np.maximum(blur.of_samples(w), blur.peak * w) / goal
        residual = math.sqrt(np.average((excess - 1.0) ** 2, weights=w * energy))
        if residual < tolerance:
            break
        before, log_w = log_w, ahead - np.log(excess)
    return DensityWeights(
        weights=w, iterations=step + 1, residual=residual, converged=residual < tolerance
    )


def _plan_blur(
    cycles: Float64, grid: tuple[int, ...], *, eps: float, threads: int, max_bytes: int
) -> _Blur:
    n_first, dims = grid[0], len(grid)
    transform = plan_nufft(
        cycles[:, ::-1],
        shape=_half_of_double(grid),
        voxel_size_m=tuple(1 / n for n in reversed(grid)),
        eps=eps,
        threads=threads,
        max_bytes=max_bytes,
    )
    turns = cycles[:, 0] * (n_first // 2) / n_first
    shift = np.exp(2j * np.pi * (turns - np.rint(turns))).astype(np.complex64)
    window = autocorrelation_window(grid)[n_first:]
    window[0] *= 0.5
    window *= 2**dims  # 2 for the other half, and the transform's voxels over the grid's
    return _Blur(transform, shift, window)


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


def _first_estimate(cycles: Float64, grid: tuple[int, ...]) -> tuple[Float32, Float32]:
    """Return 1 over the number of samples near each, at most 1, and their sum in each cell.

    Samples are counted on the lattice of cells with linear weights, and the counts read back with
    the same: smooth, local, and exact for a Cartesian grid, shifted or not.
    """
    size, strides = math.prod(grid), np.cumprod((1, *grid[:0:-1]))[::-1]
    sides = []  # for each axis and both neighbouring cells: index and share
    for axis, n in enumerate(grid):
        low = np.floor(cycles[:, axis])
        share = (cycles[:, axis] - low).astype(np.float32)
        index = low.astype(np.int64) % n
        step = int(strides[axis])
        sides.append([(index * step, 1 - share), ((index + 1) % n * step, share)])
    corners = []
    for corner in itertools.product(*sides):
        indices, shares = zip(*corner, strict=True)
        corners.append((functools.reduce(np.add, indices), functools.reduce(np.multiply, shares)))

    def deposit(values: Float64) -> Float64:
        lattice = np.zeros(size)
        for index, shares in corners:
            lattice += np.bincount(index, shares * values, minlength=size)
        return lattice

    count = deposit(np.ones(len(cycles)))
    near = np.zeros(len(cycles))
    for index, shares in corners:
        near += count[index] * shares
    weights = 1 / np.maximum(near, 1)
    return weights.astype(np.float32), deposit(weights).astype(np.float32).reshape(grid)
