r"""How differences between voxels become gradients, in noise units.

White noise of density :math:`\nu = n / V` (information a volume) is the same for every voxel volume
V: a voxel twice as large knows twice as much. The balance of

.. math:: \tfrac{\nu}{2} \int |x - d|^2 \, dr + \lambda \int |\nabla x| \, dr

does therefore not depend on the voxel. In noise units, :math:`x' = x \sqrt n`, and with
:math:`\lambda = w \sqrt\nu\, l^{d/2 - 1}` for a reference length l and d axes, the second term is

.. math:: w \sum \sqrt{V / l^d}\; \Bigl|\Bigl(\frac{l}{h_a} \Delta_a x'\Bigr)_a\Bigr|

with h_a the voxel's edges and V their product over the d axes. So w is what it would be for voxels
of edge l, where it counts noise standard deviations of a voxel, and it gives the same balance for
every other voxel. For equal edges and d = 2 the factors are 1 whatever the voxel.
"""

from __future__ import annotations

import math

from ultrahand.records.arrays import require

REFERENCE_M = 1e-3
"""l: a millimetre."""


def check_axes(axes: tuple[int, ...], voxel_size_m: tuple[float, ...] | None) -> None:
    """Refuse axes and voxel edges that do not belong together."""
    good = bool(axes) and set(axes) <= {-4, -3, -2, -1} and len(set(axes)) == len(axes)
    require(good, f"axes must be some of -4 (frames), -3, -2, -1, each once, got {axes}")
    if voxel_size_m is None:
        return
    require(
        len(voxel_size_m) == len(axes) and all(0 < h < math.inf for h in voxel_size_m),
        f"voxel_size_m must hold a length for each of the axes {axes}, got {voxel_size_m}",
    )
    require(-4 not in axes, "frames have no length: take them without voxel_size_m")


def slopes(axes: tuple[int, ...], voxel_size_m: tuple[float, ...] | None) -> tuple[float, ...]:
    """Return ``l / h_a``; 1 without lengths."""
    if voxel_size_m is None:
        return (1.0,) * len(axes)
    return tuple(REFERENCE_M / h for h in voxel_size_m)


def share(voxel_size_m: tuple[float, ...] | None) -> float:
    """Return ``sqrt(V / l^d)``; 1 without lengths."""
    if voxel_size_m is None:
        return 1.0
    return math.sqrt(math.prod(h / REFERENCE_M for h in voxel_size_m))
