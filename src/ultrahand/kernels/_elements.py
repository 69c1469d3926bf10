"""What kernels do with elements of line buffers beside transforming them, as vector code.

Elements are as in `_butterflies`: `LANES` real parts and as many imaginary ones. Images are arrays
of complex numbers, real and imaginary parts in turns.
"""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]  # has no stubs
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ultrahand.kernels._butterflies import LANES, Vectors, data_of, numbers

_INT = ir.IntType(64)
_ZERO = ir.Constant(_INT, 0)
_LINE = 64
"""Bytes that the processor reads at once."""


def _vectors(context, builder, kind, source, target):
    real = context.get_value_type(kind.dtype)
    return Vectors(builder, real, [source, target, source], back=_ZERO)


@intrinsic
def copy(typingctx, src, at, dst, to):  # noqa: ARG001
    """Write element `at` of `src` as element `to` of `dst`."""

    def codegen(context, builder, _, args):
        work = _vectors(context, builder, src, *data_of(context, builder, (src, dst), args[::2]))
        work.store(args[3], _ZERO, work.load(args[1], _ZERO, 1))
        return context.get_dummy_value()

    return types.void(src, types.intp, dst, types.intp), codegen


@intrinsic
def add_turned(typingctx, src, at, twiddles, factor, dst, to, back, add):  # noqa: ARG001
    """Write element `at` of `src` times a complex factor as element `to` of `dst`.

    ``back``: as in `butterflies`; ``add``: 1 to add it to what is there, 0 to replace it.
    """
    whole = types.intp

    def codegen(context, builder, _, args):
        data = data_of(context, builder, (src, dst, twiddles), (args[0], args[4], args[2]))
        real = context.get_value_type(src.dtype)
        work = Vectors(builder, real, data, back=args[6])
        there = Vectors(builder, real, [data[1], data[1], data[2]], back=args[6])
        (turned,) = work.turned(work.load(args[1], _ZERO, 1), args[3])
        added = work.add(turned, there.load(args[5], _ZERO, 1)[0])
        wanted = builder.icmp_signed("!=", args[7], _ZERO)
        pairs = zip(added, turned, strict=True)
        work.store(args[5], _ZERO, [tuple(builder.select(wanted, a, b) for a, b in pairs)])
        return context.get_dummy_value()

    return types.void(src, whole, twiddles, whole, dst, whole, whole, whole), codegen


@intrinsic
def turn(typingctx, src, at, stride, dst, to, spread):  # noqa: ARG001
    """Exchange lanes and elements of `LANES` elements: lane v of the u-th becomes u of the v-th."""
    whole = types.intp

    def codegen(context, builder, _, args):
        work = _vectors(context, builder, src, *data_of(context, builder, (src, dst), args[::3]))
        elements = work.load(args[1], args[2], LANES)
        turned = [_transposed(builder, list(part)) for part in zip(*elements, strict=True)]
        work.store(args[4], args[5], list(zip(*turned, strict=True)))
        return context.get_dummy_value()

    return types.void(src, whole, whole, dst, whole, whole), codegen


def _transposed(builder, rows):
    """Transpose a square of vectors: exchange blocks of half the size, then their halves."""
    half = LANES // 2
    while half:
        low = [v if not v & half else v - half + LANES for v in range(LANES)]
        high = [v + half if not v & half else v + LANES for v in range(LANES)]
        for u in range(LANES):
            if not u & half:
                pair = rows[u], rows[u + half]
                rows[u] = builder.shuffle_vector(*pair, numbers(low))
                rows[u + half] = builder.shuffle_vector(*pair, numbers(high))
        half //= 2
    return rows


@intrinsic
def weigh(typingctx, lines, at, reals, first):  # noqa: ARG001
    """Multiply element `at` by `LANES` real numbers that begin at number `first`."""

    def codegen(context, builder, _, args):
        base, factors = data_of(context, builder, (lines, reals), args[::2])
        work = _vectors(context, builder, lines, base, base)
        (value,) = work.load(args[1], _ZERO, 1)
        factor = work.real_at(factors, args[3])
        work.store(args[1], _ZERO, [work.scaled(value, factor)])
        return context.get_dummy_value()

    return types.void(lines, types.intp, reals, types.intp), codegen


@intrinsic
def fetch(typingctx, array, first):  # noqa: ARG001
    """Ask for the bytes of an element's length from a number of an array on, to be read soon.

    It may lie outside of the array: then nothing happens.
    """

    def codegen(context, builder, _, args):
        (base,) = data_of(context, builder, [array], args[:1])
        whole = ir.IntType(32)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.bitcast(builder.gep(base, [args[1]]), byte)
        for line in range(0, 8 * LANES, _LINE):
            at = builder.gep(place, [_INT(line)])
            builder.call(ask, [at, whole(0), whole(3), whole(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def coil_image(typingctx, image, i, maps, j, dst, to):  # noqa: ARG001
    """Add to an element the product of `LANES` numbers of an image and a map, from i and j on."""
    whole = types.intp

    def codegen(context, builder, _, args):
        image_at, maps_at, base = data_of(context, builder, (image, maps, dst), args[::2])
        work = _vectors(context, builder, dst, base, base)
        product = work.product(
            work.parts_at(image_at, args[1]), work.parts_at(maps_at, args[3]), conjugate=False
        )
        (value,) = work.load(args[5], _ZERO, 1)
        work.store(args[5], _ZERO, [work.add(value, product)])
        return context.get_dummy_value()

    return types.void(image, whole, maps, whole, dst, whole), codegen


@intrinsic
def add_coil(typingctx, src, at, maps, j, image, i):  # noqa: ARG001
    """Add to `LANES` numbers of an image, from i on, an element times the conjugate of a map."""
    whole = types.intp

    def codegen(context, builder, _, args):
        base, maps_at, image_at = data_of(context, builder, (src, maps, image), args[::2])
        work = _vectors(context, builder, src, base, base)
        (value,) = work.load(args[1], _ZERO, 1)
        product = work.product(work.parts_at(maps_at, args[3]), value, conjugate=True)
        work.parts_to(image_at, args[5], work.add(work.parts_at(image_at, args[5]), product))
        return context.get_dummy_value()

    return types.void(src, whole, maps, whole, image, whole), codegen


def product_sum(*, conjugate=False, negative=False):
    """Return ``add(a, i, b, j, dst, k)``: add a[i] times b[j], elements both, to dst[k].

    With `conjugate`, the complex conjugate of a[i]; with `negative`, subtract.
    """

    @intrinsic
    def add(typingctx, a, i, b, j, dst, k):  # noqa: ARG001
        whole = types.intp
        signature = types.void(a, whole, b, whole, dst, whole)

        def codegen(context, builder, _, args):
            data = data_of(context, builder, (a, b, dst), args[::2])
            left, right, sums = (_vectors(context, builder, a, d, data[2]) for d in data)
            x, y = left.load(args[1], _ZERO, 1)[0], right.load(args[3], _ZERO, 1)[0]
            product = left.product(x, y, conjugate=conjugate)
            into = sums.sub if negative else sums.add
            sums.store(args[5], _ZERO, [into(sums.load(args[5], _ZERO, 1)[0], product)])
            return context.get_dummy_value()

        return signature, codegen

    return add
