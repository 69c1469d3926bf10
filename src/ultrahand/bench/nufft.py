"""The 3D non-uniform transform of eight coils, image to samples and back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ultrahand.bench.exact import exact_adjoint, exact_forward, exact_nufft
from ultrahand.bench.peers import by_finufft, by_mrinufft, by_sigpy
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

COILS = 8
EPS = 1e-5
ERROR = 5e-5
CHECKED = (0, COILS - 1)
"""Coils that have a reference: eight of them in double precision would take half a gigabyte."""
Direction = Literal["forward", "adjoint"]


def make(
    direction: Direction, matrix: int, size: Size, _folder: Path, threads: int
) -> dict[str, Array]:
    """Return positions, the input of the transform, and its exact output for two coils."""
    n = matrix if size == "full" else 12
    shape = (n, n, n)
    k = spokes_3d(n, size)
    core = shape if direction == "forward" else (len(k),)
    given = random_complex(np.random.default_rng(1), COILS, *core)
    nufft = exact_nufft(k, shape, threads)
    exact = exact_forward if direction == "forward" else exact_adjoint
    truth = np.stack([exact(nufft, k, given[coil]) for coil in CHECKED])
    return {"k": k, "shape": np.array(shape), "given": given, "truth": truth}


def ours(direction: Direction, case: Case) -> Call:
    """One plan for all coils."""
    from ultrahand.recon.nufft import plan_nufft

    k, given = case["k"], case["given"]
    shape = tuple(case["shape"].tolist())
    nufft = plan_nufft(
        metric(k),
        shape=shape,
        voxel_size_m=tuple(1 / n for n in shape),
        n_coils=len(given),
        eps=EPS,
        threads=case.threads,
    )
    return lambda: nufft.forward(given) if direction == "forward" else nufft.adjoint(given)


def judge(found: Array, case: Case) -> float:
    """Return the error of the coils that have a reference."""
    return relative_error(found[list(CHECKED)], case["truth"])


def _problem(direction: Direction, n: int, over_mrinufft: float) -> Problem:
    def engine(name: str, module: object, package: str, setting: str) -> Engine:
        prepare = module if callable(module) else getattr(module, direction)
        return Engine(name=name, prepare=prepare, package=package, setting=setting)

    words = "image to samples" if direction == "forward" else "samples to image"
    return Problem(
        name=f"{direction}-{n}",
        title=f"NUFFT, {words}, 3D radial, 3.84 million samples, {n}^3 voxels, {COILS} coils",
        make=partial(make, direction, n),
        judge=judge,
        error_name="relative l2 of two coils, against float64",
        engines=(
            engine(OURS, partial(ours, direction), "ultrahand", "eps 1e-5"),
            engine("finufft", by_finufft, "finufft", "n_trans 8, eps 1e-5, upsampfac 2"),
            engine("mri-nufft", by_mrinufft, "mri-nufft", "finufft backend, default options"),
            engine("sigpy", by_sigpy, "sigpy", "oversamp 2, width 6"),
        ),
        goals=(
            Goal(peer="finufft", ratio=1, error=ERROR),
            Goal(peer="mri-nufft", ratio=over_mrinufft, error=ERROR),
            Goal(peer="sigpy", ratio=50, error=ERROR),
        ),
    )


PROBLEMS = {
    problem.name: problem
    for n, ratio in ((64, 1.5), (96, 1.0))
    for problem in (_problem("forward", n, ratio), _problem("adjoint", n, ratio))
}
