r"""Gradient delays of radial scans, from where the spokes cross.

A gradient that is late by a time moves a spoke in k-space; with other times for other axes the
shift is not along it:

.. math:: k_{actual} = k_{nominal} + S\, n, \qquad
          S = \begin{pmatrix} S_{xx} & S_{xy} \\ S_{xy} & S_{yy} \end{pmatrix}

for a spoke in the direction n, with a symmetric S (Moussavi, Untenberger, Uecker, Frahm: MRM
2014;71:308, doi:10.1002/mrm.24665). Two lines in a plane cross somewhere, and there both spokes
measured the same number in every coil. Where along each of the two the crossing lies is linear in
S, so that S is what makes all pairs of spokes agree (RING: Rosenzweig, Holme, Uecker: MRM
2019;81:1898, doi:10.1002/mrm.27506). Here the crossings are not sought one by one, but S is fitted
to the samples of all pairs at once: least squares in the noise of the samples, from the best of
shifts that are alike in all directions.

In space spokes that are shifted miss each other: there is nothing to fit, and they are refused.
Partners are spokes that follow each other closely, so that signal that changes over minutes
(contrast agent) does little harm; motion, and phases that differ from spoke to spoke, count as
misfit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.recon.spoke_crossings import Crossings, find_crossings
from ultrahand.records.arrays import Complex, Float64, freeze, require

FEWEST_SPOKES: Final = 6
"""Three numbers need three crossings; twice as many leave something to check them by."""
WORST_CONDITION: Final = 1e4
WORST_MISMATCH: Final = 0.2
"""Power of the differences at the crossings over that of the samples, both less that of the noise;
1 for unrelated spokes."""
_STEP: Final = 0.25
_ITERATIONS: Final = 50
_CONVERGED: Final = 1e-7


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RadialDelay:
    """The shift of spokes in a plane."""

    shift_per_m: Float64
    """``Sxx, Syy, Sxy`` in cycles per metre, along read and phase."""
    covariance: Float64
    """Of these, shape ``(3, 3)``, from noise and misfit."""
    spacing_per_m: float
    """Of the samples along a spoke."""
    misfit: float
    """Power of the differences over that of the noise; about 1 if nothing but noise is left."""
    mismatch: float
    """Power of the differences over that of the samples, both less that of the noise."""
    n_pairs: int

    def __post_init__(self) -> None:
        freeze(
            self,
            shift_per_m=np.array(self.shift_per_m, np.float64),
            covariance=np.array(self.covariance, np.float64),
        )

    @property
    def standard_error_per_m(self) -> Float64:
        """Of ``Sxx, Syy, Sxy``."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def shift_samples(self) -> Float64:
        """``Sxx, Syy, Sxy`` in samples."""
        return self.shift_per_m / self.spacing_per_m

    def delays_s(self, sample_time_s: float) -> Float64:
        """Return how late read and phase gradient are, and what they share: ``-S`` in seconds."""
        return -self.shift_samples * sample_time_s

    def applied(self, k_per_m: Float64) -> Float64:
        """Return where spokes really are.

        Parameters
        ----------
        k_per_m
            Nominal positions, shape ``(..., samples, 2 or 3)``; a third column, across the plane
            of a stack, stays as it is.
        """
        xx, yy, xy = self.shift_per_m
        direction = k_per_m[..., -1, :2] - k_per_m[..., 0, :2]
        direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        out = np.array(k_per_m, np.float64)
        out[..., :2] += (direction @ np.array([[xx, xy], [xy, yy]]))[..., None, :]
        return out


def estimate_delay(
    samples: Complex, k_per_m: Float64, *, reach: float = 4.0, noise_sd: float = 1.0
) -> RadialDelay:
    """Estimate the shift of full spokes in a plane, or in a stack of stars.

    Parameters
    ----------
    samples
        Shape ``(coils, spokes, samples)``, or ``(coils, partitions, spokes, samples)`` of a stack
        whose partitions have the same angles: each is measured like another coil. Whitened.
    k_per_m
        Nominal positions in the plane, shape ``(spokes, samples, 2)``, in the order of acquisition:
        even steps along straight lines through the centre.
    reach
        Largest shift looked for, in samples.
    noise_sd
        Of real and imaginary part of a sample.

    Raises
    ------
    InputError
        Spokes that are no full spokes in a plane, too few of them or too alike, or that do not
        agree anywhere within reach.
    ultrahand.errors.RecordError
        If shapes contradict each other.
    """
    require(samples.ndim in (3, 4), "samples must be (coils, [partitions,] spokes, samples)")
    require(reach > 0 and noise_sd > 0, "reach and noise_sd must be > 0")
    k = np.asarray(k_per_m, np.float64)
    require(
        k.ndim == 3 and samples.shape[-2:] == k.shape[:2],
        f"samples {samples.shape} and k_per_m {k.shape} must have the same spokes",
    )
    require(bool(np.isfinite(samples).all()), "samples must be finite")
    channels = samples.reshape(-1, *samples.shape[-2:])
    crossings = find_crossings(channels, k, fewest=FEWEST_SPOKES, noise_sd=noise_sd)
    shift = _fit(crossings, _start(crossings, reach), reach)
    mismatch = _mismatch(crossings, shift, noise_sd)
    covariance, misfit = _covariance(crossings, shift, noise_sd)
    _check_result(shift, covariance, mismatch, reach)
    spacing = crossings.spacing_per_m
    return RadialDelay(
        shift_per_m=shift * spacing,
        covariance=covariance * spacing**2,
        spacing_per_m=spacing,
        misfit=misfit,
        mismatch=mismatch,
        n_pairs=crossings.n_pairs,
    )


def _start(crossings: Crossings, reach: float) -> Float64:
    """Return the shift alike in all directions at which spokes agree best."""
    n = int(np.ceil(reach / _STEP))
    tried = np.arange(-n, n + 1) * _STEP
    few = crossings.few()
    found = [few.mismatch(np.array([shift, shift, 0.0])) for shift in tried]
    shift = tried[int(np.argmin(found))]
    return np.array([shift, shift, 0.0])


def _fit(crossings: Crossings, shift: Float64, reach: float) -> Float64:
    """Return the shift of least squares from a start (Levenberg-Marquardt).

    Levenberg: Q Appl Math 1944;2:164, doi:10.1090/qam/10666.
    """
    damping = 1e-3
    cost, gradient, hessian = crossings.normal_equations(shift)
    for _ in range(_ITERATIONS):
        step = -np.linalg.solve(hessian + damping * np.trace(hessian) * np.eye(3), gradient)
        tried = shift + step
        if np.abs(tried).max() > 2.0 * reach:  # far out all samples are small, and so alike
            damping *= 10.0
            continue
        after = crossings.normal_equations(tried)
        if after[0] > cost:
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        (cost, gradient, hessian), shift, damping = after, tried, damping / 10.0
        if np.abs(step).max() < _CONVERGED:
            break
    return shift


def _mismatch(crossings: Crossings, shift: Float64, noise_sd: float) -> float:
    difference, power = crossings.powers(shift)
    noise = crossings.noise_power(noise_sd)
    return max(difference - noise, 0.0) / max(power - noise, noise)


def _covariance(crossings: Crossings, shift: Float64, noise_sd: float) -> tuple[Float64, float]:
    """Return the covariance of the fit, and the power of what is left over that of the noise.

    Pairs share spokes, whose noise near the crossings is one number a coil: errors are added up by
    spoke before they are squared. What is left beyond the noise counts as more noise.
    """
    cost, _, hessian = crossings.normal_equations(shift)
    hessian = hessian - crossings.noise_hessian(noise_sd)
    smallest, _, largest = np.linalg.eigvalsh(hessian)
    if not smallest * WORST_CONDITION > largest:
        raise InputError(
            "spokes",
            found=f"{crossings.n_spokes} spokes whose crossings leave a combination of delays open",
            expected="signal, and angles spread over half a turn",
            remedy="use more spokes of other angles",
        )
    influence = np.linalg.solve(hessian, crossings.by_spoke(shift))
    misfit = cost / crossings.noise_power(noise_sd)
    return noise_sd**2 * max(misfit, 1.0) * (influence @ influence.T), misfit


def _check_result(shift: Float64, covariance: Float64, mismatch: float, reach: float) -> None:
    largest, error = float(np.abs(shift).max()), float(np.sqrt(np.diag(covariance).max()))
    if mismatch <= WORST_MISMATCH and largest <= reach and error <= 1.0:
        return
    raise InputError(
        "spokes",
        found=f"a shift of {largest:.3g} samples with a standard error of {error:.2g}, at which "
        f"{100 * mismatch:.3g} % of the power differs between spokes that cross",
        expected=f"at most {reach:g} samples, a standard error of 1 and {100 * WORST_MISMATCH:g} %",
        remedy="check the order and the direction of the spokes, or leave delays uncorrected",
    )
