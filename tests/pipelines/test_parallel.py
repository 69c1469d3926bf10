"""SENSE and GRAPPA from raw data to an image: sorting, calibration, blocks, refusals."""

import dataclasses
import functools

import numpy as np
import pytest

from making import only_magnitude, planned, volumes
from ultrahand.errors import InputError, ResourceError, UsageError
from ultrahand.phantoms import (
    CartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
    uniform_coil,
)
from ultrahand.pipelines import Method, Parts
from ultrahand.records import RawData

FOV = (0.12, 0.1, 0.08)
FINGERS = five_fingers(FOV)
COILS = 8
SD = 4e-8
"""Of a sample's real part: signal of some 60 times the noise."""


def scan(**changes):
    settings = {
        "matrix": (40, 36, 28),
        "fov_m": FOV,
        "dimension": 3,
        "acceleration": (2, 2),
        "calibration_lines": (16, 14),
    }
    return CartesianScan(**(settings | changes))


def flat(**changes):
    settings = {
        "matrix": (48, 44, 1),
        "fov_m": (0.12, 0.1, 0.004),
        "dimension": 2,
        "acceleration": (2, 1),
        "calibration_lines": (16, 0),
    }
    return CartesianScan(**(settings | changes))


def measured(the_scan, seed=0, coils=COILS, sd=SD):
    rng = np.random.default_rng(seed)
    noise = ThermalNoise(
        covariance=random_covariance(np.random.default_rng(5), coils, 2 * sd**2), n_readouts=64
    )
    the_scan = dataclasses.replace(the_scan, noise=noise)
    return simulate(
        FINGERS, smooth_coils(coils, FOV) if coils > 1 else uniform_coil(), the_scan, rng
    )


def full(the_scan):
    return dataclasses.replace(the_scan, acceleration=(1, 1), calibration_lines=(0, 0))


def relative_error(image, reference):
    return np.linalg.norm(image - reference) / np.linalg.norm(reference)


@functools.cache
def reference(number):
    """The image of a fully sampled scan with a hundredth of the noise, through the same maps."""
    quiet = measured(full(SCANS[number][0]), sd=SD / 100)
    return only_magnitude(quiet, method="sense").values / 100


SCANS = [
    (scan(), 0.04),
    (scan(matrix=(39, 35, 27)), 0.04),
    (scan(phase_oversampling=0.4, slice_oversampling=0.3), 0.04),
    (scan(calibration_mode="separate"), 0.04),
    (scan(acceleration=(3, 1), calibration_lines=(16, 0)), 0.04),
    (scan(averages=2), 0.04),
    (flat(), 0.01),
    (flat(n_slices=3), 0.01),
]


@pytest.mark.parametrize(
    "number",
    range(len(SCANS)),
    ids=["3D", "odd", "oversampled", "separate", "3 x 1", "averages", "2D", "slices"],
)
@pytest.mark.parametrize("method", ["sense", "grappa"])
def test_missing_lines_are_filled(number, method):
    """Where there is signal the image is the fully sampled one; zeros in place of lines alias.

    In 3D a voxel has 110 times the noise of full sampling; a third of the lines and a g-factor near
    1.2 make 2 %. So small a matrix calibrates maps to 1 or 2 %, weights to 2 %; together 3.5 %. In
    2D the signal is 6,000 times the noise and what is left is the calibration, below 1 %.
    """
    (the_scan, worst), expected = SCANS[number], reference(number)
    bright = expected > 0.3 * expected.max()
    filled = only_magnitude(measured(the_scan, 1), method=method).values
    zeros = only_magnitude(measured(the_scan, 1), method="fft").values
    error = relative_error(filled[bright], expected[bright])
    assert 1 / expected[bright].max() < error < worst  # below the noise would be no measurement
    assert relative_error(zeros[bright], expected[bright]) > 3 * error


def test_auto_takes_sense_where_lines_are_missing_and_says_so():
    plan = planned(measured(scan()))
    encoding = plan.encodings[0]
    assert (encoding.method, encoding.undersampled) == (Method.SENSE, False)
    found = {finding.field: finding for finding in plan.findings}
    assert found["method"].found == "sense: lines are missing, one of 4 is there"
    assert found["missing lines"].remedy == "filled by sense"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (lambda: measured(scan(), coils=1), "one channel"),
        (lambda: measured(scan(calibration_lines=(4, 4))), "fully sampled lines"),
    ],
    ids=["one coil", "few lines"],
)
def test_what_coils_cannot_fill_stays_zero_or_is_refused(raw, why):
    plan = planned(raw())
    assert plan.encodings[0].method is Method.FFT
    assert plan.encodings[0].undersampled
    assert why in plan.encodings[0].reason
    with pytest.raises(InputError, match=why):
        planned(raw(), method="sense")


def test_a_declared_acceleration_that_is_not_the_lines_is_told():
    raw = measured(scan())
    (encoding,) = raw.header.encodings
    header = dataclasses.replace(
        raw.header, encodings=(dataclasses.replace(encoding, acceleration=(3, 1)),)
    )
    wrong = RawData(header=header, readouts=raw.readouts, source=raw.source)
    fields = [finding.field for finding in planned(wrong).findings]
    assert "parallelImaging accelerationFactor" in fields
    assert "parallelImaging accelerationFactor" not in [f.field for f in planned(raw).findings]


def test_grappa_refuses_lines_on_no_lattice():
    raw = measured(scan())
    rng = np.random.default_rng(3)
    keep = rng.random(len(raw.readouts)) < 0.7
    centre = np.abs(raw.readouts["kspace_encode_step_1"] - 18) < 8
    centre &= np.abs(raw.readouts["kspace_encode_step_2"] - 14) < 7
    rows = np.flatnonzero(keep | centre | (raw.readouts["flags"] != 0))
    some = RawData(
        header=raw.header,
        readouts=raw.readouts[rows],
        source=type(raw.source)(data=tuple(raw.source.data[i] for i in rows)),
    )
    assert planned(some).encodings[0].method is Method.SENSE
    with pytest.raises(InputError, match="lattice"):
        planned(some, method="grappa")


@pytest.mark.parametrize("method", ["sense", "grappa"])
def test_threads_do_not_change_a_bit(method):
    raw = measured(scan())
    one, two = (volumes(raw, method=method, threads=n, parts=Parts.COMPLEX)[0][2] for n in (1, 2))
    for name, image in one.items():
        np.testing.assert_array_equal(image.values, two[name].values)
        np.testing.assert_array_equal(image.standard_error, two[name].standard_error)


def test_without_noise_readouts_the_unit_is_that_of_the_samples():
    """The weight of the data is estimated from them; scale and image stay."""
    raw = measured(scan())
    known = only_magnitude(raw, method="sense")
    rng_scale = 7e3
    data = tuple(np.complex64(rng_scale) * d for d in raw.source.data)
    loud = RawData(header=raw.header, readouts=raw.readouts, source=type(raw.source)(data=data))
    plain = only_magnitude(raw, method="sense", whiten=False)
    louder = only_magnitude(loud, method="sense", whiten=False)
    assert plain.standard_error is None
    assert plain.unit == "arbitrary"
    np.testing.assert_allclose(
        louder.values, rng_scale * plain.values, rtol=1e-3, atol=1e-5 * louder.values.max()
    )
    bright = known.values > 0.3 * known.values.max()
    ratio = plain.values[bright] / known.values[bright]
    # Coils of unequal noise are weighted otherwise; SD is the root mean square of them.
    assert np.median(ratio) == pytest.approx(SD, rel=0.3)


def test_phase_is_smooth_and_the_object_s_own():
    """Both methods weigh coils by the same maps, so their phases agree within the noise."""
    raw = measured(scan(), sd=SD / 10)
    parts = [volumes(raw, method=m, parts=Parts.COMPLEX)[0][2] for m in ("sense", "grappa")]
    first, second = (p["real"].values + 1j * p["imag"].values for p in parts)
    bright = np.abs(first) > 0.3 * np.abs(first).max()
    turn = np.angle(first[bright] * second[bright].conj())
    assert np.abs(turn).max() < 0.1
    assert np.std(np.angle(first[bright])) < 0.5  # the object is real, the virtual coil is smooth


@pytest.mark.parametrize(
    "options",
    [
        {"method": "sense", "prior": "tv"},
        {"method": "sense", "prior_weight": 2.0},
        {"method": "sense", "combine": "rss"},
        {"method": "grappa", "partial_fourier": "pocs"},
    ],
    ids=" ".join,
)
def test_options_that_would_be_left_out_are_refused(options):
    with pytest.raises(UsageError, match="--"):
        planned(measured(scan()), **options)


def test_what_does_not_fit_is_refused_before_work():
    raw = measured(scan())
    for method in ("sense", "grappa"):
        with pytest.raises(ResourceError, match="calibration"):
            volumes(raw, method=method, max_memory=10**6)
