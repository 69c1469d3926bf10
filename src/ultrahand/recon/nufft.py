r"""The non-uniform Fourier transform: its definition, and how one is planned.

.. math:: y_j = \frac{1}{\sqrt{P}} \sum_r x_r e^{-2 \pi i\, k_j \cdot r}, \quad P = \prod shape

where :math:`r` is the position of a voxel in metres from voxel ``N // 2`` of every axis (even
and odd ``N``) and :math:`k_j` a sample position in cycles per metre. Scale and sign are those of
`ultrahand.recon.fourier`: on a Cartesian trajectory both agree. Like every discrete transform it
is periodic: samples beyond ``0.5 / voxel_size_m`` alias.

Single precision, in which data come, is ultrahand's own (`tiled_nufft`); double precision, in which
references are made, is FINUFFT's (`_finufft`). Either gives the same bits in every run, for every
number of threads, and, once planned, for coils one by one or together.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from ultrahand.errors import ResourceError
from ultrahand.recon._finufft import double_bytes, plan_double
from ultrahand.recon.tiled_nufft import choose_kernel, plan_tiled, tiled_bytes
from ultrahand.records.arrays import Complex, Float64, require

FINEST_EPS = {"complex64": 1e-6, "complex128": 1e-13}
"""Rounding keeps finer requests from being met."""
MOST_SAMPLES = 2**31 - 1


class Nufft(Protocol):
    """A planned transform, made by `plan_nufft`; meets `LinearOperator`.

    Leading axes of an argument are a batch (coils): `forward` takes ``(..., *shape)`` and gives
    ``(..., n_samples)``, `adjoint` the reverse, for any number of coils. Calls from several
    threads wait for each other.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Image ``(z, y, x)`` or ``(y, x)``."""

    @property
    def n_samples(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def eps(self) -> float:
        """Relative l2 error asked for."""

    @property
    def domain(self) -> tuple[int, ...]: ...

    @property
    def codomain(self) -> tuple[int, ...]: ...

    def forward(self, image: Complex, /) -> Any:  # noqa: ANN401 - complex of `dtype`
        """Transform ``(..., *shape)`` to ``(..., n_samples)``."""

    def adjoint(self, samples: Complex, /) -> Any:  # noqa: ANN401
        """Transform ``(..., n_samples)`` to ``(..., *shape)``."""


def plan_nufft(
    k_per_m: Float64,
    *,
    shape: tuple[int, ...],
    voxel_size_m: tuple[float, ...],
    n_coils: int = 1,
    eps: float = 1e-4,
    dtype: type[np.complex64 | np.complex128] = np.complex64,
    threads: int = 1,
    max_bytes: int = 4 * 1024**3,
) -> Nufft:
    """Plan a transform once, to run it many times.

    Parameters
    ----------
    k_per_m
        Sample positions in cycles per metre, shape ``(samples, dims)``, dims in the order read,
        phase, slice: `ultrahand.records.Trajectory.k_per_m`.
    shape
        Image voxels, ``(z, y, x)`` for 3 dims or ``(y, x)`` for 2.
    voxel_size_m
        Voxel spacing along read, phase, slice: the order of ``k_per_m``.
    n_coils
        How many coils there are, to plan for; any number works. Between 1 and more the last bits
        of a result differ: fix it where parts of the coils are transformed one after the other.
    eps
        Relative l2 error; `FINEST_EPS` is the finest for each dtype.
    dtype
        complex64 or complex128, of the data and the arithmetic.
    threads
        Cores to use; changes the time, never the result.
    max_bytes
        Working memory; fewer coils are worked on at a time to stay below it.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other, positions are not finite, or ``eps`` is out of reach.
    ultrahand.errors.ResourceError
        If one coil needs more than ``max_bytes``.
    """
    precision = np.dtype(dtype)
    cycles = _cycles_per_voxel(k_per_m, shape, voxel_size_m)
    require(
        precision.name in FINEST_EPS and FINEST_EPS[precision.name] <= eps < 1,
        f"eps must lie in [{FINEST_EPS.get(precision.name)}, 1) for {precision}, got {eps:g}",
    )
    require(min(threads, n_coils) >= 1, "threads, n_coils must be >= 1")
    single = precision == np.complex64
    fixed, each = (tiled_bytes if single else double_bytes)(len(cycles), shape, eps)
    if fixed + each > max_bytes:
        raise ResourceError(f"one transform needs {fixed + each} bytes, max_bytes is {max_bytes}")
    coils = min(n_coils, (max_bytes - fixed) // each)
    if single:
        kernel = choose_kernel(len(cycles), shape, eps)
        return plan_tiled(
            cycles, shape, kernel, eps=eps, coils=coils, threads=threads, alone=n_coils == 1
        )
    return plan_double(cycles, shape, eps=eps, slots=min(coils, threads))


def transform_bytes(n_samples: int, shape: tuple[int, ...], eps: float) -> int:
    """Return the least ``max_bytes`` of `plan_nufft` in single precision: one coil at a time."""
    return sum(tiled_bytes(n_samples, shape, eps))


def _cycles_per_voxel(
    k_per_m: Float64, shape: tuple[int, ...], voxel_size_m: tuple[float, ...]
) -> Float64:
    """Positions in cycles per voxel within [-0.5, 0.5], along read, phase, slice."""
    k = np.asarray(k_per_m, np.float64)
    require(
        k.ndim == 2
        and 0 < len(k) <= MOST_SAMPLES
        and k.shape[1] == len(shape) == len(voxel_size_m),
        f"k_per_m {k.shape}, shape {shape} and voxel_size_m {voxel_size_m} must have the same "
        f"dimensions, and 1 to {MOST_SAMPLES} samples",
    )
    require(len(shape) in (2, 3), f"shape must be (y, x) or (z, y, x), got {shape}")
    require(min(shape) >= 1 and min(voxel_size_m) > 0, "shape and voxel_size_m must be positive")
    require(math.isfinite(np.abs(k).max()), "k_per_m must be finite")
    cycles: Float64 = k * np.array(voxel_size_m)
    cycles -= np.rint(cycles)
    return cycles
