"""Where left, chest and head of a patient point in the magnet, for all eight positions."""

import numpy as np
import pytest

from ultrahand.errors import InputError, RecordError
from ultrahand.recon.device_axes import LPS_TO_DEVICE, logical_to_device

# What lies up (device +y) is what the name of the position says; the head tells the sign of z.
UP = {"S": (0, -1, 0), "P": (0, 1, 0), "DR": (1, 0, 0), "DL": (-1, 0, 0)}


@pytest.mark.parametrize("name", [a + b for a in ("HF", "FF") for b in UP])
def test_positions_mean_what_their_names_say(name):
    turn = LPS_TO_DEVICE[name]
    np.testing.assert_array_equal(turn @ UP[name[2:]], [0, 1, 0])
    np.testing.assert_array_equal(turn @ [0, 0, 1], [0, 0, -1 if name[:2] == "HF" else 1])
    np.testing.assert_allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)


def test_head_first_supine_is_the_published_one():
    np.testing.assert_array_equal(LPS_TO_DEVICE["HFS"], np.diag([1, -1, -1]))
    assert len(LPS_TO_DEVICE) == 8


def test_logical_gradients_are_turned_by_both_frames():
    # Coronal, read to the feet, as on the back of a hand held overhead; frame of either hand.
    read, phase, through = np.array([0, 0, -1.0]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    turn = logical_to_device("HFP", read, phase, through)
    np.testing.assert_array_equal(turn @ [1, 0, 0], [0, 0, 1])
    np.testing.assert_array_equal(turn @ [0, 1, 0], [-1, 0, 0])
    np.testing.assert_array_equal(turn @ [0, 0, 1], [0, 1, 0])
    other = logical_to_device("HFP", read, phase, -through)
    assert np.linalg.det(other) == pytest.approx(-np.linalg.det(turn))


def test_unknown_positions_and_skewed_frames_are_refused():
    x, y, z = np.eye(3)
    for position in (None, "HFX", "hfs"):
        with pytest.raises(InputError, match=r"patientPosition.*HFS, HFP, HFDR"):
            logical_to_device(position, x, y, z)
    with pytest.raises(RecordError, match="orthonormal"):
        logical_to_device("HFS", x, y, x)
