import numpy as np
import pytest
from scipy.integrate import quad
from scipy.signal import lfilter

from ultrahand.errors import UsageError
from ultrahand.physics.arterial_input import arm_input, exponential_response, population_input
from ultrahand.physics.tissue_uptake import tofts_uptake

# Areas of the two peaks, and of the tail: integral of exp(-b t) / (1 + exp(-s (t - tau))) over all
# times = exp(-b tau) (pi / s) / sin(pi b / s). In mmol/L s.
AREA = 60.0 * (
    0.809
    + 0.330
    + 1.050 * np.exp(-0.1685 * 0.483) * (np.pi / 38.078) / np.sin(np.pi * 0.1685 / 38.078)
)

# The values that two public implementations of the paper print, t = 0, 1.5, ... 19.5 s.
PRINTED = """0.08038467 0.23977987 0.63896354 1.45093969 2.75255937 4.32881325 5.6309778 6.06793854
5.45203828 4.1540079 2.79568217 1.81335784 1.29063036 1.08751679"""


def convolved(t_s, rate_per_s):
    """The response by adaptive quadrature over the past."""
    kinks = sorted(x for x in t_s - np.array([-5.0, 5.0, 10.2, 15.0, 21.9, 29.0, 35.0]) if x > 0)
    return quad(
        lambda u: population_input(t_s - u) * np.exp(-rate_per_s * u),
        0.0,
        max(t_s + 60.0, 1.0),
        points=kinks or None,
        limit=2000,
        epsabs=1e-12,
        epsrel=1e-12,
    )[0]


def trapezium(t_s, curve, rate_per_s):
    """The response of a sampled curve by the trapezium rule, from 0 at its start."""
    step = t_s[1] - t_s[0]
    left = np.exp(-rate_per_s * step)
    return lfilter([step / 2.0, left * step / 2.0], [1.0, -left], curve)


def test_population_curve_is_the_printed_one():
    # The printed digits differ from the formula by up to 2.5e-7, by rounding in their making. One
    # more in the last digit of a peak's constants or of tau moves some value by 8e-5 or more; the
    # rest of the tail's constants are held by the next test.
    t = np.arange(0.0, 20.0, 1.5)
    np.testing.assert_allclose(population_input(t), np.array(PRINTED.split(), float), rtol=3e-7)


def test_population_curve_is_small_before_and_finite_everywhere():
    assert 0.0 < population_input(-8.0) < 1e-3
    with np.errstate(all="raise", under="ignore"):
        far = population_input(np.array([-1e5, -600.0, 3600.0, 1e6]))
    assert far[0] == 0.0
    # The tail alone is left after an hour.
    assert far[2] == pytest.approx(1.050 * np.exp(-0.1685 * 60.0), rel=1e-12)


@pytest.mark.parametrize(
    "rate_per_s",
    # Slow, equal to the tail's own rate, near it, and faster than the step (38 per min = 0.635 /s),
    # where the sum's denominators pass through zero.
    [0.0, 1e-4, 0.1685 / 60.0, 0.00281, 0.1, (38.078 + 0.1685) / 60.0, 0.6375, 1.27, 5.0],
)
@pytest.mark.parametrize("t_s", [-5.0, 0.0, 10.0, 28.98, 29.1, 40.0, 300.0])
def test_response_is_the_convolution(t_s, rate_per_s):
    found = float(exponential_response(t_s, rate_per_s))
    assert found == pytest.approx(convolved(t_s, rate_per_s), rel=1e-9, abs=1e-11)


def test_response_stays_finite_at_extremes():
    rates = np.array([0.0, 1e-6, 1.0, 1e3, 1e6])[:, None]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = exponential_response(np.array([-1e4, 0.0, 30.0, 1e5]), rates)
    assert np.isfinite(found).all()
    # A fast exponential is a narrow one: its area times the curve.
    assert found[4, 2] * 1e6 == pytest.approx(population_input(30.0), rel=1e-5)
    # No rate: the whole area, once the tail is gone.
    assert found[0, 3] == pytest.approx(AREA, rel=1e-12)


@pytest.mark.parametrize("dispersion_s", [0.0, 0.5, 4.0, 20.0])
def test_the_arm_keeps_the_area_and_moves_the_centre(dispersion_s):
    # The curve is smooth over seconds (peak 3.4 s, step 1.6 s): at 0.1 s the trapezium rule is
    # exact to rounding. After two hours exp(-0.1685 * 120) = 2e-9 of the tail is left.
    t = np.arange(-60.0, 7200.0, 0.1)
    there, here = (arm_input(t, **k) for k in ({}, {"delay_s": 6.0, "dispersion_s": dispersion_s}))
    assert np.trapezoid(here, t) == pytest.approx(AREA, rel=1e-8)
    centres = [np.trapezoid(c * t, t) / np.trapezoid(c, t) for c in (there, here)]
    assert centres[1] - centres[0] == pytest.approx(6.0 + dispersion_s, rel=1e-5)
    assert (here >= 0.0).all()
    # Mixing lowers the peak: by (d / sigma)^2 / 2, 1 % at 0.5 s, and more for longer d.
    assert dispersion_s == 0.0 or here.max() < 0.995 * there.max()


def test_delay_is_a_shift_and_no_dispersion_is_the_population_curve():
    t = np.linspace(-10.0, 100.0, 50)
    np.testing.assert_array_equal(arm_input(t, delay_s=7.0), population_input(t - 7.0))
    mixed = arm_input(t[:, None], delay_s=[0.0, 3.0], dispersion_s=[0.0, 2.0])
    assert mixed.shape == (50, 2)
    np.testing.assert_array_equal(mixed[:, 0], population_input(t))
    with pytest.raises(UsageError, match="dispersion_s"):
        arm_input(t, dispersion_s=-1.0)


@pytest.mark.parametrize(
    ("ktrans_per_s", "dispersion_s"),
    # kep = Ktrans / 0.2: apart from 1 / dispersion, equal to it, a hair beside it.
    [(0.002, 0.0), (0.002, 4.0), (0.05, 4.0), (0.05 * (1 + 1e-5), 4.0), (0.05 * 1.0019, 4.0)],
)
def test_uptake_is_the_convolution(ktrans_per_s, dispersion_s):
    t = np.arange(-200.0, 300.0, 0.005)
    way = {"delay_s": 3.0, "dispersion_s": dispersion_s}
    found = tofts_uptake(t, ktrans_per_s=ktrans_per_s, ve=0.2, hematocrit=0.42, **way)
    sampled = trapezium(t, arm_input(t, **way), ktrans_per_s / 0.2)
    expected = ktrans_per_s / 0.58 * sampled
    # Nearly equal rates are drawn apart by 1e-3: an error of the order of its square. The
    # trapezium rule errs by (kep dt)^2 / 12, 1e-7.
    assert np.abs(found - expected).max() < 2e-6 * expected.max()


def test_uptake_without_washout_is_the_integral_and_without_transfer_is_nothing():
    t = np.array([0.0, 30.0, 120.0])
    # ve = 1 and a tiny Ktrans: kep t of 1e-6 is all that is lost.
    slow = tofts_uptake(t, ktrans_per_s=1e-8, ve=1.0, hematocrit=0.0)
    np.testing.assert_allclose(slow, 1e-8 * exponential_response(t, 0.0), rtol=2e-6)
    assert (tofts_uptake(t, ktrans_per_s=0.0, ve=0.2, dispersion_s=3.0) == 0.0).all()


def test_uptake_takes_many_voxels_at_once():
    t = np.arange(0.0, 60.0, 5.0)
    ktrans, ve = np.array([0.001, 0.004])[:, None], np.array([0.1, 0.3])[:, None]
    together = tofts_uptake(t, ktrans_per_s=ktrans, ve=ve, dispersion_s=2.0)
    for i in range(2):
        alone = tofts_uptake(t, ktrans_per_s=ktrans[i, 0], ve=ve[i, 0], dispersion_s=2.0)
        np.testing.assert_array_equal(together[i], alone)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"ktrans_per_s": -0.1}, "ktrans_per_s"),
        ({"ve": 0.0}, "ve"),
        ({"ve": 1.5}, "ve"),
        ({"dispersion_s": -1.0}, "dispersion_s"),
        ({"hematocrit": 1.0}, "hematocrit"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong, name):
    with pytest.raises(UsageError, match=name):
        tofts_uptake(10.0, **{"ktrans_per_s": 0.002, "ve": 0.2, **wrong})
