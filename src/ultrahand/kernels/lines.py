"""Fourier transforms of many lines at once, for the kernels that build on them.

Stockham's transform: each step reads one buffer and writes the other, and the result comes in order
(Van Loan: Computational Frameworks for the Fast Fourier Transform, 1992,
doi:10.1137/1.9781611970999). The first step reads where the lines are and the last writes where
they are wanted, so nothing is copied; and where half of a line is padding, the first step does not
read it, and the last does not write what is cut off. `line_plan` gives radices and factors.

The butterflies are thousands of instructions, and a compiler that meets them in every kernel takes
most of a minute. So they are compiled once, for each precision, and kernels call them by address:
`transform_address` makes it known, and every plan holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ultrahand.kernels._butterflies import LANES, Butterfly, butterflies, data_of, mirrored_pair
from ultrahand.kernels._elements import add_turned, copy
from ultrahand.kernels._jit import kernel

ELEMENT = 2 * LANES

_COSTS = {2: 1.0, 3: 1.1, 4: 1.0, 5: 1.2, 6: 1.3, 7: 1.4, 8: 1.1, 10: 1.3, 11: 1.7, 13: 1.9}
"""The radices with a butterfly of their own, and about what a step of theirs costs: it moves all
elements, whatever it computes."""
_HALF, _LAST = 16, 32
"""Added to a radix: of an even one, a half only is read or written; of the last, factors are 1."""
_OWN_LAST = (2, 3, 4, 5, 6, 8, 10)
"""For other radices multiplying by 1 costs less than one more butterfly to compile."""


def _cases():
    """Return the butterflies that there are, each by its number."""
    cases = {}
    for r in _COSTS:
        cases[r] = Butterfly(radix=r, read=r, written=r, turned=True)
        if r in _OWN_LAST:
            cases[r + _LAST] = Butterfly(radix=r, read=r, written=r, turned=False)
        if r % 2 == 0:
            h = r // 2
            cases[r + _HALF] = Butterfly(radix=r, read=h, written=r, turned=True)
            cases[r + _HALF + _LAST] = Butterfly(radix=r, read=r, written=h, turned=False)
    return cases


_butterfly = butterflies(_cases())


@njit
def _any_radix(radix, src, at, stride, dst, to, spread, twiddles, first, back):
    """As a butterfly, for an odd radix without one: sums as they stand, with roots of unity.

    ``first``: of the factors, and of the roots.
    """
    for j in range(radix):
        add_turned(src, at + j * stride, twiddles, first[1], dst, to, back, int(j > 0))
    for k in range(1, radix // 2 + 1):
        mirrored_pair(k, radix, src, at, stride, dst, to, spread, twiddles, first, back)


@njit
def _step(radix, variant, source, target, counts, factors, back):
    """Take all elements through one radix.

    ``source``, ``target``: array, first element, and distance of two; ``counts``: the product of
    the radices before this one, and of those after it; ``factors``: array, number of the first,
    and number of all with the roots of unity at their end.
    """
    src, at, step = source
    dst, to, out = target
    done, rest = counts
    twiddles, first, size = factors
    which = radix + variant if radix < _HALF else 0
    stride, spread = done * rest * step, done * out
    for p in range(rest):
        f = first + (radix - 1) * p
        for q in range(done):
            i, o = at + (q + done * p) * step, to + (q + done * radix * p) * out
            if not _butterfly(which, src, i, stride, dst, o, spread, twiddles, f, back):
                roots = f, size - radix
                _any_radix(radix, src, i, stride, dst, o, spread, twiddles, roots, back)


@njit
def _variant(radix, n, known, last):
    """Return which step fits: of a line of n as many elements are read or wanted as are known."""
    if last and radix not in _OWN_LAST:
        return 0
    return (_LAST if last else 0) + (_HALF if known < n else 0)


@njit
def _fits(n, known, radix):
    """Tell whether a step that knows a whole or a half fits the elements that there are."""
    return known == n or (2 * known == n and radix % 2 == 0)


@njit
def _transform(source, target, a, b, radices, twiddles, sizes, back):
    """See `transform`; ``radices``, ``twiddles``: pointers, of ``sizes`` numbers; and n."""
    src, at, step, n_read = source
    dst, to, out, n_written = target
    steps, size, n = sizes
    one = steps < 2  # there is no step that only reads a half, or only writes one
    if not (n_read == n if one else _fits(n, n_read, radices[0])):
        _padded(source, n, b)
        src, at, step, n_read = b, 0, 1, n
    straight = steps > 0 and (n_written == n if one else _fits(n, n_written, radices[steps - 1]))
    rest = n
    for number in range(steps):
        radix, last = radices[number], number == steps - 1
        counts, factors = (n // rest, rest // radix), (twiddles, n - rest, size)
        rest //= radix
        known = n_read if number == 0 else n
        goal = (a, 0, 1)
        if last and straight:
            known, goal = n_written, (dst, to, out)
        variant = _variant(radix, n, known, last)
        _step(radix, variant, (src, at, step), goal, counts, factors, back)
        src, at, step = a, 0, 1
        a, b = b, a
    if not straight:
        for e in range(n_written):
            copy(src, at + e * step, dst, to + e * out)


@njit
def _padded(source, n, buffer):
    src, at, step, n_read = source
    for e in range(n_read):
        copy(src, at + e * step, buffer, e)
    for i in range(n_read * ELEMENT, n * ELEMENT):
        buffer[i] = 0.0


def _flat(
    src, at, step, n_read, dst, to, out, n_written, a, b, radices, twiddles, steps, size, n, back
):
    """Call `_transform`, without tuples: what stands behind an address."""
    source, target = (src, at, step, n_read), (dst, to, out, n_written)
    _transform(source, target, a, b, radices, twiddles, (steps, size, n), back)


def _types(real):
    """Return the types of what `_flat` takes: numbers of elements, and pointers to reals."""
    p, i = types.CPointer(real), types.intp
    return (p, i, i, i, p, i, i, i, p, p, types.CPointer(types.int64), p, i, i, i, i)


@intrinsic
def _address(typingctx, example):  # noqa: ARG001
    """Compile `_flat` for the precision of an array; return where it stands."""

    def codegen(context, builder, _signature, _args):
        signature = types.none(*_types(example.dtype))
        compiled = context.compile_subroutine(builder, _flat, signature)
        function = context.declare_function(builder.module, compiled.fndesc)
        return builder.ptrtoint(function, context.get_value_type(types.intp))

    return types.intp(example), codegen


@intrinsic
def _call(typingctx, address, values):  # noqa: ARG001
    """Call `_flat` at an address; arrays stand for their data."""

    def codegen(context, builder, _signature, args):
        kinds = tuple(values)
        given = [builder.extract_value(args[1], number) for number in range(len(kinds))]
        flat = [
            data_of(context, builder, [kind], [value])[0]
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(kinds, given, strict=True)
        ]
        convention = context.call_conv
        kind = convention.get_function_type(types.none, _types(values[0].dtype))
        nothing, failure = (cgutils.alloca_once(builder, p.pointee) for p in kind.args[:2])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [nothing, failure, *flat])
        return context.get_dummy_value()

    return types.void(address, values), codegen


@njit
def transform(source, target, a, b, plan, back):
    """Transform one line of elements (`LANES` lines of numbers).

    ``source``: array, first element, distance of two elements, and how many there are, the rest of
    the line being zero; ``target``: the same, of the results that are wanted, from the first on;
    ``a``, ``b``: line buffers, neither of them the source or the target; ``plan``: from
    `line_plan`; ``back``: 0, or `LANES` for the inverse transform (not divided by the length).
    """
    radices, twiddles, n, address = plan
    sizes = (len(radices), len(twiddles) // 2, n, back)
    _call(address, (*source, *target, a, b, radices, twiddles, *sizes))


@kernel()
def transform_address(example, out):
    """Write where `transform` stands in memory for numbers as in `example`, an array of reals."""
    out[0] = _address(example)


@cache
def _place(dtype: str) -> int:
    out = np.zeros(1, np.int64)
    transform_address(np.zeros(0, dtype), out)
    return int(out[0])


def line_plan(
    n: int, dtype: type = np.float32, *, identity: bool = False, padded: bool = True
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return what `transform` needs for lines of n: radices, factors, n, and where it stands.

    At most one radix has no butterfly: what is left of n without its factors up to 13.

    Parameters
    ----------
    n
        Length, padding included.
    dtype
        Of the factors, real and imaginary parts in turns.
    identity
        Leave lines as they are.
    padded
        Whether half of a line is padding: then even radices at both ends are worth a step each.
    """
    radices = [] if identity else _radices(n, padded=padded)
    angles, rest = [np.zeros(0)], n
    for radix in radices:
        p, k = np.arange(rest // radix), np.arange(1, radix)
        angles.append((p[:, None] * k / rest).ravel())
        rest //= radix
    unusual = max([1, *(r for r in radices if r not in _COSTS)])
    turns = -2 * np.pi * np.concatenate([*angles, np.arange(unusual) / unusual])
    table = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    factors: np.ndarray = np.ascontiguousarray(table.reshape(-1), dtype)
    return np.array(radices, np.int64), factors, n, _place(np.dtype(dtype).name)


def _radices(n: int, *, padded: bool) -> list[int]:
    """Return the cheapest radices of a length."""
    rest = n
    for radix in (2, 3, 5, 7, 11, 13):
        while rest % radix == 0:
            rest //= radix
    unusual = [rest] if rest > 1 else []
    ways = [_ends_even(way) for way in _factorings(n // rest, max(_COSTS))]
    best = min(ways, key=lambda way: _cost(way, padded and n > 1))
    middle = len(best) - (len(best) > 1)
    return [*best[:middle], *unusual, *best[middle:]]


def _factorings(n: int, largest: int) -> Iterator[list[int]]:
    """Give all ways to write n as a product of radices up to the largest, in falling order."""
    if n == 1:
        yield []
    for radix in sorted(_COSTS, reverse=True):
        if radix <= largest and n % radix == 0:
            for others in _factorings(n // radix, radix):
                yield [radix, *others]


def _cost(radices: list[int], padded: bool) -> float:
    copies = sum(radix % 2 for radix in (*radices[:1], *radices[-1:])) if padded else 0
    return sum(_COSTS[radix] for radix in radices) + copies


def _ends_even(radices: list[int]) -> list[int]:
    """Put an even radix at both ends, as far as there are any."""
    even = [r for r in radices if r % 2 == 0]
    odd = [r for r in radices if r % 2]
    return [*even[:-1], *odd, *even[-1:]] if len(even) > 1 else [*even, *odd]
