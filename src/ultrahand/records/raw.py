"""Raw data: a header, a table of readouts, and samples that are read when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, final

import numpy as np

from ultrahand.records.arrays import Complex64, Float32, Ints, Structured, freeze, require
from ultrahand.records.findings import Finding
from ultrahand.records.header import Header
from ultrahand.records.readouts import READOUT_DTYPE


class SampleSource(Protocol):
    """Where samples come from: memory, an HDF5 file, a byte stream.

    A source hands out blocks of readouts of equal shape, in the order of ``rows``, so that a
    file larger than memory is never held whole.
    """

    def samples(self, rows: Ints) -> Complex64:
        """Return the samples of some readouts, shape ``(coils, readouts, samples)``."""
        ...

    def trajectory(self, rows: Ints) -> Float32:
        """Return the trajectory in the file's unit, shape ``(readouts, samples, dims)``."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class RawData:
    """One measurement."""

    header: Header
    readouts: Structured
    """One row a readout, `READOUT_DTYPE`, in the order of acquisition."""
    source: SampleSource
    findings: tuple[Finding, ...] = ()
    """What the reader found odd."""
    reading: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """How the file was read, as it was resolved: ``container``, ``group``, ``conjugate``."""

    def __post_init__(self) -> None:
        readouts = np.asarray(self.readouts)
        require(readouts.dtype == READOUT_DTYPE, "readouts must be a table of READOUT_DTYPE")
        require(readouts.ndim == 1, f"readouts must be one table, got shape {readouts.shape}")
        freeze(self, readouts=readouts)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ArraySource:
    """Samples held in memory, one array a readout: simulations and tests."""

    data: tuple[Complex64, ...]
    """Each of shape ``(coils, samples)``."""
    k: tuple[Float32, ...] = ()
    """Each of shape ``(samples, dims)``; empty for a Cartesian scan."""

    def samples(self, rows: Ints) -> Complex64:
        return np.stack([self.data[row] for row in rows], axis=1)

    def trajectory(self, rows: Ints) -> Float32:
        return np.stack([self.k[row] for row in rows])
