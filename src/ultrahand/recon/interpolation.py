r"""The kernel that carries samples to a grid: Kaiser and Bessel's.

.. math:: \varphi(u) = \frac{I_0(\beta \sqrt{1 - (2 u / w)^2})}{I_0(\beta)}, \quad |u| \le w / 2,
          \qquad \hat\varphi(\xi) = \frac{w}{I_0(\beta)}
          \frac{\sinh \sqrt{\beta^2 - (\pi w \xi)^2}}{\sqrt{\beta^2 - (\pi w \xi)^2}}

with the shape :math:`\beta = \pi \sqrt{(w / \sigma)^2 (\sigma - 1/2)^2 - 0.8}` for a width of w
cells of a grid that is :math:`\sigma` times as fine (Beatty, Nishimura, Pauly: IEEE Trans Med
Imaging 2005;24:799, doi:10.1109/TMI.2005.848376). Between two cells it is taken as a polynomial,
as Barnett, Magland and af Klinteberg do (SIAM J Sci Comput 2019;41:C479, doi:10.1137/18M120885X):
evaluated without roots or exponentials, it costs less than it is used.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ultrahand.records.arrays import Float32, Float64

TERMS_BEYOND = 5
"""Terms of a cell's polynomial beyond the width: its error is below that of single precision."""


def shape_of_kernel(width: int, upsampling: float) -> float:
    """Return Beatty's beta."""
    return math.pi * math.sqrt((width / upsampling) ** 2 * (upsampling - 0.5) ** 2 - 0.8)


def kernel_values(offset: Float64, width: int, upsampling: float) -> Float64:
    """Return the kernel at some offsets in cells, at most half of the width from its middle."""
    from scipy.special import i0e

    beta = shape_of_kernel(width, upsampling)
    root = np.sqrt(np.maximum(1 - (2 * offset / width) ** 2, 0))
    values: Float64 = i0e(beta * root) / i0e(beta) * np.exp(beta * (root - 1))
    return values


def kernel_transform(frequency: Float64, width: int, upsampling: float) -> Float64:
    """Return the transform of the kernel, cycles per cell, at most ``0.5 / upsampling``."""
    from scipy.special import i0e

    beta = shape_of_kernel(width, upsampling)
    root = np.sqrt(beta**2 - (np.pi * width * frequency) ** 2)
    # sinh(root) / I_0(beta), without either overflowing
    ratio = (np.exp(root - beta) - np.exp(-root - beta)) / (2 * i0e(beta))
    values: Float64 = width * ratio / root
    return values


@cache
def kernel_table(width: int, upsampling: float, pad: int) -> Float32:
    """Return the polynomials of the `width` cells about a sample, for `kernels.spread`.

    Shape ``(terms, pad)``, flat, the highest power first; the variable is the way from the
    sample's first cell to the sample less half the width, moved to lie between -0.5 and 0.5.
    """
    terms = width + TERMS_BEYOND
    nodes = 0.5 * np.cos(np.pi * (np.arange(2 * terms) + 0.5) / (2 * terms))
    table = np.zeros((terms, pad))
    for cell in range(width):
        values = kernel_values(nodes + 0.5 + cell - width / 2, width, upsampling)
        fitted = np.polynomial.Chebyshev.fit(nodes, values, terms - 1, domain=[-0.5, 0.5])
        powers = fitted.convert(
            kind=np.polynomial.Polynomial, domain=[-0.5, 0.5], window=[-0.5, 0.5]
        )
        table[: len(powers.coef), cell] = powers.coef
    flat: Float32 = np.ascontiguousarray(table[::-1], np.float32).reshape(-1)
    flat.setflags(write=False)
    return flat
