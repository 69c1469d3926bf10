"""Raw data to images, one volume at a time."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.pipelines.assemble import Combined, VolumeImages, assemble
from ultrahand.pipelines.by_sigpy import by_sigpy
from ultrahand.pipelines.direct import grid_samples, transform_lines
from ultrahand.pipelines.dynamic import dynamic_frame
from ultrahand.pipelines.iterative import solve_samples
from ultrahand.pipelines.options import Engine, Method
from ultrahand.pipelines.parallel import complete_lines, unfold_lines
from ultrahand.pipelines.sparse import simplest
from ultrahand.pipelines.workspace import Workspace
from ultrahand.recon.watch import Watch

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.sorting import Series, Volume
    from ultrahand.records.arrays import Ints
    from ultrahand.records.raw import RawData

_MAKERS: Final = MappingProxyType(
    {
        Method.FFT: transform_lines,
        Method.SENSE: unfold_lines,
        Method.GRAPPA: complete_lines,
        Method.GRIDDING: grid_samples,
        Method.CG: solve_samples,
        Method.CS: simplest,
        Method.DYNAMIC: dynamic_frame,
    }
)


def reconstruct_volume(
    raw: RawData, plan: ReconPlan, series: Series, volume: Volume, workspace: Workspace
) -> VolumeImages:
    """Reconstruct one volume of a series.

    Parameters
    ----------
    raw
        The measurement; its samples are read block by block.
    plan
        As `plan_reconstruction` made it from the same measurement.
    series, volume
        Which volume.
    workspace
        Shared by the volumes of the measurement. After the last of them ``workspace.watch.check``
        refuses a measurement without signal, and ``findings`` says what was odd.

    Raises
    ------
    InputError
        NaN or infinity in more than one in twenty readouts.
    ResourceError
        More memory needed than allowed, even in blocks.
    """
    encoding = plan.encodings[volume.encoding]
    order = encoding.slice_order if encoding.stack is not None else tuple(volume.slices)
    slices = [
        _slice(raw, plan, encoding, volume.slices[number], workspace)
        if number in volume.slices
        else None
        for number in order
    ]
    return assemble(plan, series, slices)


def _slice(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Combined:
    """Reconstruct one slice or slab; where readouts held NaN, once more without them."""
    one = by_sigpy if plan.options.engine is Engine.SIGPY else _MAKERS[encoding.method]
    mine = replace(workspace, watch=Watch())
    made = one(raw, plan, encoding, rows, mine)
    if mine.watch.bad:
        mine.watch.refuse_bad(raw)
    if mine.watch.bad and encoding.method is not Method.DYNAMIC:  # which leaves them out itself
        quiet = replace(workspace.again(), notes=workspace.notes)
        made = one(raw, plan, encoding, np.setdiff1d(rows, mine.watch.bad), quiet)
    workspace.watch.add(mine.watch)
    return made
