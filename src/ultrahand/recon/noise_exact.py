r"""The noise of SENSE images in every voxel from the dense matrix: for few voxels.

With :math:`B = (N + P)^{-1}` and :math:`P = \lambda + D F^H \mu F D` (see `beyond`) the
covariance is

.. math:: B N B = B - B P B, \quad
          (B P B)_{ii} = \lambda \sum_j |B_{ij}|^2 + \sum_k \mu_k |(F D b_i)_k|^2

with :math:`b_i` the columns of B, by Cholesky's factors in double precision. Along an axis on which
the spectrum does not vary (a readout that is sampled whole) planes are problems of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ultrahand.numerics import fft
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.beyond import HeldOperator
from ultrahand.recon.noise_alias import spread_of
from ultrahand.recon.normal import Spectra
from ultrahand.records.arrays import Complex64, Float64, Ints, require

Complex128 = NDArray[np.complex128]

PLANE: Final = 2**14
"""Voxels of a problem, seen or not, above which only `FEW` that are seen make it small."""
FEW: Final = 1000
"""At the rim of an object a block holds so few that readings have no neighbours to average over."""
COLUMNS: Final = 256
"""Of a matrix at a time, where a step needs several times the memory of what it makes."""


def problems(spectra: Spectra, maps: Complex64) -> list[Ints]:
    """Return the unknowns of each independent problem: set, z, y, x of each, ``(4, unknowns)``."""
    seen = np.any(maps != 0, axis=0)
    fixed: list[Iterable[int | slice]] = [
        range(n) if size == 1 else (slice(None),)
        for n, size in zip(spectra.shape, spectra.values.shape[1:], strict=True)
    ]
    found: list[Ints] = []
    for place in product(*fixed):
        part = np.zeros_like(seen)
        part[(slice(None), *place)] = seen[(slice(None), *place)]
        unknowns = np.array(np.nonzero(part))
        if unknowns.size:
            found.append(unknowns)
    return found


def is_small(spectra: Spectra, maps: Complex64, work: float) -> bool:
    """Return whether all problems take at most `work` operations, were they as the largest."""
    varies = tuple(a for a, size in enumerate(spectra.values.shape[1:]) if size > 1)
    seen = np.any(maps != 0, axis=0).sum(axis=0).sum(axis=varies)
    most = float(seen.max(initial=0))
    if most > FEW and math.prod(spectra.shape[a] for a in varies) > PLANE:
        return False
    return bool(8.0 * np.count_nonzero(seen) * most**3 <= work)


def exact_bytes(plane: int, planes: int, work: float, threads: int) -> int:
    """Return the most memory that the matrices take, whatever the object.

    Parameters
    ----------
    plane, planes
        Voxels of a problem, and how many there may be.
    work
        As of `is_small`.
    threads
        Cores.
    """
    most, largest = 0, FEW if plane > PLANE else plane
    for number in range(1, min(planes, threads) + 1):
        unknowns = min(largest, int((work / 8 / number) ** (1 / 3)))
        most = max(most, number * 16 * unknowns * (2 * unknowns + 12 * COLUMNS))
    return most


def exact_variance(
    spectra: Spectra,
    maps: Complex64,
    damping: float,
    held: HeldOperator | None,
    *,
    threads: int = 1,
) -> Float64:
    """Return the diagonal of the covariance, ``(sets, z, y, x)``, of unit noise in each part.

    Parameters
    ----------
    spectra, maps, damping
        As of `ultrahand.recon.sense.sense`.
    held
        What holds the rest of k-space; None for nothing.
    threads
        For as many independent problems at a time; the result is the same for any number.
    """
    spread = spread_of(spectra).astype(np.complex128)

    def solve(unknowns: Ints) -> Float64:
        return _variance(spread, maps, damping, held, unknowns)

    out = np.zeros(maps.shape[1:])
    todo = problems(spectra, maps)
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        for unknowns, variance in zip(todo, pool.map(solve, todo), strict=True):
            out[tuple(unknowns)] = variance
    return out


def _variance(
    spread: Complex128, maps: Complex64, damping: float, held: HeldOperator | None, unknowns: Ints
) -> Float64:
    inverse = _inverse(_matrix(spread, maps, damping, held, unknowns))
    variance: Float64 = np.diagonal(inverse).real.copy()
    for at in _blocks(unknowns.shape[1]):
        columns = inverse[:, at]
        variance[at] -= damping * np.einsum("ij,ij->j", columns.conj(), columns).real
        if held is not None:
            variance[at] -= _held_power(columns, held, unknowns)
    return np.maximum(variance, 0.0)


def _blocks(n: int) -> list[slice]:
    return [slice(first, min(first + COLUMNS, n)) for first in range(0, n, COLUMNS)]


def _matrix(
    spread: Complex128, maps: Complex64, damping: float, held: HeldOperator | None, unknowns: Ints
) -> Complex128:
    """Return N + P, ``(unknowns, unknowns)``."""
    seen = maps[:, *unknowns].astype(np.complex128)
    n = seen.shape[1]
    matrix = np.empty((n, n), np.complex128, order="F")
    for at in _blocks(n):
        lag = unknowns[1:, :, None] - unknowns[1:, None, at]
        matrix[:, at] = spread[_wrapped(lag, spread.shape)] * (seen.conj().T @ seen[:, at])
        if held is not None:
            back = fft.ifftn(held.weight.astype(np.complex128))
            norm = held.norm[tuple(unknowns)] * (unknowns[0] == unknowns[0, at, None])
            product = norm.T * held.norm[tuple(unknowns[:, at])]
            matrix[:, at] += back[_wrapped(lag, back.shape)] * product
    matrix[np.diag_indices(n)] += damping
    return matrix


def _wrapped(lag: Ints, shape: tuple[int, ...]) -> tuple[Ints, ...]:
    return tuple(lag[axis] % size for axis, size in enumerate(shape))


def _inverse(matrix: Complex128) -> Complex128:
    """Return the inverse of a Hermitian matrix, in its place."""
    from scipy.linalg import lapack

    # What no coil tells apart is singular without damping; rounding is less than this.
    matrix[np.diag_indices(len(matrix))] += 1e-12 * np.trace(matrix).real / len(matrix)
    factor, bad = lapack.zpotrf(matrix, lower=1, overwrite_a=1)
    require(not bad, f"the normal equations are not positive definite at unknown {bad}")
    inverse, _ = lapack.zpotri(factor, lower=1, overwrite_c=1)
    for at in _blocks(len(inverse)):  # LAPACK leaves what is above the diagonal as it was
        inverse[: at.start, at] = inverse[at, : at.start].conj().T
        block = inverse[at, at]
        inverse[at, at] = np.tril(block) + np.tril(block, -1).conj().T
    made: Complex128 = inverse
    return made


def _held_power(columns: Complex128, held: HeldOperator, unknowns: Ints) -> Float64:
    """Return ``sum mu |F D b|^2`` of each column b."""
    sets, *shape = held.norm.shape
    core = [n if size > 1 else 1 for n, size in zip(shape, held.weight.shape, strict=True)]
    at = [unknowns[0], *(u if n > 1 else 0 * u for u, n in zip(unknowns[1:], core, strict=True))]
    norm = held.norm[tuple(unknowns)]
    total = np.zeros(columns.shape[1])
    for first in range(0, columns.shape[1], 16):
        part = columns[:, first : first + 16]
        grid = np.zeros((part.shape[1], sets, *core), np.complex128)
        grid[:, *at] = part.T * norm
        k = fft.fftn(grid, (2, 3, 4))
        power = (k.real**2 + k.imag**2).sum(axis=1)
        total[first : first + 16] = (power * held.weight).sum(axis=(1, 2, 3)) / math.prod(core)
    return total
