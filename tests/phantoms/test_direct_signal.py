"""The direct sum of plates against closed forms and plain numpy."""

import numpy as np
import pytest
from scipy.special import j1

from phantoms.plates_at_hand import random_plates, random_terms, sliced_ellipsoid, turned
from ultrahand.errors import RecordError
from ultrahand.phantoms import smooth_coils, uniform_coil
from ultrahand.phantoms.direct_signal import direct_signal
from ultrahand.phantoms.objects import Ellipsoid
from ultrahand.phantoms.plates import Terms
from ultrahand.phantoms.signal import PointSignal

FOV_M = (0.2, 0.18, 0.24)
POINT_M = np.array([0.01, -0.02, 0.03])


def slow_signal(plates, terms, coils, k, time_s, curves):
    """The formula in plain numpy, one sample after another."""
    out = np.empty((k.shape[0], coils.n_coils, k.shape[1]), np.complex128)
    rate = -terms.r2star_per_s - 2j * np.pi * terms.off_resonance_hz
    for shot, sample in np.ndindex(k.shape[:2]):
        factor = np.where(terms.curve < 0, 1.0, curves[terms.curve, shot])
        carried = np.zeros(len(plates), np.complex128)
        now = factor * terms.amplitude * np.exp(rate * time_s[shot, sample])
        np.add.at(carried, terms.plate, now)
        shifted = k[shot, sample] - coils.waves_per_m
        q = 2 * np.pi * np.linalg.norm(np.einsum("pij,mj->pmi", plates.span_m, shifted), axis=2)
        waves = 2 * j1(q) / q * np.exp(-2j * np.pi * plates.centre_m @ shifted.T)
        seen = coils.weights @ ((carried * plates.volume_m3) @ waves)
        out[shot, :, sample] = seen * np.exp(2j * np.pi * k[shot, sample] @ POINT_M)
    return out


@pytest.mark.parametrize("by_shot", [False, True])
def test_the_sum_is_the_formula(by_shot, rng):
    plates = random_plates(rng, 300, turned(rng))  # more than one block of the kernel
    terms = random_terms(rng, 700, 300, n_curves=2)
    coils, k = smooth_coils(3, FOV_M), rng.uniform(-500, 500, (3, 7, 3))
    time_s = rng.uniform(0, 3e-3, (3, 7) if by_shot else 7)
    curves = rng.uniform(0, 2, (2, 3))
    signal = direct_signal(
        plates, terms, coils, k, time_s, demodulation_m=POINT_M, curves=curves, threads=2
    )
    slow = slow_signal(plates, terms, coils, k, np.broadcast_to(time_s, (3, 7)), curves)
    # Each plate errs by 3e-12 at most (the table), phases by 1e-13; random signs make it less.
    np.testing.assert_allclose(signal, slow, rtol=0, atol=1e-11 * np.abs(slow).max())


def test_plates_at_gauss_nodes_are_an_ellipsoid(rng):
    item = Ellipsoid(
        centre_m=np.array([0.02, 0.01, -0.03]),
        semi_axes_m=np.array([0.012, 0.02, 0.03]),
        axes=turned(rng),
        density=1.3,
        r2star_per_s=40.0,
        off_resonance_hz=25.0,
    )
    coils, k = smooth_coils(4, FOV_M), rng.uniform(-120, 120, (5, 9, 3))
    k[0, 0] = 0.0
    time_s = np.linspace(1e-3, 6e-3, 9)
    # 2 pi 208/m 30 mm = 39 rad to either side: 64 nodes take 64 rad of any smooth integrand.
    plates, terms = sliced_ellipsoid(item, (0.3, -0.2, 0.9), 64)
    signal = direct_signal(plates, terms, coils, k, time_s, demodulation_m=POINT_M)
    closed = PointSignal(parts=[item], coils=coils, k_per_m=k, demodulation_m=POINT_M)
    expected = closed.lines(np.arange(5)) * np.exp((-40.0 - 2j * np.pi * 25.0) * time_s)
    np.testing.assert_allclose(plates.volume_m3.sum(), np.pi * 4 / 3 * 7.2e-6, rtol=1e-12)
    # The closed form is single precision: 1e-7 of the largest.
    np.testing.assert_allclose(signal, expected, rtol=0, atol=2e-7 * np.abs(expected).max())
    alone = direct_signal(plates, terms, uniform_coil(), k, 0 * time_s, demodulation_m=POINT_M)
    exact = item.form(k) * np.exp(-2j * np.pi * k @ (item.centre_m - POINT_M))
    np.testing.assert_allclose(alone[:, 0], exact, rtol=0, atol=1e-11 * exact.real.max())


def test_a_field_that_rises_along_x_is_a_gradient_along_x(rng):
    """Which holds the sign of the off-resonance to that of the encoding, without naming either."""
    plates = random_plates(rng, 60, np.eye(3), normals=(0,))  # of no extent along x
    hz_per_m = 4e4
    at_rest, turning = (
        Terms(
            plate=np.arange(60),
            amplitude=np.ones(60),
            r2star_per_s=np.full(60, 30.0),
            off_resonance_hz=scale * (plates.centre_m[:, 0] - POINT_M[0]),
            curve=np.full(60, -1),
        )
        for scale in (0.0, hz_per_m)
    )
    k, time_s = rng.uniform(-300, 300, (4, 11, 3)), np.linspace(0, 5e-3, 11)
    farther = k + hz_per_m * time_s[:, None] * np.array([1.0, 0.0, 0.0])
    signal, expected = (
        direct_signal(plates, terms, smooth_coils(3, FOV_M), at, time_s, demodulation_m=POINT_M)
        for terms, at in ((turning, k), (at_rest, farther))
    )
    np.testing.assert_allclose(signal, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_threads_do_not_change_bits(rng):
    plates, terms = random_plates(rng, 40, np.eye(3)), random_terms(rng, 90, 40)
    k, time_s = rng.uniform(-500, 500, (5, 13, 3)), np.linspace(0, 1e-3, 13)
    one, two = (
        direct_signal(
            plates, terms, smooth_coils(2, FOV_M), k, time_s, demodulation_m=POINT_M, threads=n
        )
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("shape", "times", "curves", "message"),
    [
        ((4, 3), 4, None, "k_per_m"),
        ((2, 4, 3), 5, None, "time_s"),
        ((2, 4, 3), 4, np.ones((1, 3)), "curves"),
        ((2, 4, 3), 4, None, "follow curves"),
    ],
)
def test_contradictions_are_refused(shape, times, curves, message, rng):
    plates, terms = random_plates(rng, 5, np.eye(3)), random_terms(rng, 30, 5, n_curves=2)
    with pytest.raises(RecordError, match=message):
        direct_signal(
            plates,
            terms,
            uniform_coil(),
            np.zeros(shape),
            np.zeros(times),
            demodulation_m=POINT_M,
            curves=curves,
        )


def test_terms_of_plates_that_are_not_there_are_refused(rng):
    plates, terms = random_plates(rng, 5, np.eye(3)), random_terms(rng, 30, 6)
    with pytest.raises(RecordError, match="name plates 0 to 5, there are 5"):
        direct_signal(
            plates,
            terms,
            uniform_coil(),
            np.zeros((1, 1, 3)),
            np.zeros(1),
            demodulation_m=POINT_M,
        )
