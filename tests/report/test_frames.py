"""Pictures of series: what each frame shows, where it lies in time, and what is not known."""

import io

import numpy as np
import pytest
from PIL import Image

from ultrahand.errors import RecordError
from ultrahand.records import Geometry
from ultrahand.report import frames as room
from ultrahand.report.curve import limits
from ultrahand.report.display import display_volume
from ultrahand.report.enhancement import Early
from ultrahand.report.frames import frames_png
from ultrahand.report.planes import picture_notes
from ultrahand.report.series_frames import signal_voxels

SHAPE = (3, 20, 40)


def geometry(*, known=True, shape=SHAPE):
    return Geometry(
        shape=shape,
        voxel_size_m=(1e-3, 1e-3, 1e-3),
        position_mm=np.zeros(3),
        read_dir=np.eye(3)[0],
        phase_dir=np.eye(3)[1],
        slice_dir=np.eye(3)[2],
        known=known,
    )


def drawn(values, frame=None, **options):
    frame = frame or geometry()
    data = frames_png(values, frame, unit="SNR", title="hand", **options)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


def panels(picture):
    """Return the middle grey of each panel: runs of dark columns in a row through the frames."""
    line = picture[int(0.25 * picture.shape[0])].mean(axis=1)
    inside = line < 254
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside, [0]])))
    runs = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 40]
    return [np.median(line[a + 10 : b - 10]) for a, b in runs]


def test_frames_are_in_order_and_share_one_window():
    levels = (0.2, 0.9, 0.6, 0.4)
    values = np.stack([np.full(SHAPE, level, np.float32) for level in levels])
    values[1, :, :2, :4] = 1.0  # the brightest frame alone sets the window
    shown = panels(drawn(values, at_s=(0, 5, 10, 15)))
    np.testing.assert_allclose(shown, 255 * np.array(levels), atol=2)


def test_frames_are_projected_along_the_thin_axis():
    values = np.full((2, *SHAPE), 0.2, np.float32)
    values[1, 0] = 0.8  # one slice of three is bright: its maximum is what shows
    values[0, 1] = np.nan  # a slice that was not measured hides nothing
    values[0, 2, :2, :4] = 1.0
    np.testing.assert_allclose(panels(drawn(values)), [51, 204], atol=2)


@pytest.mark.parametrize(
    ("at_s", "axis", "expected"),
    [
        ((0.0005, 0.005), "echo time", ([0.5, 5.0], "echo time / ms", " ms")),
        ((0.0, 12.5), "time", ([0.0, 12.5], "time / s", " s")),
        (None, "time", ([1.0, 2.0], "frame", "")),
    ],
)
def test_the_fourth_axis_has_its_name_and_unit(at_s, axis, expected):
    places, name, unit = room._places(2, at_s, axis)
    np.testing.assert_allclose(places, expected[0])
    assert (name, unit) == expected[1:]


def test_the_curve_is_of_what_is_bright_in_some_frame_and_measured_in_all():
    values = np.zeros((2, *SHAPE), np.float32)
    values[0, 0, 0, 0] = values[1, 0, 0, 1] = 1.0  # bright, each in one frame
    values[:, 0, 0, 2] = 0.19  # below 20 % of the maximum
    values[0, 0, 0, 3], values[1, 0, 0, 3] = 1.0, np.nan
    np.testing.assert_array_equal(np.argwhere(signal_voxels(values)), [[0, 0, 0], [0, 0, 1]])


def test_unknown_geometry_and_gaps_are_said():
    values = np.ones((2, *SHAPE), np.float32)
    assert picture_notes(values, geometry()) == ""
    assert "geometry unknown" in picture_notes(values, geometry(known=False))
    values[:, :, :5] = np.nan
    assert picture_notes(values, geometry()) == "\nhatched: not measured (25 %)"


def test_hundreds_of_frames_and_none_measured_are_drawn():
    many = np.random.default_rng(1).random((200, *SHAPE)).astype(np.float32)
    assert drawn(many, at_s=np.arange(200.0)).shape[1] > 1000
    assert drawn(np.full((3, *SHAPE), np.nan, np.float32)).size


def test_times_that_do_not_fit_are_refused():
    with pytest.raises(RecordError, match="one number a frame"):
        drawn(np.ones((2, *SHAPE), np.float32), at_s=(1.0,))
    with pytest.raises(RecordError, match="frames, z, y, x"):
        drawn(np.ones(SHAPE, np.float32))


def test_echoes_are_slices_because_a_projection_hides_loss_of_signal():
    values = np.full((2, *SHAPE), 0.8, np.float32)
    values[1, 1] = 0.2  # the middle slice has lost its signal, the outer ones have not
    values[0, 1, :2, :4] = 1.0
    shown = panels(drawn(values, at_s=(0.001, 0.01), axis="echo time"))
    np.testing.assert_allclose(shown, [204, 51], atol=2)
    projected = panels(drawn(values, at_s=(0.001, 0.01)))
    np.testing.assert_allclose(projected, [204, 204], atol=2)


def test_labels_stand_above_frames_and_one_is_needed_for_each():
    values = np.ones((2, *SHAPE), np.float32)
    bare, named = (drawn(values, labels=labels) for labels in (None, ("set 1: 3", "set 2: 18")))
    assert not np.array_equal(bare, named)
    with pytest.raises(RecordError, match="one text a frame"):
        drawn(values, labels=("one",))


@pytest.mark.parametrize(
    ("means", "from_zero", "expected"),
    [
        ((2.0, 4.0), True, (0.0, 4.2)),
        ((-1.0, 4.0), True, (-1.0, 4.2)),
        ((50.0, 50.5), False, (45.2, 55.3)),  # noise of 1 % stays flat
        ((50.0, 150.0), False, (45.0, 155.0)),  # enhancement fills the height
        ((0.0, 0.0), False, (-1.0, 1.0)),
        ((0.0, 0.0), True, (0.0, 1.0)),
    ],
)
def test_a_curve_in_time_shows_enhancement_and_no_noise(means, from_zero, expected):
    assert limits(np.array(means), from_zero=from_zero) == pytest.approx(expected, abs=1e-9)


def enhancing(n=8):
    """Tissue of 100 that gains a tenth from the third frame on, in one slice; a corner gains 20."""
    values = np.full((n, *SHAPE), 100.0, np.float32)
    values[2:, 1] += 10.0
    values[2:, 1, -4:, -8:] += 10.0
    return values


def test_a_gain_of_a_tenth_is_seen_in_a_window_of_its_own():
    values = enhancing()
    plain = panels(drawn(values, at_s=np.arange(8.0)))
    assert np.ptp(plain) < 0.1 * 255, "as they are, all frames look alike"
    gained = panels(drawn(values, at_s=np.arange(8.0), early=Early(frames=(0, 1))))
    np.testing.assert_allclose(gained, [0, *[255 / 2] * 3], atol=2)  # the first of two rows


def test_differences_know_no_voxel_that_was_not_measured():
    values = enhancing()
    values[0, :, :5] = np.nan  # in an early frame: no difference in any
    assert drawn(values, early=Early(frames=(0, 1))).size
    assert drawn(np.full((5, *SHAPE), np.nan, np.float32), early=Early(frames=(0, 1))).size


def test_a_short_frame_is_in_no_panel_and_an_open_circle():
    values = enhancing()
    values[7] = 1000.0
    shown, left_out = (
        drawn(values, at_s=np.arange(8.0), early=Early(frames=(0, 1), short=short))
        for short in ((), (7,))
    )
    # Without it seven panels stand in two rows; with it their window is that of a thousand.
    assert not np.array_equal(shown, left_out)
    np.testing.assert_allclose(panels(left_out)[1:], 255 / 2, atol=2)
    assert max(panels(shown)) < 10


def test_a_series_that_is_read_frame_by_frame_is_drawn_as_an_array_is():
    values = np.random.default_rng(3).random((5, *SHAPE)).astype(np.float32)

    class OneAtATime:
        shape = values.shape

        def __len__(self):
            return len(values)

        def __getitem__(self, frame):
            return values[frame].copy()

        def __iter__(self):
            return (self[i] for i in range(len(self)))

    np.testing.assert_array_equal(drawn(values), drawn(OneAtATime()))
    np.testing.assert_array_equal(signal_voxels(values), signal_voxels(OneAtATime()))
    volumes = [
        display_volume(v, geometry(), name="a", unit="b", limit_bytes=9000, frame_names="abcde")
        for v in (values, OneAtATime())
    ]
    assert volumes[0] == volumes[1]
