"""Orders of spokes: their constants, and how evenly they cover circle and sphere."""

import numpy as np
import pytest

from ultrahand.errors import RecordError
from ultrahand.recon.trajectories.design import about_z, towards
from ultrahand.recon.trajectories.directions import (
    ANGLES,
    DIRECTIONS,
    GOLDEN_ANGLE_RAD,
    GOLDEN_MEANS,
    angles_rad,
    directions,
    golden_angles_rad,
    golden_means,
    rings,
    spiral_phyllotaxis,
)

N_CAPS = 500
MEAN_OF_RANDOM = 1.0
"""Mean square deviation of the number of random directions in a cap, in units of its variance."""
FIVE_DEVIATIONS = 5 * np.sqrt(2 / N_CAPS)
"""Of the mean of as many squares of unit normal numbers."""


def spread(found, rng, *, half=False):
    """Mean square deviation of the numbers in random caps, in units of that of random points."""
    lines = np.concatenate([found, -found]) if half else found
    centres = rng.standard_normal((N_CAPS, 3))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    height = rng.uniform(0.2, 0.9, N_CAPS)
    share = (1 - height) / 2
    inside = (centres @ lines.T > height[:, None]).sum(axis=1)
    variance = len(found) * share * (1 - share) * (4 if half else 1)
    return np.mean((inside - len(lines) * share) ** 2 / variance)


def test_the_golden_angle():
    assert np.degrees(GOLDEN_ANGLE_RAD) == pytest.approx(111.246117975, abs=1e-9)
    turn = np.diff(golden_angles_rad(4, half=True))
    np.testing.assert_allclose(np.degrees(turn), 111.246117975, atol=1e-9)
    full = np.degrees(np.diff(golden_angles_rad(4, half=False))) % 360
    np.testing.assert_allclose(full, 360 - 137.507764050, atol=1e-8)


def test_the_golden_means_solve_their_equation():
    p = 1 + GOLDEN_MEANS[0]
    assert p**3 - p**2 == pytest.approx(1, abs=1e-14)
    assert pytest.approx(1 / p, abs=1e-15) == GOLDEN_MEANS[1]
    assert np.round(GOLDEN_MEANS, 4).tolist() == [0.4656, 0.6823]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("order", DIRECTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 997, 1000])
def test_directions_are_unit_vectors_of_their_half(order, n, half):
    found = directions(order, n, half=half)
    assert found.shape == (n, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert len(np.unique(found.round(9), axis=0)) == n
    if half:
        assert (found[:, 2] >= 0).all()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("order", DIRECTIONS)
def test_directions_cover_the_sphere_more_evenly_than_chance(order, half, rng):
    found = directions(order, 1000, half=half)
    assert spread(found, rng, half=half) < MEAN_OF_RANDOM - FIVE_DEVIATIONS
    second = found.T @ found / 1000
    # Of random directions the variance of a squared component is 4 / 45.
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=5 * np.sqrt(4 / 45 / 1000) / 10)


def test_chance_is_as_uneven_as_chance(rng):
    """The yardstick measures what it says."""
    random = rng.standard_normal((1000, 3))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    # Caps overlap, so that their numbers are not independent: a wider band than five deviations.
    assert 0.5 < spread(random, rng) < 2


@pytest.mark.parametrize("first", [0, 131, 5000])
def test_any_successive_golden_means_cover_the_sphere(first, rng):
    few = golden_means(first + 200, half=False)[first:]
    assert spread(few, rng) < MEAN_OF_RANDOM - FIVE_DEVIATIONS


@pytest.mark.parametrize("half", [False, True])
def test_rings_are_as_far_apart_as_their_directions(half):
    n = 3000
    found = rings(n, half=half)
    polar, counts = np.unique(np.arccos(found[:, 2]).round(9), return_counts=True)
    cell = np.sqrt((2 if half else 4) * np.pi / n)
    np.testing.assert_allclose(np.diff(polar), cell, rtol=0.02)
    # The running total is rounded: a ring has at most one more or less than its area asks for.
    edges = np.linspace(0, np.pi / (2 if half else 1), len(polar) + 1)
    share = -np.diff(np.cos(edges)) / (1 if half else 2)
    assert np.abs(counts - n * share).max() <= 1
    on_ring = found[np.abs(np.arccos(found[:, 2]) - polar[len(polar) // 3]) < 1e-6]
    azimuth = np.unwrap(np.arctan2(on_ring[:, 1], on_ring[:, 0]))
    np.testing.assert_allclose(np.diff(azimuth), 2 * np.pi / len(on_ring))


def test_interleaves_of_the_phyllotaxis_are_smooth_and_complete():
    n, n_interleaves = 610, 13
    whole = spiral_phyllotaxis(n, half=True)
    found = spiral_phyllotaxis(n, half=True, n_interleaves=n_interleaves)
    np.testing.assert_array_equal(np.sort(found[:, 2]), np.sort(whole[:, 2]))
    first = found[: n // n_interleaves]
    step = np.degrees(np.arccos(np.clip((first[1:] * first[:-1]).sum(axis=1), -1, 1)))
    plain = np.degrees(np.arccos((whole[1:] * whole[:-1]).sum(axis=1)))
    # 13 golden angles leave 360 (13 - 8 * 1.618) / 1.618 = 12.4 degrees of azimuth and
    # 13 / 610 of height, which is 12 degrees at most near the pole.
    assert step.max() < np.hypot(12.4, 12.0)
    assert np.median(plain) > 60


@pytest.mark.parametrize("half", [False, True])
def test_even_angles_are_even(half):
    found = angles_rad("uniform", 7, half=half)
    np.testing.assert_allclose(np.diff(found), (np.pi if half else 2 * np.pi) / 7)


def test_unknown_orders_and_no_shots_are_refused():
    with pytest.raises(RecordError, match=r"'spiral' is unknown; one of uniform, golden"):
        angles_rad("spiral", 3, half=True)
    with pytest.raises(RecordError, match="golden_means"):
        directions("uniform", 3, half=True)
    for order in ANGLES:
        with pytest.raises(RecordError, match=">= 1"):
            angles_rad(order, 0, half=True)
    with pytest.raises(RecordError, match="n_interleaves"):
        spiral_phyllotaxis(5, half=True, n_interleaves=0)


def test_frames_are_rotations_that_turn_z(rng):
    ends = rng.standard_normal((20, 3))
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    ends = np.concatenate([ends, np.eye(3), -np.eye(3)])
    for frames in (towards(ends), about_z(rng.uniform(-7, 7, 9))):
        eye = np.broadcast_to(np.eye(3), frames.shape)
        np.testing.assert_allclose(frames @ frames.swapaxes(1, 2), eye, atol=1e-15)
        np.testing.assert_allclose(np.linalg.det(frames), 1)
    np.testing.assert_allclose(towards(ends)[:, :, 2], ends, atol=1e-15)
    np.testing.assert_allclose(about_z(np.array([np.pi / 2]))[0] @ [1, 0, 0], [0, 1, 0], atol=1e-15)
