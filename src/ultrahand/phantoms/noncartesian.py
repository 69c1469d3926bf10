"""A scan along any trajectory: radial, spiral, stacks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import pi
from types import MappingProxyType
from typing import Literal, TypeAlias, final

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.objects import Part
from ultrahand.phantoms.sections import Slice
from ultrahand.phantoms.setting import (
    SliceOrder,
    check_setting,
    frame_of,
    limits,
    readout_table,
    slice_position_mm,
)
from ultrahand.phantoms.signal import PointSignal, Signal
from ultrahand.phantoms.thermal import ThermalNoise
from ultrahand.records import Encoding, EncodingSpace, Limit
from ultrahand.records.arrays import Float32, Float64, Ints, Structured, freeze, require
from ultrahand.records.header import Lengths, Triple
from ultrahand.units import M_PER_MM

# Written apart from `recon.k_units` on purpose: a wrong factor there must not hide here.
StoredUnit: TypeAlias = Literal[
    "cycles/pixel", "rad/pixel", "cycles/fov", "1/m", "1/cm", "1/mm", "rad/m", "rad/mm"
]


def in_unit(k_per_m: Float64, unit: StoredUnit, fov_m: Float64, matrix: Float64) -> Float64:
    """Express positions in another unit.

    Parameters
    ----------
    k_per_m
        Cycles per metre, shape ``(..., dims)``.
    unit
        What a file may hold; a pixel is the image's voxel along the same axis.
    fov_m, matrix
        Of the image, along the same axes, shape ``(dims,)``.
    """
    per_m = np.ones(k_per_m.shape[-1])
    length_m = {
        "cycles/pixel": fov_m / matrix,
        "rad/pixel": 2.0 * pi * fov_m / matrix,
        "cycles/fov": fov_m,
        "1/m": per_m,
        "1/cm": per_m * 1e-2,
        "1/mm": per_m * M_PER_MM,
        "rad/m": 2.0 * pi * per_m,
        "rad/mm": 2.0 * pi * per_m * M_PER_MM,
    }[unit]
    return k_per_m * length_m


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NonCartesianScan:
    """How a scan along a trajectory is taken and written."""

    matrix: Triple
    """Of the image: read, phase, slice; 1 along slice in 2D."""
    fov_m: Lengths
    """Of the image; along slice in 2D the thickness."""
    dimension: Literal[2, 3]
    k_per_m: Float64
    """Along read, phase and slice, shape ``(shots, samples, 2 or 3)``. In 3D two columns make a
    stack: every shot is taken for each of ``matrix[2]`` partitions, counted by step 2."""
    trajectory: str = "other"
    """Name in the header: ``radial``, ``spiral``, ``other``."""
    trajectory_unit: StoredUnit = "cycles/pixel"
    trajectory_in_file: bool = True
    """False leaves the file without: it must be given from outside."""
    n_slices: int = 1
    slice_gap_m: float = 0.0
    slice_order: SliceOrder = "sequential"
    """The slice counter runs in order of acquisition; the positions tell the place in space."""
    discard_pre: int = 0
    discard_post: int = 0
    """Samples of garbage before and after those of a shot."""
    repetitions: int = 1
    sets: int = 1
    """The whole scan again, each time with another flip angle for example."""
    echo_times_s: tuple[float, ...] = (0.5e-3,)
    """One contrast each: when the sample nearest to k = 0 is taken, after excitation."""
    sample_time_s: float = 5e-6
    repetition_time_s: float = 20e-3
    flip_angle_deg: float = 15.0
    position_mm: Lengths = (0.0, 0.0, 0.0)
    """Patient LPS; in 2D of slice ``n_slices // 2``."""
    read_dir: Lengths = (1.0, 0.0, 0.0)
    phase_dir: Lengths = (0.0, 1.0, 0.0)
    slice_dir: Lengths = (0.0, 0.0, 1.0)
    directions_known: bool = True
    """False writes directions of zeros, as some simulators do."""
    nucleus: str = "1H"
    field_strength_t: float = 7.0
    patient_position: str | None = "HFP"
    vendor: str | None = None
    """``SIEMENS`` writes conjugate data and ticks of 2.5 ms."""
    noise: ThermalNoise | None = None
    user_parameters: Mapping[str, str | float | int] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        check_setting(self)
        k = np.array(self.k_per_m, np.float64)
        dims = (2,) if self.dimension == 2 else (2, 3)
        require(
            k.ndim == 3 and k.shape[2] in dims and k.size > 0,
            f"k_per_m of a {self.dimension}D scan must be (shots, samples, {dims}), got {k.shape}",
        )
        freeze(self, k_per_m=k)

    @property
    def cycle_s(self) -> tuple[float, ...]:
        """Times from one excitation to the next, over and over."""
        return (self.repetition_time_s,)

    @property
    def n_samples(self) -> int:
        """Samples of a shot without the discarded ones."""
        return self.k_per_m.shape[1]

    @property
    def n_partitions(self) -> int:
        """Cartesian steps along slice, 1 where the trajectory itself has three dimensions."""
        return 1 if self.k_per_m.shape[2] == 3 else self.matrix[2]

    @property
    def centre_index(self) -> int:
        """Sample nearest to k = 0, discarded ones not counted."""
        return int(np.argmin(np.linalg.norm(self.k_per_m, axis=2).mean(axis=0)))

    def encoding(self) -> Encoding:
        """Return the encoding of the header."""
        space = EncodingSpace(matrix=self.matrix, fov_m=self.fov_m)
        n_shots, n_partitions = len(self.k_per_m), self.n_partitions
        sizes = {"slice": self.n_slices, "contrast": len(self.echo_times_s), "set": self.sets}
        return Encoding(
            trajectory=self.trajectory,
            encoded=space,
            recon=space,
            limits={
                "kspace_encoding_step_0": Limit(
                    minimum=0, maximum=self.n_samples - 1, center=self.centre_index
                ),
                "kspace_encoding_step_1": Limit(minimum=0, maximum=n_shots - 1, center=0),
                "kspace_encoding_step_2": Limit(
                    minimum=0, maximum=n_partitions - 1, center=n_partitions // 2
                ),
                **limits(repetition=self.repetitions, **sizes),
            },
            acceleration=None,
        )

    def readouts(self, places: Ints) -> Structured:
        """Return the table of readouts, contrasts fastest, then partitions, shots, slices."""
        shape = (len(self.k_per_m), self.n_partitions, len(self.echo_times_s))
        shot, partition, contrast = (index.ravel() for index in np.indices(shape))
        blocks = []
        passes = (range(self.repetitions), range(self.sets), range(self.n_slices))
        for repetition, set_, number in product(*passes):
            table = readout_table(self, len(shot))
            table["kspace_encode_step_1"] = shot
            table["kspace_encode_step_2"] = partition
            table["contrast"] = contrast
            table["repetition"], table["set"], table["slice"] = repetition, set_, number
            table["position_mm"] = slice_position_mm(self, int(places[number]))
            table["number_of_samples"] = self.discard_pre + self.n_samples + self.discard_post
            table["center_sample"] = self.discard_pre + self.centre_index
            table["trajectory_dimensions"] = self.k_per_m.shape[2] * self.trajectory_in_file
            blocks.append(table)
        return np.concatenate(blocks)

    def line_numbers(self, table: Structured) -> Ints:
        """Tell which line of `signal` each readout takes."""
        shot: Ints = table["kspace_encode_step_1"] * self.n_partitions
        return shot + table["kspace_encode_step_2"]

    def signal(self, parts: Sequence[Part], coils: Coils, where: Slice | None) -> Signal:
        """Return the exact k-space of all shots."""
        dims = self.k_per_m.shape[2]
        n = self.n_partitions
        k = np.zeros((len(self.k_per_m), n, self.n_samples, 3))
        k[..., :dims] = self.k_per_m[:, None]
        k[..., 2] += ((np.arange(n) - n // 2) / self.fov_m[2])[:, None] if n > 1 else 0.0
        return PointSignal(
            parts=parts,
            coils=coils,
            k_per_m=k.reshape(-1, self.n_samples, 3) @ frame_of(self),
            demodulation_m=where.position_m if where else np.array(self.position_mm) * M_PER_MM,
        )

    def trajectories(self, table: Structured) -> tuple[Float32, ...]:
        """Return each readout's trajectory as it stands in the file; nothing if it is left out."""
        if not self.trajectory_in_file:
            return ()
        dims = self.k_per_m.shape[2]
        stored = in_unit(
            self.k_per_m,
            self.trajectory_unit,
            np.array(self.fov_m[:dims]),
            np.array(self.matrix[:dims]),
        ).astype(np.float32)
        padding = ((0, 0), (self.discard_pre, self.discard_post), (0, 0))
        stored = np.pad(stored, padding, mode="edge")
        return tuple(
            stored[row["kspace_encode_step_1"]]
            if row["trajectory_dimensions"]
            else np.zeros((row["number_of_samples"], 0), np.float32)
            for row in table
        )
