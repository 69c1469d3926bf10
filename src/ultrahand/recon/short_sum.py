r"""Write :math:`e^{\lambda(r) t}` as a short sum :math:`\sum_l b_l(t)\, c_l(r)`.

The exact factors of the largest field and time are split off first:

.. math:: e^{\lambda(r) t} = e^{-R t_0 - 2 \pi i f t_c}\; e^{-2 \pi i f_c (t - t_c)}\;
          e^{-R (t - t_0) - 2 \pi i (f - f_c)(t - t_c)}

with the first time :math:`t_0`, the middle time :math:`t_c` and the middle frequency :math:`f_c`.
The last factor, never larger than 1, is tabulated at nodes of t, f and R, close enough for linear
interpolation, and its table is shortened in either of two ways:

* the singular value decomposition, the best of all sums in the mean square (Fessler, Lee, Olafsson,
  Shi, Noll: IEEE Trans Signal Process 2005;53:3393, doi:10.1109/TSP.2005.853152);
* time segmentation, ``c_l = exp(lambda t_l)`` at even times, with least-squares interpolators
  (Sutton, Noll, Fessler: IEEE Trans Med Imaging 2003;22:178, doi:10.1109/TMI.2002.808360).

The fewest terms are taken whose *largest* error over all times and all values that occur is below
the request. Linear interpolation of a table is a mean of its nodes, so that the error anywhere is
at most that of the nodes, which is computed, and that of straight lines, which is bounded.
Segments are tried with fewer terms than the vectors need; in 400 random problems (0.2 to 20 ms, 10
to 400 Hz, with and without decay) they never sufficed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Final, final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.numerics.blas import one_blas_thread
from ultrahand.physics.off_resonance import PHASE_SIGN
from ultrahand.recon.rate_lattice import Places, decay_nodes, even_nodes, locate
from ultrahand.recon.signal_table import SignalTable, shortest
from ultrahand.records.arrays import Complex, Float64, Ints, require

FINEST: Final = 1e-6
"""Finest request: tables and shares are in single precision where they are kept for each voxel."""
MOST_TURNS: Final = 100
"""Frequencies times readout, about the number of terms: more means a wrong unit or a wild map."""
MOST_NODES: Final = 4_000_000
_EACH: Final = 0.125
"""Of the error, for the straight lines along t, along f and along R."""


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShortSum:
    """The terms; neither is kept for every voxel or sample, but made when asked for."""

    n_terms: int
    method: str
    """``singular vectors`` or ``time segments``."""
    error: float
    """Bound of the largest error, relative to the signal of the place at the first time."""
    times: Places
    values: Places
    occupied: Ints
    """Nodes of f and R at which `of_place` is known."""
    of_time: Complex
    """Shape ``(terms, nodes)``."""
    of_place: Complex
    """Shape ``(terms, occupied nodes)``."""
    turn: Complex
    """Exact factor of every sample."""
    carrier: Complex
    """Exact factor of every voxel."""

    def b(self, term: int, /) -> Complex:
        """Return a term's function of time, the samples' shape."""
        found = self.times.interpolate(self.of_time[term])
        found *= self.turn
        return found

    def c(self, term: int, /) -> Complex:
        """Return a term's function of place, the voxels' shape."""
        table = np.zeros(self.values.n_nodes, self.of_place.dtype)
        table[self.occupied] = self.of_place[term]
        found = self.values.interpolate(table)
        found *= self.carrier
        return found


def short_sum(
    time_s: Float64,
    off_resonance_hz: Float64,
    r2star_per_s: Float64 | None = None,
    *,
    error: float = 1e-3,
    dtype: type[np.complex64 | np.complex128] = np.complex64,
) -> ShortSum:
    """Return the shortest sum that is good enough.

    Parameters
    ----------
    time_s
        Of every sample after the excitation, any shape.
    off_resonance_hz, r2star_per_s
        Of every voxel, one shape; finite everywhere: outside the object a map has to be extended.
    error
        Largest error of ``exp(lambda t)`` at any time and any value that occurs, relative to the
        signal of the place at the first time; at least `FINEST`.
    dtype
        Of the terms.

    Raises
    ------
    InputError
        Field and time are so large that they are more than `MOST_TURNS` apart.
    """
    _check(time_s, off_resonance_hz, r2star_per_s, error)
    decay = np.zeros_like(off_resonance_hz) if r2star_per_s is None else r2star_per_s
    start, end = float(time_s.min()), float(time_s.max())
    middle_s, middle_hz = 0.5 * (start + end), _middle(off_resonance_hz)
    hz = np.asarray(off_resonance_hz, np.float64) - middle_hz
    width, fastest = float(np.abs(hz).max()), float(np.asarray(decay).max())
    _refuse_huge(width, end - start)
    part = _EACH * error
    half_s = 0.5 * (end - start)
    f_nodes = even_nodes(-width, width, (2.0 * pi * half_s) ** 2, part)
    r_nodes = decay_nodes(float(np.asarray(decay).min()), fastest, end - start, part)
    t_nodes = even_nodes(start, end, (2.0 * pi * width) ** 2 + fastest**2, part)
    require(len(f_nodes) * len(r_nodes) <= MOST_NODES, "off-resonance and R2* vary too much")
    values = locate([r_nodes, f_nodes], [np.asarray(decay, np.float64), hz])
    occupied = values.touched()
    table = SignalTable(
        since_s=t_nodes - start,
        about_s=t_nodes - middle_s,
        hz=f_nodes[occupied % len(f_nodes)],
        r2=r_nodes[occupied // len(f_nodes)],
    )
    with one_blas_thread():
        method, b, c, rest = shortest(table, (1.0 - 3.0 * _EACH) * error)
    about_s = np.asarray(time_s, np.float64) - middle_s
    turn = np.exp(1j * PHASE_SIGN * 2.0 * pi * middle_hz * about_s)
    phase = PHASE_SIGN * 2.0 * pi * middle_s * np.asarray(off_resonance_hz, np.float64)
    return ShortSum(
        n_terms=len(b),
        method=method,
        error=rest + 3.0 * part,
        times=locate([t_nodes], [np.asarray(time_s, np.float64)]),
        values=values,
        occupied=occupied,
        of_time=b.astype(dtype),
        of_place=c.astype(dtype),
        turn=turn.astype(dtype),
        carrier=np.exp(1j * phase - start * decay).astype(dtype),
    )


def _middle(values: Float64) -> float:
    return 0.5 * (float(values.min()) + float(values.max()))


def _check(
    time_s: Float64, off_resonance_hz: Float64, r2star_per_s: Float64 | None, error: float
) -> None:
    require(FINEST <= error < 1, f"error must lie in [{FINEST}, 1), got {error}")
    require(time_s.size > 0 and bool(np.isfinite(time_s).all()), "time_s must be finite, not empty")
    require(off_resonance_hz.size > 0, "off_resonance_hz must not be empty")
    require(
        bool(np.isfinite(off_resonance_hz).all()),
        "off_resonance_hz must be finite everywhere; extend the map where nothing was measured",
    )
    if r2star_per_s is not None:
        require(
            r2star_per_s.shape == off_resonance_hz.shape,
            f"r2star_per_s {r2star_per_s.shape} must have the shape of the field, "
            f"{off_resonance_hz.shape}",
        )
        require(
            bool(np.isfinite(r2star_per_s).all()) and float(r2star_per_s.min()) >= 0,
            "r2star_per_s must be finite and not negative",
        )


def _refuse_huge(half_width_hz: float, duration_s: float) -> None:
    turns = 2.0 * half_width_hz * duration_s
    if turns > MOST_TURNS:
        raise InputError(
            "off-resonance",
            found=f"frequencies {2.0 * half_width_hz:.4g} Hz apart over {duration_s:.4g} s of "
            f"samples: {turns:.0f} turns",
            expected=f"at most {MOST_TURNS} turns",
            remedy="check the units (Hz, s), or limit the map to the frequencies of the object",
        )
