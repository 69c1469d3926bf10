"""Whole reconstructions: what is sorted where, what blocks and bad readouts change."""

import dataclasses

import numpy as np
import pytest

from making import as_file, only_magnitude, planned, volumes
from ultrahand.errors import InputError, ResourceError, UsageError
from ultrahand.phantoms import (
    CartesianScan,
    Ellipsoid,
    NonCartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
    uniform_coil,
)
from ultrahand.pipelines import Method, PartialFourier, Parts, Workspace, reconstruct_volume
from ultrahand.pipelines.audit import audit_samples, describe
from ultrahand.recon.trajectories import k_max_per_m, radial_2d, radial_3d
from ultrahand.records import ArraySource, RawData
from ultrahand.records.readouts import REVERSE_FLAG

FOV = (0.12, 0.1, 0.08)
FINGERS = five_fingers(FOV)


def scan(**changes):
    settings = {"matrix": (24, 20, 16), "fov_m": FOV, "dimension": 3} | changes
    return CartesianScan(**settings)


def flat_scan(**changes):
    settings = {"matrix": (40, 36, 1), "fov_m": (0.12, 0.1, 0.004), "dimension": 2} | changes
    return CartesianScan(**settings)


def measured(the_scan, rng, coils=None):
    return simulate(FINGERS, coils or smooth_coils(4, FOV), the_scan, rng)


def error_of(image, expected):
    return np.linalg.norm(image - expected) / np.linalg.norm(expected)


def test_image_is_the_object(rng):
    """Scale and all, in the middle of a large ellipsoid, where its edges ring least."""
    fine = scan(matrix=(64, 60, 48))
    body = Ellipsoid(centre_m=np.zeros(3), semi_axes_m=np.array([0.045, 0.04, 0.03]), density=3.0)
    image = only_magnitude(simulate([body], uniform_coil(), fine, rng)).values
    # k-space integrates over m3, so a voxel's density is image * sqrt(N) / volume of the field.
    density = image * np.sqrt(image.size) / np.prod(FOV)
    middle = tuple(slice(n // 2 - 4, n // 2 + 5) for n in image.shape)
    # Truncation leaves a ripple of about 1 / (pi^2 n) of the density, n voxels from the edge.
    assert density[middle].mean() == pytest.approx(3.0, rel=1 / (np.pi**2 * 15))


@pytest.mark.parametrize(
    ("changes", "endings"),
    [
        ({}, [{}]),
        ({"repetitions": 3}, [{}]),
        ({"echo_times_s": (3e-3, 6e-3)}, [{}]),
        (
            {"echo_times_s": (3e-3, 6e-3), "sets": 2},
            [{"echo": e, "set": s} for e in (1, 2) for s in (1, 2)],
        ),
    ],
    ids=["one", "repetitions", "echoes", "echoes and sets"],
)
def test_one_varying_counter_is_an_axis_and_two_are_files(rng, changes, endings):
    plan = planned(measured(scan(**changes), rng))
    assert [dict(series.entities) for series in plan.series] == endings
    assert sum(len(series.volumes) for series in plan.series) == len(endings) * (
        3 if "repetitions" in changes else 2 if len(changes) == 1 else 1
    )


def test_volumes_are_kept_apart(rng):
    """Each repetition holds other numbers; none leaks into another."""
    raw = measured(scan(repetitions=3), rng)
    factor = 1.0 + raw.readouts["repetition"]
    data = tuple(d * np.float32(f) for d, f in zip(raw.source.data, factor, strict=True))
    scaled = RawData(header=raw.header, readouts=raw.readouts, source=ArraySource(data=data))
    images = [parts["mag"].values for _, _, parts in volumes(scaled)]
    for number, image in enumerate(images):
        np.testing.assert_allclose(image, (number + 1) * images[0], rtol=1e-5, atol=1e-9)


def test_incomplete_averages_are_merged_by_their_counts(rng):
    once = only_magnitude(measured(scan(), rng)).values
    twice = scan(averages=3, last_average_lines=(4, 9))
    np.testing.assert_allclose(
        only_magnitude(measured(twice, rng)).values, once, rtol=1e-4, atol=1e-5 * once.max()
    )


def test_averages_read_in_both_directions_are_merged_sample_by_sample(rng):
    """Partial echoes of opposite directions cover different samples of one line."""
    forward = measured(flat_scan(partial_echo=(9, 0)), rng)
    other = flat_scan(partial_echo=(0, 9), reversed_readouts="none")
    backward = measured(other, rng)
    table = np.concatenate([forward.readouts, backward.readouts])
    table["average"][len(forward.readouts) :] = 1
    both = RawData(
        header=forward.header,
        readouts=table,
        source=ArraySource(data=forward.source.data + backward.source.data),
    )
    full = only_magnitude(measured(flat_scan(), rng)).values
    np.testing.assert_allclose(only_magnitude(both).values, full, atol=1e-5 * full.max())


def test_repeated_lines_are_averaged_and_counted(rng):
    raw = measured(flat_scan(), rng)
    table = np.concatenate([raw.readouts, raw.readouts[5:8]])
    data = raw.source.data + tuple(3 * d for d in raw.source.data[5:8])
    again = RawData(header=raw.header, readouts=table, source=ArraySource(data=data))
    (finding,) = [f for f in planned(again).findings if f.field == "repeated lines"]
    assert finding.found.startswith("3 ")
    doubled = tuple(2 * d if 5 <= i < 8 else d for i, d in enumerate(raw.source.data))
    expected = RawData(header=raw.header, readouts=raw.readouts, source=ArraySource(data=doubled))
    first = only_magnitude(expected).values
    np.testing.assert_allclose(only_magnitude(again).values, first, atol=1e-5 * first.max())


def test_slabs_give_the_image_of_the_whole(rng, monkeypatch):
    raw = measured(scan(matrix=(48, 20, 16)), rng)
    whole = only_magnitude(raw).values
    monkeypatch.setattr("ultrahand.pipelines.memory.PROGRAM_BYTES", 0)
    monkeypatch.setattr("ultrahand.pipelines.memory.BLOCK_BYTES", 0)
    in_slabs = only_magnitude(raw, max_memory=900_000).values
    np.testing.assert_array_equal(in_slabs, whole)


@pytest.mark.parametrize("columns", [7, 17])
def test_slabs_of_any_width_have_the_same_bits(rng, monkeypatch, columns):
    """Also after whitening: the last bits of a matrix product depend on the width it has."""
    noise = ThermalNoise(covariance=random_covariance(rng, 12, 1e-14), n_readouts=16)
    wide = scan(matrix=(50, 12, 9), readout_oversampling=2.0, noise=noise)
    raw = measured(wide, rng, smooth_coils(12, FOV))
    whole = only_magnitude(raw).values
    slabs = [slice(a, min(a + columns, 50)) for a in range(0, 50, columns)]
    monkeypatch.setattr("ultrahand.pipelines.direct.slabs_of", lambda *_: slabs)
    np.testing.assert_array_equal(only_magnitude(raw).values, whole)


def coarser(factor, **changes):
    """A scan whose header asks for larger voxels than were measured."""
    raw = measured(flat_scan(**changes), np.random.default_rng(5))
    (encoding,) = raw.header.encodings
    n = [max(round(m / factor), 1) for m in encoding.recon.matrix]
    asked = dataclasses.replace(encoding.recon, matrix=(*n[:2], 1))
    header = dataclasses.replace(
        raw.header, encodings=(dataclasses.replace(encoding, recon=asked),)
    )
    return RawData(header=header, readouts=raw.readouts, source=raw.source)


def test_lines_beyond_the_asked_resolution_are_neither_repeated_nor_there():
    full = coarser(4 / 3)
    fields = {f.field for f in planned(full).findings}
    assert "readouts beyond the asked resolution" in fields
    assert not fields & {"repeated lines", "missing lines", "incomplete volumes"}
    halved = without(full, full.readouts["kspace_encode_step_1"] % 2 == 1)
    (finding,) = [f for f in planned(halved).findings if f.field == "missing lines"]
    assert finding.found.startswith("13 of 27")


@pytest.mark.parametrize("shape", ["ellipse", "centre", "off the centre"])
def test_one_piece_of_k_space_about_the_centre_does_not_alias(rng, shape):
    raw = measured(scan(), rng)
    table = raw.readouts
    y, z = table["kspace_encode_step_1"] - 10, table["kspace_encode_step_2"] - 8
    out = {
        "ellipse": (y / 10) ** 2 + (z / 8) ** 2 > 1,
        "centre": (abs(y) > 3) | (abs(z) > 2),
        "off the centre": (y < 3) | (z < 0),
    }[shape]
    fields = {f.field for f in planned(without(raw, out)).findings}
    assert ("missing lines" in fields) == (shape == "off the centre")
    assert ("k-space beyond the sampled region" in fields) == (shape != "off the centre")


def test_too_little_memory_is_said_with_a_breakdown(rng):
    with pytest.raises(ResourceError, match=r"grid .* blocks .* program"):
        only_magnitude(measured(scan(), rng), max_memory=10_000_000)


def test_threads_do_not_change_a_bit(rng):
    for raw in (measured(scan(), rng), measured(radial(), rng)):
        one, two = (only_magnitude(raw, threads=n).values for n in (1, 2))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("averages", [1, 3])
def test_blocks_beside_each_other_do_not_change_a_bit(rng, monkeypatch, averages):
    raw = measured(scan(averages=averages, reversed_readouts="lines"), rng)
    whole = only_magnitude(raw, threads=1).values
    monkeypatch.setattr("ultrahand.recon.conditioning.BLOCK_BYTES", 5000)
    for threads in (1, 2):
        np.testing.assert_array_equal(only_magnitude(raw, threads=threads).values, whole)
    one = only_magnitude(measured(radial(), rng), threads=2).values
    monkeypatch.undo()
    np.testing.assert_array_equal(only_magnitude(measured(radial(), rng)).values, one)


def radial(**changes):
    k_max = k_max_per_m(32, 0.128)
    settings = {
        "matrix": (32, 32, 1),
        "fov_m": (0.128, 0.128, 0.004),
        "dimension": 2,
        "k_per_m": radial_2d(47, 64, k_max, golden=True),
        "trajectory": "radial",
    }
    return NonCartesianScan(**(settings | changes))


def test_channels_one_by_one_give_the_image_of_all(rng, monkeypatch):
    raw = measured(radial(), rng)
    whole = only_magnitude(raw).values
    monkeypatch.setattr(
        "ultrahand.pipelines.direct.coil_blocks",
        lambda *_, **__: [slice(0, 1), slice(1, 3), slice(3, 4)],
    )
    np.testing.assert_allclose(only_magnitude(raw).values, whole, rtol=1e-5)


def test_bad_readouts_are_left_out_and_counted(rng):
    raw = measured(scan(averages=2), rng)
    data = list(raw.source.data)
    data[37] = data[37] * np.nan
    broken = RawData(header=raw.header, readouts=raw.readouts, source=ArraySource(data=tuple(data)))
    expected = only_magnitude(raw).values  # the other average has the same line
    np.testing.assert_allclose(only_magnitude(broken).values, expected, atol=1e-5 * expected.max())


def test_many_bad_readouts_are_refused(rng):
    raw = measured(flat_scan(), rng)
    data = tuple(d * np.nan if i < 4 else d for i, d in enumerate(raw.source.data))
    with pytest.raises(InputError, match="4 of 36"):
        only_magnitude(
            RawData(header=raw.header, readouts=raw.readouts, source=ArraySource(data=data))
        )


def test_echoes_that_lie_apart_are_refused(rng):
    """Forward lines flagged as reversed put the echo elsewhere for a partial echo."""
    raw = measured(flat_scan(partial_echo=(9, 0)), rng)
    table = raw.readouts.copy()
    table["flags"][::2] |= np.uint64(1 << 21)
    table["center_sample"][::2] = 20
    with pytest.raises(InputError, match="reversed"):
        only_magnitude(RawData(header=raw.header, readouts=table, source=raw.source))


def test_siemens_and_standard_files_give_one_image(rng, tmp_path):
    settings = {"reversed_readouts": "lines", "partial_echo": (7, 0), "readout_oversampling": 2.0}
    standard = only_magnitude(as_file(measured(flat_scan(**settings), rng), tmp_path))
    siemens = only_magnitude(
        as_file(measured(flat_scan(vendor="SIEMENS", **settings), rng), tmp_path)
    )
    top = standard.values.max()
    # The grids of reversed lines differ by one sample at the edge of k-space.
    np.testing.assert_allclose(siemens.values, standard.values, atol=0.01 * top)


def test_pocs_is_nearer_to_the_full_image_than_zeros(rng):
    full = only_magnitude(measured(flat_scan(), rng, uniform_coil())).values
    partial = measured(flat_scan(partial_fourier_1=(12, 0)), rng, uniform_coil())
    zeros = only_magnitude(partial)
    pocs = only_magnitude(partial, partial_fourier=PartialFourier.POCS)
    assert error_of(pocs.values, full) < 0.7 * error_of(zeros.values, full)


def test_pocs_has_no_standard_error_and_says_why(rng):
    noise = ThermalNoise(covariance=random_covariance(rng, 4, 1e-14), n_readouts=8)
    partial = measured(flat_scan(partial_fourier_1=(12, 0), noise=noise), rng)
    image = only_magnitude(partial, partial_fourier=PartialFourier.POCS)
    assert image.standard_error is None
    assert "POCS" in image.standard_error_note


def test_undersampling_cannot_be_filled_by_pocs(rng):
    with pytest.raises(InputError, match="zero"):
        only_magnitude(
            measured(flat_scan(acceleration=(2, 1)), rng), partial_fourier=PartialFourier.POCS
        )


def test_gridding_gives_the_image_of_the_fft(rng):
    """A radial scan and a Cartesian one of the same object, to the accuracy of gridding."""
    dense = radial(k_per_m=radial_2d(101, 64, k_max_per_m(32, 0.128), golden=True))
    gridded = only_magnitude(measured(dense, rng, uniform_coil())).values
    cartesian = CartesianScan(matrix=(32, 32, 1), fov_m=(0.128, 0.128, 0.004), dimension=2)
    full = only_magnitude(measured(cartesian, rng, uniform_coil())).values
    scale = (gridded * full).sum() / (gridded * gridded).sum()
    assert scale == pytest.approx(1, abs=0.03)
    assert np.corrcoef(gridded.ravel(), full.ravel())[0, 1] > 0.98


def arranged(k, order):
    names = ("shots", "samples", "dims")
    return np.ascontiguousarray(k.transpose([names.index(name) for name in order.split(",")]))


@pytest.mark.parametrize(
    "order",
    ["shots,samples,dims", "dims,samples,shots", "samples,shots,dims", "shots,dims,samples"],
)
def test_external_trajectory_in_any_order_gives_the_image_of_the_stored_one(rng, order):
    stored = measured(radial(), rng)
    outside = measured(radial(trajectory_in_file=False), rng)
    k = radial().k_per_m
    with_file = only_magnitude(stored).values
    external = only_magnitude(outside, trajectory=arranged(k, order), trajectory_unit="1/m")
    np.testing.assert_allclose(external.values, with_file, atol=1e-4 * with_file.max())


def test_external_trajectory_serves_every_repetition(rng):
    outside = measured(radial(trajectory_in_file=False, repetitions=2), rng)
    first, second = (
        parts["mag"].values
        for _, _, parts in volumes(outside, trajectory=radial().k_per_m, trajectory_unit="1/m")
    )
    np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-5 * first.max())


def test_external_trajectory_serves_every_average(rng):
    """Also where no counter but the average tells the readouts apart."""
    once = measured(radial(trajectory_in_file=False), rng)
    table = np.concatenate([once.readouts, once.readouts])
    table["average"][len(once.readouts) :] = 1
    table["kspace_encode_step_1"] = 0
    data = once.source.data + tuple(3 * d for d in once.source.data)
    twice = RawData(header=once.header, readouts=table, source=ArraySource(data=data))
    options = {"trajectory": radial().k_per_m, "trajectory_unit": "1/m"}
    expected = only_magnitude(once, **options).values
    found = only_magnitude(twice, **options).values
    np.testing.assert_allclose(found, 2 * expected, atol=0.01 * expected.max())


@pytest.mark.parametrize("longer", ["readouts", "trajectory"])
def test_leading_samples_are_skipped(rng, longer):
    k = radial().k_per_m
    expected = only_magnitude(measured(radial(), rng)).values
    outside = measured(radial(trajectory_in_file=False), rng)
    if longer == "readouts":
        data = tuple(np.pad(d, ((0, 0), (5, 0)), constant_values=9) for d in outside.source.data)
        table = outside.readouts.copy()
        table["number_of_samples"] += 5
        outside = RawData(header=outside.header, readouts=table, source=ArraySource(data=data))
    else:
        k = np.pad(k, ((0, 0), (5, 0), (0, 0)))
    image = only_magnitude(outside, trajectory=k, trajectory_unit="1/m", trajectory_offset=5).values
    np.testing.assert_allclose(image, expected, atol=1e-4 * expected.max())


def test_offset_of_equal_lengths_skips_both(rng):
    outside = measured(radial(trajectory_in_file=False), rng)
    k, options = radial().k_per_m, {"trajectory_unit": "1/m", "trajectory_offset": 3}
    image = only_magnitude(outside, trajectory=k, **options).values
    short = only_magnitude(outside, trajectory=k[:, 3:], **options).values
    np.testing.assert_array_equal(image, short)


def test_a_trajectory_may_have_positions_of_discarded_samples(rng):
    outside = measured(radial(trajectory_in_file=False), rng)
    expected = only_magnitude(outside, trajectory=radial().k_per_m, trajectory_unit="1/m").values
    data = tuple(np.pad(d, ((0, 0), (6, 2)), constant_values=9) for d in outside.source.data)
    table = outside.readouts.copy()
    table["number_of_samples"] += 8
    table["discard_pre"], table["discard_post"] = 6, 2
    padded = RawData(header=outside.header, readouts=table, source=ArraySource(data=data))
    k = np.pad(radial().k_per_m, ((0, 0), (6, 2), (0, 0)), constant_values=1e4)
    image = only_magnitude(padded, trajectory=k, trajectory_unit="1/m").values
    np.testing.assert_allclose(image, expected, rtol=1e-5)


def test_an_external_trajectory_with_nan_names_the_shot(rng):
    k = radial().k_per_m.copy()
    k[17, 5] = np.nan
    with pytest.raises(InputError, match="1 of 47 shots, the first 17"):
        planned(measured(radial(trajectory_in_file=False), rng), trajectory=k)


def test_slices_that_form_no_stack_are_files_and_said(rng):
    raw = measured(flat_scan(n_slices=4), rng)
    table = raw.readouts.copy()
    table["position_mm"] += 7 * (table["slice"] == 3)[:, None] * table["slice_dir"]
    moved = RawData(header=raw.header, readouts=table, source=raw.source)
    assert len(planned(moved).series) == 4
    (finding,) = findings_of(moved, "position")
    assert "slices spaced by" in finding.found


@pytest.mark.parametrize("drift", [2, 6])
def test_echoes_of_two_contrasts_may_lie_apart(rng, drift):
    """The field moves the second echo; that it is read in reverse does not matter."""
    raw = measured(flat_scan(echo_times_s=(2e-3, 4e-3), reversed_readouts="contrasts"), rng)
    ramp = np.exp(2j * np.pi * drift * (np.arange(40) - 20) / 40)
    data = tuple(
        np.fft.ifft(np.fft.fft(d) * np.fft.ifftshift(ramp)).astype(np.complex64) if c else d
        for d, c in zip(raw.source.data, raw.readouts["contrast"], strict=True)
    )
    volumes(RawData(header=raw.header, readouts=raw.readouts, source=ArraySource(data=data)))


@pytest.mark.parametrize(("shift", "refused"), [(1, False), (2, False), (9, True)])
def test_echoes_of_one_contrast_are_said_from_two_samples_and_refused_beyond_delays(
    rng, shift, refused
):
    """A dwell time of 5 us: gradient delays explain 4 samples."""
    raw = measured(flat_scan(reversed_readouts="lines"), rng)
    table = raw.readouts.copy()
    table["sample_time_s"] = 5e-6
    turned = (table["flags"] & REVERSE_FLAG) != 0
    data = tuple(
        np.roll(d, shift, axis=1) if t else d for d, t in zip(raw.source.data, turned, strict=True)
    )
    moved = RawData(header=raw.header, readouts=table, source=ArraySource(data=data))
    if refused:
        with pytest.raises(InputError, match="flag 22"):
            volumes(moved)
        return
    plan, workspace = planned(moved), Workspace()
    series = plan.series[0]
    reconstruct_volume(moved, plan, series, series.volumes[0], workspace)
    fields = [f.field for f in workspace.watch.findings()]
    assert ("reversed readouts (flag 22)" in fields) == (shift == 2)


@pytest.mark.parametrize(
    "k",
    [radial().k_per_m[:-1], radial().k_per_m[:, :-1], radial().k_per_m[..., :1]],
    ids=["a shot short", "a sample short", "one dimension"],
)
def test_an_external_trajectory_that_does_not_fit_is_refused_with_the_counts(rng, k):
    outside = measured(radial(trajectory_in_file=False), rng)
    with pytest.raises(InputError, match=r"47 readouts .* 64 samples"):
        planned(outside, trajectory=k)


def test_a_missing_trajectory_is_refused(rng):
    with pytest.raises(InputError, match="--trajectory"):
        planned(measured(radial(trajectory_in_file=False), rng))


def test_samples_beyond_the_asked_matrix_are_left_out_and_said(rng):
    k = radial().k_per_m * 1.3
    wide = measured(radial(k_per_m=k, trajectory_unit="1/m"), rng)
    plan = planned(wide, trajectory_unit="1/m")
    (finding,) = [f for f in plan.findings if f.field == "resolution"]
    assert finding.level == "warning"
    image = only_magnitude(wide, trajectory_unit="1/m").values
    narrow = only_magnitude(measured(radial(), rng)).values
    assert np.corrcoef(image.ravel(), narrow.ravel())[0, 1] > 0.97


def test_a_stack_of_stars_is_a_volume(rng):
    k_max = k_max_per_m(32, 0.128)
    stars = NonCartesianScan(
        matrix=(32, 32, 9),
        fov_m=(0.128, 0.128, 0.09),
        dimension=3,
        k_per_m=radial_2d(71, 64, k_max, golden=True),
        trajectory="radial",
    )
    ball = NonCartesianScan(
        matrix=(32, 32, 9),
        fov_m=(0.128, 0.128, 0.09),
        dimension=3,
        k_per_m=radial_3d(3000, 32, k_max),
        trajectory="radial",
        trajectory_unit="1/m",
    )
    objects = five_fingers((0.128, 0.128, 0.09))
    made = [
        only_magnitude(simulate(objects, uniform_coil(), s, rng), trajectory_unit=unit)
        for s, unit in ((stars, None), (ball, "1/m"))
    ]
    assert made[0].values.shape == (9, 32, 32)
    assert np.corrcoef(made[0].values.ravel(), made[1].values.ravel())[0, 1] > 0.9


def test_phase_needs_a_combination_that_has_one(rng):
    with pytest.raises(UsageError, match="walsh"):
        planned(measured(flat_scan(), rng), combine="rss", parts=Parts.MAG_PHASE)


def test_real_and_imaginary_parts_make_the_magnitude(rng):
    ((_, _, parts),) = volumes(measured(flat_scan(), rng), parts=Parts.COMPLEX)
    together = np.hypot(parts["real"].values, parts["imag"].values)
    np.testing.assert_allclose(together, parts["mag"].values, rtol=1e-5)


def test_the_noise_scan_of_another_file_is_used(rng):
    noise = ThermalNoise(covariance=random_covariance(rng, 4, 1e-14), n_readouts=16, n_samples=512)
    with_noise = measured(flat_scan(noise=noise), rng)
    clean = measured(dataclasses.replace(flat_scan(), noise=None), rng)
    image = only_magnitude(clean, noise=with_noise)
    assert image.unit == "SNR"
    assert image.standard_error is not None
    assert only_magnitude(clean).standard_error is None


def test_the_method_is_chosen_from_the_file_and_reported(rng):
    for the_scan, method in ((flat_scan(), Method.FFT), (radial(), Method.GRIDDING)):
        plan = planned(measured(the_scan, rng))
        assert plan.encodings[0].method is method
        assert any(f.field == "method" and str(method) in f.found for f in plan.findings)


def without(raw, dropped):
    """The same measurement without some readouts."""
    keep = np.flatnonzero(~dropped)
    return RawData(
        header=raw.header,
        readouts=raw.readouts[keep],
        source=ArraySource(
            data=tuple(raw.source.data[i] for i in keep),
            k=tuple(raw.source.k[i] for i in keep) if raw.source.k else (),
        ),
    )


def findings_of(raw, field, **options):
    return [f for f in planned(raw, **options).findings if f.field == field]


def test_a_repetition_that_was_stopped_is_said(rng):
    raw = measured(flat_scan(repetitions=3), rng)
    table = raw.readouts
    stopped = without(raw, (table["repetition"] == 2) & (table["kspace_encode_step_1"] >= 10))
    (finding,) = findings_of(stopped, "incomplete volumes")
    assert "10 of 36" in finding.found
    assert "repetition 2" in finding.found


def test_a_slice_that_was_not_measured_is_nan_and_said(rng):
    noise = ThermalNoise(covariance=random_covariance(rng, 4, 1e-14), n_readouts=16)
    raw = measured(flat_scan(n_slices=3, repetitions=2, noise=noise), rng)
    table = raw.readouts
    gone = without(raw, (table["repetition"] == 1) & (table["slice"] == 2))
    assert findings_of(gone, "missing slices")
    (_, _, first), (_, _, second) = volumes(gone)
    for image in (second["mag"].values, second["mag"].standard_error):
        assert [bool(np.isnan(plane).all()) for plane in image] == [False, False, True]
    assert np.isfinite(first["mag"].values).all()


def test_discarded_samples_of_noise_readouts_are_no_noise(rng):
    noise = ThermalNoise(covariance=random_covariance(rng, 4, 1e-14), n_readouts=16, n_samples=512)
    raw = measured(flat_scan(noise=noise), rng)
    table = raw.readouts.copy()
    table["discard_pre"][:16] = 50
    data = [d.copy() for d in raw.source.data]
    for readout in data[:16]:
        readout[:, :50] = 1.0
    loud = RawData(header=raw.header, readouts=table, source=ArraySource(data=tuple(data)))
    np.testing.assert_allclose(
        np.diag(planned(loud).encodings[0].whitener.noise.covariance).real,
        np.diag(planned(raw).encodings[0].whitener.noise.covariance).real,
        rtol=0.1,  # the 50 samples are a tenth of 512: their variance scatters by some percent
    )


def test_a_flat_trajectory_of_three_columns_with_partitions_is_a_stack(rng):
    stars = NonCartesianScan(
        matrix=(32, 32, 9),
        fov_m=(0.128, 0.128, 0.09),
        dimension=3,
        k_per_m=radial_2d(47, 64, k_max_per_m(32, 0.128), golden=True),
        trajectory="radial",
    )
    raw = simulate(five_fingers((0.128, 0.128, 0.09)), uniform_coil(), stars, rng)
    table = raw.readouts.copy()
    table["trajectory_dimensions"] = 3
    k = tuple(np.pad(part, ((0, 0), (0, 1))) for part in raw.source.k)
    padded = RawData(
        header=raw.header, readouts=table, source=ArraySource(data=raw.source.data, k=k)
    )
    np.testing.assert_allclose(only_magnitude(padded).values, only_magnitude(raw).values, rtol=1e-5)


def test_an_aborted_repetition_still_finds_its_shots(rng):
    raw = measured(radial(trajectory_in_file=False, repetitions=2), rng)
    table = raw.readouts
    stopped = without(raw, (table["repetition"] == 1) & (table["kspace_encode_step_1"] >= 30))
    (_, _, first), _ = volumes(stopped, trajectory=radial().k_per_m, trajectory_unit="1/m")
    expected = only_magnitude(measured(radial(), rng)).values
    np.testing.assert_allclose(first["mag"].values, expected, atol=1e-4 * expected.max())


def test_a_partial_echo_is_said(rng):
    (finding,) = findings_of(measured(flat_scan(partial_echo=(9, 0)), rng), "partial echo")
    assert "31 of 40" in finding.found


def test_encodings_that_share_positions_have_weights_of_their_own(rng):
    """The second asks for twice the field of view: its Nyquist cells are four times smaller."""
    one = measured(radial(trajectory_unit="1/m"), rng)
    (first,) = one.header.encodings
    wide = dataclasses.replace(first.recon, matrix=(64, 64, 1), fov_m=(0.256, 0.256, 0.004))
    second = dataclasses.replace(first, encoded=wide, recon=wide)
    table = np.concatenate([one.readouts, one.readouts])
    table["encoding_space_ref"][len(one.readouts) :] = 1
    source = ArraySource(data=2 * one.source.data, k=2 * one.source.k)
    both = RawData(
        header=dataclasses.replace(one.header, encodings=(first, second)),
        readouts=table,
        source=source,
    )
    alone = RawData(
        header=dataclasses.replace(one.header, encodings=(second,)),
        readouts=one.readouts,
        source=one.source,
    )
    made = volumes(both, trajectory_unit="1/m")
    expected = only_magnitude(alone, trajectory_unit="1/m").values
    np.testing.assert_array_equal(made[1][2]["mag"].values, expected)


def test_pocs_leaves_complete_data_alone_on_a_finer_grid():
    full = coarser(2 / 3)
    zero, pocs = (only_magnitude(full, partial_fourier=p).values for p in ("zero", "pocs"))
    np.testing.assert_array_equal(pocs, zero)


def test_pocs_refuses_gaps_when_it_is_planned(rng):
    raw = measured(flat_scan(), rng)
    halved = without(raw, raw.readouts["kspace_encode_step_1"] % 2 == 1)
    with pytest.raises(InputError, match="--partial-fourier zero"):
        planned(halved, partial_fourier="pocs")


def test_shots_in_order_within_each_average_are_no_finding(rng):
    once = measured(radial(trajectory_in_file=False), rng)
    table = np.concatenate([once.readouts, once.readouts])
    table["average"][len(once.readouts) :] = 1
    source = ArraySource(data=2 * once.source.data)
    twice = RawData(header=once.header, readouts=table, source=source)
    options = {"trajectory": radial().k_per_m, "trajectory_unit": "1/m"}
    assert all(f.level == "info" for f in findings_of(twice, "external trajectory", **options))


def test_labels_of_more_coils_than_channels_are_not_matched_but_said(rng):
    noise = ThermalNoise(covariance=random_covariance(rng, 4, 1e-14), n_readouts=16, n_samples=512)
    raw = measured(flat_scan(noise=noise), rng)

    def labelled(*labels):
        header = dataclasses.replace(raw.header, coil_labels=labels)
        return RawData(header=header, readouts=raw.readouts, source=raw.source)

    plan = planned(labelled(*"ABCDEF"), noise=labelled(*"FEDCBA"))
    (finding,) = [f for f in plan.findings if f.field == "coilLabel of the noise file"]
    assert finding.level == "warning"
    expected = planned(raw).encodings[0].whitener.matrix
    np.testing.assert_array_equal(plan.encodings[0].whitener.matrix, expected)


@pytest.mark.parametrize("kind", ["discarded samples", "lines beyond the resolution"])
def test_the_audit_looks_at_what_is_used_and_no_more(rng, kind):
    if kind == "discarded samples":
        raw = measured(radial(), rng)
        table = raw.readouts.copy()
        table["discard_pre"] = 3
        bad = [np.where(np.arange(d.shape[1]) < 3, np.nan, d) for d in raw.source.data]
    else:
        raw = coarser(2)
        table = raw.readouts
        outer = np.abs(table["kspace_encode_step_1"].astype(int) - 18) > 12
        bad = [d * np.nan if o else d for d, o in zip(raw.source.data, outer, strict=True)]
    data = tuple(np.asarray(d, np.complex64) for d in bad)
    source = ArraySource(data=data, k=raw.source.k)
    spoiled = RawData(header=raw.header, readouts=table, source=source)
    assert audit_samples(spoiled, planned(spoiled)) == []
    assert np.isfinite(only_magnitude(spoiled).values).all()


@pytest.mark.parametrize(("n_bytes", "text"), [(4 * 10**6, "4 MB"), (3 * 10**9, "3.00 GB")])
def test_little_memory_is_not_told_as_none(n_bytes, text, rng):
    said = describe(planned(measured(scan(), rng)), n_bytes)
    assert said[-1] == f"recon would need about {text} of memory"
