"""Data terms of frames and subspaces against dense matrices in double precision."""

import numpy as np
import pytest

from laws import complex_normal
from reference.direct_sum import fourier_matrix
from ultrahand.errors import RecordError
from ultrahand.recon.dynamic_basis import make_basis
from ultrahand.recon.dynamic_data import DynamicData, coil_sum, data_weights, spoke_areas
from ultrahand.recon.dynamic_encoding import frames_problem
from ultrahand.recon.dynamic_frames import frames_by_spokes
from ultrahand.recon.dynamic_gridding import grid_everything, grid_frames
from ultrahand.recon.dynamic_library import Ranges, Sequence, library
from ultrahand.recon.dynamic_sharing import share_views
from ultrahand.recon.dynamic_subspace import mean_coefficients, subspace, subspace_problem
from ultrahand.recon.trajectories import radial_2d

VOXEL = (1.0e-3, 1.3e-3)
CLOSE = 3e-5  # the transforms are asked for 1e-5; single precision sums add less


def relative(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


def acquisition(rng, shape, spokes=12, samples=10, coils=3):
    """Random samples, maps and times, of a stack of one or more planes."""
    reach = 0.45 / max(VOXEL)
    return DynamicData(
        samples=complex_normal(rng, (coils, shape[0], spokes, samples)).astype(np.complex64),
        k_per_m=radial_2d(spokes, samples, reach, golden=True),
        time_s=np.sort(rng.uniform(0, 60, spokes)),
        maps=complex_normal(rng, (coils, *shape)).astype(np.complex64),
        voxel_size_m=VOXEL,
    )


def encoding(data, plane, spokes):
    """Dense ``(coils, samples, voxels)`` of one plane."""
    k = data.k_per_m[spokes].reshape(-1, 2)
    matrix = fourier_matrix(k, data.shape[1:], data.voxel_size_m)
    return matrix * data.maps[:, plane].reshape(len(data.maps), 1, -1).astype(complex)


SHAPES = [(1, 8, 9), (3, 7, 6), (2, 5, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("evenness", [0.0, 0.5])
def test_frames_are_their_normal_equations(shape, evenness, rng):
    data = acquisition(rng, shape)
    frames = frames_by_spokes(data.time_s, spokes=5, at_least=1)  # 5, 5 and 2
    problem = frames_problem(data, frames, evenness=evenness)
    x = complex_normal(rng, (3, *shape)).astype(np.complex64)
    nx, rhs = np.empty(x.shape, complex), np.empty(x.shape, complex)
    traces = np.zeros(2)
    for f, spokes in enumerate(frames.spokes):
        weights = data_weights(data, len(spokes), evenness)[spokes].ravel().astype(float)
        for z in range(shape[0]):
            a = encoding(data, z, spokes)
            y = data.samples[:, z, spokes].reshape(len(a), -1)
            seen = np.einsum("csv,v->cs", a, x[f, z].ravel())
            nx[f, z] = np.einsum("csv,s,cs->v", a.conj(), weights, seen).reshape(shape[1:])
            rhs[f, z] = np.einsum("csv,s,cs->v", a.conj(), weights, y).reshape(shape[1:])
            power = (np.abs(a) ** 2).sum(axis=(0, 2))
            traces += power @ weights, power @ weights**2
    assert relative(problem.normal(x), nx) <= CLOSE
    assert relative(problem.rhs, rhs) <= CLOSE
    information, spread = traces / x.size
    assert problem.information == pytest.approx(information, rel=1e-5)
    assert problem.noise_sd == pytest.approx(np.sqrt(spread) / information, rel=1e-5)


def a_basis(time_s, most=4):
    ranges = Ranges(first_arrival_s=0.0, last_arrival_s=30.0)
    sequence = Sequence(flip_rad=0.2, tr_s=4e-3, te_s=1.5e-3)
    return make_basis(time_s, library(ranges, sequence, step_s=5.0), most=most)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("evenness", [0.0, 0.5])
def test_a_subspace_is_its_normal_equations(shape, evenness, rng):
    data = acquisition(rng, shape)
    basis = a_basis(data.time_s)
    problem = subspace_problem(data, basis, evenness=evenness)
    c = complex_normal(rng, (4, *shape)).astype(np.complex64)
    everyone = np.arange(12)
    weights = data_weights(data, 12, evenness).ravel().astype(float)
    over = np.repeat(basis.functions, 10, axis=1)
    nc, rhs = np.empty(c.shape, complex), np.empty(c.shape, complex)
    traces = np.zeros(2)
    for z in range(shape[0]):
        a = encoding(data, z, everyone)
        y = data.samples[:, z].reshape(len(a), -1)
        flat = c[:, z].reshape(4, -1).astype(complex)
        seen = np.einsum("csv,ks,kv->cs", a, over, flat, optimize=True)
        for out, samples in ((nc, seen), (rhs, y)):
            back = np.einsum("csv,ks,s,cs->kv", a.conj(), over, weights, samples, optimize=True)
            out[:, z] = back.reshape(4, *shape[1:])
        power = (np.abs(a) ** 2).sum(axis=(0, 2)) * (over**2).sum(axis=0)
        traces += power @ weights, power @ weights**2
    assert relative(problem.normal(c), nc) <= CLOSE
    assert relative(problem.rhs, rhs) <= CLOSE
    information, spread = traces / c.size
    assert problem.information == pytest.approx(information, rel=1e-5)
    assert problem.noise_sd == pytest.approx(np.sqrt(spread) / information, rel=1e-5)


def test_conjugate_gradients_solve_a_subspace(rng):
    """Against the dense solution; damped so that its condition is far from single precision's."""
    data = acquisition(rng, (1, 6, 5), spokes=30)
    basis = a_basis(data.time_s)
    found = subspace(data, basis, damping=1.0, tolerance=1e-7, max_iterations=200)
    a = encoding(data, 0, np.arange(30))
    over = np.repeat(basis.functions, 10, axis=1)
    dense = np.einsum("csv,ks->cskv", a, over).reshape(3 * 300, 4 * 30)
    damping = float((np.abs(dense) ** 2).sum()) / 120  # 1 in units of the mean diagonal
    normal = dense.conj().T @ dense + damping * np.eye(120)
    mean = mean_coefficients(data, basis)
    np.testing.assert_allclose(mean[0] / np.sqrt(30), grid_everything(data), rtol=1e-5)
    assert not mean[1:].any()
    still = mean.astype(complex).ravel()
    rest = data.samples.reshape(-1) - dense @ still
    exact = still + np.linalg.solve(normal, dense.conj().T @ rest)
    assert relative(found.coefficients.ravel(), exact) <= np.linalg.cond(normal) * CLOSE / 3
    series = found.images(data.time_s[[2, 17]])
    mixed = np.einsum("kt,kv->tv", basis.functions[:, [2, 17]], exact.reshape(4, 30))
    assert relative(series.reshape(2, -1), mixed) <= np.linalg.cond(normal) * CLOSE / 3


def test_a_basis_of_other_spokes_is_refused(rng):
    data = acquisition(rng, (1, 6, 5))
    with pytest.raises(RecordError, match="of the same spokes"):
        subspace(data, a_basis(data.time_s + 1.0))


def test_areas_of_spokes_fill_the_disk():
    """In Nyquist cells: ``pi (k FOV)^2`` where the spokes are dense, the samples' lengths else."""
    k_max, fov = 100.0, 0.2
    many = radial_2d(400, 81, k_max, golden=True)
    area = spoke_areas(many, spokes=400, fov_m=fov).sum()
    # The last samples stand half a step beyond the edge at either side, 1 / 81 of the radius.
    assert area == pytest.approx(np.pi * (k_max * fov) ** 2, rel=0.02)
    one = spoke_areas(radial_2d(1, 81, k_max, golden=True), spokes=1, fov_m=fov)
    length = 2 * k_max / 81 * fov
    assert one[0, [0, 80]] == pytest.approx([length, length])
    assert one.max() == pytest.approx(length)
    assert one[0, 40] == pytest.approx(length * np.pi * 0.25 * length)


def test_samples_beyond_the_matrix_count_nothing(rng):
    data = acquisition(rng, (1, 8, 8))
    wide = DynamicData(
        samples=data.samples,
        k_per_m=data.k_per_m * 1.6,
        time_s=data.time_s,
        maps=data.maps,
        voxel_size_m=VOXEL,
    )
    beyond = (np.abs(wide.k_per_m) > 0.5 / np.array(VOXEL) * 1.0001).any(axis=-1)
    assert beyond.any()
    np.testing.assert_array_equal(data_weights(wide, 12, 0.5) == 0, beyond)


def test_gridding_is_the_weighted_adjoint_and_shared_rings_are_one_of_their_spokes(rng):
    data = acquisition(rng, (2, 8, 7), spokes=20)
    frames = frames_by_spokes(data.time_s, spokes=5)
    images, noise = grid_frames(data, frames)
    assert images.shape == (4, 2, 8, 7)
    edges = np.array([1e3])
    shared = share_views(data.time_s, frames, edges_per_m=edges, fov_m=1e-2)
    again, sd = grid_frames(data, shared)  # one ring: the frames themselves
    np.testing.assert_array_equal(again, images)
    np.testing.assert_array_equal(sd, noise)
    power = (np.abs(data.maps) ** 2).sum(axis=0)
    everyone = np.arange(20)
    weights = data_weights(data, 20, 1.0)[None]
    mean = coil_sum(data, everyone, weights)[0] / power
    assert relative(grid_everything(data), mean) <= 1e-6


def test_noise_of_gridded_frames(rng):
    """Samples of noise alone: what is said of a voxel's real part, whatever the number of spokes.

    The spread of 23040 voxels, hardly alike, is good to 1 %: three times that.
    """
    shape = (40, 24, 24)
    data = DynamicData(
        samples=complex_normal(rng, (2, 40, 60, 24)).astype(np.complex64),
        k_per_m=radial_2d(60, 24, 0.5e3, golden=True),
        time_s=np.arange(60.0),
        maps=complex_normal(rng, (2, *shape)).astype(np.complex64),
        voxel_size_m=(1e-3, 1e-3),
    )
    power = np.sqrt((np.abs(data.maps) ** 2).sum(axis=0))
    images, noise = grid_frames(data, frames_by_spokes(data.time_s, spokes=54, at_least=1))
    for image, expected in zip(images, noise, strict=True):
        assert (image * power).real.std() == pytest.approx(expected, rel=0.03)
    assert noise[1] != pytest.approx(noise[0], rel=0.03)  # 54 spokes, then 6


def test_the_same_bits_for_every_number_of_threads(rng):
    data = acquisition(rng, (2, 9, 8))
    frames = frames_by_spokes(data.time_s, spokes=4)
    x = complex_normal(rng, (3, 2, 9, 8)).astype(np.complex64)
    one, two = (frames_problem(data, frames, evenness=0.5, threads=t) for t in (1, 2))
    np.testing.assert_array_equal(one.rhs, two.rhs)
    np.testing.assert_array_equal(one.normal(x), two.normal(x))


def test_parts_that_contradict_each_other_are_refused(rng):
    data = acquisition(rng, (1, 6, 5))
    good = {
        "samples": data.samples,
        "k_per_m": data.k_per_m,
        "time_s": data.time_s,
        "maps": data.maps,
        "voxel_size_m": VOXEL,
    }
    for name, wrong, match in (
        ("samples", data.samples[:, :, :5], "must be"),
        ("maps", data.maps[:2], "must be"),
        ("time_s", data.time_s[:5], "one a spoke"),
        ("time_s", data.time_s * np.nan, "finite"),
        ("k_per_m", data.k_per_m[..., :1], "two dimensions"),
        ("samples", data.samples * np.complex64(np.inf), "finite"),
    ):
        with np.errstate(invalid="ignore"), pytest.raises(RecordError, match=match):
            DynamicData(**{**good, name: wrong})
    with pytest.raises(RecordError, match="evenness"):
        data_weights(data, 12, 1.5)
