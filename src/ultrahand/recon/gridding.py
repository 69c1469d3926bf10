"""Gridding: weight the samples by the k-space they stand for, then apply the adjoint NUFFT."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ultrahand.recon._sigpy import SigpyNufft
from ultrahand.recon.conditioning import Progress, each_block
from ultrahand.recon.density import DensityWeights, density_weights
from ultrahand.recon.non_cartesian import EDGE_SLACK, NonCartesianPlan
from ultrahand.recon.nufft import Nufft, plan_nufft
from ultrahand.recon.watch import Watch

if TYPE_CHECKING:
    from ultrahand.recon.gradient_delay import RadialDelay
    from ultrahand.records.arrays import Bools, Complex64, Float64, Ints
    from ultrahand.records.raw import RawData

FieldEncoding = Callable[[Any, "Bools"], Any]
EPS: Final = 1e-4
"""Accuracy asked of the NUFFT: far below the error of gridding itself, and of any noise."""


class DensityCache:
    """Weights of the trajectories met so far: repetitions and echoes mostly share one."""

    def __init__(self, size: int = 4) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[object, ...], DensityWeights] = OrderedDict()

    def weights(
        self, k_per_m: Float64, plan: NonCartesianPlan, *, threads: int, max_bytes: int
    ) -> DensityWeights:
        """Return the density compensation of some sample positions in one field of view."""
        dims = k_per_m.shape[1]
        shape, voxel_m = plan.shape[-dims:], plan.voxel_m[:dims]
        # Weights are in Nyquist cells of the field of view: another encoding's are others.
        key = (hashlib.sha256(np.ascontiguousarray(k_per_m).data).digest(), shape, voxel_m)
        if key not in self._kept:
            self._kept[key] = density_weights(
                k_per_m,
                shape=shape,
                voxel_size_m=voxel_m,
                threads=threads,
                max_bytes=max_bytes,
            )
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return self._kept[key]


def grid_readouts(
    raw: RawData,
    plan: NonCartesianPlan,
    rows: Ints,
    *,
    whitening: Complex64 | None,
    coils: slice,
    n_coils: int,
    threads: int,
    max_bytes: int,
    densities: DensityCache,
    watch: Watch,
    progress: Progress,
    delay: RadialDelay | None = None,
    sigpy: bool = False,
    field: FieldEncoding | None = None,
) -> tuple[Complex64, float, tuple[str, ...]]:
    """Grid the readouts of one volume or slice.

    Parameters
    ----------
    raw, plan
        The measurement and where its readouts sample k-space.
    rows
        Readouts of one volume (3D) or one slice (2D).
    whitening
        See `noise.whitening_matrix`; None leaves the data as they are.
    coils
        Which (whitened) channels; the file is read again for the others.
    n_coils
        How many channels there are in all: it decides how a transform is divided, so that the
        choice of `coils` changes nothing.
    threads, max_bytes
        Of the transforms.
    densities
        Weights of earlier volumes.
    watch, progress
        See `conditioning.each_block`.
    delay
        How far spokes are from where the trajectory says.
    sigpy
        Transform by SigPy, with its default kernel.
    field
        Returns the encoding with off-resonance from the transform without, and which samples are
        used: conjugate phase, with the same noise.

    Returns
    -------
    ndarray, float, tuple of str
        Coil images ``(coils, z, y, x)``, scaled so that a fully sampled Cartesian trajectory gives
        the orthonormal FFT; and the noise variance of a voxel's real part for unit variance of a
        sample's: with weights ``w`` and ``N`` voxels it is ``sum(w ** 2) / N`` everywhere; and
        what was done.
    """
    samples, k, inside = read_samples(
        raw,
        plan,
        rows,
        whitening=whitening,
        coils=coils,
        threads=threads,
        watch=watch,
        progress=progress,
        delay=delay,
    )
    width = len(samples)
    density = densities.weights(k, plan, threads=threads, max_bytes=max_bytes)
    weights = density.weights
    samples *= weights
    dims = k.shape[1]
    shape, voxel_m = plan.shape[-dims:], plan.voxel_m[:dims]
    nufft: Nufft | SigpyNufft
    if sigpy:
        nufft = SigpyNufft(k_per_m=k, shape=shape, voxel_size_m=voxel_m)
    else:
        nufft = plan_nufft(
            k,
            shape=shape,
            voxel_size_m=voxel_m,
            n_coils=n_coils,
            eps=EPS,
            threads=threads,
            max_bytes=max_bytes,
        )
    encoding = field(nufft, inside) if field is not None and not sigpy else nufft
    images = encoding.adjoint(samples).reshape(width, *plan.shape)
    variance = float(np.sum(weights.astype(np.float64) ** 2) / np.prod(plan.shape))
    state = "" if density.converged else ", not converged"
    by = " by SigPy" if sigpy else ""
    steps = (
        f"density compensation (Pipe-Menon): residual {density.residual:.2%}{state}",
        f"adjoint NUFFT{by} of {len(k)} samples, {int((~inside).sum())} beyond the matrix left out",
    )
    return images, variance, steps


def read_samples(
    raw: RawData,
    plan: NonCartesianPlan,
    rows: Ints,
    *,
    whitening: Complex64 | None,
    coils: slice,
    threads: int,
    watch: Watch,
    progress: Progress,
    delay: RadialDelay | None = None,
) -> tuple[Complex64, Float64, Bools]:
    """Read the samples of one volume or slice that the matrix can hold.

    Parameters
    ----------
    raw, plan, rows, whitening, coils, threads, watch, progress, delay
        See `grid_readouts`; the whitening may also make fewer channels than there are.

    Returns
    -------
    ndarray, ndarray, ndarray
        Samples ``(coils, samples)``, their positions per metre ``(samples, dims)``, and which of
        all samples they are: those beyond the matrix are left out.
    """
    parts = plan.positions(rows)
    k = np.concatenate([_moved(mine, trajectory.k_per_m, delay) for mine, _, trajectory in parts])
    inside = _inside(k, plan)
    width = coils.stop - coils.start
    samples = np.empty((width, int(inside.sum())), np.complex64)
    place = np.concatenate([[0], np.cumsum(inside)])  # of each sample among those inside
    start = 0
    for mine, keep, trajectory in parts:
        length = len(trajectory.k_per_m) // len(mine)

        def take(
            part: slice,
            block: Complex64,
            _: Watch,
            start: int = start,
            length: int = length,
        ) -> None:
            white = (block if whitening is None else np.matmul(whitening, block))[:, coils]
            first, end = start + part.start * length, start + part.stop * length
            used = inside[first:end]
            flat = white.transpose(1, 0, 2).reshape(width, -1)
            samples[:, place[first] : place[end]] = flat if used.all() else flat[:, used]

        each_block(raw, mine, keep, take, threads=threads, watch=watch, progress=progress)
        start += len(trajectory.k_per_m)
    return samples, k if inside.all() else k[inside], inside


def _moved(rows: Ints, k_per_m: Float64, delay: RadialDelay | None) -> Float64:
    if delay is None:
        return k_per_m
    return delay.applied(k_per_m.reshape(len(rows), -1, k_per_m.shape[1])).reshape(k_per_m.shape)


def _inside(k_per_m: Float64, plan: NonCartesianPlan) -> Bools:
    """Tell which samples the asked matrix can hold; those beyond its edge would alias."""
    dims = k_per_m.shape[1]
    edge = EDGE_SLACK / (2 * np.array(plan.voxel_m[:dims]))
    inside: Bools = np.all(np.abs(k_per_m) <= edge, axis=1)
    return inside
