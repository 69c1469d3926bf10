"""Every kind of solid: the transform of its plates against closed forms and plain integrals."""

import numpy as np
import pytest
from scipy.special import j1, spherical_jn

from phantoms.digital_hand import integrals
from ultrahand.errors import RecordError
from ultrahand.phantoms import uniform_coil
from ultrahand.phantoms.digital_hand.joints import between
from ultrahand.phantoms.digital_hand.protocol import PROTOCOLS
from ultrahand.phantoms.digital_hand.solids import AIR, Solid, cut
from ultrahand.phantoms.digital_hand.stack import Stack, ellipsoid_mm, tube_mm
from ultrahand.phantoms.direct_signal import direct_signal
from ultrahand.phantoms.objects import Ellipsoid
from ultrahand.phantoms.objects import transform as form
from ultrahand.phantoms.plates import Terms

CORNER = 3**0.5
VOXELS_M = sorted({s.voxel_m for p in PROTOCOLS.values() for s in p.series})
"""From 0.35 to 15 mm: the corners of all k-spaces, and of each the middle too."""
WAVE_PER_M = 12.0
"""Of a coil: half a cycle over some 5 cm along each of two axes."""


def asked(rng, voxel_m, n=60):
    """Return positions up to the corner of a k-space and beyond by a coil's wave."""
    k = rng.uniform(-1.0, 1.0, (n, 3)) * 0.5 / voxel_m
    k[0] = 0.0
    k[1:9] = 0.5 / voxel_m * np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, 8).T
    k[9:12] = np.eye(3) * 0.5 / voxel_m
    return k + rng.uniform(-WAVE_PER_M, WAVE_PER_M, (n, 3)) * (np.arange(n) > 0)[:, None]


def signal(solids, density, k_per_m, voxel_m):
    """Return the transform of solids as the hand makes it: each less what it replaces."""
    pieces = cut(solids, 1.75 * 0.5 / voxel_m)
    density = np.asarray([*density, 0.0])
    terms = Terms(
        plate=np.arange(len(pieces.solid)),
        amplitude=density[pieces.solid] - density[pieces.parent],
        r2star_per_s=np.zeros(len(pieces.solid)),
        off_resonance_hz=np.zeros(len(pieces.solid)),
    )
    given = {"demodulation_m": np.zeros(3)}
    found = direct_signal(
        pieces.plates, terms, uniform_coil(), k_per_m[None], np.zeros(len(k_per_m)), **given
    )
    return found[0, 0]


def solid(stack, name="one"):
    return Solid(name=name, tissue="muscle", stack=stack)


def assert_same(found, expected, volume_m3, rtol):
    """Errors count beside the value at k = 0."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * volume_m3)


@pytest.mark.parametrize("voxel_m", VOXELS_M)
def test_an_ellipsoid_is_one_to_eight_digits(voxel_m, rng):
    stack = ellipsoid_mm((12.0, -3.0, 40.0), (7.0, 5.0, 9.0))
    k = asked(rng, voxel_m)
    centre, semi = np.array([12.0, -3.0, 40.0]) * 1e-3, np.array([7.0, 5.0, 9.0]) * 1e-3
    expected = form(Ellipsoid(centre_m=centre, semi_axes_m=semi, density=2.0), k)
    found = signal([solid(stack)], [2.0], k, voxel_m)
    assert_same(found, expected, 2.0 * 4 / 3 * np.pi * semi.prod(), 1e-8)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_ellipsoid_may_be_stacked_along_any_axis(axis, rng):
    semi = np.array([4.0, 6.0, 3.0]) * 1e-3
    centre = np.array([10.0, -20.0, 30.0]) * 1e-3
    across = list(integrals.OTHERS[axis])
    knots = centre[axis] + semi[axis] * np.array([-1.0, 0.0, 1.0])
    shape = np.tile([*centre[across], *semi[across]], (3, 1))
    caps = (semi[axis], semi[axis])
    stack = Stack(axis=axis, knots_m=knots, shape_m=shape, caps_m=caps)
    k = asked(rng, 1e-3)
    expected = form(Ellipsoid(centre_m=centre, semi_axes_m=semi, density=1.0), k)
    volume = 4 / 3 * np.pi * semi.prod()
    assert_same(signal([solid(stack)], [1.0], k, 1e-3), expected, volume, 1e-8)
    assert stack.volume_m3() == pytest.approx(volume, rel=1e-12)


@pytest.mark.parametrize("voxel_m", [0.35e-3, 1e-3, 4e-3])
def test_a_leaning_ellipsoid_is_a_sheared_ball(voxel_m, rng):
    """Its points are ``c + A u`` of the unit ball: the transform is the ball's at ``A^T k``."""
    a, b, c, lean = 3e-3, 4e-3, 8e-3, 2.5e-3
    stack = ellipsoid_mm((5.0, 6.0, 7.0), (3.0, 4.0, 8.0), lean=2.5)
    k = asked(rng, voxel_m)
    shear = np.array([[a, 0.0, lean], [0.0, b, 0.0], [0.0, 0.0, c]])
    q = 2 * np.pi * np.linalg.norm(k @ shear, axis=1)
    volume = 4 / 3 * np.pi * a * b * c
    ball = np.where(q > 0, 3 * spherical_jn(1, q) / np.where(q > 0, q, 1.0), 1.0)
    expected = volume * ball * np.exp(-2j * np.pi * k @ [5e-3, 6e-3, 7e-3])
    assert_same(signal([solid(stack)], [1.0], k, voxel_m), expected, volume, 1e-8)


@pytest.mark.parametrize("voxel_m", VOXELS_M)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cylinder_is_a_disk_times_a_sinc(axis, voxel_m, rng):
    centre, a, b, length = np.array([0.05, -0.03, 0.08]), 7.5e-3, 6e-3, 19e-3
    across = list(integrals.OTHERS[axis])
    knots = centre[axis] + np.array([-0.5, 0.5]) * length
    shape = np.tile([*centre[across], a, b], (2, 1))
    k = asked(rng, voxel_m)
    q = 2 * np.pi * np.hypot(k[:, across[0]] * a, k[:, across[1]] * b)
    disk = np.where(q > 0, 2 * j1(q) / np.where(q > 0, q, 1.0), 1.0)
    volume = np.pi * a * b * length
    expected = volume * disk * np.sinc(k[:, axis] * length) * np.exp(-2j * np.pi * k @ centre)
    found = signal([solid(Stack(axis=axis, knots_m=knots, shape_m=shape))], [1.0], k, voxel_m)
    assert_same(found, expected, volume, 1e-8)


def test_a_shell_is_the_difference_of_two_ellipsoids(rng):
    outer, inner = ellipsoid_mm((1, 2, 3), (9, 7, 8)), ellipsoid_mm((1.5, 2, 2.5), (6, 5, 6))
    k = asked(rng, 1e-3)
    shapes = [
        Ellipsoid(centre_m=np.array(at) * 1e-3, semi_axes_m=np.array(semi) * 1e-3, density=density)
        for at, semi, density in (
            ((1, 2, 3), (9, 7, 8), 0.8),
            ((1.5, 2, 2.5), (6, 5, 6), -0.8),
        )
    ]
    solids = [solid(outer, "cortex"), solid(inner, "marrow")]
    found = signal(solids, [0.8, 0.0], k, 1e-3)
    expected = sum(form(shape, k) for shape in shapes)
    assert_same(found, expected, 0.8 * 4 / 3 * np.pi * 9 * 7 * 8e-9, 1e-8)
    assert set(cut(solids, 875.0).parent.tolist()) == {AIR, 0}


TUBES = {
    "capsule": lambda: tube_mm([(0, 1, 2, 2, 2), (12, 1, 2, 2, 2)], caps=(2, 2)),
    "tapered": lambda: tube_mm([(0, 1, 2, 3, 2), (5, 1, 2, 2, 1.5), (12, 1, 2, 1, 0.6)]),
    "curved": lambda: tube_mm(
        [(0, 1, 2, 1.0, 1.2), (3, 2.5, 2.2, 1, 1), (7, 2, 3.5, 0.8, 1), (11, 0, 3, 0.7, 0.7)]
    ),
    "curved along x": lambda: tube_mm(
        [(0, 1, 2, 0.7, 0.7), (4, 2, 2.5, 0.7, 0.7), (9, 1.5, 4, 0.7, 0.7)], axis=0
    ),
    "curved along y": lambda: tube_mm(
        [(-4, 1, 2, 0.9, 0.7), (0, 2, 2.5, 0.7, 0.9), (5, 1.5, 4, 0.7, 0.7)], axis=1, caps=(0, 1)
    ),
    "cut": lambda: between(
        tube_mm([(0, 1, 2, 3, 2), (5, 2, 2, 2, 1.5), (12, 1, 2, 1, 0.6)], caps=(1, 1)), 0.0, 7.0
    ),
    "fingertip": lambda: tube_mm(
        [(0, 1, 2, 5, 4), (6, 1.5, 2, 4.5, 3.5), (9, 1.5, 2, 4, 3)], caps=(0, 3.5)
    ),
}


@pytest.mark.parametrize("voxel_m", [0.35e-3, 1e-3, 8e-3])
@pytest.mark.parametrize("name", TUBES)
def test_a_tube_agrees_with_a_plain_integral(name, voxel_m, rng):
    stack = TUBES[name]()
    k = asked(rng, voxel_m, n=12)
    volume = integrals.volume_m3(stack)
    assert stack.volume_m3() == pytest.approx(volume, rel=1e-12)
    found = signal([solid(stack)], [1.0], k, voxel_m)
    assert_same(found, integrals.transform(stack, k), volume, 1e-6)


def test_a_piece_of_a_curved_tube_lies_on_it():
    """Between knots that were not there before, the cubics of a piece may leave the old course.

    They agree at the knots and stay within a tenth of the tube's radius of 0.7 mm.
    """
    whole = TUBES["curved"]()
    piece = between(whole, 1.0, 9.0)
    s = np.linspace(1e-3, 9e-3, 41)
    (centre, semi), (old_centre, old_semi) = piece.at(s), whole.at(s)
    np.testing.assert_allclose(centre[[0, -1]], old_centre[[0, -1]], atol=1e-12)
    assert np.abs(centre - old_centre).max() < 0.07e-3
    assert np.abs(semi - old_semi).max() < 0.07e-3


def test_a_stack_contains_what_its_definition_says(rng):
    for make in TUBES.values():
        stack = make()
        low, high = stack.box_m
        r = rng.uniform(low - 5e-4, high + 5e-4, (4000, 3))
        s = r[:, stack.axis]
        shape = integrals.profile(stack, np.clip(s, *stack.ends_m))
        u = (r[:, list(integrals.OTHERS[stack.axis])] - shape[:, :2]) / np.maximum(
            shape[:, 2:], 1e-12
        )
        low_s, high_s = stack.ends_m
        expected = (s >= low_s) & (s <= high_s) & ((u**2).sum(axis=1) <= 1)
        np.testing.assert_array_equal(stack.contains(r), expected)
        assert 0.02 < expected.mean() < 0.9


@pytest.mark.parametrize("name", TUBES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_moved_stack_holds_the_moved_points(name, mirrored, rng):
    stack = TUBES[name]()
    offset = np.array([0.02, -0.01, 0.03])
    r = rng.uniform(stack.box_m[0], stack.box_m[1], (2000, 3))
    moved = r * [-1.0 if mirrored else 1.0, 1.0, 1.0] + offset
    there = stack.moved(offset, mirrored=mirrored).contains(moved)
    differ = there != stack.contains(r)
    assert differ.mean() < 1e-3  # points on the surface, to rounding
    assert there.mean() > 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"axis": 3}, "axis must be 0, 1 or 2"),
        ({"knots_m": [0.0, 0.0]}, "must ascend"),
        ({"shape_m": [[0, 0, 1, 1], [0, 0, 0, 1]]}, "semi-axes must be positive"),
        ({"shape_m": [[0, 0, 1, 1]]}, "must be"),
        ({"caps_m": (0.6, 0.6)}, "must fit"),
    ],
)
def test_what_is_no_stack_is_refused(change, words):
    sound = {"axis": 2, "knots_m": [0.0, 1.0], "shape_m": [[0, 0, 1, 1]] * 2}
    with pytest.raises(RecordError, match=words):
        Stack(**sound | change)
