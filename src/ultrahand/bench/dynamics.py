"""Temporal total variation of radial dynamics: 256^2, 8 coils, 400 spokes in 20 frames.

A hand in which an artery and a piece of tissue enhance. BART's weight is the best of a sweep, at 30
iterations of ADMM. Ours weights samples by the density of their spokes, at most one cell each, and
the noise unit with them: frames of 20 spokes then come to rest in tens of iterations. The call is
from samples and coil maps to all frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.bench.exact import exact_forward, exact_nufft
from ultrahand.bench.peers import by_bart
from ultrahand.bench.problem import OURS, Array, Call, Case, Engine, Goal, Problem, Size
from ultrahand.bench.setting import coils, hand, metric, object_mask, random_complex, spokes_2d

if TYPE_CHECKING:
    from ultrahand.numerics.least_squares import LeastSquares

COILS = 8
NOISE = 0.01
"""Of a part of a sample, over the mean magnitude of all."""
ITERATIONS, WEIGHT, EPS = 10, 12.0, 1e-4


def make(size: Size, _folder: Path, threads: int) -> dict[str, Array]:
    """Return the samples of a hand of pixels, frame by frame, in noise units."""
    n, frames, spokes, samples = (256, 20, 20, 512) if size == "full" else (32, 6, 10, 48)
    k = spokes_2d(frames * spokes, samples, n).reshape(frames, -1, 2)
    maps, images = coils(n, COILS), _images(n, frames)
    y = np.empty((frames, COILS, k.shape[1]), np.complex128)
    for frame, (place, image) in enumerate(zip(k, images, strict=True)):
        nufft = exact_nufft(place, (n, n), threads)
        y[frame] = nufft.forward(maps * image)
        exact_forward(nufft, place, maps[0] * image)
    gain = 1 / (NOISE * float(np.abs(y).mean()))
    noisy = gain * y + random_complex(np.random.default_rng(6), *y.shape)
    return {
        "k": k.reshape(frames, spokes, samples, 2),
        "samples": noisy.astype(np.complex64),
        "maps": maps.astype(np.complex64),
        "images": images,
    }


def _images(n: int, frames: int) -> Array:
    base = hand(n)
    y, x = np.meshgrid(*[(np.arange(n) - n // 2) / (n / 2)] * 2, indexing="ij")
    artery = (np.abs(x - 0.12 * np.sin(6 * y)) < 0.015) & (np.abs(base) > 0.2)
    tissue = ((x + 0.1) ** 2 + (y - 0.4) ** 2 < 0.04) & (np.abs(base) > 0.2)
    t = np.arange(frames) * 20 / frames
    blood = np.where(t > 4, (t - 4) * np.exp(-(t - 4) / 3.0), 0)
    blood *= 1.2 / blood.max()
    slow = 0.5 * (1 - np.exp(-np.maximum(t - 5, 0) / 6.0))
    images: Array = base * (1 + blood[:, None, None] * artery + slow[:, None, None] * tissue)
    return images


def ours(case: Case) -> Call:
    """Nothing is kept between calls but the samples and the maps."""
    from ultrahand.numerics.nested_gradient import nested_gradient
    from ultrahand.numerics.priors import time_variation

    def call() -> Array:
        term = _data_term(case)
        found = nested_gradient(
            term,
            time_variation(WEIGHT),
            start=np.broadcast_to(term.rhs.mean(axis=0), term.rhs.shape),
            tolerance=0,
            max_iterations=ITERATIONS,
            threads=case.threads,
        )
        return found.value[:, 0]

    return call


def _data_term(case: Case) -> LeastSquares:
    from ultrahand.numerics.least_squares import LeastSquares
    from ultrahand.numerics.power import largest_eigenvalue
    from ultrahand.recon.normal import normal_operator, spectra_of_samples
    from ultrahand.recon.normal_bounds import information
    from ultrahand.recon.nufft import plan_nufft

    k, y, maps = case["k"], case["samples"], case["maps"]
    frames, n, cores = len(k), maps.shape[-1], case.threads
    voxel, sets = (1 / n, 1 / n), np.ascontiguousarray(maps[:, None, None])
    operators, rhs, noise = [], np.empty((frames, 1, n, n), np.complex64), 0.0
    power = float((np.abs(maps) ** 2).sum()) / n**2
    for frame, place in enumerate(k):
        where, weights = metric(place.reshape(-1, 2)), _density(place, n).reshape(-1)
        spectra = spectra_of_samples(
            where, [weights], shape=(1, n, n), voxel_size_m=voxel, eps=EPS, threads=cores
        )
        operators.append(normal_operator(spectra, sets, threads=cores))
        nufft = plan_nufft(
            where, shape=(n, n), voxel_size_m=voxel, n_coils=COILS, eps=EPS, threads=cores
        )
        rhs[frame, 0] = (maps.conj() * nufft.adjoint(y[frame] * weights)).sum(axis=0)
        noise += float((weights.astype(float) ** 2).sum()) / n**2 * power / frames
    # The frames are rotations of one another: one of them bounds the eigenvalues of all.
    known = float(np.mean([information(operator) for operator in operators]))

    def normal(x: Array) -> Array:
        out = np.empty_like(x)
        for operator, image, to in zip(operators, x, out, strict=True):
            to[...] = operator.forward(image[None, None])[0, 0]
        return out

    return LeastSquares(
        normal=normal,
        rhs=rhs,
        information=known,
        largest=largest_eigenvalue(operators[0].forward, operators[0].domain).bound,
        noise_sd=float(np.sqrt(noise)) / known,
    )


def _density(k: Array, n: int) -> Array:
    """Return the area of each sample on its spoke, in cells of k-space, at most one."""
    spokes, samples = k.shape[:2]
    radius = np.maximum(np.hypot(k[..., 0], k[..., 1]), 0.25)
    return np.minimum(radius * np.pi / spokes * n / samples, 1).astype(np.float32)


def judge(found: Array, case: Case) -> float:
    """Return the error of the enhancement, frame minus first frame, inside the hand.

    After the best complex scale of the images.
    """
    images = case["images"]
    inside = object_mask(images[0])
    x, truth = found[:, inside].astype(np.complex128), images[:, inside]
    x *= np.vdot(x, truth) / np.vdot(x, x).real
    rise = truth[1:] - truth[:1]
    return float(np.linalg.norm((x[1:] - x[:1]) - rise) / np.linalg.norm(rise))


PROBLEM = Problem(
    name="dynamics-tv",
    title="temporal total variation, radial, 256^2, 8 coils, 400 spokes in 20 frames",
    make=make,
    judge=judge,
    error_name="relative l2 of the enhancement inside the hand, against the phantom",
    engines=(
        Engine(name=OURS, prepare=ours, package="ultrahand", setting=f"{ITERATIONS} iterations"),
        Engine(
            name="bart",
            prepare=by_bart.dynamics,
            package="bart",
            setting="pics -S -R T:1024:0:0.003 -u0.1 -i30",
            in_commands=True,
        ),
    ),
    goals=(Goal(peer="bart", ratio=8, error="bart"),),
)
PROBLEMS = {PROBLEM.name: PROBLEM}
