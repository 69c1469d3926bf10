"""GRAPPA in plain numpy, one position at a time."""

from itertools import product

import numpy as np


def on_lattice(shape, basis, offset):
    """True where n = (position - offset) / basis is whole: the definition."""
    positions = np.indices(shape).reshape(3, -1).T - np.array(offset)
    n = positions @ np.linalg.inv(basis)
    return (np.abs(n - np.round(n)) < 1e-6).all(axis=1).reshape(shape)


def extended_lattice(shape, basis, offset):
    """`on_lattice` for three times the grid, the grid itself in the middle."""
    return on_lattice([3 * n for n in shape], basis, np.array(offset) + shape)


def equations(calibration, sources, targets):
    """Columns of sources (coils sources) and targets (targets coils) of all places that fit."""
    reach = np.concatenate([sources, targets])
    low, high = reach.min(axis=0), reach.max(axis=0)
    a, b = [], []
    ends = zip(low, high, calibration.shape[1:], strict=True)
    for u in product(*(range(-lo, n - hi) for lo, hi, n in ends)):
        a.append([coil[tuple(u + s)] for coil in calibration for s in sources])
        b.append([coil[tuple(u + t)] for t in targets for coil in calibration])
    return np.array(a, complex).T, np.array(b, complex).T


def weights(calibration, sources, targets, damping):
    """The damped least squares solution, by stacking the damping under the equations."""
    a, b = equations(calibration, sources, targets)
    n = len(a)
    stacked = np.concatenate([a.T, np.sqrt(damping) * np.eye(n)])
    wanted = np.concatenate([b.T, np.zeros((n, len(b)))])
    k = np.linalg.lstsq(stacked, wanted, rcond=None)[0].T
    return k.reshape(len(targets), len(calibration), len(calibration), len(sources))


def fill(kspace, mask, lattice, window, values, *, around=False):
    """Fill position by position.

    ``lattice``: where its positions are, extended beyond the grid by its own size on each side;
    ``around``: sources beyond the grid are those of its other side, not zero.
    """
    sources, targets, nearest = window
    shape = np.array(mask.shape)
    middle = lattice[tuple(slice(n, 2 * n) for n in shape)]
    given = np.where(mask & middle, kspace, 0)
    out = np.where(mask, kspace, 0).astype(complex)
    inside = lambda p: bool(np.all((p >= 0) & (p < shape)))  # noqa: E731
    for p in np.argwhere(~mask):
        for t, target in enumerate(targets):
            u = p - target
            known = any(not inside(u + q) or mask[tuple(u + q)] for q in nearest[t])
            if lattice[tuple(u + shape)] and known:
                read = np.zeros((len(kspace), len(sources)), complex)
                for s, source in enumerate(sources):
                    if around or inside(u + source):
                        read[:, s] = given[(slice(None), *((u + source) % shape))]
                out[(slice(None), *p)] = np.einsum("kcs,cs->k", values[t], read)
    return out
