r"""The phase that reading to and fro adds to every other echo: a constant and a ramp along read.

Gradient delays and eddy currents shift the echo of a readout in time, and turn its phase; with
bipolar readouts the odd echoes (numbers 1, 3, ...) are shifted the other way (Lu, Yu, Shimakawa,
Alley, Reeder, Hargreaves: MRM 2008;60:198, doi:10.1002/mrm.21583). With even spacing a linear
phase evolution cancels in

.. math:: D_e = z_{e-1} z_{e+1} (z_e^*)^2

and what is left is :math:`-2 h` for odd, :math:`+2 h` for even e, with the phase
:math:`h = a + b x` of odd echoes relative to even ones. The ramp is found by autocorrelation along
read (Ahn, Cho: IEEE Trans Med Imaging 1987;6:32, doi:10.1109/TMI.1987.4307795).

h is known to half a turn: the smallest is taken. Half a turn more is the same as a field of
``1 / (2 spacing)`` more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.physics.field_map import checked_times
from ultrahand.records.arrays import Complex, Float64, require

EVEN_SPACING: Final = 1e-3
"""Largest relative difference of spacings that still cancel."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class BipolarPhase:
    """Phase of odd echoes relative to even ones, ``constant + slope * (i - N // 2)`` along read."""

    constant_rad: float
    slope_rad: float
    """Per voxel."""

    def along(self, n: int) -> Float64:
        """Return it at each of n voxels along read."""
        return self.constant_rad + self.slope_rad * (np.arange(n, dtype=np.float64) - n // 2)


def estimate_bipolar(echoes: Complex, echo_times_s: Float64) -> BipolarPhase:
    """Estimate the phase of odd echoes.

    Parameters
    ----------
    echoes
        Of one coil or combined, shape ``(echoes, ..., x)``, read along the last axis.
    echo_times_s
        Shape ``(echoes,)``.

    Raises
    ------
    InputError
        Fewer than three echoes, or spacings that differ: nothing cancels then.
    """
    times = checked_times(echo_times_s, len(echoes))
    spacing = np.diff(times)
    if len(times) < 3 or np.ptp(spacing) > EVEN_SPACING * spacing.mean():
        shown = ", ".join(f"{1e3 * step:.4g}" for step in spacing)
        raise InputError(
            "bipolar echoes",
            found=f"{len(times)} echoes with spacings of ({shown}) ms",
            expected="three evenly spaced echoes or more",
            remedy="use monopolar echoes, or every other echo",
        )
    total: Complex = np.zeros(echoes.shape[1:], np.complex128)
    for e in range(1, len(times) - 1):
        double = echoes[e - 1].astype(np.complex128) * echoes[e + 1] * np.conj(echoes[e]) ** 2
        size = np.abs(double)
        double = np.divide(double, np.sqrt(size), out=np.zeros_like(double), where=size > 0)
        total += np.conj(double) if e % 2 else double
    require(bool(np.isfinite(total).all()), "echoes must be finite")
    slope = float(np.angle(np.vdot(total[..., :-1], total[..., 1:]))) / 2.0
    ramp = BipolarPhase(constant_rad=0.0, slope_rad=2.0 * slope).along(echoes.shape[-1])
    constant = float(np.angle((total * np.exp(-1j * ramp)).sum())) / 2.0
    return BipolarPhase(constant_rad=constant, slope_rad=slope)


def remove_bipolar(echoes: Complex, phase: BipolarPhase) -> Complex:
    """Return echoes ``(echoes, ..., x)`` with the odd ones turned back; works on coils too."""
    out = echoes.copy()
    out[1::2] *= np.exp(-1j * phase.along(echoes.shape[-1])).astype(echoes.dtype)
    return out
