"""A designed trajectory: its gradient waveforms and where they take the samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from ultrahand.recon.trajectories.prescription import RASTER_S, Prescription
from ultrahand.recon.trajectories.waveform import integrate, with_ramp_down
from ultrahand.records.arrays import Float64, Ints, freeze, require


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Shots that are a few waveforms, each played in many orientations.

    Shot s plays ``frames[s] @ pattern_gradient_t_per_m[pattern[s]]``. Keeping both apart makes a
    scan of 45,000 spokes a matter of megabytes.
    """

    prescription: Prescription
    pattern_gradient_t_per_m: Float64
    """At the nodes of the gradient raster, 0 at both ends, shape ``(patterns, nodes, 3)``."""
    pattern: Ints
    """Which waveform each shot plays, shape ``(shots,)``."""
    frames: Float64
    """What turns the waveform into that of the shot, shape ``(shots, 3, 3)``; rotations, but for
    FLORET, whose shots are also folded."""
    time_s: Float64
    """Of every sample after the start of the gradient, shape ``(samples,)``."""
    n_nyquist: int
    """Shots that the field of view needs at the edge of k-space."""

    def __post_init__(self) -> None:
        gradient = np.asarray(self.pattern_gradient_t_per_m, np.float64)
        pattern, frames = np.asarray(self.pattern), np.asarray(self.frames, np.float64)
        time_s = np.asarray(self.time_s, np.float64)
        require(
            gradient.ndim == 3 and gradient.shape[2] == 3 and bool(np.isfinite(gradient).all()),
            f"pattern_gradient_t_per_m must be finite, (patterns, nodes, 3), got {gradient.shape}",
        )
        require(
            pattern.ndim == 1 and len(pattern) > 0 and frames.shape == (len(pattern), 3, 3),
            f"pattern {pattern.shape} and frames {frames.shape} must be (shots,), (shots, 3, 3)",
        )
        require(
            pattern.min() >= 0 and pattern.max() < len(gradient),
            f"pattern must name one of {len(gradient)} waveforms",
        )
        length_s = (gradient.shape[1] - 1) * RASTER_S
        require(
            time_s.ndim == 1
            and len(time_s) > 0
            and time_s[0] >= 0
            and time_s[-1] <= length_s * (1 + 1e-12),
            "time_s must be (samples,), within the waveform",
        )
        freeze(
            self,
            pattern_gradient_t_per_m=gradient,
            pattern=pattern,
            frames=frames,
            time_s=time_s,
        )

    @property
    def n_shots(self) -> int:
        """How often the scan is excited."""
        return len(self.pattern)

    @property
    def sample_time_s(self) -> float:
        """Dwell time."""
        return self.prescription.sample_time_s

    def k_per_m(self, shots: slice = slice(None)) -> Float64:
        """Return sample positions in cycles per metre, shape ``(shots, samples, 3)``."""
        k = integrate(self.pattern_gradient_t_per_m, self.time_s, self.prescription.gamma_hz_per_t)
        return k[self.pattern[shots]] @ self.frames[shots].swapaxes(1, 2)

    def gradient_t_per_m(self, shots: slice = slice(None)) -> Float64:
        """Return the waveforms at the nodes of the raster, shape ``(shots, nodes, 3)``."""
        frames = self.frames[shots].swapaxes(1, 2)
        return self.pattern_gradient_t_per_m[self.pattern[shots]] @ frames


def make_design(
    prescription: Prescription,
    gradient_t_per_m: Float64,
    *,
    time_s: Float64,
    pattern: Ints,
    frames: Float64,
    n_nyquist: int,
) -> Design:
    """Return a design of waveforms that end with the readout: a ramp to zero is added."""
    return Design(
        prescription=prescription,
        pattern_gradient_t_per_m=with_ramp_down(gradient_t_per_m, prescription.limits),
        pattern=pattern,
        frames=frames,
        time_s=time_s,
        n_nyquist=n_nyquist,
    )


def sample_times_s(readout_s: float, sample_time_s: float) -> Float64:
    """Return the times of samples from 0 on that lie before the end of the readout."""
    return sample_time_s * np.arange(
        max(ceil(readout_s / sample_time_s - 1e-6), 1), dtype=np.float64
    )


def about_z(angle_rad: Float64) -> Float64:
    """Return rotations about z that turn x towards y, shape ``(shots, 3, 3)``."""
    frames = np.zeros((len(angle_rad), 3, 3))
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    frames[:, 0, 0] = frames[:, 1, 1] = cos
    frames[:, 0, 1], frames[:, 1, 0] = -sin, sin
    frames[:, 2, 2] = 1.0
    return frames


def towards(directions: Float64) -> Float64:
    """Return rotations that turn z to unit vectors ``(shots, 3)``, shape ``(shots, 3, 3)``."""
    x, y, z = directions.T
    ring = np.hypot(x, y)
    cos = np.divide(x, ring, out=np.ones_like(x), where=ring > 0)
    sin = np.divide(y, ring, out=np.zeros_like(y), where=ring > 0)
    rows = [[cos * z, -sin, x], [sin * z, cos, y], [-ring, np.zeros_like(z), z]]
    return np.moveaxis(np.array(rows), 2, 0)
