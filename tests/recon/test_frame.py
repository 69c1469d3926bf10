import numpy as np
import pytest

from ultrahand.errors import InputError
from ultrahand.recon.frame import Plane, plane_of, stack_of
from ultrahand.records import READOUT_DTYPE

ROTATED = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]


def table(n=3, axes=ROTATED, position=(1.0, 2.0, 3.0)):
    readouts = np.zeros(n, READOUT_DTYPE)
    readouts["position_mm"] = position
    for name, axis in zip(("read_dir", "phase_dir", "slice_dir"), axes, strict=True):
        readouts[name] = axis
    return readouts


def test_vectors_are_taken_as_they_are_also_left_handed():
    for axes in (ROTATED, ROTATED * [[1], [1], [-1]]):
        plane = plane_of(table(axes=axes), np.arange(3))
        np.testing.assert_allclose(plane.directions, axes, atol=1e-6)
        assert plane.known


def test_zero_vectors_are_unknown_geometry():
    plane = plane_of(table(axes=np.zeros((3, 3))), np.arange(3))
    assert not plane.known
    np.testing.assert_array_equal(plane.directions, np.eye(3))
    np.testing.assert_array_equal(plane.position_mm, np.zeros(3))


def damaged(name, value):
    readouts = table()
    readouts[name][1] = value
    return readouts


@pytest.mark.parametrize(
    "readouts",
    [
        table(axes=2 * ROTATED),
        table(axes=ROTATED[[0, 0, 2]]),
        damaged("read_dir", 0),
        damaged("read_dir", -ROTATED[0]),
        damaged("position_mm", (9, 9, 9)),
    ],
    ids=["too long", "parallel", "zero in one readout", "turned in one readout", "moved"],
)
def test_contradicting_vectors_are_refused(readouts):
    with pytest.raises(InputError, match="readout"):
        plane_of(readouts, np.arange(3))


def planes(*along_mm):
    return [Plane(z * ROTATED[2] + [5.0, 0, 0], ROTATED, known=True) for z in along_mm]


def test_slices_are_sorted_along_slice_dir():
    stack, _ = stack_of(planes(4.0, -2.0, 1.0), 3e-3)
    assert stack.order == (1, 2, 0)
    assert stack.spacing_m == pytest.approx(3e-3)
    np.testing.assert_allclose(stack.position_mm, planes(1.0)[0].position_mm)


def test_position_of_an_even_stack_is_that_of_slice_half():
    stack, _ = stack_of(planes(0.0, 3.0, 6.0, 9.0), 3e-3)
    np.testing.assert_allclose(stack.position_mm, planes(6.0)[0].position_mm)


def test_unequal_spacing_is_no_stack():
    assert stack_of(planes(0.0, 3.0, 7.0), 3e-3)[0] is None


def test_slices_that_are_shifted_sideways_are_no_stack():
    shifted = planes(0.0, 3.0, 6.0)
    shifted[1] = Plane(shifted[1].position_mm + 5 * ROTATED[0], ROTATED, known=True)
    assert stack_of(shifted, 3e-3)[0] is None


def test_slices_at_one_position_are_laid_side_by_side_about_it():
    stack, findings = stack_of(planes(2.0, 2.0, 2.0, 2.0), 3e-3)
    assert stack.order == (0, 1, 2, 3)
    assert findings
    # The middle of four slices lies between the second and third: slice 2 is half a slice up.
    np.testing.assert_allclose(stack.position_mm, planes(2.0 + 1.5)[0].position_mm)
