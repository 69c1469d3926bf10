"""The non-uniform Fourier transform of SigPy: the only file that imports it.

An independent engine with the contract, sign, origin and scale of `ultrahand.recon.nufft`, for
comparison and for those who ask for it by name. SigPy interpolates with a Kaiser-Bessel kernel;
its error (relative l2, random image, 64^3) is 0.7 to 0.8 % with its default ``oversampling=1.25,
width=4``, 8e-4 with ``2, 4`` and 9e-6 with ``2, 6``. It works on one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.recon.batch import as_batch
from ultrahand.records.arrays import Complex, Complex64, Float64, freeze, require


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SigpyNufft:
    """SigPy's transform for one trajectory; meets `LinearOperator`.

    Leading axes of an argument are a batch, as for `ultrahand.recon.nufft.Nufft`.
    """

    k_per_m: Float64
    """Cycles per metre, shape ``(samples, dims)``, dims in the order read, phase, slice."""
    shape: tuple[int, ...]
    """Image ``(z, y, x)`` or ``(y, x)``."""
    voxel_size_m: tuple[float, ...]
    """Spacing along read, phase, slice."""
    oversampling: float = 1.25
    width: int = 4

    def __post_init__(self) -> None:
        k = np.asarray(self.k_per_m, np.float64)
        require(
            k.ndim == 2 and k.shape[1] == len(self.shape) == len(self.voxel_size_m),
            f"k_per_m {k.shape}, shape {self.shape} and voxel_size_m {self.voxel_size_m} must "
            "have the same dimensions",
        )
        require(bool(np.isfinite(k).all()), "k_per_m must be finite")
        freeze(self, k_per_m=k)

    @property
    def domain(self) -> tuple[int, ...]:
        return self.shape

    @property
    def codomain(self) -> tuple[int, ...]:
        return (len(self.k_per_m),)

    def forward(self, image: Complex, /) -> Complex64:
        """Transform ``(..., *shape)`` to ``(..., samples)``."""
        import sigpy

        images, batch = as_batch(image, self.domain, np.dtype(np.complex64))
        made = sigpy.nufft(images, self._coordinates(), self.oversampling, self.width)
        return made.reshape(*batch, *self.codomain)

    def adjoint(self, samples: Complex, /) -> Complex64:
        """Transform ``(..., samples)`` to ``(..., *shape)``."""
        import sigpy

        series, batch = as_batch(samples, self.codomain, np.dtype(np.complex64))
        shape = (len(series), *self.shape)
        k = self._coordinates()
        made = sigpy.nufft_adjoint(series, k, shape, self.oversampling, self.width)
        return made.reshape(*batch, *self.shape)

    def _coordinates(self) -> Float64:
        """Cycles per field of view along the image's axes: SigPy's unit and order."""
        fov_m = [n * size for n, size in zip(self.shape[::-1], self.voxel_size_m, strict=True)]
        return np.ascontiguousarray((self.k_per_m * fov_m)[:, ::-1])
