"""The adaptive combination in plain numpy, one voxel at a time."""

import numpy as np


def local_covariance(images, centre, radius):
    """Sum of v v^H over the block around a voxel, clipped at the edges."""
    block = tuple(slice(max(0, c - r), c + r + 1) for c, r in zip(centre, radius, strict=True))
    v = images[(slice(None), *block)].reshape(len(images), -1).astype(np.complex128)
    return v @ v.conj().T


def dominant(covariance):
    """Unit eigenvector of the largest eigenvalue; the loudest coil's component is positive."""
    vector = np.linalg.eigh(covariance)[1][:, -1]
    loudest = np.argmax(covariance.diagonal().real)
    return vector * np.conj(vector[loudest]) / abs(vector[loudest])


def walsh(images, at, radius):
    """Weights (z, y, x, coils) at the positions ``at``."""
    out = np.empty((*map(len, at), len(images)), np.complex128)
    for index in np.ndindex(out.shape[:3]):
        centre = [axis[i] for axis, i in zip(at, index, strict=True)]
        out[index] = dominant(local_covariance(images, centre, radius))
    return out


def bracket(axis, voxel):
    """The two positions around a voxel and the share of each."""
    low = min(np.searchsorted(axis, voxel, "right") - 1, max(len(axis) - 2, 0))
    high = min(low + 1, len(axis) - 1)
    share = (voxel - axis[low]) / (axis[high] - axis[low]) if high > low else 0.0
    return [(low, 1 - share), (high, share)]


def steady(weights, power, half, reference):
    """Weights turned to the phase of the eigenvector of the weights around each."""
    out = np.zeros(weights.shape, np.complex128)
    for place in np.ndindex(weights.shape[:3]):
        around = tuple(slice(max(0, p - half), p + half + 1) for p in place)
        w = weights[around].reshape(-1, weights.shape[3]) * np.sqrt(power[around]).reshape(-1, 1)
        vector = np.linalg.eigh(np.einsum("na,nb->ab", w, w.conj()))[1][:, -1]
        turn = np.vdot(weights[place], vector) * np.vdot(vector, reference)
        out[place] = weights[place] * turn / abs(turn)
    return out


def combine(images, weights, at):
    """The image (z, y, x) of interpolated unit weights."""
    out = np.empty(images.shape[1:], np.complex128)
    for voxel in np.ndindex(out.shape):
        sides = [bracket(axis, v) for axis, v in zip(at, voxel, strict=True)]
        weight = np.zeros(len(images), np.complex128)
        for corner in np.ndindex(2, 2, 2):
            chosen = [side[c] for side, c in zip(sides, corner, strict=True)]
            share = np.prod([part for _, part in chosen])
            weight += share * weights[tuple(index for index, _ in chosen)]
        weight /= np.linalg.norm(weight)
        out[voxel] = np.vdot(weight, images[(slice(None), *voxel)])
    return out
