r"""Coil sensitivities from images of low resolution, for any trajectory.

Sensitivities vary slowly, so the centre of k-space is enough for them. Two ways from the images
:math:`m_c` of a tapered calibration region to maps, both cheaper and rougher than
`ultrahand.recon.espirit`:

* `ratio_maps`: each image over the root of the sum of their squares (Pruessmann, Weiger,
  Scheidegger, Boesiger: MRM 1999;42:952, doi:10.1002/(SICI)1522-2594(199911)42:5
  <952::AID-MRM16>3.0.CO;2-S; from the data themselves: McKenzie, Yeh, Ohliger, Price, Sodickson:
  MRM 2002;47:529, doi:10.1002/mrm.10087);
* `walsh_maps`: the dominant eigenvector of their covariance in a small block (Walsh, Gmitro,
  Marcellin: MRM 2000;43:682, doi:10.1002/(SICI)1522-2594(200005)43:5<682::AID-MRM10>3.0.CO;2-G),
  which averages the noise of the block.

The phase is that of a virtual coil, as in `ultrahand.recon.coils`.

Support: whitened noise in C coils has a sum of squares of the chi-squared law with 2 C degrees of
freedom. The mask is 0 below the level that noise alone crosses once in `FALSE` whole images, and
rises to 1 at twice its amplitude. Where the object is loud the taper's own side lobes are louder
than noise, and their level counts instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.fourier import kspace_to_image
from ultrahand.records.arrays import Complex64, Float32, Float64, freeze, require

Complex128 = NDArray[np.complex128]
Taper = Literal["hann", "kaiser"]
Triple = tuple[int, int, int]

FALSE: Final = 20
KAISER_BETA: Final = 6.0
"""Side lobes at 0.6 %, a main lobe as wide as Hann's."""
RADIUS: Final = 1
"""Half width of Walsh's block, in voxels of the low resolution."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SmoothMaps:
    """Sensitivities of low resolution."""

    maps: Complex64
    """``(coils, 1, z, y, x)``, of unit norm over coils in every voxel; not masked."""
    support: Float32
    """``(z, y, x)``, from 0 where there is noise alone to 1: a mask to multiply the maps with."""

    def __post_init__(self) -> None:
        freeze(self, maps=self.maps, support=self.support)


def ratio_maps(
    calibration: Complex64,
    shape: Triple,
    *,
    taper: Taper = "hann",
    noise_variance: float = 1.0,
    threads: int = 1,
) -> SmoothMaps:
    """Return images of low resolution over their root sum of squares.

    Parameters
    ----------
    calibration
        Whitened, fully sampled centre of k-space, ``(coils, z, y, x)``, its origin at ``N // 2`` of
        each axis; 1 long along an axis of the image that is 1 long. See
        `calibration.calibration_from_samples` for other trajectories.
    shape
        Of the image, ``(z, y, x)``, with the field of view of the calibration.
    taper
        What the calibration is multiplied with.
    noise_variance
        Of the real (and of the imaginary) part of a sample: 1 for whitened data.
    threads
        Cores; the result is the same for any number.

    Raises
    ------
    InputError
        The calibration is not finite.
    ultrahand.errors.RecordError
        If shapes or options are out of range.
    """
    window = _checked(calibration, shape, taper, noise_variance)
    maps = np.empty((len(calibration), 1, *shape), np.complex64)
    power = np.zeros(shape, np.float32)
    virtual, seen = _virtual_coil(calibration * window), np.zeros(shape, np.complex64)
    for coil, k in enumerate(calibration):
        image = maps[coil, 0]
        image[:] = kspace_to_image(_padded(k * window, shape), (0, 1, 2), workers=threads)
        power += image.real**2 + image.imag**2
        seen += np.conj(virtual[coil]) * image
    level = np.abs(seen)
    turn = np.divide(seen.conj(), level, out=np.ones_like(seen), where=level > 0)
    scale = np.divide(turn, np.sqrt(power), out=np.zeros_like(seen), where=power > 0)
    maps *= scale
    support = _support(power, window, len(calibration), noise_variance, calibration.shape[1:])
    return SmoothMaps(maps=maps, support=support)


def walsh_maps(
    calibration: Complex64,
    shape: Triple,
    *,
    taper: Taper = "hann",
    radius: int = RADIUS,
    noise_variance: float = 1.0,
    threads: int = 1,
) -> SmoothMaps:
    """Return dominant eigenvectors of blocks of images of low resolution.

    They are found on the calibration's own voxels and interpolated by cubic splines, round the edge
    of the field of view, as the images are periodic.

    Parameters
    ----------
    calibration, shape, taper, noise_variance, threads
        As for `ratio_maps`.
    radius
        Half width of the block in voxels of the calibration.

    Raises
    ------
    InputError
        The calibration is not finite.
    ultrahand.errors.RecordError
        If shapes or options are out of range.
    """
    from ultrahand import kernels

    window = _checked(calibration, shape, taper, noise_variance)
    require(radius >= 0, f"radius must be >= 0, got {radius}")
    small = calibration.shape[1:]
    edge = [min(radius + 2, n) if n > 1 else 0 for n in small]  # blocks and phases reach round too
    images = kspace_to_image(calibration * window, (1, 2, 3), workers=threads)
    around = np.pad(images, [(0, 0), *((e, e) for e in edge)], mode="wrap")
    at = [np.arange(n, dtype=np.int64) for n in around.shape[1:]]
    weights = np.empty((*around.shape[1:], len(images)), np.complex64)
    turned, power = np.empty_like(weights), (np.abs(around) ** 2).sum(axis=0, dtype=np.float32)
    virtual = _virtual_coil(calibration * window)
    with kernels.threads(threads):
        kernels.walsh(around, *at, np.full(3, radius, np.int64), weights)
        kernels.steady(weights, power, 1, virtual, turned)
    inner = tuple(slice(e, e + n) for e, n in zip(edge, small, strict=True))
    maps = np.empty((len(images), 1, *shape), np.complex64)
    norm, loudness = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for coil, k in enumerate(calibration):
        maps[coil, 0] = _interpolated(turned[inner][..., coil], shape)
        norm += np.abs(maps[coil, 0]) ** 2
        image = kspace_to_image(_padded(k * window, shape), (0, 1, 2), workers=threads)
        loudness += image.real**2 + image.imag**2
    scale = np.divide(1, np.sqrt(norm), out=np.zeros_like(norm), where=norm > 0)
    maps *= scale
    support = _support(loudness, window, len(images), noise_variance, small)
    return SmoothMaps(maps=maps, support=support)


def _checked(calibration: Complex64, shape: Triple, taper: Taper, noise_variance: float) -> Float32:
    """Return the taper over the calibration, ``(z, y, x)``."""
    require(calibration.ndim == 4, f"calibration must be (coils, z, y, x), got {calibration.shape}")
    require(
        all(1 <= n <= m for n, m in zip(calibration.shape[1:], shape, strict=True)),
        f"calibration {calibration.shape[1:]} must not be larger than the image {shape}",
    )
    require(taper in {"hann", "kaiser"}, f"taper must be hann or kaiser, got {taper}")
    require(noise_variance > 0, f"noise_variance must be positive, got {noise_variance}")
    if not np.isfinite(calibration).all():
        raise InputError(
            "calibration",
            found="NaN or infinity",
            expected="finite samples",
            remedy="leave the readouts out that hold them",
        )
    z, y, x = (_window(n, taper) for n in calibration.shape[1:])
    return (z[:, None, None] * y[:, None] * x).astype(np.float32)


def _window(n: int, taper: Taper) -> Float64:
    """Return a window of width n about ``n // 2``, 1 there and not 0 at the ends."""
    if n == 1:
        return np.ones(1)
    place = 2 * (np.arange(n) - n // 2) / (n + 1)
    if taper == "hann":
        return 0.5 + 0.5 * np.cos(np.pi * place)
    return np.i0(KAISER_BETA * np.sqrt(1 - place**2)) / np.i0(KAISER_BETA)


def _side_lobe(window: Float32) -> float:
    """Return the highest side lobe of the window's transform, relative to its middle."""
    lobes = [0.0]
    for axis, n in enumerate(window.shape):
        if n > 1:
            line = window.sum(axis=tuple(a for a in range(3) if a != axis))
            power = np.abs(np.fft.rfft(line, 64 * n))
            falls = int(np.argmax(np.diff(power) > 0))  # the first zero
            lobes.append(float(power[falls:].max() / power[0]))
    return max(lobes)


def _support(
    power: Float32, window: Float32, coils: int, noise_variance: float, small: tuple[int, ...]
) -> Float32:
    """Return the mask from the sum of squares over coils."""
    from scipy import stats

    # Noise of a voxel: the orthonormal transform spreads that of the tapered samples over all.
    variance = noise_variance * float(np.sum(window.astype(np.float64) ** 2)) / power.size
    independent = math.prod(small)
    false = 1 / (FALSE * independent)
    noise = variance * float(stats.chi2.isf(false, 2 * coils))
    low = max(noise, float(power.max()) * _side_lobe(window) ** 2)
    amplitude = np.sqrt(power / np.float32(low))
    ramp = np.clip(amplitude - 1, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _virtual_coil(calibration: Complex64) -> Complex128:
    """Return the direction of most signal, with a phase of its own: see `coils`."""
    flat = calibration.reshape(len(calibration), -1).astype(np.complex128)
    with one_blas_thread():
        _, vectors = np.linalg.eigh(flat @ flat.conj().T)
    vector = vectors[:, -1]
    loud = np.abs(vector)
    first = int(np.argmax(loud >= loud.max() / 2))
    return vector * vector[first].conj() / loud[first]


def _padded(k: Complex64, shape: Triple) -> Complex64:
    """Fill up with zeros, origin to origin."""
    out = np.zeros(shape, np.complex64)
    at = tuple(
        slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(shape, k.shape, strict=True)
    )
    out[at] = k
    return out


def _interpolated(small: Complex64, shape: Triple) -> Complex64:
    """Interpolate a periodic array: its voxel ``m // 2`` lies at ``n // 2``."""
    for axis, n in enumerate(shape):
        m = small.shape[axis]
        if n == m:
            continue
        matrix = _periodic_spline(m, (np.arange(n) - n // 2) * (m / n) + m // 2)
        moved = np.moveaxis(small, axis, 0)
        with one_blas_thread():
            made = matrix @ moved.reshape(m, -1)
        small = np.moveaxis(made.reshape(n, *moved.shape[1:]), 0, axis)
    return small


def _periodic_spline(m: int, places: Float64) -> Float32:
    """Return the matrix ``(places, m)`` of periodic cubic interpolation."""
    from scipy import interpolate

    if m == 1:
        return np.ones((len(places), 1), np.float32)
    values = np.vstack([np.eye(m), np.eye(m)[:1]])
    spline = interpolate.CubicSpline(np.arange(m + 1), values, bc_type="periodic")
    return spline(places % m).astype(np.float32)
