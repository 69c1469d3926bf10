"""The line through the echoes of a voxel, its error, and the phase of bipolar readouts."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import InputError, RecordError
from ultrahand.physics.bipolar import BipolarPhase, estimate_bipolar, remove_bipolar
from ultrahand.physics.field_map import closest_spacing, combine_coils, fit_echoes

TIMES_S = np.array([2.1e-3, 4.3e-3, 6.0e-3, 9.7e-3])


def signal(times, f, r2, phase=0.3, size=1.0):
    """By definition: a higher frequency turns the phase backwards."""
    t = np.reshape(times, (-1, *(1,) * np.ndim(f)))
    return size * np.exp(1j * phase - r2 * t - 2j * np.pi * f * t)


@pytest.mark.parametrize("n_echoes", [2, 3, 4])
@pytest.mark.parametrize("shape", [(1,), (3, 4, 5)])
def test_fields_far_beyond_the_later_wraps_are_exact(shape, n_echoes, rng):
    f, r2 = rng.uniform(-900, 900, shape), rng.uniform(0, 300, shape)
    times = TIMES_S[:n_echoes]
    half_turn = 0.5 / 2.2e-3  # of the first spacing: a guess this near is enough
    guess = f + rng.uniform(-0.95, 0.95, shape) * half_turn
    fit = fit_echoes(signal(times, f, r2), times, guess)
    np.testing.assert_allclose(fit.off_resonance_hz, f, rtol=1e-10, atol=1e-9)
    turns = (fit.phase_rad - 0.3) / (2 * np.pi)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-10)
    if n_echoes == 2:
        assert np.isnan(fit.misfit).all()
    else:
        assert (fit.misfit < 1e-15).all()


def test_a_guess_too_far_is_off_by_whole_turns_of_the_first_spacing():
    fit = fit_echoes(signal(TIMES_S[:2], np.zeros(1), 0), TIMES_S[:2], np.full(1, 0.6 / 2.2e-3))
    np.testing.assert_allclose(fit.off_resonance_hz, 1 / 2.2e-3, rtol=1e-12)


@pytest.mark.parametrize("n_echoes", [2, 4])
def test_standard_errors_are_those_of_the_noise(n_echoes, rng):
    n, times = 20000, TIMES_S[:n_echoes]
    f, r2 = rng.uniform(-100, 100, n), np.full(n, 100.0)
    clean = signal(times, f, r2, size=40.0)
    fit = fit_echoes(clean + complex_normal(rng, clean.shape), times, f)
    score = (fit.off_resonance_hz - f) / fit.noise_error_hz
    # The variance of n normal numbers has the relative deviation sqrt(2 / n) = 1 %; at 15 to 30
    # times the noise the next order, 1 / (2 m^2), is below 0.3 %.
    assert score.var() == pytest.approx(1, abs=0.05)
    assert abs(score.mean()) < 5 / np.sqrt(n)
    if n_echoes == 4:
        assert fit.misfit.mean() == pytest.approx(1, abs=0.05)
        assert (fit.standard_error_hz >= fit.noise_error_hz).all()
    else:
        np.testing.assert_array_equal(fit.standard_error_hz, fit.noise_error_hz)
    half = fit_echoes(clean, times, f, noise_sd=np.full(n, 0.5))
    whole = fit_echoes(clean, times, f, noise_sd=1.0)
    np.testing.assert_allclose(2 * half.noise_error_hz, whole.noise_error_hz)


def test_the_closed_form_of_two_echoes():
    """Two phases of deviation s / m over a spacing d: sd = sqrt(s^2/m0^2 + s^2/m1^2) / (2 pi d)."""
    echoes = np.array([[20.0], [10.0]], complex)
    fit = fit_echoes(echoes, np.array([1e-3, 3e-3]), np.zeros(1), noise_sd=2.0)
    expected = np.hypot(2 / 20, 2 / 10) / (2 * np.pi * 2e-3)
    np.testing.assert_allclose(fit.noise_error_hz, expected, rtol=1e-12)


def test_two_resonances_show_in_the_misfit():
    """Water and fat 1 kHz apart, out of phase in one echo of three."""
    times = np.array([1.0e-3, 1.5e-3, 2.2e-3])
    both = signal(times, np.zeros(1), 0, size=60) + signal(times, np.full(1, -1013.0), 0, size=40)
    fit = fit_echoes(both, times, np.zeros(1))
    assert fit.misfit > 10
    assert fit.standard_error_hz > 3 * fit.noise_error_hz


def test_no_signal_has_no_certainty():
    fit = fit_echoes(np.zeros((3, 2)), TIMES_S[:3], np.array([5.0, -7.0]))
    np.testing.assert_array_equal(fit.off_resonance_hz, [5.0, -7.0])
    assert np.isinf(fit.noise_error_hz).all()
    assert np.isfinite(fit.misfit).all()


@pytest.mark.parametrize(("n_coils", "n_echoes"), [(1, 2), (4, 3), (2, 5)])
def test_coils_combine_to_their_common_course(n_coils, n_echoes, rng):
    shape = (2, 3, 5)
    course = complex_normal(rng, (n_echoes, *shape))
    coils = complex_normal(rng, (n_coils, *shape))
    found = combine_coils(course[:, None] * coils)
    sensitivity = np.sqrt((np.abs(coils) ** 2).sum(axis=0))
    expected = course * sensitivity * np.exp(-1j * np.angle(course[0]))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_combined_noise_is_that_of_one_coil(rng):
    n, times = 20000, TIMES_S[:3]
    coils = complex_normal(rng, (8, 1, 1, n))
    coils *= 30 / np.sqrt((np.abs(coils) ** 2).sum(axis=0))
    images = signal(times, np.zeros((1, 1, n)), 0.0)[:, None] * coils
    fit = fit_echoes(
        combine_coils(images + complex_normal(rng, images.shape)), times, np.zeros((1, 1, n))
    )
    # To first order in 1 / SNR; seven more coils add about 7 / (2 * 3 * 30^2) = 0.1 %.
    assert (fit.off_resonance_hz / fit.noise_error_hz).var() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("n_x", [8, 9])
@pytest.mark.parametrize("n_echoes", [3, 4, 6])
def test_the_phase_of_odd_echoes_is_found_and_removed(n_echoes, n_x, rng):
    times = 1e-3 + 1.7e-3 * np.arange(n_echoes)
    f, density = rng.uniform(-200, 200, (2, 3, n_x)), rng.uniform(0.2, 1, (2, 3, n_x))
    clean = density * signal(times, f, 40.0)
    truth = BipolarPhase(constant_rad=-0.8, slope_rad=0.31)
    read = clean.copy()
    read[1::2] *= np.exp(1j * (-0.8 + 0.31 * (np.arange(n_x) - n_x // 2)))
    found = estimate_bipolar(read, times)
    assert found.constant_rad == pytest.approx(truth.constant_rad, abs=1e-12)
    assert found.slope_rad == pytest.approx(truth.slope_rad, abs=1e-12)
    np.testing.assert_allclose(remove_bipolar(read, found), clean, atol=1e-12)
    # Coils have an axis more between echoes and places.
    np.testing.assert_allclose(remove_bipolar(read[:, None], found)[:, 0], clean, atol=1e-12)


def test_bipolar_needs_three_even_echoes():
    with pytest.raises(InputError, match="2 echoes with spacings"):
        estimate_bipolar(np.ones((2, 4)), np.array([1e-3, 2e-3]))
    with pytest.raises(InputError, match=r"\(1, 2\) ms"):
        estimate_bipolar(np.ones((3, 4)), np.array([1e-3, 2e-3, 4e-3]))


def test_the_closest_echoes_are_found():
    spacing, pairs = closest_spacing(np.array([1e-3, 3e-3, 4e-3, 5e-3, 9e-3]))
    assert spacing == pytest.approx(1e-3)
    assert pairs == [(1, 2), (2, 3)]


@pytest.mark.parametrize(
    "times", [[1e-3], [1e-3, 1e-3], [2e-3, 1e-3], [-1e-3, 1e-3], [1e-3, np.nan], [1e-3, 2e-3, 3e-3]]
)
def test_times_that_do_not_fit_are_refused(times):
    with pytest.raises(InputError, match="echo times"):
        fit_echoes(np.ones((min(len(times), 2), 3)), np.array(times), np.zeros(3))
    with pytest.raises(RecordError, match="first guess"):
        fit_echoes(np.ones((2, 3)), TIMES_S[:2], np.zeros(4))
    with pytest.raises(RecordError, match="echoes, coils"):
        combine_coils(np.ones((2, 3, 4, 5)))
