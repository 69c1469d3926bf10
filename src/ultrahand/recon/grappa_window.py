r"""Which acquired samples a GRAPPA kernel reads, and which missing ones it gives.

One window serves all missing positions: the cell of the lattice around its middle holds the
``rate - 1`` targets, so the samples are gathered once for all of them.

The window is a box. With :math:`b_j` the shortest basis of the lattice (each row given to the axis
it points along), and :math:`n_j` acquired samples wanted along each,

.. math:: w_a = \gamma \sqrt{\textstyle\sum_j (n_j b_{ja})^2}, \qquad
          m = \tfrac{1}{2} \textstyle\sum_{n_j\ even} b_j

are its widths (in the proportions of the parallelepiped of the :math:`n_j b_j`) and its middle,
with :math:`\gamma = 1` for an axis that shares no basis vector with another and else such that the
box has the volume of the parallelepiped. The sources are the positions of the lattice inside the
open box. On a rectangular lattice these are exactly :math:`n_z n_y n_x` samples; on an oblique one
about as many, as near to the middle as they come. The set is symmetric about m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import final

import numpy as np

from ultrahand.recon.lattice import Int64, Lattice, Shape, residues
from ultrahand.records.arrays import Float64, freeze, require

ACCELERATED, FULL = 4, 5
"""Samples of the default kernel along undersampled and other axes.

On a hand of 256^2 voxels, 16 coils and 24 calibration lines, the root sum of squares misses the
truth by 9.3e-3 at rate 2 x 2 (kernels 2 x 4: 1.02e-2, 5 x 5: 9.6e-3, 6 x 6: 1.2e-2) and by 9.1e-3
at rate 3 (2 x 5: 1.06e-2, 4 x 4: 9.7e-3, 4 x 7: 9.1e-3, 6 x 6: 1.3e-2): larger kernels leave fewer
places to fit them to."""


LONG = 32
"""Shorter axes sampled in full get one sample: at both ends two of five would lie beyond the grid,
where weights fitted to five are wrong, and that is much of a thin slab."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """Offsets ``(z, y, x)`` from a position of the lattice."""

    sources: Int64
    """Acquired samples read, ``(sources, 3)``."""
    targets: Int64
    """Missing samples given: one of each class, ``(rate - 1, 3)``."""
    nearest: Int64
    """The lattice positions nearest to each target, ``(rate - 1, most, 3)``: where fewer are
    equally near, the first is repeated."""

    def __post_init__(self) -> None:
        freeze(self, sources=self.sources, targets=self.targets, nearest=self.nearest)

    @property
    def first(self) -> Int64:
        """The smallest offset along each axis."""
        return np.minimum(self.sources.min(axis=0), self.targets.min(axis=0, initial=0))

    @property
    def extent(self) -> Shape:
        """Positions that sources and targets span along each axis."""
        last = np.maximum(self.sources.max(axis=0), self.targets.max(axis=0, initial=0))
        z, y, x = (int(v) for v in last - self.first + 1)
        return z, y, x


def default_kernel(lattice: Lattice) -> Shape:
    """Return the samples along z, y, x: 4 where undersampled; else 5, or 1 on axes not `LONG`."""
    shape, periods = lattice.shape, lattice.periods
    z, y, x = (
        ACCELERATED if period > 1 else FULL if n >= LONG else 1
        for n, period in zip(shape, periods, strict=True)
    )
    return z, y, x


def window_of(lattice: Lattice, kernel: Shape | None = None) -> Window:
    """Return the window of a kernel.

    Parameters
    ----------
    lattice
        Of the acquired samples.
    kernel
        Acquired samples along z, y, x; `default_kernel` if None.
    """
    kernel = default_kernel(lattice) if kernel is None else kernel
    require(
        len(kernel) == 3 and min(kernel) >= 1,
        f"kernel must be three numbers from 1 on, (z, y, x), got {kernel}",
    )
    steps = shortest_basis(lattice)
    counts = np.array(kernel)[:, None]
    middle = ((counts + 1) % 2 * steps).sum(axis=0)  # twice m
    width = _widths(counts * steps)
    reach = (width.astype(int) + np.abs(middle)) // 2 + 1
    near = _lattice_positions(lattice, reach)
    sources = near[(np.abs(2 * near - middle) < width).all(axis=1)]
    targets = _targets(lattice, middle)
    return Window(sources=sources, targets=targets, nearest=_nearest(lattice, targets))


def _widths(edges: Int64) -> Float64:
    """Return w for the edges of the parallelepiped; they are whole numbers where gamma is 1."""
    width = np.sqrt((edges**2).sum(axis=0))
    shared = width != np.abs(edges.diagonal())
    if shared.any():
        volume = abs(float(np.linalg.det(edges)))
        excess = math.prod(width.tolist()) / volume
        width[shared] /= excess ** (1 / int(shared.sum()))
    return width


def shortest_basis(lattice: Lattice) -> Int64:
    """Return the shortest vectors that span the lattice; row a is the one most along axis a.

    In up to three dimensions the successive minima of a lattice form a basis (van der Waerden: Acta
    Math 1956;96:265, doi:10.1007/BF02392364).
    """
    vectors = _lattice_positions(lattice, np.array(lattice.periods))
    order = np.lexsort([*np.abs(vectors).T, (vectors**2).sum(axis=1)])
    chosen: list[Int64] = []
    for vector in vectors[order]:
        if np.linalg.matrix_rank(np.array([*chosen, vector])) > len(chosen):
            chosen.append(vector)
    along = np.abs(np.array(chosen))
    best = max(permutations(range(3)), key=lambda p: along[list(p), [0, 1, 2]].sum())
    basis = np.array(chosen)[list(best)]
    return basis * np.where(basis.diagonal() < 0, -1, 1)[:, None]


def _lattice_positions(lattice: Lattice, reach: Int64) -> Int64:
    """Return the lattice's vectors of up to `reach` along each axis, in their order."""
    box = _box(reach)
    return box[~residues(lattice.basis, box).any(axis=1)]


def _targets(lattice: Lattice, middle: Int64) -> Int64:
    """Return of each class of missing positions the one nearest to half of `middle`."""
    box = _box(np.array(lattice.periods) + np.abs(middle))
    box = box[np.argsort(((2 * box - middle) ** 2).sum(axis=1), kind="stable")]
    _, first = np.unique(residues(lattice.basis, box), axis=0, return_index=True)
    targets = box[first]
    return targets[residues(lattice.basis, targets).any(axis=1)]


def _nearest(lattice: Lattice, targets: Int64) -> Int64:
    reach = np.array(lattice.periods) + np.abs(targets).max(axis=0, initial=0)
    vectors = _lattice_positions(lattice, reach)
    found = []
    for target in targets:
        distance = ((vectors - target) ** 2).sum(axis=1)
        found.append(vectors[distance == distance.min()])
    most = max([len(one) for one in found], default=1)
    padded = [np.concatenate([one, one[:1].repeat(most - len(one), axis=0)]) for one in found]
    return np.array(padded, np.int64).reshape(len(targets), most, 3)


def _box(reach: Int64) -> Int64:
    """Return all vectors of up to `reach` along each axis, ``(n, 3)``."""
    sizes = [2 * int(r) + 1 for r in reach]
    return np.indices(sizes).reshape(3, -1).T - np.array(reach)
