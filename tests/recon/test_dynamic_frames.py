"""Frames, their times and footprints against their definitions."""

import numpy as np
import pytest

from ultrahand.errors import InputError, RecordError, UsageError
from ultrahand.recon.dynamic_frames import frames_by_spokes, frames_by_time
from ultrahand.recon.dynamic_sharing import share_views
from ultrahand.recon.dynamic_times import centre_times_s, crossing_samples, footprint
from ultrahand.recon.trajectories import radial_2d


@pytest.fixture
def irregular(rng):
    """Times out of order, with a pause of 8 s, in scanner seconds."""
    times = 4.0e4 + np.cumsum(rng.uniform(0.02, 0.3, 120))
    times[70:] += 8.0
    return rng.permutation(times)


@pytest.mark.parametrize("samples", [1, 2, 7, 8])
def test_full_spokes_cross_at_their_middle(samples):
    k = radial_2d(5, samples, 100.0, golden=True)
    np.testing.assert_allclose(crossing_samples(k), samples // 2, atol=1e-12)


def test_a_crossing_between_samples_and_at_the_start():
    offsets = np.array([0.0, 0.3, -1.25])
    along = np.arange(9) - 4 - offsets[:, None]
    k = np.stack([along * np.cos(0.4), along * np.sin(0.4)], axis=-1)
    k += 0.5 * np.array([-np.sin(0.4), np.cos(0.4)])  # passes beside the centre
    np.testing.assert_allclose(crossing_samples(k), 4 + offsets, atol=1e-12)
    outwards = np.stack([np.arange(6.0), np.zeros(6)], axis=-1)[None]
    np.testing.assert_array_equal(crossing_samples(outwards), [0.0])
    with pytest.raises(InputError, match=r"3\.0 sampling steps .*\(1 of 2"):
        crossing_samples(np.stack([outwards[0], outwards[0] + [0.0, 3.0]]))


def test_centre_times_are_stamp_plus_dwell():
    found = centre_times_s(np.array([10.0, 12.5]), np.array([3.0, 4.5]), 1e-5)
    np.testing.assert_array_equal(found, [10.0 + 3e-5, 12.5 + 4.5e-5])
    with pytest.raises(InputError, match="time of spoke 1: found nan"):
        centre_times_s(np.array([10.0, np.nan]), 3.0, 1e-5)
    with pytest.raises(RecordError, match="dwell_s"):
        centre_times_s(np.array([10.0]), 3.0, 0.0)


@pytest.mark.parametrize(("length", "step"), [(2.0, None), (2.0, 0.7), (0.9, 0.9), (30.0, 5.0)])
def test_windows_hold_the_spokes_of_their_time(irregular, length, step):
    frames = frames_by_time(irregular, length_s=length, step_s=step)
    step = step or length
    since = irregular - irregular.min()
    made = dict(zip(frames.windows.tolist(), frames.spokes, strict=True))
    empty = dict(frames.left_out)
    count = len(made) + len(empty)
    for window in range(count):
        inside = np.flatnonzero((since >= window * step) & (since < window * step + length))
        found = made.get(window, np.zeros(0, int))
        assert sorted(found) == sorted(inside)
        assert (np.diff(irregular[found]) >= 0).all()
        assert (window in empty) == (len(inside) == 0)
    # The last window is the first that holds the last spoke.
    last = int(since.argmax())
    assert [last in made.get(i, []) for i in range(count)] == [False] * (count - 1) + [True]
    exact = [irregular[members].mean() for members in frames.spokes]
    np.testing.assert_allclose(frames.time_s, exact, rtol=0, atol=1e-10)  # of 4e4: rounding


def test_ticks_that_fractions_only_come_near_to():
    """0.1 s windows of stamps every 2.5 ms hold 40 each, though neither is a binary number."""
    times = 37.3 + 0.0025 * np.arange(400)
    frames = frames_by_time(times, length_s=0.1)
    assert [len(members) for members in frames.spokes] == [40] * 10
    sliding = frames_by_time(times, length_s=0.1, step_s=0.05)
    assert [len(members) for members in sliding.spokes] == [40] * 19


def test_a_pause_leaves_windows_out_and_names_them():
    times = np.array([0.0, 0.4, 0.8, 5.0, 5.1])
    frames = frames_by_time(times, length_s=1.0)
    assert frames.windows.tolist() == [0, 5]
    assert frames.left_out == ((1, 0), (2, 0), (3, 0), (4, 0))
    few = frames_by_time(times, length_s=1.0, at_least=3)
    assert few.windows.tolist() == [0]
    assert few.left_out[-1] == (5, 2)
    with pytest.raises(UsageError, match="no window holds 4 spokes, at most 3"):
        frames_by_time(times, length_s=1.0, at_least=4)


def test_windows_of_as_many_spokes(irregular):
    order = np.argsort(irregular)
    frames = frames_by_spokes(irregular, spokes=50, step=20)
    assert [members.tolist() for members in frames.spokes] == [
        order[i : i + 50].tolist() for i in (0, 20, 40, 60)
    ]
    assert frames.left_out == ((4, 40),)
    whole = frames_by_spokes(irregular, spokes=50, step=20, at_least=1)
    assert len(whole.spokes[-1]) == 40
    assert whole.left_out == ()


def test_frames_of_one_spoke_are_instants(irregular):
    frames = frames_by_spokes(irregular, spokes=1)
    np.testing.assert_array_equal(frames.time_s, np.sort(irregular))
    assert {p.width_s for p in frames.footprints} == {0.0}
    assert {p.sd_s for p in frames.footprints} == {0.0}
    alone = frames_by_spokes(np.array([3.0]), spokes=1)
    assert alone.time_s.tolist() == [3.0]


def test_the_footprint_of_even_spokes():
    n, step = 21, 0.15
    found = footprint(100.0 + step * np.arange(n))
    assert found.width_s == pytest.approx(step * (n - 1), abs=1e-12)
    assert found.sd_s == pytest.approx(step * np.sqrt((n**2 - 1) / 12), abs=1e-12)
    assert found.mean_s == pytest.approx(100 + step * 10, abs=1e-12)


def test_the_footprint_of_weights():
    found = footprint(np.array([0.0, 1.0, 4.0, 9.0]), np.array([1.0, 2.0, 1.0, 0.0]))
    assert (found.spokes, found.first_s, found.last_s) == (3, 0.0, 4.0)
    assert found.mean_s == pytest.approx(6 / 4)
    assert found.sd_s == pytest.approx(np.sqrt((1.5**2 + 2 * 0.5**2 + 2.5**2) / 4))
    with pytest.raises(RecordError, match="not all 0"):
        footprint(np.array([0.0]), np.array([0.0]))


def test_the_sidecar_counts_from_the_first_crossing():
    facts = frames_by_spokes(50.0 + np.arange(6.0), spokes=3).facts()
    assert facts["FrameTimesMean"] == [1.0, 4.0]
    assert facts["FrameTimesStart"] == [0.0, 3.0]
    assert facts["FrameFootprintWidth"] == [2.0, 2.0]
    assert facts["FrameFootprintStandardDeviation"] == pytest.approx([np.sqrt(2 / 3)] * 2)
    assert facts["FrameSpokes"] == [3.0, 3.0]


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(InputError, match="the same value in all 3"):
        frames_by_time(np.ones(3), length_s=1.0)
    with pytest.raises(InputError, match="time of spoke 2: found inf"):
        frames_by_spokes(np.array([0.0, 1.0, np.inf]), spokes=1)
    for length, step in ((0.0, None), (1.0, 2.0), (1.0, 0.0), (np.nan, None)):
        with pytest.raises(UsageError, match="give a positive length"):
            frames_by_time(np.arange(3.0), length_s=length, step_s=step)
    for spokes, step in ((0, None), (2, 3), (2, 0)):
        with pytest.raises(UsageError, match="at least 1 spoke"):
            frames_by_spokes(np.arange(3.0), spokes=spokes, step=step)
    with pytest.raises(UsageError, match="needs a spoke"):
        frames_by_spokes(np.arange(3.0), spokes=1, at_least=0)


EDGES, FOV = np.array([100.0, 200.0, 400.0]), 0.02  # Nyquist: 7, 13 and 26 spokes


def test_rings_take_the_nearest_spokes_until_they_are_full(irregular):
    frames = frames_by_spokes(irregular, spokes=5)
    shared = share_views(irregular, frames, edges_per_m=EDGES, fov_m=FOV)
    for own, centre, rings in zip(frames.spokes, frames.time_s, shared.spokes, strict=True):
        assert [len(ring) for ring in rings] == [5, 13, 26]
        assert rings[0].tolist() == own.tolist()
        for ring in rings:
            added = np.setdiff1d(ring, own)
            left = np.setdiff1d(np.arange(len(irregular)), ring)
            away = np.abs(irregular - centre)
            assert set(own) <= set(ring)
            assert away[added].max(initial=0) <= away[left].min() + 1e-9
    for prints, rings in zip(shared.footprints, shared.spokes, strict=True):
        for found, ring in zip(prints, rings, strict=True):
            assert found.width_s == pytest.approx(np.ptp(irregular[ring]), abs=1e-9)
            assert found.sd_s == pytest.approx(irregular[ring].std(), abs=1e-9)
    np.testing.assert_array_equal(shared.frames.time_s, frames.time_s)


def test_a_sample_belongs_to_the_ring_it_lies_in(irregular):
    frames = frames_by_spokes(irregular, spokes=5)
    shared = share_views(irregular, frames, edges_per_m=EDGES, fov_m=FOV)
    k = radial_2d(len(irregular), 16, 420.0, golden=True)
    used = shared.used(3, k)
    for row, spoke in enumerate(shared.members(3)):
        for sample, position in enumerate(k[spoke]):
            radius = np.hypot(*position)
            ring = 0 if radius <= 100 else 1 if radius <= 200 else 2  # beyond 400 too
            assert used[row, sample] == (spoke in shared.spokes[3][ring])


def test_reach_bounds_the_footprint_and_ends_are_off_to_one_side():
    times = np.arange(100.0)
    frames = frames_by_spokes(times, spokes=5)
    bounded = share_views(times, frames, edges_per_m=EDGES, fov_m=FOV, reach_s=4.0)
    assert max(p[-1].width_s for p in bounded.footprints) == 8.0
    free = share_views(times, frames, edges_per_m=EDGES, fov_m=FOV)
    offsets = np.array(free.facts()["RingTimeOffset"])
    assert offsets[0] == pytest.approx([0.0, 4.0, 10.5])  # of spokes 0 to 12, 0 to 25, about 2
    assert np.abs(offsets[5:-6]).max() <= 0.5  # an even number cannot lie about the middle
    assert free.facts()["RingSpokes"][0] == [5.0, 13.0, 26.0]


def test_wrong_rings_are_refused():
    times = np.arange(10.0)
    frames = frames_by_spokes(times, spokes=5)
    for edges in ([0.0, 1.0], [2.0, 1.0], [1.0, np.inf]):
        with pytest.raises(UsageError, match="must rise"):
            share_views(times, frames, edges_per_m=np.array(edges), fov_m=FOV)
    with pytest.raises(UsageError, match="must be positive"):
        share_views(times, frames, edges_per_m=EDGES, fov_m=0.0)
