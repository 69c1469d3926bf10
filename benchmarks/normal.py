"""The normal operator: 3D radial, 10,000 spokes of 384 samples, beside finufft's pair.

Each side with two threads, finufft as a user would call it by hand, single precision both; errors
against double precision. The pairs take turns, so that both meet the same disturbances.
"""

import numpy as np

from benchmarks.measure import best_of, threads
from ultrahand.recon.normal import normal_operator, spectra_of_samples
from ultrahand.recon.trajectories import k_max_per_m, radial_3d

FOV = 0.192


def by_hand(angles, shape, eps, kind):
    """Return a pair of finufft plans applied one after the other."""
    import finufft

    plans = []
    for number, sign in ((2, -1), (1, 1)):
        plan = finufft.Plan(number, shape, eps=eps, isign=sign, dtype=kind, nthreads=threads())
        plan.setpts(
            *(axis.astype("float32" if kind == "complex64" else "float64") for axis in angles)
        )
        plans.append(plan)
    return lambda x: plans[1].execute(plans[0].execute(x)) / np.prod(shape).astype(x.real.dtype)


def run():
    for n, goal in ((64, 20), (96, 12)):
        shape, voxel = (n, n, n), (FOV / n,) * 3
        k = radial_3d(10_000, 384, k_max_per_m(n, FOV)).reshape(-1, 3)
        angles = [2 * np.pi * k[:, axis] * FOV / n for axis in (2, 1, 0)]
        rng = np.random.default_rng(0)
        x = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
        exact = by_hand(angles, shape, 1e-10, "complex128")(x.astype(np.complex128))
        ones = np.ones(len(k), np.float32)
        spectra = spectra_of_samples(k, [ones], shape=shape, voxel_size_m=voxel, threads=threads())
        maps = np.ones((1, 1, *shape), np.complex64)
        ours = normal_operator(spectra, maps, threads=threads())
        theirs = by_hand(angles, shape, 1e-5, "complex64")
        first, second = [], []
        for _ in range(3):
            first.append(best_of(lambda: ours.forward(x[None, None]), 9))  # noqa: B023
            second.append(best_of(lambda: theirs(x), 2))  # noqa: B023
        error = [
            np.linalg.norm(found - exact) / np.linalg.norm(exact)
            for found in (ours.forward(x[None, None])[0, 0], theirs(x))
        ]
        ratio = min(second) / min(first)
        print(f"{n}^3 ultrahand\t{1e3 * min(first):.1f} ms\terror {error[0]:.1e}")
        print(f"{n}^3 finufft pair, 1e-5\t{1e3 * min(second):.0f} ms\terror {error[1]:.1e}")
        yield f"{n}^3: error at most 5e-5", f"{error[0]:.1e}", error[0] <= 5e-5
        yield f"{n}^3: at least {goal} times as fast", f"{ratio:.0f} times", ratio >= goal
