from dataclasses import replace

import numpy as np
import pytest

from ultrahand.errors import RecordError
from ultrahand.phantoms import (
    CartesianScan,
    Ellipsoid,
    GaussianBead,
    Slice,
    ThermalNoise,
    geometry_of,
    simulate,
    smooth_coils,
    transform,
    truth,
    uniform_coil,
)
from ultrahand.records import kinds_of
from ultrahand.records.readouts import REVERSE_FLAG, has

OBLIQUE = {
    "read_dir": (0.36, 0.48, -0.8),
    "phase_dir": (-0.8, 0.6, 0.0),
    "slice_dir": (0.48, 0.64, 0.6),
    "position_mm": (4.0, -7.5, 11.25),
}
LEFT_HANDED = OBLIQUE | {"slice_dir": (-0.48, -0.64, -0.6)}
FOV_M = (0.16, 0.2, 0.12)
COILS = smooth_coils(3, (0.16, 0.2, 0.12))
OBJECTS = (
    Ellipsoid(
        centre_m=np.array([0.012, -0.02, 0.01]),
        semi_axes_m=np.array([0.05, 0.03, 0.06]),
        density=1.0,
    ),
    Ellipsoid(
        centre_m=np.array([0.002, 0.02, 0.015]),
        semi_axes_m=np.array([0.02, 0.03, 0.04]),
        axes=np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]),
        density=0.7,
        r2star_per_s=40.0,
        off_resonance_hz=90.0,
    ),
    GaussianBead(
        centre_m=np.array([-0.01, -0.015, 0.002]),
        sigma_m=0.012,
        density=2.0,
        off_resonance_hz=-35.0,
    ),
)
VOLUME = CartesianScan(matrix=(8, 7, 5), fov_m=FOV_M, dimension=3, sample_time_s=1e-4)
STACK = CartesianScan(
    matrix=(8, 7, 1), fov_m=(0.16, 0.2, 0.01), dimension=2, n_slices=5, slice_gap_m=0.002
)

SCANS = {
    "even": replace(VOLUME, matrix=(8, 6, 4)),
    "odd": replace(VOLUME, matrix=(7, 5, 3)),
    "oblique": replace(VOLUME, **OBLIQUE),
    "left-handed": replace(VOLUME, **LEFT_HANDED),
    "oversampled": replace(
        VOLUME, readout_oversampling=2.0, phase_oversampling=0.3, slice_oversampling=0.4
    ),
    "early-echo": replace(VOLUME, readout_oversampling=2.0, partial_echo=(5, 0)),
    "late-echo": replace(VOLUME, partial_echo=(0, 2), **OBLIQUE),
    "partial-start": replace(VOLUME, partial_fourier_1=(2, 0), partial_fourier_2=(1, 0)),
    "partial-end": replace(VOLUME, partial_fourier_1=(0, 2), partial_fourier_2=(0, 2)),
    "discards": replace(VOLUME, discard_pre=3, discard_post=2),
    "reversed": replace(VOLUME, reversed_readouts="lines", discard_pre=2, partial_echo=(1, 0)),
    "reversed-odd": replace(VOLUME, matrix=(7, 6, 2), reversed_readouts="lines"),
    "reversed-siemens": replace(
        VOLUME, reversed_readouts="lines", reversed_convention="siemens", partial_echo=(0, 1)
    ),
    "bipolar": replace(VOLUME, reversed_readouts="contrasts", echo_times_s=(2e-3, 5e-3, 8e-3)),
    "siemens": replace(VOLUME, vendor="SIEMENS", reversed_readouts="lines", partial_echo=(2, 0)),
    "repeated": replace(VOLUME, repetitions=2, sets=2, averages=2, last_average_lines=(2, 5)),
    "accelerated": replace(
        VOLUME, matrix=(8, 12, 8), acceleration=(3, 2), calibration_lines=(4, 3)
    ),
    "slices": replace(STACK, **OBLIQUE),
    "slices-siemens": replace(STACK, vendor="SIEMENS", slice_order="interleaved"),
    "slices-scrambled": replace(STACK, slice_order="scrambled", **LEFT_HANDED),
}


def expected_readout(scan, raw, row):
    """Follow the file's header to one readout's k-space, object by object and wave by wave."""
    head, encoding = raw.readouts[row], raw.header.encodings[0]
    n = np.arange(head["discard_pre"], head["number_of_samples"] - head["discard_post"])
    position = n - head["center_sample"]
    siemens = scan.reversed_convention == "siemens" or raw.header.vendor == "SIEMENS"
    if has(head["flags"], REVERSE_FLAG):
        position = -1 - position if siemens else -position
    steps = [
        head[f"kspace_encode_step_{axis}"] - encoding.limits[f"kspace_encoding_step_{axis}"].center
        for axis in (1, 2)
    ]
    k_scan = np.stack(np.broadcast_arrays(position, *steps), axis=1) / encoding.encoded.fov_m
    axes = np.array([scan.read_dir, scan.phase_dir, scan.slice_dir])
    k = k_scan @ axes
    at = head["position_mm"].astype(float) * 1e-3
    where = Slice(
        position_m=at, read_dir=axes[0], phase_dir=axes[1], thickness_m=encoding.recon.fov_m[2]
    )
    time_s = (
        raw.header.echo_times_s[head["contrast"]] + (n - n[position == 0]) * head["sample_time_s"]
    )
    total = np.zeros((COILS.n_coils, len(n)), complex)
    for item in OBJECTS:
        part = item if scan.dimension == 3 else item.section(where)
        if part is None:
            continue
        decay = np.exp((-item.r2star_per_s - 2j * np.pi * item.off_resonance_hz) * time_s)
        for wave, weight in zip(COILS.waves_per_m, COILS.weights.T, strict=True):
            total += weight[:, None] * transform(part, k - wave) * decay
    total *= np.exp(2j * np.pi * k @ at)
    return total.conj() if raw.header.vendor == "SIEMENS" else total


@pytest.mark.parametrize("name", SCANS)
def test_every_sample_is_what_the_header_says(name, rng):
    scan = SCANS[name]
    raw = simulate(OBJECTS, COILS, scan, rng)
    rows = range(0, len(raw.readouts), max(1, len(raw.readouts) // 40))
    expected = [expected_readout(scan, raw, row) for row in rows]
    largest = max(np.abs(line).max() for line in expected)
    for row, line in zip(rows, expected, strict=True):
        head = raw.readouts[row]
        stored = raw.source.samples(np.array([row]))[:, 0]
        assert stored.shape[1] == head["number_of_samples"]
        kept = stored[:, head["discard_pre"] : stored.shape[1] - head["discard_post"]]
        # Single precision, 19 waves; the header's positions are single precision too.
        np.testing.assert_allclose(kept, line, rtol=0, atol=3e-6 * largest)


def image_of(raw, scan):
    """Invert a complete scan with one coil: centred sums over k, cut to the image."""
    matrix = scan.encoded_matrix
    k_space = np.zeros((scan.n_slices, *reversed(matrix)), complex)
    for row, head in enumerate(raw.readouts):
        at = (head["slice"], head["kspace_encode_step_2"], head["kspace_encode_step_1"])
        k_space[at] = raw.source.samples(np.array([row]))[0, 0]
    axes = (1, 2, 3)
    image = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(k_space, axes), axes=axes), axes)
    image *= np.prod(matrix) / np.prod(scan.encoded_fov_m[: scan.dimension])
    for axis, (n, full) in enumerate(zip(scan.matrix, matrix, strict=True)):
        image = image.take(np.arange(n) + full // 2 - n // 2, axis=3 - axis)
    return image[0] if scan.dimension == 3 else image[:, 0]


IMAGED = {
    "even": {"matrix": (40, 42, 38)},
    "odd": {"matrix": (41, 39, 37)},
    "oversampled": {
        "matrix": (41, 40, 40),
        "readout_oversampling": 2.0,
        "phase_oversampling": 0.25,
        "slice_oversampling": 0.2,
    },
}


@pytest.mark.parametrize("frame", [OBLIQUE, LEFT_HANDED], ids=["right", "left"])
@pytest.mark.parametrize("name", IMAGED)
def test_the_image_of_a_volume_is_the_truth_at_voxel_centres(name, frame, rng):
    scan = CartesianScan(fov_m=(0.2, 0.21, 0.19), dimension=3, **IMAGED[name], **frame)
    at = np.array(frame["position_mm"]) * 1e-3 + (0.009, -0.006, 0.004)
    items = [
        GaussianBead(centre_m=at, sigma_m=0.0095, density=1.0),
        GaussianBead(centre_m=at - (0.002, 0.012, 0.011), sigma_m=0.0095, density=0.5),
    ]
    image = image_of(simulate(items, uniform_coil(), scan, rng), scan)
    # Cut off at half a cycle per voxel of 5.4 mm the bead loses exp(-2 (pi 9.5e-3 93)^2) = 2e-7;
    # copies of it lie a field of view away, 8 sigma beyond the edge.
    np.testing.assert_allclose(image, truth(items, geometry_of(scan)), rtol=0, atol=3e-6)


def test_the_images_of_slices_are_the_truth_averaged_over_their_thickness(rng):
    scan = CartesianScan(
        matrix=(41, 38, 1),
        fov_m=(0.2, 0.19, 0.004),
        dimension=2,
        n_slices=6,
        slice_gap_m=0.003,
        **OBLIQUE,
    )
    at = np.array(scan.position_mm) * 1e-3 + (0.004, -0.006, 0.003)
    item = GaussianBead(centre_m=at, sigma_m=0.0095, density=1.0)
    image = image_of(simulate([item], uniform_coil(), scan, rng), scan)
    offsets, weights = np.polynomial.legendre.leggauss(8)
    mean = 0.0
    for offset, weight in zip(offsets * 2.0, weights / 2, strict=True):
        moved = replace(
            scan, position_mm=tuple(scan.position_mm + offset * np.array(scan.slice_dir))
        )
        mean = mean + weight * truth([item], geometry_of(moved))
    np.testing.assert_allclose(image, mean, rtol=0, atol=3e-6)


def test_reversed_lines_hold_the_same_numbers_in_the_other_order(rng):
    still = [OBJECTS[0]]
    forward = replace(VOLUME, partial_echo=(2, 0))
    plain = simulate(still, COILS, forward, rng)
    for convention, centre in (("documented", 3), ("siemens", 4)):
        scan = replace(forward, reversed_readouts="lines", reversed_convention=convention)
        raw = simulate(still, COILS, scan, rng)
        odd = np.flatnonzero(raw.readouts["kspace_encode_step_1"] % 2 == 1)
        even = np.flatnonzero(raw.readouts["kspace_encode_step_1"] % 2 == 0)
        assert has(raw.readouts["flags"], REVERSE_FLAG)[odd].all()
        assert not has(raw.readouts["flags"], REVERSE_FLAG)[even].any()
        turned = raw.source.samples(odd)[..., ::-1]
        np.testing.assert_array_equal(turned, plain.source.samples(odd))
        np.testing.assert_array_equal(raw.source.samples(even), plain.source.samples(even))
        # 6 samples k = -2 ... 3: read backwards k = 0 comes fourth, Siemens notes the next one.
        assert set(raw.readouts["center_sample"][odd]) == {centre}
        assert set(raw.readouts["center_sample"][even]) == {2}


def test_a_siemens_file_holds_the_conjugate_and_its_own_ticks():
    ours = simulate(OBJECTS, COILS, VOLUME, np.random.default_rng(1))
    theirs = simulate(OBJECTS, COILS, replace(VOLUME, vendor="SIEMENS"), np.random.default_rng(1))
    rows = np.arange(len(ours.readouts))
    np.testing.assert_array_equal(theirs.source.samples(rows), ours.source.samples(rows).conj())
    stamps = [raw.readouts["acquisition_time_stamp"].astype(float) for raw in (ours, theirs)]
    np.testing.assert_allclose(np.diff(stamps[0]) * 1e-3, VOLUME.repetition_time_s)
    np.testing.assert_allclose(np.diff(stamps[1]) * 2.5e-3, VOLUME.repetition_time_s)
    assert set(theirs.readouts["user"][:, 5]) == {3}
    assert set(theirs.readouts["user"][:, 6]) == {2}


def test_interleaved_sets_take_the_same_shots_in_turn():
    apart = replace(VOLUME, sets=2, repetitions=2, echo_times_s=(3e-3, 7e-3), acceleration=(2, 1))
    inside = replace(apart, interleaved_tr_s=(20e-3, 100e-3))
    raws = [simulate(OBJECTS, COILS, s, np.random.default_rng(1)) for s in (apart, inside)]
    table = raws[1].readouts
    shot = np.arange(len(table)) // 2
    np.testing.assert_array_equal(table["contrast"], np.arange(len(table)) % 2)
    np.testing.assert_array_equal(table["set"], shot % 2)
    begin_ms = 120 * (shot // 2) + 20 * (shot % 2) + np.array([3, 7])[table["contrast"]]
    np.testing.assert_array_equal(table["acquisition_time_stamp"] - 36_000_000, begin_ms)
    names = ["repetition", "set", "kspace_encode_step_2", "kspace_encode_step_1", "contrast"]
    orders = [np.argsort(raw.readouts[names], order=names) for raw in raws]
    one, other = (raw.readouts[names][o] for raw, o in zip(raws, orders, strict=True))
    np.testing.assert_array_equal(one, other)
    data = [raw.source.samples(o) for raw, o in zip(raws, orders, strict=True)]
    np.testing.assert_array_equal(data[0], data[1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sets": 3}, "one time for each of 3 sets"),
        ({"sets": 2, "calibration_mode": "separate"}, "calibrate within"),
    ],
)
def test_sets_that_cannot_interleave_are_refused(changes, words):
    with pytest.raises(RecordError, match=words):
        replace(VOLUME, interleaved_tr_s=(20e-3, 100e-3), **changes)


def test_contrasts_decay_and_turn_between_echoes(rng):
    item = replace(OBJECTS[1], r2star_per_s=25.0, off_resonance_hz=60.0)
    scan = replace(VOLUME, echo_times_s=(3e-3, 7e-3))
    raw = simulate([item], COILS, scan, rng)
    first, second = (
        raw.source.samples(np.flatnonzero(raw.readouts["contrast"] == echo)) for echo in (0, 1)
    )
    factor = np.exp((-25.0 - 2j * np.pi * 60.0) * 4e-3)
    np.testing.assert_allclose(second, factor * first, rtol=0, atol=1e-6 * np.abs(first).max())


def test_discarded_samples_are_garbage(rng):
    raw = simulate(OBJECTS, COILS, SCANS["discards"], rng)
    samples = np.abs(raw.source.samples(np.arange(len(raw.readouts))))
    inside = samples[..., 3:-2]
    assert np.median(samples[..., :3]) > inside.max()
    assert np.median(samples[..., -2:]) > inside.max()


@pytest.mark.parametrize("mode", ["embedded", "mixed", "separate"])
def test_accelerated_lines_and_calibration(mode, rng):
    # Of partitions -1, 0, 1 and lines -2 ... 1 the pattern holds line 0, partition 0 alone.
    counts = {
        "embedded": (16 + 12 - 1, 0, 12),
        "mixed": (16 + 11, 11, 1),
        "separate": (16 + 12, 12, 0),
    }[mode]
    scan = replace(SCANS["accelerated"], calibration_mode=mode)
    raw = simulate(OBJECTS, COILS, scan, rng)
    flags = raw.readouts["flags"].astype(np.int64)
    assert (len(flags), (flags >> 19 & 1).sum(), (flags >> 20 & 1).sum()) == counts
    calibration_only = (kinds_of(raw.readouts["flags"]) == 1).sum()
    assert calibration_only == counts[1]
    image = flags >> 19 & 1 == 0
    on_pattern = ((raw.readouts["kspace_encode_step_1"] - 6) % 3 == 0) & (
        (raw.readouts["kspace_encode_step_2"] - 4) % 2 == 0
    )
    assert (image & on_pattern).sum() == 16
    assert raw.header.encodings[0].acceleration == (3, 2)


def test_the_last_average_may_hold_fewer_lines(rng):
    raw = simulate(OBJECTS, COILS, SCANS["repeated"], rng)
    for average, lines in ((0, set(range(7))), (1, {2, 3, 4})):
        taken = raw.readouts["kspace_encode_step_1"][raw.readouts["average"] == average]
        assert set(taken) == lines
    assert len(raw.readouts) == 2 * 2 * 5 * (7 + 3)


def test_missing_lines_move_the_centre_not_the_matrix(rng):
    raw = simulate(OBJECTS, COILS, SCANS["partial-start"], rng)
    encoding = raw.header.encodings[0]
    assert encoding.encoded.matrix == (8, 7, 5)
    for step, (size, center) in {1: (5, 1), 2: (4, 1)}.items():
        limit = encoding.limits[f"kspace_encoding_step_{step}"]
        assert (limit.minimum, limit.maximum, limit.center) == (0, size - 1, center)
        assert set(raw.readouts[f"kspace_encode_step_{step}"]) == set(range(size))


@pytest.mark.parametrize(
    ("order", "places"), [("sequential", [0, 1, 2, 3, 4]), ("interleaved", [0, 2, 4, 1, 3])]
)
def test_slices_are_counted_as_they_are_taken(order, places, rng):
    raw = simulate(OBJECTS, COILS, replace(STACK, slice_order=order, **OBLIQUE), rng)
    assert (np.diff(raw.readouts["slice"]) >= 0).all()
    along = raw.readouts["position_mm"] @ np.array(OBLIQUE["slice_dir"])
    middle = np.dot(OBLIQUE["position_mm"], OBLIQUE["slice_dir"])
    spacing_mm = 12.0
    found = np.rint((along - middle) / spacing_mm + 2)
    np.testing.assert_array_equal(found, np.array(places)[raw.readouts["slice"]])


def test_unknown_directions_are_zero_and_change_nothing_else(rng):
    known = simulate(OBJECTS, COILS, SCANS["oblique"], rng)
    unknown = simulate(OBJECTS, COILS, replace(SCANS["oblique"], directions_known=False), rng)
    for name in ("read_dir", "phase_dir", "slice_dir"):
        assert not unknown.readouts[name].any()
        np.testing.assert_allclose(known.readouts[name], [OBLIQUE[name]] * len(known.readouts))
    rows = np.arange(len(known.readouts))
    np.testing.assert_array_equal(known.source.samples(rows), unknown.source.samples(rows))
    assert not geometry_of(replace(SCANS["oblique"], directions_known=False)).known


def test_the_header_says_nucleus_and_field(rng):
    scan = replace(VOLUME, nucleus="23Na", field_strength_t=7.0, patient_position="FFS")
    header = simulate(OBJECTS, COILS, scan, rng).header
    assert header.frequency_hz == pytest.approx(78.8386e6, rel=1e-5)
    assert header.patient_position == "FFS"


def test_the_same_seed_gives_the_same_file():
    noise = ThermalNoise(covariance=np.eye(3), n_readouts=2)
    scan = replace(SCANS["slices-scrambled"], noise=noise, discard_pre=1)
    one, two = (simulate(OBJECTS, COILS, scan, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.readouts, two.readouts)
    for a, b in zip(one.source.data, two.source.data, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"partial_fourier_1": (0, 4)}, "leave k = 0"),
        ({"partial_echo": (5, 0)}, "leave k = 0"),
        ({"read_dir": (1.0, 0.1, 0.0)}, "orthonormal"),
        ({"n_slices": 2}, "partitions"),
        ({"sample_time_s": 0.0}, "sample_time_s"),
    ],
)
def test_scans_that_cannot_be_are_refused(change, words):
    with pytest.raises(RecordError, match=words):
        replace(VOLUME, **change)
