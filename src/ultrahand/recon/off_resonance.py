r"""Encoding while the signal turns and decays: :math:`y = \sum_l B_l\, F\, C_l\, x`.

The signal equation is that of `ultrahand.recon.nufft`, with :math:`e^{\lambda(r) t}` of
`ultrahand.physics.off_resonance` under the sum; the short sum that stands for it is
`ultrahand.recon.short_sum`. The adjoint, :math:`\sum_l C_l^* F^* B_l^*`, is exact for the sum.

Times count from the excitation (for a spin echo: from the echo), not from the first sample: else
the image has the phase that the field made before, and a decay that began too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from ultrahand.recon.short_sum import ShortSum, short_sum
from ultrahand.records.arrays import Complex, Float64, require


class Encoding(Protocol):
    """A base encoding: a `ultrahand.numerics.LinearOperator` that takes leading axes as a batch."""

    @property
    def domain(self) -> tuple[int, ...]: ...

    @property
    def codomain(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def forward(self, image: Complex, /) -> Complex: ...

    def adjoint(self, samples: Complex, /) -> Complex: ...


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OffResonance:
    """Encoding with a field map, made by `off_resonance`; meets `LinearOperator`.

    Leading axes are a batch (coils), as in the base. One term is worked on at a time: the memory is
    that of the base, and of one more image and one more set of samples for each coil of the batch.
    """

    base: Encoding
    terms: ShortSum

    @property
    def domain(self) -> tuple[int, ...]:
        return self.base.domain

    @property
    def codomain(self) -> tuple[int, ...]:
        return self.base.codomain

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype

    def forward(self, image: Complex, /) -> Complex:
        """Encode ``(..., *domain)`` to ``(..., *codomain)``."""
        x, batch = self._checked(image, self.domain)
        out = np.zeros((*batch, *self.codomain), self.dtype)
        for term in range(self.terms.n_terms):
            part = self.base.forward(x * self.terms.c(term))
            part *= self.terms.b(term)
            out += part
        return out

    def adjoint(self, samples: Complex, /) -> Complex:
        """Take ``(..., *codomain)`` to ``(..., *domain)``."""
        y, batch = self._checked(samples, self.codomain)
        out = np.zeros((*batch, *self.domain), self.dtype)
        for term in range(self.terms.n_terms):
            part = self.base.adjoint(y * self.terms.b(term).conj())
            part *= self.terms.c(term).conj()
            out += part
        return out

    def _checked(self, array: Complex, core: tuple[int, ...]) -> tuple[Complex, tuple[int, ...]]:
        array = np.asarray(array, self.dtype)
        leading = array.ndim - len(core)
        require(
            leading >= 0 and array.shape[leading:] == core,
            f"expected an array of shape (..., {', '.join(map(str, core))}), got {array.shape}",
        )
        return array, array.shape[:leading]


def off_resonance(
    base: Encoding,
    *,
    off_resonance_hz: Float64,
    time_s: Float64,
    r2star_per_s: Float64 | None = None,
    error: float = 1e-3,
) -> OffResonance:
    """Add a field map, and a map of decay, to an encoding.

    Parameters
    ----------
    base
        The encoding without them, a `ultrahand.recon.nufft.Nufft` for example.
    off_resonance_hz
        Of the nucleus that is measured, shape ``base.domain``, finite everywhere
        (`ultrahand.physics.field_map.extend`); for another nucleus than the map's
        `ultrahand.physics.off_resonance.scale_field`.
    time_s
        Of each sample after its excitation; its shape broadcasts to ``base.codomain``.
    r2star_per_s
        Shape ``base.domain``; None for no decay.
    error
        See `ultrahand.recon.short_sum.short_sum`; the number of terms follows from it.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other or something is not finite.
    ultrahand.errors.InputError
        If field and time are too large for a short sum.
    """
    field = np.asarray(off_resonance_hz, np.float64)
    require(
        field.shape == base.domain,
        f"off_resonance_hz {field.shape} must have the shape of the image, {base.domain}",
    )
    time = np.asarray(time_s, np.float64)
    core = base.codomain
    fits = time.ndim <= len(core) and all(
        n in (1, m) for n, m in zip(reversed(time.shape), reversed(core), strict=False)
    )
    require(fits, f"time_s {time.shape} must broadcast to the samples, {core}")
    double = base.dtype == np.complex128
    terms = short_sum(
        time,
        field,
        None if r2star_per_s is None else np.asarray(r2star_per_s, np.float64),
        error=error,
        dtype=np.complex128 if double else np.complex64,
    )
    return OffResonance(base=base, terms=terms)
