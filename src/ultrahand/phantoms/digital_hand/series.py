"""Each series of an examination: its raw data, made while they are written."""

from __future__ import annotations

import numpy as np

from ultrahand.phantoms.digital_hand.cartesian_series import cartesian, cartesian_scan
from ultrahand.phantoms.digital_hand.dynamic_series import dynamic, dynamic_scan
from ultrahand.phantoms.digital_hand.measure import Progress, Scan, measure
from ultrahand.phantoms.digital_hand.protocol import Cartesian, Dynamic, Radial3D, Series
from ultrahand.phantoms.digital_hand.radial_series import radial, radial_scan
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.records import RawData


def raw_of(setting: Setting, series: Series, number: int, progress: Progress) -> RawData:
    """Return the raw data of a series; samples are made while they are written.

    Parameters
    ----------
    setting
        The examination.
    series
        Which series.
    number
        Its place in the examination: its noise follows from it.
    progress
        Called with numbers of readouts made.
    """
    rng = np.random.default_rng([setting.seed, number, 7])
    noise_seed = int(rng.integers(1 << 62))
    make = {Cartesian: cartesian, Radial3D: radial, Dynamic: dynamic}[type(series)]
    scan, noiseless, header, coils = make(setting, series, rng)  # type: ignore[operator]
    return measure(
        scan,
        noiseless,
        n_coils=coils.n_coils,
        noise=scan.noise,
        seed=noise_seed,
        header=header,
        progress=progress,
    )


def scan_of(setting: Setting, series: Series) -> Scan:
    """Return how a series is taken, without its noise: its grid is that of the image."""
    if isinstance(series, Cartesian):
        return cartesian_scan(setting, series, None)
    if isinstance(series, Radial3D):
        return radial_scan(setting, series, None)
    return dynamic_scan(setting, series, None)
