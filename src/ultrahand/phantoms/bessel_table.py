"""The transform of a disk as a table of polynomials, for loops that evaluate it by the million."""

from __future__ import annotations

from math import pi

import numpy as np

from ultrahand.kernels import plate_sums
from ultrahand.phantoms.forms import disk
from ultrahand.records.arrays import Float64


def bessel_table(largest: float) -> Float64:
    """Return polynomials for ``2 J1(q)/q``, one row for each half unit of q up to `largest`.

    Degree 7 through the Chebyshev nodes: no derivative of the function exceeds 1, so the
    interpolation errs by less than ``2 (h/4)^8 / 8! = 3e-12`` with h = 1/2 (Trefethen,
    Approximation Theory and Approximation Practice, SIAM 2013, theorem 7.2 gives the rate; the
    constant is that of the nodal polynomial).

    Returns
    -------
    ndarray
        Shape ``(rows, 8)``, coefficients of powers of the distance to the middle, in rows.
    """
    nodes = 0.5 * np.cos(pi * (np.arange(8) + 0.5) / 8)
    rows = np.arange(int(plate_sums.PER_UNIT * largest) + 2)
    q = (rows + 0.5 + nodes[:, None]) / plate_sums.PER_UNIT
    values = 2.0 * disk(q)
    return np.ascontiguousarray(np.linalg.solve(np.vander(nodes, increasing=True), values).T)
