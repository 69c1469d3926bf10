"""The normal operator against its definition, in double precision."""

import numpy as np
import pytest

from laws import complex_normal
from reference.direct_sum import fourier_matrix
from ultrahand.errors import RecordError
from ultrahand.recon.fourier import image_to_kspace, kspace_to_image
from ultrahand.recon.normal import normal_operator, spectra_of_mask, spectra_of_samples

VOXELS_M = (1e-3, 2e-3, 3e-3)


def coil_maps(rng, coils, sets, shape):
    return complex_normal(rng, (coils, sets, *shape)).astype(np.complex64)


def images(rng, components, sets, shape):
    return complex_normal(rng, (components, sets, *shape)).astype(np.complex64)


def relative(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


def by_definition(encode, decode, maps, x, mix):
    """Sum over coils of maps, encoding, mixing weights, and back; double precision."""
    out = np.zeros(x.shape, complex)
    for coil in maps.astype(complex):
        samples = [encode((coil * part).sum(axis=0)) for part in x.astype(complex)]
        for j, row in enumerate(mix):
            out[j] += coil.conj() * decode(sum(w * s for w, s in zip(row, samples, strict=True)))
    return out


@pytest.mark.parametrize("shape", [(5, 6, 9), (4, 7, 18), (1, 8, 7), (1, 17, 33), (3, 1, 20)])
@pytest.mark.parametrize(("components", "sets"), [(1, 1), (1, 2), (3, 1)])
def test_samples_anywhere(shape, components, sets, rng):
    dims = 2 if shape[0] == 1 else 3
    core = shape[-dims:]
    k = rng.uniform(-0.5, 0.5, (300, dims)) / np.array(VOXELS_M[:dims])
    matrix = fourier_matrix(k, core, VOXELS_M[:dims])
    pairs = components * (components + 1) // 2
    weights = rng.uniform(0, 2, (pairs, len(k)))
    mix = [
        [weights[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)] for i in range(components)]
        for j in range(components)
    ]
    maps, x = coil_maps(rng, 3, sets, shape), images(rng, components, sets, shape)
    spectra = spectra_of_samples(k, weights, shape=shape, voxel_size_m=VOXELS_M, eps=1e-6)
    found = normal_operator(spectra, maps).forward(x)
    exact = by_definition(
        lambda image: matrix @ image.ravel(),
        lambda samples: (matrix.conj().T @ samples).reshape(shape),
        maps,
        x,
        mix,
    )
    assert relative(found, exact) <= 2e-6  # the spread function's tolerance, and rounding


@pytest.mark.parametrize("varying", [(0, 1, 2), (1, 2), (2,), (1,), (0,), ()])
@pytest.mark.parametrize("shape", [(5, 6, 9), (4, 7, 17), (1, 14, 15)])
def test_a_mask_on_the_grid(shape, varying, rng):
    pattern = [n if axis in varying else 1 for axis, n in enumerate(shape)]
    weights = np.broadcast_to(rng.uniform(0, 2, pattern) * (rng.random(pattern) < 0.6), shape)
    maps, x = coil_maps(rng, 3, 2, shape), images(rng, 1, 2, shape)
    found = normal_operator(spectra_of_mask(weights), maps).forward(x)
    axes = (0, 1, 2)
    exact = by_definition(
        lambda image: image_to_kspace(image, axes),
        lambda samples: kspace_to_image(samples, axes),
        maps,
        x,
        [[weights]],
    )
    if weights.any():
        assert relative(found, exact) <= 5e-7  # single precision
    else:
        assert not found.any()


def test_the_same_bits_for_every_number_of_threads_and_every_batch_of_coils(rng):
    shape = (5, 9, 20)
    maps, x = coil_maps(rng, 5, 1, shape), images(rng, 1, 1, shape)
    k = rng.uniform(-0.5, 0.5, (300, 3)) / np.array(VOXELS_M)
    spectra = spectra_of_samples(k, [np.ones(300)], shape=shape, voxel_size_m=VOXELS_M)
    first = normal_operator(spectra, maps, threads=1).forward(x)
    for threads in (1, 2, 3):
        for work_bytes in (1, 10**5, 10**9):
            op = normal_operator(spectra, maps, threads=threads, work_bytes=work_bytes)
            np.testing.assert_array_equal(op.forward(x), first)


def test_wrong_shapes_are_refused(rng):
    spectra = spectra_of_mask(np.ones((2, 3, 4)))
    maps = coil_maps(rng, 2, 1, (2, 3, 4))
    with pytest.raises(RecordError, match="maps must be"):
        normal_operator(spectra, maps[..., :3])
    with pytest.raises(RecordError, match="expected an array"):
        normal_operator(spectra, maps).forward(np.zeros((2, 3, 4), np.complex64))
    with pytest.raises(RecordError, match="two dimensions make no image"):
        spectra_of_samples(
            np.zeros((4, 2)), [np.ones(4)], shape=(2, 3, 4), voxel_size_m=(1e-3, 1e-3)
        )
