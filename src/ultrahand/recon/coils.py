r"""Combine the images of a whitened coil array into one.

Root sum of squares needs no sensitivities, but its noise is not Gaussian and it keeps no phase.
The adaptive combination (Walsh, Gmitro, Marcellin: MRM 2000;43:682,
doi:10.1002/(SICI)1522-2594(200005)43:5<682::AID-MRM10>3.0.CO;2-G) is the matched filter
:math:`w(r)^H m(r)` with :math:`w` the dominant eigenvector of the coil covariance in a block
around :math:`r`. For whitened data and unit :math:`w` the combined noise has the variance of one
coil's, 1 in each of the real and imaginary parts, wherever signal rules the block.

Where there is no signal, :math:`w` follows the noise itself and the variance is larger, up to
about :math:`(1 + \sqrt{C / n})^2` for :math:`C` coils and blocks of :math:`n` voxels (the edge of
the Marchenko-Pastur law: 1.5 for 16 coils and 7^3 voxels).

Phase: an eigenvector has none of its own. It is set so that the combined image has the phase of a
virtual coil, the dominant eigenvector of the covariance over the whole image, which is smooth
(where that coil is blind, it is not defined, and neither is the phase of the result). The phase
between a weight and the virtual coil carries the noise of the weight's block, which would be added
to the image; so it is taken from the eigenvector over the `STEADY` blocks around along each axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ultrahand.records.arrays import Complex64, Float32, Ints, require

Complex128 = NDArray[np.complex128]

STEADY = 5
"""Neighbouring estimates along each axis that fix the phase of one."""


def root_sum_of_squares(images: Complex64, *, threads: int = 1) -> Float32:
    """Return ``sqrt(sum(|images|^2))`` over coils.

    Parameters
    ----------
    images
        Shape ``(coils, z, y, x)``.
    threads
        Cores; the result is the same for any number.

    Returns
    -------
    Float32
        Shape ``(z, y, x)``, the unit of `images`; each sum is made in float64.
    """
    from ultrahand import kernels

    images = _checked(images)
    total = np.zeros(images.shape[1:], np.float32)
    with kernels.threads(threads):
        kernels.add_squares(images.reshape(len(images), -1), total.reshape(-1))
    return np.sqrt(total, out=total)


def adaptive_combine(
    images: Complex64, *, radius: int = 3, spacing: int = 4, threads: int = 1
) -> Complex64:
    """Return the adaptive combination of whitened coil images.

    The weights are estimated on every ``spacing``-th voxel, turned to one phase, interpolated
    linearly and made unit again. As the block average is smooth over its own
    width, little is lost: the error is the interpolation's, at most ``spacing^2 / 8`` times the
    second differences of the weights along each axis.

    Parameters
    ----------
    images
        Whitened, finite, shape ``(coils, z, y, x)``; z is 1 for a 2D image.
    radius
        Half width of the block in voxels: it averages ``(2 radius + 1)^d``, clipped at the edges.
    spacing
        Voxels between estimates; 1 estimates the weights in every voxel.
    threads
        Cores; the result is the same for any number.

    Returns
    -------
    Complex64
        Shape ``(z, y, x)``, in the unit of `images`; 0 only where all coils are 0.

    Raises
    ------
    ultrahand.errors.RecordError
        If `images` is not finite or not ``(coils, z, y, x)``, or an option is out of range.
    """
    from ultrahand import kernels

    images = _checked(images)
    require(radius >= 0, f"radius must be >= 0, got {radius}")
    require(spacing >= 1, f"spacing must be >= 1, got {spacing}")
    for number, image in enumerate(images):
        require(bool(np.isfinite(image).all()), f"the image of coil {number} is not finite")
    n_coils, *shape = images.shape
    at = [_positions(n, spacing) for n in shape]
    weights = np.empty((*(len(a) for a in at), n_coils), np.complex64)
    combined = np.empty(shape, np.complex64)
    with kernels.threads(threads):
        kernels.walsh(images, *at, np.full(3, radius, np.int64), weights)
        turned = np.empty_like(weights)
        power = _block_power(images, at, radius)
        kernels.steady(weights, power, STEADY // 2, _virtual_coil(images), turned)
        kernels.combine(images, turned, *at, combined)
    return combined


def _block_power(images: Complex64, at: list[Ints], radius: int) -> Float32:
    """Return the mean signal power of the blocks, shape ``(len(z), len(y), len(x))``."""
    from scipy import ndimage

    from ultrahand import kernels

    power = np.zeros(images.shape[1:], np.float32)
    kernels.add_squares(images.reshape(len(images), -1), power.reshape(-1))
    return ndimage.uniform_filter(power, 2 * radius + 1, mode="nearest")[np.ix_(*at)]


def _virtual_coil(images: Complex64) -> Complex128:
    """Return the dominant eigenvector of the covariance over the whole image.

    Its own phase: the first coil at least half as loud as the loudest is real. (Not the loudest:
    in an array of equals noise would choose another in each of several images.)
    """
    from ultrahand import kernels

    n_coils, n_z = images.shape[:2]
    planes = np.empty((n_z, n_coils, n_coils), np.complex128)
    vector = np.empty(n_coils, np.complex128)
    kernels.plane_covariances(images, planes)
    kernels.dominant_eigenvector(planes.sum(axis=0), vector)
    loud = np.abs(vector)
    first = np.argmax(loud >= loud.max() / 2)
    return vector * vector[first].conj() / loud[first] if loud[first] > 0 else vector


def _positions(n: int, spacing: int) -> Ints:
    """Every `spacing`-th voxel from the first, and the last, so that nothing is extrapolated."""
    return np.unique(np.append(np.arange(0, n, spacing, dtype=np.int64), n - 1))


def _checked(images: Complex64) -> Complex64:
    images = np.ascontiguousarray(images, np.complex64)
    require(
        images.ndim == 4 and images.size > 0,
        f"images must be (coils, z, y, x), got {images.shape}",
    )
    return images
