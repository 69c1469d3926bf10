r"""Fewer, virtual coils that see what all coils see.

The singular vectors of the data over coils, the strongest first (Buehrer, Pruessmann, Boesiger,
Kozerke: MRM 2007;57:1131, doi:10.1002/mrm.21237; Huang, Vijayakumar, Li, Hertel, Duensing: Magn
Reson Imaging 2008;26:133, doi:10.1016/j.mri.2007.04.010); or, for Cartesian data, those of every
position along the readout, each turned to its neighbour's so that what varies along it is smooth
(geometric compression: Zhang, Pauly, Vasanawala, Lustig: MRM 2013;69:571, doi:10.1002/mrm.24267).
The rows of all matrices are orthonormal, so white noise stays white, of the same variance.

How many: the data are whitened, so each coil's noise has the variance 2 (1 in each part). Of M
samples of noise alone the largest eigenvalue of the covariance of C coils lies at

.. math:: 2 (1 + \sqrt{C / M})^2

(Marchenko, Pastur: Math USSR Sbornik 1967;1:457, doi:10.1070/SM1967v001n04ABEH001994): a virtual
coil below carries nothing that can be told from noise. And among those above, the weakest are left
out as long as all the signal lost with them, their eigenvalues less 2, is below `lost` times the
noise of one coil: by Parseval's theorem this is also the error of an image, on the mean over the
field of view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.records.arrays import Complex64, Float64, freeze, require

Complex128 = NDArray[np.complex128]

NOISE: Final = 2.0
"""Variance of a complex sample of whitened data."""
LOST: Final = 1.0
"""Signal that may be lost, in units of the noise of one coil."""
STEADY: Final = 4.0
"""Weight of a neighbour's directions, in units of the noise of a position's covariance: noise alone
turns a row by some hundredths of a radian from one position to the next."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CoilCompression:
    """Matrices that make virtual coils."""

    matrix: Complex64
    """``(virtual, coils)``, or ``(x, virtual, coils)`` for each position along the readout."""
    eigenvalues: Float64
    """Of the covariance of the coils, the largest first, ``(coils,)`` or ``(x, coils)``: mean power
    of a sample, noise included."""
    kept: float
    """Fraction of the signal (above the noise) in the virtual coils; 1 where there is none."""

    def __post_init__(self) -> None:
        freeze(self, matrix=self.matrix, eigenvalues=self.eigenvalues)

    @property
    def n_virtual(self) -> int:
        return self.matrix.shape[-2]


def coil_gram(block: Complex64) -> Complex128:
    """Return the sum over a block of samples of the outer products over coils.

    Sums of blocks are the gram of them all: nothing else has to stay in memory.

    Parameters
    ----------
    block
        Whitened, ``(readouts, coils, samples)``.

    Returns
    -------
    ndarray
        ``(coils, coils)``, in double precision.
    """
    require(block.ndim == 3, f"a block must be (readouts, coils, samples), got {block.shape}")
    flat = block.transpose(1, 0, 2).reshape(block.shape[1], -1).astype(np.complex128)
    with one_blas_thread():
        return flat @ flat.conj().T


def coil_gram_along(block: Complex64) -> Complex128:
    """Return the sums of outer products over coils for every position, ``(x, coils, coils)``.

    Parameters
    ----------
    block
        Whitened and transformed along the readout, ``(readouts, coils, x)``.
    """
    require(block.ndim == 3, f"a block must be (readouts, coils, x), got {block.shape}")
    columns = block.transpose(2, 1, 0).astype(np.complex128)
    with one_blas_thread():
        return columns @ columns.conj().transpose(0, 2, 1)


def svd_compression(
    gram: Complex128, n_samples: int, *, virtual: int | None = None, lost: float = LOST
) -> CoilCompression:
    """Return the matrix of the strongest singular vectors.

    Their phase: the first coil at least half as loud as the loudest is real and positive.

    Parameters
    ----------
    gram
        From `coil_gram`, summed over all blocks.
    n_samples
        M: how many samples of each coil are in it.
    virtual
        How many to make; None for the rule above.
    lost
        Signal that the rule may lose, in units of the noise of one coil.

    Raises
    ------
    InputError
        The samples are not finite.
    ultrahand.errors.RecordError
        If shapes or options are out of range.
    """
    _check(gram, 2, n_samples, virtual, lost)
    with one_blas_thread():
        values, vectors = _eigen(gram[None], n_samples)
    number = virtual or _needed(values, _alive(gram), n_samples, lost)
    rows = np.stack([_steady_phase(v) for v in vectors[0, :number]])
    return CoilCompression(
        matrix=rows.astype(np.complex64),
        eigenvalues=values[0],
        kept=_kept(values, number),
    )


def geometric_compression(
    gram: Complex128, n_samples: int, *, virtual: int | None = None, lost: float = LOST
) -> CoilCompression:
    r"""Return a matrix for every position along the readout, each aligned to its neighbour's.

    From the loudest position outwards. :math:`A` is turned by the unitary factor of :math:`B A^H`,
    with B its neighbour's: of all rotations of its rows that is the nearest to B (Zhang et al 2013,
    equation 8). Where a direction has no more power than the noise of the estimate, nothing but
    chance would choose among them; so the neighbour's matrix enters the covariance with `STEADY`
    times that noise, and virtual coils pass through positions without signal nearly as they came.

    Parameters
    ----------
    gram
        From `coil_gram_along`, summed over all blocks.
    n_samples
        M: how many samples of each coil are in each position's.
    virtual
        How many to make; None for as many as the rule asks for where most are needed.
    lost
        Signal that may be lost, in units of the noise of one coil.

    Raises
    ------
    InputError
        The samples are not finite.
    ultrahand.errors.RecordError
        If shapes or options are out of range.
    """
    _check(gram, 3, n_samples, virtual, lost)
    with one_blas_thread():
        values, vectors = _eigen(gram, n_samples)
        alive = _alive(gram.sum(axis=0))
        number = virtual or _needed(values, alive, n_samples, lost)
        start = int(np.argmax(values.sum(axis=1)))
        first = np.stack([_steady_phase(v) for v in vectors[start, :number]])
        weight = STEADY * n_samples * (_edge(alive, n_samples) - NOISE)
        rows = np.empty((len(gram), number, gram.shape[1]), np.complex128)
        for positions in (range(start, len(gram)), range(start, -1, -1)):
            near = first
            for x in positions:
                near = first if x == start else _aligned(gram[x], near, weight)
                rows[x] = near
    return CoilCompression(
        matrix=rows.astype(np.complex64), eigenvalues=values, kept=_kept(values, number)
    )


def compress(block: Complex64, compression: CoilCompression) -> Complex64:
    """Return the virtual coils of a block of readouts.

    Parameters
    ----------
    block
        Whitened, ``(readouts, coils, samples)``; transformed along the readout, and so long as the
        matrices are many, for a `geometric_compression`.
    compression
        What to do.

    Returns
    -------
    Complex64
        ``(readouts, virtual, samples)``.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other.
    """
    matrix = compression.matrix
    fits = block.ndim == 3 and block.shape[1] == matrix.shape[-1]
    fits &= matrix.ndim == 2 or block.shape[-1] == len(matrix)
    require(fits, f"a block {block.shape} does not fit matrices {matrix.shape}")
    with one_blas_thread():
        if matrix.ndim == 2:
            return np.matmul(matrix, block)
        columns = np.matmul(matrix, block.transpose(2, 1, 0))
    return np.ascontiguousarray(columns.transpose(2, 1, 0))


def _check(gram: Complex128, dims: int, n_samples: int, virtual: int | None, lost: float) -> None:
    require(
        gram.ndim == dims and gram.shape[-1] == gram.shape[-2] and gram.size > 0,
        f"gram must be {'(x, coils, coils)' if dims == 3 else '(coils, coils)'}, got {gram.shape}",
    )
    coils = gram.shape[-1]
    require(n_samples >= 1, f"n_samples must be >= 1, got {n_samples}")
    require(virtual is None or 1 <= virtual <= coils, f"virtual must be 1 to {coils}")
    require(lost >= 0, f"lost must not be negative, got {lost}")
    if not np.isfinite(gram).all():
        raise InputError(
            "samples",
            found="NaN or infinity",
            expected="finite samples",
            remedy="leave the readouts out that hold them",
        )


def _alive(gram: Complex128) -> int:
    """Return how many coils have any samples but zeros."""
    return max(1, int(np.count_nonzero(gram.diagonal().real > 0)))


def _edge(coils: int, n_samples: int) -> float:
    """Return the largest eigenvalue of noise."""
    return NOISE * (1 + math.sqrt(coils / n_samples)) ** 2


def _eigen(gram: Complex128, n_samples: int) -> tuple[Float64, Complex128]:
    """Return eigenvalues of the covariances, ``(x, coils)``, and rows ``(x, coils, coils)``."""
    values, vectors = np.linalg.eigh(gram / n_samples)
    return (
        np.maximum(values[:, ::-1], 0),
        vectors[:, :, ::-1].conj().transpose(0, 2, 1),
    )


def _needed(values: Float64, alive: int, n_samples: int, lost: float) -> int:
    """Return the least number of virtual coils that loses little at any position."""
    told = np.where(values > _edge(alive, n_samples), values - NOISE, 0.0)
    rest = np.cumsum(told[:, ::-1], axis=1)[:, ::-1]  # of this and all weaker ones
    return max(1, int((rest > lost * NOISE).sum(axis=1).max()))


def _kept(values: Float64, number: int) -> float:
    signal = np.maximum(values - NOISE, 0)
    total = float(signal.sum())
    return float(signal[:, :number].sum()) / total if total > 0 else 1.0


def _aligned(gram: Complex128, near: Complex128, weight: float) -> Complex128:
    """Return the strongest directions, turned to a neighbour's."""
    _, vectors = np.linalg.eigh(gram + weight * (near.conj().T @ near))
    rows = vectors[:, ::-1][:, : len(near)].conj().T
    left, _, right = np.linalg.svd(near @ rows.conj().T)
    turned: Complex128 = left @ right @ rows
    return turned


def _steady_phase(row: Complex128) -> Complex128:
    loud = np.abs(row)
    first = int(np.argmax(loud >= loud.max() / 2))
    return row * row[first].conj() / loud[first]
