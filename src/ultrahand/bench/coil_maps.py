"""ESPIRiT coil maps from 24 calibration lines, the whole call from k-space to maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ultrahand.bench.peers import by_bart, by_sigpy
from ultrahand.bench.problem import OURS, Array, Call, Case, Engine, Goal, Problem, Size
from ultrahand.bench.setting import coils, hand, object_mask, whitened_kspace

COILS = 12
NOISE = 0.02
"""Of a part of a sample, over the mean magnitude of k-space."""


def make(size: Size, _folder: Path, _threads: int) -> dict[str, Array]:
    """Return k-space in noise units, the coils that it was made with, and where the hand is."""
    n, lines = (256, 24) if size == "full" else (32, 12)
    maps, image = coils(n, COILS), hand(n)
    kspace, _ = whitened_kspace(maps * image, NOISE, seed=3)
    inside = object_mask(image)
    return {"kspace": kspace, "maps": maps, "inside": inside, "lines": np.array(lines)}


def ours(case: Case) -> Call:
    """From the middle of k-space, its noise of unit variance."""
    from ultrahand.recon.espirit import espirit

    kspace, width = case["kspace"], int(case["lines"])
    n = kspace.shape[-1]
    first = n // 2 - width // 2
    middle = slice(first, first + width)

    def call() -> Array:
        block = kspace[:, None, middle, middle]
        return espirit(block, (1, n, n), threads=case.threads).maps[:, 0, 0]

    return call


def judge(found: Array, case: Case) -> float:
    """Return the root mean square sine between found and true sensitivities over coils.

    Over the whole hand: a voxel without a map counts as a right angle.
    """
    inside = case["inside"]
    a, b = found[:, inside].astype(np.complex128), case["maps"][:, inside]
    norms = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    cosine = np.abs((a.conj() * b).sum(axis=0)) / np.maximum(norms, np.finfo(np.float64).tiny)
    return float(np.sqrt(np.mean(np.maximum(0.0, 1 - cosine**2))))


PROBLEM = Problem(
    name="espirit",
    title="ESPIRiT coil maps, 256^2, 12 coils, 24 calibration lines",
    make=make,
    judge=judge,
    error_name="root mean square sine to the true maps",
    engines=(
        Engine(name=OURS, prepare=ours, package="ultrahand", setting="Wiener projection"),
        Engine(
            name="bart",
            prepare=by_bart.coil_maps,
            package="bart",
            setting="ecalib -m1 -r24 -c0",
            in_commands=True,
        ),
        Engine(
            name="sigpy",
            prepare=by_sigpy.coil_maps,
            package="sigpy",
            setting="EspiritCalib, crop 0, 20 iterations",
        ),
    ),
    goals=(
        Goal(peer="bart", ratio=4, error="sigpy"),
        Goal(peer="sigpy", ratio=15, error="sigpy"),
    ),
)
PROBLEMS = {PROBLEM.name: PROBLEM}
