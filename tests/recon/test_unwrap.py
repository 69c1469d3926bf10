"""Unwrapping in space: exact turns on fields known in closed form, and no seed or order."""

import numpy as np
import pytest

from ultrahand.errors import RecordError
from ultrahand.recon.unwrap import unwrap, wrap

SHAPES = [(24,), (17, 24), (9, 10, 13), (1, 8, 9), (1, 1, 1), (6, 1, 7)]


def quadratic(shape, steepest):
    """A field whose steps from voxel to voxel are at most `steepest` radians along each axis."""
    u = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    spans = np.array(shape).reshape(-1, *(1,) * len(shape))
    return (u**2 * steepest * (spans - 1) / 4).sum(axis=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_smooth_field_comes_back_but_for_whole_turns_of_all(shape, rng):
    truth = quadratic(shape, 2.5)
    found, region = unwrap(wrap(truth), rng.uniform(0.5, 2, shape))
    turns = (found - truth) / (2 * np.pi)
    # Adding whole turns to numbers below 100: a few units of rounding of 1e-14.
    np.testing.assert_allclose(turns, np.rint(turns.flat[0]), atol=1e-12)
    assert (region == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_wrapped_result_is_the_input_whatever_it_is(shape, rng):
    phase = rng.uniform(-np.pi, np.pi, shape)
    found, _ = unwrap(phase, rng.uniform(0, 1, shape))
    np.testing.assert_allclose(wrap(found - phase), 0, atol=1e-12)


def test_regions_that_do_not_touch_are_told_apart_and_lie_around_zero():
    truth = quadratic((20, 21), 2.0) + 40
    mask = np.zeros((20, 21), bool)
    mask[2:9, 2:19] = mask[11:18, 3:17] = mask[9, 20] = True
    found, region = unwrap(truth, np.ones((20, 21)), mask)
    assert np.isnan(found[~mask]).all()
    assert (region[~mask] == -1).all()
    assert (region[2:9, 2:19] == 0).all()
    assert (region[9, 20], region[12, 5]) == (1, 2)  # in the order of their first voxels
    for number in range(3):
        inside = found[region == number]
        turns = (inside - truth[region == number]) / (2 * np.pi)
        np.testing.assert_allclose(turns, np.rint(turns[0]), atol=1e-12)
        assert abs(inside.mean()) <= np.pi


def test_noise_without_signal_does_not_lead_the_way(rng):
    """A band of noise between two halves: the narrow bridge of signal decides, not the noise."""
    shape = (40, 41)
    truth = quadratic(shape, 1.5)
    magnitude = np.ones(shape)
    magnitude[18:22, :38] = 0.01
    noise = rng.standard_normal(shape) * 0.05 / magnitude
    found, _ = unwrap(wrap(truth + noise), magnitude)
    good = magnitude == 1
    turns = np.rint((found - truth) / (2 * np.pi))[good]
    assert (turns == turns[0]).all()


def test_a_cut_is_walked_round():
    """Half a turn and more between neighbours: true along the cut alone, so the way is round it."""
    y, x = np.meshgrid(np.arange(30.0), np.arange(31.0), indexing="ij")
    truth = np.where((y >= 15) & (x < 25), 0.3, 0.0) * (25 - x)  # a cliff up to 7.5 rad high
    # Where the cliff is 2 pi high its edges look perfect: only less signal can tell.
    magnitude = np.ones_like(truth)
    magnitude[14:16, :25] = 0.2
    found, _ = unwrap(wrap(truth), magnitude)
    turns = np.rint((found - truth) / (2 * np.pi))
    assert (turns == turns[0, 0]).all()


def test_the_number_of_threads_and_the_run_do_not_matter(rng):
    from ultrahand import kernels

    phase, magnitude = rng.uniform(-3, 3, (12, 13, 14)), rng.uniform(0, 1, (12, 13, 14)).round(1)
    with kernels.threads(1):
        one = unwrap(phase, magnitude)
    with kernels.threads(2):
        two = unwrap(phase, magnitude)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_zero_magnitude_and_empty_masks_are_no_trouble():
    found, region = unwrap(np.full((3, 4), 9.0), np.zeros((3, 4)))
    np.testing.assert_allclose(found, 9.0 - 2 * np.pi)
    assert (region == 0).all()
    found, region = unwrap(np.ones((3, 4)), np.ones((3, 4)), np.zeros((3, 4), bool))
    assert np.isnan(found).all()
    assert (region == -1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"magnitude": np.ones((4, 3))}, "must agree"),
        ({"mask": np.ones(3, bool)}, "must agree"),
        ({"phase_rad": np.full((3, 4), np.nan)}, "finite inside"),
        ({"magnitude": -np.ones((3, 4))}, "negative"),
    ],
)
def test_contradictions_are_refused(change, message):
    good = {"phase_rad": np.zeros((3, 4)), "magnitude": np.ones((3, 4))}
    with pytest.raises(RecordError, match=message):
        unwrap(**{**good, **change})


def test_phases_outside_the_mask_may_be_anything():
    phase, mask = np.full((2, 3), np.nan), np.zeros((2, 3), bool)
    phase[0], mask[0] = 1.0, True
    found, _ = unwrap(phase, np.ones((2, 3)), mask)
    np.testing.assert_array_equal(found[0], 1.0)
