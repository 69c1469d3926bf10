"""How the volumes of one encoding will be made: method, grid or positions, frame, noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError, UsageError, concerning
from ultrahand.pipelines import compare
from ultrahand.pipelines.dynamic_plan import refuse_dynamic
from ultrahand.pipelines.options import Method, PartialFourier, ReconOptions
from ultrahand.pipelines.parallel_plan import ParallelPlan, choose_parallel, plan_separate
from ultrahand.recon.axes import slice_thickness_m
from ultrahand.recon.cartesian import CartesianPlan, missing_lines, plan_cartesian, refuse_gaps
from ultrahand.recon.frame import Plane, Stack, plane_of, stack_of
from ultrahand.recon.noise import Whitener, measure_noise
from ultrahand.recon.non_cartesian import NonCartesianPlan, plan_non_cartesian
from ultrahand.records.findings import Finding, Level, info
from ultrahand.records.readouts import name_readout

if TYPE_CHECKING:
    from ultrahand.recon.sorting import Volume
    from ultrahand.records.arrays import Ints, Real
    from ultrahand.records.raw import RawData

CARTESIAN = ("cartesian", "epi")


@dataclass(frozen=True, slots=True)
class EncodingPlan:
    """How the volumes of one encoding are made."""

    index: int
    method: Method
    reason: str
    three_d: bool
    cartesian: CartesianPlan | None
    non_cartesian: NonCartesianPlan | None
    planes: Mapping[int, Plane]
    """Slice counter to its frame."""
    stack: Stack | None
    """None where each slice or slab is an image of its own."""
    n_coils: int
    data_bytes: int
    """Of its samples in memory."""
    readout_bytes: int
    """Of its longest readout."""
    whitener: Whitener | None
    """None where the noise is not known or not used."""
    undersampled: bool
    """Whether a Cartesian grid has gaps between its lines, which zeros fill."""
    parallel: ParallelPlan | None = None
    """What calibrates `sense` and `grappa`."""

    @property
    def slice_order(self) -> tuple[int, ...]:
        """Slice counters in the order of the image's slice axis."""
        counters = sorted(self.planes)
        return tuple(counters[i] for i in self.stack.order) if self.stack else tuple(counters)

    @property
    def stacked(self) -> bool:
        """Whether an image is a stack of 2D slices."""
        return self.stack is not None and not self.three_d

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of an image, ``(z, y, x)``."""
        if self.cartesian is not None:
            x, y, z = self.cartesian.axes
            shape = (z.n_image, y.n_image, x.n_image)
        else:
            assert self.non_cartesian is not None
            shape = self.non_cartesian.shape
        return (len(self.planes) if self.stacked else shape[0], *shape[1:])

    @property
    def voxel_m(self) -> tuple[float, float, float]:
        """Voxel spacing along read, phase, slice, of one slice or slab."""
        if self.cartesian is not None:
            x, y, z = self.cartesian.axes
            return (x.voxel_m, y.voxel_m, z.voxel_m)
        assert self.non_cartesian is not None
        return self.non_cartesian.voxel_m


def plan_encoding(
    raw: RawData,
    volumes: list[Volume],
    options: ReconOptions,
    trajectory: Real | None,
    noise: RawData,
) -> tuple[EncodingPlan, list[Finding]]:
    """Decide how the volumes of one encoding are made.

    Parameters
    ----------
    raw
        The measurement.
    volumes
        All of one encoding.
    options, trajectory
        See `plan.plan_reconstruction`.
    noise
        The measurement whose noise readouts are used.

    Raises
    ------
    InputError, UsageError
        See `plan.plan_reconstruction`.
    """
    index = volumes[0].encoding
    rows = np.sort(np.concatenate([volume.rows for volume in volumes]))
    method, reason, lines = _choose(raw, rows, index, options, trajectory is not None)
    findings: list[Finding] = []
    cartesian = non_cartesian = parallel = None
    undersampled = False
    if lines:
        cartesian, gaps, more = _cartesian(raw, volumes, rows, options)
        three_d = cartesian.three_d
        if gaps is not None or method is not Method.FFT:
            method, reason, parallel, others = _fill(raw, cartesian, volumes, gaps, method, options)
            more += others
            undersampled = gaps is not None and method is Method.FFT
    else:
        non_cartesian, more = plan_non_cartesian(
            raw,
            volumes,
            trajectory=trajectory,
            unit=options.trajectory_unit,
            offset=options.trajectory_offset,
            axes=options.trajectory_axes,
        )
        three_d = non_cartesian.three_d
    findings.append(info("method", found=f"{method}: {reason}", expected="auto or a choice"))
    findings += more
    planes, stack, more = _frame(raw, volumes, three_d=three_d)
    findings += more
    whitener = None
    if options.whiten:
        with concerning(None if noise is raw else "noise"):
            whitener, more = measure_noise(raw, rows, noise)
        findings += more
    if whitener is not None:
        compare.check_dwell(raw, volumes)
    coils = int(raw.readouts["active_channels"][rows[0]])
    lengths = raw.readouts["number_of_samples"][rows]
    plan = EncodingPlan(
        index=index,
        method=method,
        reason=reason,
        three_d=three_d,
        cartesian=cartesian,
        non_cartesian=non_cartesian,
        planes=planes,
        stack=stack,
        n_coils=coils,
        data_bytes=8 * coils * int(lengths.sum()),
        readout_bytes=8 * coils * int(lengths.max()),
        whitener=whitener,
        undersampled=undersampled,
        parallel=parallel,
    )
    return plan, findings


def _fill(
    raw: RawData,
    plan: CartesianPlan,
    volumes: list[Volume],
    gaps: Finding | None,
    method: Method,
    options: ReconOptions,
) -> tuple[Method, str, ParallelPlan | None, list[Finding]]:
    """Decide how missing lines are filled."""
    if options.method is Method.FFT:
        return Method.FFT, "asked for", None, [gaps] if gaps else []
    index = volumes[0].encoding
    coils = int(raw.readouts["active_channels"][volumes[0].rows[0]])
    parallel, findings = plan_separate(raw, index, three_d=plan.three_d)
    asked = options.method if method is not Method.FFT else Method.AUTO
    method, reason, more = choose_parallel(raw, plan, parallel, volumes, coils, asked)
    findings += more
    if gaps is not None:
        filled = replace(gaps, level=Level.INFO, remedy=f"filled by {method}")
        findings.append(gaps if method is Method.FFT else filled)
    return method, reason, None if method is Method.FFT else parallel, findings


def _cartesian(
    raw: RawData, volumes: list[Volume], rows: Ints, options: ReconOptions
) -> tuple[CartesianPlan, Finding | None, list[Finding]]:
    index = volumes[0].encoding
    three_d = len(np.unique(raw.readouts["kspace_encode_step_2"][rows])) > 1
    findings = compare.check_depth(raw, index, three_d=three_d)
    plan, more = plan_cartesian(raw, rows, index, three_d=three_d)
    findings += more
    parts = [
        (compare.name_slice(volume, number), mine)
        for volume in volumes
        for number, mine in volume.slices.items()
    ]
    if options.partial_fourier is PartialFourier.POCS:
        refuse_gaps(plan, parts)
    more, gaps = missing_lines(plan, parts, raw.header.encodings[index].acceleration)
    findings += more
    findings += compare.repeated_lines(raw, plan, volumes)
    findings += compare.uncorrected_epi(raw, index)
    return plan, gaps, findings


def _frame(
    raw: RawData, volumes: list[Volume], *, three_d: bool
) -> tuple[dict[int, Plane], Stack | None, list[Finding]]:
    """Return the frame of each slice or slab, and the stack that slices form."""
    slices = sorted({s for volume in volumes for s in volume.slices})
    planes = {
        s: plane_of(raw.readouts, np.concatenate([v.slices[s] for v in volumes if s in v.slices]))
        for s in slices
    }
    stack: Stack | None = None
    findings: list[Finding] = []
    if not three_d or len(planes) == 1:
        thickness = slice_thickness_m(raw.header.encodings[volumes[0].encoding])
        stack, findings = stack_of(list(planes.values()), thickness)
    findings += compare.missing_slices(volumes, slices)
    findings += compare.unknown_geometry(planes)
    return planes, stack, findings


def _choose(
    raw: RawData, rows: Ints, index: int, options: ReconOptions, external: bool
) -> tuple[Method, str, bool]:
    """Choose the method, and whether it takes lines of a Cartesian grid.

    From the header's trajectory and what stands beside the samples.
    """
    stated = raw.header.encodings[index].trajectory
    has_k = bool((raw.readouts["trajectory_dimensions"][rows] > 0).all())
    asked, several = options.method, len(raw.header.encodings) > 1
    lines = stated in CARTESIAN or (not stated and not has_k)
    external = external and not (several and stated in CARTESIAN)
    if asked.cartesian and external:
        raise UsageError(f"--method {asked} does not use --trajectory; leave one of them out")
    if asked is not Method.AUTO:
        lines = asked.cartesian or (asked is Method.CS and lines and not external)
        if asked is Method.DYNAMIC:
            channels = int(raw.readouts["active_channels"][rows[0]])
            refuse_dynamic(channels, options, positions=external or has_k, stated=stated)
        if not (lines or has_k or external):
            raise UsageError(f"--method {asked} needs a trajectory: give --trajectory FILE")
        return asked, "asked for", lines
    if external:
        return Method.GRIDDING, "an external trajectory is given", False
    if lines:
        why = f"the header's trajectory is {stated or 'not stated, and none is stored'}"
        return Method.FFT, why, True
    if has_k:
        why = f"the header's trajectory is {stated!r} and positions are stored"
        return Method.GRIDDING, why, False
    raise InputError(
        f"trajectory of {name_readout(raw.readouts, int(rows[0]))}",
        found=f"no positions in a measurement whose trajectory is {stated[:20]!r}",
        expected="sample positions in the file",
        remedy="give them with --trajectory FILE, or --method fft if it is Cartesian",
    )
