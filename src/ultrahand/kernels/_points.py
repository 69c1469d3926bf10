"""What the non-uniform transform does for one sample, as vector code: weights, scatter, collect.

`COILS` coils are worked on at once: their real and imaginary parts, in turns, are one vector of 256
bits, so that each cell of the fine grid costs one product and sum for all of them. Of one coil
alone, as many neighbouring cells are a vector. As in `_butterflies`, LLVM would not see that by
itself.
"""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]  # has no stubs
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ultrahand.kernels._butterflies import data_of

COILS = 4
"""Coils at a time."""
CELL = 2 * COILS
"""Numbers in a cell of a tile."""
PAD = 8
"""Weights along an axis, of which those beyond the width are not used."""
WIDTHS = range(2, PAD + 1)

_INT = ir.IntType(64)
_FAST = ("contract", "nsz")


class _Work:
    """Vectors of `CELL` numbers (as many as `PAD`), read from and written to flat arrays."""

    def __init__(self, builder, real):
        self._b, self._real = builder, real
        self._kind = ir.VectorType(real, CELL)

    def _place(self, base, at):
        return self._b.bitcast(self._b.gep(base, [at]), self._kind.as_pointer())

    def load(self, base, at):
        return self._b.load(self._place(base, at), align=4)

    def store(self, value, base, at):
        self._b.store(value, self._place(base, at), align=4)

    def everywhere(self, number):
        none = ir.Constant(self._kind, ir.Undefined)
        lane = self._b.insert_element(none, number, ir.Constant(ir.IntType(32), 0))
        return self._shuffled(lane, [0] * CELL)

    def number(self, base, at):
        """Read one number into all lanes."""
        return self.everywhere(self._b.load(self._b.gep(base, [at])))

    def doubled(self, numbers, first):
        """Return some of a vector's numbers, each of them twice."""
        mask = [first + lane // 2 for lane in range(CELL)]
        return self._shuffled(numbers, mask)

    def pairs_sum(self, value):
        """Add up even lanes, and odd ones."""
        half = CELL // 2
        while half > 1:
            value = self.add(value, self._shuffled(value, [v ^ half for v in range(CELL)]))
            half //= 2
        return value

    def _shuffled(self, value, lanes):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), CELL), lanes)
        return self._b.shuffle_vector(value, ir.Constant(self._kind, ir.Undefined), mask)

    def times(self, a, b):
        return self._b.fmul(a, b, flags=_FAST)

    def add(self, a, b):
        return self._b.fadd(a, b, flags=_FAST)

    @property
    def zero(self):
        return ir.Constant(self._kind, [0.0] * CELL)


def _each_width(builder, width, body):
    """Write `body` once for each width, and jump to the right one."""
    begin, end = builder.block, builder.append_basic_block()
    builder.position_at_end(begin)
    switch = builder.switch(width, end)
    for case in WIDTHS:
        block = builder.append_basic_block()
        switch.add_case(_INT(case), block)
        builder.position_at_end(block)
        body(case)
        builder.branch(end)
    builder.position_at_end(end)


@intrinsic
def axis_weights(typingctx, table, terms, fraction, out, first):  # noqa: ARG001
    """Write the kernel at the cells about a sample, along one axis, to `out` from `first` on.

    ``table``: flat, `terms` times `PAD` coefficients of the cells' polynomials in ``fraction``,
    the highest power first.
    """

    def codegen(context, builder, _, args):
        base, target = data_of(context, builder, (table, out), (args[0], args[3]))
        work = _Work(builder, context.get_value_type(table.dtype))
        x = work.everywhere(args[2])
        total = cgutils.alloca_once_value(builder, work.zero)
        with cgutils.for_range(builder, args[1]) as loop:
            term = work.load(base, builder.mul(loop.index, _INT(PAD)))
            builder.store(work.add(work.times(builder.load(total), x), term), total)
        work.store(builder.load(total), target, args[4])
        return context.get_dummy_value()

    return types.void(table, types.intp, fraction, out, types.intp), codegen


@intrinsic
def gather(typingctx, samples, first, apart, last, values):  # noqa: ARG001
    """Write a sample of `COILS` coils to `values`, real and imaginary parts in turns.

    ``samples``: complex64, flat; ``first``: the number of the first coil's, the others being
    ``apart``; coils beyond number ``last`` are given what that one has. In one store: a vector that
    is read back from several waits for all of them to reach the cache.
    """

    def codegen(context, builder, _, args):
        base, target = data_of(context, builder, (samples, values), (args[0], args[4]))
        pairs = builder.bitcast(base, _INT.as_pointer())
        kind = ir.VectorType(_INT, COILS)
        value = ir.Constant(kind, ir.Undefined)
        for coil in range(COILS):
            beyond = builder.icmp_signed(">", _INT(coil), args[3])
            number = builder.select(beyond, args[3], _INT(coil))
            at = builder.add(args[1], builder.mul(number, args[2]))
            pair = builder.load(builder.gep(pairs, [at]), align=4)
            value = builder.insert_element(value, pair, ir.Constant(ir.IntType(32), coil))
        builder.store(value, builder.bitcast(target, kind.as_pointer()), align=4)
        return context.get_dummy_value()

    n = types.intp
    return types.void(samples, n, n, n, values), codegen


def _coils_along(work, shares, count):
    """Return weights of a row's cells, and where they go: a vector is one cell of all coils."""
    return [(work.number(shares, _INT(i)), _INT(i * CELL)) for i in range(count)]


def _cells_along(work, shares, count):
    """Return the same where a vector is `COILS` cells of one coil: their weights come twice."""
    weights = work.load(shares, _INT(0))
    first = range(0, count, COILS)
    return [(work.doubled(weights, cell), _INT(2 * cell)) for cell in first]


def _scatter(row_of):
    """Return `scatter`, for rows as `row_of` has them."""

    @intrinsic
    def scatter(typingctx, width, planes, values, weights, at, row, plane, tile):  # noqa: ARG001
        def codegen(context, builder, _, args):
            width, planes, _, _, at, row, plane, _ = args
            kinds = (values, weights, tile)
            source, shares, target = data_of(context, builder, kinds, (args[2], args[3], args[7]))
            work = _Work(builder, context.get_value_type(tile.dtype))

            def body(count):
                value, along_x = work.load(source, _INT(0)), row_of(work, shares, count)
                with cgutils.for_range(builder, planes) as along_z:
                    z = builder.add(along_z.index, _INT(2 * PAD))
                    slab = work.times(value, work.number(shares, z))
                    start = builder.add(at, builder.mul(along_z.index, plane))
                    for y in range(count):
                        line = work.times(slab, work.number(shares, _INT(PAD + y)))
                        first = builder.add(start, builder.mul(_INT(y), row))
                        for x, offset in along_x:
                            cell = builder.add(first, offset)
                            sums = work.add(work.load(target, cell), work.times(line, x))
                            work.store(sums, target, cell)

            _each_width(builder, width, body)
            return context.get_dummy_value()

        n = types.intp
        return types.void(n, n, values, weights, n, n, n, tile), codegen

    return scatter


def _collect(row_of, finish):
    """Return `collect`, for rows as `row_of` has them; ``finish``: of the sum over all rows."""

    @intrinsic
    def collect(typingctx, width, planes, tile, weights, at, row, plane, values):  # noqa: ARG001
        def codegen(context, builder, _, args):
            width, planes, _, _, at, row, plane, _ = args
            kinds = (tile, weights, values)
            source, shares, target = data_of(context, builder, kinds, (args[2], args[3], args[7]))
            work = _Work(builder, context.get_value_type(tile.dtype))

            def body(count):
                along_x = row_of(work, shares, count)
                total = cgutils.alloca_once_value(builder, work.zero)
                with cgutils.for_range(builder, planes) as along_z:
                    start = builder.add(at, builder.mul(along_z.index, plane))
                    slab = work.zero
                    for y in range(count):
                        first = builder.add(start, builder.mul(_INT(y), row))
                        line = work.zero
                        for x, offset in along_x:
                            there = work.load(source, builder.add(first, offset))
                            line = work.add(line, work.times(there, x))
                        share = work.number(shares, _INT(PAD + y))
                        slab = work.add(slab, work.times(line, share))
                    z = work.number(shares, builder.add(along_z.index, _INT(2 * PAD)))
                    builder.store(work.add(builder.load(total), work.times(slab, z)), total)
                work.store(finish(work, builder.load(total)), target, _INT(0))

            _each_width(builder, width, body)
            return context.get_dummy_value()

        n = types.intp
        return types.void(n, n, tile, weights, n, n, n, values), codegen

    return collect


scatter = _scatter(_coils_along)
"""``scatter(width, planes, values, weights, at, row, plane, tile)``: add a sample of `COILS` coils,
times the weights, to the cells of a tile about it.

``width``: of the kernel along x and y, ``planes``: along z; ``weights``: along x, y, z, `PAD` each;
``at``: the first cell's number in the flat `tile`; ``row``, ``plane``: how far numbers of
neighbours along y and z are apart."""
collect = _collect(_coils_along, lambda _, total: total)
"""``collect(width, planes, tile, weights, at, row, plane, values)``: write what the cells of a tile
about a sample give it, times the weights."""
scatter_one = _scatter(_cells_along)
"""`scatter` of one coil, whose cells have two numbers, and whose `values` are the sample `COILS`
times. Up to ``COILS - 1`` cells beyond the kernel's are touched, with weights of 0."""
collect_one = _collect(_cells_along, _Work.pairs_sum)
"""`collect` of one coil: the first two `values`."""
