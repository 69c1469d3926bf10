"""The short sum for exp(lambda t) is as good as asked for everywhere, and not much better."""

import numpy as np
import pytest

from ultrahand.errors import InputError, RecordError
from ultrahand.recon import signal_table as module
from ultrahand.recon.short_sum import short_sum


def exact(t, f, r):
    """By definition: a higher frequency turns backwards, and R2* decays."""
    return np.exp(np.multiply.outer(t, -r - 2j * np.pi * f))


def total(terms):
    return sum(np.multiply.outer(terms.b(n), terms.c(n)) for n in range(terms.n_terms))


@pytest.mark.parametrize("error", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("readout_s", [5e-3, 10e-3, 20e-3])
def test_300_hz_are_met_to_the_requested_error(readout_s, error, rng):
    t = 0.5e-3 + np.sort(rng.uniform(0, readout_s, 301))
    f = rng.uniform(-150, 150, 400)
    terms = short_sum(t, f, error=error, dtype=np.complex128)
    worst = np.abs(total(terms) - exact(t, f, np.zeros(400))).max()
    assert worst <= terms.error <= error
    # One term more gains a factor of 5 to 20 here, so that a good choice stays within.
    assert worst > error / 30
    # Time times bandwidth, and a few for the digits.
    assert 300 * readout_s < terms.n_terms <= 300 * readout_s + 10


@pytest.mark.parametrize("readout_s", [5e-3, 20e-3])
def test_decay_is_met_relative_to_the_signal_at_the_first_time(readout_s, rng):
    t = 4e-3 + np.linspace(0, readout_s, 97)
    f, r = rng.uniform(-250, 50, 300), rng.uniform(0, 800, 300)
    terms = short_sum(t, f, r, error=1e-3, dtype=np.complex128)
    relative = np.abs(total(terms) - exact(t, f, r)) / np.exp(-r * t[0])
    assert 1e-3 / 30 < relative.max() <= terms.error <= 1e-3


def test_values_that_do_not_occur_need_no_terms():
    t = np.linspace(0, 20e-3, 200)
    rare = np.array([-400.0, -399.0, 400.0, 401.0])
    few = short_sum(t, rare, error=1e-3, dtype=np.complex128)
    assert np.abs(total(few) - exact(t, rare, np.zeros(4))).max() <= 1e-3
    assert few.n_terms <= 6
    assert short_sum(t, np.linspace(-400, 401, 999), error=1e-3).n_terms > 16


def test_time_segments_are_taken_where_they_are_shorter(monkeypatch):
    """Singular vectors have never been longer, so a poor choice of them stands in."""
    found = module._fewest

    def wasteful(table, few, error):
        return found(table, few, error / 1000)

    t, f = np.linspace(0, 10e-3, 64), np.linspace(-50, 70, 133)
    best = short_sum(t, f, error=1e-3, dtype=np.complex128)
    monkeypatch.setattr(module, "_fewest", wasteful)
    terms = short_sum(t, f, error=1e-3, dtype=np.complex128)
    assert (best.method, terms.method) == ("singular vectors", "time segments")
    assert best.n_terms <= terms.n_terms <= best.n_terms + 2
    rest = np.abs(total(terms) - exact(t, f, np.zeros(133)))
    assert rest.max() <= terms.error <= 1e-3


@pytest.mark.parametrize("shape", [(1,), (3, 5)])
def test_one_frequency_or_one_time_is_one_exact_term(shape):
    t, f = np.linspace(1e-3, 9e-3, 15).reshape(3, 5), np.full(shape, 87.0)
    one = short_sum(t, f, error=1e-6, dtype=np.complex128)
    assert one.n_terms == 1
    np.testing.assert_allclose(total(one), exact(t, f, np.zeros(shape)), atol=1e-12)
    f = np.linspace(-90, 210, 7)
    one = short_sum(np.full(4, 5e-3), f, np.full(7, 30.0), error=1e-6, dtype=np.complex128)
    assert one.n_terms == 1
    np.testing.assert_allclose(total(one), exact(np.full(4, 5e-3), f, np.full(7, 30.0)), atol=1e-12)


def test_single_precision_adds_its_rounding_alone(rng):
    t, f = np.linspace(0, 5e-3, 50), rng.uniform(-150, 150, 60)
    double = total(short_sum(t, f, error=1e-3, dtype=np.complex128))
    terms = short_sum(t, f, error=1e-3)
    assert terms.b(0).dtype == terms.c(0).dtype == np.complex64
    # Ten terms of products of numbers of about 1, each rounded to 6e-8 a few times.
    assert np.abs(total(terms) - double).max() < 5e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": 1e-7}, "error must lie"),
        ({"error": 1.0}, "error must lie"),
        ({"time_s": np.zeros(0)}, "time_s"),
        ({"time_s": np.array([0, np.nan])}, "time_s"),
        ({"off_resonance_hz": np.zeros(0)}, "empty"),
        ({"off_resonance_hz": np.array([np.nan, 0])}, "extend the map"),
        ({"r2star_per_s": np.zeros(3)}, "shape of the field"),
        ({"r2star_per_s": np.array([1.0, -1.0])}, "not negative"),
        ({"r2star_per_s": np.array([1.0, np.inf])}, "not negative"),
    ],
)
def test_contradictions_are_refused(change, message):
    good = {"time_s": np.linspace(0, 1e-3, 5), "off_resonance_hz": np.zeros(2)}
    with pytest.raises(RecordError, match=message):
        short_sum(**{**good, **change})


def test_a_wrong_unit_is_refused_with_numbers():
    with pytest.raises(InputError, match=r"6e\+04 Hz apart over 0.02 s of samples: 1200 turns"):
        short_sum(np.linspace(0, 20e-3, 9), np.array([-3e4, 3e4]))
