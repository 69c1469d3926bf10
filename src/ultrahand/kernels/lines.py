"""Fourier transforms of many lines at once, for the kernels that build on them.

Stockham's transform: each step reads one buffer and writes the other, and the result comes in
order (Van Loan: Computational Frameworks for the Fast Fourier Transform, 1992,
doi:10.1137/1.9781611970999). `line_plan` gives the radices and factors of a length.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ultrahand.kernels._butterflies import LANES, butterfly

_two, _three, _four, _five, _eight = (butterfly(radix) for radix in (2, 3, 4, 5, 8))

ELEMENT = 2 * LANES


@njit(fastmath={"contract", "nsz"})
def _any_radix(radix, src, at, stride, dst, to, spread, twiddles, first, back):
    """As a butterfly, for a radix without one: the sum as it stands, with its roots of unity.

    The roots stand at the end of `twiddles`.
    """
    roots = len(twiddles) - 2 * radix
    re, im = back, LANES - back
    for k in range(radix):
        target = (to + k * spread) * ELEMENT
        for v in range(ELEMENT):
            dst[target + v] = 0.0
        for j in range(radix):
            turn = roots + 2 * (j * k % radix)
            wr, wi = twiddles[turn], twiddles[turn + 1]
            source = (at + j * stride) * ELEMENT
            for v in range(LANES):
                a, b = src[source + re + v], src[source + im + v]
                dst[target + re + v] += a * wr - b * wi
                dst[target + im + v] += a * wi + b * wr
        if k > 0:
            wr, wi = twiddles[2 * (first + k - 1)], twiddles[2 * (first + k - 1) + 1]
            for v in range(LANES):
                a, b = dst[target + re + v], dst[target + im + v]
                dst[target + re + v] = a * wr - b * wi
                dst[target + im + v] = a * wi + b * wr


@njit
def transform(a, b, n, radices, twiddles, back):
    """Transform the first n elements of line buffer `a` with the help of `b`.

    ``back`` is 0, or `LANES` for the inverse transform (not divided by n). Returns the buffer that
    holds the result, and the other one.
    """
    rest, done, first = n, 1, 0
    for radix in radices:
        rest //= radix
        stride = done * rest
        for p in range(rest):
            factor = first + (radix - 1) * p
            for q in range(done):
                at, to = q + done * p, q + done * radix * p
                if radix == 4:
                    _four(a, at, stride, b, to, done, twiddles, factor, back)
                elif radix == 8:
                    _eight(a, at, stride, b, to, done, twiddles, factor, back)
                elif radix == 3:
                    _three(a, at, stride, b, to, done, twiddles, factor, back)
                elif radix == 5:
                    _five(a, at, stride, b, to, done, twiddles, factor, back)
                elif radix == 2:
                    _two(a, at, stride, b, to, done, twiddles, factor, back)
                else:
                    _any_radix(radix, a, at, stride, b, to, done, twiddles, factor, back)
        first += (radix - 1) * rest
        done *= radix
        a, b = b, a
    return a, b


def line_plan(n: int, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Return radices, int64, and twiddle factors, real and imaginary parts in turns, of a length.

    At most one radix has no butterfly: what is left of `n` without its factors 2, 3 and 5.
    """
    radices, rest = [], n
    for radix in (5, 3, 8, 4, 2):
        while rest % radix == 0:
            radices.append(radix)
            rest //= radix
    radices.sort()
    if rest > 1:
        radices.append(rest)
    factors, rest = [np.zeros(0)], n
    for radix in radices:
        p, k = np.arange(rest // radix), np.arange(1, radix)
        factors.append((p[:, None] * k / rest).ravel())
        rest //= radix
    factors.append(np.arange(radices[-1] if radices else 0) / max([1, *radices[-1:]]))
    turns = -2 * np.pi * np.concatenate(factors)
    table = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return np.array(radices, np.int64), np.ascontiguousarray(table.reshape(-1), dtype)
