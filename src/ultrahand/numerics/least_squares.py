r"""The data term of a regularised reconstruction, and the unit in which its priors are weighed.

.. math:: \tfrac12 |A x - y|^2 + \sum_i w_i R_i(x / \sigma)

is known up to a constant by the normal operator N = A^H A and b = A^H y. The data are whitened
(real and imaginary parts of the noise have variance 1 each), so the first term is the negative
logarithm of the likelihood, and :math:`n = \operatorname{tr} N / \text{voxels}` is what the data
know of a voxel: the mean Fisher information of its real part. Where N is n times the identity (all
of k-space once, coil maps of unit power), the estimate of a voxel, and of every coefficient of an
orthonormal transform, has the noise :math:`\sigma = 1 / \sqrt n` in its real and in its imaginary
part. Elsewhere it is the least noise that the mean voxel could have: an undersampled image is
noisier.

Solvers work on :math:`x' = x / \sigma`, an image in units of that noise: N / n, with eigenvalues
about 1, and :math:`b \sigma`. A weight w then counts noise standard deviations, and it means the
same

* at another scale of the data: A -> a A gives n -> a^2 n, x -> x / a, and the same x';
* with other coils: maps enter through n alone, as far as the noise's amplification is the same;
* on another matrix: orthonormal transforms of white noise are white. How a prior's own sum over
  voxels changes with the voxel is said, and made good, in each prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ultrahand.numerics.blas import one_blas_thread
from ultrahand.numerics.power import largest_eigenvalue
from ultrahand.records.arrays import Complex, Complex64, freeze, require


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class LeastSquares:
    """``|A x - y|^2 / 2`` up to a constant; checked once."""

    normal: Callable[[Any], Complex]
    """Applies N to complex64 of the shape of `rhs`."""
    rhs: Complex64
    """b; its last three axes are z, y, x, those before count frames or components."""
    information: float
    """n: the mean of the diagonal of N."""
    largest: float
    """At least the largest eigenvalue of N: a step is 1 over it."""
    noise_sd: float = 0.0
    """sigma, the unit of `x'`; left out, ``1 / sqrt(information)``. Another one is right where N
    carries weights W that are not 1 / variance (of density, say): ``sqrt(tr A^H W^2 A / voxels) /
    n``."""

    def __post_init__(self) -> None:
        require(self.rhs.ndim >= 3, f"the last axes must be z, y, x, got {self.rhs.shape}")
        require(self.rhs.size > 0, f"an image without voxels: {self.rhs.shape}")
        require(bool(np.isfinite(self.rhs).all()), "the right-hand side must be finite")
        good = 0 < self.information < math.inf and 0 < self.largest < math.inf
        require(good, "information and largest must be positive: the operator measures nothing")
        require(
            self.largest >= self.information * (1 - 1e-6),
            f"the largest eigenvalue ({self.largest:.3g}) cannot lie below "
            f"the mean one ({self.information:.3g})",
        )
        require(0 <= self.noise_sd < math.inf, "noise_sd must be positive")
        if self.noise_sd == 0:
            object.__setattr__(self, "noise_sd", 1 / math.sqrt(self.information))
        freeze(self, rhs=np.ascontiguousarray(self.rhs, np.complex64))

    @property
    def largest_in_noise_units(self) -> float:
        """The largest eigenvalue of N / n."""
        return self.largest / self.information

    def rhs_in_noise_units(self) -> Complex64:
        """Return ``b / (n sigma)``."""
        return self.rhs * np.float32(1 / (self.information * self.noise_sd))

    @property
    def unit(self) -> float:
        """The objective's unit, ``n sigma^2``: 1 where sigma is ``1 / sqrt(n)``."""
        return self.information * self.noise_sd**2


def least_squares(
    normal: Callable[[Any], Complex],
    rhs: Complex64,
    *,
    iterations: int = 20,
    seed: int = 0,
) -> LeastSquares:
    """Measure an operator of which nothing is known.

    Parameters
    ----------
    normal, rhs
        N and b.
    iterations
        Of Lanczos, see `ultrahand.numerics.power.largest_eigenvalue`; three more applications of N
        estimate the information. Operators that are known better save them
        (`ultrahand.recon.normal_bounds`).
    seed
        Of both; the same seed gives the same bits.
    """
    return LeastSquares(
        normal=normal,
        rhs=rhs,
        information=mean_diagonal(normal, rhs.shape, seed=seed),
        largest=largest_eigenvalue(normal, rhs.shape, iterations=iterations, seed=seed).bound,
    )


def mean_diagonal(
    normal: Callable[[Any], Complex], shape: tuple[int, ...], *, probes: int = 3, seed: int = 0
) -> float:
    r"""Estimate the mean of an operator's diagonal with random vectors of entries 1, i, -1, -i.

    Hutchinson: Commun Stat Simul Comput 1990;19:433, doi:10.1080/03610919008812866. The variance of
    one probe is at most the squared Frobenius norm off the diagonal, so the relative standard
    deviation of the mean is at most :math:`\sqrt{L / (n \cdot \text{voxels} \cdot \text{probes})}`
    with L the largest eigenvalue: 0.2 % for L = 8 n, 3 probes and a million voxels. Exact for a
    diagonal operator.
    """
    rng = np.random.default_rng([seed, 1])
    total = 0.0
    with one_blas_thread():
        for _ in range(probes):
            probe = (1j ** rng.integers(0, 4, shape)).astype(np.complex64)
            image = normal(probe)
            total += float(np.vdot(probe, image.astype(np.complex128)).real)
    return total / (probes * math.prod(shape))
