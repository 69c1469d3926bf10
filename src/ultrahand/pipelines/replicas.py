"""The scatter of an image that depends on its noise in no linear way: pseudo-replicas.

The same reconstruction of the same samples with more noise of the known level added, several times
with a fixed seed; the standard deviation over these images is that of the voxels (Robson et al: MRM
2008;60:895, doi:10.1002/mrm.21728). It is what repeated measurements would scatter by, to first
order; by how much a prior moves the mean of them (its bias) is no scatter, and is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np

from ultrahand.records.arrays import Complex64, Float32

SEED = 20081


@final
@dataclass(slots=True)
class Scatter:
    """Sums over replicas of an image, as they come (Welford: Technometrics 1962;4:419)."""

    count: int = 0
    _mean: Complex64 | None = field(default=None, repr=False)
    _squares: Float32 | None = field(default=None, repr=False)

    def add(self, image: Complex64) -> None:
        """Count one in."""
        if self._mean is None or self._squares is None:
            self._mean, self._squares = np.zeros_like(image), np.zeros(image.shape, np.float32)
        self.count += 1
        before = image - self._mean
        self._mean += before * np.float32(1 / self.count)
        after = image - self._mean
        self._squares += before.real * after.real + before.imag * after.imag

    def sd(self) -> Float32:
        """Return the standard deviation of a real part: the mean of real and imaginary variance."""
        assert self._squares is not None
        return np.sqrt(self._squares / np.float32(2 * (self.count - 1)))


def scatter_of(make: Callable[[np.random.Generator], Complex64], count: int, *key: int) -> Float32:
    """Return the scatter of an image.

    Parameters
    ----------
    make
        Returns the image with noise from a generator added to its samples.
    count
        Replicas, 2 or more.
    key
        What of the measurement this is (a plane): each has its own noise.
    """
    scatter = Scatter()
    for number in range(count):
        scatter.add(make(np.random.default_rng([SEED, *key, number])))
    return scatter.sd()


def white(rng: np.random.Generator, shape: tuple[int, ...]) -> Complex64:
    """Return noise of variance 1 in each part."""
    parts = rng.standard_normal((*shape, 2), np.float32)
    return parts.view(np.complex64)[..., 0]


def words(count: int) -> str:
    """Return what to say of a scatter.

    A variance of n = 2 (count - 1) numbers has a relative error of the root of 2 / n, its root half
    of that.
    """
    unsure = 1 / (2 * math.sqrt(count - 1))
    return (
        f"the scatter of {count} pseudo-replicas with a fixed seed, each voxel known to "
        f"{unsure:.0%}; the bias of the prior is not in it"
    )
