r"""A Cartesian calibration region from samples anywhere: the middle of k-space, gridded.

Most trajectories sample the middle of k-space often enough. Gridding it on the full field of view
gives the k-space on its Cartesian points, from which `espirit` and `coil_maps` make sensitivities
as from lines. Only samples near the region are touched, and the transforms are as small as it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.density import density_weights
from ultrahand.recon.fourier import image_to_kspace
from ultrahand.recon.nufft import plan_nufft
from ultrahand.records.arrays import Bools, Complex64, Float64, freeze, require

Triple = tuple[int, int, int]

MARGIN: Final = 4
"""Cells gridded beyond the region on either side: the density at the rim of what is gridded is less
sure than inside."""
EPS: Final = 1e-5
WIDEST: Final = 24
NARROWEST: Final = 8
FILLED: Final = 0.97
"""Of the cells: rounding to the nearest leaves single ones empty where none is missing."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SampleCalibration:
    """The centre of k-space of all coils."""

    kspace: Complex64
    """``(coils, z, y, x)``, origin at ``N // 2``, in the units of an orthonormal transform of the
    image it was asked for."""
    noise_variance: float
    """Of the real (and of the imaginary) part of a sample, on the mean over the region."""

    def __post_init__(self) -> None:
        freeze(self, kspace=self.kspace)


def choose_width(k_per_m: Float64, *, shape: Triple, voxel_size_m: tuple[float, ...]) -> Triple:
    """Return the largest region, `WIDEST` across at most, whose Nyquist cells samples fill.

    Parameters
    ----------
    k_per_m, shape, voxel_size_m
        As of `calibration_from_samples`.

    Returns
    -------
    tuple of int
        ``(z, y, x)``; as wide as sampled along axes that are sampled less far, such as partitions.

    Raises
    ------
    InputError
        Not even `NARROWEST` cells about the centre are filled.
    """
    dims = k_per_m.shape[1]
    matrix = np.array(shape[::-1][:dims])
    cells = np.rint(k_per_m * (matrix * np.array(voxel_size_m[:dims]))).astype(np.int64)
    half = WIDEST // 2
    near = np.unique(cells[np.all(np.abs(cells) <= half, axis=1)], axis=0)
    low = np.maximum(near.min(axis=0, initial=0), -(matrix // 2))
    high = np.minimum(near.max(axis=0, initial=0) + 1, matrix - matrix // 2)
    for width in range(WIDEST, NARROWEST - 1, -2):
        first, last = np.maximum(low, -(width // 2)), np.minimum(high, width // 2)
        inside = np.all((near >= first) & (near < last), axis=1).sum()
        if inside >= FILLED * np.prod(last - first):
            # The region lies about the centre: as far to one side as to the other, or one less.
            sizes = [
                int(min(2 * -a, 2 * b) if n > 1 else 1)
                for a, b, n in zip(first, last, matrix, strict=True)
            ]
            sizes = [max(size, 1) for size in sizes] + [1] * (3 - dims)
            return sizes[2], sizes[1], sizes[0]
    raise InputError(
        "calibration",
        found=f"gaps between the samples within {NARROWEST} Nyquist cells of the centre",
        expected="a centre of k-space sampled without gaps",
        remedy="use more readouts (a longer --frame-time), or --method gridding",
    )


def near_centre(
    k_per_m: Float64, width: Triple, *, shape: Triple, voxel_size_m: tuple[float, ...]
) -> Bools:
    """Tell which samples `calibration_from_samples` uses, so that no others need be read.

    Parameters
    ----------
    k_per_m, width, shape, voxel_size_m
        As there.
    """
    dims = k_per_m.shape[1]
    reach = [n // 2 + MARGIN for n in width[::-1][:dims]]
    fov = [n * v for n, v in zip(shape[::-1], voxel_size_m, strict=False)][:dims]
    near: Bools = np.all(np.abs(k_per_m) * fov <= reach, axis=1)
    return near


def calibration_from_samples(
    samples: Complex64,
    k_per_m: Float64,
    width: Triple,
    *,
    shape: Triple,
    voxel_size_m: tuple[float, ...],
    threads: int = 1,
    max_bytes: int = 4 * 1024**3,
) -> SampleCalibration:
    """Return the Cartesian centre of k-space.

    Parameters
    ----------
    samples
        Whitened, ``(coils, samples)``.
    k_per_m
        Their positions in cycles per metre, ``(samples, dims)``, dims in the order read, phase,
        slice; two dims for an image whose z is 1.
    width
        Of the region, ``(z, y, x)``: it must be sampled at the Nyquist distance of the field of
        view, out to its corners and a little further.
    shape, voxel_size_m
        Of the image, ``(z, y, x)``, and the spacing of its voxels along read, phase, slice.
    threads, max_bytes
        As for `ultrahand.recon.nufft.plan_nufft`; they never change the result.

    Raises
    ------
    InputError
        A sample is not finite, or none lies in the region.
    ultrahand.errors.RecordError
        If shapes contradict each other.
    ultrahand.errors.ResourceError
        If the transforms need more than ``max_bytes``.
    """
    dims = k_per_m.shape[-1]
    require(dims in {2, 3} and k_per_m.ndim == 2, f"k_per_m is {k_per_m.shape}")
    require(
        samples.ndim == 2 and samples.shape[1] == len(k_per_m),
        f"samples {samples.shape} do not fit {len(k_per_m)} positions",
    )
    require(dims == 3 or (shape[0] == width[0] == 1), "two dimensions make one plane")
    require(
        all(1 <= w <= n for w, n in zip(width, shape, strict=True)),
        f"width must be 1 to {shape}, got {width}",
    )
    near = near_centre(k_per_m, width, shape=shape, voxel_size_m=voxel_size_m)
    k, part = k_per_m[near], samples[:, near]
    _check_samples(k, part)
    small = tuple(w + 2 * MARGIN if n > 1 else 1 for w, n in zip(width, shape, strict=True))[-dims:]
    fov = [n * v for n, v in zip(shape[::-1][:dims], voxel_size_m, strict=False)]
    voxel = tuple(f / n for f, n in zip(fov, small[::-1], strict=True))
    weights = density_weights(
        k, shape=small, voxel_size_m=voxel, threads=threads, max_bytes=max_bytes
    ).weights
    nufft = plan_nufft(
        k,
        shape=small,
        voxel_size_m=voxel,
        n_coils=len(samples),
        eps=EPS,
        threads=threads,
        max_bytes=max_bytes,
    )
    images = nufft.adjoint(part * weights).reshape(len(samples), *(1,) * (3 - dims), *small)
    grid = image_to_kspace(images, (1, 2, 3), workers=threads)
    at = tuple(
        slice(n // 2 - w // 2, n // 2 - w // 2 + w)
        for n, w in zip(grid.shape[1:], width, strict=True)
    )
    variance = float(np.sum(weights.astype(np.float64) ** 2)) / math.prod(small)
    return SampleCalibration(
        kspace=np.ascontiguousarray(grid[(slice(None), *at)]), noise_variance=variance
    )


def _check_samples(k: Float64, part: Complex64) -> None:
    if not len(k):
        raise InputError(
            "calibration",
            found="no sample near the centre of k-space",
            expected="a trajectory that samples it",
            remedy="check the unit of the trajectory, or give coil sensitivities",
        )
    if not np.isfinite(part).all():
        raise InputError(
            "calibration",
            found="NaN or infinity",
            expected="finite samples",
            remedy="leave the readouts out that hold them",
        )
