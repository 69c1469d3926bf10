r"""GRAPPA: missing samples of each coil as a linear combination of acquired ones of all coils.

Griswold et al: MRM 2002;47:1202, doi:10.1002/mrm.10171. For a cell of the sampling lattice at u,
with sources s and targets t of a `Window`,

.. math:: y_{c'}(u + t) = \sum_{c, s} K_{t c', c s}\, y_c(u + s),

the same K in all of k-space. It is fitted to a block sampled in full, where each of the W places of
the window gives one column of sources A and of targets B:

.. math:: K = \arg\min \|B - K A\|^2 + \lambda \|K\|^2, \quad K = B A^H (A A^H + \lambda)^{-1}.

The damping follows from the noise, :math:`\sigma^2 = 2` for whitened data (1 in each part). The
noise in the sources already adds :math:`\sigma^2 W` to :math:`A A^H` in the mean, which is the
damping that weighs the noise a sample gets, :math:`\sigma^2 |k|^2` for its row k of K, against its
error of signal: no more is wanted for that. But K has n unknowns in each row (coils times sources)
and is fitted to targets that miss it by a variance of :math:`\sigma^2 (1 + |k|^2)`, their own noise
and the sources'. For such a fit the ridge of least error is n times this variance over
:math:`|k|^2` (Hoerl, Kennard, Baldwin: Commun Stat 1975;4:105, doi:10.1080/03610927508827232):

.. math:: \lambda = \sigma^2 n \, (1 + 1 / |k|^2).

Here :math:`|k|^2 = 1` is taken, samples as noisy as those measured: :math:`\lambda = 2 \sigma^2 n`.
It is little beside :math:`\sigma^2 W` where calibration is plenty, and rules where it is scarce.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.grappa_window import Window, window_of
from ultrahand.recon.lattice import Int64, Lattice, Shape, calibration_block, find_lattice
from ultrahand.records.arrays import Bools, Complex64, freeze, require

Complex128 = NDArray[np.complex128]

NOISE_VARIANCE = 2.0
"""Of a whitened complex sample."""

FLOOR = 1e-12
"""Least damping over the greatest square of a source: well above the rounding of the equations, and
of no weight beside the rounding of the data."""

BLOCK_BYTES = 8 * 2**20
"""Of the windows held at a time while calibrating."""

PANEL = 32
"""Rows of the normal equations to a task."""

RUN_BYTES = 2**20
"""Of the sources gathered for one product: they stay in the second-level cache."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class GrappaWeights:
    """What `calibrate` found."""

    lattice: Lattice
    window: Window
    values: Complex64
    """``(targets, coils, coils, sources)``: target and its coil, then coil and source."""
    damping: float
    """The :math:`\\lambda` used, in squared units of the data."""
    windows: int
    """Places of the window in the calibration; 0 where nothing is to be filled."""

    def __post_init__(self) -> None:
        coils = self.values.shape[1]
        expected = (len(self.window.targets), coils, coils, len(self.window.sources))
        require(
            self.values.shape == expected,
            f"weights must be (targets, coils, coils, sources) {expected}, got {self.values.shape}",
        )
        freeze(self, values=self.values)

    @property
    def n_coils(self) -> int:
        return self.values.shape[1]


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


def calibrate(
    calibration: Complex64,
    lattice: Lattice,
    *,
    kernel: Shape | None = None,
    damping: float = 1.0,
    threads: int = 1,
) -> GrappaWeights:
    r"""Fit the weights to a fully sampled block.

    The normal equations are summed over blocks of windows in double precision: single precision
    would lose the weak directions of a calibration of high signal to noise.

    Parameters
    ----------
    calibration
        Whitened, sampled in full, ``(coils, z, y, x)``; anywhere in k-space.
    lattice
        Of the samples to be completed.
    kernel
        Acquired samples along z, y, x; see `default_kernel`.
    damping
        Factor of the :math:`\lambda` above. At 0 what `FLOOR` says stays, so that the
        equations have a solution.
    threads
        Cores; the result is the same for any number.

    Raises
    ------
    InputError
        If the calibration is too small, not finite or empty.
    """
    require(damping >= 0 and math.isfinite(damping), f"damping must be >= 0, got {damping}")
    require(threads >= 1, f"threads must be >= 1, got {threads}")
    require(
        calibration.ndim == 4 and calibration.size > 0,
        f"calibration must be (coils, z, y, x), got {calibration.shape}",
    )
    window = window_of(lattice, kernel)
    coils, n_t, n_s = len(calibration), len(window.targets), len(window.sources)
    n, windows, extra = coils * n_s, 0, 0.0
    values = np.zeros((n_t, coils, coils, n_s), np.complex64)
    if n_t:
        calibration = _checked(calibration)
        windows = _count_windows(calibration.shape[1:], window)
        with one_blas_thread():
            normal = _normal_equations(calibration, window, threads)
            diagonal = normal[:n].diagonal().real
            extra = max(damping * 2 * NOISE_VARIANCE * n, FLOOR * float(diagonal.max()))
            values[:] = _solve(normal, n, extra).reshape(values.shape)
    return GrappaWeights(
        lattice=lattice, window=window, values=values, damping=extra, windows=windows
    )


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
    count as zero.

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
        kernels.fill_lattice(
            lines, step, cells, np.ascontiguousarray(mask), places, rows, (out, *scratch)
        )
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

    The normal equations rule: ``16 n (n + m)`` bytes for n sources and m targets of all coils.
    256^3 voxels of 32 coils at rate 2 x 2 take 0.2 GB, as `fill` may work in place.

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
        return 2 * math.prod(lattice.shape)
    windows = 2 * max(BLOCK_BYTES, 16 * (n + m) * n_x)  # and their conjugates
    panels = threads * 16 * PANEL * n
    calibrating = 16 * n * (n + m) + windows + panels
    lines, _, cells = _lines(lattice, window)
    filling = threads * 9 * (n + m) * _run(n, cells) + 2 * math.prod(lattice.shape) + lines.nbytes
    return max(calibrating, filling) + 8 * n * m


def _normal_equations(calibration: Complex64, window: Window, threads: int) -> Complex128:
    """Return ``A A^H`` above ``B A^H``: of the former the lower triangle, by panels of rows.

    Each panel is summed by one thread, block after block, so the threads change no bit.
    """
    coils = len(calibration)
    n, m = coils * len(window.sources), coils * len(window.targets)
    normal = np.zeros((n + m, n), np.complex128)
    with ThreadPoolExecutor(threads) as pool:
        for block in _window_blocks(calibration, window):
            _add_products(block, normal, pool)
    return normal


def _add_products(block: Complex128, normal: Complex128, pool: ThreadPoolExecutor) -> None:
    n = normal.shape[1]
    conjugate = block[:n].conj()

    def add(first: int) -> None:
        last = min(first + PANEL, len(normal))
        upto = min(last, n)
        normal[first:last, :upto] += block[first:last] @ conjugate[:upto].T

    list(pool.map(add, range(0, len(normal), PANEL)))


def _window_blocks(calibration: Complex64, window: Window) -> Iterator[Complex128]:
    """Give sources, then targets, of all places of the window, ``(rows, places)`` at a time."""
    coils, *shape = calibration.shape
    n_z, n_y, n_x = (n - e + 1 for n, e in zip(shape, window.extent, strict=True))
    sources, targets = (one - window.first for one in (window.sources, window.targets))
    n_s, n_t = len(sources), len(targets)
    step = max(1, BLOCK_BYTES // (16 * coils * (n_s + n_t) * n_x))
    for z0, y0 in product(range(n_z), range(0, n_y, step)):
        lines, place = min(step, n_y - y0), np.array([z0, y0, 0])
        block = np.empty((coils * (n_s + n_t), lines, n_x), np.complex128)
        for s, (z, y, x) in enumerate(sources + place):
            block[s : coils * n_s : n_s] = calibration[:, z, y : y + lines, x : x + n_x]
        for t, (z, y, x) in enumerate(targets + place):
            rows = slice(coils * (n_s + t), coils * (n_s + t + 1))
            block[rows] = calibration[:, z, y : y + lines, x : x + n_x]
        yield block.reshape(len(block), -1)


def _solve(normal: Complex128, n: int, damping: float) -> Complex128:
    """Return K; overwrites the normal equations.

    Transposed, their lower triangle is the upper one of the conjugate equations in the order that
    LAPACK takes, so nothing is copied: ``conj(A A^H + damping) K^T = (B A^H)^T``.
    """
    import scipy.linalg

    normal[np.arange(n), np.arange(n)] += damping
    try:
        factor = scipy.linalg.cho_factor(normal[:n].T, overwrite_a=True, check_finite=False)
    except scipy.linalg.LinAlgError as error:
        raise InputError(
            "calibration",
            found="equations without a solution in double precision",
            expected="whitened data",
            remedy="whiten the data, or keep the damping above 0",
        ) from error
    found = scipy.linalg.cho_solve(factor, normal[n:].T, overwrite_b=True, check_finite=False)
    return found.T


def _count_windows(shape: tuple[int, ...], window: Window) -> int:
    """Return the places of the window in the calibration, or refuse it.

    Each place gives one equation for what the window covers: as many samples of the object as
    there are positions in its box. Fewer places cannot tell them apart, whatever the coils.
    """
    fits = [n - e + 1 for n, e in zip(shape, window.extent, strict=True)]
    places, needed = math.prod(max(0, f) for f in fits), math.prod(window.extent)
    if places < needed:
        box = " x ".join(str(e) for e in window.extent)
        raise InputError(
            "calibration lines (z, y, x)",
            found=f"{' x '.join(str(n) for n in shape)}, {places} places of the kernel",
            expected=f"at least {box} lines, and so many more that the kernel has {needed} places",
            remedy="choose a smaller kernel or acquire more calibration lines",
        )
    return places


def _zero_filled(kspace: Complex64, mask: Bools, out: Complex64 | None) -> Complex64:
    """Return the acquired samples in `out` or a new grid, zero elsewhere."""
    if out is None:
        out = np.empty(kspace.shape, np.complex64)
    require(
        out.shape == kspace.shape and out.dtype == np.complex64 and out.flags.c_contiguous,
        "out must be complex64 in C order, of the shape of k-space",
    )
    missing = ~mask
    for coil, filled in zip(kspace, out, strict=True):
        if out is not kspace:
            np.copyto(filled, coil)
        np.copyto(filled, 0, where=missing)
        _check_finite(filled, "k-space")
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


def _checked(calibration: Complex64) -> Complex64:
    calibration = np.ascontiguousarray(calibration, np.complex64)
    for coil in calibration:
        _check_finite(coil, "calibration")
    if not calibration.any():
        raise InputError(
            "calibration",
            found="only zeros",
            expected="measured samples",
            remedy="give the lines that were acquired",
        )
    return calibration


def _check_finite(data: Complex64, name: str) -> None:
    numbers = data.reshape(-1).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(float(numbers @ numbers)):
            return  # a sum of squares that is finite has finite terms: one pass, no array
    if not np.isfinite(numbers).all():
        raise InputError(
            name,
            found="samples that are not finite",
            expected="numbers",
            remedy="leave the damaged readouts out",
        )
