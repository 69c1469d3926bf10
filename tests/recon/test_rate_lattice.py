"""Interpolation among nodes: exact for what is straight, and within its bound for what is not."""

import numpy as np
import pytest

from ultrahand.recon.rate_lattice import decay_nodes, even_nodes, locate

AXES = [
    [np.array([0.0, 1.0, 3.0, 3.5]), np.array([-2.0, 5.0, 6.0])],
    [np.array([0.0, 1.0, 3.0]), np.array([4.0])],
    [np.array([7.0]), np.array([0.0, 0.5])],
    [np.array([7.0]), np.array([4.0])],
    [np.array([1.0, 2.0, 4.0])],
]


@pytest.mark.parametrize("nodes", AXES)
def test_multilinear_functions_are_met_everywhere(nodes, rng):
    points = [rng.uniform(axis[0], axis[-1], (5, 7)) for axis in nodes]
    for axis, at in zip(nodes, points, strict=True):
        at[0, 0], at[0, 1] = axis[0], axis[-1]

    def function(*x):
        return (1 + 2 * x[0]) * (3 - x[1] if len(x) > 1 else 1) + 1j * x[0]

    table = function(*np.meshgrid(*nodes, indexing="ij")).ravel()
    found = locate(nodes, points)
    assert found.n_nodes == table.size
    # Shares are single precision: 6e-8 of the largest value.
    tolerance = 1e-7 * np.abs(table).max()
    np.testing.assert_allclose(found.interpolate(table), function(*points), atol=tolerance)


@pytest.mark.parametrize("nodes", AXES)
def test_nodes_that_are_not_touched_do_not_matter(nodes, rng):
    points = [rng.uniform(axis[0], axis[-1], 2) for axis in nodes]
    points[0][0], points[-1][0] = nodes[0][-1], nodes[-1][0]  # on a node
    found = locate(nodes, points)
    table = rng.standard_normal(found.n_nodes)
    marked = np.full(found.n_nodes, 1e9)
    marked[found.touched()] = table[found.touched()]
    # A share of exactly 0 or 1 still reads its neighbour: what is left of 1e9 is its rounding.
    np.testing.assert_allclose(found.interpolate(marked), found.interpolate(table), atol=1e-6)
    assert found.touched().size <= 2 * 2 ** sum(len(axis) > 1 for axis in nodes)


def test_even_nodes_keep_a_turning_phase_straight_enough():
    turns, error = 2 * np.pi * 0.01, 1e-3
    nodes = even_nodes(-150.0, 150.0, turns**2, error)
    f = np.linspace(-150, 150, 30001)
    found = locate([nodes], [f]).interpolate(np.exp(1j * turns * nodes))
    worst = np.abs(found - np.exp(1j * turns * f)).max()
    # The bound is that of the curvature; whole intervals make it a little better, not much.
    assert 0.9 * error < worst <= error


def test_decay_nodes_keep_every_decay_straight_enough():
    error, duration = 1e-3, 0.02
    nodes = decay_nodes(0.0, 2000.0, duration, error)
    r = np.linspace(0, 2000, 20001)
    places = locate([nodes], [r])
    worst = 0.0
    for s in np.linspace(0, duration, 201):
        rest = places.interpolate(np.exp(-nodes * s)) - np.exp(-r * s)
        worst = max(worst, np.abs(rest).max())
    # The curvature is that of the interval's lower end: pessimistic by less than a half.
    assert 0.5 * error < worst <= error
    assert np.all(np.diff(np.diff(nodes)[:-1]) >= -1e-9)  # ever further apart
    assert len(nodes) < (2000 / np.diff(nodes)[0]) / 4


def test_no_width_needs_one_node():
    assert even_nodes(3.0, 3.0, 1.0, 1e-3).tolist() == [3.0]
    assert even_nodes(0.0, 1.0, 0.0, 1e-3).tolist() == [0.0, 1.0]
    assert decay_nodes(5.0, 5.0, 0.1, 1e-3).tolist() == [5.0]
    assert decay_nodes(0.0, 9.0, 0.0, 1e-3).tolist() == [0.0, 9.0]
