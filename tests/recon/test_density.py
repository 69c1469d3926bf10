"""Density weights: closed forms where there are any, the definition elsewhere."""

import numpy as np
import pytest

from reference.density import lattice, psi_matrix, window
from reference.direct_sum import cartesian_points
from ultrahand.errors import RecordError
from ultrahand.recon.density import (
    MARGIN,
    _first_estimate,
    _plan_blur,
    autocorrelation_window,
    density_weights,
)
from ultrahand.recon.nufft import plan_nufft

VOXELS_M = (1e-3, 2e-3, 3e-3)
GRIDS = [(7, 8), (8, 7), (5, 6, 9), (1, 6, 5)]
TOLERANCE = 2.5e-3  # the default
EPS = TOLERANCE / 10  # of the transforms behind it


def weights(k, shape, **options):
    return density_weights(k, shape=shape, voxel_size_m=VOXELS_M[: len(shape)], **options)


def radial_2d(n, n_spokes, per_cell=4):
    """Uniform diameters that skip k = 0: positions in cells, and the area of each sample."""
    kr = (np.arange(-n * per_cell // 2, n * per_cell // 2) + 0.5) / per_cell
    angles = np.arange(n_spokes) * np.pi / n_spokes
    k = np.stack([np.outer(np.cos(angles), kr), np.outer(np.sin(angles), kr)], axis=-1)
    return k, np.pi * np.abs(kr) / per_cell / n_spokes


def adapted_radial_3d(n, n_spokes, n_samples):
    """Centre-out spokes, linear and then k^3 growing linearly, golden means; cells and volumes."""
    t, turn, slope = np.arange(n_samples + 1) / n_samples, 0.25, 1.4
    late = np.cbrt((slope * turn) ** 3 + 3 * (slope * turn) ** 2 * slope * (t - turn))
    edges = np.where(t < turn, slope * t, late)
    edges *= n / 2 / edges[-1]
    radii = (edges[1:] + edges[:-1]) / 2
    i = np.arange(n_spokes)
    z, phi = 2 * (i * 0.4656 % 1) - 1, 2 * np.pi * (i * 0.6823 % 1)
    s = np.sqrt(1 - z**2)
    directions = np.stack([s * np.cos(phi), s * np.sin(phi), z], axis=-1)
    volumes = 4 / 3 * np.pi * np.diff(edges**3) / n_spokes
    return directions[:, None] * radii[:, None], volumes, edges


def per_m(cells, n, voxel_m=1e-3):
    return cells.reshape(-1, cells.shape[-1]) / (n * voxel_m)


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("shape", GRIDS)
def test_cartesian_samples_stand_for_one_cell(shape, offset):
    voxels = VOXELS_M[: len(shape)]
    fov_m = np.array(shape[::-1]) * voxels
    found = weights(cartesian_points(shape, voxels) + offset / fov_m, shape)
    # Exact from the first estimate on: psi sums to 1 over the lattice, seen through EPS.
    np.testing.assert_allclose(found.weights, 1, rtol=1e-6)
    assert (found.iterations, found.converged) == (1, True)
    assert found.residual <= 2 * EPS


def test_samples_taken_twice_share_their_cell(rng):
    shape = (6, 7)
    repeats = rng.integers(1, 5, 42)
    k = np.repeat(cartesian_points(shape, VOXELS_M[:2]), repeats, axis=0)
    found = weights(k, shape)
    np.testing.assert_allclose(found.weights, np.repeat(1 / repeats, repeats), rtol=1e-6)


def test_radial_2d_gives_the_ramp():
    n = 33
    cells, ramp = radial_2d(n, 2 * n)
    found = weights_cube(per_m(cells, n), (n, n)).weights.reshape(2 * n, -1)
    ring = found.mean(axis=0) / ramp
    radius = np.abs(cells[0] @ [1, 0])
    # psi cannot tell detail finer than a cell, so rings near the centre and the rim differ.
    inside = (radius > 5) & (radius < n / 2 - 5)
    np.testing.assert_allclose(ring[inside], 1, atol=2 * TOLERANCE)
    for edge in (4, 8, 12):
        area = found[:, radius < edge].sum() / (np.pi * edge**2)
        assert area == pytest.approx(1, abs=2 * TOLERANCE)


def weights_cube(k, shape, **options):
    return density_weights(k, shape=shape, voxel_size_m=(1e-3,) * len(shape), **options)


@pytest.fixture(scope="module")
def adapted():
    n = 24
    cells, volumes, edges = adapted_radial_3d(n, 3000, 100)
    found = weights_cube(per_m(cells, n), (n, n, n))
    return n, cells, volumes, edges, found


def test_radial_3d_fills_spheres(adapted):
    _, cells, _, edges, found = adapted
    w = found.weights.reshape(cells.shape[:2])
    for count in (30, 50, 70):
        volume = w[:, :count].sum() / (4 / 3 * np.pi * edges[count] ** 3)
        assert volume == pytest.approx(1, abs=0.02)


def test_the_rim_is_not_paid_for_with_noise(adapted):
    """The noise sd of an image is the root sum of squares of the weights, least for equal area.

    A goal of 1 to the very rim puts 17 times its volume on the last shell: the cost is then 2.3.
    """
    _, cells, volumes, _, found = adapted
    least = np.sqrt(len(cells) * np.sum(volumes**2))
    cost = np.linalg.norm(found.weights.astype(np.float64)) / least
    assert 1 <= cost <= 1.35


def test_a_ball_comes_out_level(adapted):
    n, cells, _, _, found = adapted
    k = per_m(cells, n)
    radius_m = 0.35 * n * 1e-3
    turns = 2 * np.pi * radius_m * np.linalg.norm(k, axis=1)
    ball = 4 * np.pi * radius_m**3 * (np.sin(turns) - turns * np.cos(turns)) / turns**3
    smooth = np.exp(-2 * np.sum(cells.reshape(-1, 3) ** 2, axis=1) / (n / 2) ** 2)
    samples = ball * smooth / 1e-9 / np.sqrt(n**3) * found.weights
    op = plan_nufft(k, shape=(n, n, n), voxel_size_m=(1e-3,) * 3, eps=1e-5)
    image = op.adjoint(samples).real
    offset = np.arange(n) - n // 2
    distance = np.sqrt(sum(a**2 for a in np.meshgrid(offset, offset, offset, indexing="ij")))
    # The plateau shows the lowest frequencies, whose blurred density is right to the tolerance.
    assert image[distance < 0.2 * n].mean() == pytest.approx(1, abs=2 * TOLERANCE)


@pytest.mark.parametrize("grid", GRIDS)
def test_window_is_the_overlap_of_two_ellipses(grid):
    # The reference integrates caps with 4000 midpoints: 1e-6; the window is float32.
    np.testing.assert_allclose(autocorrelation_window(grid), window(grid), atol=2e-6)


@pytest.mark.parametrize("grid", GRIDS)
def test_blur_is_the_sum_over_psi(grid, rng):
    cells = rng.uniform(-0.5, 0.5, (50, len(grid))) * grid
    blur = _plan_blur(cells, grid, eps=1e-5, threads=1, max_bytes=2**30)
    w = rng.uniform(0.1, 2, 50).astype(np.float32)
    values = rng.uniform(0, 1, grid).astype(np.float32)
    psi = psi_matrix(cells, cells, grid)
    of_samples, of_cells = psi @ w, psi_matrix(cells, lattice(grid), grid) @ values.ravel()
    assert np.linalg.norm(blur.of_samples(w) - of_samples) <= 2e-5 * np.linalg.norm(of_samples)
    assert np.linalg.norm(blur.of_cells(values) - of_cells) <= 2e-5 * np.linalg.norm(of_cells)
    assert blur.peak == pytest.approx(psi[0, 0], rel=1e-5)


@pytest.mark.parametrize("shape", [(12, 13), (7, 8, 6)])
def test_residual_is_what_it_says(shape, rng):
    cells = rng.uniform(-0.5, 0.5, (900, len(shape))) * shape
    found = weights((cells / shape)[:, ::-1] / np.array(VOXELS_M[: len(shape)]), shape)
    _, area = _first_estimate(cells, shape)
    psi = psi_matrix(cells, cells, shape)
    goal = psi_matrix(cells, lattice(shape), shape) @ np.minimum(MARGIN * area, 1).ravel()
    excess = psi @ found.weights / goal - 1
    energy = found.weights * (0.5 + np.linalg.norm(cells, axis=1)) ** -(len(shape) + 1.0)
    exact = np.sqrt(np.average(excess**2, weights=energy))
    assert found.residual == pytest.approx(exact, abs=4 * EPS)
    assert found.converged
    assert found.residual < TOLERANCE
    # A sample apart from all others weighs 1 / psi(0) at most.
    assert ((found.weights > 0) & (found.weights <= 1.01 / psi[0, 0])).all()


def test_bits_do_not_depend_on_threads_or_runs():
    n = 16
    k = per_m(adapted_radial_3d(n, 900, 40)[0], n)
    found = [weights_cube(k, (n, n, n), threads=threads) for threads in (1, 2, 3, 2)]
    for other in found[1:]:
        np.testing.assert_array_equal(other.weights, found[0].weights)
        assert other.residual == found[0].residual


def test_unit_of_length_does_not_matter():
    n = 20
    k = per_m(radial_2d(n, 31)[0], n)
    metres = density_weights(k, shape=(n, n), voxel_size_m=(1e-3, 1e-3))
    inches = density_weights(k * 0.0254, shape=(n, n), voxel_size_m=(1e-3 / 0.0254,) * 2)
    np.testing.assert_allclose(metres.weights, inches.weights, rtol=1e-4)


def test_axes_go_in_the_order_of_the_trajectory(rng):
    """Read and phase exchanged, with their sizes: the same weights."""
    k = rng.uniform(-0.5, 0.5, (400, 2)) / [1e-3, 2e-3]
    few = {"max_iterations": 5}  # as errors of the transforms grow with the steps
    one = density_weights(k, shape=(9, 14), voxel_size_m=(1e-3, 2e-3), **few)
    other = density_weights(k[:, ::-1], shape=(14, 9), voxel_size_m=(2e-3, 1e-3), **few)
    # Both transforms err by EPS, in other places; a few steps add up.
    np.testing.assert_allclose(one.weights, other.weights, rtol=40 * EPS)


def test_samples_beyond_the_voxel_grid_are_kept_apart():
    n = 24
    k = per_m(radial_2d(n, 48)[0], n)
    fine = density_weights(k, shape=(n, n), voxel_size_m=(1e-3, 1e-3))
    coarse = density_weights(k, shape=(n // 2, n // 2), voxel_size_m=(2e-3, 2e-3))
    np.testing.assert_allclose(coarse.weights, fine.weights, rtol=1e-4)


def test_giving_up_is_said():
    found = weights_cube(per_m(radial_2d(16, 12)[0], 16), (16, 16), max_iterations=2)
    assert (found.iterations, found.converged) == (2, False)
    assert found.residual > TOLERANCE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (7,)}, "same dimensions"),
        ({"k_per_m": np.zeros((3, 1)), "shape": (7,), "voxel_size_m": (1.0,)}, "shape must be"),
        ({"k_per_m": np.full((3, 2), np.inf)}, "finite"),
        ({"tolerance": 1e-6}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
    ],
)
def test_contradictions_are_refused(change, message):
    good = {"k_per_m": np.zeros((3, 2)), "shape": (7, 8), "voxel_size_m": (1e-3, 1e-3)}
    with pytest.raises(RecordError, match=message):
        density_weights(**{**good, **change})
