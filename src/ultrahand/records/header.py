"""The part of an ISMRMRD header that reconstruction needs, in SI units.

Nothing that identifies a patient is kept: subject, study and institution are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ultrahand.records.arrays import require

Triple = tuple[int, int, int]
Lengths = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """Range of one counter. ``None`` where the header does not say."""

    minimum: int | None
    maximum: int | None
    center: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodingSpace:
    """A matrix over a field of view, both in the order read, phase, slice."""

    matrix: Triple
    fov_m: Lengths

    def __post_init__(self) -> None:
        require(min(self.matrix) >= 1, f"matrix must be positive, got {self.matrix}")
        require(min(self.fov_m) > 0, f"fov_m must be positive, got {self.fov_m}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """One encoding of the header: how k-space was sampled and what image is asked for."""

    trajectory: str
    """Free text in practice; ``cartesian``, ``epi``, ``radial``, ``spiral``, ``other`` ..."""
    encoded: EncodingSpace
    """What was sampled, readout oversampling included."""
    recon: EncodingSpace
    """What the image shall be."""
    limits: Mapping[str, Limit]
    acceleration: tuple[int, int] | None
    """Along encoding steps 1 and 2; None where the header does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """A measurement's header."""

    encodings: tuple[Encoding, ...]
    field_strength_t: float | None = None
    frequency_hz: float | None = None
    """``H1resonanceFrequency_Hz`` as it stands: converters put the nucleus' own frequency there."""
    vendor: str | None = None
    model: str | None = None
    patient_position: str | None = None
    protocol_name: str | None = None
    measurement_id: str | None = None
    """Both are written only where we make the data, and never read: sites put names in them."""
    relative_noise_bandwidth: float | None = None
    coil_labels: tuple[str, ...] = ()
    repetition_times_s: tuple[float, ...] = ()
    echo_times_s: tuple[float, ...] = ()
    inversion_times_s: tuple[float, ...] = ()
    flip_angles_deg: tuple[float, ...] = ()
    user_parameters: Mapping[str, str | float | int] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        require(len(self.encodings) >= 1, "a header needs at least one encoding")


def declared_unit(header: Header) -> str | None:
    """Return the unit of the trajectory that a user parameter declares, as it is written."""
    for name, value in header.user_parameters.items():
        if name.lower() in ("trajectory_unit", "trajectoryunit", "k_unit"):
            return str(value)
    return None
