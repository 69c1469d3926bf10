"""Plates on a Cartesian grid, all at once, against the direct sum."""

import numpy as np
import pytest

from phantoms.plates_at_hand import random_plates, random_terms, turned
from ultrahand.errors import RecordError
from ultrahand.phantoms import smooth_coils
from ultrahand.phantoms.cartesian_signal import CartesianSignal, Timing
from ultrahand.phantoms.direct_signal import direct_signal
from ultrahand.phantoms.kaiser_bessel import KaiserBessel
from ultrahand.phantoms.plate_stack import KERNEL, MAX_DECAY
from ultrahand.phantoms.signal import Grid

POINT_M = np.array([0.02, -0.01, 0.03])
FOV_M = np.array([0.2, 0.17, 0.15])


def scanned(rng, normals, **timing):
    """A small object, and the oblique odd grid that it is seen on."""
    frame = turned(rng)
    n_plates = 48 if normals != (3,) else 6
    plates = random_plates(rng, n_plates, frame, normals=normals, extent_m=0.08, point_m=POINT_M)
    phase, part = np.meshgrid(np.arange(-7, 6), np.arange(-2, 3), indexing="ij")
    return CartesianSignal(
        plates=plates,
        terms=random_terms(rng, 3 * n_plates, n_plates),
        coils=smooth_coils(3, (0.2, 0.17, 0.15)),
        grid=Grid(
            steps_per_m=1 / FOV_M,
            frame=frame,
            read=range(-10, 23),
            lines=np.stack([phase.ravel(), part.ravel()], axis=1),
        ),
        timing=Timing(echo_time_s=3e-3, sample_time_s=2e-5, **timing),
        demodulation_m=POINT_M,
    )


def directly(signal, numbers):
    """The same lines as a direct sum, from the definition of the grid."""
    read = np.array(signal.grid.read)
    k = np.empty((len(numbers), len(read), 3))
    k[..., 0] = read / FOV_M[0] + signal.timing.read_shift_per_m
    k[..., 1:] = (signal.grid.lines[numbers] / FOV_M[1:])[:, None]
    since_echo = read * signal.timing.sample_time_s * (-1 if signal.timing.reverse else 1)
    return direct_signal(
        signal.plates,
        signal.terms,
        signal.coils,
        k @ signal.grid.frame,
        signal.timing.echo_time_s + since_echo,
        demodulation_m=POINT_M,
    )


@pytest.mark.parametrize("timing", [{}, {"reverse": True}, {"read_shift_per_m": 1.7}])
@pytest.mark.parametrize("normals", [(0,), (1,), (2,), (3,), (0, 1, 2, 3)])
def test_the_grid_agrees_with_the_direct_sum(normals, timing, rng):
    signal = scanned(rng, normals, **timing)
    numbers = rng.permutation(len(signal.grid.lines))[:31]
    expected = directly(signal, numbers)
    largest = np.abs(expected).max()
    # Sources err by 2e-10 each at the largest decay of a group (plate_stack.MAX_DECAY).
    exact = signal.exact_lines(numbers)
    np.testing.assert_allclose(exact, expected, rtol=0, atol=2e-9 * largest)
    # complex64 keeps 24 bits of each part: 6e-8 of its size.
    np.testing.assert_allclose(signal.lines(numbers), expected, rtol=0, atol=1e-7 * largest)


def test_decays_far_apart_make_groups(rng):
    signal = scanned(rng, (0,))
    h = 2 * np.pi / signal.stacks[0].cells
    spread = np.ptp(signal.terms.r2star_per_s) * signal.timing.sample_time_s / h
    assert len(signal.stacks[0].sources) == np.ceil(spread / (2 * MAX_DECAY)) >= 1


@pytest.mark.parametrize(("imaginary", "bound"), [(0.0, 3e-12), (MAX_DECAY, 4e-10)])
def test_the_kernel_carries_complex_angles(imaginary, bound, rng):
    n, h = np.arange(-50, 51), 2 * np.pi / 202
    for real in rng.uniform(0, 202, 20):
        at = real + 1j * imaginary
        cell = int(np.ceil(real - KERNEL.width / 2)) + np.arange(KERNEL.width)
        values = KERNEL.values((cell - at) / (KERNEL.width / 2))
        made = np.exp(-1j * h * np.outer(n, cell)) @ values / KERNEL.transform(n * h)
        np.testing.assert_allclose(made, np.exp(-1j * h * n * at), rtol=bound)


def test_the_kernel_s_pieces_are_its_values():
    kernel, f = KaiserBessel(7), np.linspace(0, 1, 9)
    powers = np.vander(f - 0.5, 11, increasing=True)
    made = kernel.pieces(10) @ powers.T
    at = (np.arange(7)[:, None] + f - 3.5) / 3.5
    np.testing.assert_allclose(made, kernel.values(at), atol=1e-9 * made.max())


def test_threads_do_not_change_bits(rng):
    signal = scanned(rng, (0, 1, 2))
    parts = {name: getattr(signal, name) for name in ("plates", "terms", "coils", "grid", "timing")}
    other = CartesianSignal(**parts, demodulation_m=POINT_M, threads=2)
    numbers = np.arange(len(signal.grid.lines))
    np.testing.assert_array_equal(signal.lines(numbers), other.lines(numbers))


def test_time_courses_are_refused(rng):
    signal = scanned(rng, (0,))
    terms = random_terms(rng, 20, 48, n_curves=1)
    with pytest.raises(RecordError, match="there are 0"):
        CartesianSignal(
            plates=signal.plates,
            terms=terms,
            coils=signal.coils,
            grid=signal.grid,
            timing=signal.timing,
            demodulation_m=POINT_M,
        )
