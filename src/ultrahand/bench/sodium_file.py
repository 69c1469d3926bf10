"""A whole 3D sodium file to its combined image: read, whiten, weigh, transform, combine.

Warm: the density weights of the trajectory are known from an earlier volume, as they are for every
echo and repetition but the first. The peers are handed the same weights, and the same reader.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ultrahand.bench.exact import exact_adjoint, exact_nufft
from ultrahand.bench.peers import by_bart, by_sigpy
from ultrahand.bench.problem import (
    OURS,
    Array,
    Call,
    Case,
    Engine,
    Goal,
    Problem,
    Size,
    relative_error,
)
from ultrahand.bench.readouts import whitened_samples
from ultrahand.bench.setting import spokes_3d

COILS, FOV_M = 8, 0.192
FILE = "sodium.h5"
ERROR = 1e-4
_CENTRE, _RADII = (0.01, -0.006, 0.012), (0.03, 0.05, 0.06)


def make(size: Size, folder: Path, threads: int) -> dict[str, Array]:
    """Write the file: an ellipsoid in closed form, coils of plane waves, noise and its readouts.

    The truth is the same reconstruction in float64: whitened by the definition, the adjoint sum
    to 1e-10, root sum of squares. The weights are those of ours, given to all.
    """
    from ultrahand.io.read_raw import read_raw
    from ultrahand.recon.density import density_weights

    n, spokes = (96, 10_000) if size == "full" else (12, 200)
    k = spokes_3d(n, size)
    _write(folder / FILE, n, k.reshape(spokes, -1, 3))
    metric = k[:, ::-1].astype(np.float64) / FOV_M
    weights = density_weights(
        metric, shape=(n,) * 3, voxel_size_m=(FOV_M / n,) * 3, threads=threads
    ).weights
    samples = whitened_samples(read_raw(folder / FILE)) * weights
    nufft = exact_nufft(k, (n,) * 3, threads)
    power = np.zeros((n,) * 3)
    for coil in samples:
        image = nufft.adjoint(coil.astype(np.complex128))
        power += np.abs(image) ** 2
    exact_adjoint(nufft, k, samples[0])
    return {"k": k, "weights": weights, "shape": np.array((n,) * 3), "truth": np.sqrt(power)}


def _write(path: Path, n: int, k_cycles: Array) -> None:
    from ultrahand.io.write_ismrmrd import write_hdf5
    from ultrahand.phantoms import (
        NonCartesianScan,
        ThermalNoise,
        random_covariance,
        simulate,
        smooth_coils,
    )
    from ultrahand.phantoms.objects import Ellipsoid

    rng = np.random.default_rng(5)
    fov = (FOV_M,) * 3
    scan = NonCartesianScan(
        matrix=(n, n, n),
        fov_m=fov,
        dimension=3,
        k_per_m=k_cycles[..., ::-1].astype(np.float64) / FOV_M,
        trajectory="radial",
        nucleus="23Na",
        noise=ThermalNoise(
            covariance=random_covariance(rng, COILS, 1e-14), n_readouts=32, n_samples=512
        ),
    )
    thing = Ellipsoid(centre_m=np.array(_CENTRE), semi_axes_m=np.array(_RADII), density=1.0)
    write_hdf5(simulate((thing,), smooth_coils(COILS, fov, order=1), scan, rng), path)


def ours(case: Case) -> Call:
    """Do what ``ultrahand recon`` does, but for writing the image."""
    from ultrahand.io.read_raw import read_raw
    from ultrahand.pipelines import (
        ReconOptions,
        Workspace,
        plan_reconstruction,
        reconstruct_volume,
    )
    from ultrahand.recon.gridding import DensityCache

    known, path = DensityCache(), case.folder / FILE

    def call() -> Array:
        raw = read_raw(path)
        plan = plan_reconstruction(raw, ReconOptions(threads=case.threads))
        series = plan.series[0]
        workspace = Workspace(densities=known)
        made = reconstruct_volume(raw, plan, series, series.volumes[0], workspace)
        return made.parts["mag"].values

    return call


PROBLEM = Problem(
    name="sodium",
    title="a 3D sodium file, 10,000 spokes of 384 samples, 8 coils, to its image of 96^3 voxels",
    make=make,
    judge=lambda found, case: relative_error(found, case["truth"]),
    error_name="relative l2, against the same in float64",
    engines=(
        Engine(name=OURS, prepare=ours, package="ultrahand", setting="known density weights"),
        Engine(
            name="sigpy",
            prepare=by_sigpy.sodium_file,
            package="sigpy",
            setting="nufft_adjoint, oversamp 2, width 5; reader and weights given",
        ),
        Engine(
            name="bart",
            prepare=by_bart.sodium_file,
            package="bart",
            setting="nufft -a, rss; reader and weights given",
        ),
    ),
    goals=(
        Goal(peer="sigpy", ratio=20, error=ERROR),
        Goal(peer="bart", ratio=10, error=ERROR),
        Goal(peer="4 s", ratio=1, error=ERROR, seconds=4.0),
    ),
)
PROBLEMS = {PROBLEM.name: PROBLEM}
