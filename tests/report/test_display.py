"""Volumes for the viewer: where they lie, what they say, and how small they get."""

import gzip

import nibabel
import numpy as np
import pytest

from ultrahand.errors import RecordError
from ultrahand.records import Geometry
from ultrahand.report.display import MAX_FRAMES, MIN_BYTES, display_volume

TURN, NOD = np.deg2rad((20.0, 10.0))
OBLIQUE = (
    (np.cos(TURN), np.sin(TURN), 0.0),
    (-np.sin(TURN) * np.cos(NOD), np.cos(TURN) * np.cos(NOD), np.sin(NOD)),
    (np.sin(TURN) * np.sin(NOD), -np.cos(TURN) * np.sin(NOD), np.cos(NOD)),
)


def geometry(shape, *, known=True, voxel_mm=(1.0, 1.5, 2.5)):
    read, phase, normal = OBLIQUE if known else np.eye(3)
    return Geometry(
        shape=shape,
        voxel_size_m=tuple(v * 1e-3 for v in voxel_mm),
        position_mm=np.array([12.0, -7.0, 30.0]) if known else np.zeros(3),
        read_dir=read,
        phase_dir=phase,
        slice_dir=normal,
        known=known,
    )


def shown(values, frame, limit_bytes=10_000_000, **options):
    volume = display_volume(
        values, frame, name="hand", unit="SNR", limit_bytes=limit_bytes, **options
    )
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(volume.nifti_gz))
    return volume, image


def test_values_are_those_of_the_image_to_half_a_step(rng):
    frame = geometry((6, 7, 9))
    values = rng.normal(20, 5, frame.shape).astype(np.float32)
    volume, image = shown(values, frame)
    assert volume.clipped == (None, None)
    assert volume.gap is None
    error = np.abs(np.asarray(image.dataobj).T - values).max()
    assert 0.4 * volume.step < error <= 0.5 * volume.step * (1 + 1e-4)
    assert volume.step == pytest.approx((values.max() - values.min()) / 253, rel=1e-5)
    np.testing.assert_allclose(image.affine, frame.ras_affine(), atol=1e-4)


def test_what_was_not_measured_is_told_from_the_smallest_value(rng):
    frame = geometry((6, 7, 9))
    values = rng.normal(0, 5, frame.shape).astype(np.float32)
    values[:2] = np.nan
    volume, image = shown(values, frame)
    read = np.asarray(image.dataobj).T
    gap = np.abs(read - volume.gap) <= volume.step / 2
    np.testing.assert_array_equal(gap, np.isnan(values))


def test_spikes_end_at_the_clipped_value_and_leave_the_levels_to_the_rest(rng):
    frame = geometry((16, 20, 20))
    values = rng.uniform(0, 10, frame.shape).astype(np.float32)
    values[3, 3, 3] = 1e6
    volume, image = shown(values, frame)
    read = np.asarray(image.dataobj).T
    assert read[3, 3, 3] == pytest.approx(volume.clipped[1])
    assert np.count_nonzero(read == read[3, 3, 3]) == 1
    # Three windows of about 10 in 253 steps.
    assert 0.115 < volume.step < 0.12
    assert volume.window == pytest.approx((0.0, np.percentile(values, 99.8)))


@pytest.mark.parametrize("known", [True, False])
def test_blocks_lie_where_their_mean_lies(known):
    """Averaged over whole blocks, a ramp is itself at the centres of the blocks."""
    frame = geometry((48, 60, 72), known=known)
    z, y, x = np.indices(frame.shape)
    affine = frame.ras_affine()
    if not known:  # shown in radiological order, the axes of the scan run as in the pictures
        affine = np.diag([-1.0, -1.5, -2.5, 1.0])
        affine[:3, 3] = [36.0, 1.5 * 30, 2.5 * 24]
    places = np.stack([x, y, z], axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    ramp = (places @ [1.0, 0.3, -0.7] + 200).astype(np.float32)
    volume, image = shown(ramp, frame, limit_bytes=MIN_BYTES)
    read = np.asarray(image.dataobj)
    factors = np.rint(np.linalg.norm(image.affine[:3, :3], axis=0) / [1.0, 1.5, 2.5]).astype(int)
    assert min(factors) >= 1
    assert max(factors) > 1
    whole = read[tuple(slice(n // f) for n, f in zip((72, 60, 48), factors, strict=True))]
    i, j, k = np.indices(whole.shape)
    centres = np.stack([i, j, k], axis=-1) @ image.affine[:3, :3].T + image.affine[:3, 3]
    error = np.abs(centres @ [1.0, 0.3, -0.7] + 200 - whole)
    assert error.max() <= volume.step * 0.51
    assert error.max() > 0.1 * volume.step
    assert volume.directions_known is known


def test_blocks_grow_towards_cubes(rng):
    frame = geometry((32, 64, 96), voxel_mm=(1.0, 1.5, 3.0))
    values = rng.normal(0, 1, frame.shape).astype(np.float32)
    volume, image = shown(values, frame, limit_bytes=20_000)
    sizes = np.abs(np.linalg.norm(image.affine[:3, :3], axis=0))
    assert sizes.max() > 3.1
    assert sizes.max() <= np.add(sizes, [1.0, 1.5, 3.0]).min() + 1e-5, "a shorter block grows first"
    assert 10_000 < len(volume.nifti_gz) <= 20_000, "no coarser than it must be"
    assert "voxels averaged to" in volume.note


def test_frames_give_way_before_voxels_and_keep_their_names(rng):
    frame = geometry((8, 16, 16))
    values = rng.normal(10, 1, (200, *frame.shape)).astype(np.float32)
    names = [f"{2 * i} s" for i in range(200)]
    volume, image = shown(values, frame, limit_bytes=60_000, frame_names=names)
    assert image.shape == (16, 16, 8, MAX_FRAMES)
    assert volume.frames[0] == "0 s"
    assert volume.frames[-1] == "398 s"
    assert f"{MAX_FRAMES} of 200 frames" in volume.note
    read = np.asarray(image.dataobj).T
    for place, name in enumerate(volume.frames):
        true = values[int(name.removesuffix(" s")) // 2]
        assert np.abs(read[place] - true).max() <= 0.51 * volume.step


@pytest.mark.parametrize("shape", [(300, 4, 32, 32), (1, 64, 64), (40, 48, 56), (30, 1, 90, 70)])
@pytest.mark.parametrize("limit", [MIN_BYTES, 50_000])
def test_every_volume_fits(rng, shape, limit):
    """White noise packs worst; 16 series of it keep to what the page gives them."""
    frame = geometry(shape[-3:])
    names = [str(i) for i in range(shape[0])] if len(shape) == 4 else []
    values = rng.standard_normal(shape).astype(np.float32)
    volume, image = shown(values, frame, limit_bytes=limit, frame_names=names)
    assert len(volume.nifti_gz) <= limit
    assert len(volume.frames) in (0, image.shape[-1])
    again, _ = shown(values, frame, limit_bytes=limit, frame_names=names)
    assert again == volume


def test_viewer_begins_in_the_signal_and_in_the_brightest_frame():
    frame = geometry((20, 30, 40))
    values = np.zeros((3, *frame.shape), np.float32)
    values[1, 12:15, 4:7, 30:33] = 9.0
    volume, _ = shown(values, frame, frame_names=["a", "b", "c"])
    assert volume.start_frame == 1
    expected = frame.ras_affine() @ [31, 5, 13, 1]
    assert volume.start_ras_mm == pytest.approx(expected[:3], abs=1e-9)
    assert volume.window == (0.0, 9.0)


def test_nothing_measured_is_still_a_volume():
    frame = geometry((4, 5, 6))
    volume, image = shown(np.full(frame.shape, np.nan, np.float32), frame)
    assert np.all(np.abs(np.asarray(image.dataobj) - volume.gap) <= volume.step / 2)


def test_frames_without_names_and_too_little_room_are_refused():
    frame = geometry((4, 5, 6))
    with pytest.raises(RecordError, match="name each"):
        shown(np.ones((2, *frame.shape), np.float32), frame)
    with pytest.raises(RecordError, match="at least"):
        shown(np.ones(frame.shape, np.float32), frame, limit_bytes=100)
    with pytest.raises(RecordError, match="do not fit"):
        shown(np.ones((4, 5, 7), np.float32), frame)
