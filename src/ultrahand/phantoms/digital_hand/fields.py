"""The fields of a 7 T magnet around the hand: static, transmit, receive.

In each solid a field is a function of the place along the solid's axis, taken on its middle line:
the signal stays exact, as the solid's transform is an integral along that axis. Receive fields
are sums of plane waves, exact everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi
from typing import Final, final

import numpy as np

from ultrahand.phantoms.coils import Coils, smooth_coils
from ultrahand.phantoms.digital_hand.painting import paint
from ultrahand.phantoms.digital_hand.subject import Placement, Subject
from ultrahand.physics.nuclei import frequency_hz
from ultrahand.physics.tissues import tissue
from ultrahand.records.arrays import Float64, Ints, freeze
from ultrahand.units import M_PER_MM

FIELD_T: Final = 7.0
AIR_PPM: Final = 0.36
"""Volume susceptibility of air, SI (Schenck, Med Phys 1996;23:815, doi:10.1118/1.597854)."""
_GRID_M: Final = 2.5e-3
"""Voxels on which the static field is computed."""
_PAD: Final = 24
"""Voxels of air around the hand: the transform is periodic."""
_DEGREE: Final = 3
"""Of the polynomial along each solid that the static field is reduced to."""
TRANSMIT: Final = {"1H": (0.62, 1.28), "23Na": (0.85, 1.12)}
"""Lowest and highest transmit field over the subject, relative to nominal (assumed; 7 T: a
wavelength of 12 cm in tissue for protons, of 46 cm for sodium)."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Fields:
    """Static and transmit field along each solid's axis, as polynomials of ``u`` in [-1, 1]."""

    static_hz: Float64
    """For protons, shape ``(solids, degree + 1)``, ascending powers."""
    transmit: Float64
    """Protons' first, then sodium's, relative to nominal, shape ``(2, solids, degree + 1)``."""
    ends_m: Float64
    """Of each solid along its axis, shape ``(solids, 2)``."""
    axis: Ints

    def __post_init__(self) -> None:
        freeze(
            self,
            static_hz=np.array(self.static_hz),
            transmit=np.array(self.transmit),
            ends_m=np.array(self.ends_m),
            axis=np.array(self.axis),
        )

    def off_resonance_hz(self, nucleus: str, solid: Ints, r_m: Float64) -> Float64:
        """Return the static field's frequency at points ``(n, 3)`` as they belong to solids."""
        ratio = frequency_hz(nucleus, 1.0) / frequency_hz("1H", 1.0)
        return ratio * self._at(self.static_hz, solid, r_m)

    def transmit_at(self, nucleus: str, solid: Ints, r_m: Float64) -> Float64:
        """Return the transmit field relative to nominal, likewise."""
        return self._at(self.transmit[int(nucleus == "23Na")], solid, r_m)

    def _at(self, coefficients: Float64, solid: Ints, r_m: Float64) -> Float64:
        low, high = self.ends_m[solid].T
        s = np.take_along_axis(r_m, self.axis[solid][:, None], axis=1)[:, 0]
        u = np.clip((2.0 * s - low - high) / (high - low), -1.0, 1.0)
        powers = u[:, None] ** np.arange(coefficients.shape[1])
        return (coefficients[solid] * powers).sum(axis=1)


def make_fields(subject: Subject, rng: np.random.Generator) -> Fields:
    """Compute the fields of a subject.

    Parameters
    ----------
    subject
        What distorts the static field, and where fields are wanted.
    rng
        Source of the shim's rest and of the transmit pattern.
    """
    stacks = [item.stack for item in subject.solids]
    ends = np.array([stack.ends_m for stack in stacks])
    u = np.cos(pi * (np.arange(8) + 0.5) / 8)
    s = 0.5 * (ends.sum(axis=1)[:, None] + np.diff(ends) * u)
    middle = np.stack([stack.points(at) for stack, at in zip(stacks, s, strict=True)])
    _straighten(subject, middle)
    number, axes = _painted(subject)
    static = _static(subject, number, middle.reshape(-1, 3), rng).reshape(s.shape)
    powers = np.linalg.pinv(u[:, None] ** np.arange(_DEGREE + 1))
    patterns = [_transmit(middle, subject.box_m, bounds, rng) for bounds in TRANSMIT.values()]
    fields = Fields(
        static_hz=static @ powers.T,
        transmit=np.stack([pattern @ powers.T for pattern in patterns]),
        ends_m=ends,
        axis=np.array([stack.axis for stack in stacks]),
    )
    return _on_resonance(fields, number, axes)


def _painted(subject: Subject) -> tuple[Ints, list[Float64]]:
    """Return the number of the solid in each voxel of the coarse grid, and the grid's axes."""
    low, high = subject.box_m
    counts = np.ceil((high - low) / _GRID_M).astype(int) + 1
    axes = [low[i] + _GRID_M * np.arange(counts[i]) for i in range(3)]
    return paint(subject.solids, axes), axes


def _on_resonance(fields: Fields, number: Ints, axes: list[Float64]) -> Fields:
    """Set the frequency as a scanner does before it scans: the hand's mean is 0.

    The shim alone does not: a solid's field is that of its middle line, less than the mean of its
    cross-section.
    """
    body = np.argwhere(number >= 0)
    r = np.stack([axis[body[:, i]] for i, axis in enumerate(axes)], axis=1)
    mean = fields.off_resonance_hz("1H", number[number >= 0], r).mean()
    static = np.array(fields.static_hz)
    static[:, 0] -= mean
    return replace(fields, static_hz=static)


def _straighten(subject: Subject, middle_m: Float64) -> None:
    """Take the fields of the palm's layers on one line, that of the middle finger.

    Its pieces have other middle lines, and the field would jump where they meet.
    """
    for number, (item, side) in enumerate(zip(subject.solids, subject.side, strict=True)):
        if item.name.removeprefix(subject.prefix(side) if side else "").startswith("palm"):
            ray = subject.hands[side].person.rays[3]
            levels = middle_m[number, :, 2]
            line = [(*ray.at(z / M_PER_MM), z / M_PER_MM) for z in levels.tolist()]
            middle_m[number] = subject.common(side, np.array(line) * M_PER_MM)


def _static(subject: Subject, number: Ints, points_m: Float64, rng: np.random.Generator) -> Float64:
    """Return the field at points in Hz, after shimming.

    The field of a susceptibility distribution is its transform times ``1/3 - kz^2 / k^2`` along
    the magnet (Salomir, de Senneville and Moonen, Concepts Magn Reson B 2003;19B:26,
    doi:10.1002/cmr.b.10083; the 1/3 is Lorentz's sphere). The shim takes away what terms of second
    order can, up to a rest.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

    low, counts = subject.box_m[0], np.array(number.shape)
    ppm = np.array([tissue(s.tissue).susceptibility_ppm for s in subject.solids] + [AIR_PPM])
    chi = np.full(counts + 2 * _PAD, AIR_PPM)
    inside = tuple(slice(_PAD, _PAD + n) for n in counts)
    chi[inside] = ppm[number]
    k = np.stack(np.meshgrid(*(np.fft.fftfreq(n) for n in chi.shape), indexing="ij"), axis=-1)
    along = k @ subject.placement.rotation[:, 2]  # B0 is patient z
    square = (k**2).sum(axis=-1)
    kernel = 1.0 / 3.0 - along**2 / np.maximum(square, 1e-12)
    kernel[0, 0, 0] = 0.0
    field = np.fft.ifftn(np.fft.fftn(chi) * kernel).real * 1e-6 * frequency_hz("1H", FIELD_T)
    field = gaussian_filter(field, 0.7)[inside]
    body = number >= 0
    # Air's own field is none of a finger's: towards its surface a voxel inside goes on.
    nearest = distance_transform_edt(~body, return_distances=False, return_indices=True)
    values = map_coordinates(field[tuple(nearest)], ((points_m - low) / _GRID_M).T, order=1)
    shim = _second_order((low + np.argwhere(body) * _GRID_M)[::7])
    weights, *_ = np.linalg.lstsq(shim, field[body][::7], rcond=None)
    rest = _second_order(points_m) @ (weights * rng.uniform(0.9, 1.0, len(weights)))
    return values - rest


def _second_order(r_m: Float64) -> Float64:
    """Return the terms of a shim at points, ``(n, 9)``."""
    x, y, z = (r_m / 0.1).T
    one = np.ones(len(x))
    return np.stack([one, x, y, z, x * y, y * z, x * z, x**2 - y**2, 2 * z**2 - x**2 - y**2], 1)


def _transmit(
    points_m: Float64, box_m: Float64, bounds: tuple[float, float], rng: np.random.Generator
) -> Float64:
    """Return a smooth pattern at points ``(..., 3)`` that fills the bounds."""
    span = box_m[1] - box_m[0]
    u = (points_m - box_m[0]) / span
    phase = rng.uniform(-0.3, 0.3, 3)
    pattern = (
        np.cos(pi * (u[..., 2] - 0.45 + phase[0]))
        + 0.45 * np.cos(1.4 * pi * (u[..., 0] - 0.4 + phase[1]))
        + 0.1 * np.cos(pi * (u[..., 1] - 0.5 + phase[2]))
    )
    low, high = float(pattern.min()), float(pattern.max())
    return bounds[0] + (bounds[1] - bounds[0]) * (pattern - low) / (high - low)


def receive_array(
    n_coils: int, placement: Placement, centre_m: Float64, extent_m: Float64, *, order: int = 2
) -> Coils:
    """Return an array around the subject, along its frame.

    Parameters
    ----------
    n_coils
        1 for a volume coil whose sensitivity falls by a third to the ends.
    placement
        Of the frame in the patient.
    centre_m, extent_m
        Of what the array surrounds, common frame, shape ``(3,)``. Waves are whole numbers of half
        cycles over the extent: scans with that field of view share evaluations.
    order
        See `smooth_coils`.
    """
    span, centre = np.asarray(extent_m), np.asarray(centre_m)
    if n_coils == 1:
        waves = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5 / span[2]], [0.0, 0.0, -0.5 / span[2]]])
        phase = np.exp(-2j * pi * (waves @ centre))
        local = Coils(waves_per_m=waves, weights=np.array([[0.6, 0.2, 0.2]]) * phase)
    else:
        fov = (float(span[0]), float(span[1]), float(span[2]))
        middle = (float(centre[0]), float(centre[1]), float(centre[2]))
        local = smooth_coils(n_coils, fov, centre_m=middle, order=order)
    waves = local.waves_per_m @ placement.rotation
    phase = np.exp(-2j * pi * (waves @ placement.origin_m))
    return Coils(waves_per_m=waves, weights=local.weights * phase)
