"""Played gradients: responses whose effect on straight lines is known in closed form."""

import numpy as np
import pytest

from ultrahand.errors import InputError, RecordError
from ultrahand.recon.girf import Girf, fold, played
from ultrahand.recon.played_design import played_design
from ultrahand.recon.trajectories.prescription import Prescription
from ultrahand.recon.trajectories.spiral import design_spiral
from ultrahand.recon.trajectories.stack_of_stars import design_stack_of_stars

GAMMA, RASTER_S = 42.6e6, 10e-6
F_HZ = np.arange(0, 2001) * 50.0  # to 100 kHz
LEFT_OUT_PER_M = GAMMA * 150.0 / ((2 * np.pi) ** 3 * 100e3**2)
"""What the largest bend here, of 150 T/m/s, has above 100 kHz: gamma s / ((2 pi)^3 F^2) of k."""
TIMES_S = np.arange(0, 5e-3, 3.7e-6)
NODES = 501


def girf(self_terms, cross=None, uniform=None):
    gradient = np.zeros((3, 3, len(F_HZ)), complex)
    for axis in range(3):
        gradient[axis, axis] = self_terms(F_HZ)
    for (i, j), value in (cross or {}).items():
        gradient[i, j] = value
    h = np.zeros((3, len(F_HZ))) if uniform is None else uniform
    return Girf(frequency_hz=F_HZ, gradient=gradient, uniform_m=h, origin="closed form")


def waveforms():
    """Trapezoids and sines within the slew rate, (2, nodes, 3), 0 at first."""
    t = RASTER_S * np.arange(NODES)
    x = np.interp(
        t, [0, 0.3e-3, 1.5e-3, 2.1e-3, 4e-3, 4.3e-3, 6e-3], [0, 0.02, 0.02, -0.03, -0.03, 0, 0]
    )
    y = 0.02 * np.sin(2 * np.pi * 700 * t) * np.minimum(t / 1e-3, 1)
    z = np.interp(t, [0, 1e-3, 1.2e-3, 3e-3], [0, 0, 0.01, 0])
    return np.stack([np.stack([x, y, z], 1), np.stack([-y, z, 0.5 * x], 1)])


def filtered(gradient, times, ramp):
    """Integral of the response: a waveform is a sum of ramps that begin at its nodes."""
    slopes = np.diff(gradient, axis=1) / RASTER_S
    bends = np.diff(slopes, axis=1, prepend=0)
    since = times[:, None] - RASTER_S * np.arange(bends.shape[1])
    return np.einsum("tn,snc->stc", ramp(since), bends)


def half_square(t):
    return 0.5 * np.maximum(t, 0) ** 2


def play(response, gradient=None, to_device=None, times=TIMES_S):
    return played(
        response,
        waveforms() if gradient is None else gradient,
        raster_s=RASTER_S,
        time_s=times,
        to_device=np.eye(3) if to_device is None else to_device,
        gamma_hz_per_t=GAMMA,
    )


def largest(found, truth):
    return np.abs(found - truth).max()


def test_a_perfect_system_plays_what_it_is_asked():
    found = play(girf(np.ones_like))
    truth = GAMMA * filtered(waveforms(), TIMES_S, half_square)
    assert largest(found.k_per_m, truth) < 1e-9  # of 1300 per metre
    np.testing.assert_array_equal(found.phase_rad, 0)


@pytest.mark.parametrize("delay_s", [0.4e-6, 7.3e-6, 60e-6])
def test_a_delay_is_a_later_waveform(delay_s):
    found = play(girf(lambda f: np.exp(-2j * np.pi * f * delay_s)))
    truth = GAMMA * filtered(waveforms(), TIMES_S - delay_s, half_square)
    # |H - 1| is 2 at most; as 2 pi f delay under the integral of 1 / f^3 it is twice that at F.
    change = min(2, 2 * 2 * np.pi * 100e3 * delay_s)
    assert largest(found.k_per_m, truth) < LEFT_OUT_PER_M * change
    late = GAMMA * filtered(waveforms(), TIMES_S, half_square)
    assert largest(late, truth) > 10 * largest(found.k_per_m, truth)


@pytest.mark.parametrize("tau_s", [5e-6, 40e-6, 300e-6])
def test_a_first_order_low_pass(tau_s):
    """A ramp r t gives r (t - tau (1 - exp(-t / tau))); integrated once more."""

    def ramp(t):
        s = np.maximum(t, 0)
        return 0.5 * s**2 - tau_s * s + tau_s**2 * -np.expm1(-s / tau_s)

    found = play(girf(lambda f: 1 / (1 + 2j * np.pi * f * tau_s)))
    truth = GAMMA * filtered(waveforms(), TIMES_S, ramp)
    # |H - 1| < 1; between its points H is a cubic spline, off by h^4 H'''' / 384.
    between = 24 * (2 * np.pi * tau_s * F_HZ[1]) ** 4 / 384 * np.abs(truth).max()
    assert largest(found.k_per_m, truth) < LEFT_OUT_PER_M + between


def test_cross_terms_and_the_uniform_field_have_their_own_axes():
    k = GAMMA * filtered(waveforms(), TIMES_S, half_square)
    uniform = np.zeros((3, len(F_HZ)))
    uniform[1] = 2e-3  # metres
    found = play(girf(np.ones_like, cross={(0, 2): 0.05}, uniform=uniform))
    expected = k.copy()
    expected[..., 0] += 0.05 * k[..., 2]
    assert largest(found.k_per_m, expected) < 0.05 * LEFT_OUT_PER_M
    # A gradient of y acts as if the place were 2 mm further: exp(-2 pi i k 2 mm).
    left_out = 2 * np.pi * 2e-3 * LEFT_OUT_PER_M
    assert largest(found.phase_rad, -2 * np.pi * k[..., 1] * 2e-3) < left_out


def test_axes_are_those_of_the_coils(rng):
    """Read lies along device z and so on: only the coil named by the response changes."""
    turn = np.array([[0, 1.0, 0], [0, 0, -1], [1, 0, 0]])
    gradient = np.zeros((3, 3, len(F_HZ)))
    for axis, gain in enumerate((1.0, 1.0, 1.1)):
        gradient[axis, axis] = gain
    response = Girf(frequency_hz=F_HZ, gradient=gradient, uniform_m=0 * gradient[0], origin="gain")
    k = GAMMA * filtered(waveforms(), TIMES_S, half_square)
    found = play(response, to_device=turn)
    assert largest(found.k_per_m, k * [1.1, 1, 1]) < 0.1 * LEFT_OUT_PER_M
    # And coils that are alike do not care how the patient lies.
    low_pass = girf(lambda f: 1 / (1 + 2j * np.pi * f * 40e-6))
    oblique = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    assert largest(play(low_pass, to_device=oblique).k_per_m, play(low_pass).k_per_m) < 1e-9


@pytest.mark.parametrize("kind", ["spiral", "stack"])
def test_a_design_is_played_shot_by_shot(kind, rng):
    prescription = Prescription(voxel_size_m=4e-3, fov_m=0.16, sample_time_s=5e-6, nucleus="23Na")
    if kind == "spiral":
        design = design_spiral(prescription, n_interleaves=5)
    else:
        design = design_stack_of_stars(
            prescription, readout_s=3e-3, n_partitions=3, slab_m=0.05, n_spokes=4
        )
    gradient = rng.standard_normal((3, 3, len(F_HZ))) * 0.05 / (1 + F_HZ / 1e4)
    gradient = gradient + np.eye(3)[:, :, None] / (1 + 2j * np.pi * F_HZ * 30e-6)
    response = Girf(
        frequency_hz=F_HZ, gradient=gradient, uniform_m=1e-3 * gradient[0], origin="random"
    )
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    found = played_design(response, design, turn)
    each = played(
        response,
        design.gradient_t_per_m(),
        raster_s=RASTER_S,
        time_s=design.time_s,
        to_device=turn,
        gamma_hz_per_t=prescription.gamma_hz_per_t,
    )
    # Sums in another order: 1e-13 of the 125 per metre.
    assert largest(found.k_per_m, each.k_per_m) < 1e-9
    assert largest(found.phase_rad, each.phase_rad) < 1e-11
    assert largest(each.k_per_m, design.k_per_m()) > 0.1
    some = played_design(response, design, turn, slice(2, 4))
    np.testing.assert_allclose(some.k_per_m, found.k_per_m[2:4], atol=1e-11)
    with pytest.raises(RecordError, match="orthonormal"):
        played_design(response, design, np.ones((3, 3)))


@pytest.mark.parametrize("n_nodes", [2, 3, 40])
def test_short_waveforms_and_single_samples(n_nodes):
    gradient = np.zeros((1, n_nodes, 3))
    gradient[0, 1:, 0] = 1e-4
    found = play(girf(np.ones_like), gradient, times=np.array([RASTER_S * (n_nodes - 1)]))
    area = 1e-4 * RASTER_S * (n_nodes - 1.5)
    np.testing.assert_allclose(found.k_per_m, [[[GAMMA * area, 0, 0]]], rtol=1e-12)


@pytest.mark.parametrize("n", [100, 101])
def test_two_sides_are_folded(n):
    f = np.fft.fftshift(np.fft.fftfreq(n, 1e-5))
    response = np.exp(-2j * np.pi * f * 3e-6) / (1 + 2j * np.pi * f * 1e-5)
    half, values = fold(f, np.stack([response, 2 * response]))
    assert half[0] == 0
    assert len(half) == 50 if n == 100 else 51
    truth = np.exp(-2j * np.pi * half * 3e-6) / (1 + 2j * np.pi * half * 1e-5)
    np.testing.assert_allclose(values, [truth, 2 * truth], rtol=1e-12)
    with pytest.raises(InputError, match="fftshift"):
        fold(np.fft.fftfreq(n, 1e-5), response)
    with pytest.raises(InputError, match="conjugates"):
        fold(f, response * np.exp(0.3j))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frequency_hz": F_HZ[::-1]}, "rise from 0"),
        ({"frequency_hz": F_HZ + 1}, "rise from 0"),
        ({"frequency_hz": F_HZ[:5]}, "rise from 0"),
        ({"gradient": np.ones((3, len(F_HZ)))}, "must be"),
        ({"uniform_m": np.full((3, len(F_HZ)), np.nan)}, "finite"),
    ],
)
def test_responses_that_are_none_are_refused(change, message):
    good = {"frequency_hz": F_HZ, "gradient": np.ones((3, 3, len(F_HZ))), "origin": ""}
    with pytest.raises(RecordError, match=message):
        Girf(**{**good, "uniform_m": np.zeros((3, len(F_HZ))), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradient_t_per_m": np.zeros((5, 3))}, "shots, nodes, 3"),
        ({"gradient_t_per_m": np.ones((1, 5, 3))}, "start at 0"),
        ({"gradient_t_per_m": np.full((1, 5, 3), np.nan)}, "finite"),
        ({"raster_s": 0.0}, "raster_s"),
        ({"time_s": np.array([6e-3])}, "within the waveform"),
        ({"time_s": np.array([-1e-6])}, "within the waveform"),
        ({"time_s": np.zeros(0)}, "within the waveform"),
        ({"to_device": np.ones((3, 3))}, "orthonormal"),
    ],
)
def test_contradictions_are_refused(change, message):
    good = {"gradient_t_per_m": waveforms(), "raster_s": RASTER_S, "time_s": TIMES_S}
    good |= {"to_device": np.eye(3), "gamma_hz_per_t": GAMMA}
    with pytest.raises(RecordError, match=message):
        played(girf(np.ones_like), **{**good, **change})
