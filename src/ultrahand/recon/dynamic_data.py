r"""Spokes of a dynamic acquisition, and how they weigh in a data term.

A stack of stars, once transformed along its partitions (orthonormal, so that white noise stays
white), is as many problems in the plane as it has planes, of one trajectory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.recon.non_cartesian import EDGE_SLACK
from ultrahand.recon.normal import Spectra, spectra_of_samples
from ultrahand.recon.nufft import plan_nufft
from ultrahand.records.arrays import Complex64, Float32, Float64, Ints, Real, freeze, require

EPS: Final = 1e-5
"""Accuracy of the transforms of samples, as of gridding."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class DynamicData:
    """Whitened samples of spokes in a plane, or in a stack of planes; checked once."""

    samples: Complex64
    """``(coils, z, spokes, samples)``; real and imaginary part have noise of variance 1 each."""
    k_per_m: Float64
    """``(spokes, samples, 2)``, along read and phase, in cycles per metre."""
    time_s: Float64
    """When each spoke crosses the centre of k-space: `dynamic_times.centre_times_s`."""
    maps: Complex64
    """Coil sensitivities, ``(coils, z, y, x)``."""
    voxel_size_m: tuple[float, float]
    """Along read and phase."""

    def __post_init__(self) -> None:
        require(
            self.samples.ndim == self.maps.ndim == 4
            and self.samples.shape[:2] == self.maps.shape[:2]
            and self.samples.shape[2:] == self.k_per_m.shape[:-1],
            f"samples {self.samples.shape} must be (coils, z, spokes, samples), with maps "
            f"{self.maps.shape} (coils, z, y, x) and k_per_m {self.k_per_m.shape} "
            "(spokes, samples, 2)",
        )
        require(self.k_per_m.shape[2:] == (2,), "k_per_m must have two dimensions")
        require(self.time_s.shape == self.k_per_m.shape[:1], "time_s must be one a spoke")
        require(bool(np.isfinite(self.time_s).all()), "time_s must be finite")
        require(bool(np.isfinite(self.samples).all()), "samples must be finite")
        freeze(
            self,
            samples=np.asarray(self.samples, np.complex64),
            maps=np.ascontiguousarray(self.maps, np.complex64),
            k_per_m=np.asarray(self.k_per_m, np.float64),
            time_s=np.asarray(self.time_s, np.float64),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image, ``(z, y, x)``."""
        return self.maps.shape[1:]

    @property
    def fov_m(self) -> float:
        """The longer side of the plane."""
        return max(n * h for n, h in zip(reversed(self.shape[1:]), self.voxel_size_m, strict=True))

    @property
    def map_power(self) -> float:
        """``sum_c |S_c|^2``, the mean over voxels."""
        flat = self.maps.view(np.float32).reshape(-1)
        total = float(np.einsum("i,i->", flat, flat, dtype=np.float64))
        return total / math.prod(self.shape)

    def counted(self) -> Float32:
        """Return 1 for the samples that the matrix can hold, 0 beyond its edge: they'd alias."""
        edge = EDGE_SLACK / (2 * np.array(self.voxel_size_m))
        return np.all(np.abs(self.k_per_m) <= edge, axis=-1).astype(np.float32)


def spoke_areas(k_per_m: Float64, *, spokes: int, fov_m: float) -> Float64:
    r"""Return the area of k-space that each sample of evenly turned spokes stands for.

    In Nyquist cells, ``1 / FOV^2``: its length along the spoke times its width :math:`\pi |k| /
    spokes`, and that at most a cell's side, as a sample tells nothing of more. At the centre the
    width is that of a quarter of a step from it.

    Parameters
    ----------
    k_per_m
        ``(..., samples, 2)``.
    spokes
        That share a frame.
    fov_m
        The longer side of the field of view.
    """
    require(spokes >= 1 and fov_m > 0, "spokes and fov_m must be positive")
    if k_per_m.shape[-2] < 2:
        return np.ones(k_per_m.shape[:-1])
    step = np.linalg.norm(np.gradient(k_per_m, axis=-2), axis=-1)
    radius = np.maximum(np.linalg.norm(k_per_m, axis=-1), 0.25 * step)
    across = np.minimum(math.pi * radius * fov_m / spokes, 1.0)
    return np.minimum(step * fov_m, 1.0) * across


def data_weights(data: DynamicData, spokes: int, evenness: float) -> Float32:
    """Return the weights of samples in a data term, ``(all spokes, samples)``.

    Parameters
    ----------
    data
        The acquisition.
    spokes
        That make an image.
    evenness
        Power p of `spoke_areas`. 0 weighs samples by their noise alone, which uses all they know;
        but the centre of k-space, where all spokes meet, is then known so much better than the
        rest that iterations crawl. 1 makes k-space even, as gridding does.
    """
    require(0 <= evenness <= 1, f"evenness must lie in [0, 1], got {evenness}")
    if evenness == 0:
        return data.counted()
    areas = spoke_areas(data.k_per_m, spokes=spokes, fov_m=data.fov_m)
    return data.counted() * (areas**evenness).astype(np.float32)


def coil_sum(data: DynamicData, spokes: Ints, weights: Real, *, threads: int = 1) -> Complex64:
    """Return ``A^H W y`` of some spokes for each set of weights.

    Parameters
    ----------
    data
        The acquisition.
    spokes
        Which of its spokes, at least one.
    weights
        Real, ``(sets, spokes, samples)``.
    threads
        Transforms at a time; the result is the same for any number.

    Returns
    -------
    ndarray
        ``(sets, z, y, x)``.
    """
    coils, planes = data.maps.shape[:2]
    nufft = plan_nufft(
        data.k_per_m[spokes].reshape(-1, 2),
        shape=data.shape[1:],
        voxel_size_m=data.voxel_size_m,
        n_coils=coils * planes,
        eps=EPS,
        threads=threads,
    )
    chosen = data.samples[:, :, spokes]
    out = np.zeros((len(weights), *data.shape), np.complex64)
    for number, weight in enumerate(weights):
        weighted = chosen * np.asarray(weight, np.float32)
        coil_images = nufft.adjoint(weighted.reshape(coils, planes, -1))
        for sensitivity, coil_image in zip(data.maps, coil_images, strict=True):
            out[number] += sensitivity.conj() * coil_image
    return out


def plane_spectra(data: DynamicData, spokes: Ints, weights: Real, *, threads: int = 1) -> Spectra:
    """Return the spectra of some spokes, the same for every plane of the stack.

    Parameters
    ----------
    data, spokes, weights, threads
        As for `coil_sum`; of a subspace of K functions the weights are those of its K (K + 1) / 2
        pairs, the lower triangle row by row.
    """
    planes, y, x = data.shape
    flat = spectra_of_samples(
        data.k_per_m[spokes].reshape(-1, 2),
        [np.asarray(weight, np.float32).reshape(-1) for weight in weights],
        shape=(1, y, x),
        voxel_size_m=data.voxel_size_m,
        eps=EPS,
        threads=threads,
    )
    return Spectra(shape=data.shape, grid=(planes, *flat.grid[1:]), values=flat.values)
