"""Every series' noiseless samples against the direct sum at positions worked out apart from it."""

from dataclasses import replace
from functools import cache
from math import radians
from typing import NamedTuple

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from phantoms.digital_hand import hands
from ultrahand.phantoms.digital_hand.courses import make_courses
from ultrahand.phantoms.digital_hand.dynamic_series import arrivals_of
from ultrahand.phantoms.digital_hand.magnetisation import Sample
from ultrahand.phantoms.digital_hand.protocol import AGENT_S, GRADIENT_DELAY_S, Series
from ultrahand.phantoms.digital_hand.series import raw_of
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.direct_signal import direct_signal
from ultrahand.physics.steady_state import spoiled_gradient_echo
from ultrahand.physics.transmit_field import actual_flip_angle_signals
from ultrahand.recon.trajectories import Prescription, design_density_adapted
from ultrahand.records import RawData

N_NOISE = 64
SETTING = {"preset": "ssc_severe", "sides": "right"}
"""Lesions of every kind; the fields are those of the subject."""
FEWER = {"sodium": 40, "sodium_b1": 40, "dynamic": 600}
"""Spokes of ``full`` in these tests: what a sample is does not depend on how many there are."""
SIZES = ["tiny", *(pytest.param(size, marks=pytest.mark.long) for size in ("small", "full"))]


def setting_of(size):
    """Return the setting of a size, with fewer spokes in ``full``."""
    setting = hands.setting(**SETTING, size=size)
    if size != "full":
        return setting
    series = tuple(
        replace(one, n_spokes=FEWER[one.name]) if one.name in FEWER else one
        for one in setting.protocol.series
    )
    return replace(setting, protocol=replace(setting.protocol, series=series))


class Measured(NamedTuple):
    setting: Setting
    series: Series
    raw: RawData
    sample: Sample

    @property
    def scan(self):
        return self.raw.source.scan

    @property
    def noiseless(self):
        return self.raw.source.noiseless

    @property
    def imaging(self):
        return self.raw.readouts[N_NOISE:]

    def direct(self, k, time_s, terms):
        """Sum directly; k along read, phase and slice, ``(shots, samples, 3)``."""
        scan = self.scan
        return direct_signal(
            self.sample.plates,
            terms,
            self.setting.coils(self.series),
            k @ np.array([scan.read_dir, scan.phase_dir, scan.slice_dir]),
            time_s,
            demodulation_m=np.array(scan.position_mm) * 1e-3,
            threads=2,
        )


@pytest.fixture(scope="module")
def measured():
    """Return a series of an examination with its source of samples, each made once."""

    @cache
    def of(name, size="tiny"):
        setting = setting_of(size)
        series, number = hands.series_of(setting.protocol, name)
        raw = raw_of(setting, series, number, lambda _: None)
        return Measured(setting, series, raw, setting.sample(series))

    return of


def spoiled(flip_deg, tr_s):
    return lambda t1, b: spoiled_gradient_echo(radians(flip_deg), tr_s, t1, transmit=b)


def excitation(series, which):
    """Return the signal equation of a set."""
    if not getattr(series, "actual_flip", False):
        tr_s = series.tr_s[0] if isinstance(series.tr_s, tuple) else series.tr_s
        return spoiled(series.flips_deg[which], tr_s)
    return lambda t1, b: actual_flip_angle_signals(radians(60.0), (20e-3, 100e-3), t1, transmit=b)[
        which
    ]


@pytest.mark.parametrize("name", ["morphology", "multiecho", "t1", "b1"])
def test_cartesian_series_are_the_direct_sum(name, measured, rng):
    one = measured(name)
    series, scan = one.series, one.scan
    n = scan.encoded_matrix[0]
    index = np.arange(n) - n // 2
    rows = rng.choice(len(one.imaging), 3, replace=False)
    steps = ["kspace_encode_step_1", "kspace_encode_step_2"]
    middle = np.array([scan.matrix[1] // 2, scan.matrix[2] // 2])
    central = (np.stack([one.imaging[s] for s in steps], axis=1) == middle).all(axis=1)
    rows[0] = np.flatnonzero(central)[-1]  # of the last set and echo
    largest = np.abs(one.noiseless.samples(one.imaging[rows])).max()
    for row in one.imaging[rows]:
        k = np.zeros((1, n, 3))
        # A sample that is prescribed at k is taken a delay earlier on its way.
        k[0, :, 0] = (index - GRADIENT_DELAY_S / series.sample_time_s) / scan.encoded_fov_m[0]
        k[0, :, 1:] = [
            (int(row[s]) - m) / f for s, m, f in zip(steps, middle, scan.fov_m[1:], strict=True)
        ]
        time_s = series.echo_times_s[row["contrast"]] + index * series.sample_time_s
        expected = one.direct(k, time_s, one.sample.terms(excitation(series, row["set"])))[0]
        signal = one.noiseless.signals[row["set"]][row["contrast"]]
        found = signal.exact_lines(scan.line_numbers(np.array([row])))[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * largest)
        # What is written is that in single precision.
        written = one.noiseless.samples(np.array([row]))[0]
        np.testing.assert_allclose(written, expected, rtol=0, atol=2e-7 * largest)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["sodium", "sodium_b1"])
def test_sodium_series_keep_the_tolerance_they_ask_for(name, size, measured, rng):
    one = measured(name, size)
    series, values = one.series, one.noiseless.values
    spokes = rng.choice(series.n_spokes, 3, replace=False)
    some = np.sort(rng.choice(one.scan.n_samples, 60, replace=False))
    late = played(one, GRADIENT_DELAY_S)[spokes][:, some]
    for set_ in range(len(series.flips_deg)):
        terms = one.sample.terms(excitation(series, set_))
        for contrast, echo_s in enumerate(series.echo_times_s):
            expected = one.direct(late, echo_s + some * series.sample_time_s, terms)
            found = values[set_, contrast][spokes][..., some]
            assert (
                np.abs(found - expected).max()
                <= one.setting.protocol.tolerance * np.abs(values).max()
            )


def played(one, delay_s):
    """Return the spokes as they are played a delay later: the gradient's integral, piece by piece.

    The gradient is linear between its raster points; its primitive is a sum of parabolas.
    """
    series = one.series
    design = design_density_adapted(
        Prescription(
            voxel_size_m=series.voxel_m,
            fov_m=one.scan.fov_m[0],
            sample_time_s=series.sample_time_s,
            nucleus="23Na",
        ),
        readout_s=series.readout_s,
        n_shots=series.n_spokes,
    )
    gradient = design.gradient_t_per_m()
    raster_s = 10e-6
    nodes = raster_s * np.arange(gradient.shape[1])
    primitive = make_interp_spline(nodes, gradient, k=1, axis=1).antiderivative()
    at = np.maximum(np.arange(one.scan.n_samples) * series.sample_time_s - delay_s, 0.0)
    gamma_hz_per_t = 42.577478518e6 * 0.26451900  # the sodium nucleus' over the proton's: IUPAC
    return gamma_hz_per_t * (primitive(at) - primitive(0.0)[:, None])


def test_the_file_holds_what_was_prescribed_without_delay(measured):
    one = measured("sodium")
    np.testing.assert_allclose(one.scan.k_per_m, played(one, 0.0), rtol=0, atol=1e-4)
    # A delay of 1.5 us at the steepest gradient: the files' positions are off by that much.
    late = np.linalg.norm(one.scan.k_per_m - played(one, GRADIENT_DELAY_S), axis=2)
    assert 0.05 < late.max() < 5.0


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("size", SIZES)
def test_the_dynamic_series_keeps_its_tolerance_with_all_its_courses(size, measured, rng):
    """Spokes at different times, partitions, vessels that fill and tissue that enhances."""
    one = measured("dynamic", size)
    series, scan, values = one.series, one.scan, one.noiseless.values[0, 0]
    n, n_spokes = scan.matrix[2], len(scan.k_per_m)
    times = (np.arange(n_spokes) * n + 0.5 * (n - 1)) * series.tr_s + series.echo_time_s - AGENT_S
    courses = make_courses(
        one.setting.subject,
        one.setting.fields,
        arrivals_of(one.setting.subject),
        times,
        flip_rad=radians(series.flip_deg),
        tr_s=series.tr_s,
        te_s=series.echo_time_s,
    )
    assert len(courses.functions) >= 6
    centre = scan.n_samples // 2
    step = scan.k_per_m[:, centre + 1] - scan.k_per_m[:, centre]
    passed = np.arange(scan.n_samples) - centre
    for spoke in (3, 211, n_spokes - 1):
        # One spoke at a time needs no curves: the factors of its time scale the solids.
        factor = 1.0 + courses.weights @ courses.functions[:, spoke]
        terms = one.sample.terms(spoiled(series.flip_deg, series.tr_s), scale=factor)
        partition = int(rng.integers(n))
        k = np.zeros((1, scan.n_samples, 3))
        k[0, :, :2] = (passed - GRADIENT_DELAY_S / series.sample_time_s)[:, None] * step[spoke]
        k[0, :, 2] = (partition - n // 2) / scan.fov_m[2]
        time_s = series.echo_time_s + passed * series.sample_time_s
        expected = one.direct(k, time_s, terms)[0]
        error = np.abs(values[spoke * n + partition] - expected).max()
        assert error <= 1e-3 * np.abs(values).max()


def test_the_order_of_lines_does_not_matter(measured, rng):
    one = measured("morphology")
    rows = one.imaging[rng.permutation(len(one.imaging))[:30]]
    together = one.noiseless.samples(rows)
    for n in (0, 11, 29):
        single = one.noiseless.samples(rows[n : n + 1])[0]
        np.testing.assert_allclose(together[n], single, rtol=0, atol=1e-7 * np.abs(together).max())
