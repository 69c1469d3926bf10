"""What is true of the digital hand: volumes on any grid, and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np

from ultrahand.phantoms.digital_hand.fields import Fields
from ultrahand.phantoms.digital_hand.lesions import JOINTS
from ultrahand.phantoms.digital_hand.magnetisation import sodium_of
from ultrahand.phantoms.digital_hand.painting import paint
from ultrahand.phantoms.digital_hand.person import DIGITS
from ultrahand.phantoms.digital_hand.solids import AIR
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.physics.tissues import tissue, tissue_names
from ultrahand.records import Geometry
from ultrahand.records.arrays import Float32, Float64, Ints
from ultrahand.units import M_PER_MM

Rows = list[dict[str, object]]
TISSUES: Final = ("air", *tissue_names())
"""Names by number of the tissue labels."""
MM3: Final = 1e9


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The subject seen on one grid."""

    subject: Subject
    fields: Fields
    geometry: Geometry
    """Its axes are those of the common frame: read is z, phase x, slice y."""

    @cached_property
    def _axes_m(self) -> list[Float64]:
        """Positions of the voxels along x, y, z of the common frame."""
        placement = self.subject.placement
        middle = placement.from_patient(self.geometry.position_mm * M_PER_MM)
        steps = dict(zip((2, 0, 1), self.geometry.voxel_size_m, strict=True))
        counts = dict(zip((1, 0, 2), self.geometry.shape, strict=True))
        return [middle[i] + steps[i] * (np.arange(counts[i]) - counts[i] // 2) for i in range(3)]

    @cached_property
    def solid(self) -> Ints:
        """Number of the solid in each voxel, -1 in air, shape ``(z, y, x)`` of the image."""
        return paint(self.subject.solids, self._axes_m).transpose(1, 0, 2)

    def tissue(self) -> Float32:
        """Return the label of each voxel's tissue, see `TISSUES`."""
        number = [TISSUES.index(item.tissue) for item in self.subject.solids]
        return self._mapped(number, 0)

    def joints(self) -> Float32:
        """Return the label of each joint's slab, cartilage and fluid: see `joint_labels`."""
        labels = {name: n for n, name in enumerate(joint_labels(self.subject))}
        number = []
        for item, side in zip(self.subject.solids, self.subject.side, strict=True):
            prefix = self.subject.prefix(side) if side else ""
            plain = item.name.removeprefix(prefix)
            slab = re.fullmatch(r"(.+)_(cartilage_(proximal|distal)|fluid)", plain)
            number.append(labels[prefix + slab[1]] if slab else 0)
        return self._mapped(number, 0)

    def concentration(self) -> Float32:
        """Return the sodium concentration in mmol/L."""
        return self._mapped([sodium_of(s, tissue(s.tissue)) for s in self.subject.solids], 0.0)

    def relaxation(self, nucleus: str, name: str) -> Float32:
        """Return a map of relaxation, NaN in air: a field of the tissue table's record."""
        part = "proton" if nucleus == "1H" else "sodium"
        values = [getattr(getattr(tissue(s.tissue), part), name) for s in self.subject.solids]
        return self._mapped(values, np.nan)

    def off_resonance(self, nucleus: str) -> Float32:
        """Return the static field's frequency in Hz, NaN in air; without chemical shift."""
        return self._field(lambda solid, r: self.fields.off_resonance_hz(nucleus, solid, r))

    def transmit(self, nucleus: str) -> Float32:
        """Return the transmit field relative to nominal, NaN in air."""
        return self._field(lambda solid, r: self.fields.transmit_at(nucleus, solid, r))

    def _mapped(self, values: Sequence[float], outside: float) -> Float32:
        return np.array([*values, outside], np.float32)[self.solid]

    def _field(self, at: Callable[[Ints, Float64], Float64]) -> Float32:
        out = np.full(self.solid.shape, np.nan, np.float32)
        y, x, z = np.nonzero(self.solid != AIR)
        axes = self._axes_m
        points = np.stack([axes[0][x], axes[1][y], axes[2][z]], axis=1)
        out[y, x, z] = at(self.solid[y, x, z].astype(np.int64), points)
        return out


def joint_labels(subject: Subject) -> list[str]:
    """Return the names of the joint labels; 0 is no joint."""
    return ["none", *(subject.prefix(side) + joint for side in subject.hands for joint in JOINTS)]


def landmark_rows(subject: Subject) -> Rows:
    """Return the landmarks of the hands."""
    rows: Rows = []
    for side, hand in subject.hands.items():
        s = hand.person.scale * M_PER_MM
        found = {"wrist_radial": (27.0 * s, 0.0, 0.0), "wrist_ulnar": (-25.0 * s, 0.0, 0.0)}
        named = [n for n in JOINTS if n not in ("rcj", "mcj", "druj")]
        found |= {name: hand.joints[name] for name in named}
        for d in DIGITS:
            ray = hand.person.rays[d]
            x, y = ray.at(ray.tip_mm)
            found[f"tip{d}"] = (x * M_PER_MM, y * M_PER_MM, ray.tip_mm * M_PER_MM)
        rows += [
            {"name": subject.prefix(side) + name, **place_ras(subject, side, point), "side": side}
            for name, point in found.items()
        ]
    return rows


def vial_rows(
    subject: Subject, radius_mm: float, relative_stderr: float, least_stderr: float
) -> Rows:
    """Return the vials as spheres that fit into them, with their concentrations.

    Parameters
    ----------
    subject
        The examination's.
    radius_mm
        Of a sphere inside of each vial.
    relative_stderr
        Standard error of a concentration, relative to it.
    least_stderr
        In mmol/L: no standard error is below it, as a fit weighted with 0 has no weights.
    """
    rows: Rows = []
    for vial in subject.vials:
        patient = subject.placement.to_patient(np.array(vial.centre_mm) * M_PER_MM)
        sodium = tissue(vial.content).sodium
        rows.append(
            {
                "name": vial.name,
                **ras(patient),
                "radius_mm": radius_mm,
                "concentration_mmol_per_l": vial.concentration_mmol_per_l,
                "concentration_stderr_mmol_per_l": max(
                    round(relative_stderr * vial.concentration_mmol_per_l, 6), least_stderr
                ),
                "t1_ms": 1e3 * sodium.t1_s,
                "t2star_short_ms": 1e3 * sodium.t2star_short_s,
                "t2star_long_ms": 1e3 * sodium.t2star_long_s,
                "short_fraction": sodium.short_fraction,
            }
        )
    return rows


def joint_rows(subject: Subject) -> Rows:
    """Return each joint's place, size and sodium."""
    rows: Rows = []
    for side, hand in subject.hands.items():
        prefix = subject.prefix(side)
        for joint in JOINTS:
            parts = [
                subject.solids[subject.index[f"{prefix}{joint}_{part}"]]
                for part in ("cartilage_proximal", "cartilage_distal", "fluid")
            ]
            volumes = [p.stack.volume_m3() * MM3 for p in parts]
            cartilage = sodium_of(parts[0], tissue(parts[0].tissue))
            fluid = sodium_of(parts[2], tissue(parts[2].tissue))
            cartilages = volumes[0] + volumes[1]
            mean = (cartilage * cartilages + fluid * volumes[2]) / sum(volumes)
            rows.append(
                {
                    "name": prefix + joint,
                    "side": side,
                    **place_ras(subject, side, hand.joints[joint]),
                    "cartilage_thickness_mm": hand.person.cartilage_mm[joint],
                    "fluid_thickness_mm": hand.person.fluid_mm,
                    "cartilage_mm3": cartilages,
                    "fluid_mm3": volumes[2],
                    "cartilage_mmol_per_l": cartilage,
                    "slab_mmol_per_l": mean,
                }
            )
    return rows


def solid_rows(subject: Subject) -> Rows:
    """Return every solid: what it is made of, how large."""
    return [
        {
            "index": number,
            "name": item.name,
            "side": side or None,
            "tissue": item.tissue,
            "volume_mm3": item.stack.volume_m3() * MM3,
            "visible_mm3": float(subject.visible_m3[number]) * MM3,
            "sodium_mmol_per_l": sodium_of(item, tissue(item.tissue)),
        }
        for number, (item, side) in enumerate(zip(subject.solids, subject.side, strict=True))
    ]


def place_ras(subject: Subject, side: str, point_m: object) -> dict[str, float]:
    """Return a point of one hand's own frame in scanner RAS millimetres."""
    common = subject.common(side, np.asarray(point_m, np.float64))
    return ras(subject.placement.to_patient(common))


def ras(patient_m: Float64) -> dict[str, float]:
    """Return a point in patient LPS metres in scanner RAS millimetres."""
    x, y, z = (np.array([-1.0, -1.0, 1.0]) * patient_m / M_PER_MM).round(4).tolist()
    return {"x_mm": x, "y_mm": y, "z_mm": z}
