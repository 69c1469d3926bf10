"""Off-resonance during readouts: samples of an image with the field that its voxels had.

Only what is asked for with a map. A readout's clock counts from the excitation: sample j has the
time ``TE + (j - j0) dwell``, j0 being the sample nearest to the centre of k-space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError, UsageError
from ultrahand.pipelines.options import Engine, Method, ReconOptions
from ultrahand.recon.field_on_grid import field_on_grid
from ultrahand.recon.off_resonance import OffResonance, off_resonance

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.non_cartesian import NonCartesianPlan
    from ultrahand.recon.nufft import Nufft
    from ultrahand.records.arrays import Bools, Float64, Ints
    from ultrahand.records.raw import RawData

ERROR: Final = 1e-3
"""Of the encoding: largest of any voxel's signal at any time."""
KNOWN: Final = (Method.GRIDDING, Method.CG)
GIVEN: Final = "the field map is taken as given"


@dataclass(frozen=True, slots=True)
class Field:
    """The off-resonance of one slice or slab, and when its samples were measured."""

    off_resonance_hz: Float64
    """``(z, y, x)``."""
    time_s: Float64
    """Of every sample that `gridding.read_samples` looks at."""
    within: float
    """Part of the voxels within the map."""
    origin: str
    """Unit and nucleus of the map."""

    def encoding(self, nufft: Nufft, inside: Bools) -> OffResonance:
        """Return the encoding of the samples that were kept."""
        field = self.off_resonance_hz.reshape(nufft.domain)
        return off_resonance(nufft, off_resonance_hz=field, time_s=self.time_s[inside], error=ERROR)

    def step(self, terms: int) -> str:
        """Say what was done."""
        low, high = self.off_resonance_hz.min(), self.off_resonance_hz.max()
        return (
            f"off-resonance of the field map ({self.origin}; {low:.1f} to {high:.1f} Hz, "
            f"{self.within:.0%} of the voxels within it; a higher field turns the phase "
            f"backwards), a sum of {terms} terms to an error of {ERROR:g}"
        )


def refuse_field(options: ReconOptions, encodings: dict[int, EncodingPlan]) -> None:
    """Refuse a map where it would have no part.

    Raises
    ------
    UsageError
        Naming the methods that take one.
    """
    if options.engine is Engine.SIGPY:
        raise UsageError("--b0-map needs --engine ultrahand")
    for encoding in encodings.values():
        if encoding.method not in KNOWN:
            raise UsageError(
                f"--b0-map has no part in --method {encoding.method}: take gridding or cg"
            )


def field_of(raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints) -> Field | None:
    """Return the field of one slice or slab; None where no map was given.

    Raises
    ------
    InputError
        The map does not cover the image, or the nucleus, echo time or dwell time is not known.
    """
    if plan.b0 is None:
        return None
    if plan.nucleus is None:
        raise _unknown("nucleus", "the nucleus of the measurement", "give --nucleus")
    series = next(
        s for s in plan.series for v in s.volumes if rows[0] in np.concatenate([*v.slices.values()])
    )
    geometry = plan.geometry(series)
    whole, within = field_on_grid(plan.b0, geometry, plan.nucleus)
    if encoding.stacked:
        counter = int(raw.readouts["slice"][rows[0]])
        whole = whole[encoding.slice_order.index(counter)][None]
    grid = encoding.non_cartesian
    assert grid is not None
    origin = f"in {plan.b0.unit} of {plan.b0.nucleus}"
    return Field(whole, sample_times(raw, grid, rows), within, origin)


def sample_times(raw: RawData, grid: NonCartesianPlan, rows: Ints) -> Float64:
    """Return when each sample of an image was measured, after its excitation, in seconds."""
    echoes, table, times = raw.header.echo_times_s, raw.readouts, []
    for mine, _, trajectory in grid.positions(rows):
        length = len(trajectory.k_per_m) // len(mine)
        dwell = table["sample_time_s"][mine].astype(np.float64)
        if not (dwell > 0).all():
            raise _unknown("sample_time_us", "the time of a sample", "correct it in the raw data")
        contrast = table["contrast"][mine].astype(int)
        if contrast.max() >= len(echoes):
            raise _unknown("TE", "the echo time of every contrast", "correct it in the header")
        first = np.linalg.norm(trajectory.k_per_m[:length], axis=1)
        steps = np.arange(length) - int(np.argmin(first))
        times.append((np.array(echoes)[contrast][:, None] + dwell[:, None] * steps).ravel())
    return np.concatenate(times)


def _unknown(field: str, expected: str, remedy: str) -> InputError:
    return InputError(field, found="not known", expected=f"{expected}, for --b0-map", remedy=remedy)
