"""Decide, before any sample is read, what a reconstruction will do and whether it can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError, UsageError, concerning
from ultrahand.physics.identify import identify_nucleus
from ultrahand.pipelines.options import Combine, Method, Parts, ReconOptions
from ultrahand.recon.axes import slice_thickness_m
from ultrahand.recon.cartesian import CartesianPlan, missing_lines, plan_cartesian
from ultrahand.recon.frame import Plane, Stack, geometry_of, plane_of, stack_of
from ultrahand.recon.noise import Whitener, measure_noise
from ultrahand.recon.non_cartesian import NonCartesianPlan, plan_non_cartesian
from ultrahand.recon.sorting import Series, Volume, imaging_rows, series_of, volumes_of
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.readouts import Kind, kinds_of, name_readout

if TYPE_CHECKING:
    from ultrahand.records.arrays import Ints, Real
    from ultrahand.records.geometry import Geometry
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
    whitener: Whitener | None
    """None where the noise is not known or not used."""

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
    notes
        Takes the findings as they are made: what is known when the measurement is refused.

    Raises
    ------
    InputError
        A measurement that cannot be reconstructed as asked.
    UsageError
        Options that contradict each other or the measurement.
    """
    rows = imaging_rows(raw.readouts)
    findings = notes if notes is not None else []
    nucleus, more = identify_nucleus(raw.header, options.nucleus)
    findings += more
    counts = count_kinds(raw)
    findings += _set_aside(counts)
    volumes = volumes_of(raw.readouts, rows)
    findings += _compare_counters(raw, rows)
    encodings: dict[int, EncodingPlan] = {}
    for index in sorted({volume.encoding for volume in volumes}):
        mine = [volume for volume in volumes if volume.encoding == index]
        encodings[index], more = _plan_encoding(raw, mine, options, trajectory, noise or raw)
        findings += more
    series = series_of(volumes, {i: plan.stack is None for i, plan in encodings.items()})
    return ReconPlan(
        options=options,
        combine=_combination(options),
        encodings=encodings,
        series=tuple(series),
        nucleus=nucleus,
        counts=counts,
        findings=tuple(findings),
    )


def _plan_encoding(
    raw: RawData,
    volumes: list[Volume],
    options: ReconOptions,
    trajectory: Real | None,
    noise: RawData,
) -> tuple[EncodingPlan, list[Finding]]:
    index = volumes[0].encoding
    rows = np.sort(_rows_of(volumes, index))
    method, reason = _choose(raw, rows, index, options, trajectory is not None)
    findings = [info("method", found=f"{method}: {reason}", expected="auto or a choice")]
    cartesian = non_cartesian = None
    if method is Method.FFT:
        three_d = len(np.unique(raw.readouts["kspace_encode_step_2"][rows])) > 1
        findings += _check_depth(raw, index, three_d=three_d)
        cartesian, more = plan_cartesian(raw, rows, index, three_d=three_d)
        parts = [(_name(v, number), rows) for v in volumes for number, rows in v.slices.items()]
        more += missing_lines(cartesian, parts, raw.header.encodings[index].acceleration)
        more += _repeated_lines(raw, cartesian, volumes)
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
    findings += more
    slices = sorted({s for volume in volumes for s in volume.slices})
    planes = {
        s: plane_of(raw.readouts, np.concatenate([v.slices[s] for v in volumes if s in v.slices]))
        for s in slices
    }
    stack: Stack | None = None
    if not three_d or len(planes) == 1:
        thickness = slice_thickness_m(raw.header.encodings[index])
        stack, more = stack_of(list(planes.values()), thickness)
        findings += more
    findings += _missing_slices(volumes, slices)
    if raw.header.encodings[index].trajectory == "epi" and method is Method.FFT:
        findings.append(
            warning(
                "EPI",
                found="trajectory epi",
                expected="Nyquist ghost correction and regridded ramps",
                remedy="neither is done: expect ghosts and blurring along read",
            )
        )
    if not all(plane.known for plane in planes.values()):
        findings.append(
            warning(
                "read_dir, phase_dir, slice_dir",
                found="all zero",
                expected="unit vectors in patient coordinates",
                remedy="geometry is unknown: identity directions, centred at 0",
            )
        )
    whitener = None
    if options.whiten:
        with concerning(None if noise is raw else "noise"):
            whitener, more = measure_noise(raw, rows, noise)
        findings += more
    if whitener is not None:
        _check_dwell(raw, volumes)
    coils = int(raw.readouts["active_channels"][rows[0]])
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
        data_bytes=8 * coils * int(raw.readouts["number_of_samples"][rows].sum()),
        whitener=whitener,
    )
    return plan, findings


def _name(volume: Volume, number: int) -> str:
    """Name a slice of a volume by its counters."""
    return ", ".join(f"{k} {v}" for k, v in {**volume.counters, "slice": number}.items())


def _missing_slices(volumes: list[Volume], slices: list[int]) -> list[Finding]:
    """Report volumes that lack slices which others have."""
    gaps = [_name(v, s) for v in volumes for s in slices if s not in v.slices]
    if not gaps:
        return []
    return [
        warning(
            "missing slices",
            found=f"{len(gaps)}, the first at {gaps[0]}",
            expected="every slice in every volume",
            remedy="their voxels are NaN; was the measurement stopped?",
        )
    ]


def _choose(
    raw: RawData, rows: Ints, index: int, options: ReconOptions, external: bool
) -> tuple[Method, str]:
    """Choose the method from the header's trajectory and what stands beside the samples."""
    stated = raw.header.encodings[index].trajectory
    has_k = bool((raw.readouts["trajectory_dimensions"][rows] > 0).all())
    if options.method is Method.FFT:
        if external:
            raise UsageError("--method fft does not use --trajectory; leave one of them out")
        return Method.FFT, "asked for"
    several = len(raw.header.encodings) > 1
    if external and not (several and stated in CARTESIAN):
        return Method.GRIDDING, "an external trajectory is given"
    if options.method is Method.GRIDDING:
        if not has_k:
            raise UsageError("--method gridding needs a trajectory: give --trajectory FILE")
        return Method.GRIDDING, "asked for"
    if stated in CARTESIAN or (not stated and not has_k):
        return (
            Method.FFT,
            f"the header's trajectory is {stated or 'not stated, and none is stored'}",
        )
    if has_k:
        return Method.GRIDDING, f"the header's trajectory is {stated!r} and positions are stored"
    raise InputError(
        f"trajectory of {name_readout(raw.readouts, int(rows[0]))}",
        found=f"no positions in a measurement whose trajectory is {stated[:20]!r}",
        expected="sample positions in the file",
        remedy="give them with --trajectory FILE, or --method fft if it is Cartesian",
    )


def _check_depth(raw: RawData, index: int, *, three_d: bool) -> list[Finding]:
    """Compare the header's z matrix with the partitions that were acquired."""
    depth = raw.header.encodings[index].encoded.matrix[2]
    thickness_mm = slice_thickness_m(raw.header.encodings[index]) * 1e3
    if not three_d and depth > 1:
        return [
            warning(
                "encodedSpace z",
                found=f"matrix {depth}, but every readout has the same partition",
                expected="1 for 2D",
                remedy=f"reconstructed as 2D, slices {thickness_mm:.3g} mm thick (field of view "
                "over matrix of reconSpace)",
            )
        ]
    return []


def _repeated_lines(raw: RawData, plan: CartesianPlan, volumes: list[Volume]) -> list[Finding]:
    """Report lines acquired again under equal counters: nothing tells them from averages."""
    again = 0
    for volume in volumes:
        for slice_rows in volume.slices.values():
            rows = plan.used(slice_rows)
            key = np.stack(
                [plan.line1[rows], plan.line2[rows], raw.readouts["average"][rows]], axis=1
            )
            again += len(rows) - len(np.unique(key, axis=0))
    if not again:
        return []
    return [
        warning(
            "repeated lines",
            found=f"{again} readouts whose counters all equal an earlier one's",
            expected="a counter that tells them apart",
            remedy="averaged with it",
        )
    ]


def _rows_of(volumes: list[Volume], encoding: int) -> Ints:
    return np.concatenate([volume.rows for volume in volumes if volume.encoding == encoding])


def count_kinds(raw: RawData) -> dict[str, int]:
    """Return how many readouts of each kind there are."""
    kinds = kinds_of(raw.readouts["flags"])
    return {kind.label: int((kinds == kind).sum()) for kind in Kind if (kinds == kind).any()}


def _set_aside(counts: Mapping[str, int]) -> list[Finding]:
    used = {Kind.IMAGING.label, Kind.NOISE.label}
    return [
        info(
            f"{label} readouts",
            found=str(count),
            expected="imaging readouts",
            remedy="set aside by their flags",
        )
        for label, count in counts.items()
        if label not in used
    ]


def _compare_counters(raw: RawData, rows: Ints) -> list[Finding]:
    """Compare the loops that were acquired with those the header declares."""
    findings = []
    for index in np.unique(raw.readouts["encoding_space_ref"][rows]):
        mine = rows[raw.readouts["encoding_space_ref"][rows] == index]
        limits = raw.header.encodings[index].limits
        for name in ("average", "slice", "contrast", "phase", "repetition", "set"):
            limit = limits.get(name)
            found = len(np.unique(raw.readouts[name][mine]))
            if limit is None or limit.maximum is None:
                continue
            declared = limit.maximum - (limit.minimum or 0) + 1
            if declared != found:
                findings.append(
                    warning(
                        f"encodingLimits {name}",
                        found=f"{found} in the readouts",
                        expected=f"{declared} as the header says",
                        remedy="the readouts decide",
                    )
                )
        echoes = raw.header.echo_times_s
        contrasts = len(np.unique(raw.readouts["contrast"][mine]))
        if echoes and len(echoes) != contrasts:
            findings.append(
                warning(
                    "sequenceParameters TE",
                    found=f"{len(echoes)} echo times, {contrasts} contrasts",
                    expected="one echo time a contrast",
                    remedy="echo times go to contrasts in order; the rest have none",
                )
            )
    return findings


def _check_dwell(raw: RawData, volumes: list[Volume]) -> None:
    """Refuse images whose readouts have noise of different strength."""
    for volume in volumes:
        for number, rows in volume.slices.items():
            times = np.unique(raw.readouts["sample_time_s"][rows])
            if len(times) > 1:
                raise InputError(
                    f"sample_time_us, {_name(volume, number)}",
                    found=", ".join(f"{t * 1e6:g}" for t in times[:4]),
                    expected="one dwell time in an image",
                    remedy="run with --noise none or correct the dwell times",
                )


def _combination(options: ReconOptions) -> Combine:
    if options.combine is not Combine.AUTO:
        if options.combine is Combine.RSS and options.parts is not Parts.MAG:
            raise UsageError(
                "--combine rss has no phase: use --combine walsh with --parts mag,phase or complex"
            )
        return options.combine
    return Combine.RSS if options.parts is Parts.MAG else Combine.WALSH
