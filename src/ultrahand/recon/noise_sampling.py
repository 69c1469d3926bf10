r"""The noise of any reconstruction, from random vectors: the general ways, and the costly ones.

`hutchinson` reads the diagonal of a covariance that can be applied: with :math:`v` of modulus 1 and
random phase the mean of :math:`Re(v^* \odot C v)` over n vectors is the diagonal, with the variance
:math:`\sum_{j \ne i} |C_{ij}|^2 / (2 n)` (Bekas, Kokiopoulou, Saad: Appl Numer Math 2007;57:1214,
doi:10.1016/j.apnum.2007.01.003). It supposes nothing of C; combs (`noise_map`) suppose that voxels
far from each other share little, and need far fewer.

`pseudo_replicas` reconstructs the data with more noise added, again and again (Robson, Grant,
Madhuranthakam, Lattanzi, Sodickson, McKenzie: MRM 2008;60:895, doi:10.1002/mrm.21728): the only one
of the two for a reconstruction that is not linear. The noise of such an image depends on the image,
and along its phase (of the magnitude) it differs from that across it (of the phase), so both are
returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.records.arrays import Complex, Complex64, Float32, Float64, Real, freeze, require


def hutchinson(
    covariance: Callable[[Complex64], Complex],
    shape: tuple[int, ...],
    *,
    vectors: int,
    seed: int = 0,
) -> tuple[Float64, Float64]:
    """Return the diagonal of a covariance, and the standard error of each value.

    Parameters
    ----------
    covariance
        Applies C, Hermitian, to an array.
    shape
        Of what it takes and returns.
    vectors
        How many to draw, at least 2.
    seed
        Of the draw: the same vectors for the same seed.

    Returns
    -------
    Float64, Float64
        Both of `shape`.

    Raises
    ------
    ultrahand.errors.RecordError
        If there are fewer than 2 vectors.
    """
    require(vectors >= 2, f"vectors must be >= 2, got {vectors}")
    mean, squares = np.zeros(shape), np.zeros(shape)
    for number in range(vectors):
        turns = np.random.default_rng((seed, number)).random(shape, np.float32)
        v = np.exp(2j * np.pi * turns).astype(np.complex64)
        read = (v.conj() * covariance(v)).real.astype(np.float64)
        step = read - mean
        mean += step / (number + 1)
        squares += step * (read - mean)
    return mean, np.sqrt(squares / (vectors - 1) / vectors)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Replicas:
    """What reconstructions of replicas had in common, and how they differed."""

    mean: Complex64
    """Of the images."""
    along: Float32
    """Standard deviation along the phase of the mean: of the magnitude, where it is well above the
    noise (`ultrahand.recon.uncertainty.first_order_limit`)."""
    across: Float32
    """Across it: over the magnitude, that of the phase in radians. 0 for real images."""
    number: int
    """Of replicas."""

    def __post_init__(self) -> None:
        freeze(self, mean=self.mean, along=self.along, across=self.across)

    @property
    def standard_error(self) -> float:
        """Relative, of each standard deviation: ``1 / sqrt(2 (number - 1))`` of normal noise."""
        return 1 / math.sqrt(2 * (self.number - 1))


def pseudo_replicas(
    reconstruct: Callable[[Complex64], Complex | Real],
    noise_shape: tuple[int, ...],
    *,
    replicas: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Replicas:
    """Return mean and spread of the images of data with noise added.

    Only sums are kept, whatever the number of replicas.

    Parameters
    ----------
    reconstruct
        Takes noise of unit variance in the real and in the imaginary part and returns the image of
        the whitened data with it added. The data must be as they were measured: their own noise is
        the same in all replicas, so it is in the mean and not in the spread.
    noise_shape
        Of the noise.
    replicas
        How many, at least 2.
    seed
        Of the noise: replica n is the same whatever their number.
    progress
        Called with 1 after each.

    Raises
    ------
    ultrahand.errors.RecordError
        If there are fewer than 2 replicas, or an image is not finite.
    """
    require(replicas >= 2, f"replicas must be >= 2, got {replicas}")
    for number in range(replicas):
        rng = np.random.default_rng((seed, number))
        noise = np.empty(noise_shape, np.complex64)
        noise.real = rng.standard_normal(noise_shape, np.float32)
        noise.imag = rng.standard_normal(noise_shape, np.float32)
        image = np.asarray(reconstruct(noise)).astype(np.complex128)
        require(bool(np.isfinite(image).all()), f"the image of replica {number} is not finite")
        if number == 0:
            mean, power = np.zeros_like(image), np.zeros(image.shape)
            pseudo = np.zeros_like(image)
        step = image - mean
        mean += step / (number + 1)
        rest = image - mean
        power += (step.conj() * rest).real
        pseudo += step * rest
        progress(1)
    turned = (pseudo * np.exp(-2j * np.angle(mean))).real
    each = 2 * (replicas - 1)
    return Replicas(
        mean=mean.astype(np.complex64),
        along=np.sqrt(np.maximum(power + turned, 0) / each).astype(np.float32),
        across=np.sqrt(np.maximum(power - turned, 0) / each).astype(np.float32),
        number=replicas,
    )
