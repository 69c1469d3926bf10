"""What samples showed while they were read: what is not finite, silent, or out of place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.findings import Finding, warning
from ultrahand.records.readouts import name_readout

if TYPE_CHECKING:
    from ultrahand.records.arrays import Bools, Complex64, Float64, Ints, Structured
    from ultrahand.records.raw import RawData

MAX_BAD_FRACTION: Final = 0.05
"""More readouts with NaN or infinity than this and the measurement is refused."""

MAX_SUM: Final = 1e17
"""Sums of readouts from here on count as infinite: their squares overflow single precision."""

MAX_ECHO_SHIFT: Final = 1.5
"""Samples between the echoes of both directions that are said: conventions differ by one."""
MAX_DELAY_S: Final = 20e-6
"""Working bound of two gradient delays: echoes further apart mean a wrong flag."""
_ECHO_HALF_WIDTH: Final = 2


class Echo(NamedTuple):
    """Readouts whose echoes lie at one place."""

    encoding: int
    contrast: int
    n_samples: int
    dwell_s: float
    """0 where the file has none."""
    reverse: bool


@dataclass(slots=True)
class Watch:
    """What the samples themselves showed while they were read."""

    n_readouts: int = 0
    bad: list[int] = field(default_factory=list)
    """Rows with NaN or infinity."""
    zero: int = 0
    """Readouts without any signal."""
    coil_seen: Bools | None = None
    """Which coils carried anything but zeros."""
    echoes: dict[Echo, Float64] = field(default_factory=dict)
    """Energy along the readouts, origin first."""

    def look(self, block: Complex64, rows: Ints) -> Complex64:
        """Note oddities of a block of shape ``(readouts, coils, samples)``; blank bad readouts."""
        with np.errstate(all="ignore"):
            sums = block.sum(axis=(1, 2))
            wrong = ~(np.abs(sums) < MAX_SUM)
        if wrong.any():
            self.bad += [int(row) for row in rows[wrong]]
            block = block.copy()
            block[wrong] = 0
        coils = block.shape[1]
        if self.coil_seen is None or self.coil_seen[:coils].sum() < coils:
            self.coil_seen = _either(self.coil_seen, np.asarray(block.any(axis=(0, 2))))
        silent = np.flatnonzero(sums == 0)
        if silent.size:
            self.zero += int((~block[silent].any(axis=(1, 2))).sum())
        self.n_readouts += len(rows)
        return block

    def look_at_echo(self, lines: Complex64, rows: Structured, *, reverse: bool) -> None:
        """Sum the energy of readouts.

        Parameters
        ----------
        lines
            Shape ``(readouts, coils, x)``, origin at index 0.
        rows
            Of the table of readouts. Encodings and contrasts are kept apart: between echo times
            the field moves echoes too.
        reverse
            Whether they were reversed.
        """
        parts = lines.view(np.float32).reshape(len(lines), -1, lines.shape[-1], 2)
        kinds = np.stack([rows["encoding_space_ref"], rows["contrast"]], axis=1)
        for encoding, contrast in np.unique(kinds, axis=0).tolist():
            chosen = (kinds == (encoding, contrast)).all(axis=1)
            mine = parts[chosen]
            energy = np.einsum("rcxp,rcxp->x", mine, mine, dtype=np.float64)
            dwell_s = float(rows["sample_time_s"][chosen][0])
            self._add_echo(Echo(encoding, contrast, len(energy), dwell_s, reverse), energy)

    def _add_echo(self, echo: Echo, energy: Float64) -> None:
        self.echoes[echo] = self.echoes.get(echo, 0.0) + energy

    def add(self, other: Watch) -> None:
        """Take over what another watch saw."""
        self.n_readouts += other.n_readouts
        self.bad += other.bad
        self.zero += other.zero
        for key, energy in other.echoes.items():
            self._add_echo(key, energy)
        self.coil_seen = _either(self.coil_seen, other.coil_seen)

    def refuse_bad(self, raw: RawData) -> None:
        """Refuse a measurement of which too much is not finite.

        Raises
        ------
        InputError
            More than `MAX_BAD_FRACTION` of the readouts hold NaN or infinity.
        """
        if len(self.bad) > MAX_BAD_FRACTION * self.n_readouts:
            raise InputError(
                f"samples of {name_readout(raw.readouts, self.bad[0])}",
                found=f"NaN, infinity or sums above {MAX_SUM:g} in {len(self.bad)} of "
                f"{self.n_readouts} readouts",
                expected=f"at most {MAX_BAD_FRACTION:.0%}",
                remedy="convert the measurement again",
            )

    def check(self, raw: RawData) -> None:
        """Refuse a measurement that cannot be an image.

        Raises
        ------
        InputError
            Too many readouts with NaN, or no signal at all.
        """
        self.refuse_bad(raw)
        if self.zero + len(self.bad) == self.n_readouts:
            raise InputError(
                "samples",
                found=f"only zeros in all {self.n_readouts} readouts",
                expected="a signal",
                remedy="check the receivers and the conversion",
            )
        self._check_echoes()

    def _check_echoes(self) -> None:
        """Refuse forward and reversed readouts whose echoes lie far apart: a flag is wrong."""
        for echo, apart in self._apart():
            most = max(MAX_ECHO_SHIFT, MAX_DELAY_S / echo.dwell_s if echo.dwell_s else 0.0)
            if apart > most:
                raise InputError(
                    "reversed readouts (flag 22)",
                    found=f"echoes {apart:.1f} samples from those of the forward readouts",
                    expected=f"at most {most:g}, what gradient delays explain",
                    remedy="a flag or center_sample is wrong; convert the measurement again",
                )

    def _apart(self) -> list[tuple[Echo, float]]:
        """Return how far echoes of both directions lie apart, in samples, where both are clear."""
        places = {key: echo_position(energy) for key, energy in self.echoes.items()}
        found = []
        for echo, place in places.items():
            other = places.get(echo._replace(reverse=True))
            if not echo.reverse and place is not None and other is not None:
                found.append((echo, abs(place - other)))
        return found

    def findings(self) -> list[Finding]:
        """Return what was odd, counted."""
        found = []
        if self.bad:
            found.append(
                warning(
                    "samples",
                    found=f"NaN, infinity or sums above {MAX_SUM:g} in {len(self.bad)} of "
                    f"{self.n_readouts} readouts",
                    expected=f"finite numbers below {MAX_SUM:g}",
                    remedy="these readouts are left out",
                )
            )
        found += [
            warning(
                "reversed readouts (flag 22)",
                found=f"echoes {apart:.1f} samples from those of the forward readouts",
                expected=f"at most {MAX_ECHO_SHIFT:g}",
                remedy="gradient delays are not corrected: expect ghosts",
            )
            for _, apart in self._apart()
            if apart > MAX_ECHO_SHIFT
        ]
        if self.zero:
            found.append(
                warning(
                    "samples",
                    found=f"only zeros in {self.zero} of {self.n_readouts} readouts",
                    expected="a signal or at least noise",
                    remedy="used as they are",
                )
            )
        if self.coil_seen is not None and not self.coil_seen.all():
            dead = np.flatnonzero(~self.coil_seen)
            found.append(
                warning(
                    "receive channels",
                    found=f"only zeros in {len(dead)} of {len(self.coil_seen)}: "
                    + ", ".join(str(c) for c in dead[:8]),
                    expected="a signal or at least noise",
                    remedy="these channels add nothing to the image",
                )
            )
        return found


def _either(one: Bools | None, other: Bools | None) -> Bools | None:
    """Join which coils were seen; encodings may differ in their number of coils."""
    if one is None or other is None:
        return other if one is None else one
    seen = np.zeros(max(len(one), len(other)), bool)
    seen[: len(one)] |= one
    seen[: len(other)] |= other
    return seen


def echo_position(energy: Float64) -> float | None:
    """Return where an echo is, in samples from the origin; None without a clear echo.

    Parameters
    ----------
    energy
        Along the readout, origin at index 0, shape ``(x,)``.
    """
    centred = np.fft.fftshift(energy)
    peak = int(np.argmax(centred))
    window = np.arange(
        max(peak - _ECHO_HALF_WIDTH, 0), min(peak + _ECHO_HALF_WIDTH + 1, len(energy))
    )
    inside, total = centred[window].sum(), centred.sum()
    # A flat spectrum (a point object, noise) has no echo to compare.
    if len(energy) < 16 or inside < 0.25 * total or inside < 5 * total * len(window) / len(energy):
        return None
    return float((window * centred[window]).sum() / inside) - len(energy) // 2
