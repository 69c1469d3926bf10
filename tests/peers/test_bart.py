"""BART agrees: the Cartesian transform to rounding, the NUFFT to its own accuracy."""

import numpy as np
import pytest

from cfl import bart
from reference.direct_sum import direct_adjoint
from ultrahand.phantoms import five_fingers, transform
from ultrahand.recon.fourier import image_to_kspace, kspace_to_image
from ultrahand.recon.normal import spectra_of_mask
from ultrahand.recon.nufft import plan_nufft
from ultrahand.recon.sense import combine_coils, sense
from ultrahand.recon.trajectories import k_max_per_m, radial_2d, radial_3d


@pytest.fixture
def bart_program(program):
    return program("bart")


@pytest.mark.parametrize("shape", [(24, 18, 10), (25, 17, 9)], ids=["even", "odd"])
def test_cartesian_transform_agrees_to_rounding(bart_program, tmp_path, rng, shape):
    kspace = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    theirs = bart(bart_program, tmp_path, ["fft", "-u", "-i", "7", "kspace"], kspace=kspace)
    ours = kspace_to_image(kspace, (0, 1, 2))
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 1e-6


# BART's kernel is fixed: against the exact sum its adjoint is right to 1 to 2 in 1000. What agrees
# with it no worse than the exact sum does has the same scale, sign and centre. (For odd sizes its
# image carries a phase of its own, so even ones are compared.)
@pytest.mark.parametrize("matrix", [(48, 40), (24, 20, 16)], ids=["2D", "3D"])
def test_adjoint_nufft_agrees_to_barts_accuracy(bart_program, tmp_path, matrix):
    fov = (0.144, 0.12, 0.096)[: len(matrix)]
    k_max = k_max_per_m(min(matrix), max(fov)) * 0.9
    k = radial_2d(31, 64, k_max, golden=True) if len(matrix) == 2 else radial_3d(150, 32, k_max)
    flat = k.reshape(-1, k.shape[-1])
    full = np.zeros((len(flat), 3))
    full[:, : flat.shape[1]] = flat
    samples = transform_of_fingers(full, (*fov, 0.1)[:3]).astype(np.complex64)
    cycles = np.zeros((3, *k.shape[1::-1]))
    cycles[: len(matrix)] = np.moveaxis(k * np.array(fov), -1, 0).transpose(0, 2, 1)
    dims = ":".join(str(n) for n in (*matrix, 1)[:3])
    theirs = bart(
        bart_program,
        tmp_path,
        ["nufft", "-a", f"-d{dims}", "traj", "data"],
        traj=cycles,
        data=samples.reshape(k.shape[:2]).T[None],
    )
    voxel = tuple(length / n for length, n in zip(fov, matrix, strict=True))
    ours = plan_nufft(flat, shape=matrix[::-1], voxel_size_m=voxel, eps=1e-6).adjoint(samples)
    exact = direct_adjoint(samples, flat, matrix[::-1], voxel)
    ours, exact = ours.T, exact.T  # (z, y, x) to BART's (x, y, z)
    their_error = np.linalg.norm(theirs - exact)
    assert their_error < 5e-3 * np.linalg.norm(exact)
    assert np.linalg.norm(ours - theirs) < 1.05 * their_error


def transform_of_fingers(k_per_m, fov_m):
    return sum(transform(finger, k_per_m) for finger in five_fingers(fov_m))


@pytest.mark.parametrize("size", [(64, 60), (48, 88)])
def test_sense_with_barts_maps_agrees_to_1e_5(bart_program, tmp_path, rng, size):
    """Both in single precision, converged: the condition of a damping of 0.05 is near 20.

    30 iterations: BART's go on until single precision has made them diverge, at 300. (Of sizes
    that are no multiples of 4 its image carries a sign or phase of its own.)
    """
    ny, _ = size
    y, x = np.meshgrid(*((np.arange(n) - n // 2) / n for n in size), indexing="ij")
    angle = 2 * np.pi * np.arange(6) / 6
    square = (x - 0.6 * np.cos(angle)[:, None, None]) ** 2
    square = square + (y - 0.6 * np.sin(angle)[:, None, None]) ** 2
    coils = np.exp(-2 * square + 1j * angle[:, None, None])
    image = 1.0 * ((x / 0.4) ** 2 + (y / 0.35) ** 2 < 1) + 0.5 * (np.hypot(x - 0.1, y) < 0.1)
    kspace = image_to_kspace((coils * image).astype(np.complex64), (1, 2))
    noise = rng.standard_normal(kspace.shape) + 1j * rng.standard_normal(kspace.shape)
    kspace += (1e-3 * noise).astype(np.complex64)
    mask = np.zeros((ny, 1))
    mask[ny // 2 % 2 :: 2] = 1
    mask[ny // 2 - 10 : ny // 2 + 10] = 1
    lines = (kspace * mask).astype(np.complex64)
    theirs = lines.transpose(1, 2, 0)[:, :, None]  # (phase 1, phase 2, 1, coils)
    maps = bart(bart_program, tmp_path, ["ecalib", "-m1", "-r20", "-c0.5", "kspace"], kspace=theirs)
    solved = bart(
        bart_program,
        tmp_path,
        ["pics", "-S", "-w1", "-l2", "-r0.05", "-i30", "kspace", "maps"],
        kspace=theirs,
        maps=maps[:, :, None],
    )
    given = np.ascontiguousarray(maps.transpose(2, 0, 1))[:, None, None]
    found = sense(
        combine_coils(kspace_to_image(lines, (1, 2))[:, None], given),
        spectra_of_mask(np.broadcast_to(mask, size)[None]),
        given,
        damping=0.05,
        plain=True,
        tolerance=1e-7,
        max_iterations=100,
    )
    ours = found.image[0, 0]
    assert np.linalg.norm(ours - solved) < 1e-5 * np.linalg.norm(solved)
    assert np.abs(ours - solved).max() < 1e-5 * np.abs(solved).max()
    # The image it is, and not zeros that agree: coils of norm one times the object's own.
    power = np.sqrt((np.abs(coils) ** 2).sum(axis=0)) * image
    inside = image > 0
    rest = np.abs(ours)[inside] - power[inside]
    assert np.sqrt(np.mean(rest**2)) < 0.1 * np.sqrt(np.mean(power[inside] ** 2))
