"""Look at every sample of a measurement without making an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ultrahand.pipelines.memory import size_text
from ultrahand.pipelines.sidecar import combination_of
from ultrahand.recon.conditioning import each_block
from ultrahand.recon.grid import on_grid
from ultrahand.recon.watch import Watch
from ultrahand.records.findings import Finding

if TYPE_CHECKING:
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.recon.conditioning import Work
    from ultrahand.recon.lines import ReadoutClass
    from ultrahand.records.arrays import Complex64, Ints
    from ultrahand.records.raw import RawData


def audit_samples(raw: RawData, plan: ReconPlan) -> list[Finding]:
    """Read all imaging samples and report what they show.

    Raises
    ------
    InputError
        As `reconstruct_volume` would.
    """
    watch = Watch()
    volumes = [volume for series in plan.series for volume in series.volumes]
    for encoding in plan.encodings.values():
        if encoding.cartesian is not None:
            _look_at_lines(raw, encoding.cartesian, watch, plan.options.workers)
        else:
            assert encoding.non_cartesian is not None
            for shots in encoding.non_cartesian.shots:
                _look(raw, shots.rows, shots.keep, _nothing, watch, plan.options.workers)
    for volume in volumes:
        grid = plan.encodings[volume.encoding].cartesian
        for slice_rows in volume.slices.values():
            rows = grid.used(slice_rows) if grid else slice_rows
            bad = np.intersect1d(rows, watch.bad)
            Watch(n_readouts=len(rows), bad=bad.tolist()).refuse_bad(raw)
    watch.check(raw)
    return watch.findings()


def _look_at_lines(raw: RawData, plan: CartesianPlan, watch: Watch, threads: int) -> None:
    for shape in plan.classes:

        def echo(part: slice, samples: Complex64, seen: Watch, shape: ReadoutClass = shape) -> None:
            line = on_grid(samples, shape, plan.axes[0])
            seen.look_at_echo(line, raw.readouts[shape.rows[part]], reverse=shape.reverse)

        work = echo if plan.both_directions else _nothing
        _look(raw, shape.rows, shape.keep, work, watch, threads)


def _look(raw: RawData, rows: Ints, keep: slice, work: Work, watch: Watch, threads: int) -> None:
    each_block(raw, rows, keep, work, threads=threads, watch=watch, progress=lambda _: None)


def _nothing(*_: object) -> None:
    """Do nothing: samples are looked at whatever is done with them."""


def describe(plan: ReconPlan, memory_bytes: int) -> list[str]:
    """Say in words what a reconstruction would do, and the memory that it needs."""
    lines = []
    for index, encoding in plan.encodings.items():
        mine = [s for s in plan.series if s.volumes[0].encoding == index]
        volumes = sum(len(s.volumes) for s in mine)
        z, y, x = plan.geometry(mine[0]).shape
        kind = "3D" if encoding.three_d else "2D"
        lines.append(
            f"recon would use {encoding.method} ({encoding.reason}) for encoding {index}: {kind}, "
            f"{x} x {y} x {z} voxels, {volumes} volume(s) in {len(mine)} file(s), "
            f"{encoding.n_coils} channel(s), combined by {combination_of(plan, encoding)}, "
            f"{'whitened' if encoding.whitener else 'not whitened'}, "
            f"nucleus {plan.nucleus or 'unknown'}"
        )
    return [*lines, f"recon would need about {size_text(memory_bytes)} of memory"]
