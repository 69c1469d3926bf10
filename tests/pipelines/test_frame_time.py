"""A continuous acquisition cut into frames, by the time stamps of its readouts."""

from dataclasses import replace

import numpy as np
import pytest

from making import planned, volumes
from ultrahand.errors import InputError, UsageError
from ultrahand.phantoms import (
    CartesianScan,
    NonCartesianScan,
    ThermalNoise,
    five_fingers,
    simulate,
    smooth_coils,
)
from ultrahand.pipelines.timing import frame_times
from ultrahand.recon.cells import COMPLETE, filled_fractions
from ultrahand.recon.sorting import imaging_rows
from ultrahand.recon.trajectories import k_max_per_m, radial_2d, radial_3d, spiral_2d
from ultrahand.records import ArraySource

FOV_M = (0.12, 0.12, 0.12)
TR_S = 0.02


def scan_of(k_per_m, matrix=16, **options):
    flat = k_per_m.shape[2] == 2 and options.get("dimension", 2) == 2
    given = {
        "matrix": (matrix, matrix, 1 if flat else matrix),
        "fov_m": FOV_M,
        "dimension": 2 if flat else 3,
        "k_per_m": k_per_m,
        "trajectory": "radial",
        "repetition_time_s": TR_S,
    }
    return NonCartesianScan(**(given | options))


def measured(scan, rng):
    return simulate(five_fingers(FOV_M), smooth_coils(2, FOV_M), scan, rng)


def golden(n_spokes, matrix=16):
    return radial_2d(n_spokes, 2 * matrix, k_max_per_m(matrix, FOV_M[0]), golden=True)


@pytest.fixture
def raw(rng):
    """40 golden-angle spokes, one every 20 ms."""
    return stamped(measured(scan_of(golden(40)), rng), 5000 + 20 * np.arange(40))


def stamped(raw, ticks):
    readouts = raw.readouts.copy()
    readouts["acquisition_time_stamp"][imaging_rows(readouts)] = ticks
    return replace(raw, readouts=readouts)


def only(raw, rows):
    """The measurement of some readouts alone."""
    source = ArraySource(
        data=tuple(raw.source.data[row] for row in rows), k=tuple(raw.source.k[row] for row in rows)
    )
    return replace(raw, readouts=raw.readouts[rows], source=source)


def rows_of(plan):
    return [volume.rows.tolist() for series in plan.series for volume in series.volumes]


def field(plan, name):
    return [finding for finding in plan.findings if finding.field == name]


# --- which readouts go where ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame_time_s", "sizes"),
    [(0.2, [10] * 4), (0.3, [15, 15, 10]), (0.06, [3] * 13 + [1]), (0.02, [1] * 40), (9.0, [40])],
)
def test_frames_hold_the_readouts_of_their_time_in_order(frame_time_s, sizes, raw):
    plan = planned(raw, frame_time_s=frame_time_s)
    rows = rows_of(plan)
    assert [len(mine) for mine in rows] == sizes
    assert np.concatenate(rows).tolist() == list(range(40))


def test_stamps_decide_not_the_order_in_the_file(raw, rng):
    ticks = rng.permutation(40) * 20
    plan = planned(stamped(raw, 5000 + ticks), frame_time_s=0.2)
    expected = [np.flatnonzero(ticks // 200 == frame).tolist() for frame in range(4)]
    assert rows_of(plan) == expected


def test_frames_begin_with_the_first_imaging_readout_not_with_the_noise(rng):
    noise = ThermalNoise(covariance=np.eye(2), n_readouts=4, n_samples=32)
    raw = measured(scan_of(golden(40), noise=noise), rng)
    first = int(raw.readouts["acquisition_time_stamp"][0])  # of the noise
    raw = stamped(raw, first + 110 + 20 * np.arange(40))
    assert [len(mine) for mine in rows_of(planned(raw, frame_time_s=0.2))] == [10] * 4


def test_uneven_stamps_give_uneven_frames(raw):
    ticks = np.cumsum(np.r_[0, [10] * 20, [30] * 19])
    plan = planned(stamped(raw, ticks), frame_time_s=0.1)
    frames = (ticks // 100).tolist()
    assert [len(mine) for mine in rows_of(plan)] == [
        frames.count(n) for n in range(max(frames) + 1)
    ]


def test_ticks_are_siemens_ones_in_siemens_files(rng):
    plan = planned(measured(scan_of(golden(40), vendor="SIEMENS"), rng), frame_time_s=0.2)
    assert [len(mine) for mine in rows_of(plan)] == [10] * 4


def test_a_counter_that_begins_again_is_counted_on(raw):
    ticks = (2**32 - 300 + 20 * np.arange(40)) % 2**32
    plan = planned(stamped(raw, ticks), frame_time_s=0.2)
    assert [len(mine) for mine in rows_of(plan)] == [10] * 4
    assert frame_times(stamped(raw, ticks), plan.series[0])[0].start_s == (0.0, 0.2, 0.4, 0.6)


def test_each_echo_has_its_own_series_of_frames(rng):
    raw = measured(scan_of(golden(40), echo_times_s=(1e-3, 5e-3)), rng)
    plan = planned(raw, frame_time_s=0.4)
    assert [dict(series.entities) for series in plan.series] == [{"echo": 1}, {"echo": 2}]
    assert [series.frame_axis for series in plan.series] == ["frame", "frame"]
    assert [[len(v.rows) for v in series.volumes] for series in plan.series] == [[20, 20]] * 2


def test_without_a_frame_time_it_is_one_volume(raw):
    plan = planned(raw)
    assert rows_of(plan) == [list(range(40))]
    assert plan.series[0].frame_axis is None


# --- what the frames become -----------------------------------------------------------------------


def images_of(raw, **options):
    return [parts["mag"].values for _, _, parts in volumes(raw, **options)]


def test_a_frame_is_the_image_of_its_readouts_alone(raw):
    frames = images_of(raw, frame_time_s=0.3)
    alone = [images_of(only(raw, rows))[0] for rows in (range(15), range(15, 30), range(30, 40))]
    assert len(frames) == 3
    for frame, image in zip(frames, alone, strict=True):
        np.testing.assert_array_equal(frame, image)
    assert not np.array_equal(frames[0], frames[1])


def test_a_stack_is_cut_too(rng):
    stack = scan_of(golden(20), dimension=3, matrix=16)
    raw = measured(replace(stack, matrix=(16, 16, 4)), rng)
    frames = images_of(raw, frame_time_s=0.8)  # 40 of 80 readouts: 10 spokes of 4 partitions
    assert len(frames) == 2
    np.testing.assert_array_equal(frames[1], images_of(only(raw, range(40, 80)))[0])


def test_shots_of_an_external_trajectory_stay_those_of_the_measurement():
    k = golden(40)
    outside = measured(scan_of(k, trajectory_in_file=False), np.random.default_rng(5))
    inside = measured(scan_of(k), np.random.default_rng(5))
    given = (k * FOV_M[0] / 16).astype(np.float32)  # cycles per pixel
    frames = images_of(outside, frame_time_s=0.2, trajectory=given, trajectory_unit="cycles/pixel")
    for frame, expected in zip(frames, images_of(inside, frame_time_s=0.2), strict=True):
        np.testing.assert_array_equal(frame, expected)


def test_frame_times_are_those_of_the_stamps(raw):
    ticks = 1000 + np.cumsum(np.r_[0, [20] * 9, 26, [20] * 29])
    raw = stamped(raw, ticks)
    plan = planned(raw, frame_time_s=0.2)
    times, _ = frame_times(raw, plan.series[0])
    starts = [ticks[0], ticks[10], ticks[20], ticks[30]]
    np.testing.assert_allclose(times.start_s, (np.array(starts) - 1000) * 1e-3, atol=1e-9)
    assert times.duration_s == (0.2,) * 4
    assert times.total_s == pytest.approx(0.806, abs=1e-9)


def test_a_last_frame_of_one_readout_lasts_as_long_as_a_readout(raw):
    plan = planned(raw, frame_time_s=0.06)
    times, _ = frame_times(raw, plan.series[0])
    assert times.duration_s == (0.06,) * 13 + (0.02,)


@pytest.mark.parametrize(("frame_time_s", "short"), [(0.2, False), (0.28, False), (0.3, True)])
def test_a_short_last_frame_is_told(raw, frame_time_s, short):
    """40 readouts of 20 ms: 4 x 10, 14 + 14 + 12, 15 + 15 + 10."""
    found = [
        f for f in planned(raw, frame_time_s=frame_time_s).findings if f.field.startswith("sh")
    ]
    assert bool(found) == short


# --- what cannot be cut ---------------------------------------------------------------------------


def test_equal_stamps_are_refused(raw):
    with pytest.raises(InputError, match="the same value in all 40 readouts"):
        planned(stamped(raw, 7), frame_time_s=0.2)


def test_frames_without_a_readout_are_refused_with_the_least_that_works(raw):
    ticks = np.cumsum(np.r_[0, [20] * 19, 110, [20] * 19])
    paused = stamped(raw, ticks)
    with pytest.raises(UsageError, match=r"give at least 0\.11$"):
        planned(paused, frame_time_s=0.109)
    sizes = [len(mine) for mine in rows_of(planned(paused, frame_time_s=0.11))]
    assert sum(sizes) == 40
    assert min(sizes) >= 1


@pytest.mark.parametrize("frame_time_s", [1e-9, 1e-300])
def test_a_frame_time_far_below_a_tick_is_refused_at_once(frame_time_s, raw):
    with pytest.raises(UsageError, match="would hold no readout"):
        planned(raw, frame_time_s=frame_time_s)


def test_cartesian_data_are_refused(rng):
    raw = measured(CartesianScan(matrix=(16, 12, 1), fov_m=FOV_M, dimension=2), rng)
    with pytest.raises(UsageError, match="reconstructed by fft"):
        planned(raw, frame_time_s=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"repetitions": 2}, "2 repetitions"), ({"n_slices": 3}, "3 slices")],
)
def test_several_repetitions_or_slices_are_refused(options, words, rng):
    raw = measured(scan_of(golden(20), **options), rng)
    with pytest.raises(UsageError, match=words):
        planned(raw, frame_time_s=0.1)


# --- undersampled frames --------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", [16, 48])
def test_frames_below_nyquist_are_warned_of_and_no_others(matrix, rng):
    nyquist = int(np.ceil(np.pi / 2 * matrix))
    raw = measured(scan_of(golden(2 * nyquist, matrix), matrix), rng)
    enough = planned(raw, frame_time_s=nyquist * TR_S)
    half = planned(raw, frame_time_s=(nyquist // 2) * TR_S)
    assert len(rows_of(enough)) == 2
    assert not field(enough, "undersampled frames")
    (warning,) = field(half, "undersampled frames")
    assert warning.level == "warning"
    assert warning.found.startswith(f"{len(rows_of(half))} of {len(rows_of(half))};")


def fraction(k_per_m, matrix, rng):
    raw = measured(scan_of(k_per_m, matrix), rng)
    plan = planned(raw).encodings[0].non_cartesian
    return filled_fractions(plan, [imaging_rows(raw.readouts)])[0]


@pytest.mark.parametrize("matrix", [16, 32, 64])
@pytest.mark.parametrize("oversampling", [1, 2])
@pytest.mark.parametrize("is_golden", [False, True])
def test_the_limit_lies_between_nyquist_and_half_of_it(matrix, oversampling, is_golden, rng):
    edge = k_max_per_m(matrix, FOV_M[0])
    nyquist = int(np.ceil(np.pi / 2 * matrix))
    full, half = (
        fraction(radial_2d(n, oversampling * matrix, edge, golden=is_golden), matrix, rng)
        for n in (nyquist, nyquist // 2)
    )
    assert half < COMPLETE - 0.02
    assert full > COMPLETE


def test_the_limit_holds_for_spirals(rng):
    matrix, edge = 32, k_max_per_m(32, FOV_M[0])
    full, half = (fraction(spiral_2d(8, 1024, edge, turns=turns), matrix, rng) for turns in (2, 1))
    assert full > COMPLETE > half


def test_filled_cells_are_counted_one_by_one_as_a_slow_loop_does(rng):
    matrix = 8
    k = radial_3d(60, 9, k_max_per_m(matrix, FOV_M[0]))
    raw = measured(scan_of(k, matrix), rng)
    plan = planned(raw).encodings[0].non_cartesian
    parts = [np.arange(25), np.arange(25, 60)]
    filled = [set(), set()]
    for part, cells in zip(parts, filled, strict=True):
        for point in (k[part] * FOV_M[0]).astype(np.float32).reshape(-1, 3):
            cells.add(tuple(int(np.rint(x)) for x in point))
    reach = np.abs(k * FOV_M[0]).max(axis=(0, 1))
    span = range(-matrix, matrix + 1)
    region = {
        (x, y, z)
        for x in span
        for y in span
        for z in span
        if sum((c / r) ** 2 for c, r in zip((x, y, z), reach, strict=True)) <= 1
    }
    expected = [len(cells & region) / len(region) for cells in filled]
    assert filled_fractions(plan, parts) == pytest.approx(expected, abs=1.5 / len(region))
