"""Accelerated total variation against the primal-dual solver and closed forms."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.nested_gradient import nested_gradient
from ultrahand.numerics.primal_dual import primal_dual
from ultrahand.numerics.priors import GeneralizedVariation, TotalVariation, time_variation
from ultrahand.numerics.solution import Status


def problem(rng, shape):
    """Return a diagonal one with eigenvalues from 0.2 to 1, so that both solvers come to rest."""
    values = rng.uniform(0.2, 1, shape).astype(np.float32)
    rhs = (5 * complex_normal(rng, shape)).astype(np.complex64)
    return LeastSquares(
        normal=lambda x: values * x, rhs=rhs, information=float(values.mean()), largest=1.0
    )


@pytest.mark.parametrize("shape", [(1, 1, 6, 7), (2, 3, 4, 5), (1, 1, 1, 9), (1, 1, 1, 1)])
@pytest.mark.parametrize("kind", [TotalVariation, GeneralizedVariation])
def test_both_solvers_find_the_same_minimum(kind, shape, rng):
    term, prior = problem(rng, shape), kind(weight=0.8)
    fast = nested_gradient(term, prior, inner=8, tolerance=1e-5, max_iterations=1000)
    slow = primal_dual(term, [prior], tolerance=1e-5, max_iterations=20000)
    assert slow.status is Status.CONVERGED
    assert fast.status is Status.CONVERGED
    # The objective is strongly convex with 0.2 (of x): |x - x*|^2 <= 2 gap / 0.2, both gaps at most
    # 2e-5 |b| |x|; the factor between noise units and x cancels in the relative error.
    error = np.linalg.norm(fast.value - slow.value) / np.linalg.norm(slow.value)
    ratio = np.linalg.norm(term.rhs) / np.linalg.norm(slow.value)
    assert error <= 2 * np.sqrt(2 * 2e-5 * ratio / 0.2)
    assert fast.objectives[-1] == pytest.approx(slow.objectives[-1], rel=1e-4)


def test_a_plateau_in_time_is_lowered_as_by_the_closed_form():
    """Of 9 frames the middle 3 stand out: lowered by 2 w / 3, the others raised by w / 3."""
    x = np.zeros((9, 1, 1, 2), np.complex64)
    x[3:6] = 6j
    term = LeastSquares(normal=lambda v: v.copy(), rhs=x, information=1.0, largest=1.0)
    found = nested_gradient(term, time_variation(1.5), tolerance=1e-6, max_iterations=500)
    assert found.status is Status.CONVERGED
    expected = np.where(x.imag > 0, 6j - 1j, 0.5j)
    np.testing.assert_allclose(found.value, expected, atol=5e-3)


def test_it_does_not_stop_before_the_dual_variables_have_come_to_rest():
    """Two plateaus of 20 voxels come closer by w / 20; p has to grow along all of them.

    x follows p at once, so that its own residual is small long before: a stop that looked at it
    alone would leave more than the certified gap, ``1e-5 |b| |x|``, at most 5e-3.
    """
    x = np.zeros((1, 1, 1, 40), np.complex64)
    x[..., 20:] = 5
    term = LeastSquares(normal=lambda v: v.copy(), rhs=x, information=1.0, largest=1.0)
    prior = TotalVariation(weight=30.0, axes=(-1,))
    found = nested_gradient(term, prior, inner=1, tolerance=1e-5, max_iterations=3000)
    assert found.status is Status.CONVERGED
    expected = np.where(x.real > 0, 5 - 1.5, 1.5)
    assert np.linalg.norm(found.value - expected) <= np.sqrt(2 * 2 * 5e-3)
    assert len(found.residuals) == found.iterations + 1
    first = nested_gradient(term, prior, inner=1, tolerance=0, max_iterations=1)
    assert first.gap > 1.001 * first.residuals[-1]  # with the slack


def test_the_gap_is_one(rng):
    """The objective lies above the minimum by no more than the certificate says."""
    term, prior = problem(rng, (1, 1, 6, 6)), TotalVariation(weight=0.8)
    best = nested_gradient(term, prior, inner=20, tolerance=0, max_iterations=1000)
    b = np.linalg.norm(term.rhs_in_noise_units())
    for iterations in (2, 5, 20):
        found = nested_gradient(term, prior, inner=1, tolerance=0, max_iterations=iterations)
        x, least = (v.value / term.noise_sd for v in (found, best))
        excess = found.objectives[-1] - best.objectives[-1]
        scale = b * max(np.linalg.norm(x - least), np.linalg.norm(x))
        assert -1e-4 * abs(best.objectives[-1]) <= excess <= found.gap * scale * (1 + 1e-4)


def test_no_inner_step_is_refused(rng):
    with pytest.raises(RecordError, match="inner"):
        nested_gradient(problem(rng, (1, 1, 2, 2)), TotalVariation(weight=1.0), inner=0)


def test_what_is_not_finite_is_said(rng):
    term = problem(rng, (1, 1, 2, 2))
    broken = LeastSquares(
        normal=lambda x: x * np.float32(np.nan), rhs=term.rhs, information=1.0, largest=1.0
    )
    found = nested_gradient(broken, TotalVariation(weight=1.0))
    assert found.status is Status.DIVERGED
    assert np.isfinite(found.value).all()
