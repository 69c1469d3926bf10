"""3D centre-out radial, 10,000 spokes of 384 samples, 64^3 voxels: density and adjoint NUFFT."""

import time

import numpy as np

from benchmarks.measure import best_of, threads
from ultrahand.recon._sigpy import SigpyNufft
from ultrahand.recon.density import density_weights
from ultrahand.recon.nufft import plan_nufft
from ultrahand.recon.trajectories import k_max_per_m, radial_3d

FOV, N = 0.192, 64


def run():
    k = radial_3d(10_000, 384, k_max_per_m(N, FOV)).reshape(-1, 3)
    shape, voxel = (N, N, N), (FOV / N,) * 3
    start = time.perf_counter()
    density = density_weights(k, shape=shape, voxel_size_m=voxel, threads=threads())
    seconds = time.perf_counter() - start
    print(f"density\t{seconds:.1f} s\tresidual {density.residual:.2%}")
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(len(k)) + 1j * rng.standard_normal(len(k))).astype(np.complex64)
    nufft = plan_nufft(k, shape=shape, voxel_size_m=voxel, eps=1e-5, threads=threads())
    warm = best_of(lambda: nufft.adjoint(samples), 3)
    image = nufft.adjoint(samples)
    exact = plan_nufft(
        k, shape=shape, voxel_size_m=voxel, eps=1e-9, dtype=np.complex128, threads=threads()
    ).adjoint(samples)
    error = np.linalg.norm(image - exact) / np.linalg.norm(exact)
    print(f"ultrahand adjoint\t{warm:.2f} s\terror {error:.1e}")
    theirs = SigpyNufft(k_per_m=k, shape=shape, voxel_size_m=voxel)
    start = time.perf_counter()
    other = theirs.adjoint(samples)
    sigpy_s = time.perf_counter() - start
    sigpy_error = np.linalg.norm(other - exact) / np.linalg.norm(exact)
    print(f"sigpy adjoint\t{sigpy_s:.2f} s\terror {sigpy_error:.1e}")
    yield "error of the adjoint at most 1e-4", f"{error:.1e}", error <= 1e-4
    yield "faster than sigpy", f"{sigpy_s / warm:.0f} times", sigpy_s > warm
