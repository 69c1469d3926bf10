r"""The noise of GRAPPA images, without realisations.

Breuer et al: MRM 2009;62:739, doi:10.1002/mrm.22066. The filled grid is the sampled one convolved
with a kernel :math:`w_{c'c}(t - s) = K_{t c', c s}`, and 1 at the origin for each coil itself. So
the images are those of the sampled grid, which alias, times its transform (k-space ends left aside:
sources beyond them are zero)

.. math:: W_{c'c}(r) = \sum_d w_{c'c}(d)\, e^{2 \pi i \sum_a d_a (r_a - N_a // 2) / N_a}.

Each coil of whitened data has noise of variance 1 in the real and in the imaginary part of each
sample, and the transform is orthonormal: with a fraction f of the grid sampled on the lattice, the
aliased image has the variance f in each part, the coils without correlation. So the parts of the
noise have the covariance :math:`C(r) = f W W^H` between the coils of one voxel, and a combination
:math:`p^H m` the variance

.. math:: p^H C p = f\, |W(r)^H p(r)|^2.

Samples of calibration lines, at seams between these and the lattice, and near the ends of k-space
have fewer targets to fill, or none. Samples are independent, so with :math:`q_d = w(d)^H p\, e^{-2
\pi i d r / N}` and the number n(d, d') of samples that have both a target at d and one at d',

.. math:: sd(r)^2 = \frac1N \sum_{d d'} n(d, d')\, q_d^* q_{d'}
                  = \sum_k |W_k(r)^H p(r)|^2,

the kernel of each :math:`W_k` the whole one times an eigenvector of n / N and the root of its
eigenvalue. The first is the endless lattice; those of less than `FAINT` of the kernel's energy
together are left out.

The weights count as known: what the noise of the calibration does to them is an error that all
images made with them share, and no part of it.

The magnitude of a root sum of squares changes to first order by :math:`Re(p^H dm)` with :math:`p =
m / |m|`: the same formula, for a signal well above the noise (`uncertainty.first_order_limit`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.grappa_weights import GrappaWeights
from ultrahand.recon.lattice import Int64, Lattice
from ultrahand.records.arrays import Bools, Complex64, Float32, Float64, require

FAINT: Final = 0.005
"""Of the variance, in components that are left out: a quarter of a percent of the deviation."""


def grappa_noise(
    weights: GrappaWeights,
    combination: Complex64,
    *,
    mask: Bools | None = None,
    threads: int = 1,
) -> Float32:
    r"""Return the standard deviation of each part of a combined image :math:`p^H m`.

    Memory: :math:`C^2 N_x` complex numbers a thread for C coils, whatever the other axes.

    Parameters
    ----------
    weights
        From `ultrahand.recon.grappa_weights.calibrate`, of whitened data.
    combination
        :math:`p`, ``(coils, z, y, x)``: for the image of one coil 1 there and 0 in the others, for
        a root sum of squares the images over their root sum of squares, :math:`m / |m|`; for
        sensitivities S the combination of least noise of unaccelerated data, :math:`S / |S|^2`.
    mask
        True where acquired, ``(z, y, x)``: what is there is not filled. If None, an endless lattice
        and nothing else.
    threads
        Cores; the result is the same for any number.

    Returns
    -------
    Float32
        ``(z, y, x)``, in the unit of :math:`p` times whitened data.

    Raises
    ------
    ultrahand.errors.RecordError
        If `combination` has another shape, or an option is out of range.
    """
    lattice, coils = weights.lattice, weights.n_coils
    require(
        combination.shape == (coils, *lattice.shape),
        f"combination must be {(coils, *lattice.shape)}, got {combination.shape}",
    )
    require(threads >= 1, f"threads must be >= 1, got {threads}")
    offsets, kernel = image_kernel(weights)
    parts = _components(lattice, mask, offsets, kernel)
    phases = [_phases(offsets[:, a], n) for a, n in enumerate(lattice.shape)]
    along = np.unique(offsets[:, 2])
    member = np.searchsorted(along, offsets[:, 2])
    phase_x = _phases(along, lattice.shape[2])
    out = np.empty(lattice.shape, np.float32)

    def one(line: tuple[int, int]) -> None:
        z, y = line
        p = combination[:, z, y]
        turned = (phases[0][:, z] * phases[1][:, y])[:, None]
        variance = np.zeros(lattice.shape[2], np.float32)
        for part in parts:
            rows = np.zeros((len(along), coils * coils), np.complex64)
            np.add.at(rows, member, part * turned)
            unaliasing = (rows.T @ phase_x).reshape(coils, coils, -1)  # C' C x
            applied = (unaliasing.conj() * p[:, None]).sum(axis=0)
            variance += (applied.real**2 + applied.imag**2).sum(axis=0)
        out[z, y] = np.sqrt(variance)

    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, np.ndindex(lattice.shape[:2])))
    return out


def g_factor(weights: GrappaWeights, combination: Complex64, *, threads: int = 1) -> Float32:
    r"""Return the noise over that of full sampling with the same p, over the root of the rate.

    :math:`g = |W^H p| / (R |p|)` (Breuer et al 2009); NaN where :math:`p = 0`.

    Parameters
    ----------
    weights, combination, threads
        As for `grappa_noise`.
    """
    sd = grappa_noise(weights, combination, threads=threads)
    full = np.sqrt((np.abs(combination) ** 2).sum(axis=0)) * np.float32(
        math.sqrt(weights.lattice.rate)
    )
    return np.divide(sd, full, out=np.full_like(sd, np.nan), where=full > 0)


def image_kernel(weights: GrappaWeights) -> tuple[Int64, Complex64]:
    """Return the offsets d = t - s, ``(n, 3)``, and w(d), ``(n, coils coils)``, coil c' first."""
    window, coils = weights.window, weights.n_coils
    pairs = window.targets[:, None] - window.sources[None]
    every = np.concatenate([np.zeros((1, 3), np.int64), pairs.reshape(-1, 3)])
    offsets, member = np.unique(every, axis=0, return_inverse=True)
    kernel = np.zeros((len(offsets), coils * coils), np.complex64)
    values = weights.values.transpose(0, 3, 1, 2).reshape(-1, coils * coils)
    np.add.at(kernel, member.reshape(-1)[1:], values)
    kernel[member.reshape(-1)[0]] += np.eye(coils, dtype=np.complex64).reshape(-1)
    return offsets, kernel


def _components(
    lattice: Lattice, mask: Bools | None, offsets: Int64, kernel: Complex64
) -> list[Complex64]:
    """Return the kernels of the W_k, those of most energy first."""
    if mask is None:
        return [kernel * np.float32(1 / math.sqrt(lattice.rate))]
    require(mask.shape == lattice.shape, f"mask must be {lattice.shape}, got {mask.shape}")
    pairs = np.zeros((len(offsets), len(offsets)))
    for filled, count in _targets(lattice, mask, offsets):
        pairs += (filled.T * count) @ filled
    own = int(np.flatnonzero(~offsets.any(axis=1))[0])
    pairs[own, own] = mask.sum()  # those off the lattice too
    values, vectors = np.linalg.eigh(pairs / mask.size)
    scaled = vectors * np.sqrt(np.maximum(values, 0))
    energy = (scaled**2).T @ (kernel.real**2 + kernel.imag**2).sum(axis=1)
    order = np.argsort(-energy)
    left = 1 - np.cumsum(energy[order]) / max(float(energy.sum()), 1e-30)
    kept = order[: 1 + int(np.count_nonzero(left > FAINT))]
    return [(kernel * scaled[:, [k]]).astype(np.complex64) for k in kept]


def _targets(lattice: Lattice, mask: Bools, offsets: Int64) -> Iterator[tuple[Float64, Float64]]:
    """Yield which targets samples on the lattice fill, and how many each stands for.

    The first are ``(samples, offsets)``; along x, where all lines are whole, the middle is one.
    """
    reach = [int(n) for n in np.abs(offsets).max(axis=0)]
    count = np.ones(mask.shape[2])
    if mask.shape[2] > 2 * reach[2] + 1 and lattice.rate > 1 and _same_along_x(lattice, mask):
        count[reach[2] + 1 : mask.shape[2] - reach[2]] = 0
        count[reach[2]] = mask.shape[2] - 2 * reach[2]
    missing = np.pad(~mask, [(n, n) for n in reach])  # beyond the ends there is nothing to fill
    sources = lattice.positions(mask.shape) & mask & (count > 0)
    own = ~offsets.any(axis=1)
    for z, plane in enumerate(sources):
        at = np.argwhere(plane)
        y, x = (at[:, axis, None] + offsets[:, axis + 1] + reach[axis + 1] for axis in (0, 1))
        yield (
            (missing[z + reach[0] + offsets[:, 0], y, x] | own).astype(np.float64),
            count[at[:, 1]],
        )


def _same_along_x(lattice: Lattice, mask: Bools) -> bool:
    on = lattice.positions(mask.shape)
    return bool((mask == mask[..., :1]).all() and (on == on[..., :1]).all())


def _phases(offsets: Int64, n: int) -> Complex64:
    """Return ``exp(2 pi i d (r - n // 2) / n)``, ``(offsets, n)``."""
    turns = offsets[:, None] * (np.arange(n) - n // 2) % n / n
    return np.exp(2j * np.pi * turns).astype(np.complex64)
