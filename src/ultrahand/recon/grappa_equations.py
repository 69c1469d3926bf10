r"""The normal equations of a GRAPPA calibration, without its source matrix.

With :math:`A_{cs}(w) = y_c(w + s)` over the places w of the window, the products

.. math:: G_{cs, c's'} = \sum_w y_c(w + s)\, \bar y_{c'}(w + s')

depend on the sources by their difference alone, but for the places that the calibration's ends
allow. So where every line of the window holds the same X steps h along x, the sums of its first
source with all others serve the i-th too: with :math:`v = w + i h`,

.. math:: G_{i, i + j} = \sum_{v = i h}^{N - 1 + i h} y(v + x_0)\, \bar y(v + x_j),

of which the places from :math:`(X - 1) h` to N - 1 are common to all i and summed once; those
before and after are few. That is less than half the work of the triangle.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ultrahand.recon.grappa_window import Window
from ultrahand.records.arrays import Complex64

Complex128 = NDArray[np.complex128]

BLOCK_BYTES = 8 * 2**20
"""Of the windows held at a time."""

PANEL = 48
"""Rows of the products to a task."""


def normal_equations(calibration: Complex64, window: Window, threads: int) -> Complex128:
    """Return ``A A^H`` and below it ``B A^H``, A the sources and B the targets of all places.

    Each number is summed by one thread, block after block: their number changes no bit.

    Parameters
    ----------
    calibration
        ``(coils, z, y, x)``, at least as large as the window.
    window
        Of the kernel.
    threads
        Cores. BLAS should be held to one thread.

    Returns
    -------
    Complex128
        ``(coils sources + targets coils, coils sources)``: coils, then sources; targets, then
        coils.
    """
    coils = len(calibration)
    n, m = coils * len(window.sources), coils * len(window.targets)
    steps, reach = _steps(window, calibration.shape[3] - window.extent[2] + 1)
    normal = np.zeros((n + m, n), np.complex128)
    common = np.zeros((n // steps + m, n), np.complex128)
    with ThreadPoolExecutor(threads) as pool:
        for block in _window_blocks(calibration, window):
            _add_common(block, steps, reach, common, pool)
            _add_ends(block, steps, reach, normal, pool)
    normal[n:] = common[n // steps :]
    _spread(common[: n // steps], steps, normal[:n])
    return normal


def equations_bytes(n: int, m: int, n_x: int, threads: int) -> int:
    """Return the bytes that n sources and m targets of all coils need at most.

    Parameters
    ----------
    n, m
        Rows of A and B.
    n_x
        Samples of a calibration line.
    threads
        Cores.
    """
    block = max(BLOCK_BYTES, 16 * (n + m) * n_x)
    return 16 * (2 * n + 2 * m) * n + 3 * block + threads * 16 * PANEL * n


def _steps(window: Window, n_x: int) -> tuple[int, int]:
    """Return how many sources each line holds along x, and the span from the first to the last.

    1 and 0 where lines differ, or where the calibration is too short for common places.
    """
    lines, of = np.unique(window.sources[:, :2], axis=0, return_inverse=True)
    along = window.sources[:, 2].reshape(len(lines), -1) if len(of) % len(lines) == 0 else None
    if along is None or (along != along[0]).any() or (np.diff(of.reshape(-1)) < 0).any():
        return 1, 0
    reach = int(along[0, -1] - along[0, 0])
    even = len(set(np.diff(along[0]).tolist())) <= 1
    return (along.shape[1], reach) if even and n_x > reach else (1, 0)


def _add_common(
    block: Complex128, steps: int, reach: int, common: Complex128, pool: ThreadPoolExecutor
) -> None:
    """Add the products of the first source of each line at common places, and of all targets."""
    n = common.shape[1]
    left = np.concatenate([block[0:n:steps], block[n:]])
    left[: n // steps, :, :reach] = 0
    left = left.reshape(len(left), -1)
    conjugate = block[:n].conj().reshape(n, -1).T

    def add(first: int) -> None:
        common[first : first + PANEL] += left[first : first + PANEL] @ conjugate

    list(pool.map(add, range(0, len(common), PANEL)))


def _add_ends(
    block: Complex128, steps: int, reach: int, normal: Complex128, pool: ThreadPoolExecutor
) -> None:
    """Add the products of the i-th source and those after it at the places of its own."""
    n, places = normal.shape[1], block.shape[2]
    lines, step = n // steps, reach // max(1, steps - 1)
    upper = normal[:n].reshape(lines, steps, lines, steps)

    def add(i: int) -> None:
        own = np.r_[0 : reach - i * step, places - i * step : places]
        rows = block[i:n:steps][:, :, own].reshape(lines, -1)
        others = block[:n].reshape(lines, steps, -1, places)[:, i:, :, own]
        found = rows @ others.reshape(lines * (steps - i), -1).conj().T
        upper[:, i, :, i:] += found.reshape(lines, lines, steps - i)

    if reach:
        list(pool.map(add, range(steps)))


def _spread(common: Complex128, steps: int, normal: Complex128) -> None:
    """Add the common products to all pairs of sources, and fill the other half."""
    lines = len(common)
    sums = common.reshape(lines, lines, steps)
    pairs = normal.reshape(lines, steps, lines, steps)
    for i in range(steps):
        for later in range(i, steps):
            pairs[:, i, :, later] += sums[:, :, later - i]
            if later > i:
                pairs[:, later, :, i] = pairs[:, i, :, later].conj().T


def _window_blocks(calibration: Complex64, window: Window) -> Iterator[Complex128]:
    """Give sources, then targets, at all places: ``(rows, lines, places along x)`` at a time."""
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
        yield block
