"""Blocks of readouts read, looked at and handed on, several beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from ultrahand.recon.watch import Watch

if TYPE_CHECKING:
    from ultrahand.records.arrays import Complex64, Ints
    from ultrahand.records.raw import RawData

    Work = Callable[[slice, Complex64, Watch], None]

BLOCK_BYTES: Final = 8 * 2**20
MAX_IN_FLIGHT: Final = 8

Progress = Callable[[int], None]


def each_block(
    raw: RawData,
    rows: Ints,
    keep: slice,
    work: Work,
    *,
    threads: int,
    watch: Watch,
    progress: Progress,
    length: int = 0,
) -> None:
    """Read readouts of one shape block by block and hand each block to ``work``.

    Blocks run beside each other: what ``work`` writes for one must not overlap what it writes for
    another. What they showed is collected in their order, so nothing depends on the threads.

    Parameters
    ----------
    raw
        The measurement.
    rows
        Rows to read, all of equal channels and samples.
    keep
        Samples kept of each readout.
    work
        Called with the place of a block in ``rows``, its samples of shape ``(readouts, coils,
        samples)``, and the watch of the block.
    threads
        Blocks in flight, see `in_flight`.
    watch
        Collects what is odd in the samples.
    progress
        Called with the number of readouts done.
    length
        Samples of a readout while ``work`` holds it, where zeros make it longer.
    """
    if not rows.size:
        return
    first = raw.readouts[rows[0]]
    size = 8 * int(first["active_channels"]) * max(int(first["number_of_samples"]), length)
    step = max(1, min(BLOCK_BYTES // size, 1024))

    def one(start: int) -> tuple[int, Watch]:
        part = slice(start, min(start + step, len(rows)))
        block = raw.source.samples(rows[part]).transpose(1, 0, 2)[:, :, keep]
        seen = Watch()
        work(part, seen.look(block, rows[part]), seen)
        return part.stop - start, seen

    starts = range(0, len(rows), step)
    with ExitStack() as stack:
        run: Callable[..., Iterable[tuple[int, Watch]]] = map
        if len(starts) > 1 and threads > 1:
            pool = ThreadPoolExecutor(in_flight(threads))
            stack.callback(pool.shutdown, cancel_futures=True)  # an interrupt ends it soon
            run = pool.map
        for count, seen in run(one, starts):
            watch.add(seen)
            progress(count)


def in_flight(threads: int) -> int:
    """Return how many blocks are in memory at once: more would wait for the memory's bandwidth."""
    return min(threads, MAX_IN_FLIGHT)
