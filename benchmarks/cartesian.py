"""A Cartesian volume of 256 x 256 x 64 voxels and 16 coils, beside its bare FFTs and one read.

Warm process, root sum of squares, whitened, standard errors made, writing excluded. The bare FFTs
are scipy's, in place, on as many threads; one read is h5py's in blocks of 1024 rows.
"""

import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import scipy.fft

from benchmarks.measure import best_of, command_seconds, in_a_new_process, threads
from ultrahand.io.read_raw import read_raw
from ultrahand.io.write_ismrmrd import write_hdf5
from ultrahand.phantoms import (
    CartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
)
from ultrahand.pipelines import ReconOptions, Workspace, plan_reconstruction, reconstruct_volume

FOV = (0.2, 0.2, 0.1)
COILS = 16
RATIO, MEMORY, COMMAND_S = 3.0, 2.5, 3.0


def make(path):
    rng = np.random.default_rng(0)
    noise = ThermalNoise(
        covariance=random_covariance(rng, COILS, 1e-14), n_readouts=32, n_samples=512
    )
    scan = CartesianScan(matrix=(256, 256, 64), fov_m=FOV, dimension=3, noise=noise)
    write_hdf5(simulate(five_fingers(FOV), smooth_coils(COILS, FOV), scan, rng), path)


def ours(path):
    raw = read_raw(path)
    plan = plan_reconstruction(raw, ReconOptions())
    series = plan.series[0]
    parts = reconstruct_volume(raw, plan, series, series.volumes[0], Workspace()).parts
    return parts["mag"].values


def one_read(path):
    with h5py.File(path) as file:
        stored = file["dataset/data"]
        for first in range(0, len(stored), 1024):
            np.concatenate(stored[first : first + 1024]["data"])


def warm_seconds(path):
    """Best of five warm calls; runs in a process of its own, so that its memory can be told."""
    return best_of(lambda: ours(path))


def run():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.h5"
        make(path)
        seconds, peak = in_a_new_process("benchmarks.cartesian", "warm_seconds", str(path))
        read = best_of(lambda: one_read(path))
        grid = np.zeros((COILS, 64, 256, 256), np.complex64)
        fft = best_of(
            lambda: scipy.fft.ifftn(
                grid, axes=(1, 2, 3), overwrite_x=True, workers=threads(), norm="ortho"
            )
        )
        out = Path(folder) / "image.nii.gz"
        command = command_seconds(
            [sys.executable, "-m", "ultrahand", "recon", path, "-o", out, "-q", "--force"], 3
        )
        raw_bytes = grid.nbytes
    print(f"ultrahand\t{seconds:.2f} s\t{peak / 1e6:.0f} MB")
    print(f"bare FFTs\t{fft:.2f} s")
    print(f"one read\t{read:.2f} s")
    print(f"whole command\t{command:.2f} s")
    ratio = seconds / (fft + read)
    yield f"at most {RATIO:g} times (bare FFTs + one read)", f"{ratio:.2f} times", ratio <= RATIO
    memory = peak / raw_bytes
    yield f"peak at most {MEMORY:g} times the raw data", f"{memory:.2f} times", memory <= MEMORY
    more = command - seconds
    yield f"whole command at most {COMMAND_S:g} s more", f"{more:.2f} s", more <= COMMAND_S
