"""Arrival times against curves of known ones, and a basis against its definition."""

from dataclasses import replace

import numpy as np
import pytest

from ultrahand.errors import InputError, RecordError, UsageError
from ultrahand.physics.arterial_input import arm_input
from ultrahand.recon.dynamic_arrival import half_rise_s
from ultrahand.recon.dynamic_basis import choose_basis, first_functions, make_basis
from ultrahand.recon.dynamic_library import Ranges, Sequence, library

SEQUENCE = Sequence(flip_rad=np.deg2rad(12.0), tr_s=4e-3, te_s=1.5e-3)
RANGES = Ranges(first_arrival_s=10.0, last_arrival_s=35.0)
TIMES = 0.15 * np.arange(400)


@pytest.fixture(scope="module")
def curves():
    """Trained and tested, the arrivals of one in the middle of the other's."""
    return (
        library(RANGES, SEQUENCE, step_s=1.0),
        library(RANGES, SEQUENCE, step_s=1.0, offset_s=0.5),
    )


def test_half_rise_of_straight_pieces():
    time_s = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 9.0])
    rise = np.array(
        [
            [1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0],  # half at 3
            [0.0, 0.6, 0.0, 0.0, 0.8, 0.2, 1.0],  # first peak 0.8, its half at 4.5; noise before
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0],  # at the very end
        ]
    )
    np.testing.assert_allclose(half_rise_s(time_s, rise), [3.0, 4.5, 7.5], atol=1e-12)
    given = half_rise_s(time_s, rise[:1] + 1.0, baseline=np.array([2.0]))
    np.testing.assert_allclose(given, [3.0], atol=1e-12)


def test_what_does_not_rise_has_no_arrival():
    flat = np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    found = half_rise_s(np.arange(3.0), flat, baseline=np.array([1.0, 2.0, -3.0]))
    assert np.isnan(found).all()  # the third is half way up at the first time already
    with pytest.raises(RecordError, match="must rise"):
        half_rise_s(np.zeros(3), flat)
    with pytest.raises(RecordError, match="must be"):
        half_rise_s(np.arange(2.0), flat)


def test_smoothing_passes_over_a_spike():
    time_s = np.arange(40.0)
    curve = np.interp(time_s, [10, 30], [0.0, 10.0])
    curve[12] += 8.5  # above 0.8 of the largest, and a local maximum
    assert half_rise_s(time_s, curve[None])[0] < 12
    assert half_rise_s(time_s, curve[None], smooth=True)[0] == pytest.approx(20.0, abs=0.1)


def test_functions_are_orthonormal_and_the_first_constant(curves, rng):
    times = rng.permutation(TIMES + rng.uniform(0, 0.1, len(TIMES)))
    basis = make_basis(times, curves[0], most=9)
    assert basis.size == 9
    np.testing.assert_allclose(basis.functions @ basis.functions.T, np.eye(9), atol=1e-9)
    np.testing.assert_allclose(basis.functions[0], 1 / 20.0, atol=1e-15)
    np.testing.assert_allclose(basis.at(times), basis.functions, atol=1e-9)
    np.testing.assert_allclose(basis.at(times[:3]), basis.functions[:, :3], atol=1e-9)


def test_the_span_is_that_of_the_principal_components(curves):
    """Least squares of the curves, scaled to 1, with a free constant, has no better K - 1."""
    basis = make_basis(TIMES, curves[0], most=6)
    scaled = curves[0].curves(TIMES)
    scaled /= scaled.max(axis=1, keepdims=True)
    centred = scaled - scaled.mean(axis=1, keepdims=True)
    sizes = np.linalg.svd(centred, compute_uv=False)
    left = scaled - scaled @ basis.functions.T @ basis.functions
    assert np.linalg.norm(left) == pytest.approx(np.linalg.norm(sizes[5:]), rel=1e-9)


def test_the_smallest_size_that_keeps_arrivals_is_chosen(curves):
    basis, errors = choose_basis(TIMES, *curves, error_s=0.5)
    assert errors.worst_s[basis.size - 1] <= 0.5
    assert min(errors.worst_s[: basis.size - 1]) > 0.5
    # Energy would stop where a vessel is late by seconds.
    enough = int(np.argmax(np.array(errors.energy) >= 0.99))
    assert errors.worst_s[enough] > 2.0
    assert basis.size >= 8
    assert errors.worst_s[0] == np.inf  # a constant holds no arrival
    assert errors.lost[0] == curves[1].n_curves
    # By definition, for one size and all curves.
    some = first_functions(basis, 6)
    tested = curves[1].curves(TIMES)
    kept = tested @ some.functions.T @ some.functions
    truth = half_rise_s(TIMES, tested)
    found = half_rise_s(TIMES, kept)
    assert errors.worst_s[5] == pytest.approx(np.abs(found - truth).max(), rel=1e-9)
    assert errors.sd_s[5] == pytest.approx(np.sqrt(((found - truth) ** 2).mean()), rel=1e-9)


def test_a_basis_of_tissue_alone_is_refused(curves):
    tissue = replace(curves[0], vessels=np.zeros((0, 2)))
    with pytest.raises(InputError, match=r"train on curves of the kinds that are tested"):
        choose_basis(TIMES, tissue, curves[1], error_s=0.3, most=8)


def test_curves_that_come_too_late_count_nothing(curves):
    """Some arrive after the last spoke: scaled up they would be rounding."""
    early = TIMES[TIMES < 20.0]
    basis, errors = choose_basis(early, *curves, error_s=0.5)
    assert np.isfinite(basis.functions).all()
    assert errors.worst_s[basis.size - 1] <= 0.5


def test_the_library_is_the_models_and_counts_all_combinations():
    found = library(RANGES, SEQUENCE, step_s=5.0)
    assert found.vessels.shape == (6 * 3, 2)
    assert found.tissues.shape == (6 * 6, 3)
    # At 90 degrees the signal is 1 - exp(-TR R1): for a TR far below T1 the input's own shape. The
    # next term of the exponential is TR R1 / 2, with R1 below 40 / s.
    straight = Sequence(flip_rad=np.pi / 2, tr_s=1e-5, te_s=0.0)
    curve = library(RANGES, straight, step_s=50.0).curves(TIMES)[1]
    exact = arm_input(TIMES, delay_s=10.0, dispersion_s=3.0)
    assert np.abs(curve / curve.max() - exact / exact.max()).max() < 40 * 1e-5 / 2
    with pytest.raises(UsageError, match="must be positive"):
        library(RANGES, SEQUENCE, step_s=0.0)
    with pytest.raises(UsageError, match="no arrival"):
        library(RANGES, SEQUENCE, step_s=1.0, offset_s=26.0)
