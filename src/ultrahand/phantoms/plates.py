"""Solids as stacks of thin elliptic plates, and the magnetisation that each plate carries.

The transform of a plate is exact (a disk's, stretched), and a stack of them with the nodes and
weights of a Gauss rule integrates a solid's transform to any accuracy asked for: ``F(k) = sum_j
weight_j area_j 2 J1(q_j)/q_j exp(-2 pi i k.c_j)`` with ``q_j = 2 pi |span_j k|``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from ultrahand.records.arrays import Complex, Float64, Ints, freeze, require


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Plates:
    """Flat ellipses without thickness, each with the thickness it stands for as its weight."""

    centre_m: Float64
    """Patient LPS, shape ``(plates, 3)``."""
    span_m: Float64
    """Two conjugate semi-axes as rows, shape ``(plates, 2, 3)``: they map the unit disk."""
    weight_m: Float64
    """Shape ``(plates,)``."""

    def __post_init__(self) -> None:
        n = len(self.weight_m)
        freeze(
            self,
            centre_m=np.array(self.centre_m, np.float64),
            span_m=np.array(self.span_m, np.float64),
            weight_m=np.array(self.weight_m, np.float64),
        )
        fits = self.centre_m.shape == (n, 3) and self.span_m.shape == (n, 2, 3)
        require(fits, f"plates of shapes {self.centre_m.shape}, {self.span_m.shape}, ({n},)")

    def __len__(self) -> int:
        return len(self.weight_m)

    @property
    def volume_m3(self) -> Float64:
        """What each plate adds to the volume of its solid, shape ``(plates,)``."""
        area = np.linalg.norm(np.cross(self.span_m[:, 0], self.span_m[:, 1]), axis=-1)
        return np.pi * area * self.weight_m


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """Magnetisation: the sum over terms of ``amplitude exp((-r2star - 2 pi i f) t)``.

    A plate has one term or several (short and long decay; minus those of what it replaces).
    """

    plate: Ints
    """Which plate carries the term, shape ``(terms,)``."""
    amplitude: Complex
    """At the excitation, t = 0, shape ``(terms,)``."""
    r2star_per_s: Float64
    off_resonance_hz: Float64
    curve: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Row of the time courses (one factor a shot) that the term follows; -1, and the default: none,
    the term is the same in all shots."""

    def __post_init__(self) -> None:
        plate = np.array(self.plate, np.int64)
        curve = np.array(self.curve, np.int64) if len(self.curve) else np.full(len(plate), -1)
        freeze(
            self,
            plate=plate,
            amplitude=np.array(self.amplitude, np.complex128),
            r2star_per_s=np.array(self.r2star_per_s, np.float64),
            off_resonance_hz=np.array(self.off_resonance_hz, np.float64),
            curve=curve,
        )
        for name in ("amplitude", "r2star_per_s", "off_resonance_hz", "curve"):
            shape = getattr(self, name).shape
            require(shape == plate.shape, f"{name} has shape {shape}, expected {plate.shape}")

    def __len__(self) -> int:
        return len(self.plate)
