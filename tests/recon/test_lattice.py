"""Lattices are found from masks made by their definition."""

import numpy as np
import pytest

from reference.grappa import on_lattice
from ultrahand.errors import InputError, RecordError
from ultrahand.recon.grappa_window import default_kernel, shortest_basis, window_of
from ultrahand.recon.lattice import Lattice
from ultrahand.recon.lattice_search import calibration_block, find_lattice

# basis (z, y, x) in Hermite normal form, offset
LATTICES = {
    "1D along y": ([[1, 0, 0], [0, 3, 0], [0, 0, 1]], (0, 2, 0)),
    "1D along z": ([[2, 0, 0], [0, 1, 0], [0, 0, 1]], (1, 0, 0)),
    "1D along x": ([[1, 0, 0], [0, 1, 0], [0, 0, 4]], (0, 0, 2)),
    "2 x 3": ([[2, 0, 0], [0, 3, 0], [0, 0, 1]], (1, 1, 0)),
    "2 x 2 with x": ([[1, 0, 0], [0, 2, 0], [0, 0, 2]], (0, 1, 0)),
    "CAIPI 2 x 2": ([[1, 2, 0], [0, 4, 0], [0, 0, 1]], (0, 3, 0)),
    "CAIPI 1 x 3": ([[1, 1, 0], [0, 3, 0], [0, 0, 1]], (0, 0, 0)),
    "shifted in all axes": ([[1, 1, 2], [0, 2, 1], [0, 0, 3]], (0, 1, 2)),
}
SHAPES = [(6, 12, 8), (7, 13, 7), (9, 8, 11)]


def every_lattice(rates):
    """Each lattice of these rates once, by its Hermite normal form."""
    for a in range(1, max(rates) + 1):
        for b in range(1, max(rates) // a + 1):
            for c in range(1, max(rates) // (a * b) + 1):
                if a * b * c in rates:
                    for s, t, u in np.ndindex(b, c, c):
                        yield np.array([[a, s, t], [0, b, u], [0, 0, c]])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", LATTICES)
def test_the_lattice_is_found(name, shape):
    basis, offset = LATTICES[name]
    mask = on_lattice(shape, basis, offset)
    lattice = find_lattice(mask)
    np.testing.assert_array_equal(lattice.basis, basis)
    np.testing.assert_array_equal(lattice.offset, offset)
    np.testing.assert_array_equal(lattice.positions(shape), mask)
    assert lattice.rate == round(np.linalg.det(basis))


@pytest.mark.parametrize("name", LATTICES)
def test_the_lattice_is_found_around_a_calibration_block(name):
    basis, offset = LATTICES[name]
    mask = on_lattice((9, 14, 12), basis, offset)
    mask[2:7, 4:10, 3:9] = True
    lattice = find_lattice(mask)
    np.testing.assert_array_equal(lattice.basis, basis)
    np.testing.assert_array_equal(lattice.offset, offset)
    block = calibration_block(mask)
    assert mask[block].all()
    # Full planes of the lattice beside the block belong to it: it holds the block at least.
    for found, (start, stop) in zip(block, [(2, 7), (4, 10), (3, 9)], strict=True):
        assert found.start <= start
        assert found.stop >= stop


def test_corners_and_a_side_may_be_missing():
    basis, offset = LATTICES["CAIPI 2 x 2"]
    full = on_lattice((17, 20, 3), basis, offset)
    z, y, _ = np.indices(full.shape)
    ellipse = ((z - 8) / 8.5) ** 2 + ((y - 10) / 10) ** 2 <= 1
    for region in (ellipse, y >= 6, z < 11):
        np.testing.assert_array_equal(find_lattice(full & region).basis, basis)


def test_a_broadcast_mask_counts_as_one():
    lines = np.zeros((5, 12, 1), bool)
    lines[:, ::3] = True
    lines[:, 4:9] = True
    mask = np.broadcast_to(lines, (5, 12, 10))
    assert find_lattice(mask).rate == 3
    # Rows 3 and 9 of the lattice touch the block.
    assert calibration_block(mask) == (slice(0, 5), slice(3, 10), slice(0, 10))


@pytest.mark.parametrize(("step", "found"), [(2, 2), (3, 3), (4, 2)])
def test_a_block_may_hold_most_lines_of_the_lattice(step, found):
    """Lines 4 to 8 are full. At step 2 they take in 3 and 9, and 0, 2, 10, 12 are left; at step 4
    only 2 and 10, but of every second line from 2 to 10 all were acquired."""
    mask = np.zeros((1, 13, 4), bool)
    mask[0, 6 % step :: step] = True
    mask[0, 4:9] = True
    lattice = find_lattice(mask)
    assert lattice.basis.tolist() == [[1, 0, 0], [0, found, 0], [0, 0, 1]]
    assert lattice.offset.tolist() == [0, 6 % found, 0]


def test_full_sampling_and_a_low_resolution_scan_are_of_rate_one():
    mask = np.ones((3, 4, 5), bool)
    assert find_lattice(mask).rate == 1
    assert calibration_block(mask) == (slice(0, 3), slice(0, 4), slice(0, 5))
    mask[:, 3] = False
    assert find_lattice(mask).rate == 1


def test_without_its_centre_there_is_no_block():
    mask = np.ones((1, 7, 7), bool)
    mask[0, 3, 3] = False
    assert calibration_block(mask) is None


def test_the_block_is_the_largest_of_those_grown():
    mask = np.zeros((1, 21, 21), bool)
    mask[0, 9:12, :] = True  # a cross: 3 x 21, and 21 x 5
    mask[0, :, 8:13] = True
    assert calibration_block(mask) == (slice(0, 1), slice(0, 21), slice(8, 13))


def test_what_is_no_lattice_is_refused(rng):
    random = rng.random((1, 32, 32)) < 0.3
    random[:, 10:22, 10:22] = True
    with pytest.raises(InputError, match=r"positions missing .* rate 1"):
        find_lattice(random)
    lines = np.zeros((1, 24, 8), bool)
    lines[:, ::3] = True
    lines[:, 18] = False
    with pytest.raises(InputError, match=r"1 of 8 positions missing .*rate 3"):
        find_lattice(lines)
    lines[:] = False
    lines[:, 5] = True
    with pytest.raises(InputError, match="sampling along y: found samples at one position"):
        find_lattice(lines)
    lines[:] = False
    with pytest.raises(InputError, match="no acquired position"):
        find_lattice(lines)
    with pytest.raises(RecordError, match="must be boolean"):
        find_lattice(np.ones((2, 3, 4)))
    with pytest.raises(RecordError, match="three dimensions"):
        Lattice(shape=(1, 1, 1), basis=np.diag([1, 1, 0]), offset=np.zeros(3))


def test_the_shortest_basis_spans_the_lattice():
    for basis in every_lattice({1, 2, 3, 4, 6, 8}):
        lattice = Lattice(shape=(9, 9, 9), basis=basis, offset=np.zeros(3))
        found = shortest_basis(lattice)
        # Integer combinations of the basis, of the same volume: the same lattice.
        combined = found @ np.linalg.inv(basis)
        np.testing.assert_allclose(combined, np.round(combined), atol=1e-9)
        assert abs(round(np.linalg.det(found))) == lattice.rate


@pytest.mark.parametrize("kernel", [(4, 4, 5), (1, 2, 3), (3, 5, 1), (2, 1, 4)])
@pytest.mark.parametrize("steps", [(1, 3, 1), (2, 2, 1), (1, 2, 2), (4, 1, 3)])
def test_on_a_rectangular_lattice_the_window_is_the_box_of_the_kernel(steps, kernel):
    lattice = Lattice(shape=(9, 9, 9), basis=np.diag(steps), offset=np.zeros(3))
    window = window_of(lattice, kernel)
    along = [
        step * np.arange(-((n - 1) // 2), n // 2 + 1) for step, n in zip(steps, kernel, strict=True)
    ]
    expected = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 3)
    np.testing.assert_array_equal(window.sources, expected)


def test_a_window_is_symmetric_and_has_each_class_of_targets_once():
    for basis in every_lattice({2, 3, 4, 6}):
        lattice = Lattice(shape=(9, 9, 9), basis=basis, offset=np.zeros(3))
        window = window_of(lattice, (2, 3, 4))
        sources = {tuple(s) for s in window.sources}
        centre = window.sources.min(axis=0) + window.sources.max(axis=0)
        assert sources == {tuple(centre - s) for s in window.sources}
        # About as many as wanted, by the box's volume; the ends are open.
        assert 24 / 2 <= len(sources) <= 24 * 2
        coordinates = window.targets @ np.linalg.inv(basis)
        classes = np.round((coordinates % 1) * lattice.rate).astype(int) % lattice.rate
        assert len({tuple(c) for c in classes}) == lattice.rate - 1
        assert classes.any(axis=1).all()


def test_the_nearest_positions_of_the_lattice_are_known():
    lattice = Lattice(shape=(9, 9, 9), basis=np.diag([1, 4, 1]), offset=np.zeros(3))
    window = window_of(lattice)
    assert window.targets[:, 1].tolist() == [1, 2, 3]
    assert window.nearest[..., 1].tolist() == [[0, 0], [0, 4], [4, 4]]


def test_the_default_kernel_reads_along_full_axes_only_where_they_are_long():
    expected = {(1, 9, 32): (1, 4, 5), (1, 9, 31): (1, 4, 1), (40, 9, 9): (5, 4, 1)}
    for shape, kernel in expected.items():
        lattice = Lattice(shape=shape, basis=np.diag([1, 3, 1]), offset=np.zeros(3))
        assert default_kernel(lattice) == kernel
    with pytest.raises(RecordError, match="kernel must be three numbers"):
        window_of(lattice, (1, 0, 3))
