"""GRAPPA of undersampled Cartesian lines, the whole call from k-space to k-space."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ultrahand.bench.peers import by_pygrappa
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
from ultrahand.bench.setting import coils, hand, whitened_kspace
from ultrahand.recon.fourier import kspace_to_image

COILS = 16
NOISE = 0.03
Rates = tuple[int, int]


def make(rates: Rates, size: Size, _folder: Path, _threads: int) -> dict[str, Array]:
    """Return undersampled k-space in noise units, its mask, and the image without noise.

    24 lines in the middle are sampled in full, along both axes that are undersampled.
    """
    n, lines = (256, 24) if size == "full" else (48, 20)
    truth = coils(n, COILS, 0.6) * hand(n)
    kspace, _ = whitened_kspace(truth, NOISE, seed=4)
    mask = np.zeros((n, n), bool)
    mask[:: rates[0], :: rates[1]] = True
    middle = slice(n // 2 - lines // 2, n // 2 + lines // 2)
    block = tuple(middle if rate > 1 else slice(None) for rate in rates)
    mask[block] = True
    calibration = np.ascontiguousarray(kspace[(slice(None), *block)])
    return {
        "kspace": kspace * mask,
        "mask": mask,
        "calibration": calibration,
        "truth": np.sqrt((np.abs(truth) ** 2).sum(axis=0)),
    }


def ours(case: Case) -> Call:
    """Find lattice and calibration from the mask, each time."""
    from ultrahand.recon.grappa import grappa

    kspace, mask = case["kspace"][:, None], case["mask"][None]
    return lambda: grappa(kspace, mask, threads=case.threads)[0][:, 0]


def judge(found: Array, case: Case) -> float:
    """Return the error of the root sum of squares over coils."""
    images = kspace_to_image(np.asarray(found).astype(np.complex128), (-2, -1))
    return relative_error(np.sqrt((np.abs(images) ** 2).sum(axis=0)), case["truth"])


def _problem(rates: Rates) -> Problem:
    name = f"{rates[0]}x{rates[1]}"
    return Problem(
        name=f"grappa-{name}",
        title=f"GRAPPA {rates[0]} x {rates[1]}, 256^2, 16 coils, 24 calibration lines",
        make=partial(make, rates),
        judge=judge,
        error_name="relative l2 of the root sum of squares, against the image without noise",
        engines=(
            Engine(name=OURS, prepare=ours, package="ultrahand", setting="default kernel"),
            Engine(
                name="pygrappa",
                prepare=by_pygrappa.grappa,
                package="pygrappa",
                setting="cgrappa, kernel 5 x 5",
            ),
        ),
        goals=(Goal(peer="pygrappa", ratio=10, error="pygrappa"),),
    )


PROBLEMS = {problem.name: problem for problem in (_problem((2, 2)), _problem((3, 1)))}
