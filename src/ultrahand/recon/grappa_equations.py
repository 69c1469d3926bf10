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
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from ultrahand.recon.grappa_window import Window
from ultrahand.records.arrays import Complex64

Complex128 = NDArray[np.complex128]

PLACES = 1024
"""Of the window, held at a time: enough for products that the processor's speed limits."""

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
    n_x = calibration.shape[3] - window.extent[2] + 1
    steps, reach = _steps(window, n_x)
    lines = n // steps
    common = np.zeros((lines + m, n), np.complex128)
    ends = [np.zeros((lines, lines * (steps - i)), np.complex128) for i in range(steps)]
    with ThreadPoolExecutor(threads) as pool:
        for block in _window_blocks(calibration, window, [slice(0, n_x)]):
            _add_common(block, steps, reach, common, pool)
        if reach:
            both = [slice(0, reach), slice(n_x - reach, n_x)]
            for block in _window_blocks(calibration, window, both):
                _add_ends(block, ends, pool)
    normal = np.empty((n + m, n), np.complex128)
    normal[n:] = common[lines:]
    _spread(common[:lines], ends, normal[:n])
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
    block = 16 * (n + m) * max(PLACES, n_x)
    return 16 * (3 * n + 2 * m) * n + 3 * block + threads * 16 * PANEL * n


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


def _add_ends(block: Complex128, ends: list[Complex128], pool: ThreadPoolExecutor) -> None:
    """Add the products of the i-th source and those after it at the places of its own.

    The block holds as many places at the beginning of a line as at its end.
    """
    steps, (lines, n), places = len(ends), ends[0].shape, block.shape[2]
    reach = places // 2
    step = reach // (steps - 1)

    def add(i: int) -> None:
        own = np.r_[0 : reach - i * step, places - i * step : places]
        rows = block[i:n:steps][:, :, own].reshape(lines, -1)
        others = block[:n].reshape(lines, steps, -1, places)[:, i:, :, own]
        ends[i] += rows @ others.reshape(lines * (steps - i), -1).conj().T

    list(pool.map(add, range(steps)))


def _spread(common: Complex128, ends: list[Complex128], normal: Complex128) -> None:
    """Give all pairs of sources their common products and those of the ends, in both orders."""
    lines, steps = len(common), len(ends)
    sums = common.reshape(lines, lines, steps)
    pairs = normal.reshape(lines, steps, lines, steps)
    for i, own in enumerate(ends):
        pairs[:, i, :, i:] = own.reshape(lines, lines, steps - i) + sums[:, :, : steps - i]
        for later in range(i + 1, steps):
            pairs[:, later, :, i] = pairs[:, i, :, later].conj().T


def _window_blocks(
    calibration: Complex64, window: Window, along: list[slice]
) -> Iterator[Complex128]:
    """Give sources, then targets, at places `along` x: ``(rows, lines, places)`` at a time."""
    coils, *shape = calibration.shape
    n_z, n_y, _ = (n - e + 1 for n, e in zip(shape, window.extent, strict=True))
    sources, targets = (one - window.first for one in (window.sources, window.targets))
    n, n_s = coils * len(sources), len(sources)
    places = np.cumsum([0, *(part.stop - part.start for part in along)])
    step = max(1, PLACES // int(places[-1]))
    for z0, y0 in product(range(n_z), range(0, n_y, step)):
        lines = min(step, n_y - y0)
        block = np.empty((n + coils * len(targets), lines, places[-1]), np.complex128)
        for (first, last), part in zip(pairwise(places), along, strict=True):
            for s, (z, y, x) in enumerate(sources + np.array([z0, y0, part.start])):
                read = slice(x, x + last - first)
                block[s:n:n_s, :, first:last] = calibration[:, z, y : y + lines, read]
            for t, (z, y, x) in enumerate(targets + np.array([z0, y0, part.start])):
                rows, read = slice(n + coils * t, n + coils * (t + 1)), slice(x, x + last - first)
                block[rows, :, first:last] = calibration[:, z, y : y + lines, read]
        yield block
