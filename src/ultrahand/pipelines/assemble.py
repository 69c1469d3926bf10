"""Slices or slabs to one volume: its parts, each with its standard error and how that was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.pipelines.options import Parts
from ultrahand.recon.uncertainty import first_order_limit, magnitude_sd, phase_sd
from ultrahand.records.image import Image

if TYPE_CHECKING:
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.sorting import Series
    from ultrahand.records.arrays import Bools, Complex64, Float32
    from ultrahand.records.noise import Noise


@dataclass(frozen=True, slots=True)
class VolumeImages:
    """The parts of one reconstructed volume."""

    parts: Mapping[str, Image]
    """``mag`` always; ``phase``, or ``real`` and ``imag``, where asked for."""
    steps: tuple[str, ...]
    """What was done to the data, in order."""


NO_SCAN: Final = "no noise scan was used, so the noise level is not known"


@dataclass(frozen=True, slots=True)
class Combined:
    """One slice or slab after combination."""

    values: Complex64 | Float32
    sigma: float | Float32 | None
    """Noise of one real part, one number or one a voxel; None where it is not known."""
    channels: int
    """How many independent channels a root sum of squares has; 1 for a weighted sum."""
    steps: tuple[str, ...]
    """What was done, combination included."""
    given: str = ""
    """What the noise takes as given, for the note of the standard error."""
    first_order: bool = False
    """Whether the noise of a magnitude is `sigma` itself, whatever the signal."""
    unknown: str = NO_SCAN
    """Why there is no noise, where it is not known."""
    law: str = "analytic"
    """How the noise was found."""


def assemble(plan: ReconPlan, series: Series, slices: list[Combined | None]) -> VolumeImages:
    """Stack slices, split the parts and give each its standard error.

    Parameters
    ----------
    plan, series
        What the volume belongs to.
    slices
        In the order of the image's slice axis; None for those that were not measured.
    """
    geometry = plan.geometry(series)
    noise = _noise_of(plan, series)
    first = next(s for s in slices if s is not None)
    shape = (1, *geometry.shape[1:]) if len(slices) > 1 else geometry.shape
    empty = np.zeros(shape, first.values.dtype)
    gaps = np.array([s is None for s in slices])
    values = np.concatenate([s.values if s is not None else empty for s in slices])
    sigma = _sigma_of(slices, shape)
    steps = (_whitening_step(noise), *first.steps)
    parts: dict[str, Image] = {}

    def add(name: str, part: np.ndarray, unit: str, error: np.ndarray | None) -> None:
        parts[name] = Image(
            values=_blank(part, gaps),
            geometry=geometry,
            unit=unit,
            standard_error=None if error is None else _blank(error, gaps),
            standard_error_note=_note(first, name, known=sigma is not None),
        )

    unit = "SNR" if noise else "arbitrary"
    magnitude = np.abs(values)
    sigma_map = None if sigma is None else np.broadcast_to(sigma, values.shape)
    error = sigma_map
    if sigma is not None and not first.first_order:
        error = magnitude_sd(magnitude, sigma, first.channels, threads=plan.options.workers)
    add("mag", magnitude, unit, error)
    if plan.options.parts is Parts.MAG_PHASE:
        angle = None if sigma_map is None else phase_sd(magnitude, sigma_map)
        add("phase", np.angle(values), "rad", angle)
    if plan.options.parts is Parts.COMPLEX:
        add("real", values.real, unit, sigma_map)
        add("imag", values.imag, unit, sigma_map)
    return VolumeImages(parts, steps)


def _blank(part: np.ndarray, gaps: Bools) -> Float32:
    """Return float32 values, NaN in slices that were not measured."""
    values = np.asarray(part, np.float32)
    if gaps.any():
        values = values.copy()
        values[gaps] = np.nan
    return values


def _noise_of(plan: ReconPlan, series: Series) -> Noise | None:
    whitener = plan.encodings[series.volumes[0].encoding].whitener
    return whitener.noise if whitener else None


def _whitening_step(noise: Noise | None) -> str:
    if noise is None:
        return "not whitened"
    return f"whitened with {noise.origin}, covariance scaled by {noise.scale:.4g}"


def _sigma_of(slices: list[Combined | None], shape: tuple[int, ...]) -> Float32 | None:
    """Return the noise of all voxels, of no dimension where it is the same in all."""
    made = [s for s in slices if s is not None]
    if any(s.sigma is None for s in made):
        return None
    numbers = {s.sigma for s in made if isinstance(s.sigma, float)}
    if len(numbers) == 1 and all(isinstance(s.sigma, float) for s in slices if s is not None):
        return np.array(numbers.pop(), np.float32)
    each = [np.asarray(0.0 if s is None else s.sigma, np.float32) for s in slices]
    return np.concatenate([np.broadcast_to(sigma, shape) for sigma in each])


def _note(first: Combined, part: str, *, known: bool) -> str:
    """Say how the standard error of a part was made and where it holds, or why there is none."""
    if not known:
        return f"none: {first.unknown}"
    magnitude = (
        "the noise along the voxel's own coil images (first order), valid from SNR "
        f"{first_order_limit(first.channels):.0f}"
        if first.first_order
        else "the standard deviation of the non-central chi distribution of "
        f"{first.channels} channel(s) at the signal of the voxel, valid from SNR 5, and one noise "
        f"unit from SNR {first_order_limit(first.channels):.0f} on"
    )
    law = {
        "mag": magnitude,
        "phase": "the noise over the magnitude (first order), valid from SNR 5",
    }.get(part, "the noise of this part, at every signal")
    given = f"; {first.given}" if first.given else ""
    return f"{first.law}, from the noise scan: {law}{given}"
