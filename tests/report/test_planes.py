"""Pictures hang as radiologists hang them, whatever the order of the voxels."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from ultrahand.records import Geometry
from ultrahand.report.drawing import oriented
from ultrahand.report.planes import draw_planes, planes_of

SHAPE = (20, 30, 40)


def geometry(signs=(1, 1, 1), *, known=True, shape=SHAPE):
    read, phase, slice_ = (np.eye(3)[i] * sign for i, sign in enumerate(signs))
    return Geometry(
        shape=shape,
        voxel_size_m=(1e-3, 1e-3, 2e-3),
        position_mm=np.zeros(3),
        read_dir=read,
        phase_dir=phase,
        slice_dir=slice_,
        known=known,
    )


def longest_run(row):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def drawn(folder, values, frame, title="hand: 1H, fft"):
    path = folder / "picture.png"
    draw_planes(path, values, frame, unit="SNR", title=title)
    return imread(path)[..., :3].mean(axis=2)


@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_right_is_left_front_and_head_are_up(tmp_path, signs):
    """A cube at the patient's right, front and head; tissue is too dim to move the planes."""
    values = np.full(SHAPE, 0.15, np.float32)
    # LPS: right and front are low along read and phase, the head is high along slice.
    low = [sign > 0 for sign in signs]
    x = slice(2, 10) if low[0] else slice(-10, -2)
    y = slice(2, 8) if low[1] else slice(-8, -2)
    z = slice(-6, -2) if low[2] else slice(2, 6)
    values[z, y, x] = 1.0
    picture = drawn(tmp_path, values, geometry(signs))
    third = picture.shape[1] // 3
    for panel in (0, 1):  # read x phase, read x slice
        part = picture[:, panel * third : (panel + 1) * third]
        tissue = np.abs(part - 0.15) < 0.02
        # Letters hold a few grey pixels a line, tissue many.
        rows, columns = (np.flatnonzero(tissue.sum(axis=axis) > 40) for axis in (1, 0))
        inside = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        bright = np.argwhere(inside > 0.99)
        middle = bright.mean(axis=0) / inside.shape
        assert middle[0] < 0.5, "front or head is up"
        assert middle[1] < 0.5, "the patient's right is on the left"


def test_what_was_not_measured_is_hatched_not_black(tmp_path):
    """Hatching is grey lines on white, in the share of the picture that the gap has."""
    values = np.full(SHAPE, 0.15, np.float32)
    whole = drawn(tmp_path, values, geometry())
    values[:10] = np.nan  # half of two of the three planes; 0.15 is then the top: white
    values[12, 12, 12] = 1.0
    gaps = drawn(tmp_path, values, geometry())
    planes = slice(None), slice(whole.shape[1] // 3, None)  # those that the gap cuts

    def hatching(picture):
        return float(((picture[planes] > 0.55) & (picture[planes] < 0.97)).mean())

    assert hatching(whole) < 0.06
    assert 0.1 < hatching(gaps) < 0.3
    assert float((gaps[planes] < 0.02).mean()) < 0.05, "no black ground"


@pytest.mark.parametrize(("voxels", "expected_mm"), [(40, 10), (90, 20), (160, 50)])
def test_the_scale_bar_is_as_long_as_it_says(tmp_path, voxels, expected_mm):
    frame = geometry(shape=(1, 30, voxels))
    path = tmp_path / "picture.png"
    draw_planes(path, np.zeros(frame.shape, np.float32), frame, unit="SNR", title="hand")
    picture = imread(path)[..., :3]
    blue = np.abs(picture - np.array([0x56, 0xB4, 0xE9]) / 255).max(axis=2) < 0.06
    bar = max(map(longest_run, blue))  # letters have no row as long
    runs = np.array([longest_run(row) for row in picture.max(axis=2) < 0.02])
    ground = np.median(runs[runs > 200]) - 2  # black voxels between the two lines of the frame
    # Both ends of both may be a pixel off.
    assert bar / ground * voxels == pytest.approx(expected_mm, abs=2.5 * voxels / ground)


def test_unknown_geometry_is_said_and_long_titles_are_not_cut(tmp_path):
    flat = (1, 30, 40)
    short = drawn(tmp_path, np.ones(flat, np.float32), geometry(known=False, shape=flat))
    long = drawn(tmp_path, np.ones(flat, np.float32), geometry(shape=flat), title="hand " * 40)
    for picture in (short, long):
        assert picture[:, [0, -1]].min() == 1.0, "no letter reaches the edge"
        assert picture[:60].min() < 0.5


# Read, phase and slice along the patient: of a raised hand, and of a scan across it.
RAISED = {"read_dir": (0, 0, 1), "phase_dir": (1, 0, 0), "slice_dir": (0, 1, 0)}
ACROSS = {"read_dir": (0, 1, 0), "phase_dir": (1, 0, 0), "slice_dir": (0, 0, 1)}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("directions", "planes"),
    [
        (RAISED, {(2, 1): (1, 2), (2, 0): (0, 2), (1, 0): (1, 0)}),
        (ACROSS, {(2, 1): (1, 2), (2, 0): (2, 0), (1, 0): (1, 0)}),
    ],
)
def test_the_long_axis_is_upright_and_right_to_left_lies_across(directions, planes, known):
    turned = {name: np.array(vector, float) for name, vector in directions.items()}
    frame = replace(geometry(known=known), **turned)
    for given, expected in planes.items():
        assert oriented(frame, *given) == (expected if known else given)


@pytest.mark.parametrize(
    ("shape", "cuts"),
    [(SHAPE, [0, 1, 2]), ((1, 30, 40), [0]), ((20, 30, 1), [2]), ((1, 1, 9), [0])],
)
def test_a_single_slice_has_one_plane_and_a_volume_three(shape, cuts):
    assert [axis for _, _, axis in planes_of(shape)] == cuts


def test_planes_share_one_scale(tmp_path):
    """A cube is as large in the plane of a long volume as in that of a short one."""
    frame = replace(
        geometry(shape=(24, 40, 120)),
        voxel_size_m=(1e-3, 1e-3, 1e-3),
        **{name: np.array(vector, float) for name, vector in RAISED.items()},
    )
    values = np.full(frame.shape, 0.2, np.float32)
    values[7:17, 15:25, 55:65] = 1.0
    picture = drawn(tmp_path, values, frame)
    bright = picture > 0.99
    dim = np.abs(picture - 0.2) < 0.02
    columns = np.flatnonzero(dim.sum(axis=0) > 40)
    panels = np.split(columns, np.flatnonzero(np.diff(columns) > 20) + 1)
    sizes = []
    for panel in panels:
        part = slice(panel[0], panel[-1] + 1)
        rows = np.flatnonzero(dim[:, part].sum(axis=1) > 20)
        inside = bright[rows[0] : rows[-1] + 1, part]
        sizes.append(max(map(longest_run, inside)))
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) <= 2
    assert min(sizes) > 20
