"""Cartesian series: morphology, several echoes, flip angles, transmit field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import radians

import numpy as np

from ultrahand.phantoms.cartesian import CartesianScan
from ultrahand.phantoms.cartesian_lines import all_lines
from ultrahand.phantoms.cartesian_signal import CartesianSignal, Timing
from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.digital_hand.magnetisation import Excitation, spoiled
from ultrahand.phantoms.digital_hand.measure import BySignal, Scan
from ultrahand.phantoms.digital_hand.protocol import GRADIENT_DELAY_S, Cartesian
from ultrahand.phantoms.digital_hand.receiver_noise import proton_noise, receiver_noise
from ultrahand.phantoms.digital_hand.setting import Setting, matrix_of, position_of
from ultrahand.phantoms.setting import frame_of
from ultrahand.phantoms.signal import Grid
from ultrahand.phantoms.thermal import ThermalNoise
from ultrahand.physics.transmit_field import actual_flip_angle_signals
from ultrahand.records import Header
from ultrahand.units import M_PER_MM


def cartesian(
    setting: Setting, series: Cartesian, rng: np.random.Generator
) -> tuple[Scan, BySignal, Callable[[Header], Header], Coils]:
    """Return scan, samples, changes to the header and array of a Cartesian series.

    Parameters
    ----------
    setting, series
        The examination and which of its series.
    rng
        Source of the noise's correlation.
    """
    coils, sample = setting.coils(series), setting.sample(series)
    excitations = _cartesian_excitations(series)
    scan = cartesian_scan(setting, series, None)
    n_samples = scan.n_samples * len(scan.readouts(np.arange(1))) / _passes(series)
    level = proton_noise(series, excitations[-1], series.echo_times_s[0], n_samples)
    scan = replace(scan, noise=receiver_noise(rng, coils, level, series.sample_time_s))
    grid = Grid(
        steps_per_m=1.0 / np.array(scan.encoded_fov_m),
        frame=frame_of(scan),
        read=range(-scan.centre_index, scan.n_samples - scan.centre_index),
        lines=all_lines(scan),
    )
    lag = -GRADIENT_DELAY_S / series.sample_time_s * float(grid.steps_per_m[0])
    terms = [sample.terms(excite) for excite in excitations]
    signals = [
        [
            CartesianSignal(
                plates=sample.plates,
                terms=one,
                coils=coils,
                grid=grid,
                timing=Timing(
                    echo_time_s=echo, sample_time_s=series.sample_time_s, read_shift_per_m=lag
                ),
                demodulation_m=np.array(scan.position_mm) * M_PER_MM,
                threads=setting.threads,
            )
            for echo in series.echo_times_s
        ]
        for one in terms
    ]

    def header(found: Header) -> Header:
        return replace(found, flip_angles_deg=tuple(series.flips_deg))

    return scan, BySignal(scan=scan, signals=signals), header, coils


def _passes(series: Cartesian) -> int:
    """Return how many images a series makes."""
    return len(series.echo_times_s) * (2 if series.actual_flip else len(series.flips_deg))


def _cartesian_excitations(series: Cartesian) -> list[Excitation]:
    """Return the signal equation of each set."""
    if series.actual_flip:
        first, second = series.tr_s

        def of(which: int) -> Excitation:
            return lambda t1, b: actual_flip_angle_signals(
                radians(series.flips_deg[0]), (first, second), t1, transmit=b
            )[which]

        return [of(0), of(1)]
    return [spoiled(flip, series.tr_s[0]) for flip in series.flips_deg]


def cartesian_scan(
    setting: Setting, series: Cartesian, noise: ThermalNoise | None
) -> CartesianScan:
    """Return how a Cartesian series is taken."""
    matrix, fov = matrix_of(setting, series.voxel_m)
    return CartesianScan(
        matrix=matrix,
        fov_m=fov,
        dimension=3,
        readout_oversampling=setting.protocol.readout_oversampling,
        acceleration=series.acceleration,
        calibration_lines=series.calibration,
        sets=2 if series.actual_flip else len(series.flips_deg),
        echo_times_s=series.echo_times_s,
        sample_time_s=series.sample_time_s,
        repetition_time_s=series.tr_s[0],
        interleaved_tr_s=series.tr_s if series.actual_flip else (),
        flip_angle_deg=series.flips_deg[0],
        vendor="ultrahand",
        noise=noise,
        user_parameters={"nucleus": "1H"},
        **position_of(setting),  # type: ignore[arg-type]
    )
