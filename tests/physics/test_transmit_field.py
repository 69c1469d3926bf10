import numpy as np
import pytest

from ultrahand.physics.steady_state import spoiled_gradient_echo
from ultrahand.physics.transmit_field import (
    actual_flip_angle_rad,
    actual_flip_angle_signals,
    double_angle_rad,
)


def pulsed_in_pairs(flip_rad, tr_s, t1_s, pairs):
    """Signals of the last pair of pulses, each followed by its own time of recovery."""
    z = 1.0
    for _ in range(pairs):
        pair = []
        for time_s in tr_s:
            pair.append(z * np.sin(flip_rad))
            z = 1.0 + (z * np.cos(flip_rad) - 1.0) * np.exp(-time_s / t1_s)
    return pair


@pytest.mark.parametrize("degrees", [30.0, 60.0, 100.0])
@pytest.mark.parametrize(("tr_s", "t1_s"), [((0.02, 0.1), 1.5), ((0.02, 0.1), 0.03)])
def test_many_pairs_lead_to_the_formula(degrees, tr_s, t1_s):
    flip = np.deg2rad(degrees)
    # What is left of the start shrinks by cos^2(a) E1 E2 each pair: 0.7 at most, 0.7^100 = 3e-16.
    expected = pulsed_in_pairs(flip, tr_s, t1_s, 100)
    found = actual_flip_angle_signals(flip / 1.2, tr_s, t1_s, transmit=1.2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_transmit_field_is_recovered_where_repetition_is_short():
    b = np.linspace(0.6, 1.4, 9)
    tr_s, t1_s = (0.02, 0.1), 1.5
    first, second = actual_flip_angle_signals(np.deg2rad(60.0), tr_s, t1_s, transmit=b)
    exact = actual_flip_angle_rad(second / first, tr_s, t1_s) / np.deg2rad(60.0)
    np.testing.assert_allclose(exact, b, rtol=1e-12)
    # To first order in TR/T1 (Yarnykh 2007) the error is of the order of TR1 / T1 = 1.3 %.
    simple = actual_flip_angle_rad(second / first, tr_s) / np.deg2rad(60.0)
    assert (np.abs(simple - b) < 0.013 * b).all()
    assert (np.abs(simple - b) > 1e-4 * b).all()


@pytest.mark.parametrize(
    ("tr_s", "t1_s", "printed"),
    [
        ((0.02, 0.10), 0.020, 42.3),
        ((0.02, 0.10), 0.030, 49.2),
        ((0.02, 0.10), 0.050, 54.6),
        ((0.01, 0.05), 0.020, 52.7),
        ((0.01, 0.05), 0.030, 55.8),
        ((0.01, 0.05), 0.050, 57.9),
    ],
)
def test_sodium_needs_the_relaxation_time(tr_s, t1_s, printed):
    """At a true 60 degrees the simple form reads what was worked by hand, the full form 60."""
    first, second = actual_flip_angle_signals(np.deg2rad(60.0), tr_s, t1_s)
    assert np.rad2deg(actual_flip_angle_rad(second / first, tr_s)) == pytest.approx(
        printed, abs=0.051
    )
    full = actual_flip_angle_rad(second / first, tr_s, t1_s)
    assert np.rad2deg(full) == pytest.approx(60.0, abs=1e-9)


def test_ratios_of_no_angle_give_none():
    found = actual_flip_angle_rad(np.array([0.5, 1.3, np.nan]), (0.02, 0.1))
    assert np.isfinite(found).tolist() == [True, False, False]
    assert np.isnan(double_angle_rad(np.array([1.0, 0.0]), np.array([2.1, 1.0]))).all()


def test_double_angle_is_exact_after_full_recovery():
    flip = np.deg2rad([20.0, 60.0, 85.0])
    np.testing.assert_allclose(double_angle_rad(np.sin(flip), np.sin(2 * flip)), flip, rtol=1e-12)


@pytest.mark.parametrize(
    ("t1_s", "true_deg", "printed"),
    [(0.02, 45, 47.0), (0.03, 45, 50.2), (0.05, 45, 56.2), (0.02, 60, 61.6), (0.05, 60, 68.3)],
)
def test_double_angle_reads_high_at_short_repetition(t1_s, true_deg, printed):
    """Worked by hand for TR 60 ms."""
    flip = np.deg2rad(true_deg)
    single, double = (spoiled_gradient_echo(a, 0.06, t1_s) for a in (flip, 2 * flip))
    assert np.rad2deg(double_angle_rad(single, double)) == pytest.approx(printed, abs=0.06)
