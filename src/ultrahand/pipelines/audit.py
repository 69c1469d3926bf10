"""Look at every sample of a measurement without making an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ultrahand.recon.conditioning import Watch, blocks
from ultrahand.recon.sorting import imaging_rows
from ultrahand.records.findings import Finding

if TYPE_CHECKING:
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.records.raw import RawData


def audit_samples(raw: RawData) -> list[Finding]:
    """Read all imaging samples and report what they show.

    Raises
    ------
    InputError
        As `reconstruct_volume` would.
    """
    watch = Watch()
    rows = imaging_rows(raw.readouts)
    shape = np.stack([raw.readouts[n][rows] for n in ("number_of_samples", "active_channels")], 1)
    for number in np.unique(shape, axis=0):
        mine = rows[(shape == number).all(axis=1)]
        for _ in blocks(
            raw,
            mine,
            slice(None),
            whitening=None,
            coils=slice(None),
            watch=watch,
            progress=lambda _: None,
        ):
            pass
    watch.check(raw)
    return watch.findings()


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
