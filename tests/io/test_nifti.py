import gzip
import time

import nibabel
import numpy as np
import pytest

from ultrahand.errors import UsageError
from ultrahand.io.nifti import NiftiWriter
from ultrahand.records import Geometry

SHAPE = (3, 5, 7)  # z, y, x


def rotation(angles):
    made = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        i, j = [n for n in range(3) if n != axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        made = turn @ made
    return made


def geometry(*, left_handed=False, known=True, shape=SHAPE):
    read, phase, slice_ = rotation((0.3, -0.7, 1.1))
    return Geometry(
        shape=shape,
        voxel_size_m=(0.4e-3, 0.5e-3, 1.5e-3),
        position_mm=np.array([-31.0, 12.5, 740.25]),
        read_dir=read,
        phase_dir=phase,
        slice_dir=-slice_ if left_handed else slice_,
        known=known,
    )


def write(path, frames, *, step=0.0, compress=True, **options):
    made = geometry(**options)
    writer = NiftiWriter(
        path, compress=compress, geometry=made, n_frames=len(frames), frame_step_s=step
    )
    with writer:
        for frame in frames:
            writer.append(frame)
    return made


@pytest.mark.parametrize("left_handed", [False, True])
def test_voxels_lie_where_the_geometry_says(left_handed, tmp_path, rng):
    values = rng.standard_normal(SHAPE).astype(np.float32)
    made = write(tmp_path / "i.nii.gz", [values], left_handed=left_handed)
    image = nibabel.load(tmp_path / "i.nii.gz")
    # float32 in the file, positions below 1000 mm
    np.testing.assert_allclose(image.get_sform(), made.ras_affine(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), made.ras_affine(), rtol=0, atol=1e-3)
    assert np.sign(np.linalg.det(image.affine)) == np.sign(np.linalg.det(made.ras_affine()))


def test_the_position_is_that_of_the_middle_voxel(tmp_path):
    made = write(tmp_path / "i.nii.gz", [np.zeros(SHAPE, np.float32)])
    affine = nibabel.load(tmp_path / "i.nii.gz").affine
    middle = affine @ (7 // 2, 5 // 2, 3 // 2, 1)
    np.testing.assert_allclose(middle[:3], made.position_mm * (-1, -1, 1), atol=1e-4)


def test_values_stand_in_the_order_x_y_z(tmp_path, rng):
    values = rng.standard_normal(SHAPE).astype(np.float32)
    write(tmp_path / "i.nii.gz", [values])
    image = nibabel.load(tmp_path / "i.nii.gz")
    assert image.shape == (7, 5, 3)
    np.testing.assert_array_equal(np.asarray(image.dataobj), values.T)


@pytest.mark.parametrize(("known", "code"), [(True, 1), (False, 0)])
def test_the_sform_code_says_whether_the_place_is_known(known, code, tmp_path):
    write(tmp_path / "i.nii.gz", [np.zeros(SHAPE, np.float32)], known=known)
    header = nibabel.load(tmp_path / "i.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (code, 1)


def test_units_are_millimetres_and_seconds(tmp_path):
    write(tmp_path / "i.nii.gz", [np.zeros(SHAPE, np.float32)] * 2, step=2.5)
    header = nibabel.load(tmp_path / "i.nii.gz").header
    assert header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(header.get_zooms(), (0.4, 0.5, 1.5, 2.5), rtol=1e-6)


def test_values_are_plain_float32(tmp_path):
    write(tmp_path / "i.nii.gz", [np.full(SHAPE, np.pi, np.float64)])
    image = nibabel.load(tmp_path / "i.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    assert (np.asarray(image.dataobj) == np.float32(np.pi)).all()


def test_frames_written_one_by_one_are_the_fourth_axis(tmp_path, rng):
    frames = rng.standard_normal((4, *SHAPE)).astype(np.float32)
    write(tmp_path / "i.nii", frames, compress=False)
    image = nibabel.load(tmp_path / "i.nii")
    assert image.shape == (7, 5, 3, 4)
    np.testing.assert_array_equal(np.asarray(image.dataobj), frames.T)


def test_views_that_are_not_contiguous_are_written_as_they_look(tmp_path, rng):
    values = rng.standard_normal((7, 5, 6)).astype(np.float32).T[::2]
    write(tmp_path / "i.nii", [values], compress=False)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "i.nii").dataobj), values.T)


def test_the_same_image_gives_the_same_bytes_at_any_time(tmp_path, rng, monkeypatch):
    values = rng.standard_normal(SHAPE).astype(np.float32)
    write(tmp_path / "one.nii.gz", [values])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400)
    write(tmp_path / "two.nii.gz", [values])
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()


def test_the_compressed_file_holds_the_plain_one(tmp_path, rng):
    values = rng.standard_normal(SHAPE).astype(np.float32)
    write(tmp_path / "i.nii", [values], compress=False)
    write(tmp_path / "i.nii.gz", [values])
    assert (
        gzip.decompress((tmp_path / "i.nii.gz").read_bytes()) == (tmp_path / "i.nii").read_bytes()
    )


def test_a_volume_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\(3, 5, 8\)"):
        write(tmp_path / "i.nii", [np.zeros((3, 5, 8), np.float32)])


def test_too_few_volumes_are_a_defect(tmp_path):
    writer = NiftiWriter(tmp_path / "i.nii", compress=False, geometry=geometry(), n_frames=3)
    with pytest.raises(ValueError, match="2 volumes were not written"), writer:
        writer.append(np.zeros(SHAPE, np.float32))


def test_too_many_volumes_are_a_defect(tmp_path):
    writer = NiftiWriter(tmp_path / "i.nii", compress=False, geometry=geometry(), n_frames=1)
    with writer:
        writer.append(np.zeros(SHAPE, np.float32))
        with pytest.raises(ValueError, match="does not fit"):
            writer.append(np.zeros(SHAPE, np.float32))


def test_an_image_too_large_for_the_format_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="at most 32767"):
        NiftiWriter(
            tmp_path / "i.nii", compress=False, geometry=geometry(shape=(1, 1, 32768)), n_frames=1
        )
    assert not list(tmp_path.iterdir())
