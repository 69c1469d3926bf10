"""Transforms of stacks by plain integration: written apart from the plates that they check."""

from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator

OTHERS = ((1, 2), (0, 2), (0, 1))
"""Axes of the cross-section, by the axis of the stack."""


def pieces(stack, breaks=()):
    """Return the boundaries between which a stack is smooth."""
    low, high = stack.knots_m[0], stack.knots_m[-1]
    ends = [*stack.knots_m, low + stack.caps_m[0], high - stack.caps_m[1]]
    return np.unique([*ends, *(b for b in breaks if low < b < high)])


def profile(stack, s):
    """Return centre and semi-axes at levels, ``(levels, 4)``, by the definition of the stack."""
    found = PchipInterpolator(stack.knots_m, stack.shape_m)(s)
    low, high = stack.knots_m[0], stack.knots_m[-1]
    for cap, depth in zip(stack.caps_m, (s - low, high - s), strict=True):
        if cap > 0:
            within = np.clip(1.0 - depth / cap, 0.0, 1.0)
            found[:, 2:] *= np.sqrt(1.0 - within**2)[:, None]
    return found


def levels(stack, n, breaks=()):
    """Return levels and weights: n Gauss nodes in each smooth piece."""
    x, w = np.polynomial.legendre.leggauss(n)
    s, weight = [], []
    for a, b in pairwise(pieces(stack, breaks)):
        if b - a > 1e-12:
            s.append(0.5 * (b - a) * x + 0.5 * (a + b))
            weight.append(0.5 * (b - a) * w)
    return np.concatenate(s), np.concatenate(weight)


def volume_m3(stack):
    """Return the volume: the area is a polynomial of degree 8 in each piece, 6 nodes are exact."""
    s, weight = levels(stack, 6)
    shape = profile(stack, s)
    return float(np.pi * (shape[:, 2] * shape[:, 3]) @ weight)


def transform(stack, k_per_m):
    """Integrate ``exp(-2 pi i k.r)`` over a stack: Gauss along it and out, trapezoid around.

    The nodes follow the largest phase: a Gauss rule of n nodes is exact to rounding from n = phase
    / 2 + 20 on, the trapezoid on a circle from n = phase + 40 on.
    """
    reach = 2 * np.pi * np.linalg.norm(k_per_m, axis=1).max()
    along = max(np.diff(pieces(stack)).max(), np.abs(np.diff(stack.shape_m, axis=0)).max())
    around = float(stack.shape_m[:, 2:].max())
    s, weight = levels(stack, int(reach * along) + 24)
    x, w = np.polynomial.legendre.leggauss(int(0.5 * reach * around) + 24)
    rho, rho_weight = 0.5 * (x + 1.0), 0.25 * w * (x + 1.0)
    phi = 2 * np.pi * np.arange(int(reach * around) + 48) / (int(reach * around) + 48)
    shape = profile(stack, s)
    first, second = OTHERS[stack.axis]
    unit = np.stack([np.outer(rho, np.cos(phi)), np.outer(rho, np.sin(phi))]).reshape(2, -1)
    share = np.repeat(rho_weight, len(phi)) * 2 * np.pi / len(phi)
    out = np.empty(len(k_per_m), np.complex128)
    for number, k in enumerate(k_per_m):
        middle = np.exp(
            -2j * np.pi * (k[stack.axis] * s + k[first] * shape[:, 0] + k[second] * shape[:, 1])
        )
        total = 0.0
        for a, b, m, ds in zip(shape[:, 2], shape[:, 3], middle, weight, strict=True):
            phase = 2 * np.pi * (k[first] * a * unit[0] + k[second] * b * unit[1])
            total += ds * m * a * b * (np.cos(phase) @ share)  # a disk is even: no sine
        out[number] = total
    return out
