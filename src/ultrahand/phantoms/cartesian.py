"""A Cartesian scan in every variation that files show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, final

import numpy as np

from ultrahand.phantoms import cartesian_lines as order
from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.objects import Part
from ultrahand.phantoms.sections import Slice
from ultrahand.phantoms.setting import SIEMENS, SliceOrder, check_setting, frame_of, limits
from ultrahand.phantoms.signal import Grid, Signal, grid_signal
from ultrahand.phantoms.thermal import ThermalNoise
from ultrahand.records import Encoding, EncodingSpace, Limit
from ultrahand.records.arrays import Float32, Ints, Structured, require
from ultrahand.records.header import Lengths, Triple
from ultrahand.units import M_PER_MM


@final
@dataclass(frozen=True, kw_only=True)
class CartesianScan:
    """How a Cartesian scan is taken and written.

    Encoded sample n of a line lies at ``kx = (n - center_sample) / fov_x``, line e1 at ``ky =
    (e1 - center) / fov_y`` and partition e2 likewise, with the encoded fields of view and the
    centres of the encoding limits. N samples, complete, have the grid indices ``-(N // 2)`` to
    ``N - 1 - N // 2``. Counters of lines start at 0 at the first line that is taken.
    """

    matrix: Triple
    """Of the image: read, phase, slice; 1 along slice in 2D."""
    fov_m: Lengths
    """Of the image; along slice in 2D the thickness."""
    dimension: Literal[2, 3]
    n_slices: int = 1
    slice_gap_m: float = 0.0
    """Between the faces of neighbours."""
    slice_order: SliceOrder = "sequential"
    """The slice counter runs in order of acquisition; the positions tell the place in space."""
    readout_oversampling: float = 1.0
    phase_oversampling: float = 0.0
    """Fraction by which the field of view is extended along phase; likewise along slice (3D)."""
    slice_oversampling: float = 0.0
    partial_echo: tuple[int, int] = (0, 0)
    """Encoded samples that are missing in front and at the end, in order of k."""
    partial_fourier_1: tuple[int, int] = (0, 0)
    """Encoded lines that are missing at the start and at the end; likewise partitions."""
    partial_fourier_2: tuple[int, int] = (0, 0)
    acceleration: tuple[int, int] = (1, 1)
    """Every R-th line and partition is taken, the centre among them."""
    calibration_lines: tuple[int, int] = (0, 0)
    """Central lines and partitions taken completely; one 0 means all along that direction."""
    calibration_mode: order.CalibrationMode = "embedded"
    reversed_readouts: Literal["none", "lines", "contrasts"] = "none"
    """Every other line, or every other contrast, is read from +k to -k."""
    reversed_convention: Literal["by vendor", "documented", "siemens"] = "by vendor"
    """Sample n of a reversed line: ``k = -(n - center_sample)`` or, of Siemens, ``-1 - (n -
    center_sample)``."""
    discard_pre: int = 0
    discard_post: int = 0
    """Samples of garbage before and after those of a line."""
    averages: int = 1
    last_average_lines: tuple[int, int] | None = None
    """First and one past the last line counter of the last average; None: as the others."""
    repetitions: int = 1
    sets: int = 1
    echo_times_s: tuple[float, ...] = (5e-3,)
    """One contrast each: when k = 0 is passed, after excitation."""
    sample_time_s: float = 5e-6
    repetition_time_s: float = 20e-3
    interleaved_tr_s: tuple[float, ...] = ()
    """Repetition times of sets that are measured in turn, line by line: one each. Empty: one whole
    set follows the other at `repetition_time_s`."""
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
    """``SIEMENS`` writes conjugate data, ticks of 2.5 ms and its own reversed convention."""
    noise: ThermalNoise | None = None
    user_parameters: Mapping[str, str | float | int] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        check_setting(self)
        require(self.readout_oversampling >= 1, "readout_oversampling must be at least 1")
        require(min(self.phase_oversampling, self.slice_oversampling) >= 0, "oversampling < 0")
        require(min(self.averages, self.sets, *self.acceleration) >= 1, "counts must be > 0")
        require(self.dimension == 3 or self.acceleration[1] == 1, "a 2D scan has no second R")
        if self.interleaved_tr_s:
            one_each = len(self.interleaved_tr_s) == self.sets
            require(one_each, f"interleaved_tr_s must have one time for each of {self.sets} sets")
            require(
                self.calibration_mode != "separate", "interleaved sets calibrate within the scan"
            )
        missing = (self.partial_echo, self.partial_fourier_1, self.partial_fourier_2)
        for name, (front, end), n in zip("xyz", missing, self.encoded_matrix, strict=True):
            kept = 0 <= front <= n // 2 and 0 <= end < n - n // 2
            require(kept, f"({front}, {end}) missing along {name} must leave k = 0 of {n}")

    @property
    def cycle_s(self) -> tuple[float, ...]:
        """Times from one excitation to the next, over and over."""
        return self.interleaved_tr_s or (self.repetition_time_s,)

    @property
    def encoded_matrix(self) -> Triple:
        """Samples of the complete grid along read, phase, slice."""
        nx, ny, nz = self.matrix
        return (
            round(nx * self.readout_oversampling),
            round(ny * (1.0 + self.phase_oversampling)),
            round(nz * (1.0 + self.slice_oversampling)),
        )

    @property
    def encoded_fov_m(self) -> Lengths:
        """Field of view of the complete grid; the voxel is that of the image."""
        x, y, z = (
            fov * (encoded / n)
            for fov, encoded, n in zip(self.fov_m, self.encoded_matrix, self.matrix, strict=True)
        )
        return (x, y, z)

    @property
    def n_samples(self) -> int:
        """Samples of a readout without the discarded ones."""
        return self.encoded_matrix[0] - sum(self.partial_echo)

    @property
    def centre_index(self) -> int:
        """Sample of a forward line at k = 0, discarded ones not counted."""
        return self.encoded_matrix[0] // 2 - self.partial_echo[0]

    @property
    def reversed_centre(self) -> int:
        """What `center_sample` of a reversed line counts, discarded ones not counted."""
        siemens = self.reversed_convention == "siemens" or (
            self.reversed_convention == "by vendor" and self.vendor == SIEMENS
        )
        return self.n_samples - self.centre_index - (0 if siemens else 1)

    def encoding(self) -> Encoding:
        """Return the encoding of the header."""
        (front, _), (start_1, end_1), (start_2, end_2) = (
            self.partial_echo,
            self.partial_fourier_1,
            self.partial_fourier_2,
        )
        nx, ny, nz = self.encoded_matrix
        sizes = {"average": self.averages, "slice": self.n_slices, "set": self.sets}
        sizes |= {"contrast": len(self.echo_times_s), "repetition": self.repetitions}
        return Encoding(
            trajectory="cartesian",
            encoded=EncodingSpace(matrix=self.encoded_matrix, fov_m=self.encoded_fov_m),
            recon=EncodingSpace(matrix=self.matrix, fov_m=self.fov_m),
            limits={
                "kspace_encoding_step_0": _limit(self.n_samples, nx // 2 - front),
                "kspace_encoding_step_1": _limit(ny - start_1 - end_1, ny // 2 - start_1),
                "kspace_encoding_step_2": _limit(nz - start_2 - end_2, nz // 2 - start_2),
                **limits(**sizes),
            },
            acceleration=None if self.acceleration == (1, 1) else self.acceleration,
        )

    def readouts(self, places: Ints) -> Structured:
        """Return the table of imaging and calibration readouts, in order of acquisition."""
        return order.readouts(self, places)

    def line_numbers(self, table: Structured) -> Ints:
        """Tell which line of `signal` each readout takes."""
        return order.line_numbers(self, table)

    def signal(self, parts: Sequence[Part], coils: Coils, where: Slice | None) -> Signal:
        """Return the exact k-space of all lines."""
        first = -self.centre_index
        grid = Grid(
            steps_per_m=1.0 / np.array(self.encoded_fov_m),
            frame=frame_of(self),
            read=range(first, first + self.n_samples),
            lines=order.all_lines(self),
        )
        point = where.position_m if where else np.array(self.position_mm) * M_PER_MM
        return grid_signal(parts, coils, grid, demodulation_m=point)

    def trajectories(self, table: Structured) -> tuple[Float32, ...]:
        """Return nothing: a Cartesian file has no trajectory."""
        del table
        return ()


def _limit(size: int, center: int) -> Limit:
    return Limit(minimum=0, maximum=size - 1, center=center)
