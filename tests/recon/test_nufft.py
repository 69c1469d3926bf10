"""The NUFFT against the sum it approximates, and its promise of the same bits."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i0

from laws import complex_normal
from reference.direct_sum import cartesian_points, direct_adjoint, direct_sum
from ultrahand.errors import RecordError, ResourceError
from ultrahand.kernels import CELL, PAD
from ultrahand.recon._finufft import double_bytes
from ultrahand.recon._sigpy import SigpyNufft
from ultrahand.recon.fourier import image_to_kspace
from ultrahand.recon.interpolation import kernel_table, kernel_transform
from ultrahand.recon.nufft import plan_nufft
from ultrahand.recon.tiled_nufft import ERRORS, choose_kernel, plan_tiled, tiled_bytes
from ultrahand.recon.tiling import tile_samples

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
        # FINUFFT asks its kernel for eps, which bounds a relative l2 error of about eps.
        (np.complex128, 1e-8, 2e-8),
        (np.complex128, 1e-12, 2e-12),
        *((np.complex64, eps, eps) for eps in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)),
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


@pytest.mark.parametrize(("n_spokes", "eps"), [(500, 1e-4), (2000, 1e-4), (4000, 1e-5)])
def test_the_spokes_of_an_object_are_within_eps(n_spokes, eps, rng):
    """Kernels fail first here: energy at the centre of k-space, and strong aliases of regular
    radii beside an image that is dark at its rim (FINUFFT's upsampling of 1.25 errs by twice eps).
    So does single precision: where spokes cross, a cell is the sum of half a million samples.
    Truth: double precision, held to the direct sum above."""
    shape = (64, 62, 65)
    directions = rng.standard_normal((n_spokes, 1, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    k = (directions * np.linspace(0, 0.5, 200)[:, None]).reshape(-1, 3) / np.array(VOXELS_M)
    cycles = k * VOXELS_M * shape[::-1]
    radius = np.linalg.norm(cycles, axis=1)
    samples = np.sinc(0.3 * radius) * (radius**2 + 0.05) * np.exp(0.3j * cycles[:, 0])
    found = plan(k, shape, eps=eps).adjoint(samples)
    exact = plan(k, shape, eps=1e-8, dtype=np.complex128).adjoint(samples)
    assert relative(found, exact) <= eps


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


# Enough samples that threads share them, and enough of the grid that tiles have neighbours.
BIG = {2: (70, 75), 3: (20, 25, 30)}


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("n_coils", [1, 5])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_bits_are_the_same_in_every_run_and_for_every_thread_count(dtype, n_coils, dims, rng):
    shape = BIG[dims]
    k = random_points(rng, shape, 60_000)
    images = complex_normal(rng, (n_coils, *shape)).astype(dtype)
    samples = complex_normal(rng, (n_coils, len(k))).astype(dtype)
    results = []
    for threads, planned in ((1, n_coils), (2, n_coils), (3, n_coils), (2, 2 * n_coils - 1)):
        op = plan(k, shape, n_coils=planned, dtype=dtype, threads=threads)
        results += [(op.forward(images), op.adjoint(samples)) for _ in range(2)]
    one = np.stack([op.forward(x) for x in images]), np.stack([op.adjoint(y) for y in samples])
    for forward, adjoint in [*results[1:], one]:
        np.testing.assert_array_equal(forward, results[0][0])
        np.testing.assert_array_equal(adjoint, results[0][1])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_memory_is_kept_by_fewer_coils_at_a_time(dtype, rng):
    shape = BIG[2]
    k = random_points(rng, shape, 1000)
    samples = complex_normal(rng, (6, 1000))
    single = dtype == np.complex64
    fixed, each = (tiled_bytes if single else double_bytes)(1000, shape, 1e-4)

    def at_a_time(op):
        return len(op.grids) if single else len(op.slots)

    free = plan(k, shape, n_coils=6, threads=4, dtype=dtype)
    tight = plan(k, shape, n_coils=6, threads=4, dtype=dtype, max_bytes=fixed + 2 * each)
    assert (at_a_time(free), at_a_time(tight)) == (4, 2)
    np.testing.assert_array_equal(free.adjoint(samples), tight.adjoint(samples))
    with pytest.raises(ResourceError, match="max_bytes"):
        plan(k, shape, dtype=dtype, max_bytes=fixed + each - 1)


@pytest.mark.parametrize("eps", [0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("n_samples", [10, 10**7])
def test_the_kernel_is_one_that_errs_by_no_more_than_eps(eps, n_samples):
    upsampling, width = choose_kernel(n_samples, (96, 96, 96), eps)
    assert ERRORS[upsampling][width] <= eps
    assert width == 3 or ERRORS[upsampling][width - 1] > eps


def test_few_samples_take_a_coarse_grid_and_many_a_narrow_kernel():
    assert choose_kernel(10_000, (96, 96, 96), 1e-4) == (1.5, 6)
    assert choose_kernel(10_000_000, (64, 64, 64), 1e-4) == (2.0, 5)


@pytest.mark.parametrize(("upsampling", "width"), [(s, w) for s in ERRORS for w in ERRORS[s]])
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_kernel_errs_by_what_its_table_says(upsampling, width, dims, alone, rng):
    """Not more, so that eps is kept, and in three dimensions not 1.5 times less: time is kept."""
    shape = {2: (19, 22), 3: (12, 14, 13)}[dims]
    cycles = rng.uniform(-0.5, 0.5, (3000, dims))
    k = cycles / np.array(VOXELS_M[:dims])
    kernel = (upsampling, width)
    eps = ERRORS[upsampling][width]
    op = plan_tiled(cycles, shape, kernel, eps=eps, coils=1, threads=2, alone=alone)
    image, samples = complex_normal(rng, shape), complex_normal(rng, 3000)
    voxels = VOXELS_M[:dims]
    forward = relative(op.forward(image), direct_sum(image, k, voxels))
    adjoint = relative(op.adjoint(samples), direct_adjoint(samples, k, shape, voxels))
    assert max(forward, adjoint) <= op.eps
    assert dims == 2 or min(forward, adjoint) >= op.eps / 1.5


@pytest.mark.parametrize(("upsampling", "width"), [(1.5, 3), (1.5, 8), (2.0, 4), (2.0, 7)])
def test_the_kernel_is_kaiser_and_bessels(upsampling, width):
    beta = np.pi * np.sqrt((width / upsampling) ** 2 * (upsampling - 0.5) ** 2 - 0.8)

    def bessel(u):
        return i0(beta * np.sqrt(1 - (2 * u / width) ** 2)) / i0(beta)

    table = kernel_table(width, upsampling, PAD).reshape(-1, PAD).astype(np.float64)
    for between in (-0.5, -0.2, 0.0, 0.31, 0.4999):
        found = [np.polyval(table[:, cell], between) for cell in range(PAD)]
        offset = between + 0.5 + np.arange(width) - width / 2
        # Coefficients in single precision, a dozen of them; the narrowest, whose transform errs by
        # a percent, is also fitted to no more than 6e-7.
        np.testing.assert_allclose(found[:width], bessel(offset), atol=1e-6)
        assert found[width:] == [0] * (PAD - width)
    for frequency in (0.0, 0.1, 0.5 / upsampling):
        exact, _ = quad(bessel, 0, width / 2, weight="cos", wvar=2 * np.pi * frequency)
        found = kernel_transform(np.array([frequency]), width, upsampling)
        np.testing.assert_allclose(found, 2 * exact, rtol=1e-7)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("grid", [(1, 200, 90), (50, 31, 60), (12, 13, 14)])
def test_each_column_is_one_threads_and_none_beside_it_has_its_turn(grid, threads, rng):
    dims = 2 if grid[0] == 1 else 3
    cycles = rng.uniform(-0.7, 0.7, (4000, dims)) ** 3
    tiling = tile_samples(cycles, grid, 5, CELL, threads)
    starts, edges_z, edges_y, edges_x = tiling.tiles
    across = len(edges_x) - 1
    some = np.flatnonzero(np.diff(starts[::across]))
    assert sorted(tiling.columns) == some.tolist()
    assert starts[-1] == len(cycles)
    assert sorted(tiling.points[0]) == list(range(len(cycles)))
    assert tiling.chunks.shape[1] == threads + 1
    assert tiling.chunks[-1, -1] == len(tiling.columns)
    for turn in tiling.chunks:
        mine = tiling.columns[turn[0] : turn[-1]]
        z, y = np.divmod(mine, len(edges_y) - 1)
        assert len(set(z % 2)) <= 1
        assert len(set(y % 2)) <= 1
    for edges in (edges_z, edges_y, edges_x):
        assert len(edges) == 2 or (len(edges) % 2 and np.diff(edges).min() >= 5)


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
