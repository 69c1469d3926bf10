r"""Coil sensitivities from the calibration region: ESPIRiT.

Uecker, Lai, Murphy, Virtue, Elad, Pauly, Vasanawala, Lustig: MRM 2014;71:990,
doi:10.1002/mrm.24751. Every window of k-space over all coils lies in a subspace of few dimensions.
The projection onto it, applied to all windows, is in the image a matrix over coils in each voxel;
coil sensitivities are its eigenvectors of eigenvalue 1, as many sets as objects share the voxel
(aliasing of a small field of view).

Three things differ from the paper.

* The data are whitened, so the noise of the calibration is known, and no threshold has to be tried:
  with R the sum of the outer products of W windows, noise alone has the expected eigenvalue 2 W,
  and :math:`P = R (R + \mu)^{-1}` is the projection with the weights of a Wiener filter, signal
  over signal plus `EDGE` times the noise. It needs no eigenvalues: it is a Cholesky factor away.
* The matrix of a voxel is a Fourier series with lags below the kernel's width. It is summed where
  it is used; nothing of the size (voxels, coils, coils) is ever stored.
* The phase is that of a virtual coil, as in `ultrahand.recon.coils`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.records.arrays import Complex64, Float32, freeze, require

Complex128 = NDArray[np.complex128]

EDGE: Final = 10.0
"""Half weight lies at so many times the mean eigenvalue of noise. The largest of noise is at two to
four times, as windows overlap; from 3 to 100 the maps of a 12-coil hand differ by less than their
noise."""
KERNEL: Final = 6
"""Width of a window; less where the image or the calibration is narrower."""
_WINDOW_BYTES: Final = 64 * 2**20
_MIRRORED: Final = 256
"""Rows at a time."""
_SHIFT: Final = 1.005
"""Of the inverse iteration: above all eigenvalues, close to those wanted."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CoilMaps:
    """Sensitivities of a whitened coil array."""

    maps: Complex64
    """``(coils, sets, z, y, x)``, of unit norm over coils in every set and voxel."""
    eigenvalues: Float32
    """``(sets, z, y, x)``: 1 where the set explains what the coils see, less where nothing is."""

    def __post_init__(self) -> None:
        freeze(self, maps=self.maps, eigenvalues=self.eigenvalues)


def espirit(
    calibration: Complex64,
    shape: tuple[int, int, int],
    *,
    sets: int = 1,
    kernel: int = KERNEL,
    noise_variance: float = 1.0,
    steps: int = 8,
    threads: int = 1,
) -> CoilMaps:
    """Return coil sensitivities.

    Parameters
    ----------
    calibration
        The fully sampled centre of k-space, ``(coils, z, y, x)``, its origin at ``N // 2`` of each
        axis; 1 long along an axis of the image that is 1 long.
    shape
        Of the image, ``(z, y, x)``, with the field of view of the calibration.
    sets
        Of maps.
    kernel
        Width of the windows.
    noise_variance
        Of the real (and of the imaginary) part of a sample: 1 for whitened data.
    steps
        Of inverse iteration, for each set in a voxel.
    threads
        Cores; the result is the same for any number.

    Raises
    ------
    InputError
        The calibration region is smaller than a window, or not finite.
    ultrahand.errors.RecordError
        If an option is out of range or shapes contradict each other.
    """
    require(calibration.ndim == 4, f"calibration must be (coils, z, y, x), got {calibration.shape}")
    require(1 <= sets <= len(calibration), f"sets must be 1 to {len(calibration)}, got {sets}")
    require(min(kernel, steps) >= 1, "kernel and steps must be >= 1")
    require(noise_variance > 0, f"noise_variance must be positive, got {noise_variance}")
    if not np.isfinite(calibration).all():
        raise InputError(
            "calibration",
            found="NaN or infinity",
            expected="finite samples",
            remedy="leave the readouts out that hold them",
        )
    window = tuple(min(kernel, n) for n in shape)
    size = calibration.shape[1:]
    if any(n < w for n, w in zip(size, window, strict=True)):
        raise InputError(
            "calibration",
            found=" x ".join(map(str, reversed(size))) + " samples fully sampled (x, y, z)",
            expected="at least " + " x ".join(map(str, reversed(window))),
            remedy="acquire more calibration lines, or use a smaller kernel",
        )
    with one_blas_thread():
        gram, number = _gram(calibration, window)
        projection = _projection(gram, EDGE * 2 * number * noise_variance)
    series = _series(projection, len(calibration), window)
    return _maps(series, _virtual_coil(calibration), shape, sets, steps, threads)


def _gram(calibration: Complex64, window: tuple[int, ...]) -> tuple[Complex128, int]:
    """Return the lower triangle of the sum of outer products of all windows, and their number.

    In double precision: the signal is up to 1e8 times the noise that decides.
    """
    from scipy.linalg.blas import zherk

    windows = np.lib.stride_tricks.sliding_window_view(calibration, window, axis=(1, 2, 3))
    coils, nz, ny, nx = windows.shape[:4]
    length = coils * math.prod(window)
    gram = np.zeros((length, length), np.complex128, order="F")
    planes = max(1, _WINDOW_BYTES // (16 * length * nx))
    for z in range(nz):
        for first in range(0, ny, planes):
            part = windows[:, z, first : first + planes].astype(np.complex128)
            table = part.transpose(0, 3, 4, 5, 1, 2).reshape(length, -1)
            gram = zherk(1.0, table, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram, nz * ny * nx


def _projection(gram: Complex128, weight: float) -> Complex128:
    r"""Return :math:`R (R + \mu)^{-1} = 1 - \mu (R + \mu)^{-1}` in place of R's lower triangle.

    For 32 coils in 3D the matrix has 0.76 GB, so there is one of it.
    """
    from scipy.linalg.lapack import zpotrf, zpotri

    diagonal = np.arange(len(gram))
    gram[diagonal, diagonal] += weight
    factor, failed = zpotrf(gram, lower=1, overwrite_a=1)
    inverse, failed_too = zpotri(factor, lower=1, overwrite_c=1)
    require(not failed and not failed_too, "the windows' matrix is not positive definite")
    inverse *= -weight
    inverse[diagonal, diagonal] += 1.0
    for start in range(0, len(inverse), _MIRRORED):
        part, rest = slice(start, start + _MIRRORED), slice(start + _MIRRORED, None)
        lower = np.tril(inverse[part, part])
        inverse[part, part] = lower + np.tril(lower, -1).conj().T
        inverse[part, rest] = inverse[rest, part].conj().T
    return inverse


def _series(projection: Complex128, coils: int, window: tuple[int, ...]) -> Complex64:
    """Return the sum over all pairs of positions of one lag: ``(pairs of coils, lags z, y, x)``."""
    lags = tuple(2 * w - 1 for w in window)
    blocks = projection.reshape(coils, *window, coils, *window)
    sums = np.zeros((coils, coils, *lags), np.complex128)
    for a in np.ndindex(*window):
        there = tuple(slice(w - 1 - i, 2 * w - 1 - i) for w, i in zip(window, a, strict=True))
        sums[(slice(None), slice(None), *there)] += blocks[(slice(None), *a)]
    rows, columns = np.tril_indices(coils)
    return (sums[rows, columns] / math.prod(window)).astype(np.complex64)


def _virtual_coil(calibration: Complex64) -> Complex64:
    """Return the direction of most signal, with a phase of its own: see `coils`."""
    flat = calibration.reshape(len(calibration), -1).astype(np.complex128)
    _, vectors = np.linalg.eigh(flat @ flat.conj().T)
    vector = vectors[:, -1]
    loud = np.abs(vector)
    first = int(np.argmax(loud >= loud.max() / 2))
    return (vector * vector[first].conj() / loud[first]).astype(np.complex64)


def _maps(
    series: Complex64,
    virtual: Complex64,
    shape: tuple[int, int, int],
    sets: int,
    steps: int,
    threads: int,
) -> CoilMaps:
    from ultrahand import kernels

    coils, lanes = len(virtual), kernels.LANES
    turns = [_turns(n, lags) for n, lags in zip(shape, series.shape[1:], strict=True)]
    along = np.zeros((-(-shape[2] // lanes) * lanes, series.shape[3]), np.complex64)
    along[: shape[2]] = turns[2]
    parts = np.stack([along.real, along.imag], axis=1).reshape(-1, lanes, 2, series.shape[3])
    blocks = np.ascontiguousarray(parts.transpose(0, 3, 2, 1).reshape(len(parts), -1, 2 * lanes))
    start = np.random.default_rng(0).standard_normal((sets, coils * 2, 1))
    start = np.broadcast_to(start, (sets, coils * 2, lanes)).reshape(sets, -1)
    maps = np.empty((coils, sets, *shape), np.complex64)
    values = np.empty((sets, *shape), np.float32)
    with kernels.threads(threads):
        kernels.espirit_maps(
            series,
            (turns[0], turns[1]),
            blocks,
            start.astype(np.float32),
            virtual,
            np.float32(_SHIFT),
            steps,
            (maps, values),
        )
    return CoilMaps(maps=maps, eigenvalues=values)


def _turns(n: int, lags: int) -> Complex64:
    r"""Return :math:`e^{-2 \pi i l r / n}` for all voxels and lags, ``(n, lags)``."""
    r, lag = np.arange(n) - n // 2, np.arange(lags) - lags // 2
    return np.exp(-2j * np.pi * (np.outer(r, lag) % n) / n).astype(np.complex64)
