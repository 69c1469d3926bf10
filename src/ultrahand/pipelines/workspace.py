"""What the volumes of one measurement share while they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ultrahand.pipelines.joint import JointStore
from ultrahand.recon.conditioning import Progress
from ultrahand.recon.gridding import DensityCache
from ultrahand.recon.watch import Watch

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
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


def whitening_of(raw: RawData, encoding: EncodingPlan, rows: Ints) -> Complex64 | None:
    """Return the matrix for the dwell time of some readouts; None where the noise is not known."""
    if encoding.whitener is None:
        return None
    return encoding.whitener.at(float(raw.readouts["sample_time_s"][rows[0]]))
