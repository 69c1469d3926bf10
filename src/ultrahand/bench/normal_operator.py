"""The normal operator ``A^H A`` of one coil, 3D radial: what an iteration pays, beside a pair."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ultrahand.bench.exact import exact_adjoint, exact_forward, exact_nufft
from ultrahand.bench.peers import by_finufft
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
from ultrahand.bench.setting import metric, random_complex, spokes_3d

ERROR = 5e-5


def make(matrix: int, size: Size, _folder: Path, threads: int) -> dict[str, Array]:
    """Return positions, a random image (the hard case) and what the operator makes of it."""
    n = matrix if size == "full" else 12
    k = spokes_3d(n, size)
    image = random_complex(np.random.default_rng(0), n, n, n)
    nufft = exact_nufft(k, image.shape, threads)
    samples = exact_forward(nufft, k, image)
    return {"k": k, "image": image, "truth": exact_adjoint(nufft, k, samples)}


def ours(case: Case) -> Call:
    """Use the Toeplitz form; its spectrum is made once for a trajectory, in preparation."""
    from ultrahand.recon.normal import normal_operator, spectra_of_samples

    k, image = metric(case["k"]), case["image"]
    spectra = spectra_of_samples(
        k,
        [np.ones(len(k), np.float32)],
        shape=image.shape,
        voxel_size_m=tuple(1 / n for n in image.shape),
        threads=case.threads,
    )
    maps = np.ones((1, 1, *image.shape), np.complex64)
    operator = normal_operator(spectra, maps, threads=case.threads)
    return lambda: operator.forward(image[None, None])[0, 0]


def _problem(n: int, ratio: float) -> Problem:
    return Problem(
        name=f"normal-{n}",
        title=f"normal operator, 3D radial, 3.84 million samples, {n}^3 voxels, 1 coil",
        make=partial(make, n),
        judge=lambda found, case: relative_error(found, case["truth"]),
        error_name="relative l2, against float64",
        engines=(
            Engine(name=OURS, prepare=ours, package="ultrahand", setting="Toeplitz"),
            Engine(
                name="finufft",
                prepare=by_finufft.normal_pair,
                package="finufft",
                setting="pair of plans, eps 1e-5, upsampfac 2",
            ),
        ),
        goals=(Goal(peer="finufft", ratio=ratio, error=ERROR),),
    )


PROBLEMS = {problem.name: problem for problem in (_problem(64, 20), _problem(96, 12))}
