"""Pipe and Menon's convolution by its definition, for a few samples and small grids."""

import numpy as np


def window(grid):
    """The overlap of the ellipse of the field of view with itself, on twice the grid.

    Integrated numerically over the common chord: the overlap of two balls of diameter 1 at the
    distance rho is two caps, each the integral of its cross-sections.
    """
    dims = len(grid)
    axes = np.meshgrid(*[np.arange(-n, n) / n for n in grid], indexing="ij")
    rho = np.minimum(np.sqrt(sum(a**2 for a in axes)), 1)
    t = (np.arange(4000) + 0.5) / 4000  # midpoints of the cap, from rho / 2 to the pole at 1 / 2
    height = rho[..., None] / 2 + t * (1 - rho[..., None]) / 2
    radius = np.sqrt(np.maximum(0.25 - height**2, 0))
    section = 2 * radius if dims == 2 else np.pi * radius**2
    cap = section.mean(axis=-1) * (1 - rho) / 2
    return 2 * cap / (np.pi / 4 if dims == 2 else np.pi / 6)


def psi_matrix(at, of, grid):
    """psi(at_i - of_j), positions in cells along the axes of the grid, shape (at, of)."""
    h = window(grid)
    r = np.stack([a.ravel() for a in np.meshgrid(*[np.arange(-n, n) for n in grid], indexing="ij")])
    turns = r.T / np.array(grid)
    there, here = np.exp(2j * np.pi * (at @ turns.T)), np.exp(2j * np.pi * (of @ turns.T))
    return ((there * h.ravel()) @ here.conj().T).real / np.prod(grid)


def lattice(grid):
    """Positions of the cells in FFT order, shape (cells, dims)."""
    axes = [np.fft.fftfreq(n, 1 / n) for n in grid]
    return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
