import numpy as np
import pytest

from ultrahand.errors import UsageError
from ultrahand.physics.contrast_agents import (
    R1_PER_S_PER_MMOL_PER_L,
    R2STAR_PER_S_PER_MMOL_PER_L,
    SOURCES,
    r1_relaxivity,
    relaxation_rate,
)
from ultrahand.physics.relaxation import proton_decay, remaining, sodium_decay
from ultrahand.physics.steady_state import spoiled_gradient_echo
from ultrahand.physics.tissue_entries import ASSUMED, MEASURED
from ultrahand.physics.tissues import tissue, tissue_names


@pytest.mark.parametrize("name", tissue_names())
def test_fractions_sum_to_one(name):
    item = tissue(name)
    for decays in (proton_decay(item.proton), sodium_decay(item.sodium)):
        assert sum(one.fraction for one in decays) == pytest.approx(1.0, abs=1e-15)
        assert remaining(decays, 0.0) == pytest.approx(1.0, abs=1e-15)


def test_sodium_in_tissue_decays_three_fifths_fast():
    short, long = sodium_decay(tissue("cartilage").sodium)
    assert short == (0.6, pytest.approx(1.0 / 0.0009))
    assert long == (pytest.approx(0.4), pytest.approx(1.0 / 0.0149))
    # The mean rate, the slope at the start: 0.6/T2s + 0.4/T2l.
    h = 1e-9
    slope = (1.0 - remaining((short, long), h)) / h
    assert slope == pytest.approx(0.6 / 0.0009 + 0.4 / 0.0149, rel=1e-5)


def test_fluids_decay_once_and_a_spread_of_the_field_adds_to_all_rates():
    fluid = tissue("synovial_fluid").sodium
    assert sodium_decay(fluid) == ((1.0, pytest.approx(1.0 / 0.035)),)
    still, spread = (sodium_decay(tissue("muscle").sodium, r2prime_per_s=r) for r in (0.0, 12.0))
    assert [b.r2star_per_s - a.r2star_per_s for a, b in zip(still, spread, strict=True)] == [
        pytest.approx(12.0)
    ] * 2
    with pytest.raises(UsageError, match="r2prime_per_s"):
        sodium_decay(fluid, r2prime_per_s=-1.0)


def test_remaining_keeps_the_shape_of_times():
    t = np.array([[0.0, 0.001], [0.01, 0.1]])
    left = remaining(proton_decay(tissue("muscle").proton), t)
    np.testing.assert_allclose(left, np.exp(-t / 0.018), rtol=1e-12)


def test_relaxivities_are_those_of_their_papers():
    # Szomolanyi 2019 (plasma) and Shen 2015 (whole blood), 7 T, abstracts.
    assert (r1_relaxivity("gadobutrol", "plasma").value, r1_relaxivity("gadobutrol").value) == (
        3.83,
        4.2,
    )
    assert (r1_relaxivity("gadoterate", "plasma").sd, r1_relaxivity("gadoterate").sd) == (0.09, 0.4)
    for entry in R1_PER_S_PER_MMOL_PER_L.values():
        assert (entry.basis, entry.field_t) == (MEASURED, 7.0)
        assert entry.source in SOURCES
        # No agent of the market reaches 6 at 7 T, none falls below 2.
        assert 2.0 < entry.value < 6.0
    assert R2STAR_PER_S_PER_MMOL_PER_L.basis == ASSUMED
    with pytest.raises(UsageError, match="gadobutrol in plasma"):
        r1_relaxivity("gadodiamide", "plasma")


def test_rates_rise_with_concentration():
    rates = relaxation_rate(1.0 / 2.29, 4.2, np.array([0.0, 1.0, 5.0]))
    np.testing.assert_allclose(
        1.0 / rates, [2.29, 1.0 / (0.436681 + 4.2), 1.0 / 21.436681], rtol=1e-6
    )


@pytest.mark.parametrize(("r2star", "printed"), [(10.0, 10.6), (20.0, 7.2), (40.0, 4.8)])
def test_blood_signal_has_a_maximum_in_concentration(r2star, printed):
    """Worked by hand for TR 4 ms, TE 1.5 ms, 15 degrees, T10 2.29 s, r1 4.2: one decimal."""
    c = np.arange(0.0, 20.0, 0.01)
    t1_s = 1.0 / relaxation_rate(1.0 / 2.29, 4.2, c)
    decay = np.exp(-0.0015 * relaxation_rate(0.0, r2star, c))
    signal = spoiled_gradient_echo(np.deg2rad(15.0), 0.004, t1_s) * decay
    assert c[signal.argmax()] == pytest.approx(printed, abs=0.06)
