r"""What is known of a normal operator without applying it.

The mean of its diagonal is exact; the bound on its largest eigenvalue is :math:`\max H \cdot \max
\sum_c |S_c|^2`: the norm of the transforms' product (unitary, H, unitary; padding and cropping do
not add to it) times that of the maps and their adjoint. For a mask of 0 and 1 and maps of equal
power everywhere it is the eigenvalue itself.
"""

from __future__ import annotations

import numpy as np

from ultrahand.recon.normal import NormalOperator, Spectra
from ultrahand.records.arrays import Complex64


def information(operator: NormalOperator) -> float:
    """Return the mean of the diagonal."""
    spectra, maps = operator.spectra, operator.maps
    diagonal = [i * (i + 3) // 2 for i in range(spectra.n_components)]
    spread = float(spectra.values[diagonal].mean(dtype=np.float64))
    power = sum(_square(coil) for coil in maps.reshape(len(maps), -1))
    return spread * power / maps[0].size


def largest_bound(operator: NormalOperator) -> float:
    """Return a bound on the largest eigenvalue."""
    return _spectral(operator.spectra) * _sensitivity(operator.maps)


def _spectral(spectra: Spectra) -> float:
    number, values = spectra.n_components, spectra.values
    if number == 1:
        return float(values.max())
    highest = 0.0
    for plane in np.moveaxis(values, 1, 0):
        matrices = np.zeros((plane[0].size, number, number))
        for pair, (i, j) in enumerate(zip(*np.tril_indices(number), strict=True)):
            matrices[:, i, j] = plane[pair].ravel()
        highest = max(highest, float(np.linalg.eigvalsh(matrices)[:, -1].max()))  # reads this half
    return highest


def _sensitivity(maps: Complex64) -> float:
    """Return the largest eigenvalue of ``sum_c conj(S_sc) S_s'c`` over voxels."""
    sets = maps.shape[1]
    if sets == 1:
        power = np.zeros(maps.shape[2:])
        for coil in maps[:, 0]:
            power += coil.real.astype(np.float64) ** 2 + coil.imag.astype(np.float64) ** 2
        return float(power.max())
    highest = 0.0
    for plane in np.moveaxis(maps, 2, 0):
        flat = plane.reshape(len(maps), sets, -1).astype(np.complex128)
        gram = np.einsum("csv,ctv->vst", flat.conj(), flat)
        highest = max(highest, float(np.linalg.eigvalsh(gram)[:, -1].max()))
    return highest


def _square(x: Complex64) -> float:
    flat = x.view(np.float32)
    return float(np.einsum("i,i->", flat, flat, dtype=np.float64))
