"""Planes go through one object, never through the air between two."""

import numpy as np
import pytest

from ultrahand.records import Geometry
from ultrahand.report.cuts import signal_cut, thinnest_axis

SHAPE = (20, 40, 50)


def geometry(shape=SHAPE, *, sign=1, known=True):
    return Geometry(
        shape=shape,
        voxel_size_m=(1e-3, 1e-3, 2e-3),
        position_mm=np.zeros(3),
        read_dir=np.array([0, 0, 1.0]),
        phase_dir=np.array([1.0 * sign, 0, 0]),  # LPS: towards the left
        slice_dir=np.array([0, 1.0, 0]),
        known=known,
    )


def two(shape=SHAPE, second=1.0):
    values = np.zeros(shape, np.float32)
    values[5:15, 4:14, 10:40] = 1.0  # centre (9.5, 8.5, 24.5)
    values[6:16, 26:36, 12:42] = second  # centre (10.5, 30.5, 26.5)
    return values


@pytest.mark.parametrize(("sign", "expected"), [(1, (9.5, 8.5, 24.5)), (-1, (10.5, 30.5, 26.5))])
def test_of_two_hands_the_one_at_the_patient_s_right_is_cut(sign, expected):
    cut = signal_cut(two(), geometry(sign=sign))
    assert cut.centre == pytest.approx(expected, abs=1)
    assert (cut.n_alike, cut.towards) == (2, "R")


def test_without_directions_one_of_two_is_cut_all_the_same():
    values = two()
    cut = signal_cut(values, geometry(known=False))
    assert values[cut.centre] > 0
    assert (cut.n_alike, cut.towards) == (2, "")


@pytest.mark.parametrize("noise", [0.0, 0.15, 0.3])
def test_every_plane_holds_signal_in_noise_too(noise):
    """The first object is dimmer than the other, and noise reaches above the 20 % of the top."""
    rng = np.random.default_rng(5)
    clean = two(second=2.0)
    values = np.hypot(
        clean + noise * rng.standard_normal(SHAPE), noise * rng.standard_normal(SHAPE)
    )
    cut = signal_cut(values.astype(np.float32), geometry())
    for axis, at in enumerate(cut.centre):
        assert (np.take(clean, at, axis=axis) > 0).mean() > 0.08


def test_a_bright_vial_does_not_draw_the_planes_away_from_the_hand():
    values = np.zeros(SHAPE, np.float32)
    values[5:15, 5:25, 5:35] = 1.0  # the hand: centre (9.5, 14.5, 19.5)
    values[1:3, 36:39, 46:49] = 50.0  # 18 voxels: below 0.2 % of 40,000
    cut = signal_cut(values, geometry())
    assert cut.centre == pytest.approx((9.5, 14.5, 19.5), abs=0.6)
    assert (cut.n_alike, cut.towards) == (1, "")


def test_a_small_object_is_no_second_hand():
    values = two()
    values[:, :20] = 0
    values[8:11, 6:9, 20:32] = 1.0
    assert signal_cut(values, geometry()).n_alike == 1


def test_a_hollow_object_is_cut_through_its_wall():
    values = np.zeros((12, 60, 60), np.float32)
    values[3:9, 10:50, 10:50] = 1.0
    values[3:9, 10:40, 18:42] = 0.0  # a horseshoe: its centroid along read is in the gap
    x = signal_cut(values, geometry(values.shape)).centre[2]
    assert values[:, :, x].sum() == 6 * 40


def test_fine_voxels_are_counted_in_blocks_and_the_centre_in_voxels():
    values = np.repeat(np.repeat(two(), 5, axis=1), 5, axis=2)
    cut = signal_cut(values, geometry(values.shape))
    assert cut.centre == pytest.approx((9.5, 44.5, 124.5), abs=3)


def test_without_signal_the_middle_is_cut():
    for nothing in (0.0, np.nan):
        values = np.full(SHAPE, nothing, np.float32)
        assert signal_cut(values, geometry()).centre == (10, 20, 25)


def test_the_thinnest_axis_is_that_of_the_signal_not_of_the_field_of_view():
    values = np.zeros((30, 30, 30), np.float32)
    values[5:25, 13:16, 5:25] = 1.0
    frame = geometry(values.shape)  # 60 mm along slice, 30 along phase and read
    assert thinnest_axis(values, frame) == 1
    assert thinnest_axis(np.zeros((30, 30, 10), np.float32), geometry((30, 30, 10))) == 2
