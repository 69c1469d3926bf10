"""Fourier transforms of many lines at once, for the kernels that build on them.

Stockham's transform: each step reads one buffer and writes the other, and the result comes in order
(Van Loan: Computational Frameworks for the Fast Fourier Transform, 1992,
doi:10.1137/1.9781611970999). The first step reads where the lines are and the last writes where
they are wanted, so nothing is copied; and where half of a line is padding, the first step does not
read it, and the last does not write what is cut off. `line_plan` gives radices and factors.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ultrahand.kernels._butterflies import LANES, butterfly
from ultrahand.kernels._elements import add_turned, copy

ELEMENT = 2 * LANES

_RADICES = (2, 3, 4, 5, 7, 8, 11, 13)
"""Those with a butterfly of their own."""
_all = [butterfly(radix) for radix in _RADICES]
_two, _three, _four, _five, _seven, _eight, _eleven, _thirteen = _all
_half_two, _half_four, _half_eight = (butterfly(r, read=r // 2) for r in (2, 4, 8))
_ends = [butterfly(radix, turned=False) for radix in _RADICES]
_last_two, _last_three, _last_four, _last_five, _last_seven, _last_eight, *_ends = _ends
_last_eleven, _last_thirteen = _ends
_cut_two, _cut_four, _cut_eight = (
    butterfly(radix, written=radix // 2, turned=False) for radix in (2, 4, 8)
)


@njit
def _any_radix(radix, src, at, stride, dst, to, spread, twiddles, first, back):
    """As a butterfly, for a radix without one: the sum as it stands, with its roots of unity.

    The roots stand at the end of `twiddles`.
    """
    roots = len(twiddles) // 2 - radix
    for k in range(radix):
        here = to + k * spread
        for j in range(radix):
            root = roots + j * k % radix
            add_turned(src, at + j * stride, twiddles, root, dst, here, back, int(j > 0))
        if k > 0:
            add_turned(dst, here, twiddles, first + k - 1, dst, here, back, 0)


@njit
def _plain(radix, src, at, stride, dst, to, spread, twiddles, first, back):
    """Apply the butterfly of a radix, or the sum as it stands."""
    if radix == 4:
        _four(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 8:
        _eight(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 2:
        _two(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 3:
        _three(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 5:
        _five(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 7:
        _seven(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 11:
        _eleven(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 13:
        _thirteen(src, at, stride, dst, to, spread, twiddles, first, back)
    else:
        _any_radix(radix, src, at, stride, dst, to, spread, twiddles, first, back)


@njit
def _plain_last(radix, src, at, stride, dst, to, spread, twiddles, first, back):
    """As `_plain`, for the last step, whose factors are 1."""
    if radix == 4:
        _last_four(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 8:
        _last_eight(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 2:
        _last_two(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 3:
        _last_three(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 5:
        _last_five(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 7:
        _last_seven(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 11:
        _last_eleven(src, at, stride, dst, to, spread, twiddles, first, back)
    elif radix == 13:
        _last_thirteen(src, at, stride, dst, to, spread, twiddles, first, back)
    else:
        _any_radix(radix, src, at, stride, dst, to, spread, twiddles, first, back)


@njit
def _first_step(radix, half, src, at, step, dst, rest, twiddles, back):
    """Read elements `step` apart, from `at` on; write them to `dst` in turn."""
    stride = rest * step
    for p in range(rest):
        here, to, factor = at + p * step, p * radix, (radix - 1) * p
        if half and radix == 8:
            _half_eight(src, here, stride, dst, to, 1, twiddles, factor, back)
        elif half and radix == 4:
            _half_four(src, here, stride, dst, to, 1, twiddles, factor, back)
        elif half:
            _half_two(src, here, stride, dst, to, 1, twiddles, factor, back)
        else:
            _plain(radix, src, here, stride, dst, to, 1, twiddles, factor, back)


@njit
def _step(radix, src, dst, done, rest, twiddles, first, back):
    stride = done * rest
    for p in range(rest):
        factor = first + (radix - 1) * p
        for q in range(done):
            at, to = q + done * p, q + done * radix * p
            _plain(radix, src, at, stride, dst, to, done, twiddles, factor, back)


@njit
def _last_step(radix, half, src, dst, to, step, done, twiddles, first, back):
    """Write elements `step` apart, from `to` on."""
    spread = done * step
    for q in range(done):
        here = to + q * step
        if half and radix == 8:
            _cut_eight(src, q, done, dst, here, spread, twiddles, first, back)
        elif half and radix == 4:
            _cut_four(src, q, done, dst, here, spread, twiddles, first, back)
        elif half:
            _cut_two(src, q, done, dst, here, spread, twiddles, first, back)
        else:
            _plain_last(radix, src, q, done, dst, here, spread, twiddles, first, back)


@njit
def _whole(n_read, n, radix):
    """Tell whether a step that knows a whole or a half fits the elements that there are."""
    return n_read == n or (2 * n_read == n and radix % 2 == 0)


@njit
def transform(source, target, a, b, plan, back):
    """Transform one line of elements (`LANES` lines of numbers).

    ``source``: array, first element, distance of two elements, and how many there are, the rest of
    the line being zero; ``target``: the same, of the results that are wanted, from the first on;
    ``a``, ``b``: line buffers, neither of them the source or the target; ``plan``: from
    `line_plan`; ``back``: 0, or `LANES` for the inverse transform (not divided by the length).
    """
    src, at, step, n_read = source
    dst, to, spread, n_written = target
    radices, twiddles, n = plan
    if len(radices) < 2:
        _short(source, target, a, b, plan, back)
        return
    radix, rest = radices[0], n // radices[0]
    if _whole(n_read, n, radix):
        _first_step(radix, n_read < n, src, at, step, a, rest, twiddles, back)
    else:
        _padded(source, n, b)
        _first_step(radix, False, b, 0, 1, a, rest, twiddles, back)
    done, first = radix, (radix - 1) * rest
    for radix in radices[1:-1]:
        rest //= radix
        _step(radix, a, b, done, rest, twiddles, first, back)
        first += (radix - 1) * rest
        done *= radix
        a, b = b, a
    radix = radices[-1]
    if _whole(n_written, n, radix):
        _last_step(radix, n_written < n, a, dst, to, spread, done, twiddles, first, back)
    else:
        _last_step(radix, False, a, b, 0, 1, done, twiddles, first, back)
        for e in range(n_written):
            copy(b, e, dst, to + e * spread)


@njit
def _short(source, target, a, b, plan, back):
    """Transform a line of one radix, or of one element."""
    dst, to, spread, n_written = target
    radices, twiddles, n = plan
    _padded(source, n, a)
    for radix in radices:
        _last_step(radix, False, a, b, 0, 1, 1, twiddles, 0, back)
    for e in range(n_written):
        if len(radices):
            copy(b, e, dst, to + e * spread)
        else:
            copy(a, e, dst, to + e * spread)


@njit
def _padded(source, n, buffer):
    src, at, step, n_read = source
    for e in range(n_read):
        copy(src, at + e * step, buffer, e)
    for i in range(n_read * ELEMENT, n * ELEMENT):
        buffer[i] = 0.0


def line_plan(
    n: int, dtype: type = np.float32, *, identity: bool = False
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return what `transform` needs for lines of n: radices, factors and n.

    At most one radix has no butterfly: what is left of n without its factors up to 13. Even
    radices come first and last, as far as there are any, for lines of which a half is padding.

    Parameters
    ----------
    n
        Length, padding included.
    dtype
        Of the factors, real and imaginary parts in turns.
    identity
        Leave lines as they are.
    """
    radices, rest = [], 1 if identity else n
    for radix in (13, 11, 7, 5, 3, 8, 4, 2):
        while rest % radix == 0:
            radices.append(radix)
            rest //= radix
    if rest > 1:
        radices.append(rest)
    radices = _ends_even(radices)
    factors, rest = [np.zeros(0)], n
    for radix in radices:
        p, k = np.arange(rest // radix), np.arange(1, radix)
        factors.append((p[:, None] * k / rest).ravel())
        rest //= radix
    unusual = max([1, *(r for r in radices if r not in _RADICES)])
    turns = -2 * np.pi * np.concatenate([*factors, np.arange(unusual) / unusual])
    table = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return np.array(radices, np.int64), np.ascontiguousarray(table.reshape(-1), dtype), n


def _ends_even(radices: list[int]) -> list[int]:
    """Put an even radix at both ends; part one of 4 or 8 where there is no second."""
    even = sorted(r for r in radices if r in (2, 4, 8))
    odd = [r for r in radices if r not in (2, 4, 8)]
    if len(even) == 1 and odd and even[0] > 2:
        even = [2, even[0] // 2]
    return [*even[1:], *odd, *even[:1]] if len(even) > 1 else [*even, *odd]
