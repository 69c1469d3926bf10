"""Static, transmit and receive fields, and the delay of the gradients."""

from dataclasses import replace

import numpy as np
import pytest

from phantoms.digital_hand import hands
from ultrahand.phantoms import uniform_coil
from ultrahand.phantoms.digital_hand.cartesian_series import cartesian_scan
from ultrahand.phantoms.digital_hand.fields import _painted, _static, make_fields
from ultrahand.phantoms.digital_hand.painting import paint
from ultrahand.phantoms.digital_hand.protocol import GRADIENT_DELAY_S
from ultrahand.phantoms.digital_hand.series import raw_of
from ultrahand.phantoms.digital_hand.solids import Solid, cut
from ultrahand.phantoms.digital_hand.stack import ellipsoid_mm
from ultrahand.phantoms.digital_hand.subject import Placement, Subject
from ultrahand.phantoms.plates import Plates, Terms

CASES = [
    (1, "healthy", "right"),
    (1, "ssc_severe", "left"),
    pytest.param(1, "healthy", "both", marks=pytest.mark.long),
]


class Perfect:
    """Draws the same whatever it is asked for: no shim (0.0), or all of it (1.0)."""

    def __init__(self, value):
        self.value = value

    def uniform(self, low, high, n):
        del low, high
        return np.full(n, self.value)


def alone(stack, turn=None):
    """Return one solid of water-like muscle as a subject."""
    return Subject(
        sides="right",
        hands={},
        vials=(),
        solids=(Solid(name="one", tissue="muscle", stack=stack),),
        side=("",),
        placement=Placement(rotation=np.eye(3) if turn is None else turn, origin_m=np.zeros(3)),
    )


def demagnetising(m):
    """Return the factor of a prolate ellipsoid along its axis, m times as long as wide.

    Osborn, Phys Rev 1945;67:351, doi:10.1103/PhysRev.67.351.
    """
    root = np.sqrt(m**2 - 1)
    return (m / root * np.log(m + root) - 1) / (m**2 - 1)


ALONG = np.eye(3)
ACROSS = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
"""The frame's z lies along the magnet's y: the solid lies across the field."""


@pytest.mark.parametrize(
    ("long_mm", "turn", "factor"),
    [
        (30.0, ALONG, 1 / 3),
        (60.0, ALONG, demagnetising(3.0)),
        (60.0, ACROSS, 0.5 * (1 - demagnetising(3.0))),
    ],
    ids=["ball", "along the magnet", "across it"],
)
def test_the_field_inside_an_ellipsoid_is_even_and_known(long_mm, turn, factor):
    """``dchi (1/3 - N)`` inside, with Lorentz's sphere; a ball of the same medium feels none.

    Tolerance: voxels of 2.5 mm make the surface rough, 1 %. The solid then takes a cubic along its
    whole axis, ends included, where air is near: 8 %. Its frequency is adjusted: 0 is its mean.
    """
    m = {30.0: 1.0, 60.0: 3.0}[long_mm]
    subject = alone(ellipsoid_mm((0, 0, 0), (long_mm / m, long_mm / m, long_mm)), turn)
    z = np.linspace(-0.6, 0.6, 13) * long_mm * 1e-3
    r = np.stack([0 * z, 0 * z, z], axis=1)
    full_hz = (-9.03 - 0.36) * 42.577478518 * 7.0
    expected = full_hz * (1 / 3 - factor)
    exact = _static(subject, _painted(subject)[0], r, Perfect(0.0))
    np.testing.assert_allclose(exact, expected, rtol=0, atol=0.01 * -full_hz)
    fields = make_fields(subject, Perfect(0.0))
    reduced = fields.off_resonance_hz("1H", np.zeros(13, np.int64), r)
    np.testing.assert_allclose(reduced, 0.0, rtol=0, atol=0.08 * -full_hz)


def in_plates(setting):
    """Return number of solid and place of the plates of all solids, common frame."""
    pieces = cut(setting.subject.solids, 125.0)
    return pieces.solid, pieces.plates.centre_m, pieces.plates.volume_m3


@pytest.mark.parametrize(("seed", "preset", "sides"), CASES)
def test_the_transmit_field_spreads_as_at_7_t(seed, preset, sides):
    setting = hands.setting(seed, preset, sides)
    solid, r, _ = in_plates(setting)
    protons = setting.fields.transmit_at("1H", solid, r)
    sodium = setting.fields.transmit_at("23Na", solid, r)
    assert 0.6 <= protons.min() < 0.75
    assert 1.15 < protons.max() <= 1.3
    assert 0.83 <= sodium.min() < 0.95
    assert 1.02 < sodium.max() <= 1.14


@pytest.mark.parametrize(("seed", "preset", "sides"), CASES)
def test_the_shim_leaves_less_than_one_ppm_of_spread_and_no_mean(seed, preset, sides):
    """What second-order terms cannot take away: fingers in air differ from the palm.

    In fingers along the magnet tissue feels ``dchi / 3``, 3.1 ppm or 930 Hz, in the palm less:
    most of that is shimmed away. The mean is counted on another grid than the one on which the
    frequency was adjusted: voxels at the surface differ, some percent of the spread.
    """
    setting = hands.setting(seed, preset, sides)
    low, high = setting.subject.box_m
    axes = [np.arange(low[i], high[i], 3.1e-3) for i in range(3)]
    number = paint(setting.subject.solids, axes)
    r = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[number >= 0]

    def field_of(fields):
        return fields.off_resonance_hz("1H", number[number >= 0], r)

    one_ppm_hz = 298.0
    left = field_of(setting.fields)
    before = field_of(make_fields(setting.subject, Perfect(0.0)))
    assert abs(left.mean()) < 0.05 * one_ppm_hz
    assert 0.2 * one_ppm_hz < left.std() < 0.8 * one_ppm_hz
    assert left.std() < before.std()


def test_sodium_turns_by_the_ratio_of_the_frequencies():
    setting = hands.setting()
    solid, r, _ = in_plates(setting)
    ratio = 0.26451900  # IUPAC, 23Na to 1H
    protons = setting.fields.off_resonance_hz("1H", solid, r)
    sodium = setting.fields.off_resonance_hz("23Na", solid, r)
    np.testing.assert_allclose(sodium, ratio * protons, rtol=1e-6)
    assert np.abs(protons).max() > 50.0


def test_fields_follow_from_their_seed_alone():
    subject = hands.subject()
    one, two, other = (make_fields(subject, np.random.default_rng(n)) for n in (5, 5, 6))
    np.testing.assert_array_equal(one.static_hz, two.static_hz)
    np.testing.assert_array_equal(one.transmit, two.transmit)
    assert np.abs(one.transmit - other.transmit).max() > 0.01


@pytest.mark.parametrize("size", ["small", "full"])
def test_sixteen_coils_are_independent_over_the_hand(size):
    setting = hands.setting(size=size)
    series = setting.protocol.series[0]
    coils = setting.coils(series)
    assert coils.n_coils == 16
    _, r, _ = in_plates(setting)
    values = coils.values(setting.subject.placement.to_patient(r[::7]))
    assert np.linalg.matrix_rank(values, rtol=1e-5) == 16
    assert np.linalg.matrix_rank(coils.weights, rtol=1e-3) == 16
    np.testing.assert_array_less(0.05, np.sqrt((np.abs(values) ** 2).sum(axis=0)))


def test_one_coil_falls_by_a_third_to_its_ends():
    setting = hands.setting()
    series, _ = hands.series_of(setting.protocol, "sodium")
    coils = setting.coils(series)
    assert coils.n_coils == 1
    subject = setting.subject
    middle = subject.box_m.mean(axis=0)
    scan = cartesian_scan(setting, setting.protocol.series[0], None)
    along = np.array([0.0, 0.0, 0.5 * scan.fov_m[0]])
    points = subject.placement.to_patient(np.stack([middle - along, middle, middle + along]))
    np.testing.assert_allclose(np.abs(coils.values(points)[0]), [0.6, 1.0, 0.6], atol=1e-9)


def test_a_delay_of_the_gradient_turns_the_image_along_read():
    """Samples are taken at ``k - G delay``: a point at x turns by ``2 pi x steps delay / dwell``.

    A small ball is such a point; its own phase without delay is known, as k is.
    """
    setting = hands.setting()
    series, number = hands.series_of(setting.protocol, "t1")
    raw = raw_of(setting, series, number, lambda _: None)
    given = raw.source.noiseless.signals[0][0]
    frame, step = given.grid.frame, given.grid.steps_per_m[0]
    x = 0.07
    plates = Plates(
        centre_m=(given.demodulation_m + x * frame[0])[None],
        span_m=1e-5 * frame[None, 1:],
        weight_m=np.array([1e-5]),
    )
    terms = Terms(
        plate=np.zeros(1, np.int64),
        amplitude=np.ones(1),
        r2star_per_s=np.zeros(1),
        off_resonance_hz=np.zeros(1),
    )
    made = replace(given, plates=plates, terms=terms, coils=uniform_coil())
    line = made.exact_lines(np.array([3]))[0, 0]
    index = np.array(given.grid.read)
    shift = GRADIENT_DELAY_S / series.sample_time_s
    expected = np.exp(-2j * np.pi * (index - shift) * step * x)
    np.testing.assert_allclose(line / np.abs(line), expected, atol=1e-6)
