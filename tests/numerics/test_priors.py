"""Priors and solvers against definitions in double precision."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand import kernels
from ultrahand.errors import RecordError
from ultrahand.numerics.discrepancy import Found, discrepancy_weight
from ultrahand.numerics.least_squares import LeastSquares, mean_diagonal
from ultrahand.numerics.power import largest_eigenvalue
from ultrahand.numerics.primal_dual import primal_dual
from ultrahand.numerics.priors import (
    GeneralizedVariation,
    LowRank,
    Squares,
    TotalVariation,
    Wavelets,
)
from ultrahand.numerics.proximal_gradient import proximal_gradient
from ultrahand.numerics.solution import Status

SHAPES = [(1, 4, 8, 8), (2, 3, 5, 7), (1, 1, 1, 9), (1, 1, 6, 1), (1, 1, 1, 1)]


def images(rng, shape):
    return complex_normal(rng, shape).astype(np.complex64)


def denoising(rhs):
    return LeastSquares(normal=lambda x: x.copy(), rhs=rhs, information=1.0, largest=1.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("moments", [1, 2, 4])
def test_wavelets_are_orthonormal_for_every_size(shape, moments, rng):
    """Without a threshold the way down and up is the identity; a prox does not expand lengths."""
    x = images(rng, shape)
    out = np.empty_like(x)
    prior = Wavelets(weight=1.0, moments=moments, levels=3)
    prior.prox(x, 0.0, 5, out)
    np.testing.assert_allclose(out, x, atol=2e-5)  # some 30 roundings of numbers of about 3


@pytest.mark.parametrize("shape", SHAPES)
def test_the_divergence_is_the_adjoint_of_the_gradient(shape, rng):
    """`measure` gives <K x, p>, `descend` gives K^H p: <K x, p> = <x, K^H p>."""
    x, y = images(rng, shape), images(rng, shape)
    for prior in (
        TotalVariation(weight=1.0, axes=(-4, -3, -2, -1)),
        TotalVariation(weight=1.0, axes=(-1, -3), voxel_size_m=(1e-3, 3e-3), isotropic=False),
    ):
        dual = prior.start(shape)
        dual.ascend(0.7, y)
        value, slack = dual.measure(x)
        image = np.zeros_like(x)
        dual.descend(0.0, image)
        product = np.vdot(image.astype(complex), x.astype(complex)).real
        assert abs(value - slack - product) <= 1e-5 * (1 + abs(value))  # single precision sums


def test_a_step_is_lowered_by_total_variation_as_by_the_closed_form():
    """Two plateaus of m voxels come closer by w / m from either side."""
    x = np.zeros((1, 1, 1, 20), np.complex64)
    x[..., 10:] = 5
    prior = TotalVariation(weight=2.0, axes=(-1,))
    found = primal_dual(denoising(x), [prior], tolerance=1e-5, max_iterations=3000)
    assert found.status is Status.CONVERGED
    expected = np.where(x.real > 0, 5 - 0.2, 0.2)
    np.testing.assert_allclose(found.value, expected, atol=2e-3)  # |x - x*|^2 <= 2 F-gap


def test_an_affine_image_costs_nothing_in_second_order():
    z, y, x = np.meshgrid(*map(np.arange, (4, 5, 6)), indexing="ij")
    ramp = (1 + 0.5 * z - 0.2 * y + 0.7j * x)[None].astype(np.complex64)
    found = primal_dual(
        denoising(ramp), [GeneralizedVariation(weight=1.0)], tolerance=1e-5, max_iterations=4000
    )
    np.testing.assert_allclose(found.value, ramp, atol=2e-2)


def test_low_rank_thresholds_singular_values(rng):
    x = images(rng, (4, 2, 3, 5))
    prior = LowRank(weight=0.2, block=None)
    out = np.empty_like(x)
    prior.prox(x, 1.0, 0, out)
    u, s, vh = np.linalg.svd(x.reshape(4, -1).astype(complex), full_matrices=False)
    edge = np.sqrt(2) * (np.sqrt(30) + 2)
    exact = (u * np.maximum(s - 0.2 * edge, 0)) @ vh
    np.testing.assert_allclose(out.reshape(4, -1), exact, atol=2e-6)


def test_an_orthonormal_problem_is_one_soft_threshold(rng):
    """N = 4: in noise units b / 2, thresholded at w, back by sigma = 1 / 2."""
    b = images(rng, (1, 2, 4, 6))
    problem = LeastSquares(normal=lambda x: 4 * x, rhs=4 * b, information=4.0, largest=4.0)
    prior = Wavelets(weight=0.8, shifts=None)
    found = proximal_gradient(problem, prior, tolerance=1e-6, max_iterations=50)
    exact = np.empty_like(b)
    prior.prox(2 * b, 1.0, 0, exact)
    assert found.status is Status.CONVERGED
    np.testing.assert_allclose(found.value, exact / 2, atol=1e-5)


def test_squares_solve_a_linear_system(rng):
    root = complex_normal(rng, (20, 12))
    matrix = root.conj().T @ root
    b = images(rng, (1, 2, 6))
    n = np.trace(matrix).real / 12
    problem = LeastSquares(
        normal=lambda x: (matrix @ x.ravel()).reshape(x.shape).astype(np.complex64),
        rhs=b,
        information=n,
        largest=np.linalg.eigvalsh(matrix)[-1],
    )
    found = proximal_gradient(problem, Squares(weight=0.3), tolerance=1e-6, max_iterations=500)
    exact = np.linalg.solve(matrix + 0.3 * n * np.eye(12), b.ravel())
    np.testing.assert_allclose(found.value.ravel(), exact, atol=1e-5 * abs(exact).max())


def test_power_bounds_the_largest_eigenvalue():
    values = np.linspace(0.1, 3, 500).reshape(5, 10, 10)
    found = largest_eigenvalue(lambda x: values * x, values.shape)
    assert found.value <= 3 * (1 + 1e-6)
    assert 3 <= found.bound <= 3.6
    assert mean_diagonal(lambda x: values * x, values.shape) == pytest.approx(values.mean(), 1e-6)


def test_the_discrepancy_is_met():
    found = discrepancy_weight(lambda w: 100 * w**0.5, 500)
    assert found.status is Found.MATCHED
    assert found.weight == pytest.approx(100, rel=0.03)
    assert discrepancy_weight(lambda w: 1e6 + w, 5).status is Found.ALWAYS_ABOVE


def test_the_same_bits_for_every_number_of_threads(rng):
    x = images(rng, (2, 5, 9, 17))
    results = []
    for threads in (1, 2):
        with kernels.threads(threads):
            a = primal_dual(
                denoising(x),
                [TotalVariation(weight=0.5), GeneralizedVariation(weight=0.3)],
                max_iterations=4,
                threads=threads,
            )
            b = proximal_gradient(denoising(x), Wavelets(weight=0.5), threads=threads)
        results.append((a.value, b.value))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_bad_input_is_refused():
    with pytest.raises(RecordError):
        TotalVariation(weight=-1.0)
    with pytest.raises(RecordError):
        Wavelets(weight=1.0, axes=(0,))


class Watched:
    """No prior at all; writes down the step of each iteration."""

    def __init__(self, *, steady):
        self.steady, self.steps = steady, []

    def prox(self, z, step, _turn, out):
        self.steps.append(step)
        out[...] = z
        return 0.0

    def value(self, _x):
        return 0.0


@pytest.mark.parametrize("steady", [True, False])
def test_only_a_prior_that_stays_the_same_restarts_the_momentum(steady, rng):
    """Steps grow with the momentum; each restart makes one fall."""
    values = np.geomspace(1e-3, 1, 40).reshape(1, 1, 1, 40)
    problem = LeastSquares(
        normal=lambda x: (values * x).astype(np.complex64),
        rhs=images(rng, values.shape),
        information=1.0,
        largest=1.0,
    )
    prior = Watched(steady=steady)
    proximal_gradient(problem, prior, tolerance=0, max_iterations=150)
    falls = (np.diff(prior.steps[:-1]) < 0).sum()
    assert (falls > 0) == steady
