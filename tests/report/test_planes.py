"""Pictures hang as radiologists hang them, whatever the order of the voxels."""

import itertools

import numpy as np
import pytest
from matplotlib.image import imread

from ultrahand.records import Geometry
from ultrahand.report.planes import draw_planes

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


def test_what_was_not_measured_is_black(tmp_path):
    values = np.ones(SHAPE, np.float32)
    values[:3] = np.nan
    assert np.isfinite(drawn(tmp_path, values, geometry())).all()


def test_unknown_geometry_is_said_and_long_titles_are_not_cut(tmp_path):
    flat = (1, 30, 40)
    short = drawn(tmp_path, np.ones(flat, np.float32), geometry(known=False, shape=flat))
    long = drawn(tmp_path, np.ones(flat, np.float32), geometry(shape=flat), title="hand " * 40)
    for picture in (short, long):
        assert picture[:, [0, -1]].min() == 1.0, "no letter reaches the edge"
        assert picture[:60].min() < 0.5
