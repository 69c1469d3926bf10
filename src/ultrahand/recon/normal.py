r"""The normal operator :math:`A^H W A` of a coil array, without the samples.

For samples anywhere it is a convolution with the point spread function of the weights, cut to the
image: exact on a grid of twice its size (Toeplitz embedding: Fessler et al, IEEE Trans Signal
Process 2005;53:3393, doi:10.1109/TSP.2005.853152), whatever the number of samples. For lines of a
Cartesian grid it is a mask between two transforms. Both are one kernel with another spectrum. Along
an axis on which the spectrum does not vary no transform is needed at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import final

import numpy as np
from numpy.typing import NDArray

from ultrahand.numerics import fft
from ultrahand.recon.nufft import FINEST_EPS, plan_nufft
from ultrahand.records.arrays import Complex64, Float32, Float64, Real, freeze, require

Shape = tuple[int, int, int]

WORK_BYTES = 2**20
"""Planes of more coils at a time leave the second-level cache: 16 coils of 64^3 one after the other
take two thirds of the time of all together."""

TILE = 2048
"""Elements of a line buffer, at least: this many are gathered before they are transformed along z.
They stay in the second-level cache."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Spectra:
    """What multiplies k-space between the two transforms."""

    shape: Shape
    """Of the image, ``(z, y, x)``."""
    grid: Shape
    """Of the transforms."""
    values: Float32
    """Real, symmetric in the components of a subspace: ``(K (K + 1) / 2, z, y, x)``, the lower
    triangle row by row, frequency 0 first; 1 long on axes along which it does not vary."""

    def __post_init__(self) -> None:
        freeze(self, values=self.values)

    @property
    def n_components(self) -> int:
        return (math.isqrt(8 * len(self.values) + 1) - 1) // 2


def spectra_of_mask(weights: Real) -> Spectra:
    """Return the spectrum of weighted samples on the image's own Cartesian grid.

    Parameters
    ----------
    weights
        Of every cell of centred k-space, ``(z, y, x)``, 0 where nothing was sampled: 1 / variance,
        or how often a line was measured.
    """
    require(weights.ndim == 3, f"weights must be (z, y, x), got {weights.shape}")
    varying = weights
    for axis in range(3):
        first = varying.take([0], axis)
        varying = first if bool((varying == first).all()) else varying
    values = np.fft.ifftshift(varying)[None].astype(np.float32)
    return Spectra(shape=weights.shape, grid=weights.shape, values=values)


def spectra_of_samples(
    k_per_m: Float64,
    weights: Sequence[Real],
    *,
    shape: Shape,
    voxel_size_m: tuple[float, ...],
    eps: float = 1e-6,
    threads: int = 1,
    max_bytes: int = 4 * 1024**3,
) -> Spectra:
    """Return the spectra of samples anywhere.

    Parameters
    ----------
    k_per_m
        Sample positions in cycles per metre, ``(samples, dims)``, dims in the order read, phase,
        slice; two dims for an image whose z is 1.
    weights
        Of the samples: one array, or one for each pair of components of a subspace (products of
        two of its functions of time), the lower triangle row by row.
    shape, voxel_size_m
        Voxels ``(z, y, x)`` and their spacing along read, phase, slice.
    eps, threads, max_bytes
        As for `ultrahand.recon.nufft.plan_nufft`.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other.
    ultrahand.errors.ResourceError
        If the transform needs more than ``max_bytes``.
    """
    dims = k_per_m.shape[1]
    require(
        len(shape) == 3 and dims in (2, 3), "shape must be (z, y, x), k_per_m (samples, 2 or 3)"
    )
    require(dims == 3 or shape[0] == 1, f"two dimensions make no image of {shape[0]} planes")
    core = shape[-dims:]
    lags = tuple(2 * n if n > 1 else 1 for n in core)
    grid = tuple(_smooth(2 * n - 1) for n in core)
    nufft = plan_nufft(
        k_per_m,
        shape=lags,
        voxel_size_m=voxel_size_m[:dims],
        n_coils=len(weights),
        eps=max(eps, FINEST_EPS["complex64"]),
        threads=threads,
        max_bytes=max_bytes,
    )
    values = np.empty((len(weights), *(1,) * (3 - dims), *grid), np.float32)
    scale = math.sqrt(math.prod(lags)) / math.prod(core)  # of this transform, and of the image's
    for number, weight in enumerate(weights):
        spread = nufft.adjoint(weight.astype(np.complex64)) * np.float32(scale)
        values[number] = _spectrum(spread, core, grid, threads)
    flat = (1,) * (3 - dims)
    return Spectra(shape=shape, grid=(*flat, *grid), values=values)


def _spectrum(
    spread: Complex64, core: tuple[int, ...], grid: tuple[int, ...], threads: int
) -> Float32:
    """Return the transform of a point spread function, lags from -n to n - 1 about the middle."""
    wrapped = np.zeros(grid, np.complex64)
    for corner in np.ndindex(*(2 if n > 1 else 1 for n in core)):
        to, at = [], []
        for negative, n in zip(corner, core, strict=True):
            middle = n if n > 1 else 0
            to.append(slice(1 - n, None) if negative else slice(0, n))
            at.append(slice(1, n) if negative else slice(middle, middle + n))
        wrapped[tuple(to)] = spread[tuple(at)]
    made: Float32 = fft.fftn(wrapped, workers=threads).real
    return made


def _smooth(n: int) -> int:
    """Return the next number from n on that has no factor but 2, 3 and 5."""
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 1


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NormalOperator:
    """``A^H W A``, made by `normal_operator`; ``(K, sets, z, y, x)`` to the same, complex64.

    Calls from several threads wait for each other.
    """

    maps: Complex64
    spectra: Spectra
    threads: int
    batch: int
    """Coils at a time."""
    plans: tuple[tuple[NDArray[np.int64], Float32, int, int], ...]
    packed: Float32
    scratch: tuple[Float32, ...]
    lock: Lock = field(default_factory=Lock)

    @property
    def domain(self) -> tuple[int, ...]:
        return (self.spectra.n_components, self.maps.shape[1], *self.spectra.shape)

    @property
    def codomain(self) -> tuple[int, ...]:
        return self.domain

    def forward(self, x: Complex64, /) -> Complex64:
        """Apply it."""
        from ultrahand import kernels

        require(x.shape == self.domain, f"expected an array of shape {self.domain}, got {x.shape}")
        x = np.ascontiguousarray(x, np.complex64)
        out = np.zeros(self.domain, np.complex64)
        plan_z, plan_y, plan_x = self.plans
        work, buffers, planes, mixed = self.scratch
        with self.lock, kernels.threads(self.threads):
            for first in range(0, len(self.maps), self.batch):
                maps = self.maps[first : first + self.batch]
                part = work[: len(maps)]
                kernels.coils_to_planes(x, maps, plan_z, (part, buffers))
                kernels.planes_through_spectrum(
                    x.shape[3:], plan_y, plan_x, self.packed, (part, buffers, planes, mixed)
                )
                kernels.planes_to_image(maps, plan_z, (part, buffers, out))
        return out

    def adjoint(self, y: Complex64, /) -> Complex64:
        """Apply it: it is its own adjoint."""
        return self.forward(y)


def normal_operator(
    spectra: Spectra, maps: Complex64, *, threads: int = 1, work_bytes: int = WORK_BYTES
) -> NormalOperator:
    """Plan a normal operator.

    Parameters
    ----------
    spectra
        From `spectra_of_mask` or `spectra_of_samples`.
    maps
        Coil sensitivities, ``(coils, sets, z, y, x)``.
    threads
        Cores; the result is the same for any number.
    work_bytes
        As many coils are worked on at a time as fit into it, at least one; it changes no bit.
    """
    from ultrahand.kernels import ELEMENT, LANES, line_plan

    require(
        maps.ndim == 5 and maps.shape[2:] == spectra.shape,
        f"maps must be (coils, sets, *{spectra.shape}), got {maps.shape}",
    )
    number, n, grid = spectra.n_components, spectra.shape, spectra.grid
    varies = [size > 1 for size in spectra.values.shape[1:]]
    plans = tuple(
        line_plan(m, identity=not v, padded=m > size)
        for m, size, v in zip(grid, n, varies, strict=True)
    )
    blocks, blocks_y = -(-n[2] // LANES), -(-grid[1] // LANES)
    scale = math.prod(size for size, v in zip(grid, varies, strict=True) if v)
    packed = _packed(spectra, blocks_y, LANES) / np.float32(scale)
    bytes_each = 4 * number * grid[0] * n[1] * blocks * ELEMENT
    batch = max(1, min(len(maps), work_bytes // bytes_each))
    longest = max(number * max(*grid, blocks * LANES), TILE) + 1  # buffers: no power of 2 apart
    scratch = (
        np.empty((batch, number, grid[0], n[1] + 1, blocks, ELEMENT), np.float32),
        np.empty((threads, 4, longest * ELEMENT), np.float32),
        np.zeros((threads, number, blocks_y * LANES, blocks, ELEMENT), np.float32),
        np.empty((threads, number * ELEMENT), np.float32),
    )
    return NormalOperator(
        maps=np.ascontiguousarray(maps, np.complex64),
        spectra=spectra,
        threads=threads,
        batch=batch,
        plans=plans,
        packed=packed,
        scratch=scratch,
    )


def _packed(spectra: Spectra, blocks_y: int, lanes: int) -> Float32:
    """Return the spectra as the kernel reads them: ``(pairs, z or 1, blocks of y, x, lanes)``."""
    values = spectra.values
    planes, grid = values.shape[1], spectra.grid
    whole = np.broadcast_to(values, (len(values), planes, grid[1], grid[2]))
    padded = np.zeros((len(values), planes, blocks_y * lanes, grid[2]), np.float32)
    padded[:, :, : grid[1]] = whole
    blocks = padded.reshape(len(values), planes, blocks_y, lanes, grid[2])
    return np.ascontiguousarray(blocks.swapaxes(3, 4))
