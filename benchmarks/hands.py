"""Hands of ellipses on a grid, with smooth coils, for problems that need images and no scan."""

import numpy as np


def grid(shape):
    """Return coordinates from -1 to 1 along each axis."""
    return np.meshgrid(*[(np.arange(n) - n // 2) / (n / 2) for n in shape], indexing="ij")


def hand_2d(n):
    """Palm, five fingers, bones, vessels: sharp edges, one smooth phase; n x n."""
    y, x = grid((n, n))
    image = np.zeros((n, n))

    def ellipse(cy, cx, ry, rx, value, degrees=0.0):
        t = np.deg2rad(degrees)
        u = (x - cx) * np.cos(t) + (y - cy) * np.sin(t)
        v = -(x - cx) * np.sin(t) + (y - cy) * np.cos(t)
        image[(u / rx) ** 2 + (v / ry) ** 2 < 1] += value

    ellipse(0.35, 0, 0.48, 0.42, 0.6)
    fingers = [
        (-0.62, 0.10, 0.30, -35),
        (-0.36, -0.35, 0.42, -8),
        (-0.12, -0.45, 0.45, 0),
        (0.13, -0.40, 0.43, 5),
        (0.36, -0.28, 0.36, 12),
    ]
    for i, (cx, cy, length, degrees) in enumerate(fingers):
        ellipse(cy, cx, length, 0.105, 0.6 - 0.02 * i, degrees)
        ellipse(cy, cx, length * 0.8, 0.045, -0.35, degrees)
        ellipse(0.3, cx * 0.6, 0.25, 0.04, -0.3, degrees * 0.5)
        ellipse(cy, cx + 0.08, length * 0.7, 0.012, 0.35, degrees)
    rng = np.random.default_rng(5)
    for _ in range(30):
        cy, cx = rng.uniform(-0.1, 0.8), rng.uniform(-0.35, 0.35)
        ellipse(cy, cx, 0.02, 0.02, rng.uniform(0.1, 0.4))
    return np.maximum(image, 0) * np.exp(1j * (0.8 * x + 0.6 * y * y))


def hand_3d(shape):
    """Four fingers with bones in one large ellipsoid; ``(z, y, x)``."""
    z, y, x = grid(shape)
    image = ((x / 0.6) ** 2 + (y / 0.35) ** 2 + (z / 0.8) ** 2 < 1) * 0.6
    for cx in (-0.35, -0.12, 0.12, 0.35):
        image += (((x - cx) / 0.09) ** 2 + (y / 0.12) ** 2 + (z / 0.7) ** 2 < 1) * 0.4
        image -= (((x - cx) / 0.04) ** 2 + (y / 0.05) ** 2 + (z / 0.6) ** 2 < 1) * 0.3
    return np.maximum(image, 0) * np.exp(1j * (0.7 * x - 0.5 * z * y))


def coils(shape, number, width=0.9):
    """Return Gaussian sensitivities round about, ``(coils, ...)``; at most of unit power."""
    places = grid(shape)
    maps = []
    for c in range(number):
        a = 2 * np.pi * c / number
        at = [1.1 * np.sin(a), 1.1 * np.cos(a)]
        if len(shape) == 3:
            at = [0.8 * (c % 2 * 2 - 1), *at]
        distance = sum((axis - p) ** 2 for axis, p in zip(places, at, strict=True))
        turn = a + 0.7 * places[-1] * np.cos(a) + 0.7 * places[-2] * np.sin(a)
        maps.append(np.exp(-distance / (2 * width**2) + 1j * turn))
    stack = np.array(maps)
    return stack / np.sqrt((np.abs(stack) ** 2).sum(axis=0)).max()


def relative_error(image, truth):
    """Return the error left by the best complex scale: scales differ between toolkits."""
    x, r = (np.ravel(array).astype(complex) for array in (image, truth))
    scale = np.vdot(x, r) / np.vdot(x, x).real
    return float(np.linalg.norm(scale * x - r) / np.linalg.norm(r))
