"""Every linear operator keeps the laws of its kind."""

import pytest

from laws import OPERATORS, check_adjoint, check_linear, check_pure


@pytest.fixture(params=OPERATORS.values(), ids=OPERATORS.keys())
def member(request):
    make, rtol = request.param
    return make(), rtol


def test_adjoint_is_the_adjoint_of_forward(member, rng):
    op, rtol = member
    check_adjoint(op, rng, rtol)


def test_operator_is_linear(member, rng):
    op, rtol = member
    check_linear(op, rng, rtol)


def test_operator_is_pure(member, rng):
    op, _ = member
    check_pure(op, rng)
