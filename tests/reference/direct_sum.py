"""The Fourier sum by its definition: the truth that fast transforms are held to."""

import numpy as np


def voxel_positions_m(shape, voxel_size_m):
    """Positions from voxel N // 2, shape (voxels, dims), columns read, phase(, slice)."""
    axes = [
        (np.arange(n) - n // 2) * size
        for n, size in zip(shape, reversed(voxel_size_m), strict=True)
    ]
    return np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")][::-1], axis=1)


def fourier_matrix(k_per_m, shape, voxel_size_m):
    """Shape (samples, voxels): exp(-2 pi i k r) / sqrt(voxels), in double precision."""
    phase = k_per_m @ voxel_positions_m(shape, voxel_size_m).T
    return np.exp(-2j * np.pi * phase) / np.sqrt(np.prod(shape))


def direct_sum(image, k_per_m, voxel_size_m):
    """Samples (n,) of an image (z, y, x) or (y, x)."""
    return fourier_matrix(k_per_m, image.shape, voxel_size_m) @ image.ravel()


def direct_adjoint(samples, k_per_m, shape, voxel_size_m):
    """Image of samples (n,)."""
    matrix = fourier_matrix(k_per_m, shape, voxel_size_m)
    return (matrix.conj().T @ samples).reshape(shape)


def cartesian_points(shape, voxel_size_m):
    """k_per_m of a full Cartesian grid in the order of its raveled k-space, origin at N // 2."""
    axes = [
        (np.arange(n) - n // 2) / (n * size)
        for n, size in zip(shape, reversed(voxel_size_m), strict=True)
    ]
    return np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")][::-1], axis=1)
