"""Look at every sample of a measurement without making an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ultrahand.recon.cartesian import on_grid
from ultrahand.recon.conditioning import Watch, blocks
from ultrahand.records.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.cartesian import CartesianPlan
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
    for index, encoding in plan.encodings.items():
        if encoding.cartesian is not None:
            _look_at_lines(raw, encoding.cartesian, watch)
        else:
            mine = np.concatenate([v.rows for v in volumes if v.encoding == index])
            for rows in _of_one_length(raw, mine):
                for _ in _blocks(raw, rows, slice(None), watch):
                    pass
    for volume in volumes:
        for rows in volume.slices.values():
            bad = np.intersect1d(rows, watch.bad)
            Watch(n_readouts=len(rows), bad=bad.tolist()).refuse_bad(raw)
    watch.check(raw)
    return watch.findings()


def _look_at_lines(raw: RawData, plan: CartesianPlan, watch: Watch) -> None:
    for shape in plan.classes:
        for _, samples in _blocks(raw, shape.rows, shape.keep, watch):
            if plan.both_directions:
                watch.look_at_echo(on_grid(samples, shape, plan.axes[0]), reverse=shape.reverse)


def _of_one_length(raw: RawData, rows: Ints) -> list[Ints]:
    lengths = raw.readouts["number_of_samples"][rows]
    return [rows[lengths == length] for length in np.unique(lengths)]


def _blocks(
    raw: RawData, rows: Ints, keep: slice, watch: Watch
) -> Iterator[tuple[slice, Complex64]]:
    if not rows.size:
        return iter(())
    return blocks(
        raw,
        rows,
        keep,
        whitening=None,
        coils=slice(None),
        watch=watch,
        progress=lambda _: None,
    )


def describe(plan: ReconPlan) -> list[str]:
    """Say in words what a reconstruction would do."""
    lines = []
    for index, encoding in plan.encodings.items():
        mine = [s for s in plan.series if s.volumes[0].encoding == index]
        volumes = sum(len(s.volumes) for s in mine)
        z, y, x = plan.geometry(mine[0]).shape
        kind = "3D" if encoding.three_d else "2D"
        lines.append(
            f"recon would use {encoding.method} ({encoding.reason}) for encoding {index}: {kind}, "
            f"{x} x {y} x {z} voxels, {volumes} volume(s) in {len(mine)} file(s), "
            f"{plan.n_coils[index]} channel(s), combined by {plan.combine}, "
            f"{'whitened' if plan.whitening is not None else 'not whitened'}, "
            f"nucleus {plan.nucleus or 'unknown'}"
        )
    return lines
