"""What is measured in each size of examination; the table of docs/simulate.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, final

Size: TypeAlias = Literal["tiny", "small", "full"]
SIZES: Final[tuple[Size, ...]] = ("tiny", "small", "full")
AGENT_S: Final = 12.0
"""When the injection starts, after the start of the dynamic series."""
GRADIENT_DELAY_S: Final = 1.5e-6
"""By which every gradient lags behind its prescription (assumed)."""


@final
@dataclass(frozen=True, kw_only=True)
class Cartesian:
    """A 3D spoiled gradient echo with isotropic voxels."""

    name: str
    kind: str
    voxel_m: float
    tr_s: tuple[float, ...]
    echo_times_s: tuple[float, ...]
    flips_deg: tuple[float, ...]
    """One set each."""
    sample_time_s: float
    acceleration: tuple[int, int] = (1, 1)
    calibration: tuple[int, int] = (0, 0)
    actual_flip: bool = False
    """Two interleaved repetition times, one set each (Yarnykh 2007)."""
    snr: float = 40.0
    """Of muscle in one voxel of one coil, about."""


@final
@dataclass(frozen=True, kw_only=True)
class Radial3D:
    """Density-adapted sodium spokes from the centre out."""

    name: str
    kind: str
    voxel_m: float
    tr_s: float
    echo_times_s: tuple[float, ...]
    flips_deg: tuple[float, ...]
    n_spokes: int
    readout_s: float
    sample_time_s: float
    n_coils: int
    snr: float = 15.0
    """Of 150 mmol/L in one voxel (reading of the noise that sodium at 7 T shows)."""


@final
@dataclass(frozen=True, kw_only=True)
class Dynamic:
    """A golden-angle stack of stars with contrast agent."""

    name: str
    kind: str
    voxel_m: float
    partition_m: float
    tr_s: float
    echo_time_s: float
    flip_deg: float
    n_spokes: int
    sample_time_s: float
    frame_spokes: int
    """Spokes of a frame as `exam` cuts them: a divisor of all, so that none is short."""
    snr: float = 12.0


Series: TypeAlias = Cartesian | Radial3D | Dynamic


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The series of one size, in the order in which they are measured."""

    size: Size
    n_coils: int
    """Of the proton array."""
    coil_order: int
    """Largest squared harmonic of the array's sensitivities."""
    tolerance: float
    """Largest error of sodium samples, relative to the largest."""
    unit_m: float
    """Fields of view are multiples of it, and it of each Cartesian voxel: all series share them."""
    fine_m: float
    """Voxels of the fine truth."""
    readout_oversampling: float
    series: tuple[Series, ...] = field(default_factory=tuple)


def _series(
    *,
    morphology: Cartesian,
    multiecho_m: float,
    low_m: float,
    b1_m: float,
    sodium: Radial3D,
    sodium_b1: Radial3D,
    dynamic: Dynamic,
) -> tuple[Series, ...]:
    return (
        morphology,
        Cartesian(
            name="multiecho",
            kind="multiecho",
            voxel_m=multiecho_m,
            tr_s=(30e-3,),
            echo_times_s=(3e-3, 7e-3, 11e-3, 15e-3),
            flips_deg=(12.0,),
            sample_time_s=5e-6,
        ),
        Cartesian(
            name="t1",
            kind="t1",
            voxel_m=low_m,
            tr_s=(10e-3,),
            echo_times_s=(2e-3,),
            flips_deg=(3.0, 8.0, 18.0),
            sample_time_s=5e-6,
        ),
        Cartesian(
            name="b1",
            kind="b1",
            voxel_m=b1_m,
            tr_s=(20e-3, 100e-3),
            echo_times_s=(2e-3,),
            flips_deg=(60.0,),
            sample_time_s=5e-6,
            actual_flip=True,
        ),
        sodium,
        sodium_b1,
        dynamic,
    )


def _morphology(
    voxel_m: float,
    sample_time_s: float,
    acceleration: tuple[int, int] = (1, 1),
    calibration: tuple[int, int] = (0, 0),
) -> Cartesian:
    return Cartesian(
        name="morphology",
        kind="morphology",
        voxel_m=voxel_m,
        tr_s=(15e-3,),
        echo_times_s=(3.2e-3,),
        flips_deg=(12.0,),
        sample_time_s=sample_time_s,
        acceleration=acceleration,
        calibration=calibration,
    )


def _sodium(voxel_m: float, n_spokes: int, n_coils: int, sample_time_s: float) -> Radial3D:
    return Radial3D(
        name="sodium",
        kind="sodium",
        voxel_m=voxel_m,
        tr_s=50e-3,
        echo_times_s=(0.3e-3, 12e-3),
        flips_deg=(90.0,),
        n_spokes=n_spokes,
        readout_s=10e-3,
        sample_time_s=sample_time_s,
        n_coils=n_coils,
    )


def _sodium_b1(voxel_m: float, n_spokes: int, n_coils: int, sample_time_s: float) -> Radial3D:
    return Radial3D(
        name="sodium_b1",
        kind="sodium_b1",
        voxel_m=voxel_m,
        tr_s=100e-3,
        echo_times_s=(0.3e-3,),
        flips_deg=(45.0, 90.0),
        n_spokes=n_spokes,
        readout_s=6e-3,
        sample_time_s=sample_time_s,
        n_coils=n_coils,
        snr=60.0,
    )


def _dynamic(
    voxel_m: float, partition_m: float, tr_s: float, n_spokes: int, frame_spokes: int
) -> Dynamic:
    return Dynamic(
        name="dynamic",
        kind="dynamic",
        voxel_m=voxel_m,
        partition_m=partition_m,
        tr_s=tr_s,
        echo_time_s=2e-3,
        flip_deg=18.0,
        n_spokes=n_spokes,
        sample_time_s=2.5e-6,
        frame_spokes=frame_spokes,
    )


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "tiny": Protocol(
        size="tiny",
        n_coils=4,
        coil_order=1,
        tolerance=5e-4,
        unit_m=16e-3,
        fine_m=2e-3,
        readout_oversampling=2.0,
        series=_series(
            morphology=_morphology(4e-3, 2e-6),
            multiecho_m=8e-3,
            low_m=8e-3,
            b1_m=8e-3,
            sodium=_sodium(10e-3, 300, 1, 16e-6),
            sodium_b1=_sodium_b1(15e-3, 150, 1, 16e-6),
            dynamic=_dynamic(8e-3, 16e-3, 50e-3, 400, 50),
        ),
    ),
    "small": Protocol(
        size="small",
        n_coils=16,
        coil_order=2,
        tolerance=5e-4,
        unit_m=8e-3,
        fine_m=0.6e-3,
        readout_oversampling=2.0,
        series=_series(
            morphology=_morphology(1.0e-3, 2e-6),
            multiecho_m=8e-3 / 3,
            low_m=4e-3,
            b1_m=4e-3,
            sodium=_sodium(4e-3, 2000, 1, 20e-6),
            sodium_b1=_sodium_b1(6e-3, 800, 1, 16e-6),
            dynamic=_dynamic(3e-3, 6e-3, 36e-3, 720, 16),
        ),
    ),
    "full": Protocol(
        size="full",
        n_coils=16,
        coil_order=2,
        tolerance=5e-4,
        unit_m=4.2e-3,
        fine_m=0.35e-3,
        readout_oversampling=1.05,
        series=_series(
            morphology=_morphology(0.35e-3, 2.4e-6, acceleration=(2, 2), calibration=(24, 24)),
            multiecho_m=2.1e-3,
            low_m=2.1e-3,
            b1_m=4.2e-3,
            sodium=_sodium(1.5e-3, 7500, 8, 12.5e-6),
            sodium_b1=_sodium_b1(4e-3, 1500, 8, 16e-6),
            dynamic=_dynamic(1.5e-3, 3.0e-3, 5.5e-3, 1440, 30),
        ),
    ),
}
