import pytest

from ultrahand.errors import UsageError
from ultrahand.physics.nuclei import GAMMA_HZ_PER_T, frequency_hz, nucleus_of

# Gyromagnetic ratios over 2 pi in MHz/T computed from the magnetogyric ratios (1e7 rad/s/T) of
# the same IUPAC tables, an independent column; molecules' shielding makes the difference.
GAMMA_E7 = {
    "1H": 26.7522128,
    "2H": 4.10662791,
    "3He": 20.3801587,
    "7Li": 10.3977013,
    "13C": 6.728284,
    "15N": 2.71261804,
    "17O": 3.62808,
    "19F": 25.18148,
    "23Na": 7.0808493,
    "31P": 10.8394,
    "35Cl": 2.624198,
    "39K": 1.2500608,
    "129Xe": 7.452103,
}


@pytest.mark.parametrize("name", GAMMA_E7)
def test_frequency_ratios_agree_with_magnetogyric_ratios(name):
    # Xi holds the reference compound's shielding: below 0.6 per mille (129Xe, 1H: 30 ppm).
    from math import pi

    assert GAMMA_HZ_PER_T[name] == pytest.approx(GAMMA_E7[name] * 1e7 / (2 * pi), rel=2e-3)


def test_sodium_at_seven_tesla():
    assert frequency_hz("23Na", 7.0) == pytest.approx(78.8386e6, rel=1e-5)
    assert frequency_hz("23Na", 7.0) / frequency_hz("1H", 7.0) == pytest.approx(0.26451900)


@pytest.mark.parametrize("name", GAMMA_HZ_PER_T)
@pytest.mark.parametrize("field_t", [0.55, 3.0, 6.98, 11.7])
def test_a_frequency_leads_back_to_its_nucleus(name, field_t):
    # At a nominal 3 T a frequency that is 1.5 % off may be another nucleus at 2.89 T.
    for offset in (1.0,) if field_t == 3.0 else (0.985, 1.0, 1.015):
        assert nucleus_of(frequency_hz(name, field_t) * offset, field_t) == name


def test_frequencies_between_nuclei_are_nobodys():
    assert nucleus_of(60e6, 7.0) is None
    assert nucleus_of(frequency_hz("1H", 7.0) * 1.021, 7.0) is None
    assert nucleus_of(frequency_hz("1H", 7.0) * 1.019, 7.0) == "1H"
    assert nucleus_of(0.0, 7.0) is None
    assert nucleus_of(1e8, 0.0) is None
    assert nucleus_of(float("nan"), 7.0) is None


def test_an_unknown_nucleus_is_refused():
    with pytest.raises(UsageError, match="Na23"):
        frequency_hz("Na23", 7.0)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        GAMMA_HZ_PER_T["1H"] = 1.0


def test_a_nominal_field_of_3_t_may_be_2_89_t():
    assert nucleus_of(123.2e6, 3.0) == "1H"
    assert nucleus_of(127.74e6, 3.0) == "1H"
    assert nucleus_of(49.9e6, 3.0) in (None, "31P")
    assert nucleus_of(32.6e6, 3.0) is None  # 13C at 3.0 T or 23Na at 2.89 T
    assert nucleus_of(33.79e6, 3.0) == "23Na"
