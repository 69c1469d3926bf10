import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ultrahand.recon.axes import axes_of, runs_of
from ultrahand.records import Encoding, EncodingSpace


def encoding(encoded, encoded_mm, recon, recon_mm):
    def space(matrix, fov):
        return EncodingSpace(matrix=matrix, fov_m=tuple(f * 1e-3 for f in fov))

    return Encoding(
        trajectory="cartesian",
        encoded=space(encoded, encoded_mm),
        recon=space(recon, recon_mm),
        limits={},
        acceleration=None,
    )


CASES = {
    # encoded n and mm, asked n and mm -> grid, image, voxel in mm
    "oversampled": (512, 600.0, 256, 300.0, 512, 256, 300 / 256),
    "no oversampling": (65, 300.0, 65, 300.0, 65, 65, 300 / 65),
    "interpolated": (192, 256.0, 256, 256.0, 256, 256, 1.0),
    "coarser": (256, 256.0, 128, 256.0, 128, 128, 2.0),
    "cropped and interpolated": (150, 300.0, 128, 128.0, 300, 128, 1.0),
    "printed with few digits": (512, 600.0, 256, 299.9999, 512, 256, 600 / 512),
    "voxel that does not divide": (100, 100.0, 90, 93.0, 100, 93, 1.0),
    "asked beyond the encoded": (100, 100.0, 120, 120.0, 100, 100, 1.0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_grid_gives_the_asked_voxel_over_the_encoded_field_of_view(case):
    n_encoded, fov_encoded, n_asked, fov_asked, n_grid, n_image, voxel_mm = case
    axes, _ = axes_of(
        encoding((n_encoded, 8, 6), (fov_encoded, 8, 6), (n_asked, 8, 6), (fov_asked, 8, 6)),
        three_d=True,
    )
    assert (axes[0].n_grid, axes[0].n_image) == (n_grid, n_image)
    assert axes[0].voxel_m == pytest.approx(voxel_mm * 1e-3, rel=1e-6)


@pytest.mark.parametrize(
    ("case", "words"),
    [("voxel that does not divide", "divides"), ("asked beyond the encoded", "at most")],
)
def test_what_cannot_be_asked_is_reported(case, words):
    n_encoded, fov_encoded, n_asked, fov_asked, *_ = CASES[case]
    _, findings = axes_of(
        encoding((n_encoded, 8, 6), (fov_encoded, 8, 6), (n_asked, 8, 6), (fov_asked, 8, 6)),
        three_d=True,
    )
    assert [words in finding.expected for finding in findings] == [True]


def test_slice_axis_of_2d_is_one_voxel_as_thick_as_the_slice():
    axes, _ = axes_of(encoding((8, 6, 1), (8, 6, 3.5), (8, 6, 1), (8, 6, 3.5)), three_d=False)
    assert (axes[2].n_grid, axes[2].n_image, axes[2].voxel_m) == (1, 1, pytest.approx(3.5e-3))


@pytest.mark.parametrize(("n", "m"), [(n, m) for n in (1, 2, 7, 8) for m in (1, 5, 6) if m <= n])
def test_image_columns_keep_the_centre(n, m):
    axes, _ = axes_of(encoding((n, 4, 1), (n, 4, 1), (m, 4, 1), (m, 4, 1)), three_d=False)
    columns = axes[0].image_columns()
    assert columns[m // 2] == 0
    assert len(set(columns.tolist())) == m


def test_runs_cover_the_sequence_in_order():
    places = np.array([5, 6, 7, 0, 1, 9])
    rebuilt = np.full(6, -1)
    for sequence, place in runs_of(places):
        rebuilt[sequence] = np.arange(place.start, place.stop)
    np.testing.assert_array_equal(rebuilt, places)


@given(st.integers(1, 60), st.integers(0, 60), st.data())
def test_any_runs_rebuild_any_sequence(size, start, data):
    """Rising by one save for jumps, as places on a grid do."""
    steps = data.draw(st.lists(st.sampled_from([1, 1, 1, 3, -7]), min_size=size, max_size=size))
    places = start + 500 + np.cumsum(steps)
    rebuilt = np.concatenate([np.arange(b.start, b.stop) for _, b in runs_of(places)])
    np.testing.assert_array_equal(rebuilt, places)
    sequence = np.concatenate([np.arange(a.start, a.stop) for a, _ in runs_of(places)])
    np.testing.assert_array_equal(sequence, np.arange(size))


@given(
    st.integers(1, 300), st.integers(1, 300), st.floats(10, 500), st.floats(0.2, 1.0), st.booleans()
)
def test_any_header_gives_an_image_within_its_grid(n_encoded, n_asked, fov, part, three_d):
    encoded = ((n_encoded, 4, n_encoded), (fov, fov, fov))
    axes, _ = axes_of(encoding(*encoded, (n_asked, 4, n_asked), (fov * part,) * 3), three_d=three_d)
    for axis in axes:
        assert 1 <= axis.n_image <= axis.n_grid
        columns = axis.image_columns()
        assert columns[axis.n_image // 2] == 0
        assert len(set(columns.tolist())) == axis.n_image
        k = np.arange(-(axis.n_encoded // 2), (axis.n_encoded + 1) // 2)
        kept = axis.grid_rows(k[axis.on_grid(k)])
        assert len(set(kept.tolist())) == len(kept)
        assert kept.max(initial=0) < axis.n_grid
