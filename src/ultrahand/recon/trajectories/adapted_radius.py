r"""The radius in time that makes the density of 3D samples constant beyond a turning point.

Until :math:`k_0` the gradient is constant; beyond, samples are spread evenly over the volume:

.. math:: k(t) = \left[3 \gamma k_0^2 G_0 (t - t_0) + k_0^3\right]^{1/3}, \quad
          t_0 = \frac{k_0}{\gamma G_0}

(Nagel et al., MRM 2009;62:1565, doi:10.1002/mrm.22157). Twisted projections share it (Boada et
al., MRM 1997;37:706). At the turning point the gradient changes by
:math:`|dG/dt| = 2 \gamma G_0^2 / k_0`, its largest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ultrahand.recon.trajectories.waveform import played
from ultrahand.records.arrays import Float64


@dataclass(frozen=True, kw_only=True)
class AdaptedRadius:
    """Radius in time, with a gradient that starts at once."""

    gamma_hz_per_t: float
    gradient_t_per_m: float
    """G0, until the turning point."""
    k0_per_m: float
    """The turning point."""

    @property
    def t0_s(self) -> float:
        """When the turning point is reached."""
        return self.k0_per_m / (self.gamma_hz_per_t * self.gradient_t_per_m)

    def k_per_m(self, time_s: Float64) -> Float64:
        """Return the radius at times >= 0, in cycles per metre."""
        speed = self.gamma_hz_per_t * self.gradient_t_per_m
        late = np.maximum(time_s - self.t0_s, 0.0)
        adapted = np.cbrt(3.0 * speed * self.k0_per_m**2 * late + self.k0_per_m**3)
        return np.where(time_s < self.t0_s, speed * time_s, adapted)

    def time_to_s(self, k_per_m: float) -> float:
        """Return when a radius is reached: the inverse of `AdaptedRadius.k_per_m`."""
        speed = self.gamma_hz_per_t * self.gradient_t_per_m
        if k_per_m <= self.k0_per_m:
            return k_per_m / speed
        return self.t0_s + (k_per_m**3 - self.k0_per_m**3) / (3.0 * speed * self.k0_per_m**2)


def reaching(
    of: Callable[[float], AdaptedRadius],
    *,
    edge_per_m: float,
    readout_s: float,
    n_width: int,
    largest_t_per_m: float,
) -> AdaptedRadius | None:
    """Return the radius that reaches the edge as the readout ends, as it is played.

    Parameters
    ----------
    of
        Radii by their gradient; larger ones are farther at any time.
    edge_per_m, readout_s
        Where it shall be, and when.
    n_width
        Steps of the running mean it is played with.
    largest_t_per_m
        Largest gradient.

    Returns
    -------
    AdaptedRadius or None
        None where the largest gradient does not get there.
    """

    def beyond(gradient_t_per_m: float) -> float:
        path = of(gradient_t_per_m).k_per_m
        return played(path, readout_s, n_width) / edge_per_m - 1.0

    if not beyond(largest_t_per_m) >= 0.0:
        return None
    smallest = largest_t_per_m
    while beyond(smallest) >= 0.0:
        smallest *= 0.5
    return of(brentq(beyond, smallest, largest_t_per_m, xtol=1e-15))
