"""Which frames are before enhancement, which panels show what came after."""

import numpy as np
import pytest

from ultrahand.report.enhancement import (
    Differences,
    Early,
    early_frames,
    panel_groups,
    short_frames,
)

FLAT, RISEN = (10.0,) * 5, (20.0,) * 15


@pytest.mark.parametrize(
    ("means", "short", "expected"),
    [
        ((*FLAT, *RISEN), (), (0, 1, 2, 3, 4)),  # up to the steepest rise
        ((10.0, *RISEN), (), (0, 1)),  # at least two
        ((10.0,) * 15 + (20.0,) * 5, (), (0, 1, 2, 3, 4)),  # at most a quarter
        ((10.0, 20.0, 30.0, 40.0), (), (0, 1)),
        ((*FLAT, *RISEN), (1,), (0, 2, 3, 4)),  # a short one is none of them
        ((np.nan,) * 8, (), (0, 1)),
    ],
)
def test_early_frames_follow_the_rule(means, short, expected):
    assert early_frames(means, short) == Early(frames=expected, short=short)


def test_fewer_than_four_whole_frames_have_no_differences():
    assert early_frames((1.0, 2.0, 3.0)) is None
    assert early_frames((1.0, 2.0, 3.0, 4.0), (3,)) is None


def test_a_frame_below_four_fifths_of_the_median_is_short():
    assert short_frames((5.0, 5.0, 4.1, 5.0, 3.9)) == (4,)
    assert short_frames(()) == ()


@pytest.mark.parametrize("n", [4, 5, 8, 9, 10, 17, 50, 200])
def test_panels_hold_every_whole_frame_after_the_early_ones_once(n):
    early = Early(frames=(0, 1), short=(n - 1,))
    first, *later = panel_groups(n, early, 8)
    assert set(first) <= set(early.frames)
    assert first[-1] == 1
    assert [i for group in later for i in group] == list(range(2, n - 1))
    sizes = [len(group) for group in later]
    assert len(later) == min(7, n - 3)
    assert sizes[0] == min(sizes)


def test_differences_are_against_the_mean_and_keep_gaps():
    series = np.array([1.0, 3.0, 7.0, np.nan], np.float32).reshape(4, 1, 1, 1)
    found = np.ravel(list(Differences(series, Early(frames=(0, 1)))))
    np.testing.assert_array_equal(found, [-1, 1, 5, np.nan])
