"""Conjugate gradients against numpy's direct solution, and what it says where there is none."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.numerics.solution import Status


def matrix_with(rng, eigenvalues):
    vectors, _ = np.linalg.qr(complex_normal(rng, (len(eigenvalues),) * 2))
    return (vectors * eigenvalues) @ vectors.conj().T


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_it_solves_a_system(damping, rng):
    matrix = matrix_with(rng, np.linspace(0.5, 3, 12))
    rhs = complex_normal(rng, 12)
    found = conjugate_gradient(
        lambda p: matrix @ p, rhs, damping=damping, tolerance=1e-12, max_iterations=20
    )
    assert found.status is Status.CONVERGED
    exact = np.linalg.solve(matrix + damping * np.eye(12), rhs)
    np.testing.assert_allclose(found.value, exact, rtol=1e-10, atol=1e-11)
    assert found.residuals[0] == 1
    assert found.residuals[-1] <= 1e-12
    assert len(found.residuals) == found.iterations + 1


def test_as_many_iterations_as_eigenvalues_are_enough(rng):
    matrix = matrix_with(rng, np.repeat([1.0, 2.0, 5.0], 4))
    found = conjugate_gradient(
        lambda p: matrix @ p, complex_normal(rng, 12), tolerance=1e-10, max_iterations=20
    )
    assert found.iterations == 3


def test_a_limit_of_iterations_is_said(rng):
    matrix = matrix_with(rng, np.linspace(0.01, 3, 12))
    told = []
    found = conjugate_gradient(
        lambda p: matrix @ p,
        complex_normal(rng, 12),
        tolerance=0,
        max_iterations=3,
        progress=told.append,
    )
    assert found.status is Status.ITERATIONS
    assert (found.iterations, told) == (3, [1, 1, 1])


def test_a_direction_that_is_not_measured_is_said():
    matrix = np.diag([1.0, 2.0, 0.0])
    found = conjugate_gradient(lambda p: matrix @ p, np.array([0, 0, 1j]), max_iterations=5)
    assert found.status is Status.SINGULAR
    assert not found.value.any()


def test_what_is_not_finite_is_said_and_not_returned():
    calls = []

    def breaks(p):
        calls.append(1)
        return p * (np.nan if len(calls) > 1 else np.arange(1, 4))

    found = conjugate_gradient(breaks, np.ones(3, complex), max_iterations=5)
    assert found.status is Status.DIVERGED
    assert found.iterations == 1
    assert np.isfinite(found.value).all()


def test_zero_is_solved_by_zero():
    found = conjugate_gradient(lambda p: p, np.zeros(3, np.complex64))
    assert (found.status, found.iterations) == (Status.CONVERGED, 0)
    assert not found.value.any()


def test_the_operator_is_given_its_own_precision(rng):
    kinds = set()

    def normal(p):
        kinds.add(p.dtype)
        return 2 * p

    found = conjugate_gradient(normal, complex_normal(rng, 3).astype(np.complex64))
    assert kinds == {np.dtype(np.complex64)}
    assert found.value.dtype == np.complex128


@pytest.mark.parametrize(
    "wrong",
    [{"damping": -1.0}, {"tolerance": -1.0}, {"max_iterations": 0}],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(RecordError):
        conjugate_gradient(lambda p: p, np.ones(3, complex), **wrong)


def test_a_right_side_that_is_not_finite_is_refused():
    with pytest.raises(RecordError, match="finite"):
        conjugate_gradient(lambda p: p, np.array([1, np.nan, 2], complex))
