"""Ellipses that enhance, seen by an array of coils along golden-angle spokes: all in closed form.

The k-space of an ellipse is a Bessel function, a coil is a sum of plane waves that shift it, and
each spoke is measured at its own instant: nothing here is made by an operator under test.
"""

import numpy as np

from ultrahand.phantoms import Ellipse, smooth_coils, transform
from ultrahand.recon.dynamic_data import DynamicData
from ultrahand.recon.trajectories import k_max_per_m, radial_2d

FOV = 0.16
TR = 0.1


def rise(time_s, arrival_s, length_s=6.0, tail_s=60.0):
    """Raised cosine up to 1 over ``length_s``, half way at ``arrival_s``, then a slow decay."""
    since = (time_s - arrival_s) / length_s + 0.5
    up = 0.5 - 0.5 * np.cos(np.pi * np.clip(since, 0, 1))
    return up * np.exp(-np.maximum(since - 1, 0) * length_s / tail_s)


class Case:
    """A hand of sorts: a static body, two arteries, a vein, and tissue that takes up slowly."""

    def __init__(self, n, coils=6, spokes=240, oversampling=1.5, noise=0.0, seed=0, courses=None):
        self.n, self.voxel = n, FOV / n
        self.time_s = (np.arange(spokes) + 0.5) * TR
        # name: centre and semi-axes in units of the field of view, density, enhancement, course
        self.parts = {
            "body": ((0.0, 0.0), (0.36, 0.30), 1.0, None),
            "tissue": ((0.0, 0.14), (0.16, 0.07), 0.2, (0.4, lambda t: rise(t, 12.0, 14.0, 1e9))),
            "artery": ((-0.16, -0.08), (0.03, 0.03), 0.2, (2.0, lambda t: rise(t, 6.0))),
            "artery 2": ((0.02, -0.12), (0.025, 0.04), 0.2, (2.0, lambda t: rise(t, 8.0))),
            "vein": ((0.18, -0.04), (0.035, 0.03), 0.2, (1.5, lambda t: rise(t, 14.0))),
        }
        if courses is not None:
            for name, course in courses.items():
                where, axes, density, (gain, _) = self.parts[name]
                self.parts[name] = (where, axes, density, (gain, course))
        array = smooth_coils(coils, (FOV, FOV, FOV))
        offsets = (np.arange(n) - n // 2) * self.voxel
        x, y = np.meshgrid(offsets, offsets)
        self.r = np.stack([x, y, np.zeros_like(x)], axis=-1)
        k = radial_2d(spokes, int(oversampling * n), k_max_per_m(n, FOV), golden=True)
        clean = self._samples(k, array)
        rng = np.random.default_rng(seed)
        white = rng.standard_normal((2, *clean.shape))
        self.scale = 1 / noise if noise else 1.0  # whitened: the noise of samples is 1
        samples = clean * self.scale + (white[0] + 1j * white[1] if noise else 0)
        maps = array.values(self.r)[:, None]
        self.data = DynamicData(
            samples=samples[:, None].astype(np.complex64),
            k_per_m=k,
            time_s=self.time_s,
            maps=maps.astype(np.complex64),
            voxel_size_m=(self.voxel, self.voxel),
        )

    def _ellipse(self, name):
        (cx, cy), (a, b), density, _ = self.parts[name]
        span = np.array([[a * FOV, 0, 0], [0, b * FOV, 0]])
        return Ellipse(
            centre_m=np.array([cx * FOV, cy * FOV, 0.0]),
            span_m=span,
            density=density,
            r2star_per_s=0.0,
            off_resonance_hz=0.0,
        )

    def course(self, name, time_s):
        """Signal of a part over time, its density before."""
        _, _, density, enhancing = self.parts[name]
        gain = 0.0 if enhancing is None else enhancing[0] * enhancing[1](np.asarray(time_s))
        return density * (1.0 + gain) + 0.0 * np.asarray(time_s)

    def _samples(self, k, array):
        positions = np.concatenate([k, np.zeros((*k.shape[:2], 1))], axis=-1)
        total = np.zeros((array.n_coils, *k.shape[:2]), complex)
        for name in self.parts:
            part, change = self._ellipse(name), self.course(name, self.time_s) / self.parts[name][2]
            for wave, weights in zip(array.waves_per_m, array.weights.T, strict=True):
                seen = transform(part, positions - wave) * change[:, None]
                total += weights[:, None, None] * seen
        return total / (self.voxel**2 * self.n)  # sum over voxels for the integral; orthonormal

    def inside(self, name, shrink=0.0):
        """Voxels whose middle lies in a part, by so many voxels."""
        (cx, cy), (a, b), _, _ = self.parts[name]
        u = (self.r[..., 0] - cx * FOV) / (a * FOV - shrink * self.voxel)
        v = (self.r[..., 1] - cy * FOV) / (b * FOV - shrink * self.voxel)
        return u**2 + v**2 <= 1

    def truth(self, time_s):
        """Images of all parts at some times, ``(times, y, x)``, voxels covered in part in part."""
        out = np.zeros((len(time_s), self.n, self.n))
        fine = (np.arange(5) - 2) / 5 * self.voxel
        for name in self.parts:
            (cx, cy), (a, b), _, _ = self.parts[name]
            cover = np.zeros((self.n, self.n))
            for dx in fine:
                for dy in fine:
                    u = (self.r[..., 0] + dx - cx * FOV) / (a * FOV)
                    v = (self.r[..., 1] + dy - cy * FOV) / (b * FOV)
                    cover += (u**2 + v**2 <= 1) / fine.size**2
            out += self.course(name, time_s)[:, None, None] * cover
        return out * self.scale

    def curve(self, images, name, shrink=1.0):
        """Mean over a part, ``(times,)``, of images ``(times, 1, y, x)``."""
        return np.abs(images[:, 0, self.inside(name, shrink)].mean(axis=1)) / self.scale
