import numpy as np
import pytest

from ultrahand.physics.relaxation import remaining, sodium_decay
from ultrahand.physics.steady_state import (
    ernst_angle_rad,
    spoiled_gradient_echo,
    transmit_sensitivity,
)
from ultrahand.physics.tissues import tissue

RIGHT = np.pi / 2.0


def pulsed(flip_rad, tr_s, t1_s, pulses):
    """Magnetisation after each of many pulses, spoiled between them: no steady state assumed."""
    z, signals = 1.0, []
    for _ in range(pulses):
        signals.append(z * np.sin(flip_rad))
        z = 1.0 + (z * np.cos(flip_rad) - 1.0) * np.exp(-tr_s / t1_s)
    return np.array(signals)


@pytest.mark.parametrize("degrees", [3.0, 15.0, 40.0, 90.0, 140.0])
@pytest.mark.parametrize(("tr_s", "t1_s"), [(0.004, 2.29), (0.06, 0.02), (0.02, 0.5)])
def test_many_pulses_lead_to_the_formula(degrees, tr_s, t1_s):
    flip = np.deg2rad(degrees)
    # What is left of the start shrinks by cos(a) E each pulse.
    left = np.log(1e-14) / np.log(abs(np.cos(flip)) * np.exp(-tr_s / t1_s) + 1e-300)
    last = pulsed(flip, tr_s, t1_s, int(left) + 2)[-1]
    assert spoiled_gradient_echo(flip, tr_s, t1_s) == pytest.approx(last, rel=1e-11)
    # The transmit factor scales the angle.
    scaled = spoiled_gradient_echo(flip / 0.8, tr_s, t1_s, transmit=0.8)
    assert scaled == pytest.approx(last, rel=1e-11)


def test_signal_is_most_at_the_ernst_angle():
    tr_s, t1_s = 0.02, np.array([0.02, 0.3, 1.5])
    best = ernst_angle_rad(tr_s, t1_s)
    top = spoiled_gradient_echo(best, tr_s, t1_s)
    # The known height of the maximum, tan(a / 2).
    np.testing.assert_allclose(top, np.tan(best / 2.0), rtol=1e-12)
    for off in (0.95, 1.05):
        assert (spoiled_gradient_echo(best * off, tr_s, t1_s) < top).all()
    np.testing.assert_allclose(transmit_sensitivity(best, tr_s, t1_s), 0.0, atol=1e-12)


def test_limits():
    flip = np.deg2rad([10.0, 60.0, 90.0])
    # Long TR: nothing is saturated. Short TR at 90 degrees: TR / T1 to first order.
    np.testing.assert_allclose(spoiled_gradient_echo(flip, 50.0, 1.0), np.sin(flip), rtol=1e-15)
    assert spoiled_gradient_echo(RIGHT, 1e-6, 1.0) == pytest.approx(1e-6, rel=1e-6)
    assert spoiled_gradient_echo(0.0, 0.01, 1.0) == 0.0


def test_arguments_broadcast():
    signal = spoiled_gradient_echo(
        np.full((3, 1, 1), 0.3), np.full(4, 0.01), 1.0, transmit=np.ones((2, 1))
    )
    assert signal.shape == (3, 2, 4)


def test_sensitivity_is_the_slope_of_the_signal():
    flip, tr_s, t1_s, b, h = np.deg2rad([20.0, 60.0, 110.0]), 0.06, 0.02, 1.1, 1e-5
    up, down = (
        np.log(spoiled_gradient_echo(flip, tr_s, t1_s, transmit=b * f)) for f in (1 + h, 1 - h)
    )
    slope = (up - down) / (2.0 * h)
    # Differences err by h^2 f'''/6 and by eps/h, about 1e-10 of values near 1.
    found = transmit_sensitivity(flip, tr_s, t1_s, transmit=b)
    np.testing.assert_allclose(found, slope, atol=1e-9)


@pytest.mark.parametrize(
    ("degrees", "printed"), [(30, 0.89), (45, 0.76), (60, 0.56), (77, 0.24), (90, -0.08)]
)
def test_sodium_signal_depends_on_the_transmit_field_as_known(degrees, printed):
    """Worked by hand for TR 60 ms and T1 20 ms, two decimals."""
    found = transmit_sensitivity(np.deg2rad(degrees), 0.06, 0.02)
    assert found == pytest.approx(printed, abs=0.0051)


@pytest.mark.parametrize(
    ("tr_s", "te_s", "short_s", "long_s", "t1_s", "printed"),
    [
        (0.060, 0.0002, 0.0009, 0.0130, 0.0200, 0.994),
        (0.060, 0.0005, 0.0009, 0.0130, 0.0200, 0.872),
        (0.100, 0.0005, 0.0009, 0.0130, 0.0200, 0.817),
        (0.100, 0.0020, 0.0009, 0.0130, 0.0200, 0.580),
        (0.060, 0.0002, 0.0004, 0.0126, 0.0145, 0.892),
        (0.060, 0.0005, 0.0004, 0.0126, 0.0145, 0.689),
        (0.100, 0.0020, 0.0004, 0.0126, 0.0145, 0.494),
    ],
)
def test_uncorrected_cartilage_reads_low_against_agar(tr_s, te_s, short_s, long_s, t1_s, printed):
    """Signal per concentration over that of agar (4 and 19 ms, T1 30 ms), 90 degrees."""
    own = {
        "sodium.t2star_short_s": short_s,
        "sodium.t2star_long_s": long_s,
        "sodium.t1_s": t1_s,
    }
    per_concentration = [
        spoiled_gradient_echo(RIGHT, tr_s, item.sodium.t1_s)
        * remaining(sodium_decay(item.sodium), te_s)
        for item in (tissue("cartilage", own), tissue("agar"))
    ]
    ratio = per_concentration[0] / per_concentration[1]
    assert ratio == pytest.approx(printed, abs=5.1e-4)
