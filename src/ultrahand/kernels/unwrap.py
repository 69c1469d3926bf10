"""Whole turns of a wrapped phase along a spanning tree of its voxels."""

from __future__ import annotations

import numpy as np
from numba import njit

from ultrahand.kernels._jit import kernel


@njit
def _root(parent, turns, at):
    """Return the root of a voxel's tree; afterwards the voxel hangs on it directly."""
    root, total = at, 0
    while parent[root] != root:
        total += turns[root]
        root = parent[root]
    while parent[at] != root and at != root:
        above, mine = parent[at], turns[at]
        parent[at], turns[at] = root, total
        at, total = above, total - mine
    return root


@kernel()
def join_voxels(phase, edges, out):
    """Join voxels by the edges in their order, and write how many turns to add to each.

    ``phase``: float64 ``(voxels,)``, radians; ``edges``: int64 ``(2, edges)``, pairs of voxels, the
    most reliable first; ``out``: int64 ``(2, voxels)``: turns relative to the root of the voxel's
    tree, and that root. An edge inside a tree is passed over, so that the edges that count are the
    maximum spanning tree (Kruskal: Proc Am Math Soc 1956;7:48).
    """
    turns, parent = out[0], out[1]
    size = np.ones(phase.size, np.int64)
    for voxel in range(phase.size):
        turns[voxel] = 0
        parent[voxel] = voxel
    for edge in range(edges.shape[1]):
        a, b = edges[0, edge], edges[1, edge]
        top, low = _root(parent, turns, a), _root(parent, turns, b)
        if top == low:
            continue
        step = -np.int64(np.rint((phase[b] - phase[a]) / (2.0 * np.pi)))
        shift = turns[a] + step - turns[b]
        if size[top] < size[low]:
            top, low, shift = low, top, -shift
        parent[low] = top
        turns[low] = shift
        size[top] += size[low]
    for voxel in range(phase.size):
        _root(parent, turns, voxel)
