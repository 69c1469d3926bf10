r"""Where shifted spokes cross, and what they measured there.

Lines :math:`a\, n_1 + S n_1` and :math:`b\, n_2 + S n_2` cross where
:math:`a\, n_1 - b\, n_2 = -S (n_1 - n_2)`: a and b are linear in S. Samples between the measured
ones come from trigonometric interpolation of the middle of the spoke times a Gaussian, which fades
it out at both ends and is divided by afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.arrays import Complex, Float64, Ints

MOST_SAMPLES: Final = 128
"""Of a spoke about its centre."""
FADE: Final = 6.0
"""Samples used over the standard deviation of the Gaussian: 1 % is left at the ends. It blurs the
projection by one of its pixels, which needs as much margin in the field of view."""
LEAST_SINE: Final = 0.5
"""Of the angle between two spokes: below, the crossing slides along them with little noise."""
PARTNERS: Final = 6
NEAR: Final = 4
"""Samples on either side of the middle by which channels are judged."""
FEW_PAIRS: Final = 300
STRAIGHT: Final = 0.01
"""Largest distance of a position from its even step on a line through the centre, in steps."""
_CHUNK: Final = 128


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Crossings:
    """Pairs of spokes; shifts ``(Sxx, Syy, Sxy)`` are in samples."""

    waves: Complex
    """Transform of each spoke's faded middle, ``(spokes, channels, n)``, frequencies about 0."""
    centre: float
    """Where k = 0 lies in the middle of the spoke, in samples."""
    pairs: Ints
    """Shape ``(2, pairs)``."""
    places: Float64
    """How far from the centre each of the two crosses, per shift: ``(2, pairs, 3)``."""
    spacing_per_m: float

    @property
    def n_pairs(self) -> int:
        return self.pairs.shape[1]

    @property
    def n_spokes(self) -> int:
        return len(self.waves)

    @property
    def n_channels(self) -> int:
        return self.waves.shape[1]

    def few(self) -> Crossings:
        """Return some of the pairs, evenly spread."""
        at = np.unique(np.linspace(0, self.n_pairs - 1, FEW_PAIRS).round().astype(np.int64))
        return replace(self, pairs=self.pairs[:, at], places=self.places[:, at])

    def powers(self, shift: Float64) -> tuple[float, float]:
        """Return the power of the differences, and that of the samples."""
        power = difference = 0.0
        for part in self._chunks():
            (a, _), (b, _) = (self._samples(side, part, shift) for side in (0, 1))
            difference += float((np.abs(a - b) ** 2).sum())
            power += float((np.abs(a) ** 2).sum() + (np.abs(b) ** 2).sum())
        return difference, power

    def mismatch(self, shift: Float64) -> float:
        """Return the power of the differences over that of the samples, 1 for unrelated ones."""
        difference, power = self.powers(shift)
        return difference / power if power > 0 else np.inf

    def noise_power(self, noise_sd: float) -> float:
        """Return what noise adds to the power of the differences, and to that of the samples."""
        return 4.0 * noise_sd**2 * self.n_pairs * self.n_channels

    def normal_equations(self, shift: Float64) -> tuple[float, Float64, Float64]:
        """Return the sum of squared differences, half its gradient and the Gauss-Newton matrix."""
        cost, gradient, hessian = 0.0, np.zeros(3), np.zeros((3, 3))
        for part in self._chunks():
            rest, first, second = self._differences(part, shift)
            slope = (first + second).reshape(-1, 3)
            cost += float((np.abs(rest) ** 2).sum())
            gradient += (slope.conj().T @ rest.ravel()).real
            hessian += (slope.conj().T @ slope).real
        return cost, gradient, hessian

    def noise_hessian(self, noise_sd: float) -> Float64:
        """Return what the slopes of the noise add to the Gauss-Newton matrix.

        The sum of squares itself does not bend with it: noise differs as much anywhere. A slope has
        the variance of a sample times the mean square of the frequencies.
        """
        n = self.waves.shape[2]
        square = float(((2.0 * pi / n * (np.arange(n) - n // 2)) ** 2).mean())
        size = 2.0 * noise_sd**2 * square * self.n_channels
        return size * np.einsum("spa,spb->ab", self.places, self.places)

    def by_spoke(self, shift: Float64) -> Float64:
        """Return what the noise of each spoke and channel adds to the gradient, ``(3, n)``."""
        total = np.zeros((self.n_spokes, self.n_channels, 3), np.complex128)
        for part in self._chunks():
            _, first, second = self._differences(part, shift)
            np.add.at(total, self.pairs[0, part], first + second)
            np.add.at(total, self.pairs[1, part], -(first + second))
        numbers = total.reshape(-1, 3).T
        return np.concatenate([numbers.real, numbers.imag], axis=1)

    def _differences(self, part: slice, shift: Float64) -> tuple[Complex, Complex, Complex]:
        """Return differences ``(pairs, channels)`` and their derivatives by either side."""
        (a, da), (b, db) = (self._samples(side, part, shift) for side in (0, 1))
        first = da[:, :, None] * self.places[0, part][:, None, :]
        return a - b, first, -db[:, :, None] * self.places[1, part][:, None, :]

    def _samples(self, side: int, part: slice, shift: Float64) -> tuple[Complex, Complex]:
        """Return samples at the crossings and their derivatives along the spoke."""
        n = self.waves.shape[2]
        at = self.places[side, part] @ shift + self.centre
        turns = 2j * pi / n * (np.arange(n) - n // 2)
        basis = np.exp(np.multiply.outer(at, turns)) / n
        waves = self.waves[self.pairs[side, part]]
        faded = np.einsum("pcn,pn->pc", waves, basis)
        slope = np.einsum("pcn,pn->pc", waves, basis * turns)
        off = (at - (n - 1) / 2.0)[:, None] * FADE / n
        fade = np.exp(-0.5 * off**2)
        # value = faded / fade, and fade' = -off fade FADE / n
        return faded / fade, (slope + faded * off * FADE / n) / fade

    def _chunks(self) -> list[slice]:
        return [slice(first, first + _CHUNK) for first in range(0, self.n_pairs, _CHUNK)]


def find_crossings(
    samples: Complex, k_per_m: Float64, *, fewest: int, noise_sd: float
) -> Crossings:
    """Pair spokes ``(channels, spokes, samples)`` at nominal positions ``(spokes, samples, 2)``.

    Raises
    ------
    InputError
        No full spokes in a plane, fewer than `fewest`, or no signal.
    """
    direction, centre, spacing = _lines(k_per_m)
    n_spokes, n = k_per_m.shape[:2]
    if n_spokes < fewest:
        raise _refuse(f"{n_spokes} spokes", f"at least {fewest}")
    seen = with_signal(samples, round(centre), noise_sd)
    if not len(seen):
        raise _refuse("no signal beyond the noise about k = 0", "signal, and the noise of a sample")
    used = min(n, MOST_SAMPLES)
    first = int(np.clip(round(centre) - used // 2, 0, n - used))
    off = (np.arange(used) - (used - 1) / 2.0) * FADE / used
    middle = seen[:, :, first : first + used].astype(np.complex128) * np.exp(-0.5 * off**2)
    waves = np.fft.fftshift(np.fft.fft(middle, axis=2), axes=2).swapaxes(0, 1)
    pairs = _pairs(direction)
    if not pairs.size:
        raise _refuse(f"{n_spokes} spokes within 30 degrees", "angles spread over half a turn")
    return Crossings(
        waves=np.ascontiguousarray(waves),
        centre=centre - first,
        pairs=pairs,
        places=_places(direction[pairs[0]], direction[pairs[1]]),
        spacing_per_m=spacing,
    )


def with_signal(samples: Complex, middle: int, noise_sd: float) -> Complex:
    """Return the mixtures of channels that hold more than noise about the middle of the spokes.

    Principal components, whose noise stays white; noise alone is not beyond
    ``sqrt(2) s (sqrt(channels) + sqrt(numbers) + t)`` but for a chance of ``exp(-t^2)`` (Davidson,
    Szarek: Handbook of the Geometry of Banach Spaces 2001;1:317, theorem II.13).
    """
    near = samples[:, :, max(middle - NEAR, 0) : middle + NEAR + 1].reshape(len(samples), -1)
    near = near.astype(np.complex128)
    power, mixtures = np.linalg.eigh(near @ near.conj().T)
    edge = np.sqrt(len(samples)) + np.sqrt(near.shape[1]) + 3.5
    kept = mixtures[:, power > 2.0 * (noise_sd * edge) ** 2]
    return np.tensordot(kept.conj().T, samples, axes=1)


def are_full_spokes(k_per_m: Float64) -> bool:
    """Tell whether readouts, ``(spokes, samples, 2)``, are full spokes in even steps.

    Through the centre, alike but for their angle: what crosses.
    """
    try:
        _lines(k_per_m)
    except InputError:
        return False
    return True


def _lines(k: Float64) -> tuple[Float64, float, float]:
    """Return directions, the index of k = 0 and the spacing; refuse what is no full spoke."""
    n = k.shape[1]
    if k.shape[2] != 2:
        raise _refuse(
            "spokes in three dimensions, which miss each other when shifted",
            "spokes in a plane, or partitions of a stack of stars in the plane's two coordinates",
        )
    if n < 16:
        raise _refuse(f"{n} samples a spoke", "at least 16")
    ends = k[:, -1] - k[:, 0]
    length = np.linalg.norm(ends, axis=1)
    spacing = float(length.mean()) / (n - 1)
    if not (np.isfinite(k).all() and spacing > 0 and np.ptp(length) < STRAIGHT * spacing):
        raise _refuse("spokes of different lengths", "spokes that are alike but for their angle")
    direction = ends / length[:, None]
    radius = (k * direction[:, None]).sum(axis=2)
    first = float(radius[:, 0].mean())
    even = direction[:, None] * (first + spacing * np.arange(n))[:, None]
    if np.abs(k - even).max() > STRAIGHT * spacing:
        raise _refuse("spokes that bend, or sample unevenly", "even steps through the centre")
    centre = 0.0 - first / spacing
    if not 0.25 * n < centre < 0.75 * n:
        raise _refuse(
            f"spokes with k = 0 at sample {centre:.1f} of {n}",
            "full spokes, with k = 0 about the middle; from the centre out they do not cross",
        )
    return direction, centre, spacing


def _pairs(direction: Float64) -> Ints:
    """Pair each spoke with the next ones that cross it steeply."""
    found = []
    for spoke in range(len(direction)):
        others = direction[spoke + 1 :]
        sine = direction[spoke, 0] * others[:, 1] - direction[spoke, 1] * others[:, 0]
        partners = np.flatnonzero(np.abs(sine) >= LEAST_SINE)[:PARTNERS] + spoke + 1
        found.append(np.stack([np.full(len(partners), spoke), partners]))
    return np.concatenate(found, axis=1)


def _places(one: Float64, two: Float64) -> Float64:
    """Return how a and b of each pair depend on ``Sxx, Syy, Sxy``, shape ``(2, pairs, 3)``."""
    matrix = np.stack([one, -two], axis=2)
    x, y = (one - two).T
    zero = np.zeros_like(x)
    moved = np.stack([np.stack([x, zero, y], axis=1), np.stack([zero, y, x], axis=1)], axis=1)
    return np.moveaxis(-np.linalg.solve(matrix, moved), 1, 0)


def _refuse(found: str, expected: str) -> InputError:
    return InputError(
        "spokes",
        found=found,
        expected=expected,
        remedy="gradient delays of this trajectory are not estimated; leave them uncorrected",
    )
