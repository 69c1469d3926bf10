"""The only conversion factors and physical constants, each with its source.

Everything inside ultrahand is SI (patient positions alone are LPS millimetres); conversions
happen where files are read and written.
"""

from __future__ import annotations

import math

M_PER_MM = 1e-3
S_PER_MS = 1e-3
S_PER_US = 1e-6
HZ_PER_MHZ = 1e6
RAD_PER_DEG = math.pi / 180.0

PROTON_GAMMA_HZ_PER_T = 42.577478518e6
"""Proton gyromagnetic ratio over 2 pi, CODATA 2018 (doi:10.1103/RevModPhys.93.025010)."""

SIEMENS_TICK_S = 2.5e-3
"""Time stamps of Siemens-converted ISMRMRD files count 2.5 ms since midnight."""
