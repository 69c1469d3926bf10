"""Wavelet compressed sensing of a hand in 3D: 64 x 128 x 128, 12 coils, about one sample in six.

Random lines along z, dense in the middle; Haar wavelets on both sides, which suit the phantom's
constant pieces. BART's weight is the best of a sweep, at its 30 iterations of FISTA; ours is the
default weight, with as many iterations as come to BART's error. The call is from whitened samples
and coil maps to the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ultrahand.bench.peers import by_bart
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
from ultrahand.bench.setting import coils_3d, hand_3d, object_mask, random_complex
from ultrahand.recon.fourier import image_to_kspace

COILS, REDUCTION, CENTRE = 12, 6, 20
NOISE = 0.03
"""Of a part of a sample, over the mean magnitude of k-space."""
ITERATIONS = 23


def make(size: Size, _folder: Path, threads: int) -> dict[str, Array]:
    """Return samples in noise units, which were taken, coil maps and the hand of pixels."""
    shape = (64, 128, 128) if size == "full" else (8, 24, 28)
    rng = np.random.default_rng(4)
    image, maps = hand_3d(shape), coils_3d(shape, COILS)
    mask = _mask(shape[1:], rng)
    kspace = image_to_kspace(maps * image, (-3, -2, -1), workers=threads)
    gain = 1 / (NOISE * float(np.abs(kspace).mean()))
    noisy = gain * kspace + random_complex(rng, *kspace.shape)
    return {
        "kspace": (noisy * mask).astype(np.complex64),
        "mask": np.ascontiguousarray(np.broadcast_to(mask, shape), np.float32),
        "maps": maps.astype(np.complex64),
        "truth": image,
    }


def _mask(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    y, x = np.meshgrid(*[(np.arange(n) - n // 2) / (n / 2) for n in shape], indexing="ij")
    density = (1 - np.minimum(1, np.hypot(x, y))) ** 2 + 0.05
    density *= density.size / REDUCTION / density.sum()
    mask: Array = rng.random(shape) < density
    half = min(CENTRE, *shape) // 2
    mask[tuple(slice(n // 2 - half, n // 2 + half) for n in shape)] = True
    return mask


def ours(case: Case) -> Call:
    """Nothing is kept between calls but the samples and the maps."""
    from ultrahand.recon.fourier import kspace_to_image
    from ultrahand.recon.normal import spectra_of_mask
    from ultrahand.recon.regularised import Prior, regularised
    from ultrahand.recon.sense import combine_coils

    kspace, mask, maps = case["kspace"], case["mask"], case["maps"][:, None]

    def call() -> Array:
        images = kspace_to_image(kspace.copy(), (-3, -2, -1), workers=case.threads)
        found = regularised(
            combine_coils(images, maps),
            spectra_of_mask(mask),
            maps,
            prior=Prior.WAVELET,
            max_iterations=ITERATIONS,
            threads=case.threads,
        )
        return found.image[0]

    return call


def judge(found: Array, case: Case) -> float:
    """Return the error inside the hand."""
    inside = object_mask(case["truth"])
    return relative_error(found.reshape(inside.shape)[inside], case["truth"][inside])


PROBLEM = Problem(
    name="wavelet-cs",
    title="wavelet compressed sensing, 64 x 128 x 128 voxels, 12 coils, one sample in six",
    make=make,
    judge=judge,
    error_name="relative l2 inside the hand, against the phantom",
    engines=(
        Engine(name=OURS, prepare=ours, package="ultrahand", setting=f"{ITERATIONS} iterations"),
        Engine(
            name="bart",
            prepare=by_bart.wavelet_sense,
            package="bart",
            setting="pics -S -l1 --wavelet haar -r0.002 -i30",
            in_commands=True,
        ),
    ),
    goals=(Goal(peer="bart", ratio=3, error="bart"),),
)
PROBLEMS = {PROBLEM.name: PROBLEM}
