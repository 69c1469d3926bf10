"""One step of a Fourier transform on `LANES` lines at a time, written in the processor's vectors.

A line buffer is a flat real array of elements; an element holds `LANES` real parts and then as many
imaginary parts, one for each of the lines that are transformed together. So every operation of a
butterfly is one vector operation, for any length of the line. LLVM does not see that itself: it
would have to prove that the loads and stores of eight elements never overlap. So the butterflies
are given to it as vector code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llvmlite import ir  # type: ignore[import-untyped]  # has no stubs
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Lines side by side: one 512-bit vector of single precision, or two of 256 bits."""

_FAST = ("contract", "nsz")  # products and sums may be fused
_INT = ir.IntType(64)


@dataclass(frozen=True, kw_only=True)
class Butterfly:
    """The transform of `radix` elements, of which the first `read` are read, the others zero.

    The first `written` results are written, `turned` by their factors or with factors of 1.
    """

    radix: int
    read: int
    written: int
    turned: bool


def butterflies(cases):
    """Return ``step(which, src, at, stride, dst, to, spread, twiddles, first, back)`` for numba.

    It takes elements of `src` from `at` on, `stride` apart, through the butterfly that is number
    `which` of the `cases`, and writes to elements of `dst` from `to` on, `spread` apart; the k-th
    is multiplied by the k-th of ``radix - 1`` complex `twiddles` that begin at number `first`.
    ``back`` is 0 for the forward transform and `LANES` for the inverse one, which is the forward
    one with real and imaginary parts exchanged. Returned: whether there is such a case.
    """

    @intrinsic
    def step(typingctx, which, src, at, stride, dst, to, spread, twiddles, first, back):  # noqa: ARG001
        n = types.intp
        signature = types.boolean(n, src, n, n, dst, n, n, twiddles, n, n)

        def codegen(context, builder, _, args):
            which, _, at, stride, _, to, spread, _, first, back = args
            data = data_of(context, builder, (src, dst, twiddles), (args[1], args[4], args[7]))
            work = Vectors(builder, context.get_value_type(src.dtype), data, back=back)
            begin, end = builder.block, builder.append_basic_block()
            switch = builder.switch(which, end)
            builder.position_at_end(end)
            found = builder.phi(ir.IntType(1))
            found.add_incoming(ir.IntType(1)(0), begin)
            for number, case in cases.items():
                block = builder.append_basic_block()
                switch.add_case(_INT(number), block)
                builder.position_at_end(block)
                values = work.load(at, stride, case.read)
                work.store(to, spread, work.transformed(values, case, first))
                builder.branch(end)
                found.add_incoming(ir.IntType(1)(1), block)
            builder.position_at_end(end)
            return found

        return signature, codegen

    return step


@intrinsic
def mirrored_pair(typingctx, k, radix, src, at, stride, dst, to, spread, twiddles, first, back):  # noqa: ARG001
    """Write the k-th and the ``radix - k``-th result of a butterfly of any odd radix, k not 0.

    ``first``: of the factors, and of the roots of unity; the rest as in `butterflies`.
    """
    n = types.intp
    signature = types.void(n, n, src, n, n, dst, n, n, twiddles, first, n)

    def codegen(context, builder, _, args):
        k, radix, _, at, stride, _, to, spread, _, firsts, back = args
        first, roots = (builder.extract_value(firsts, number) for number in (0, 1))
        data = data_of(context, builder, (src, dst, twiddles), (args[2], args[5], args[8]))
        work = Vectors(builder, context.get_value_type(src.dtype), data, back=back)
        even, odd = work.root_sums(at, stride, radix, k, roots)
        mirror = builder.sub(radix, k)
        for number, value in ((k, work.add_i(even, odd)), (mirror, work.sub_i(even, odd))):
            factor = builder.sub(builder.add(first, number), _INT(1))
            (turned,) = work.turned([value], factor)
            work.store(builder.add(to, builder.mul(number, spread)), spread, [turned])
        return context.get_dummy_value()

    return signature, codegen


def data_of(context, builder, kinds, values):
    """Return where the numbers of arrays begin; a pointer stands for itself."""
    return [
        value
        if isinstance(kind, types.CPointer)
        else cgutils.create_struct_proxy(kind)(context, builder, value).data
        for kind, value in zip(kinds, values, strict=True)
    ]


class Vectors:
    """Complex vectors of `LANES` numbers in LLVM's terms, as pairs of real and imaginary part."""

    def __init__(self, builder, real, data, *, back):
        self._b = builder
        self._real = real
        self._kind = ir.VectorType(real, LANES)
        self._source, self._target, self._twiddles = data
        self._parts = (back, builder.sub(ir.Constant(_INT, LANES), back))
        self._align = 4 if isinstance(real, ir.FloatType) else 8
        self.zero = (ir.Constant(self._kind, [0.0] * LANES),) * 2

    def load(self, at, stride, number):
        found = []
        for _ in range(number):
            places = self._places(self._source, at)
            found.append(tuple(self._b.load(p, align=self._align) for p in places))
            at = self._b.add(at, stride)
        return found

    def store(self, at, stride, values):
        for value in values:
            for part, place in zip(value, self._places(self._target, at), strict=True):
                self._b.store(part, place, align=self._align)
            at = self._b.add(at, stride)

    def _places(self, base, element):
        start = self._b.mul(element, ir.Constant(_INT, 2 * LANES))
        for part in self._parts:
            place = self._b.gep(base, [self._b.add(start, part)])
            yield self._b.bitcast(place, self._kind.as_pointer())

    def root_sums(self, at, stride, number, k, roots):
        """Return the sums of elements times real, and times imaginary part of the kj-th root.

        These give the k-th result, and the mirrored one, whose roots are the conjugates.
        """
        b = self._b
        sums = [cgutils.alloca_once_value(b, part) for part in (*self.zero, *self.zero)]
        root = cgutils.alloca_once_value(b, _INT(0))
        with cgutils.for_range(b, number) as loop:
            (x,) = self.load(b.add(at, b.mul(loop.index, stride)), stride, 1)
            here = b.load(root)
            wr, place = self._spread(b.mul(b.add(roots, here), _INT(2)))
            wi, _ = self._spread(place)
            for total, (part, w) in zip(sums, ((p, w) for w in (wr, wi) for p in x), strict=True):
                b.store(self._add(b.load(total), self._mul(part, w)), total)
            after = b.add(here, k)
            beyond = b.icmp_signed(">=", after, number)
            b.store(b.select(beyond, b.sub(after, number), after), root)
        values = [b.load(total) for total in sums]
        return tuple(values[:2]), tuple(values[2:])

    def transformed(self, values, case, first):
        zeros = [self.zero] * (case.radix - len(values))
        wanted = _TRANSFORMS[case.radix](self, values + zeros)[: case.written]
        return [wanted[0], *self.turned(wanted[1:], first)] if case.turned else wanted

    def turned(self, values, first):
        """Multiply each by its twiddle factor."""
        at = self._b.mul(first, ir.Constant(_INT, 2))
        for re, im in values:
            wr, at = self._spread(at)
            wi, at = self._spread(at)
            yield (
                self._sub(self._mul(re, wr), self._mul(im, wi)),
                self._add(self._mul(re, wi), self._mul(im, wr)),
            )

    def _spread(self, at):
        """Read a real number into all lanes; return it and the next place."""
        none = ir.Constant(self._kind, ir.Undefined)
        number = self._b.load(self._b.gep(self._twiddles, [at]))
        lane = self._b.insert_element(none, number, ir.Constant(ir.IntType(32), 0))
        everywhere = self._b.shuffle_vector(lane, none, numbers([0] * LANES))
        return everywhere, self._b.add(at, ir.Constant(_INT, 1))

    def real_at(self, base, first):
        """Read `LANES` real numbers from number `first` on."""
        place = self._b.bitcast(self._b.gep(base, [first]), self._kind.as_pointer())
        return self._b.load(place, align=self._align)

    def scaled(self, a, factor):
        return self._mul(a[0], factor), self._mul(a[1], factor)

    def _pairs(self, base, first):
        """Return where complex numbers from number `first` on stand, as one vector of reals."""
        wide = ir.VectorType(self._real, 2 * LANES)
        reals = self._b.bitcast(base, self._real.as_pointer())
        place = self._b.gep(reals, [self._b.mul(first, ir.Constant(_INT, 2))])
        return self._b.bitcast(place, wide.as_pointer()), wide

    def parts_at(self, base, first):
        """Read `LANES` complex numbers, real and imaginary parts in turns."""
        place, wide = self._pairs(base, first)
        pairs, none = self._b.load(place, align=self._align), ir.Constant(wide, ir.Undefined)
        return tuple(
            self._b.shuffle_vector(pairs, none, numbers(range(part, 2 * LANES, 2)))
            for part in (0, 1)
        )

    def parts_to(self, base, first, value):
        """Write `LANES` complex numbers, real and imaginary parts in turns."""
        place, _ = self._pairs(base, first)
        turns = [v // 2 + v % 2 * LANES for v in range(2 * LANES)]
        self._b.store(self._b.shuffle_vector(*value, numbers(turns)), place, align=self._align)

    def product(self, a, b, *, conjugate):
        real = self._mul(a[0], b[0]), self._mul(a[1], b[1])
        imaginary = self._mul(a[0], b[1]), self._mul(a[1], b[0])
        if conjugate:
            return self._add(*real), self._sub(*imaginary)
        return self._sub(*real), self._add(*imaginary)

    def add(self, a, b):
        return self._add(a[0], b[0]), self._add(a[1], b[1])

    def sub(self, a, b):
        return self._sub(a[0], b[0]), self._sub(a[1], b[1])

    def times(self, a, number):
        """Multiply by a real number."""
        factor = ir.Constant(self._kind, [float(number)] * LANES)
        return self._mul(a[0], factor), self._mul(a[1], factor)

    def add_i(self, a, b):
        """Return ``a + i b``."""
        return self._sub(a[0], b[1]), self._add(a[1], b[0])

    def sub_i(self, a, b):
        """Return ``a - i b``."""
        return self._add(a[0], b[1]), self._sub(a[1], b[0])

    def _add(self, a, b):
        return self._b.fadd(a, b, flags=_FAST)

    def _sub(self, a, b):
        return self._b.fsub(a, b, flags=_FAST)

    def _mul(self, a, b):
        return self._b.fmul(a, b, flags=_FAST)


def numbers(values):
    """Return whole numbers as LLVM's mask of a shuffle."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(values)), list(values))


def _two(v, x):
    return [v.add(x[0], x[1]), v.sub(x[0], x[1])]


def _three(v, x):
    both, apart = v.add(x[1], x[2]), v.times(v.sub(x[1], x[2]), math.sqrt(3) / 2)
    rest = v.sub(x[0], v.times(both, 0.5))
    return [v.add(x[0], both), v.sub_i(rest, apart), v.add_i(rest, apart)]


def _four(v, x):
    a, b = v.add(x[0], x[2]), v.sub(x[0], x[2])
    c, d = v.add(x[1], x[3]), v.sub(x[1], x[3])
    return [v.add(a, c), v.sub_i(b, d), v.sub(a, c), v.add_i(b, d)]


def _five(v, x):
    cos = [math.cos(2 * math.pi * j / 5) for j in (1, 2)]
    sin = [math.sin(2 * math.pi * j / 5) for j in (1, 2)]
    a, b = v.add(x[1], x[4]), v.add(x[2], x[3])
    c, d = v.sub(x[1], x[4]), v.sub(x[2], x[3])
    near = v.add(x[0], v.add(v.times(a, cos[0]), v.times(b, cos[1])))
    far = v.add(x[0], v.add(v.times(a, cos[1]), v.times(b, cos[0])))
    wide = v.add(v.times(c, sin[0]), v.times(d, sin[1]))
    slim = v.sub(v.times(c, sin[1]), v.times(d, sin[0]))
    first = v.add(x[0], v.add(a, b))
    return [first, v.sub_i(near, wide), v.sub_i(far, slim), v.add_i(far, slim), v.add_i(near, wide)]


def _eight(v, x):
    even, odd = _four(v, x[0::2]), _four(v, x[1::2])
    half = math.sqrt(0.5)
    odd[1] = v.times(v.sub_i(odd[1], odd[1]), half)  # (1 - i) / sqrt 2
    low, high = v.times(odd[3], half), v.times(odd[3], -half)
    odd[3] = v.sub_i(high, low)  # (-1 - i) / sqrt 2
    pairs = [(even[j], odd[j]) for j in (0, 1, 3)]
    sums, rest = [v.add(a, b) for a, b in pairs], [v.sub(a, b) for a, b in pairs]
    sums.insert(2, v.sub_i(even[2], odd[2]))
    rest.insert(2, v.add_i(even[2], odd[2]))
    return sums + rest


def _odd(radix):
    """Return the transform of an odd prime: pairs of inputs give pairs of results."""
    half = range(1, radix // 2 + 1)

    def turns(k):
        return [2 * math.pi * (j * k % radix) / radix for j in half]

    def transform(v, x):
        both = [v.add(x[j], x[radix - j]) for j in half]
        apart = [v.sub(x[j], x[radix - j]) for j in half]
        y = [x[0]] * radix
        for pair in both:
            y[0] = v.add(y[0], pair)
        for k in half:
            even, odd = x[0], v.zero
            for turn, a, b in zip(turns(k), both, apart, strict=True):
                even = v.add(even, v.times(a, math.cos(turn)))
                odd = v.add(odd, v.times(b, math.sin(turn)))
            y[k], y[radix - k] = v.sub_i(even, odd), v.add_i(even, odd)
        return y

    return transform


def _coprime(p, q):
    """Return the transform of p q elements without common factors: no factors are needed.

    Good: J Roy Stat Soc B 1958;20:361, doi:10.1111/j.2517-6161.1958.tb00300.x.
    """

    def transform(v, x):
        places = [[(q * i + p * j) % (p * q) for j in range(q)] for i in range(p)]
        rows = [_TRANSFORMS[q](v, [x[n] for n in row]) for row in places]
        across = [_TRANSFORMS[p](v, list(column)) for column in zip(*rows, strict=True)]
        return [across[k % q][k % p] for k in range(p * q)]

    return transform


_TRANSFORMS = {2: _two, 3: _three, 4: _four, 5: _five, 8: _eight}
_TRANSFORMS |= {radix: _odd(radix) for radix in (7, 11, 13)}
_TRANSFORMS |= {6: _coprime(2, 3), 10: _coprime(2, 5)}
