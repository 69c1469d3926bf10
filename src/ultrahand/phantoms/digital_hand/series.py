"""Each series of an examination: its raw data, made while they are written."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ultrahand.phantoms.digital_hand.cartesian_series import cartesian, cartesian_scan
from ultrahand.phantoms.digital_hand.dynamic_series import dynamic, dynamic_scan
from ultrahand.phantoms.digital_hand.measure import Progress, Scan, measure
from ultrahand.phantoms.digital_hand.protocol import Cartesian, Dynamic, Radial3D, Series
from ultrahand.phantoms.digital_hand.radial_series import radial, radial_scan
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.setting import START_S
from ultrahand.records import RawData

MODEL: Final = "digital hand"
"""Of the scanner, in the files' headers."""
PAUSE_S: Final = 20.0
"""Between the end of a series and the start of the next: shim, frequency, gains (assumed)."""


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
    raw = measure(
        scan,
        noiseless,
        n_coils=coils.n_coils,
        noise=scan.noise,
        seed=noise_seed,
        start_s=_start_s(setting, number),
        header=header,
        progress=progress,
    )
    names = replace(
        raw.header,
        model=MODEL,
        coil_labels=tuple(f"{scan.nucleus}-{n + 1}" for n in range(coils.n_coils)),
        protocol_name=series.name,
        measurement_id=f"{setting.seed}-{number + 1}",
    )
    return replace(raw, header=names)


def _start_s(setting: Setting, number: int) -> float:
    """Return when a series starts: the examination's clock runs through all series before it."""
    before = setting.protocol.series[:number]
    return START_S + sum(_duration_s(setting, series) + PAUSE_S for series in before)


def _duration_s(setting: Setting, series: Series) -> float:
    """Return how long a series takes."""
    if isinstance(series, Radial3D):  # its trajectory, which has no say, takes long to design
        return series.n_spokes * len(series.flips_deg) * series.tr_s
    scan = scan_of(setting, series)
    shots = len(scan.readouts(np.arange(1))) // len(scan.echo_times_s)
    return shots * sum(scan.cycle_s) / len(scan.cycle_s)


def scan_of(setting: Setting, series: Series) -> Scan:
    """Return how a series is taken, without its noise: its grid is that of the image."""
    if isinstance(series, Cartesian):
        return cartesian_scan(setting, series, None)
    if isinstance(series, Radial3D):
        return radial_scan(setting, series, None)
    return dynamic_scan(setting, series, None)
