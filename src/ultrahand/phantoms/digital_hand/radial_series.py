"""Density-adapted sodium series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.digital_hand.magnetisation import spoiled
from ultrahand.phantoms.digital_hand.measure import Ready, Scan
from ultrahand.phantoms.digital_hand.protocol import GRADIENT_DELAY_S, Radial3D
from ultrahand.phantoms.digital_hand.receiver_noise import noise_level, receiver_noise
from ultrahand.phantoms.digital_hand.setting import Setting, position_of, side_of
from ultrahand.phantoms.noncartesian import NonCartesianScan
from ultrahand.phantoms.nufft_signal import nufft_signal
from ultrahand.phantoms.setting import frame_of
from ultrahand.phantoms.thermal import ThermalNoise
from ultrahand.physics.tissues import tissue
from ultrahand.recon.trajectories import Prescription, design_density_adapted
from ultrahand.records import Header
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM


def radial(
    setting: Setting, series: Radial3D, rng: np.random.Generator
) -> tuple[Scan, Ready, Callable[[Header], Header], Coils]:
    """Return scan, samples, changes to the header and array of a sodium series.

    Parameters
    ----------
    setting, series
        The examination and which of its series.
    rng
        Source of the noise's correlation.
    """
    coils, sample = setting.coils(series), setting.sample(series)
    scan = radial_scan(setting, series, None)
    k = _radial_k(setting, series, GRADIENT_DELAY_S) @ frame_of(scan)
    within = np.arange(k.shape[1], dtype=np.float64) * series.sample_time_s
    excitations = [spoiled(flip, series.tr_s) for flip in series.flips_deg]
    point = np.array(scan.position_mm) * M_PER_MM
    values = np.stack(
        [
            np.stack(
                [
                    nufft_signal(
                        sample.plates,
                        terms,
                        coils,
                        k,
                        echo + within,
                        demodulation_m=point,
                        tolerance=setting.protocol.tolerance,
                        threads=setting.threads,
                    )
                    for echo in series.echo_times_s
                ]
            )
            for terms in map(sample.terms, excitations)
        ]
    )
    agar = tissue("agar").sodium
    excited = float(excitations[-1](np.array(agar.t1_s), np.array(1.0)))
    level = noise_level(150.0 * excited, series.voxel_m**3, k.shape[0] * k.shape[1], series.snr)
    scan = replace(scan, noise=receiver_noise(rng, coils, level, series.sample_time_s))

    def header(found: Header) -> Header:
        return replace(found, flip_angles_deg=series.flips_deg)

    return scan, Ready(scan=scan, values=values), header, coils


def _radial_k(setting: Setting, series: Radial3D, delay_s: float) -> Float64:
    """Return the spokes along read, phase, slice, as they are played so much later."""
    prescription = Prescription(
        voxel_size_m=series.voxel_m,
        fov_m=side_of(setting, series.voxel_m) * series.voxel_m,
        sample_time_s=series.sample_time_s,
        nucleus="23Na",
    )
    design = design_density_adapted(
        prescription, readout_s=series.readout_s, n_shots=series.n_spokes
    )
    late = replace(design, time_s=np.maximum(design.time_s - delay_s, 0.0))
    return late.k_per_m()


def radial_scan(setting: Setting, series: Radial3D, noise: ThermalNoise | None) -> NonCartesianScan:
    """Return how a sodium series is taken."""
    side = side_of(setting, series.voxel_m)
    fov = side * series.voxel_m
    return NonCartesianScan(
        matrix=(side, side, side),
        fov_m=(fov, fov, fov),
        dimension=3,
        k_per_m=_radial_k(setting, series, 0.0),
        trajectory="radial",
        trajectory_unit="1/m",
        sets=len(series.flips_deg),
        echo_times_s=series.echo_times_s,
        sample_time_s=series.sample_time_s,
        repetition_time_s=series.tr_s,
        flip_angle_deg=series.flips_deg[0],
        nucleus="23Na",
        vendor="ultrahand",
        noise=noise,
        user_parameters={"nucleus": "23Na", "trajectory_unit": "1/m"},
        **position_of(setting),  # type: ignore[arg-type]
    )
