"""What the problems share: positions, a hand in pixels, smooth coils, noise of unit variance."""

from __future__ import annotations

from typing import Final

import numpy as np

from ultrahand.bench.problem import Array, Size
from ultrahand.recon.fourier import image_to_kspace
from ultrahand.recon.trajectories import radial_2d, radial_3d

_FINGERS: Final = (
    (-0.62, 0.10, 0.30, -35.0),
    (-0.36, -0.35, 0.42, -8.0),
    (-0.12, -0.45, 0.45, 0.0),
    (0.13, -0.40, 0.43, 5.0),
    (0.36, -0.28, 0.36, 12.0),
)
"""Centre x, y, half length (half fields of view), tilt in degrees."""


def spokes_3d(matrix: int, size: Size) -> Array:
    """Return 10,000 spokes of 384 samples from the centre out, ``(samples, 3)``.

    In cycles per field of view, axes z, y, x, rounded to float32: all contestants and the
    reference then have the same positions.
    """
    spokes, samples = (10_000, 384) if size == "full" else (200, 48)
    k = radial_3d(spokes, samples, matrix / 2).reshape(-1, 3)
    return np.ascontiguousarray(k[:, ::-1].astype(np.float32))


def spokes_2d(spokes: int, samples: int, matrix: int) -> Array:
    """Return full spokes at golden angles, ``(samples, 2)``, as `spokes_3d`; axes y, x."""
    k = radial_2d(spokes, samples, matrix / 2, golden=True).reshape(-1, 2)
    return np.ascontiguousarray(k[:, ::-1].astype(np.float32))


def metric(k_cycles: Array) -> Array:
    """Return positions as ours takes them: float64, axes x, y (, z), of a field of view of 1 m."""
    return np.ascontiguousarray(k_cycles[:, ::-1].astype(np.float64))


def random_complex(rng: np.random.Generator, *shape: int) -> Array:
    """Return complex64 noise of variance 1 in each part."""
    parts = rng.standard_normal((2, *shape), np.float32)
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def hand(n: int) -> Array:
    """Return a palm and five fingers with bones and vessels under one smooth phase, ``(n, n)``."""
    y, x = _grid(n)
    image = np.zeros((n, n))

    def add(cy: float, cx: float, ry: float, rx: float, value: float, degrees: float = 0) -> None:
        t = np.deg2rad(degrees)
        u = (x - cx) * np.cos(t) + (y - cy) * np.sin(t)
        v = (y - cy) * np.cos(t) - (x - cx) * np.sin(t)
        image[(u / rx) ** 2 + (v / ry) ** 2 < 1] += value

    add(0.35, 0.0, 0.48, 0.42, 0.6)
    for number, (cx, cy, length, tilt) in enumerate(_FINGERS):
        add(cy, cx, length, 0.105, 0.6 - 0.02 * number, tilt)
        add(cy, cx, 0.8 * length, 0.045, -0.35, tilt)
        add(0.3, 0.6 * cx, 0.25, 0.04, -0.3, tilt / 2)
        add(cy, cx + 0.08, 0.7 * length, 0.012, 0.35, tilt)
    return np.maximum(image, 0) * np.exp(1j * (0.8 * x + 0.6 * y**2))


def coils(n: int, count: int, width: float = 0.9) -> Array:
    """Return Gaussian sensitivities around the field of view, complex128 ``(count, n, n)``."""
    y, x = _grid(n)
    made = []
    for angle in 2 * np.pi * np.arange(count) / count:
        far = (y - 1.1 * np.sin(angle)) ** 2 + (x - 1.1 * np.cos(angle)) ** 2
        turn = angle + 0.7 * (x * np.cos(angle) + y * np.sin(angle))
        made.append(np.exp(-far / (2 * width**2) + 1j * turn))
    maps = np.array(made)
    return maps / np.sqrt((np.abs(maps) ** 2).sum(axis=0)).max()


def hand_3d(shape: tuple[int, ...]) -> Array:
    """Return four fingers with bones in one large ellipsoid, ``(z, y, x)``: constant pieces."""
    z, y, x = _axes(shape)
    image = ((x / 0.6) ** 2 + (y / 0.35) ** 2 + (z / 0.8) ** 2 < 1) * 0.6
    for cx in (-0.35, -0.12, 0.12, 0.35):
        image += (((x - cx) / 0.09) ** 2 + (y / 0.12) ** 2 + (z / 0.7) ** 2 < 1) * 0.4
        image -= (((x - cx) / 0.04) ** 2 + (y / 0.05) ** 2 + (z / 0.6) ** 2 < 1) * 0.3
    return np.maximum(image, 0) * np.exp(1j * (0.7 * x - 0.5 * z * y))


def coils_3d(shape: tuple[int, ...], count: int, width: float = 0.9) -> Array:
    """Return Gaussian sensitivities in two rings around the field of view, ``(count, z, y, x)``."""
    z, y, x = _axes(shape)
    made = []
    for coil, angle in enumerate(2 * np.pi * np.arange(count) / count):
        far = (y - 1.1 * np.sin(angle)) ** 2 + (x - 1.1 * np.cos(angle)) ** 2
        far = far + (z - 0.8 * (coil % 2 * 2 - 1)) ** 2
        turn = angle + 0.7 * (x * np.cos(angle) + y * np.sin(angle))
        made.append(np.exp(-far / (2 * width**2) + 1j * turn))
    maps = np.array(made)
    return maps / np.sqrt((np.abs(maps) ** 2).sum(axis=0)).max()


def whitened_kspace(images: Array, noise: float, seed: int) -> tuple[Array, float]:
    """Return noisy Cartesian k-space in noise units, and the gain that made its noise unit.

    Parameters
    ----------
    images
        Coil images, ``(coils, y, x)``.
    noise
        Standard deviation of each part over the mean magnitude of k-space.
    seed
        Of the noise.
    """
    clean = image_to_kspace(images, (-2, -1))
    gain = 1 / (noise * float(np.abs(clean).mean()))
    white = random_complex(np.random.default_rng(seed), *clean.shape)
    return (gain * clean + white).astype(np.complex64), gain


def object_mask(image: Array) -> Array:
    """Return where the object is."""
    inside: Array = np.abs(image) > 0.05
    return inside


def _grid(n: int) -> list[Array]:
    return _axes((n, n))


def _axes(shape: tuple[int, ...]) -> list[Array]:
    """Return coordinates from -1 to 1 along each axis."""
    return list(np.meshgrid(*[(np.arange(n) - n // 2) / (n / 2) for n in shape], indexing="ij"))
