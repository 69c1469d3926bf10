r"""References in double precision.

.. math:: y_j = P^{-1/2} \sum_r x_r e^{-2 \pi i\, k_j \cdot r}, \quad P = \prod shape

by the transform of `ultrahand.recon` at an accuracy four orders finer than any contestant's, held
to this sum itself at some of the samples (the adjoint: at some of the voxels) each time it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ultrahand.bench.problem import Array
from ultrahand.recon.nufft import Nufft, plan_nufft

EPS: Final = 1e-10
_TOLD: Final = 1e-8
"""Most that the reference may miss the sum by, relative to the norm of what is summed."""
_CHECKS: Final = 5


def exact_nufft(k_cycles: Array, shape: tuple[int, ...], threads: int) -> Nufft:
    """Plan the reference for positions in cycles per field of view, axes as those of the image."""
    return plan_nufft(
        k_cycles[:, ::-1].astype(np.float64),
        shape=shape,
        voxel_size_m=tuple(1 / n for n in reversed(shape)),
        eps=EPS,
        dtype=np.complex128,
        threads=threads,
    )


def exact_forward(nufft: Nufft, k_cycles: Array, image: Array) -> Array:
    """Transform one image ``(z, y, x)`` or ``(y, x)`` and check it against the sum."""
    found = nufft.forward(image.astype(np.complex128))
    for j in _some(len(k_cycles)):
        total = image.astype(np.complex128)
        for n, k in zip(reversed(image.shape), reversed(k_cycles[j]), strict=True):
            total = total @ np.exp(-2j * np.pi * float(k) * (np.arange(n) - n // 2) / n)
        _hold(found[j], complex(total) / math.sqrt(image.size), np.linalg.norm(image))
    return found


def exact_adjoint(nufft: Nufft, k_cycles: Array, samples: Array) -> Array:
    """Transform the samples of one coil back and check the image against the sum."""
    found = nufft.adjoint(samples.astype(np.complex128))
    k = k_cycles.astype(np.float64)
    for voxel in _some(found.size):
        index = np.unravel_index(voxel, found.shape)
        r = [(i - n // 2) / n for i, n in zip(index, found.shape, strict=True)]
        total = np.sum(samples * np.exp(2j * np.pi * (k @ np.array(r))))
        scale = np.linalg.norm(samples) * math.sqrt(len(k) / found.size)
        _hold(complex(found[index]), total / math.sqrt(found.size), scale)
    return found


def conjugate_gradients(normal: Callable[[Array], Array], rhs: Array, steps: int) -> Array:
    """Return so many steps of conjugate gradients from zero, in the precision of `rhs`.

    Hestenes, Stiefel: J Res Natl Bur Stand 1952;49:409, doi:10.6028/jres.049.044. Written apart
    from the solver that it is the reference of.
    """
    x, r = np.zeros_like(rhs), rhs.copy()
    p, power = r.copy(), np.vdot(r, r).real
    for _ in range(steps):
        q = normal(p)
        step = power / np.vdot(p, q).real
        x, r = x + step * p, r - step * q
        before, power = power, np.vdot(r, r).real
        p = r + power / before * p
    return x


def _some(n: int) -> Array:
    return np.random.default_rng(7).integers(0, n, _CHECKS)


def _hold(found: complex, total: complex, scale: float | np.floating) -> None:
    if not abs(found - total) <= _TOLD * float(scale):
        raise ArithmeticError(f"the reference misses the sum: {found} beside {total}")
