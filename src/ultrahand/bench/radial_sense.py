"""2D radial CG-SENSE, the whole call: from samples and coil maps to the image of ten iterations."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ultrahand.bench.exact import conjugate_gradients, exact_adjoint, exact_forward, exact_nufft
from ultrahand.bench.peers import by_bart, by_mrpro, by_sigpy
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
from ultrahand.bench.setting import coils, hand, metric, random_complex, spokes_2d

COILS, ITERATIONS = 12, 10
NOISE = 0.02
"""Standard deviation of each part of a sample over the mean magnitude of all."""
ERROR = 5e-4


def make(size: Size, _folder: Path, threads: int) -> dict[str, Array]:
    """Return samples of a discrete hand, coil maps, and the float64 solution after ten steps.

    What is solved is the discrete problem: a hand of pixels is right for it.
    """
    n, spokes, samples = (300, 96, 512) if size == "full" else (24, 12, 40)
    k = spokes_2d(spokes, samples, n)
    maps = coils(n, COILS).astype(np.complex64)
    nufft = exact_nufft(k, (n, n), threads)
    image = hand(n)
    y = np.stack([exact_forward(nufft, k, coil * image) for coil in maps])
    y += NOISE * np.abs(y).mean() * random_complex(np.random.default_rng(2), *y.shape)
    y = y.astype(np.complex64)

    def back(measured: Array) -> Array:
        return (maps.conj() * nufft.adjoint(measured.astype(np.complex128))).sum(axis=0)

    exact_adjoint(nufft, k, y[0])
    truth = conjugate_gradients(lambda x: back(nufft.forward(maps * x)), back(y), ITERATIONS)
    lines = y.reshape(COILS, spokes, samples)
    return {"k": k.reshape(spokes, samples, 2), "maps": maps, "y": lines, "truth": truth}


def ours(case: Case) -> Call:
    """Nothing is kept between calls: the spectrum and the right side are made each time."""
    from ultrahand.recon.normal import spectra_of_samples
    from ultrahand.recon.nufft import plan_nufft
    from ultrahand.recon.sense import combine_coils, sense

    k, y = metric(case["k"].reshape(-1, 2)), case["y"].reshape(COILS, -1)
    maps = case["maps"][:, None, None]
    n = maps.shape[-1]
    voxel, weights = (1 / n, 1 / n), np.ones(len(k), np.float32)

    def call() -> Array:
        nufft = plan_nufft(
            k, shape=(n, n), voxel_size_m=voxel, n_coils=COILS, eps=1e-5, threads=case.threads
        )
        rhs = combine_coils(nufft.adjoint(y)[:, None], maps)
        spectra = spectra_of_samples(
            k, [weights], shape=(1, n, n), voxel_size_m=voxel, eps=1e-5, threads=case.threads
        )
        found = sense(
            rhs,
            spectra,
            maps,
            plain=True,  # as the peers, and the reference
            damping=0.0,
            tolerance=0.0,
            max_iterations=ITERATIONS,
            threads=case.threads,
        )
        return found.image[0, 0]

    return call


PROBLEM = Problem(
    name="cg-sense",
    title="2D radial CG-SENSE, 300^2, 12 coils, 96 spokes of 512 samples, 10 iterations",
    make=make,
    judge=lambda found, case: relative_error(found, case["truth"]),
    error_name="relative l2, against the 10th iterate in float64",
    engines=(
        Engine(name=OURS, prepare=ours, package="ultrahand", setting="Toeplitz"),
        Engine(
            name="bart",
            prepare=by_bart.radial_sense,
            package="bart",
            setting="pics -S -w1 -l2 -r0 -i10 (Toeplitz)",
            in_commands=True,
        ),
        Engine(
            name="mrpro",
            prepare=by_mrpro.radial_sense,
            package="mrpro",
            setting="FourierOp.gram (Toeplitz), cg",
        ),
        Engine(
            name="sigpy",
            prepare=by_sigpy.radial_sense,
            package="sigpy",
            setting="SenseRecon, default options",
        ),
    ),
    goals=(
        Goal(peer="bart", ratio=3.5, error=ERROR),
        Goal(peer="mrpro", ratio=1.8, error=ERROR),
        Goal(peer="sigpy", ratio=9, error=ERROR),
    ),
)
PROBLEMS = {PROBLEM.name: PROBLEM}
