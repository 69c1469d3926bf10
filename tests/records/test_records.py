"""Records refuse parts that contradict each other and cannot be written through."""

import dataclasses

import numpy as np
import pytest

from ultrahand.errors import InputError, RecordError
from ultrahand.records import (
    READOUT_DTYPE,
    EncodingSpace,
    Finding,
    Geometry,
    Header,
    Image,
    Kind,
    Noise,
    Provenance,
    QuantityMap,
    RawData,
    Trajectory,
    kinds_of,
)

AXES = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
SHAPE = (4, 5, 7)


def geometry(**changes):
    settings = {
        "shape": SHAPE,
        "voxel_size_m": (1e-3, 2e-3, 3e-3),
        "position_mm": np.array([10.0, -20.0, 30.0]),
        "read_dir": AXES[0],
        "phase_dir": AXES[1],
        "slice_dir": AXES[2],
        "known": True,
    }
    return Geometry(**(settings | changes))


def provenance():
    return Provenance(
        inputs={}, options={}, steps=(), findings=(), versions={}, threads=1, seed=None, command=""
    )


def quantity(**changes):
    settings = {
        "name": "concentration",
        "values": np.ones(SHAPE),
        "standard_error": np.full(SHAPE, 0.1),
        "unit": "mol/m3",
        "valid": np.ones(SHAPE, bool),
        "geometry": geometry(),
        "provenance": provenance(),
    }
    return QuantityMap(**(settings | changes))


def test_affine_puts_the_middle_voxel_at_the_position():
    middle = np.array([7 // 2, 5 // 2, 4 // 2, 1.0])
    np.testing.assert_allclose(geometry().lps_affine() @ middle, [10, -20, 30, 1], atol=1e-12)
    np.testing.assert_allclose(geometry().ras_affine() @ middle, [-10, 20, 30, 1], atol=1e-12)


def test_affine_steps_along_the_directions():
    affine = geometry().lps_affine()
    for column, (axis, step_mm) in enumerate(zip(AXES, (1, 2, 3), strict=True)):
        np.testing.assert_allclose(affine[:3, column], step_mm * axis, atol=1e-12)


def test_left_handed_frames_are_kept():
    affine = geometry(slice_dir=-AXES[2]).lps_affine()
    assert np.sign(np.linalg.det(affine)) == -np.sign(np.linalg.det(geometry().lps_affine()))


@pytest.mark.parametrize(
    "changes",
    [
        {"read_dir": 1.01 * AXES[0]},
        {"read_dir": AXES[1]},
        {"position_mm": np.array([np.nan, 0, 0])},
        {"voxel_size_m": (1e-3, 0.0, 1e-3)},
        {"shape": (0, 5, 7)},
        {"phase_dir": np.zeros(2)},
    ],
    ids=["length", "parallel", "nan", "no size", "empty", "wrong shape"],
)
def test_geometry_refuses(changes):
    with pytest.raises(RecordError):
        geometry(**changes)


def test_arrays_of_records_cannot_be_written_through():
    record = quantity()
    with pytest.raises(ValueError, match="read-only"):
        record.values[0] = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.unit = "1"


def test_records_leave_the_callers_arrays_writeable():
    mine = np.ones(SHAPE, np.float32)
    quantity(values=mine)
    mine[0] = 2


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": ""},
        {"name": ""},
        {"standard_error": np.full((4, 5, 6), 0.1)},
        {"standard_error": np.full(SHAPE, -0.1)},
        {"standard_error": np.full(SHAPE, np.nan)},
        {"values": np.full(SHAPE, np.inf)},
        {"valid": np.ones((4, 5, 6), bool)},
    ],
    ids=["unit", "name", "shape", "negative", "nan error", "infinite", "valid shape"],
)
def test_a_quantity_needs_unit_error_validity_and_place(changes):
    with pytest.raises(RecordError):
        quantity(**changes)


def test_what_is_not_valid_may_be_nan():
    values, valid = np.ones(SHAPE), np.ones(SHAPE, bool)
    values[1], valid[1] = np.nan, False
    assert np.isnan(quantity(values=values, valid=valid).values[1]).all()


def test_an_image_has_the_shape_of_its_geometry():
    def image(values, error=None):
        return Image(
            values=values,
            geometry=geometry(),
            unit="SNR",
            standard_error=error,
            standard_error_note="",
        )

    assert image(np.ones((3, *SHAPE))).values.shape == (3, *SHAPE)
    for values, error in [(np.ones((5, 5, 7)), None), (np.ones(SHAPE), np.ones((5, 7)))]:
        with pytest.raises(RecordError):
            image(values, error)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Noise(covariance=np.ones((2, 3)), n_samples=9, scale=1.0, origin=""),
        lambda: Noise(covariance=np.array([[1, 1j], [1j, 1]]), n_samples=9, scale=1.0, origin=""),
        lambda: Noise(covariance=np.full((2, 2), np.nan), n_samples=9, scale=1.0, origin=""),
        lambda: Trajectory(k_per_m=np.zeros((5, 4)), origin=""),
        lambda: Trajectory(k_per_m=np.full((5, 3), np.inf), origin=""),
        lambda: EncodingSpace(matrix=(0, 1, 1), fov_m=(1.0, 1.0, 1.0)),
        lambda: EncodingSpace(matrix=(1, 1, 1), fov_m=(1.0, -1.0, 1.0)),
        lambda: Header(encodings=()),
        lambda: RawData(header=None, readouts=np.zeros(3), source=None),
    ],
)
def test_records_refuse_nonsense(make):
    with pytest.raises(RecordError):
        make()


@pytest.mark.parametrize(
    ("bits", "kind"),
    [
        ((), Kind.IMAGING),
        ((19,), Kind.NOISE),
        ((20,), Kind.CALIBRATION),
        ((21,), Kind.IMAGING),
        ((20, 21), Kind.IMAGING),
        ((22,), Kind.IMAGING),
        ((23, 28), Kind.NAVIGATION),
        ((24, 22), Kind.PHASE_CORRECTION),
        ((26,), Kind.FEEDBACK),
        ((27,), Kind.DUMMY),
        ((28,), Kind.FEEDBACK),
        ((29,), Kind.SURFACE_COIL),
        ((30,), Kind.PHASE_STABILISATION),
        ((31,), Kind.PHASE_STABILISATION),
        ((7, 8, 25), Kind.IMAGING),
    ],
)
def test_flags_sort_readouts_into_kinds(bits, kind):
    flags = np.array([sum(1 << (bit - 1) for bit in bits)], np.uint64)
    assert kinds_of(flags)[0] == kind


def test_an_input_error_is_one_bounded_line():
    error = InputError("xml\nfield", found="a\nb" + "x" * 9999, expected="c", remedy="d")
    assert "\n" not in str(error)
    assert len(str(error)) < 1300
    assert Finding.of_error(error).as_dict()["level"] == "error"


def test_the_table_of_readouts_holds_what_the_standard_does():
    assert {"kspace_encode_step_1", "repetition", "user", "flags"} <= set(READOUT_DTYPE.names)
