"""The loops of the signal engines against plain numpy, on odd shapes."""

import numpy as np
import pytest
from scipy.special import j1

from laws import complex_normal
from ultrahand import kernels
from ultrahand.phantoms.bessel_table import bessel_table


def jinc(q):
    return 2 * j1(q) / q


def one_unit_plate(k_per_m, plates=((0.0,) * 3 + (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),)):
    """Sum unit plates at positions, at time 0, through the kernel."""
    n, at = len(k_per_m), np.zeros(len(plates), np.int64)
    plate, one = np.arange(len(plates)), np.ones(len(plates))
    out = np.full((n, 1), np.nan, np.complex128)
    kernels.sum_plates(
        k_per_m,
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros((1, 3)),
        np.ascontiguousarray(np.array(plates).T),
        np.arange(len(plates) + 1),
        (plate, one, 0 * one, at, 0 * one, at),
        np.zeros(1),
        np.ones((1, 1)),
        bessel_table(1001.0),
        out,
    )
    return out[:, 0]


def test_a_disk_s_transform_up_to_a_thousand():
    q = np.concatenate([np.linspace(1e-9, 1000, 40_001), np.arange(1, 2001) / 2])
    k = np.zeros((len(q), 3))
    k[:, 0] = q / (2 * np.pi)
    np.testing.assert_allclose(one_unit_plate(k), jinc(q), rtol=0, atol=3e-12)


def test_phases_far_from_the_middle(rng):
    at = rng.uniform(-1, 1, (257, 3))
    point = np.hstack([at, np.zeros((257, 6))])
    k = rng.uniform(-60, 60, (3, 3))
    expected = np.exp(-2j * np.pi * k @ at.T).sum(axis=1)
    # 104 cycles and less, rounded to 1e-14, and 1e-14 of the series, in each of 257.
    np.testing.assert_allclose(one_unit_plate(k, point), expected, rtol=0, atol=257 * 1e-13)


@pytest.mark.parametrize("strengths", [0, 1, 3])
@pytest.mark.parametrize(("n_lines", "n_cells", "width"), [(1, 5, 7), (65, 11, 3), (130, 6, 1)])
def test_plates_are_spread_over_their_cells(n_lines, n_cells, width, strengths, rng):
    n_plates, n_turns = 4, 2
    owner = np.array([0, 2, 2, 3])  # one plate without a run, one with two
    runs = np.stack(
        [owner, rng.integers(0, n_cells, 4), width * np.arange(4), width * np.arange(1, 5)]
    )
    lines, plates = rng.uniform(-40, 40, (2, n_lines)), rng.uniform(-0.1, 0.1, (6, n_plates))
    row = rng.integers(0, max(strengths, 1), n_lines)
    strength, turns = (
        complex_normal(rng, (strengths, n_plates)),
        complex_normal(rng, (n_turns, n_plates)),
    )
    weights = complex_normal(rng, 4 * width)
    out = np.full((n_turns, n_cells, n_lines), np.nan, np.complex128)
    kernels.spread_plates(
        lines, row, plates, strength, turns, runs, weights, bessel_table(100.0), out
    )
    q = 2 * np.pi * np.hypot(lines.T @ plates[2:4], lines.T @ plates[4:6])
    value = jinc(q) * np.exp(-2j * np.pi * lines.T @ plates[:2])
    if strengths:
        value = value * strength[row]
    expected = np.zeros_like(out)
    for plate, first, low, high in runs.T:
        for cell, weight in enumerate(weights[low:high], first):
            expected[:, cell % n_cells] += weight * turns[:, plate, None] * value[:, plate]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("modes", [(1, 9, 12), (8, 9, 7)])
@pytest.mark.parametrize(("n_outputs", "n_grids"), [(1, 1), (2, 3)])
def test_grids_are_interpolated_and_added(modes, n_outputs, n_grids, rng):
    n_points, width = 131, 5
    pieces = rng.uniform(0, 1, (width, 3))
    places = np.zeros((n_points, 3))
    for axis in range(3):
        if modes[axis] > 1:
            places[:, axis] = rng.uniform(3, modes[axis] - 3.5, n_points)
    places[0, 2] = 3.5  # on a cell's edge
    grid = complex_normal(rng, (*modes, n_outputs, n_grids)).astype(np.complex64)
    shot, row = rng.integers(0, 4, n_points), rng.integers(0, 6, n_points)
    courses = rng.uniform(0, 1, (4, n_grids)).astype(np.float32)
    basis = complex_normal(rng, (6, n_grids)).astype(np.complex64)
    out = np.ones((n_outputs, n_points), np.complex64)
    flat = grid.reshape(*modes, -1).view(np.float32)
    kernels.interpolate_sums(places, flat, pieces, shot, row, courses, basis, out)
    expected = np.ones((n_outputs, n_points), np.complex128)
    for i in range(n_points):
        value = grid.astype(np.complex128)
        for axis in range(3):
            weights = np.ones(modes[axis])
            if modes[axis] > 1:
                weights[:] = 0.0
                first = int(np.ceil(places[i, axis] - width / 2))
                f = first + width / 2 - places[i, axis] - 0.5
                weights[first : first + width] = pieces @ f ** np.arange(3)
            value = np.tensordot(weights, value, (0, 0))
        expected[:, i] += (value * courses[shot[i]] * basis[row[i]]).sum(axis=1)
    # 125 float32 products a sum.
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
