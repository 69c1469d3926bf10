r"""The Cartesian Fourier transform: centred, orthonormal, forward sign minus.

.. math:: y_k = \frac{1}{\sqrt N} \sum_n x_n e^{-2 \pi i (k - c)(n - c) / N}, \quad c = N // 2

over each of the given axes, for even and odd :math:`N`: index ``N // 2`` is the origin of both
sides. The transform keeps norms, so white noise keeps its variance. This is the only place
where the convention is written.

Two forms of the same transform:

* `image_to_kspace` and `kspace_to_image` take and return centred arrays;
* the ``..._in_place`` pair works on arrays in *FFT order* (origin at index 0, as `to_fft_order`
  makes them) and overwrites its argument: no shifts, no second buffer. Large iterations
  convert once on the way in and once on the way out.

complex64 stays complex64 and complex128 stays complex128. Which library computes: `numerics.fft`.
"""

from __future__ import annotations

import numpy as np

from ultrahand.numerics import fft
from ultrahand.records.arrays import Complex, require

Axes = tuple[int, ...]


def image_to_kspace(image: Complex, axes: Axes, *, workers: int = 1) -> Complex:
    """Transform a centred image to centred k-space over `axes`.

    Parameters
    ----------
    image
        Any shape; complex64 or complex128. Left as it was.
    axes
        The axes to transform, for example ``(-2, -1)``.
    workers
        Threads; the result is the same for any number.
    """
    work = image_to_kspace_in_place(to_fft_order(image, axes), axes, workers=workers)
    return from_fft_order(work, axes)


def kspace_to_image(kspace: Complex, axes: Axes, *, workers: int = 1) -> Complex:
    """Transform centred k-space to a centred image over `axes`: inverse of `image_to_kspace`."""
    work = kspace_to_image_in_place(to_fft_order(kspace, axes), axes, workers=workers)
    return from_fft_order(work, axes)


def to_fft_order(centred: Complex, axes: Axes) -> Complex:
    """Copy a centred array (origin at ``N // 2``) into FFT order (origin at 0)."""
    _check(centred, axes)
    return np.fft.ifftshift(centred, axes)


def from_fft_order(data: Complex, axes: Axes) -> Complex:
    """Copy an array in FFT order (origin at 0) into the centred order (origin at ``N // 2``)."""
    _check(data, axes)
    return np.fft.fftshift(data, axes)


def image_to_kspace_in_place(data: Complex, axes: Axes, *, workers: int = 1) -> Complex:
    """Transform an image in FFT order to k-space in FFT order, overwriting `data`.

    Returns
    -------
    Complex
        The array holding the result, which is `data` itself.
    """
    _check(data, axes)
    made: Complex = fft.fftn(data, axes, norm="ortho", workers=workers)
    return made


def kspace_to_image_in_place(data: Complex, axes: Axes, *, workers: int = 1) -> Complex:
    """Inverse of `image_to_kspace_in_place`, overwriting `data`."""
    _check(data, axes)
    made: Complex = fft.ifftn(data, axes, norm="ortho", workers=workers)
    return made


def _check(data: Complex, axes: Axes) -> None:
    """Refuse real data, which would be promoted or transformed into a second buffer."""
    require(data.dtype.kind == "c", f"data must be complex, got {data.dtype}")
    unique = {axis % data.ndim for axis in axes if -data.ndim <= axis < data.ndim}
    require(
        len(unique) == len(axes) > 0,
        f"axes must be different axes of an array of shape {data.shape}, got {axes}",
    )
