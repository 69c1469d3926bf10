"""Small examinations: raw files of simulated scans and the exam.toml that lists them."""

import numpy as np

from ultrahand.io.write_ismrmrd import write_hdf5
from ultrahand.phantoms import (
    CartesianScan,
    NonCartesianScan,
    ThermalNoise,
    five_fingers,
    simulate,
    smooth_coils,
)
from ultrahand.recon.trajectories import k_max_per_m, radial_2d

FOV_M = (0.16, 0.12, 0.005)
SQUARE_M = (0.12, 0.12, 0.005)
COILS = 2


def noise(sigma=0.02):
    return ThermalNoise(covariance=sigma**2 * np.eye(COILS), n_readouts=4, n_samples=32)


def measured(scan, seed):
    rng = np.random.default_rng(seed)
    fov = (*scan.fov_m[:2], 0.06)
    return simulate(five_fingers(fov), smooth_coils(COILS, fov), scan, rng)


def cartesian(seed=1, **options):
    """A 2D gradient echo of 16 x 12 voxels."""
    options = {"matrix": (16, 12, 1), "fov_m": FOV_M, "dimension": 2, "noise": noise()} | options
    return measured(CartesianScan(**options), seed)


def golden(n_spokes=40, seed=2, **options):
    """Golden-angle spokes, 20 ms apart, of 16 x 16 voxels."""
    k = radial_2d(n_spokes, 32, k_max_per_m(16, SQUARE_M[0]), golden=True)
    options = {
        "matrix": (16, 16, 1),
        "fov_m": SQUARE_M,
        "dimension": 2,
        "k_per_m": k,
        "trajectory": "radial",
        "noise": noise(),
    } | options
    return measured(NonCartesianScan(**options), seed)


def table(name, kind, file, **more):
    """One [[series]]; a dict among the rest is its own table."""
    lines = ["[[series]]", f'name = "{name}"', f'kind = "{kind}"', f'file = "{file}"']
    for key, value in more.items():
        if isinstance(value, dict):
            lines += [f"[series.{key}]", *(f"{k} = {_toml(v)}" for k, v in value.items())]
        else:
            lines.append(f"{key} = {_toml(value)}")
    return "\n".join(lines)


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!r}" if isinstance(value, (int, float)) else f'"{value}"'


def exam_text(*series, subject="01", session="1", hand="right", more=""):
    head = f'[exam]\nsubject = "{subject}"\nsession = "{session}"\nhand = "{hand}"\n{more}\n'
    return "\n".join([head, *series]) + "\n"


def write_exam(folder, *series, **options):
    path = folder / "exam.toml"
    path.write_text(exam_text(*series, **options))
    return path


def small_exam(folder):
    """Three series: a 2D image, two echoes, and a dynamic one in frames."""
    folder.mkdir(exist_ok=True)
    write_hdf5(cartesian(), folder / "t1.h5")
    write_hdf5(cartesian(seed=3, echo_times_s=(3e-3, 6e-3)), folder / "echoes.h5")
    write_hdf5(golden(), folder / "dynamic.h5")
    return write_exam(
        folder,
        table("T1", "morphology", "t1.h5"),
        table("echoes", "multiecho", "echoes.h5", options={"parts": "mag,phase"}),
        table("dce", "dynamic", "dynamic.h5", options={"frame-time": 0.2}),
    )
