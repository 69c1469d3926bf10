r"""The Kaiser-Bessel kernel, by which sums of exponentials go through a uniform grid.

.. math:: e^{-i n \zeta} = \frac{1}{\hat\psi(n h)} \sum_m \psi(m h - \zeta) e^{-i n m h}

for low n, by Poisson's sum formula, up to the aliases of :math:`\hat\psi` (Beatty, Nishimura,
Pauly: IEEE Trans Med Imaging 2005;24:799, doi:10.1109/TMI.2005.848376). The kernel is analytic:
angles may be complex as long as their imaginary part is small beside its width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, pi
from typing import final

import numpy as np

from ultrahand.records.arrays import Complex, Float64

_BESSEL = np.array([0.25**n / factorial(n) ** 2 for n in range(64)])
"""Of ``I0(x) = sum_n (x^2/4)^n / n!^2`` (Abramowitz, Stegun, 9.6.12); for x <= 33 the first term
left out is 1e-20 of the sum."""


@final
@dataclass(frozen=True)
class KaiserBessel:
    """``I0(shape sqrt(1 - u^2))`` for |u| <= 1, over `width` cells of the grid."""

    width: int
    """At most 14, for the series to hold."""

    @property
    def shape(self) -> float:
        """For a grid of at least twice the band.

        The alias of the band's edge, at three quarters of the grid's rate, lies where the
        transform turns from its main lobe to its ripple.
        """
        return pi * self.width * 0.75

    def values(self, u: Complex | Float64) -> Complex | Float64:
        """Return the kernel and its continuation to complex u; not cut off outside of |u| = 1."""
        squared = self.shape**2 * (1.0 - u * u)
        total = np.full_like(squared, _BESSEL[-1])
        for coefficient in _BESSEL[-2::-1]:
            total *= squared
            total += coefficient
        return total

    def transform(self, angle: Float64) -> Float64:
        r"""Return the kernel's transform at `angle`, radians a cell, per cell.

        .. math:: \int I_0(b \sqrt{1 - u^2}) e^{-i \xi u} du = 2 \sinh(s)/s, \quad s^2 = b^2 - \xi^2

        with ``xi = angle width/2`` (Jackson, Meyer, Nishimura, Macovski: IEEE Trans Med Imaging
        1991;10:473, doi:10.1109/42.97598).
        """
        s = np.sqrt(self.shape**2 - (0.5 * self.width * angle) ** 2)
        return self.width * np.sinh(s) / s

    def pieces(self, degree: int) -> Float64:
        """Return the kernel on each of its cells as a polynomial, ``(width, degree + 1)``.

        Row i, coefficients of powers of f - 1/2, gives the weight of cell ``first + i`` for a
        point that lies f before ``first + width/2``, 0 <= f < 1.
        """
        nodes = 0.5 * np.cos(pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        cell = np.arange(self.width)[:, None]
        values = self.values((cell + nodes + 0.5 - 0.5 * self.width) / (0.5 * self.width))
        rows = np.linalg.solve(np.vander(nodes, increasing=True), values.real.T)
        return np.ascontiguousarray(rows.T, np.float64)
