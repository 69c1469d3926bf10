"""What the volumes of one measurement share while they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ultrahand.pipelines.delays import NOT_WANTED, SHARED, Delays, delays_of
from ultrahand.pipelines.joint import JointStore
from ultrahand.recon.conditioning import Progress
from ultrahand.recon.gridding import DensityCache
from ultrahand.recon.watch import Watch

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.records.arrays import Complex64, Ints
    from ultrahand.records.findings import Finding
    from ultrahand.records.raw import RawData


@dataclass(frozen=True, slots=True)
class Workspace:
    """What the volumes of one measurement share while they are made."""

    watch: Watch = field(default_factory=Watch)
    """What the samples showed; checked when all volumes are made."""
    densities: DensityCache = field(default_factory=DensityCache)
    progress: Progress = lambda _: None
    """Called with numbers of readouts done."""
    notes: list[Finding] = field(default_factory=list)
    """What solvers had to say."""
    joint: JointStore = field(default_factory=JointStore)
    """Frames that were made together."""
    delays: dict[tuple[int, ...], Delays] = field(default_factory=dict)
    """What was found out about spokes; see `spoke_delays`."""

    def again(self) -> Workspace:
        """Return one for readouts that are read once more: nothing is watched or counted twice."""
        return Workspace(densities=self.densities, delays=self.delays)


def spoke_delays(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Delays:
    """Return where the spokes of an image really are; found once for all that share gradients."""
    grid = encoding.non_cartesian
    assert grid is not None
    if not plan.options.gradient_delays:
        return Delays(None, (NOT_WANTED,))
    counters = tuple(int(raw.readouts[name][rows[0]]) for name in SHARED)
    key = (id(grid), *counters)
    if key not in workspace.delays:
        whitening = whitening_of(raw, encoding, rows)
        workspace.delays[key] = delays_of(raw, grid, rows, whitening, workspace.notes)
    return workspace.delays[key]


def whitening_of(raw: RawData, encoding: EncodingPlan, rows: Ints) -> Complex64 | None:
    """Return the matrix for the dwell time of some readouts; None where the noise is not known."""
    if encoding.whitener is None:
        return None
    return encoding.whitener.at(float(raw.readouts["sample_time_s"][rows[0]]))
