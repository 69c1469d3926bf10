"""The dynamic series: a golden-angle stack of stars while the contrast agent passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil, radians
from typing import Final

import numpy as np

from ultrahand.phantoms.coils import Coils
from ultrahand.phantoms.digital_hand.courses import Courses, arrival_classes, make_courses
from ultrahand.phantoms.digital_hand.magnetisation import spoiled
from ultrahand.phantoms.digital_hand.measure import Ready, Scan
from ultrahand.phantoms.digital_hand.protocol import AGENT_S, GRADIENT_DELAY_S, Dynamic
from ultrahand.phantoms.digital_hand.receiver_noise import proton_noise, receiver_noise
from ultrahand.phantoms.digital_hand.setting import Setting, extent_m, position_of, side_of
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.phantoms.noncartesian import NonCartesianScan
from ultrahand.phantoms.nufft_signal import stack_signal
from ultrahand.phantoms.plates import Terms
from ultrahand.phantoms.setting import frame_of
from ultrahand.phantoms.thermal import ThermalNoise
from ultrahand.recon.trajectories import radial_2d
from ultrahand.records import Header
from ultrahand.records.arrays import Float64
from ultrahand.units import M_PER_MM

_DYNAMIC_TOLERANCE: Final = 1e-3
"""Of the dynamic series' samples, relative to the largest."""
_OVERSAMPLING: Final = 1.5
"""Of spokes: more than sqrt(2), so that the corners of the square field of view do not alias."""
_RISE_STEP_S: Final = 0.05
_PEAK_BY_S: Final = 45.0
"""By which a vessel's signal has its peak, after the agent's arrival: a vein's in some 13 s."""


def dynamic(
    setting: Setting, series: Dynamic, rng: np.random.Generator
) -> tuple[Scan, Ready, Callable[[Header], Header], Coils]:
    """Return scan, samples, changes to the header and array of the dynamic series.

    The contrast agent stands still while the partitions of one spoke are measured.

    Parameters
    ----------
    setting, series
        The examination and which of its series.
    rng
        Source of the noise's correlation.
    """
    coils, sample = setting.coils(series), setting.sample(series)
    scan = dynamic_scan(setting, series, None)
    courses = courses_of(setting, series, shot_times_s(series, scan))
    excite = spoiled(series.flip_deg, series.tr_s)
    parts = [sample.terms(excite)]
    for number in range(len(courses.functions)):
        weight = courses.weights[:, number]
        chosen = np.flatnonzero(weight)
        curve = np.full(len(weight), number)
        parts.append(sample.terms(excite, scale=weight, curve=curve, chosen=chosen))
    names = ("plate", "amplitude", "r2star_per_s", "off_resonance_hz", "curve")
    terms = Terms(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})
    passed = np.arange(scan.n_samples, dtype=np.float64) - scan.centre_index
    time_s = series.echo_time_s + passed * series.sample_time_s
    spokes = scan.k_per_m
    step = spokes[:, 1] - spokes[:, 0]
    spokes = spokes - (GRADIENT_DELAY_S / series.sample_time_s) * step[:, None]
    n = scan.n_partitions
    partitions = (np.arange(n) - n // 2) / scan.fov_m[2]
    point = np.array(scan.position_mm) * M_PER_MM
    values = stack_signal(
        sample.plates,
        terms,
        coils,
        spokes,
        partitions,
        time_s,
        frame=frame_of(scan),
        demodulation_m=point,
        curves=courses.functions,
        tolerance=_DYNAMIC_TOLERANCE,
        threads=setting.threads,
    ).reshape(-1, coils.n_coils, scan.n_samples)
    count = float(scan.n_samples * n * series.frame_spokes)
    level = proton_noise(series, excite, series.echo_time_s, count)
    scan = replace(scan, noise=receiver_noise(rng, coils, level, series.sample_time_s))
    return scan, Ready(scan=scan, values=values[None, None]), lambda header: header, coils


def frame_time_s(setting: Setting, series: Dynamic) -> float:
    """Return how long the spokes of one frame take, to the microsecond."""
    partitions = dynamic_scan(setting, series, None).n_partitions
    return round(series.frame_spokes * partitions * series.tr_s, 6)


def shot_times_s(series: Dynamic, scan: NonCartesianScan) -> Float64:
    """Return when the middle of each spoke's partitions is measured, after the injection."""
    n = scan.n_partitions
    middle = (np.arange(len(scan.k_per_m), dtype=np.float64) * n + 0.5 * (n - 1)) * series.tr_s
    return middle + series.echo_time_s - AGENT_S


def courses_of(setting: Setting, series: Dynamic, time_s: Float64) -> Courses:
    """Return how the contrast agent changes every solid at some times after the injection."""
    return make_courses(
        setting.subject,
        setting.fields,
        arrivals_of(setting.subject),
        time_s,
        flip_rad=radians(series.flip_deg),
        tr_s=series.tr_s,
        te_s=series.echo_time_s,
    )


def signal_arrivals_of(setting: Setting, series: Dynamic) -> dict[str, float | None]:
    """Return when each vessel's signal, by the solid's name, is half way up to its peak.

    In seconds after the injection's start, even if the series ends before; None where no agent
    comes.
    """
    arrivals, index = arrivals_of(setting.subject), setting.subject.index
    time = np.arange(0.0, max(arrivals.values(), default=0.0) + _PEAK_BY_S, _RISE_STEP_S)
    found = courses_of(setting, series, time).half_rise_s(time)
    names = (
        setting.subject.prefix(side) + vessel.name
        for side, hand in setting.subject.hands.items()
        for vessel in hand.vessels
    )
    return {name: float(found[index[name]]) if name in arrivals else None for name in names}


def arrivals_of(subject: Subject) -> dict[str, float]:
    """Return when each vessel that fills does, by its solid's name; at most twelve times."""
    found = {
        subject.prefix(side) + vessel.name: vessel.arrival_s
        for side, hand in subject.hands.items()
        for vessel in hand.vessels
        if vessel.arrival_s is not None
    }
    return dict(arrival_classes(found))


def dynamic_scan(setting: Setting, series: Dynamic, noise: ThermalNoise | None) -> NonCartesianScan:
    """Return how the dynamic series is taken."""
    side = side_of(setting, series.voxel_m)
    n_samples = 2 * ceil(0.5 * _OVERSAMPLING * side)
    depth = float(extent_m(setting)[2])
    length = side * series.voxel_m
    return NonCartesianScan(
        matrix=(side, side, round(depth / series.partition_m)),
        fov_m=(length, length, depth),
        dimension=3,
        k_per_m=radial_2d(series.n_spokes, n_samples, 0.5 / series.voxel_m, golden=True),
        trajectory="radial",
        trajectory_unit="1/m",
        echo_times_s=(series.echo_time_s,),
        sample_time_s=series.sample_time_s,
        repetition_time_s=series.tr_s,
        flip_angle_deg=series.flip_deg,
        vendor="ultrahand",
        noise=noise,
        user_parameters={"nucleus": "1H", "trajectory_unit": "1/m"},
        **position_of(setting),  # type: ignore[arg-type]
    )
