"""What every simulated scan has in common: its place in the patient, its header, its clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ultrahand.phantoms.sections import Slice
from ultrahand.physics.nuclei import frequency_hz
from ultrahand.records import READOUT_DTYPE, Geometry, Header, Limit
from ultrahand.records.arrays import Float64, Ints, Structured, require
from ultrahand.units import M_PER_MM, S_PER_MS, SIEMENS_TICK_S

if TYPE_CHECKING:
    from ultrahand.phantoms.cartesian import CartesianScan
    from ultrahand.phantoms.noncartesian import NonCartesianScan

    Scan: TypeAlias = CartesianScan | NonCartesianScan

SliceOrder: TypeAlias = Literal["sequential", "interleaved", "scrambled"]

SIEMENS = "SIEMENS"
START_S = 36000.0
"""Ten o'clock: the scans' clocks count since midnight."""


def frame_of(scan: Scan) -> Float64:
    """Return read, phase and slice direction as rows, shape ``(3, 3)``."""
    return np.array([scan.read_dir, scan.phase_dir, scan.slice_dir], np.float64)


def check_setting(scan: Scan) -> None:
    """Refuse what no scan can be."""
    frame = frame_of(scan)
    require(
        frame.shape == (3, 3) and bool(np.allclose(frame @ frame.T, np.eye(3), atol=1e-6)),
        f"read_dir, phase_dir and slice_dir must be orthonormal, got {frame.tolist()}",
    )
    require(min(scan.matrix) >= 1, f"matrix must be positive, got {scan.matrix}")
    require(min(scan.fov_m) > 0, f"fov_m must be positive, got {scan.fov_m}")
    flat = scan.dimension == 2
    require(not flat or scan.matrix[2] == 1, f"a 2D matrix ends in 1, got {scan.matrix}")
    require(flat or scan.n_slices == 1, "slices belong to 2D scans; a 3D scan has partitions")
    require(min(scan.n_slices, scan.repetitions, len(scan.echo_times_s)) >= 1, "counts must be > 0")
    require(min(scan.discard_pre, scan.discard_post) >= 0, "discards must not be negative")
    require(scan.sample_time_s > 0, f"sample_time_s must be positive, got {scan.sample_time_s}")


def slice_places(order: SliceOrder, n_slices: int, rng: np.random.Generator) -> Ints:
    """Return the place in space of each slice counter; counters run in order of acquisition."""
    if order == "scrambled":
        return rng.permutation(n_slices)
    if order == "interleaved":
        return np.concatenate([np.arange(0, n_slices, 2), np.arange(1, n_slices, 2)])
    return np.arange(n_slices)


def slice_position_mm(scan: Scan, place: int) -> Float64:
    """Return the centre of a slice; place ``n_slices // 2`` lies at the scan's position."""
    spacing = (scan.fov_m[2] + scan.slice_gap_m) / M_PER_MM
    offset = spacing * (place - scan.n_slices // 2)
    return np.array(scan.position_mm) + offset * np.array(scan.slice_dir)


def slice_of(scan: Scan, place: int) -> Slice:
    """Return the slab that a slice excites."""
    read, phase, _ = frame_of(scan)
    position = slice_position_mm(scan, place) * M_PER_MM
    return Slice(position_m=position, read_dir=read, phase_dir=phase, thickness_m=scan.fov_m[2])


def geometry_of(scan: Scan) -> Geometry:
    """Return the frame of the image that the scan asks for, slices in order of space."""
    nx, ny, nz = scan.matrix
    voxel = [length / n for length, n in zip(scan.fov_m, scan.matrix, strict=True)]
    if scan.dimension == 2:
        nz, voxel[2] = scan.n_slices, scan.fov_m[2] + scan.slice_gap_m
    read, phase, normal = frame_of(scan)
    return Geometry(
        shape=(nz, ny, nx),
        voxel_size_m=(voxel[0], voxel[1], voxel[2]),
        position_mm=np.array(scan.position_mm, np.float64),
        read_dir=read,
        phase_dir=phase,
        slice_dir=normal,
        known=scan.directions_known,
    )


def header_of(scan: Scan) -> Header:
    """Return the header of the measurement."""
    noise = scan.noise
    return Header(
        encodings=(scan.encoding(),),
        field_strength_t=scan.field_strength_t,
        frequency_hz=float(round(frequency_hz(scan.nucleus, scan.field_strength_t))),
        vendor=scan.vendor,
        patient_position=scan.patient_position,
        relative_noise_bandwidth=noise.relative_bandwidth if noise else None,
        repetition_times_s=scan.cycle_s,
        echo_times_s=scan.echo_times_s,
        flip_angles_deg=(scan.flip_angle_deg,),
        user_parameters=scan.user_parameters,
    )


def limits(**sizes: int) -> Mapping[str, Limit]:
    """Return the limits of counters that start at 0 and have no centre."""
    names = ("average", "slice", "contrast", "phase", "repetition", "set", "segment")
    return {name: Limit(minimum=0, maximum=sizes.get(name, 1) - 1, center=0) for name in names}


def readout_table(scan: Scan, n_rows: int) -> Structured:
    """Return rows with everything that is the same in all of them, at the scan's position."""
    table = np.zeros(n_rows, READOUT_DTYPE)
    table["sample_time_s"] = scan.sample_time_s
    table["discard_pre"] = scan.discard_pre
    table["discard_post"] = scan.discard_post
    table["position_mm"] = scan.position_mm
    if scan.directions_known:
        table["read_dir"], table["phase_dir"], table["slice_dir"] = frame_of(scan)
    return table


def time_stamps(scan: Scan, contrast: Ints, start_s: float = START_S) -> Ints:
    """Return the clock's ticks at each echo; the contrasts of one shot are neighbours."""
    shot = np.arange(len(contrast)) // len(scan.echo_times_s)
    cycle, place = np.divmod(shot, len(scan.cycle_s))
    begin = cycle * sum(scan.cycle_s) + np.cumsum((0.0, *scan.cycle_s[:-1]))[place]
    seconds = start_s + begin + np.array(scan.echo_times_s)[contrast]
    tick_s = SIEMENS_TICK_S if scan.vendor == SIEMENS else S_PER_MS
    return np.rint(seconds / tick_s).astype(np.int64)
