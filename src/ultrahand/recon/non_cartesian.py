"""Non-Cartesian reconstruction by gridding: density compensation, then the adjoint NUFFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError, concerning
from ultrahand.recon.k_units import KUnit, decide_unit, per_m
from ultrahand.recon.lines import line_indices
from ultrahand.recon.sampling import Shots, from_array, from_file
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.header import declared_unit
from ultrahand.records.trajectory import Trajectory

if TYPE_CHECKING:
    from ultrahand.recon.sorting import Volume
    from ultrahand.records.arrays import Float64, Ints, Real
    from ultrahand.records.header import Encoding
    from ultrahand.records.raw import RawData

FLAT: Final = 1e-3
"""A trajectory whose largest k along slice is below this fraction of the edge is 2D."""
EDGE_SLACK: Final = 1.0 + 1e-4
"""Samples up to this fraction of the matrix's edge belong to it (float32 rounding)."""


@dataclass(frozen=True, slots=True)
class NonCartesianPlan:
    """Where the readouts of one encoding sample k-space, and what image they make."""

    shots: tuple[Shots, ...]
    k_per_m: Float64
    """One unit of the file in cycles per metre, shape ``(dims,)``."""
    unit: KUnit
    origin: str
    """How the unit was decided."""
    partition_k_per_m: Float64 | None
    """k along slice of every readout of the table, for stacks of 2D trajectories."""
    shape: tuple[int, int, int]
    """Image ``(z, y, x)``; z is 1 for 2D."""
    voxel_m: tuple[float, float, float]
    three_d: bool

    def positions(self, rows: Ints) -> list[tuple[Ints, slice, Trajectory]]:
        """Return rows by length, what is kept of each, and the positions of all their samples."""
        found = []
        for shots in self.shots:
            mine, shot = shots.of(rows)
            if not mine.size:
                continue
            k = shots.k[shot].astype(np.float64) * self.k_per_m
            if self.partition_k_per_m is not None or not self.three_d:
                k = k[:, :, :2]
            if self.partition_k_per_m is not None:
                along = np.broadcast_to(
                    self.partition_k_per_m[mine][:, None, None], (*k.shape[:2], 1)
                )
                k = np.concatenate([k, along], axis=2)
            flat = k.reshape(-1, k.shape[2])
            found.append((mine, shots.keep, Trajectory(k_per_m=flat, origin=self.origin)))
        return found


def plan_non_cartesian(
    raw: RawData,
    volumes: list[Volume],
    *,
    trajectory: Real | None,
    unit: KUnit | None,
    offset: int,
    axes: str | None,
) -> tuple[NonCartesianPlan, list[Finding]]:
    """Find the positions of all samples of one encoding and decide their unit.

    Parameters
    ----------
    raw
        The measurement.
    volumes
        Its volumes of one encoding.
    trajectory, offset, axes
        External trajectory, see `sampling.from_array`; None for the one in the file.
    unit
        Declared unit, or None to decide by size.

    Raises
    ------
    InputError
        No trajectory, one that does not fit, or one whose unit cannot be told.
    """
    rows = np.sort(np.concatenate([volume.rows for volume in volumes]))
    findings: list[Finding] = []
    encoding = raw.header.encodings[volumes[0].encoding]
    space = encoding.recon
    with concerning(None if trajectory is None else "trajectory"):
        if trajectory is None:
            shots = from_file(raw, rows)
            findings += _compare_limit(raw, rows, encoding)
        else:
            shots, findings = from_array(raw, volumes, trajectory, offset, axes)
        dims = shots[0].k.shape[2]
        largest = np.max([np.abs(part.k).max(axis=(0, 1)) for part in shots], axis=0)
        decided, origin = decide_unit(largest, space, unit or _declared(raw))
    scale = per_m(decided, space)[:dims]
    findings.append(info("trajectory unit", found=origin, expected="one unit"))
    edge = np.array(space.matrix) / (2 * np.array(space.fov_m))
    resolved = largest * scale
    three_d = dims == 3 and bool(resolved[2] > FLAT * edge[2])
    partition = None
    n_partitions = len(np.unique(raw.readouts["kspace_encode_step_2"][rows]))
    if not three_d and n_partitions > 1 and encoding.encoded.matrix[2] > 1:
        partition, more = _partitions(raw, rows, volumes[0].encoding)
        findings += more
        three_d = True
    elif not three_d and max(n_partitions, space.matrix[2]) > 1:
        findings.append(
            warning(
                "partitions",
                found=f"{n_partitions} values of kspace_encode_step_2, matrix z {space.matrix[2]}",
                expected="both 1 for a flat trajectory, or both more",
                remedy="reconstructed as 2D",
            )
        )
    if three_d and space.matrix[2] == 1:
        raise InputError(
            "reconSpace z",
            found="matrix 1 for a trajectory in three dimensions",
            expected="the number of slices to reconstruct",
            remedy="correct reconSpace in the header",
        )
    findings += _compare_resolution(resolved, edge, 3 if dims == 3 and three_d else 2)
    nz = space.matrix[2] if three_d else 1
    plan = NonCartesianPlan(
        shots=tuple(shots),
        k_per_m=scale,
        unit=decided,
        origin=origin,
        partition_k_per_m=partition,
        shape=(nz, space.matrix[1], space.matrix[0]),
        voxel_m=(
            space.fov_m[0] / space.matrix[0],
            space.fov_m[1] / space.matrix[1],
            space.fov_m[2] / space.matrix[2],
        ),
        three_d=three_d,
    )
    return plan, findings


def _compare_limit(raw: RawData, rows: Ints, encoding: Encoding) -> list[Finding]:
    """Compare the shots that were acquired with those the header declares."""
    limit = encoding.limits.get("kspace_encoding_step_1")
    if limit is None or limit.maximum is None:
        return []
    declared = limit.maximum - (limit.minimum or 0) + 1
    found = len(np.unique(raw.readouts["kspace_encode_step_1"][rows]))
    if found == declared:
        return []
    return [
        warning(
            "encodingLimits kspace_encoding_step_1",
            found=f"{found} shots in the readouts",
            expected=f"{declared} as the header says",
            remedy="the readouts decide; was the measurement stopped?",
        )
    ]


def _declared(raw: RawData) -> KUnit | None:
    """Return the unit a user parameter of the header declares."""
    stated = declared_unit(raw.header)
    try:
        return KUnit(stated.lower()) if stated else None
    except ValueError:
        raise InputError(
            "user parameter trajectory_unit",
            found="no known unit",
            expected=", ".join(KUnit),
            remedy="declare it with --trajectory-unit",
        ) from None


def _partitions(raw: RawData, rows: Ints, index: int) -> tuple[Float64, list[Finding]]:
    """Place the partitions of a stack of 2D trajectories by encoding step 2."""
    encoding = raw.header.encodings[index]
    size = encoding.encoded.matrix[2]
    k, findings = line_indices(raw.readouts, rows, "kspace_encode_step_2", encoding, size)
    table = np.zeros(len(raw.readouts))
    table[rows] = k / encoding.encoded.fov_m[2]
    return table, findings


def _compare_resolution(resolved: Float64, edge: Float64, dims: int) -> list[Finding]:
    """Say what the data resolve beside what the matrix asks for."""
    data = " x ".join(f"{500 / k:.3g}" if k > 0 else "none" for k in resolved[:dims])
    asked = " x ".join(f"{500 / k:.3g}" for k in edge[:dims])
    fraction = float((resolved[:dims] / edge[:dims]).max())
    found, expected = f"the data resolve {data} mm", f"{asked} mm, the asked voxel"
    if fraction < 0.95:
        remedy = "the image is interpolated: its voxels are smaller than the resolution"
        return [warning("resolution", found=found, expected=expected, remedy=remedy)]
    if fraction > 1.05:
        remedy = "samples beyond the asked matrix are left out"
        return [warning("resolution", found=found, expected=expected, remedy=remedy)]
    return [info("resolution", found=found, expected=expected)]
