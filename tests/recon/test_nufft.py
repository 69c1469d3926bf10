"""The NUFFT against the sum it approximates, and its promise of the same bits."""

import numpy as np
import pytest

from laws import complex_normal
from reference.direct_sum import cartesian_points, direct_adjoint, direct_sum
from ultrahand.errors import RecordError, ResourceError
from ultrahand.recon._finufft import choose_parts, choose_upsampling, plan_nufft
from ultrahand.recon._sigpy import SigpyNufft
from ultrahand.recon.fourier import image_to_kspace

VOXELS_M = (1e-3, 2e-3, 3e-3)
SHAPES = [(7, 8), (8, 7), (5, 6, 9), (4, 7, 6), (1, 9, 5)]


def random_points(rng, shape, n, reach=0.5):
    return rng.uniform(-reach, reach, (n, len(shape))) / np.array(VOXELS_M[: len(shape)])


def plan(k, shape, **options):
    return plan_nufft(k, shape=shape, voxel_size_m=VOXELS_M[: len(shape)], **options)


def relative(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("dtype", "eps", "tolerance"),
    [
        # FINUFFT asks its kernel for eps, which bounds a relative l2 error of about eps; in single
        # precision the positions are rounded too, by 1e-7 of a turn a voxel: below 2e-6 here.
        (np.complex128, 1e-8, 2e-8),
        (np.complex128, 1e-12, 2e-12),
        (np.complex64, 1e-5, 2e-5),
        (np.complex64, 1e-4, 2e-4),
        (np.complex64, 1e-2, 2e-2),
    ],
)
@pytest.mark.parametrize("n_samples", [40, 5000], ids=["sparse", "dense"])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_directions_agree_with_the_direct_sum(shape, n_samples, dtype, eps, tolerance, rng):
    k = random_points(rng, shape, n_samples)
    voxels = VOXELS_M[: len(shape)]
    image, samples = complex_normal(rng, shape), complex_normal(rng, n_samples)
    op = plan(k, shape, eps=eps, dtype=dtype)
    y, x = op.forward(image), op.adjoint(samples)
    assert y.dtype == x.dtype == dtype
    assert relative(y, direct_sum(image, k, voxels)) <= tolerance
    assert relative(x, direct_adjoint(samples, k, shape, voxels)) <= tolerance


def test_both_upsamplings_were_met_by_the_accuracy_test():
    assert {choose_upsampling(n, (5, 6, 9), 1e-4) for n in (40, 5000)} == {1.5, 2.0}


@pytest.mark.parametrize("n_spokes", [500, 2000])
def test_the_spokes_of_an_object_are_within_eps(n_spokes, rng):
    """Kernels fail first here: energy at the centre of k-space, and strong aliases of regular
    radii beside an image that is dark at its rim (FINUFFT's upsampling of 1.25 errs by twice eps).
    Truth: double precision, held to the direct sum above."""
    shape = (64, 62, 65)
    directions = rng.standard_normal((n_spokes, 1, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    k = (directions * np.linspace(0, 0.5, 200)[:, None]).reshape(-1, 3) / np.array(VOXELS_M)
    cycles = k * VOXELS_M * shape[::-1]
    radius = np.linalg.norm(cycles, axis=1)
    samples = np.sinc(0.3 * radius) * (radius**2 + 0.05) * np.exp(0.3j * cycles[:, 0])
    found = plan(k, shape, eps=1e-4).adjoint(samples)
    exact = plan(k, shape, eps=1e-8, dtype=np.complex128).adjoint(samples)
    assert relative(found, exact) <= 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_cartesian_points_give_the_fft(shape, rng):
    voxels = VOXELS_M[: len(shape)]
    image = complex_normal(rng, shape)
    op = plan(cartesian_points(shape, voxels), shape, eps=1e-10, dtype=np.complex128)
    fft = image_to_kspace(image, tuple(range(len(shape))))
    assert relative(op.forward(image).reshape(shape), fft) <= 2e-10


def test_a_voxel_at_plus_x_turns_with_minus_sign():
    image = np.zeros((4, 5, 6), np.complex128)
    image[2, 2, 3 + 2] = 1
    k = np.array([[130.0, 0, 0], [0, 40.0, 30.0]])
    y = plan(k, (4, 5, 6), eps=1e-10, dtype=np.complex128).forward(image) * np.sqrt(120)
    np.testing.assert_allclose(y, [np.exp(-2j * np.pi * 130 * 2e-3), 1], atol=1e-9)


def test_samples_beyond_nyquist_alias(rng):
    k = random_points(rng, (7, 8), 30)
    image = complex_normal(rng, (7, 8))
    near = plan(k, (7, 8), eps=1e-10, dtype=np.complex128).forward(image)
    far = k + np.array([3, -2]) / VOXELS_M[:2]
    again = plan(far, (7, 8), eps=1e-10, dtype=np.complex128).forward(image)
    assert relative(again, near) <= 4e-10


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (0,)])
def test_leading_axes_are_a_batch(batch, rng):
    op = plan(random_points(rng, (7, 8), 50), (7, 8), n_coils=3, threads=2)
    images = complex_normal(rng, (*batch, 7, 8))
    samples = complex_normal(rng, (*batch, 50))
    y, x = op.forward(images), op.adjoint(samples)
    assert y.shape == (*batch, 50)
    assert x.shape == (*batch, 7, 8)
    for index in np.ndindex(batch):
        np.testing.assert_array_equal(y[index], op.forward(images[index]))
        np.testing.assert_array_equal(x[index], op.adjoint(samples[index]))


# Enough samples that FINUFFT's own threads would share them and add in varying order.
BIG = (48, 50)


@pytest.mark.parametrize("n_coils", [1, 5])
@pytest.mark.parametrize("n_parts", [None, 3])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_bits_are_the_same_in_every_run_and_for_every_thread_count(dtype, n_parts, n_coils, rng):
    k = random_points(rng, BIG, 60_000)
    images = complex_normal(rng, (n_coils, *BIG)).astype(dtype)
    samples = complex_normal(rng, (n_coils, len(k))).astype(dtype)
    results = []
    for threads, planned in ((1, 5), (2, 5), (2, 3), (3, 5)):
        op = plan(k, BIG, n_coils=planned, n_parts=n_parts or 1, dtype=dtype, threads=threads)
        results += [(op.forward(images), op.adjoint(samples)) for _ in range(2)]
    for forward, adjoint in results[1:]:
        np.testing.assert_array_equal(forward, results[0][0])
        np.testing.assert_array_equal(adjoint, results[0][1])


def test_the_rule_for_parts_does_not_see_threads(rng):
    k = random_points(rng, BIG, 60_000)
    ops = [plan(k, BIG, threads=threads) for threads in (1, 2, 8)]
    assert {len(op.lanes[0]) for op in ops} == {choose_parts(60_000, BIG, 2.0, 1)} == {8}


def test_memory_is_kept_by_fewer_coils_at_a_time(rng):
    k = random_points(rng, BIG, 1000)
    samples = complex_normal(rng, (6, 1000))
    one_coil = 8 * (2 * 72 * 75 + 48 * 50) + 16 * 1000
    free = plan(k, BIG, n_coils=6, threads=4, n_parts=1)
    tight = plan(k, BIG, n_coils=6, threads=4, n_parts=1, max_bytes=2 * one_coil)
    assert (len(free.lanes), len(tight.lanes)) == (4, 2)
    np.testing.assert_array_equal(free.adjoint(samples), tight.adjoint(samples))
    with pytest.raises(ResourceError, match="max_bytes"):
        plan(k, BIG, n_parts=1, max_bytes=one_coil - 1)


def test_single_precision_is_never_asked_to_be_fine_on_a_small_grid():
    for n_samples in (10, 10**6):
        assert choose_upsampling(n_samples, (96, 96, 96), 9.9e-5) == 2.0
        assert choose_upsampling(n_samples, (96, 96, 96), 1.1e-3) == 2.0
    assert choose_upsampling(3_840_000, (64, 64, 64), 1e-3) == 2.0
    assert choose_upsampling(3_840_000, (96, 96, 96), 1e-3) == 1.5


@pytest.mark.parametrize(
    ("call", "wrong"),
    [("forward", (8, 7)), ("forward", (8,)), ("adjoint", (49,)), ("adjoint", (50, 1))],
)
def test_wrong_shapes_are_refused(call, wrong, rng):
    op = plan(random_points(rng, (7, 8), 50), (7, 8))
    with pytest.raises(RecordError, match="expected an array of shape"):
        getattr(op, call)(np.ones(wrong, np.complex64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (7, 8, 9)}, "same dimensions"),
        ({"shape": (0, 8)}, "positive"),
        ({"voxel_size_m": (1e-3, 0.0)}, "positive"),
        ({"k_per_m": np.full((4, 2), np.nan)}, "finite"),
        ({"k_per_m": np.zeros((0, 2))}, "same dimensions"),
        ({"eps": 1e-7}, "eps"),
        ({"eps": 1e-14, "dtype": np.complex128}, "eps"),
        ({"dtype": np.float32}, "eps"),
        ({"threads": 0}, "threads"),
    ],
)
def test_contradictions_are_refused(change, message):
    good = {"k_per_m": np.zeros((4, 2)), "shape": (7, 8), "voxel_size_m": (1e-3, 2e-3)}
    with pytest.raises(RecordError, match=message):
        plan_nufft(**{**good, **change})


@pytest.mark.parametrize(
    ("options", "low", "high"),
    # The stated accuracy of SigPy's kernels, and not better: the options do arrive.
    [((1.25, 4), 2e-3, 1e-2), ((2, 4), 2e-4, 1e-3), ((2, 6), 1e-6, 1e-5)],
)
@pytest.mark.parametrize("shape", [(7, 8), (5, 6, 9)])
def test_sigpy_is_the_same_transform_at_its_own_accuracy(shape, options, low, high, rng):
    k = random_points(rng, shape, 700)
    voxels = VOXELS_M[: len(shape)]
    image, samples = complex_normal(rng, shape), complex_normal(rng, 700)
    op = SigpyNufft(
        k_per_m=k, shape=shape, voxel_size_m=voxels, oversampling=options[0], width=options[1]
    )
    assert low <= relative(op.forward(image), direct_sum(image, k, voxels)) <= high
    assert low <= relative(op.adjoint(samples), direct_adjoint(samples, k, shape, voxels)) <= high


def test_sigpy_refuses_wrong_shapes():
    op = SigpyNufft(k_per_m=np.zeros((4, 2)), shape=(7, 8), voxel_size_m=(1e-3, 1e-3))
    with pytest.raises(RecordError, match="expected an array of shape"):
        op.forward(np.ones((8, 7), np.complex64))
