"""What every design of a trajectory is asked for, and the gradients it may use."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from ultrahand.errors import InputError
from ultrahand.physics.nuclei import GAMMA_HZ_PER_T
from ultrahand.records.arrays import require

RASTER_S: Final = 10e-6
"""Gradient raster: waveforms are given at its nodes and are straight lines between them."""


@dataclass(frozen=True, kw_only=True)
class GradientLimits:
    """Largest length of the gradient vector and of its change.

    A limit on the length holds in every orientation of the shot. The defaults are for whole-body
    7 T systems, which have 70 mT/m and 200 T/m/s (Siemens Magnetom with an SC72 coil), with 15 %
    of the slew rate kept back. Nerve stimulation is not looked at: it depends on the coil.
    """

    amplitude_t_per_m: float = 70e-3
    slew_t_per_m_per_s: float = 170.0

    def __post_init__(self) -> None:
        for name in ("amplitude_t_per_m", "slew_t_per_m_per_s"):
            value = getattr(self, name)
            require(isfinite(value) and value > 0, f"{name} must be > 0, got {value}")


@dataclass(frozen=True, kw_only=True)
class Prescription:
    """Resolution, field of view, dwell time, nucleus and gradients of a design."""

    voxel_size_m: float
    """Nominal, isotropic (in the plane for 2D): k-space reaches half a cycle per voxel."""
    fov_m: float
    """Diameter of the region that Nyquist sampling must not alias."""
    sample_time_s: float
    """Dwell time: from one sample to the next."""
    nucleus: str = "1H"
    """A name of `ultrahand.physics.nuclei.GAMMA_HZ_PER_T`."""
    limits: GradientLimits = field(default_factory=GradientLimits)

    def __post_init__(self) -> None:
        for name in ("voxel_size_m", "fov_m", "sample_time_s"):
            value = getattr(self, name)
            require(isfinite(value) and value > 0, f"{name} must be > 0, got {value}")
        require(self.fov_m > self.voxel_size_m, "fov_m must be larger than voxel_size_m")
        require(
            self.nucleus in GAMMA_HZ_PER_T,
            f"nucleus {self.nucleus!r} is unknown; one of {', '.join(GAMMA_HZ_PER_T)}",
        )

    @property
    def gamma_hz_per_t(self) -> float:
        """Gyromagnetic ratio over 2 pi of the nucleus."""
        return GAMMA_HZ_PER_T[self.nucleus]

    @property
    def k_max_per_m(self) -> float:
        """Edge of k-space, in cycles per metre."""
        return 0.5 / self.voxel_size_m

    @property
    def largest_gradient_t_per_m(self) -> float:
        """Largest gradient while sampling.

        The limit, or less where samples along a shot would be more than ``1 / FOV`` apart.
        """
        nyquist = 1.0 / (self.gamma_hz_per_t * self.sample_time_s * self.fov_m)
        return min(self.limits.amplitude_t_per_m, nyquist)

    @property
    def fastest_per_m_per_s(self) -> float:
        """Largest speed in k-space while sampling."""
        return self.gamma_hz_per_t * self.largest_gradient_t_per_m

    @property
    def strongest_per_m_per_s2(self) -> float:
        """Largest acceleration in k-space."""
        return self.gamma_hz_per_t * self.limits.slew_t_per_m_per_s


def too_short(readout_s: float, shortest_s: float, remedy: str) -> InputError:
    """Return the refusal of a readout that the gradients cannot play."""
    return InputError(
        "readout_s",
        found=f"{1e3 * readout_s:.4g} ms",
        expected=f"at least {1e3 * shortest_s:.4g} ms with these voxels, nucleus, gradient limits "
        "and dwell time (1 / FOV from sample to sample)",
        remedy=remedy,
    )
