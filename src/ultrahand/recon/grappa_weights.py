r"""GRAPPA: missing samples of each coil as a linear combination of acquired ones of all coils.

Griswold et al: MRM 2002;47:1202, doi:10.1002/mrm.10171. For a cell of the sampling lattice at u,
with sources s and targets t of a `Window`,

.. math:: y_{c'}(u + t) = \sum_{c, s} K_{t c', c s}\, y_c(u + s),

the same K in all of k-space. It is fitted to a block sampled in full, where each of the W places of
the window gives one column of sources A and of targets B:

.. math:: K = \arg\min \|B - K A\|^2 + \lambda \|K\|^2, \quad K = B A^H (A A^H + \lambda)^{-1}.

The damping follows from the noise, :math:`\sigma^2 = 2` for whitened data (1 in each part). The
noise in the sources already adds :math:`\sigma^2 W` to :math:`A A^H` in the mean, which is the
damping that weighs the noise a sample gets, :math:`\sigma^2 |k|^2` for its row k of K, against its
error of signal: no more is wanted for that, where the calibration is as noisy as the data. But K
has n unknowns in each row (coils times sources) and is fitted to targets that miss it by a variance
of :math:`\sigma^2 (1 + |k|^2)`, their own noise and the sources'. For such a fit the ridge of least
error is n times this variance over :math:`|k|^2` (Hoerl, Kennard, Baldwin: Commun Stat 1975;4:105,
doi:10.1080/03610927508827232):

.. math:: \lambda = \sigma^2 n \, (1 + 1 / |k|^2).

Here :math:`|k|^2 = 1` is taken, samples as noisy as those measured: :math:`\lambda = 2 \sigma^2 n`.
It is little beside :math:`\sigma^2 W` where calibration is plenty, and rules where it is scarce.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.recon.grappa_equations import normal_equations
from ultrahand.recon.grappa_window import Window, window_of
from ultrahand.recon.lattice import Lattice, Shape
from ultrahand.records.arrays import Complex64, freeze, require

Complex128 = NDArray[np.complex128]

NOISE_VARIANCE = 2.0
"""Of a whitened complex sample."""

FLOOR = 1e-12
"""Least damping over the greatest sum of squares of a source: well above the rounding of the
equations, and with an error of 1e-6 of the signal at most where the weights are of order 1."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class GrappaWeights:
    """What `calibrate` found."""

    lattice: Lattice
    window: Window
    values: Complex64
    """``(targets, coils, coils, sources)``: target and its coil, then coil and source."""
    damping: float
    """The :math:`\\lambda` used, in squared units of the data."""
    windows: int
    """Places of the window in the calibration; 0 where nothing is to be filled."""

    def __post_init__(self) -> None:
        coils = self.values.shape[1]
        expected = (len(self.window.targets), coils, coils, len(self.window.sources))
        require(
            self.values.shape == expected,
            f"weights must be (targets, coils, coils, sources) {expected}, got {self.values.shape}",
        )
        freeze(self, values=self.values)

    @property
    def n_coils(self) -> int:
        return self.values.shape[1]


def calibrate(
    calibration: Complex64,
    lattice: Lattice,
    *,
    kernel: Shape | None = None,
    damping: float = 1.0,
    threads: int = 1,
) -> GrappaWeights:
    r"""Fit the weights to a fully sampled block.

    The normal equations are summed in double precision: single precision would lose the weak
    directions of a calibration of high signal to noise.

    Parameters
    ----------
    calibration
        Whitened, sampled in full, ``(coils, z, y, x)``; anywhere in k-space.
    lattice
        Of the samples to be completed.
    kernel
        Acquired samples along z, y, x; see `default_kernel`.
    damping
        Factor of the :math:`\lambda` above. At 0 what `FLOOR` says stays, so that the
        equations have a solution.
    threads
        Cores; the result is the same for any number.

    Raises
    ------
    InputError
        If the calibration is too small, not finite or empty.
    """
    require(damping >= 0 and math.isfinite(damping), f"damping must be >= 0, got {damping}")
    require(threads >= 1, f"threads must be >= 1, got {threads}")
    require(
        calibration.ndim == 4 and calibration.size > 0,
        f"calibration must be (coils, z, y, x), got {calibration.shape}",
    )
    window = window_of(lattice, kernel)
    coils, n_t, n_s = len(calibration), len(window.targets), len(window.sources)
    n, windows, extra = coils * n_s, 0, 0.0
    values = np.zeros((n_t, coils, coils, n_s), np.complex64)
    if n_t:
        calibration = _checked(calibration)
        windows = _count_windows(calibration.shape[1:], window)
        with one_blas_thread():
            normal = normal_equations(calibration, window, threads)
            diagonal = normal[:n].diagonal().real
            extra = max(damping * 2 * NOISE_VARIANCE * n, FLOOR * float(diagonal.max()))
            values[:] = _solve(normal, n, extra).reshape(values.shape)
    return GrappaWeights(
        lattice=lattice, window=window, values=values, damping=extra, windows=windows
    )


def check_finite(data: Complex64, name: str) -> None:
    """Refuse data, contiguous and called so, that hold an infinity or no number."""
    numbers = data.reshape(-1).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(float(numbers @ numbers)):
            return  # a sum of squares that is finite has finite terms: one pass, no array
    if not np.isfinite(numbers).all():
        raise InputError(
            name,
            found="samples that are not finite",
            expected="numbers",
            remedy="leave the damaged readouts out",
        )


def _solve(normal: Complex128, n: int, damping: float) -> Complex128:
    """Return K; overwrites the normal equations.

    Transposed, their lower triangle is the upper one of the conjugate equations in the order that
    LAPACK takes, so nothing is copied: ``conj(A A^H + damping) K^T = (B A^H)^T``.
    """
    import scipy.linalg

    normal[np.arange(n), np.arange(n)] += damping
    try:
        factor = scipy.linalg.cho_factor(normal[:n].T, overwrite_a=True, check_finite=False)
    except scipy.linalg.LinAlgError as error:
        raise InputError(
            "calibration",
            found="equations without a solution in double precision",
            expected="whitened data",
            remedy="whiten the data, or keep the damping above 0",
        ) from error
    found = scipy.linalg.cho_solve(factor, normal[n:].T, overwrite_b=True, check_finite=False)
    return found.T


def _count_windows(shape: tuple[int, ...], window: Window) -> int:
    """Return the places of the window in the calibration, or refuse it.

    Each place gives one equation for what the window covers: as many samples of the object as
    there are positions in its box. Fewer places cannot tell them apart, whatever the coils.
    """
    fits = [n - e + 1 for n, e in zip(shape, window.extent, strict=True)]
    places, needed = math.prod(max(0, f) for f in fits), math.prod(window.extent)
    if places < needed:
        box = " x ".join(str(e) for e in window.extent)
        raise InputError(
            "calibration lines (z, y, x)",
            found=f"{' x '.join(str(n) for n in shape)}, {places} places of the kernel",
            expected=f"at least {box} lines, and so many more that the kernel has {needed} places",
            remedy="choose a smaller kernel or acquire more calibration lines",
        )
    return places


def _checked(calibration: Complex64) -> Complex64:
    calibration = np.ascontiguousarray(calibration, np.complex64)
    for coil in calibration:
        check_finite(coil, "calibration")
    if not calibration.any():
        raise InputError(
            "calibration",
            found="only zeros",
            expected="measured samples",
            remedy="give the lines that were acquired",
        )
    return calibration
