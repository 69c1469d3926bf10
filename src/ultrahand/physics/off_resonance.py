r"""How the signal of a place turns and decays after its excitation: the one sign convention.

A place whose field is above that of the demodulation by ``f / gamma`` gives

.. math:: e^{\lambda t}, \qquad \lambda = -R_2^* - 2 \pi i f

The minus sign is that of the gradients: the encoding ``exp(-2 pi i k.r)`` says that a field which
a gradient adds turns the phase backwards, so a field that anything else adds does the same
(Sutton, Noll, Fessler: IEEE Trans Med Imaging 2003;22:178, doi:10.1109/TMI.2002.808360, equation 1,
with ``omega = 2 pi f``). It follows that ``f > 0`` shows a point too far along the readout, by
``f / (gamma G)``, and that the phase of an image falls with the echo time.
"""

from __future__ import annotations

from math import pi
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ultrahand.physics.nuclei import frequency_hz
from ultrahand.records.arrays import Float64

PHASE_SIGN: Final = -1.0
"""Of the phase that a positive off-resonance adds in time: in every phantom, map and encoding."""


def rate_per_s(
    off_resonance_hz: ArrayLike, r2star_per_s: ArrayLike = 0.0
) -> NDArray[np.complex128]:
    """Return the complex rate of the signal, ``-R2* + PHASE_SIGN 2 pi i f``.

    Parameters
    ----------
    off_resonance_hz
        Resonance frequency less that of the demodulation.
    r2star_per_s
        Rate of decay. Both broadcast.
    """
    turn = PHASE_SIGN * 2.0 * pi * np.asarray(off_resonance_hz, np.float64)
    return np.asarray(1j * turn - np.asarray(r2star_per_s, np.float64), np.complex128)


def scale_field(
    off_resonance_hz: ArrayLike, *, measured: str, wanted: str, shift_hz: float = 0.0
) -> Float64:
    """Return the off-resonance of one nucleus from that measured with another.

    The field is the same in tesla, so that frequencies scale with the gyromagnetic ratios (0.2645
    from protons to sodium). A map is relative to the frequency its scan was demodulated with: where
    the other scan was not demodulated with the same field, all its voxels differ by ``shift_hz``.

    Parameters
    ----------
    off_resonance_hz
        Map or its standard error, of the nucleus `measured`.
    measured, wanted
        Names of `ultrahand.physics.nuclei.GAMMA_HZ_PER_T`.
    shift_hz
        Added after scaling, for the nucleus `wanted`; 0 for a standard error.

    Raises
    ------
    ultrahand.errors.UsageError
        No such nucleus.
    """
    ratio = frequency_hz(wanted, 1.0) / frequency_hz(measured, 1.0)
    return ratio * np.asarray(off_resonance_hz, np.float64) + shift_hz
