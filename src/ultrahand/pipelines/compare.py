"""What the header says beside what the readouts are: every difference is a finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.axes import slice_thickness_m
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.readouts import Kind, kinds_of

if TYPE_CHECKING:
    from ultrahand.recon.cartesian import CartesianPlan
    from ultrahand.recon.frame import Plane
    from ultrahand.recon.sorting import Volume
    from ultrahand.records.arrays import Ints
    from ultrahand.records.raw import RawData


def count_kinds(raw: RawData) -> dict[str, int]:
    """Return how many readouts of each kind there are."""
    kinds = kinds_of(raw.readouts["flags"])
    return {kind.label: int((kinds == kind).sum()) for kind in Kind if (kinds == kind).any()}


def set_aside(counts: Mapping[str, int]) -> list[Finding]:
    """Say which readouts are not used, by their flags."""
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


def compare_counters(raw: RawData, rows: Ints) -> list[Finding]:
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


def check_depth(raw: RawData, index: int, *, three_d: bool) -> list[Finding]:
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


def missing_slices(volumes: list[Volume], slices: list[int]) -> list[Finding]:
    """Report volumes that lack slices which others have."""
    gaps = [name_slice(v, s) for v in volumes for s in slices if s not in v.slices]
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


def repeated_lines(raw: RawData, plan: CartesianPlan, volumes: list[Volume]) -> list[Finding]:
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


def check_dwell(raw: RawData, volumes: list[Volume]) -> None:
    """Refuse images whose readouts have noise of different strength."""
    for volume in volumes:
        for number, rows in volume.slices.items():
            times = np.unique(raw.readouts["sample_time_s"][rows])
            if len(times) > 1:
                raise InputError(
                    f"sample_time_us, {name_slice(volume, number)}",
                    found=", ".join(f"{t * 1e6:g}" for t in times[:4]),
                    expected="one dwell time in an image",
                    remedy="run with --noise none or correct the dwell times",
                )


def unknown_geometry(planes: Mapping[int, Plane]) -> list[Finding]:
    """Say where readouts have no directions."""
    if all(plane.known for plane in planes.values()):
        return []
    return [
        warning(
            "read_dir, phase_dir, slice_dir",
            found="all zero",
            expected="unit vectors in patient coordinates",
            remedy="geometry is unknown: identity directions, centred at 0",
        )
    ]


def uncorrected_epi(raw: RawData, index: int) -> list[Finding]:
    """Say what is not done yet about echo-planar readouts."""
    if raw.header.encodings[index].trajectory != "epi":
        return []
    return [
        warning(
            "EPI",
            found="trajectory epi",
            expected="Nyquist ghost correction and regridded ramps",
            remedy="neither is done: expect ghosts and blurring along read",
        )
    ]


def name_slice(volume: Volume, number: int) -> str:
    """Name a slice of a volume by its counters."""
    return ", ".join(f"{k} {v}" for k, v in {**volume.counters, "slice": number}.items())
