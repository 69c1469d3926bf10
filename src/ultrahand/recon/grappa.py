"""GRAPPA: complete an undersampled Cartesian grid (`grappa_weights` says how it works).

Nothing larger than the grids themselves is made: each line of the lattice is gathered, multiplied
and written while it lies in the cache.
"""

from __future__ import annotations

import math

import numpy as np

from ultrahand.errors import InputError
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.grappa_equations import equations_bytes
from ultrahand.recon.grappa_weights import GrappaWeights, calibrate, check_finite
from ultrahand.recon.grappa_window import Window, window_of
from ultrahand.recon.lattice import Int64, Lattice, Shape
from ultrahand.recon.lattice_search import calibration_block, find_lattice
from ultrahand.records.arrays import Bools, Complex64, require

RUN_BYTES = 2**20
"""Of the sources gathered for one product: they stay in the second-level cache."""


def grappa(
    kspace: Complex64,
    mask: Bools,
    *,
    calibration: Complex64 | None = None,
    kernel: Shape | None = None,
    threads: int = 1,
) -> tuple[Complex64, GrappaWeights]:
    """Find the lattice, calibrate and fill: see `find_lattice`, `calibrate` and `fill`.

    Parameters
    ----------
    kspace
        Whitened, centred, ``(coils, z, y, x)``.
    mask
        True where acquired, ``(z, y, x)``.
    calibration
        Sampled in full, ``(coils, z, y, x)``; if None, the block around the centre of the mask.
    kernel
        Acquired samples along z, y, x; see `default_kernel`.
    threads
        Cores; the result is the same for any number.

    Returns
    -------
    kspace, weights
        The grid filled, and the weights that did it, for `grappa_noise`.

    Raises
    ------
    InputError
        As the three functions say.
    """
    block = calibration_block(mask)
    lattice = find_lattice(mask, block=block)
    if calibration is None:
        if block is None and lattice.rate > 1:
            raise InputError(
                "calibration",
                found="no acquired sample at the centre of k-space",
                expected="a fully sampled block around it",
                remedy="give the calibration lines separately",
            )
        calibration = kspace[(slice(None), *(block or ()))]
    weights = calibrate(calibration, lattice, kernel=kernel, threads=threads)
    return fill(kspace, mask, weights, threads=threads), weights


def fill(
    kspace: Complex64,
    mask: Bools,
    weights: GrappaWeights,
    *,
    out: Complex64 | None = None,
    threads: int = 1,
) -> Complex64:
    """Fill the missing samples; those acquired stay as measured, bit for bit.

    A sample is filled where the position of the lattice nearest to it was acquired (or one of
    several equally near) or lies outside the grid: so corners of an elliptical scan and the side
    left out by partial Fourier stay zero, for later steps to treat. Sources that were not acquired
    count as zero, and so do those beyond the grid: only simulated k-space goes on at its other end.

    Parameters
    ----------
    kspace
        Whitened, centred, ``(coils, z, y, x)``; what the mask leaves out is not read.
    mask
        True where acquired, ``(z, y, x)``.
    weights
        From `calibrate`. Their lattice must be that of the mask.
    out
        Where to write; may be `kspace` itself, which then needs no second grid.
    threads
        Cores; the result is the same for any number.

    Raises
    ------
    InputError
        If an acquired sample is not finite.
    ultrahand.errors.RecordError
        If shapes contradict each other, or the samples lie on another lattice.
    """
    from ultrahand import kernels

    expected = (weights.n_coils, *weights.lattice.shape)
    require(threads >= 1, f"threads must be >= 1, got {threads}")
    require(
        kspace.shape == expected and mask.shape == expected[1:] and mask.dtype == np.bool_,
        f"k-space must be {expected} with a boolean mask, got {kspace.shape} and {mask.shape}",
    )
    on = weights.lattice.positions(mask.shape)
    require(  # calibration lines are as dense on one lattice as on another: the rest decides
        int((mask & on).sum()) * mask.size >= int(mask.sum()) * int(on.sum()),
        "the weights are for another lattice than the mask's: its samples are denser elsewhere",
    )
    mask = np.ascontiguousarray(mask)
    with kernels.threads(threads):
        out = _zero_filled(kspace, mask, out)
    window = weights.window
    if not len(window.targets):
        return out
    n_t, coils, _, n_s = weights.values.shape
    rows = weights.values.reshape(n_t * coils, coils * n_s)
    lines, step, cells = _lines(weights.lattice, window)
    run = _run(coils * n_s, cells)
    chunks = max(1, min(threads, len(lines)))
    scratch = (
        np.empty((chunks, coils * n_s, run), np.complex64),
        np.empty((chunks, n_t * coils, run), np.complex64),
        np.empty((chunks, n_t, run), np.bool_),
    )
    places = (window.sources, window.targets, window.nearest)
    with one_blas_thread(), kernels.threads(threads):
        kernels.fill_lattice(lines, step, cells, mask, places, rows, (out, *scratch))
    return out


def grappa_bytes(
    lattice: Lattice,
    n_coils: int,
    *,
    n_x: int,
    kernel: Shape | None = None,
    threads: int = 1,
) -> int:
    """Return the bytes that `calibrate` or `fill` need at most, beside the k-space given and got.

    The normal equations rule: at most ``48 n (n + m)`` for n sources and m targets of all coils.
    256^3 voxels of 32 coils at rate 2 x 2 take 0.5 GB, as `fill` may work in place.

    Parameters
    ----------
    lattice
        Of the scan.
    n_coils
        Coils.
    n_x
        Samples of a calibration line.
    kernel, threads
        As for `calibrate`.
    """
    window = window_of(lattice, kernel)
    n, m = n_coils * len(window.sources), n_coils * len(window.targets)
    if not m:
        return 4 * math.prod(lattice.shape)
    lines, _, cells = _lines(lattice, window)
    filling = threads * 9 * (n + m) * _run(n, cells) + 4 * math.prod(lattice.shape) + lines.nbytes
    return max(equations_bytes(n, m, n_x, threads), filling) + 8 * n * m


def _zero_filled(kspace: Complex64, mask: Bools, out: Complex64 | None) -> Complex64:
    """Return the acquired samples in `out` or a new grid, zero elsewhere."""
    from ultrahand import kernels

    if out is None:
        out = np.empty(kspace.shape, np.complex64)
    require(
        out.shape == kspace.shape and out.dtype == np.complex64 and out.flags.c_contiguous,
        "out must be complex64 in C order, of the shape of k-space",
    )
    kernels.keep_acquired(np.ascontiguousarray(kspace, np.complex64), mask, out)
    for coil in out:
        check_finite(coil, "k-space")
    return out


def _lines(lattice: Lattice, window: Window) -> tuple[Int64, int, int]:
    """Return the first cell of each line along x, the step along it, and the cells on each.

    All cells with a target inside the grid: some lie outside it themselves.
    """
    least = -window.targets.max(axis=0)
    most = np.array(lattice.shape) - 1 - window.targets.min(axis=0)
    step = lattice.periods[2]
    corner = np.array([*(most - least + 1)[:2], step])
    moved = Lattice(shape=lattice.shape, basis=lattice.basis, offset=lattice.offset - least)
    lines = np.argwhere(moved.positions(tuple(corner.tolist()))) + least
    return np.ascontiguousarray(lines), step, int(most[2] - least[2]) // step + 1


def _run(rows: int, cells: int) -> int:
    """Return the cells to a product: near `RUN_BYTES` of sources, in equal parts of a line."""
    most = max(16, RUN_BYTES // (8 * rows))
    return -(-cells // -(-cells // most))
