"""The sign of the off-resonance, and its scaling from one nucleus to another."""

import numpy as np
import pytest

from ultrahand.errors import UsageError
from ultrahand.physics.off_resonance import rate_per_s, scale_field


def test_a_higher_field_turns_the_phase_backwards_as_a_gradient_does():
    """A gradient adds the frequency gamma G x, and k = gamma G t encodes by exp(-2 pi i k x)."""
    gamma_g, x, t = 4.2e5, 3e-3, 1.7e-3
    by_gradient = np.exp(-2j * np.pi * (gamma_g * t) * x)
    np.testing.assert_allclose(np.exp(rate_per_s(gamma_g * x) * t), by_gradient, rtol=1e-12)


def test_the_signal_decays():
    np.testing.assert_allclose(np.exp(rate_per_s(0.0, 50.0) * 0.02), np.exp(-1), rtol=1e-14)
    assert rate_per_s(np.zeros((2, 3)), 1.0).shape == (2, 3)


def test_sodium_sees_a_quarter_of_the_protons_frequency():
    proton = np.array([-100.0, 0.0, 200.0])
    # Xi of sodium, 26.4519 %: Harris 2001, typed here from the table.
    found = scale_field(proton, measured="1H", wanted="23Na")
    np.testing.assert_allclose(found, 0.264519 * proton, rtol=1e-9)
    back = scale_field(found, measured="23Na", wanted="1H")
    np.testing.assert_allclose(back, proton, rtol=1e-14)
    shifted = scale_field(proton, measured="1H", wanted="23Na", shift_hz=5.0)
    np.testing.assert_allclose(shifted - found, 5.0, rtol=1e-12)


def test_an_unknown_nucleus_is_refused():
    with pytest.raises(UsageError, match="'Na' is unknown"):
        scale_field(np.zeros(1), measured="1H", wanted="Na")
