"""What each plate of the digital hand sends in a sequence: its own signal less that it replaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import radians
from typing import Final, TypeAlias, final

import numpy as np

from ultrahand.phantoms.digital_hand.fields import FIELD_T, Fields
from ultrahand.phantoms.digital_hand.solids import AIR, Cut, Solid
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.phantoms.plates import Plates, Terms
from ultrahand.physics.nuclei import frequency_hz
from ultrahand.physics.relaxation import Decay, proton_decay, sodium_decay
from ultrahand.physics.steady_state import spoiled_gradient_echo
from ultrahand.physics.tissues import Tissue, tissue
from ultrahand.records.arrays import Float64, Ints

HZ_PER_PPM: Final = 1e-6
Excitation: TypeAlias = Callable[[Float64, Float64], Float64]
"""From T1 in seconds and relative transmit field to what is excited, per unit of density."""


def spoiled(flip_deg: float, tr_s: float) -> Excitation:
    """Return the signal equation of a spoiled gradient echo."""
    return lambda t1, b: spoiled_gradient_echo(radians(flip_deg), tr_s, t1, transmit=b)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Parameters:
    """The numbers of each solid for one nucleus, arrays ``(solids,)``."""

    density: Float64
    """Protons relative to water, or sodium in mol/m3."""
    t1_s: Float64
    shift_hz: Float64
    """Of fat's protons."""
    decays: tuple[tuple[Decay, ...], ...]

    @classmethod
    def of(cls, solids: Sequence[Solid], nucleus: str) -> Parameters:
        """Look the solids up in the tissue table."""
        found = [tissue(item.tissue) for item in solids]
        shift = frequency_hz("1H", FIELD_T) * HZ_PER_PPM
        if nucleus == "1H":
            return cls(
                density=np.array([t.proton.proton_density for t in found]),
                t1_s=np.array([t.proton.t1_s for t in found]),
                shift_hz=np.array([t.chemical_shift_ppm * shift for t in found]),
                decays=tuple(proton_decay(t.proton) for t in found),
            )
        return cls(
            density=np.array(
                [sodium_of(item, t) for item, t in zip(solids, found, strict=True)], np.float64
            ),
            t1_s=np.array([t.sodium.t1_s for t in found]),
            shift_hz=np.zeros(len(found)),
            decays=tuple(sodium_decay(t.sodium) for t in found),
        )


def sodium_of(item: Solid, found: Tissue) -> float:
    """Return the sodium concentration of a solid in mmol/L, which is mol/m3."""
    own = item.concentration_mmol_per_l
    return found.sodium.concentration_mmol_per_l if own is None else own


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A subject cut into plates, with the fields at each plate: its own and of what it replaces."""

    subject: Subject
    cut: Cut
    fields: Fields
    nucleus: str
    parameters: Parameters = field(init=False)

    def __post_init__(self) -> None:
        found = Parameters.of(self.subject.solids, self.nucleus)
        object.__setattr__(self, "parameters", found)

    @cached_property
    def plates(self) -> Plates:
        """In patient LPS."""
        plates, placement = self.cut.plates, self.subject.placement
        return Plates(
            centre_m=placement.to_patient(plates.centre_m),
            span_m=plates.span_m @ placement.rotation,
            weight_m=plates.weight_m,
        )

    def terms(
        self,
        excite: Excitation,
        *,
        scale: Float64 | None = None,
        curve: Ints | None = None,
        chosen: Ints | None = None,
    ) -> Terms:
        """Return the magnetisation of every plate after an excitation.

        Parameters
        ----------
        excite
            The sequence's signal equation.
        scale
            Factor of each solid, shape ``(solids,)``.
        curve
            Time course that each solid follows; -1 for none, and None for none at all.
        chosen
            Numbers of the solids that are taken; None for all.
        """
        own = np.arange(len(self.cut.solid))
        replaced = np.flatnonzero(self.cut.parent != AIR)
        parts = [
            self._terms_of(own, self.cut.solid, excite, 1.0, scale, curve, chosen),
            self._terms_of(replaced, self.cut.parent, excite, -1.0, scale, curve, chosen),
        ]
        return _joined(parts)

    def _terms_of(
        self,
        plate: Ints,
        solid_of: Ints,
        excite: Excitation,
        sign: float,
        scale: Float64 | None,
        curve: Ints | None,
        chosen: Ints | None,
    ) -> Terms:
        """Return one group of terms: plates, as if filled with the solids given for each."""
        if chosen is not None:
            plate = plate[np.isin(solid_of[plate], chosen)]
        solid = solid_of[plate]
        plate, solid = (
            plate[self.parameters.density[solid] > 0],
            solid[self.parameters.density[solid] > 0],
        )
        centre = self.cut.plates.centre_m[plate]
        transmit = self.fields.transmit_at(self.nucleus, solid, centre)
        excited = excite(self.parameters.t1_s[solid], transmit)
        amplitude = sign * self.parameters.density[solid] * excited
        if scale is not None:
            amplitude = amplitude * scale[solid]
        off = self.fields.off_resonance_hz(self.nucleus, solid, centre)
        off = off + self.parameters.shift_hz[solid]
        follows = np.full(len(plate), -1) if curve is None else curve[solid]
        groups = []
        for number in range(max((len(d) for d in self.parameters.decays), default=1)):
            has = np.array([len(d) > number for d in self.parameters.decays])[solid]
            fraction, rate = (
                np.array([d[number][i] if len(d) > number else 0.0 for d in self.parameters.decays])
                for i in (0, 1)
            )
            groups.append(
                Terms(
                    plate=plate[has],
                    amplitude=(amplitude * fraction[solid])[has],
                    r2star_per_s=rate[solid][has],
                    off_resonance_hz=off[has],
                    curve=follows[has],
                )
            )
        return _joined(groups)


def _joined(parts: Sequence[Terms]) -> Terms:
    names = ("plate", "amplitude", "r2star_per_s", "off_resonance_hz", "curve")
    arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Terms(**arrays)
