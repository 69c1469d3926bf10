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

Calibration lines that stay in the grid as measured have the noise of full sampling. The kernel
correlates neighbours in k-space only, so parts of k-space add their variances, but for their seam:
with a fraction :math:`\kappa` of the grid in the calibration block

.. math:: sd(r)^2 = (f - \kappa / R)\, |W(r)^H p(r)|^2 + \kappa\, |p(r)|^2.

The weights count as known: what the noise of the calibration does to them is an error that all
images made with them share, and no part of it.

The magnitude of a root sum of squares changes to first order by :math:`Re(p^H dm)` with :math:`p =
m / |m|`: the same formula, for a signal well above the noise (`uncertainty.first_order_limit`).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.grappa_weights import GrappaWeights
from ultrahand.recon.lattice import Int64, Lattice
from ultrahand.records.arrays import Bools, Complex64, Float32, require


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
        True where acquired, ``(z, y, x)``: for the fractions of k-space on the lattice and in the
        calibration block. If None, the whole lattice and no block.
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
    filled, kept = _shares(lattice, mask)
    offsets, kernel = image_kernel(weights)
    phases = [_phases(offsets[:, a], n) for a, n in enumerate(lattice.shape)]
    along = np.unique(offsets[:, 2])
    member = np.searchsorted(along, offsets[:, 2])
    phase_x = _phases(along, lattice.shape[2])
    out = np.empty(lattice.shape, np.float32)

    def one(line: tuple[int, int]) -> None:
        z, y = line
        turned = kernel * (phases[0][:, z] * phases[1][:, y])[:, None]
        rows = np.zeros((len(along), coils * coils), np.complex64)
        np.add.at(rows, member, turned)
        unaliasing = (rows.T @ phase_x).reshape(coils, coils, -1)  # C' C x
        p = combination[:, z, y]
        applied = (unaliasing.conj() * p[:, None]).sum(axis=0)
        power = (applied.real**2 + applied.imag**2).sum(axis=0)
        own = (p.real**2 + p.imag**2).sum(axis=0)
        out[z, y] = np.sqrt(np.float32(filled) * power + np.float32(kept) * own)

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


def _shares(lattice: Lattice, mask: Bools | None) -> tuple[float, float]:
    r"""Return :math:`f - \kappa / R` and :math:`\kappa`.

    The block is told by its samples off the lattice, R - 1 of R.
    """
    rate = lattice.rate
    if mask is None or rate == 1:
        return (1.0 if mask is None else float(mask.mean())) / rate, 0.0
    require(mask.shape == lattice.shape, f"mask must be {lattice.shape}, got {mask.shape}")
    on = lattice.positions(mask.shape)
    kept = int((mask & ~on).sum()) / (rate - 1) * rate / mask.size
    return int((mask & on).sum()) / mask.size - kept / rate, kept


def _phases(offsets: Int64, n: int) -> Complex64:
    """Return ``exp(2 pi i d (r - n // 2) / n)``, ``(offsets, n)``."""
    turns = offsets[:, None] * (np.arange(n) - n // 2) % n / n
    return np.exp(2j * np.pi * turns).astype(np.complex64)
