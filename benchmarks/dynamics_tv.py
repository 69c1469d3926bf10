"""Temporal total variation of radial dynamics, 256^2, 8 coils, 400 spokes in 20 frames.

Beside BART's ``pics -R T`` (ADMM, 30 iterations; its best weight of a sweep). A hand in which an
artery and a piece of tissue enhance. The error is that of the enhancement, frame minus first frame,
inside the object, after the best complex scale. Times are of samples to images, maps given.

Samples are weighted by the density of their spokes, at most one cell each, and the noise unit with
them: frames of 20 spokes then come to rest in tens of iterations.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import bart
from benchmarks.compressed_sensing import beside
from benchmarks.hands import coils, grid, hand_2d
from benchmarks.measure import threads
from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.nested_gradient import nested_gradient
from ultrahand.numerics.power import largest_eigenvalue
from ultrahand.numerics.priors import time_variation
from ultrahand.recon.normal import normal_operator, spectra_of_samples
from ultrahand.recon.normal_bounds import information
from ultrahand.recon.nufft import plan_nufft

N, COILS, FRAMES, SPOKES, SAMPLES = 256, 8, 20, 20, 512
VOXEL = (1 / N, 1 / N)
"""The field of view is the unit of length."""
ITERATIONS, WEIGHT, BARTS_WEIGHT = 10, 12.0, 0.003
FASTER, BARTS_ERROR = 8, 0.51
"""The error measured with BART 0.8, for where it is not installed."""


def make():
    """Return sample positions (x, y), samples, maps, images and the noise of a part."""
    angles = np.arange(FRAMES * SPOKES) * np.pi * (np.sqrt(5) - 1) / 2
    radius = (np.arange(SAMPLES) - SAMPLES // 2) * (N / SAMPLES)
    k = np.stack([radius * np.cos(angles)[:, None], radius * np.sin(angles)[:, None]], -1)
    k = k.reshape(FRAMES, -1, 2)
    maps, images = coils((N, N), COILS), _images()
    samples = np.empty((FRAMES, COILS, k.shape[1]), complex)
    for frame, place in enumerate(k):
        nufft = plan_nufft(
            place, shape=(N, N), voxel_size_m=VOXEL, n_coils=COILS, eps=1e-9, dtype=np.complex128
        )
        samples[frame] = nufft.forward(maps * images[frame])
    rng = np.random.default_rng(6)
    sd = 0.01 * np.abs(samples).mean()
    samples += sd * (rng.standard_normal(samples.shape) + 1j * rng.standard_normal(samples.shape))
    return {
        "k": k,
        "samples": samples.astype(np.complex64),
        "maps": maps.astype(np.complex64),
        "images": images,
        "sd": sd,
    }


def _images():
    base = hand_2d(N)
    y, x = grid((N, N))
    artery = (np.abs(x - 0.12 * np.sin(6 * y)) < 0.015) & (np.abs(base) > 0.2)
    tissue = ((x + 0.1) ** 2 + (y - 0.4) ** 2 < 0.04) & (np.abs(base) > 0.2)
    t = np.arange(FRAMES)
    blood = np.where(t > 4, (t - 4) * np.exp(-(t - 4) / 3.0), 0)
    blood *= 1.2 / blood.max()
    slow = 0.5 * (1 - np.exp(-np.maximum(t - 5, 0) / 6.0))
    return base * (1 + blood[:, None, None] * artery + slow[:, None, None] * tissue)


def density(k):
    """Return the area of each sample on its spoke, in cells of k-space, at most one."""
    radius = np.maximum(np.hypot(*np.moveaxis(k, -1, 0)), 0.25)
    return np.minimum(radius * np.pi / SPOKES * N / SAMPLES, 1).astype(np.float32)


def problem(data, cores):
    """Return the data term of all frames, ``(frames, 1, y, x)``."""
    maps = np.ascontiguousarray(data["maps"][:, None, None])
    operators, rhs, information_2 = [], np.empty((FRAMES, 1, N, N), np.complex64), 0.0
    for frame, k in enumerate(data["k"]):
        weights = density(k)
        spectra = spectra_of_samples(
            k, [weights], shape=(1, N, N), voxel_size_m=VOXEL, eps=1e-4, threads=cores
        )
        operators.append(normal_operator(spectra, maps, threads=cores))
        nufft = plan_nufft(
            k, shape=(N, N), voxel_size_m=VOXEL, n_coils=COILS, eps=1e-4, threads=cores
        )
        whitened = data["samples"][frame] * (weights / np.float32(data["sd"]))
        images = nufft.adjoint(whitened)
        rhs[frame, 0] = (data["maps"].conj() * images).sum(axis=0)
        power = (np.abs(data["maps"]) ** 2).sum() / N**2
        information_2 += float((weights.astype(float) ** 2).sum()) / N**2 * power / FRAMES
    # The frames are rotations of one another: one of them bounds the eigenvalues of all.
    known = float(np.mean([information(operator) for operator in operators]))

    def normal(x):
        out = np.empty_like(x)
        for operator, image, to in zip(operators, x, out, strict=True):
            to[...] = operator.forward(image[None, None])[0, 0]
        return out

    return LeastSquares(
        normal=normal,
        rhs=rhs,
        information=known,
        largest=largest_eigenvalue(operators[0].forward, operators[0].domain).bound,
        noise_sd=np.sqrt(information_2) / known,
    )


def ours(data, *, weight=WEIGHT, iterations=ITERATIONS, cores=None):
    """Reconstruct all frames together, from the mean of their right-hand sides on."""
    cores = cores or threads()
    term = problem(data, cores)
    start = np.broadcast_to(term.rhs.mean(axis=0), term.rhs.shape)
    found = nested_gradient(
        term,
        time_variation(weight),
        start=start,
        tolerance=0,
        max_iterations=iterations,
        threads=cores,
    )
    return found.value[:, 0]


def write_for_bart(data, folder):
    k = data["k"].reshape(FRAMES, SPOKES, SAMPLES, 2)
    k = np.concatenate([k, np.zeros((*k.shape[:-1], 1))], axis=-1)
    bart.write(folder / "traj", k.reshape(FRAMES, *(1,) * 7, SPOKES, SAMPLES, 3))
    shape = (FRAMES, *(1,) * 6, COILS, SPOKES, SAMPLES, 1)
    bart.write(folder / "ksp", data["samples"].reshape(shape))
    bart.write(folder / "sens", data["maps"][:, None])


def theirs(folder, *, weight=BARTS_WEIGHT, iterations=30):
    prior = f"T:1024:0:{weight}"
    options = ["-S", "-R", prior, "-u", "0.1", "-i", iterations, "-t", "traj"]
    bart.run(["pics", *options, "ksp", "sens", "x"], folder)
    return bart.read(folder / "x", (FRAMES, N, N))


def error(data, images):
    """Return the relative error of the enhancement."""
    inside = np.abs(data["images"][0]) > 0.05
    x, truth = images[:, inside].astype(complex), data["images"][:, inside]
    x *= np.vdot(x, truth) / np.vdot(x, x).real
    difference = (x[1:] - x[:1]) - (truth[1:] - truth[:1])
    return float(np.linalg.norm(difference) / np.linalg.norm(truth[1:] - truth[:1]))


def run(repeats=2):
    data = make()
    ours(data, iterations=1)
    with tempfile.TemporaryDirectory() as folder:
        place, other = Path(folder), None
        if bart.installed():
            write_for_bart(data, place)

            def other():
                return theirs(place)

        (mine, barts), (images, peer) = beside(lambda: ours(data), other, repeats)
    found = error(data, images)
    allowed = BARTS_ERROR if peer is None else error(data, peer)
    print(f"ultrahand\t{mine:.1f} s\terror of the enhancement {found:.2f}")
    print("BART\t" + ("absent" if peer is None else f"{barts:.1f} s\t{allowed:.2f}"))
    yield f"error at most BART's {allowed:.2f}", f"{found:.2f}", found <= allowed
    if peer is not None:
        ratio = barts / mine
        yield f"at least {FASTER} times as fast as BART", f"{ratio:.1f} times", ratio >= FASTER
