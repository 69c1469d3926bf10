"""What a simulated examination will be made of: grids, and room on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import ResourceError
from ultrahand.io.write_ismrmrd import BLOCK
from ultrahand.phantoms.digital_hand.receiver_noise import receiver_noise
from ultrahand.phantoms.digital_hand.series import scan_of
from ultrahand.phantoms.setting import geometry_of
from ultrahand.pipelines.memory import size_text

if TYPE_CHECKING:
    from ultrahand.phantoms.digital_hand.protocol import Series
    from ultrahand.phantoms.digital_hand.setting import Setting
    from ultrahand.records import Geometry
    from ultrahand.records.arrays import Structured

_HEADER_BYTES: Final = 512
"""Of a readout in the file, at most: its header, and where its samples are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One series as it will be measured."""

    series: Series
    geometry: Geometry
    """Of its image."""
    n_coils: int
    file_bytes: int
    """Of its raw file, at most."""

    @property
    def n_voxels(self) -> int:
        return int(np.prod(self.geometry.shape))


def plan_of(setting: Setting) -> tuple[Planned, ...]:
    """Return the series of an examination; a trajectory that takes long to design is made once."""
    return tuple(_planned(setting, series) for series in setting.protocol.series)


def file_bytes(table: Structured) -> int:
    """Return how large the raw file of some readouts is, at most: HDF5 adds rows in blocks."""
    values = 2 * table["active_channels"].astype(np.int64) + table["trajectory_dimensions"]
    samples = 4 * int((table["number_of_samples"] * values).sum())
    return samples + _HEADER_BYTES * BLOCK * -(-len(table) // BLOCK)


def check_room(needed_bytes: int, folder: Path) -> None:
    """Refuse what the disk has no room for: HDF5 can crash where it runs full.

    Parameters
    ----------
    needed_bytes
        What is to be written, at most.
    folder
        Where.

    Raises
    ------
    ResourceError
        There is less room.
    """
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise ResourceError(
            f"the disk is full: {size_text(needed_bytes)} are needed at most, {size_text(free)} "
            "are free; nothing was written: make room or choose another folder"
        )


def total_bytes(planned: Sequence[Planned]) -> int:
    """Return how large all raw files are, at most."""
    return sum(one.file_bytes for one in planned)


def _planned(setting: Setting, series: Series) -> Planned:
    scan, coils = scan_of(setting, series), setting.coils(series)
    noise = receiver_noise(np.random.default_rng(0), coils, 1.0, series.sample_time_s)
    table = scan.readouts(np.arange(1))
    rows = np.zeros(noise.n_readouts, table.dtype)
    rows["number_of_samples"] = noise.n_samples
    table = np.concatenate([rows, table])
    table["active_channels"] = coils.n_coils
    return Planned(
        series=series,
        geometry=geometry_of(scan),
        n_coils=coils.n_coils,
        file_bytes=file_bytes(table),
    )
