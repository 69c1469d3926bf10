"""Decide, before any sample is read, what a reconstruction will do and whether it can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ultrahand.errors import UsageError
from ultrahand.physics.identify import identify_nucleus
from ultrahand.pipelines.by_sigpy import refuse_unknown
from ultrahand.pipelines.compare import compare_counters, count_kinds, set_aside
from ultrahand.pipelines.dynamic_plan import DynamicPlan, plan_dynamic
from ultrahand.pipelines.encoding import EncodingPlan, plan_encoding
from ultrahand.pipelines.field import refuse_field
from ultrahand.pipelines.frames import check_kind, frames_of
from ultrahand.pipelines.options import (
    Combine,
    Dynamic,
    Engine,
    Method,
    PartialFourier,
    Parts,
    ReconOptions,
    Sparsity,
)
from ultrahand.recon.frame import geometry_of
from ultrahand.recon.sorting import Series, imaging_rows, series_of, volumes_of
from ultrahand.records.field_image import FieldImage
from ultrahand.records.findings import Finding

if TYPE_CHECKING:
    from ultrahand.records.arrays import Real
    from ultrahand.records.geometry import Geometry
    from ultrahand.records.raw import RawData


FEWEST_REPLICAS: Final = 4
"""A standard deviation of fewer says little: of 4 it is known to 29 %."""


@dataclass(frozen=True, slots=True)
class ReconPlan:
    """Everything that was decided."""

    options: ReconOptions
    combine: Combine
    encodings: Mapping[int, EncodingPlan]
    series: tuple[Series, ...]
    nucleus: str | None
    counts: Mapping[str, int]
    """Kind of readout to how many there are."""
    findings: tuple[Finding, ...]
    b0: FieldImage | None = None
    """Off-resonance to undo."""
    dynamic: DynamicPlan | None = None
    """Frames that are made together; None where each is an image of its own."""

    def geometry(self, series: Series) -> Geometry:
        """Return the frame of a series' image."""
        volume = series.volumes[0]
        plan = self.encodings[volume.encoding]
        if not plan.stacked:
            plane = plan.planes[next(iter(volume.slices))]
            return geometry_of(plane, plan.shape, plan.voxel_m, plane.position_mm)
        assert plan.stack is not None
        plane = plan.planes[plan.slice_order[0]]
        voxel = (plan.voxel_m[0], plan.voxel_m[1], plan.stack.spacing_m)
        return geometry_of(plane, plan.shape, voxel, plan.stack.position_mm)


def plan_reconstruction(
    raw: RawData,
    options: ReconOptions,
    *,
    noise: RawData | None = None,
    trajectory: Real | None = None,
    b0: FieldImage | None = None,
    notes: list[Finding] | None = None,
) -> ReconPlan:
    """Sort the readouts, choose a method for each encoding, and check that all of it fits.

    Parameters
    ----------
    raw
        The measurement.
    options
        What is asked for.
    noise
        A measurement whose noise readouts are used instead of the file's own.
    trajectory
        External trajectory, see `sampling.from_array`.
    b0
        Map of off-resonance to undo.
    notes
        Takes the findings as they are made: what is known when the measurement is refused.

    Raises
    ------
    InputError
        A measurement that cannot be reconstructed as asked.
    UsageError
        Options that contradict each other or the measurement.
    """
    _refuse_idle(options)
    rows = imaging_rows(raw.readouts)
    findings = notes if notes is not None else []
    start = len(findings)
    nucleus, more = identify_nucleus(raw.header, options.nucleus)
    findings += more
    counts = count_kinds(raw)
    findings += set_aside(counts)
    volumes = volumes_of(raw.readouts, rows)
    findings += compare_counters(raw, rows)
    encodings: dict[int, EncodingPlan] = {}
    for index in sorted({volume.encoding for volume in volumes}):
        mine = [volume for volume in volumes if volume.encoding == index]
        encodings[index], more = plan_encoding(raw, mine, options, trajectory, noise or raw)
        findings += more
    if options.engine is Engine.SIGPY:
        refuse_unknown(options, encodings)
    if b0 is not None:
        refuse_field(options, encodings)
    dynamic = None
    if options.frame_time_s is not None:
        if any(encoding.method is Method.DYNAMIC for encoding in encodings.values()):
            check_kind(volumes, encodings)
            (encoding,) = encodings.values()
            dynamic, volumes, more = plan_dynamic(raw, volumes, encoding, options)
        else:
            volumes, more = frames_of(raw, volumes, encodings, options.frame_time_s)
        findings += more
    series = series_of(volumes, {i: plan.stack is None for i, plan in encodings.items()})
    return ReconPlan(
        options=options,
        combine=_combination(options),
        encodings=encodings,
        series=tuple(series),
        nucleus=nucleus,
        counts=counts,
        findings=tuple(findings[start:]),
        b0=b0,
        dynamic=dynamic,
    )


def _refuse_idle(options: ReconOptions) -> None:
    """Refuse options that the method asked for would silently leave out."""
    method = options.method
    given = options.prior_weight is not None or options.prior is not Sparsity.WAVELET
    if given and method is not Method.CS:
        raise UsageError("--prior and --prior-weight need --method cs")
    if options.replicas:
        _refuse_replicas(options)
    if not options.gradient_delays and method.cartesian:
        raise UsageError(f"--gradient-delays has no part in --method {method}: it is of spokes")
    if method in (Method.SENSE, Method.CS, Method.CG) and options.combine is not Combine.AUTO:
        raise UsageError(f"--combine has no part in --method {method}, which makes one image")
    lines = (Method.SENSE, Method.CS, Method.GRAPPA)
    if method in lines and options.partial_fourier is PartialFourier.POCS:
        raise UsageError(f"--partial-fourier pocs has no part in --method {method}: use fft")


def _refuse_replicas(options: ReconOptions) -> None:
    """Refuse replicas of images whose noise is known without them, and numbers that say nothing."""
    shared = options.method is Method.DYNAMIC and options.dynamic is Dynamic.VIEW_SHARING
    if options.method not in (Method.CS, Method.DYNAMIC) or shared:
        raise UsageError(
            "--replicas is for images with a prior (--method cs, dynamic): the noise of others is "
            "computed"
        )
    if options.engine is Engine.SIGPY:
        raise UsageError("--replicas needs --engine ultrahand")
    if options.replicas < FEWEST_REPLICAS:
        raise UsageError(f"--replicas must be {FEWEST_REPLICAS} or more, got {options.replicas}")


def _combination(options: ReconOptions) -> Combine:
    if options.combine is not Combine.AUTO:
        if options.combine is Combine.RSS and options.parts is not Parts.MAG:
            raise UsageError(
                "--combine rss has no phase: use --combine walsh with --parts mag,phase or complex"
            )
        return options.combine
    return Combine.RSS if options.parts is Parts.MAG else Combine.WALSH
