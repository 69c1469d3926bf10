"""All frames of a continuous acquisition together, against enhancement in closed form.

A body that does not change, and vessels whose signal follows a known course. Each part is measured
alone, without noise; every spoke then gets the sum at its own instant: nothing here is made by an
operator under test.
"""

from dataclasses import replace

import numpy as np
import pytest

from making import planned
from ultrahand.errors import InputError, ResourceError, UsageError
from ultrahand.phantoms import (
    CartesianScan,
    Ellipsoid,
    NonCartesianScan,
    ThermalNoise,
    geometry_of,
    simulate,
    smooth_coils,
    truth,
)
from ultrahand.pipelines import Workspace, reconstruct_volume
from ultrahand.pipelines.dynamic_memory import dynamic_needs, dynamic_slabs
from ultrahand.pipelines.sidecar import sidecar_fields
from ultrahand.pipelines.timing import frame_times
from ultrahand.recon.sorting import imaging_rows
from ultrahand.recon.trajectories import k_max_per_m, radial_2d
from ultrahand.records import ArraySource, Provenance

FOV, DEPTH, TR, N, COILS = 0.16, 0.08, 0.05, 48, 6
KINDS = ("grasp", "low-rank-sparse", "subspace", "view-sharing")


def ellipsoid(centre, semi_axes, density):
    return Ellipsoid(
        centre_m=np.array(centre) * FOV,
        semi_axes_m=np.array(semi_axes) * FOV,
        density=density,
        r2star_per_s=0.0,
        off_resonance_hz=0.0,
    )


BODY = ellipsoid((0.0, 0.0, 0.0), (0.36, 0.30, 0.30), 1.0)
VESSELS = (
    (ellipsoid((-0.16, -0.08, -0.06), (0.06, 0.06, 0.12), 2.0), 3.0),
    (ellipsoid((0.14, 0.08, 0.06), (0.06, 0.07, 0.12), 2.0), 6.0),
)
"""What is added by the agent, and when half of it is there."""


def course(time_s, arrival_s):
    """Of the agent: up to 1 over two seconds, then down slowly."""
    up = 0.5 - 0.5 * np.cos(np.pi * np.clip((time_s - arrival_s) / 2.0 + 0.5, 0.0, 1.0))
    return up * np.exp(-np.maximum(time_s - arrival_s - 1.0, 0.0) / 30.0)


def scan_of(spokes, partitions, n=N, **options):
    given = {
        "matrix": (n, n, partitions),
        "fov_m": (FOV, FOV, DEPTH),
        "dimension": 2 if partitions == 1 else 3,
        "k_per_m": radial_2d(spokes, int(1.5 * n), k_max_per_m(n, FOV), golden=True),
        "trajectory": "radial",
        "trajectory_unit": "1/m",
        "repetition_time_s": TR / partitions,
        "flip_angle_deg": 12.0,
        "echo_times_s": (1.5e-3,),
    }
    return NonCartesianScan(**(given | options))


def measured(spokes=200, partitions=1, coils=COILS, snr=20.0, **options):
    """A measurement and its scan; noise is what makes the body ``snr`` in a full image."""
    noise, seed = options.pop("noise", True), options.pop("seed", 7)
    scan = scan_of(spokes, partitions, **options)
    silent = replace(scan, noise=None)
    array = smooth_coils(coils, (FOV, FOV, FOV))
    parts = [simulate([BODY], array, silent, np.random.default_rng(1))]
    parts += [simulate([vessel], array, silent, np.random.default_rng(1)) for vessel, _ in VESSELS]
    table = parts[0].readouts.copy()
    # The agent stands still while the partitions of a spoke are measured; the middle one counts.
    spoke = table["kspace_encode_step_1"].astype(int)
    at = (spoke + 0.5) * TR
    table["acquisition_time_stamp"] = 1000 + np.rint(
        1e3 * (spoke * TR + table["kspace_encode_step_2"] * TR / partitions)
    )
    gains = [np.ones(len(table))] + [course(at, arrival) for _, arrival in VESSELS]
    data = [
        sum(g[row] * part.source.data[row] for g, part in zip(gains, parts, strict=True))
        for row in range(len(table))
    ]
    n = scan.matrix[0]
    voxel = FOV**2 / n**2 * (1.0 if partitions == 1 else DEPTH / partitions)
    sd = voxel * n * np.sqrt(partitions) / snr
    rng = np.random.default_rng(seed)
    white = [rng.standard_normal((2, *d.shape)) * sd for d in data]
    data = [(d + w[0] + 1j * w[1]).astype(np.complex64) for d, w in zip(data, white, strict=True)]
    if noise:
        level = ThermalNoise(covariance=np.eye(coils) * 2 * sd**2, n_readouts=32, n_samples=64)
        ready = simulate([BODY], array, replace(scan, noise=level), np.random.default_rng(3))
        first = int(imaging_rows(ready.readouts)[0])
        readouts = np.concatenate([ready.readouts[:first], table])
        readouts["scan_counter"] = np.arange(1, len(readouts) + 1)
        return replace(
            ready,
            readouts=readouts,
            source=ArraySource(data=(*ready.source.data[:first], *data), k=ready.source.k),
        ), scan
    raw = replace(
        parts[0], readouts=table, source=ArraySource(data=tuple(data), k=parts[0].source.k)
    )
    return raw, scan


@pytest.fixture(scope="module")
def flat():
    return measured()


@pytest.fixture(scope="module")
def stack():
    return measured(spokes=80, partitions=6, n=24)


def only(raw, rows):
    source = ArraySource(
        data=tuple(raw.source.data[row] for row in rows), k=tuple(raw.source.k[row] for row in rows)
    )
    return replace(raw, readouts=raw.readouts[rows], source=source)


def frames_of(raw, **options):
    """Magnitudes ``(frames, z, y, x)``, and the plan."""
    plan = planned(raw, **options)
    workspace = Workspace()
    (series,) = plan.series
    made = [reconstruct_volume(raw, plan, series, v, workspace) for v in series.volumes]
    workspace.watch.check(raw)
    assert not workspace.joint.held  # let go with the last frame
    return np.stack([m.parts["mag"].values for m in made]), plan, made[0], workspace


def enhancement_error(images, scan, time_s):
    """Of the change since the first frame within the body, whose signal is 1."""
    geometry = geometry_of(scan)
    exact = sum(
        course(time_s, arrival)[:, None, None, None] * truth([vessel], geometry)
        for vessel, arrival in VESSELS
    )
    exact = exact - exact[:1]
    inside = truth([BODY], geometry) > 0
    # The scale that all methods share is the body's own signal before anything comes.
    scale = np.median(images[0][inside])
    change = (images - images[:1])[:, inside] / scale
    return np.linalg.norm(change - exact[:, inside]) / np.linalg.norm(exact[:, inside])


# --- what becomes of the frames -------------------------------------------------------------------


@pytest.fixture(scope="module")
def gridded(flat):
    images, plan, _, _ = frames_of(flat[0], method="gridding", frame_time_s=0.4)
    return images, frame_times(flat[0], plan.series[0])[0]


@pytest.mark.parametrize("kind", KINDS)
def test_enhancement_is_nearer_to_the_truth_than_gridded(kind, flat, gridded):
    raw, scan = flat
    images, plan, _, _ = frames_of(raw, method="dynamic", frame_time_s=0.4, dynamic=kind)
    times, _ = frame_times(raw, plan.series[0])
    assert times == gridded[1]  # to the last digit: windows are the same
    middle = np.array(times.middle_s) + TR / 2
    error = enhancement_error(images, scan, middle)
    assert error < 0.7 * enhancement_error(gridded[0], scan, middle)


def test_a_stack_is_made_plane_by_plane(stack):
    raw, scan = stack
    images, plan, _, _ = frames_of(raw, method="dynamic", frame_time_s=0.5)
    old, _, _, _ = frames_of(raw, method="gridding", frame_time_s=0.5)
    middle = np.array(frame_times(raw, plan.series[0])[0].middle_s)
    assert images.shape == (8, 6, 24, 24)
    error = enhancement_error(images, scan, middle)
    assert error < 0.85 * enhancement_error(old, scan, middle)


def test_planes_do_not_depend_on_how_many_fit_the_memory(stack):
    """Every slab reads the file again; each plane is solved alone, from the same sums."""
    raw, _ = stack
    asked = {"method": "dynamic", "frame_time_s": 1.0, "threads": 1}
    whole, plan, _, _ = frames_of(raw, **asked)
    encoding, series = plan.encodings[0], plan.dynamic.series[0]
    needs = dynamic_needs(plan, encoding, series)
    assert dynamic_slabs(plan, encoding, series) == [slice(0, 6)]
    least = sum(needs.values()) - needs["samples"] * 4 // 6
    tight = replace(plan, options=replace(plan.options, max_memory=least))
    assert [p.stop - p.start for p in dynamic_slabs(tight, encoding, series)] == [2, 2, 2]
    workspace = Workspace()
    (one,) = tight.series
    frames = [reconstruct_volume(raw, tight, one, v, workspace) for v in one.volumes]
    for frame, expected in zip(frames, whole, strict=True):
        np.testing.assert_array_equal(frame.parts["mag"].values, expected)
    small = replace(plan, options=replace(plan.options, max_memory=least // 4))
    with pytest.raises(ResourceError, match=r"are needed \(samples .*, series .*, solver "):
        dynamic_slabs(small, encoding, series)


def test_threads_change_nothing(flat):
    asked = {"method": "dynamic", "frame_time_s": 1.0}
    one, two = (frames_of(flat[0], **asked, threads=threads)[0] for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


# --- what is said of them -------------------------------------------------------------------------


def sidecar(raw, plan, made):
    (series,) = plan.series
    times, _ = frame_times(raw, series)
    how = Provenance(
        inputs={},
        options={},
        steps=made.steps,
        findings=(),
        versions={},
        threads=1,
        seed=None,
        command="",
    )
    return sidecar_fields(raw.header, plan, series, made.parts["mag"], times, how)


def test_the_sidecar_has_the_footprint_of_every_frame(flat):
    raw, _ = flat
    _, plan, made, _ = frames_of(raw, method="dynamic", frame_time_s=1.0, dynamic="view-sharing")
    told = sidecar(raw, plan, made)
    assert told["ReconstructionMethod"] == "dynamic"
    assert told["DynamicReconstruction"] == "view-sharing"
    assert told["CoilCombination"] == "espirit"
    # 20 spokes of 50 ms; the middle sample comes 0.18 ms after the stamp.
    assert told["FrameTimesStart"] == pytest.approx(np.arange(10.0), abs=1e-6)
    assert told["FrameTimesCentre"] == pytest.approx(np.arange(10) + 0.475, abs=1e-3)
    assert told["FrameFootprintWidth"] == pytest.approx([0.95] * 10, abs=1e-6)
    assert told["FrameSpokes"] == [20] * 10
    assert told["SpokeDuration"] == 0
    needed = np.ceil(np.pi * np.array(told["RingOuterRadius_per_m"]) * FOV)
    assert told["RingSpokes"][5] == np.maximum(needed, 20).tolist()
    assert any("KWIC" in step for step in made.steps)
    assert any("ESPIRiT" in step for step in made.steps)


def test_the_noise_of_shared_views_is_that_of_repeated_measurements():
    """Two measurements that differ in their noise alone, voxels far from signal's edges."""
    asked = {"method": "dynamic", "frame_time_s": 2.0, "dynamic": "view-sharing"}
    raw, _ = measured(spokes=120, snr=40.0, n=32)
    plan = planned(raw, **asked, parts="complex")
    (series,) = plan.series
    first = int(imaging_rows(raw.readouts)[0])
    sd = np.sqrt(np.mean([np.abs(d) ** 2 for d in raw.source.data[:first]]) / 2)
    rng = np.random.default_rng(11)
    pairs = []
    for _ in range(2):
        data = [
            d + (sd * (rng.standard_normal(d.shape) + 1j * rng.standard_normal(d.shape)))
            for d in raw.source.data[first:]
        ]
        again = replace(
            raw,
            source=ArraySource(
                data=(*raw.source.data[:first], *(d.astype(np.complex64) for d in data)),
                k=raw.source.k,
            ),
        )
        workspace = Workspace()
        pairs.append(reconstruct_volume(again, plan, series, series.volumes[1], workspace).parts)
    difference = pairs[0]["real"].values - pairs[1]["real"].values
    found = difference[0, 8:24, 8:24].std() / np.sqrt(2)
    # The added noise is as large as what is there already; 256 voxels, correlated by the maps.
    assert found == pytest.approx(np.median(pairs[0]["real"].standard_error), rel=0.2)


@pytest.mark.parametrize(
    ("noise", "words"), [(True, "prior in time"), (False, "no noise scan was used")]
)
def test_without_a_standard_error_the_reason_is_said(noise, words):
    raw, _ = measured(spokes=80, n=32, noise=noise)
    images, plan, made, _ = frames_of(raw, method="dynamic", frame_time_s=1.0)
    assert np.isfinite(images).all()
    assert made.parts["mag"].standard_error is None
    assert words in sidecar(raw, plan, made)["StandardError"]


# --- what is odd in a measurement -----------------------------------------------------------------


def test_spokes_with_nan_are_left_out_with_all_their_partitions(stack):
    raw, _ = stack
    rows = imaging_rows(raw.readouts)
    data = list(raw.source.data)
    data[rows[40]] = data[rows[40]] * np.nan
    broken = replace(raw, source=ArraySource(data=tuple(data), k=raw.source.k))
    images, _, _, workspace = frames_of(broken, method="dynamic", frame_time_s=1.0)
    assert np.isfinite(images).all()
    assert workspace.watch.bad == [rows[40]]
    mine = raw.readouts["kspace_encode_step_1"] == raw.readouts["kspace_encode_step_1"][rows[40]]
    without = only(raw, np.flatnonzero(~(mine & np.isin(np.arange(len(mine)), rows))))
    expected, _, _, _ = frames_of(without, method="dynamic", frame_time_s=1.0)
    # The fit of delays sees one spoke more, so that both are not the same to the last digit.
    assert np.linalg.norm(images - expected) < 1e-2 * np.linalg.norm(expected)


def test_an_unfinished_last_spoke_is_left_out(stack):
    raw, _ = stack
    plan = planned(only(raw, range(len(raw.readouts) - 2)), method="dynamic", frame_time_s=1.0)
    (odd,) = [f for f in plan.findings if f.field == "spokes"]
    assert odd.found == "1 of 80 without all partitions"
    assert plan.dynamic.series[0].spokes.rows.shape == (79, 6)


def test_late_gradients_are_corrected(flat):
    """Spokes 0.6 samples off what the file says give the images of those that are not."""
    raw, _ = flat
    exact, _, first, _ = frames_of(raw, method="dynamic", frame_time_s=1.0)
    moved = []
    for k in raw.source.k:
        if len(k) < 2 or k.shape[-1] == 0:
            moved.append(k)
            continue
        step = (k[-1] - k[0]) / (len(k) - 1)
        moved.append((k + 0.6 * step).astype(np.float32))
    late = replace(raw, source=ArraySource(data=raw.source.data, k=tuple(moved)))
    images, _, made, workspace = frames_of(late, method="dynamic", frame_time_s=1.0)
    assert any("gradient delays corrected" in step for step in made.steps)
    assert any(note.field == "gradient delay" for note in workspace.notes)
    assert np.linalg.norm(images - exact) < 0.05 * np.linalg.norm(exact)
    assert first.parts["mag"].values.shape == (1, N, N)


def test_replicas_scatter_as_repeated_measurements_do():
    """8 of each: a voxel's ratio is known to 27 %, the median of hundreds of neighbours to 5 %."""
    options = {"method": "dynamic", "frame_time_s": 2.0, "dynamic": "grasp"}
    _, _, made, _ = frames_of(measured(spokes=60)[0], **options, replicas=8)
    found = made.parts["mag"]
    repeats = [
        np.abs(frames_of(measured(spokes=60, seed=seed)[0], **options)[0][0])
        for seed in range(20, 28)
    ]
    exact, mean = np.std(repeats, axis=0, ddof=1), np.mean(repeats, axis=0)
    bright = mean > 0.3 * mean.max()
    assert bright.sum() > 200
    assert 0.8 < np.median(found.standard_error[bright] / exact[bright]) < 1.25
    assert "8 pseudo-replicas" in found.standard_error_note


# --- what is refused ------------------------------------------------------------------------------


def test_a_frame_time_is_needed(flat):
    with pytest.raises(UsageError, match="needs --frame-time S"):
        planned(flat[0], method="dynamic")


def test_frames_of_too_few_spokes_are_refused_with_the_least_that_works(flat):
    with pytest.raises(UsageError, match=r"fewer than 3 spokes; give at least 0\.15"):
        planned(flat[0], method="dynamic", frame_time_s=0.1)
    for frame_time_s in (0.15, 0.2):
        counts = [
            len(v.rows)
            for v in planned(flat[0], method="dynamic", frame_time_s=frame_time_s).series[0].volumes
        ]
        assert min(counts) >= 3
    with pytest.raises(UsageError, match="fewer than 3 spokes"):
        planned(flat[0], method="dynamic", frame_time_s=1e-300)


def test_one_channel_is_refused():
    raw, _ = measured(spokes=20, coils=1, n=16)
    with pytest.raises(InputError, match="one channel"):
        planned(raw, method="dynamic", frame_time_s=0.5)


def test_cartesian_lines_are_refused(rng):
    scan = CartesianScan(matrix=(16, 12, 1), fov_m=(FOV, FOV, DEPTH), dimension=2)
    raw = simulate([BODY], smooth_coils(2, (FOV, FOV, FOV)), scan, rng)
    with pytest.raises(UsageError, match="needs spokes: this measurement is cartesian"):
        planned(raw, method="dynamic", frame_time_s=0.5)


def test_spokes_that_miss_the_centre_are_refused(flat):
    raw, _ = flat
    given = np.stack([k for k in raw.source.k if len(k) == 72]) + np.float32(80.0)
    options = {"trajectory": given, "trajectory_unit": "1/m"}
    with pytest.raises(InputError, match="from the centre of k-space at its nearest"):
        planned(raw, method="dynamic", frame_time_s=0.5, **options)


def test_curves_are_refused(flat):
    raw, _ = flat
    given = np.stack([k for k in raw.source.k if len(k) == 72])
    turn = np.linspace(-1.0, 1.0, 72)[None, :] ** 2
    bent = np.stack(
        [
            given[..., 0] * np.cos(turn) - given[..., 1] * np.sin(turn),
            given[..., 0] * np.sin(turn) + given[..., 1] * np.cos(turn),
        ],
        axis=-1,
    )
    with pytest.raises(InputError, match="expected straight spokes"):
        planned(raw, method="dynamic", frame_time_s=0.5, trajectory=bent, trajectory_unit="1/m")


def test_too_few_spokes_for_coil_maps_are_refused():
    raw, _ = measured(spokes=16, n=32)
    with pytest.raises(InputError, match="too little to find coil sensitivities"):
        frames_of(raw, method="dynamic", frame_time_s=0.4)


def test_a_subspace_needs_the_sequence(flat):
    raw = replace(flat[0], header=replace(flat[0].header, flip_angles_deg=()))
    with pytest.raises(InputError, match="flip angle, TR and TE"):
        planned(raw, method="dynamic", frame_time_s=0.5, dynamic="subspace")
