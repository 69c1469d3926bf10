"""Plates as points through the non-uniform transform, against the direct sum."""

import numpy as np
import pytest

from phantoms.plates_at_hand import random_plates, random_terms, turned
from ultrahand.errors import RecordError
from ultrahand.phantoms import smooth_coils
from ultrahand.phantoms.decay_basis import decay_basis
from ultrahand.phantoms.direct_signal import direct_signal
from ultrahand.phantoms.disk_points import plate_points, reach
from ultrahand.phantoms.nufft_signal import nufft_signal, stack_signal

POINT_M = np.array([0.02, -0.01, 0.03])
COILS = smooth_coils(3, (0.2, 0.17, 0.15))
SHOTS, SAMPLES = 11, 17
TIME_S = np.linspace(1e-4, 2e-3, SAMPLES)
BY_SHOT_S = TIME_S + 1e-4 * np.arange(SHOTS)[:, None]


def made(rng, frame):
    """An object about a point off the receiver's, with terms that follow curves."""
    plates = random_plates(rng, 40, frame, extent_m=0.02, point_m=(0.03, 0.0, 0.02))
    return plates, random_terms(rng, 90, 40, n_curves=3), rng.uniform(0, 1, (3, SHOTS))


def test_many_coils_read_one_grid_at_displaced_samples(rng):
    """As many coils as waves: then each wave looks at the grids, not each coil."""
    coils = smooth_coils(12, (0.2, 0.17, 0.15))
    plates, terms, curves = made(rng, np.eye(3))
    k = rng.uniform(-60, 60, (SHOTS, SAMPLES, 3))
    given = {"demodulation_m": POINT_M, "curves": curves}
    exact = direct_signal(plates, terms, coils, k, BY_SHOT_S, **given)
    found = nufft_signal(plates, terms, coils, k, BY_SHOT_S, tolerance=1e-5, **given)
    assert np.abs(found - exact).max() <= 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("n_coils", [3, 12])
@pytest.mark.parametrize("time_s", [TIME_S, BY_SHOT_S], ids=["shared", "by shot"])
def test_many_samples_are_taken_in_blocks(n_coils, time_s, rng, monkeypatch):
    coils = smooth_coils(n_coils, (0.2, 0.17, 0.15))
    plates, terms, curves = made(rng, np.eye(3))
    k = rng.uniform(-60, 60, (SHOTS, SAMPLES, 3)) * np.linspace(0.01, 1, SAMPLES)[:, None]
    given = {"demodulation_m": POINT_M, "curves": curves, "tolerance": 1e-5}
    whole = nufft_signal(plates, terms, coils, k, time_s, **given)
    monkeypatch.setattr("ultrahand.phantoms.nufft_signal.BLOCK_SAMPLES", 50)
    blocks = nufft_signal(plates, terms, coils, k, time_s, **given)
    assert np.any(blocks != whole)
    np.testing.assert_allclose(blocks, whole, rtol=0, atol=2e-5 * np.abs(whole).max())


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6])
@pytest.mark.parametrize("time_s", [TIME_S, BY_SHOT_S], ids=["shared", "by shot"])
def test_any_trajectory_agrees_with_the_direct_sum(time_s, tolerance, rng):
    plates, terms, curves = made(rng, np.eye(3))
    k = rng.uniform(-90, 90, (SHOTS, SAMPLES, 3))
    k[0] *= 0.01
    given = {"demodulation_m": POINT_M, "curves": curves}
    expected = direct_signal(plates, terms, COILS, k, time_s, **given)
    one, two = (
        nufft_signal(plates, terms, COILS, k, time_s, **given, tolerance=tolerance, threads=n)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6])
def test_a_stack_agrees_with_the_direct_sum(tolerance, rng):
    frame = turned(rng)
    plates, terms, curves = made(rng, frame)
    k, heights = rng.uniform(-120, 120, (SHOTS, SAMPLES, 2)), np.arange(-2, 3) / 0.05
    k[0] *= 0.01
    given = {"demodulation_m": POINT_M, "curves": curves}
    one, two = (
        stack_signal(
            plates,
            terms,
            COILS,
            k,
            heights,
            TIME_S,
            frame=frame,
            **given,
            tolerance=tolerance,
            threads=n,
        )
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    levels = [k @ frame[:2] + height * frame[2] for height in heights]
    expected = np.stack(
        [direct_signal(plates, terms, COILS, level, TIME_S, **given) for level in levels], axis=1
    )
    np.testing.assert_allclose(one, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_one_point_at_one_time_is_enough(rng):
    """Nothing extends, nothing decays: no axis and no basis may collapse."""
    plates = random_plates(rng, 1, np.eye(3))
    terms = random_terms(rng, 1, 1)
    k = np.zeros((1, 1, 3))
    given = {"demodulation_m": POINT_M}
    expected = direct_signal(plates, terms, COILS, k, np.zeros(1), **given)
    signal = nufft_signal(plates, terms, COILS, k, np.zeros(1), **given)
    np.testing.assert_allclose(signal, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_no_terms_give_no_signal(rng):
    plates, none = random_plates(rng, 3, np.eye(3)), random_terms(rng, 0, 3)
    k = rng.uniform(-90, 90, (2, 4, 3))
    signal = nufft_signal(plates, none, COILS, k, np.zeros(4), demodulation_m=POINT_M)
    np.testing.assert_array_equal(signal, np.zeros((2, 3, 4)))


def test_a_tolerance_out_of_reach_is_refused(rng):
    plates, terms, _ = made(rng, np.eye(3))
    plain = random_terms(rng, len(terms), len(plates))
    with pytest.raises(RecordError, match="tolerance must lie in"):
        nufft_signal(
            plates,
            plain,
            COILS,
            np.zeros((1, 1, 3)),
            np.zeros(1),
            demodulation_m=POINT_M,
            tolerance=1e-7,
        )


@pytest.mark.parametrize("tolerance", [1e-3, 1e-7])
def test_points_keep_a_plate_s_transform_and_no_more_than_needed(tolerance, rng):
    plates = random_plates(rng, 30, np.eye(3))
    largest = reach(plates, np.eye(3), 300.0)
    at, share, plate = plate_points(plates, largest, tolerance)
    k = rng.normal(size=(200, 3))
    k *= 300.0 / np.linalg.norm(k, axis=1, keepdims=True)
    from scipy.special import j1

    for number in range(30):
        mine = plate == number
        offset = at[mine] - plates.centre_m[number]
        made_of = np.exp(-2j * np.pi * k @ offset.T) @ share[mine]
        q = 2 * np.pi * np.linalg.norm(k @ plates.span_m[number].T, axis=1)
        np.testing.assert_allclose(made_of, 2 * j1(q) / q, rtol=0, atol=tolerance)
        # A disk takes (q/2 + 1)^2 degrees of freedom; the margins in r and angle some four times.
        assert mine.sum() <= 6 * (0.5 * largest[number] * 1.15 + 4) ** 2


@pytest.mark.parametrize("tolerance", [1e-3, 1e-8])
def test_the_basis_carries_all_decays_in_few_functions(tolerance, rng):
    rate = -rng.uniform(20, 1500, 400) + 2j * np.pi * rng.normal(0, 200, 400)
    strength = rng.uniform(0, 1, 400) / 200
    coefficients, functions = decay_basis(rate, strength, BY_SHOT_S, tolerance)
    errors = np.abs(
        np.tensordot(coefficients, functions, (0, 0)) - np.exp(rate[:, None, None] * BY_SHOT_S)
    )
    assert np.tensordot(strength, errors, (0, 0)).max() <= tolerance
    assert len(functions) <= 8 + np.log10(1 / tolerance)
