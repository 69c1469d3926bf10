from dataclasses import replace

import numpy as np
import pytest

from ultrahand.errors import RecordError
from ultrahand.phantoms import Ellipsoid, GaussianBead, Slice, five_fingers, transform, truth
from ultrahand.phantoms.forms import ball, disk
from ultrahand.records import Geometry


def rotation(rng):
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return q * np.sign(np.diag(r))


def ellipsoid(rng, density=1.7):
    return Ellipsoid(
        centre_m=np.array([0.011, -0.02, 0.007]),
        semi_axes_m=np.array([0.021, 0.013, 0.034]),
        axes=rotation(rng),
        density=density,
    )


def bead(sigma_m=0.006):
    return GaussianBead(centre_m=np.array([-0.012, 0.005, 0.018]), sigma_m=sigma_m, density=0.8)


def oblique_slice(rng, offset_m, thickness_m=0.004):
    axes = rotation(rng)
    return Slice(
        position_m=np.array([0.011, -0.02, 0.007]) + offset_m * axes[2],
        read_dir=axes[0],
        phase_dir=axes[1],
        thickness_m=thickness_m,
    )


def ball_quadrature(n=24):
    """Nodes and weights in the unit ball: exact for polynomials of degree below 2 n."""
    x, wx = np.polynomial.legendre.leggauss(n)
    radius, wr = (x + 1) / 2, wx / 2
    angle = 2 * np.pi * np.arange(2 * n) / (2 * n)
    r, h, a = np.meshgrid(radius, x, angle, indexing="ij")
    ring = np.sqrt(1 - h**2)
    nodes = r[..., None] * np.stack([ring * np.cos(a), ring * np.sin(a), h], axis=-1)
    weights = (wr * radius**2)[:, None, None] * wx[:, None] * np.full(2 * n, np.pi / n)
    return nodes.reshape(-1, 3), weights.ravel()


OBJECTS = {"ellipsoid": ellipsoid, "bead": lambda _: bead()}


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_moving_an_object_turns_the_phase(make, rng):
    item, step = make(rng), rng.uniform(-0.05, 0.05, 3)
    k = rng.uniform(-300, 300, (50, 3))
    moved = replace(item, centre_m=item.centre_m + step)
    expected = transform(item, k) * np.exp(-2j * np.pi * k @ step)
    # 300 1/m times 0.1 m is 30 turns, known to 30 times the machine's precision.
    np.testing.assert_allclose(transform(moved, k), expected, rtol=1e-12)


def test_the_origin_holds_density_times_volume(rng):
    origin = np.zeros((1, 3))
    volume = 4 / 3 * np.pi * 0.021 * 0.013 * 0.034
    np.testing.assert_allclose(transform(ellipsoid(rng), origin), [1.7 * volume], rtol=1e-14)
    mass = 0.8 * (2 * np.pi) ** 1.5 * 0.006**3
    np.testing.assert_allclose(transform(bead(), origin), [mass], rtol=1e-14)


def test_an_ellipsoids_transform_is_the_integral_over_its_volume(rng):
    item = ellipsoid(rng)
    nodes, weights = ball_quadrature()
    r = item.centre_m + (nodes * item.semi_axes_m) @ item.axes
    # Up to q = 2 pi |k| a = 20: the 24-point rule is then right to 1e-11 of the volume.
    k = rng.uniform(-1, 1, (40, 3)) * 55
    numeric = np.exp(-2j * np.pi * k @ r.T) @ weights * np.prod(item.semi_axes_m) * item.density
    atol = 1e-11 * abs(transform(item, np.zeros(3)))
    np.testing.assert_allclose(transform(item, k), numeric, rtol=0, atol=atol)


def test_an_ellipsoids_transform_is_the_integral_of_its_value(rng):
    item, step = ellipsoid(rng), 0.0006
    side = item.centre_m[:, None] + (np.arange(128) - 63.7) * step
    r = np.stack(np.meshgrid(*side, indexing="ij"), axis=-1).reshape(-1, 3)
    value = item.value(r)
    inside = value.reshape(128, 128, 128) > 0
    surface = sum(np.abs(np.diff(inside, axis=axis)).sum() for axis in range(3))
    k = rng.uniform(-40, 40, (6, 3))
    numeric = (np.exp(-2j * np.pi * k @ r[value > 0].T) @ value[value > 0]) * step**3
    # A cell on the surface is wrong by less than half its volume, in or out at random: five
    # standard deviations of the sum; besides, the midpoint rule damps by less than (k step)^2.
    atol = 1.7 * step**3 * 2.5 * np.sqrt(surface) + abs(transform(item, np.zeros(3))) * 1e-3
    assert atol < 0.01 * abs(transform(item, np.zeros(3)))
    np.testing.assert_allclose(transform(item, k), numeric, rtol=0, atol=atol)


def test_a_beads_transform_is_the_integral_of_its_value(rng):
    item, step = bead(), 0.002
    side = item.centre_m[:, None] + (np.arange(49) - 24.3) * step
    r = np.stack(np.meshgrid(*side, indexing="ij"), axis=-1).reshape(-1, 3)
    k = rng.uniform(-40, 40, (20, 3))
    numeric = np.exp(-2j * np.pi * k @ r.T) @ item.value(r) * step**3
    # The grid reaches 8 sigma and its first alias lies at 500 1/m: exp(-2 (pi 6e-3 460)^2) = 0.
    atol = 1e-12 * abs(transform(item, np.zeros(3)))
    np.testing.assert_allclose(transform(item, k), numeric, rtol=0, atol=atol)


@pytest.mark.parametrize("name", OBJECTS)
def test_slices_add_up_to_the_object(name, rng):
    """The integral of the cross-sections along the normal is the transform at k in the plane."""
    item, k = OBJECTS[name](rng), np.zeros((30, 3))
    where = oblique_slice(rng, 0.0)
    k = rng.uniform(-60, 60, (30, 2)) @ where.in_plane
    reach = 0.06
    x, weights = np.polynomial.legendre.leggauss(400)
    total = np.zeros(30, complex)
    for s, weight in zip(x * reach, weights * reach, strict=True):
        thin = replace(where, position_m=item.centre_m + s * where.normal, thickness_m=1e-6)
        part = item.section(thin)
        total += 0 if part is None else weight * transform(part, k)
    # The area of an ellipse falls to zero with a kink, which the 400-point rule sees to 1e-5.
    atol = (3e-5 if name == "ellipsoid" else 1e-9) * abs(transform(item, np.zeros(3)))
    np.testing.assert_allclose(total, transform(item, k), rtol=0, atol=atol)


def test_an_ellipses_transform_is_the_integral_of_the_value_in_the_plane(rng):
    item, where = ellipsoid(rng), oblique_slice(rng, 0.004)
    step = 0.00008
    u = (np.arange(1001) - 500.3) * step
    r = where.position_m + np.stack(np.meshgrid(u, u, indexing="ij"), axis=-1) @ where.in_plane
    value = item.value(r)
    surface = sum(np.abs(np.diff(value > 0, axis=axis)).sum() for axis in range(2))
    r, value = r[value > 0], value[value > 0]
    # k with a part along the normal: the phase at the plane belongs to the transform.
    k = rng.uniform(-40, 40, (8, 3))
    part = item.section(where)
    numeric = np.exp(-2j * np.pi * k @ r.T) @ value * step**2
    whole = abs(transform(part, np.zeros(3)))
    atol = 1.7 * step**2 * 2.5 * np.sqrt(surface) + whole * (40 * step) ** 2 * 3
    assert atol < 1e-3 * whole
    np.testing.assert_allclose(transform(part, k), numeric, rtol=0, atol=atol)


def test_a_plane_beside_an_ellipsoid_misses_it(rng):
    item = ellipsoid(rng)
    axes = item.axes
    for offset, hit in ((0.0339, True), (0.0341, False), (-0.0339, True), (-0.0341, False)):
        where = Slice(
            position_m=item.centre_m + offset * axes[2] + 0.3 * axes[0],
            read_dir=axes[0],
            phase_dir=axes[1],
            thickness_m=0.01,
        )
        assert (item.section(where) is not None) == hit


def test_a_thick_slab_sees_the_mean_of_a_beads_value_across_it(rng):
    item, where = bead(), oblique_slice(rng, 0.003, thickness_m=0.011)
    where = replace(where, position_m=item.centre_m + np.array([4e-3, -3e-3, 5e-3]))
    u = np.arange(-33, 34) * 0.002
    across, weights = np.polynomial.legendre.leggauss(24)
    a, b, c = np.meshgrid(u, u, across * 0.0055, indexing="ij")
    axes = np.stack([where.read_dir, where.phase_dir, where.normal])
    r = where.position_m + np.stack([a, b, c], axis=-1) @ axes
    weighted = item.value(r) * weights / 2 * 0.002**2
    # k along the normal too, as the waves of coils have it.
    k = rng.uniform(-25, 25, (20, 3))
    numeric = np.exp(-2j * np.pi * k @ r.reshape(-1, 3).T) @ weighted.ravel()
    atol = 1e-11 * np.abs(numeric).max()
    np.testing.assert_allclose(transform(item.section(where), k), numeric, rtol=0, atol=atol)


def test_neighbouring_slabs_add_up_to_the_bead(rng):
    item, k = bead(), rng.uniform(-30, 30, (20, 3))
    where = oblique_slice(rng, 0.0, thickness_m=0.005)
    slabs = [
        replace(where, position_m=item.centre_m + (0.005 * n + 0.001) * where.normal)
        for n in range(-11, 12)
    ]
    total = sum(transform(item.section(slab), k) * slab.thickness_m for slab in slabs)
    atol = 1e-12 * abs(transform(item, np.zeros(3)))
    np.testing.assert_allclose(total, transform(item, k), rtol=0, atol=atol)


def test_the_series_meets_the_closed_form():
    around = np.array([0.5 - 1e-9, 0.5 + 1e-9])
    np.testing.assert_allclose(*ball(around), rtol=1e-9)
    q = np.linspace(0.3, 60, 1000)
    closed = (np.sin(q) - q * np.cos(q)) / q**3
    # Rounding of the arguments alone moves sin by q eps.
    np.testing.assert_allclose(ball(q), closed, rtol=0, atol=1e-13)
    assert ball(np.zeros(1))[0] == pytest.approx(1 / 3, rel=1e-15)
    assert disk(np.zeros(1))[0] == 0.5
    # First zeros: tan q = q, and of J1 (Abramowitz and Stegun, tables 10.6 and 9.5).
    assert ball(np.array([4.493409457909064]))[0] == pytest.approx(0, abs=1e-16)
    assert disk(np.array([3.831705970207512]))[0] == pytest.approx(0, abs=1e-16)


def test_the_disk_profile_near_the_origin():
    q = np.array([1e-9, 1e-6, 0.01, 0.05])
    # J1(q) / q = 1/2 - q^2 / 16 + q^4 / 384 - ...
    np.testing.assert_allclose(disk(q), 0.5 - q**2 / 16 + q**4 / 384, rtol=1e-11)


def test_the_truth_lies_at_voxel_centres(rng):
    axes = rotation(rng)
    geometry = Geometry(
        shape=(5, 6, 7),
        voxel_size_m=(0.004, 0.003, 0.005),
        position_mm=np.array([3.0, -4.0, 9.0]),
        read_dir=axes[0],
        phase_dir=axes[1],
        slice_dir=axes[2],
        known=True,
    )
    at = (0.003, -0.004, 0.009) + axes[0] * 0.004 * 2 - axes[1] * 0.003 + axes[2] * 0.005
    item = GaussianBead(centre_m=at, sigma_m=0.004, density=2.0)
    image = truth([item], geometry)
    assert np.unravel_index(image.argmax(), image.shape) == (3, 2, 5)
    assert image.max() == pytest.approx(2.0, rel=1e-12)
    assert image[3, 2, 6] == pytest.approx(2.0 * np.exp(-0.5), rel=1e-12)


def test_the_hand_fits_its_box_and_no_flip_or_transpose_maps_it_to_itself():
    fov = (0.2, 0.2, 0.2)
    axes = np.eye(3)
    geometry = Geometry(
        shape=(40, 40, 40),
        voxel_size_m=(0.005, 0.005, 0.005),
        position_mm=np.full(3, 2.5),
        read_dir=axes[0],
        phase_dir=axes[1],
        slice_dir=axes[2],
        known=True,
    )
    image = truth(five_fingers(fov), geometry)
    assert not image[[0, -1]].any()
    assert not image[:, [0, -1]].any()
    assert not image[:, :, [0, -1]].any()
    whole = np.abs(image).sum()
    thumb = five_fingers(fov)[1]
    tip = 0.95 * 0.2 * 0.13 * np.array([np.sin(np.radians(38)), 0.0, np.cos(np.radians(38))])
    assert thumb.value(thumb.centre_m + tip) == thumb.density
    for axis in range(3):
        assert np.abs(image - np.flip(image, axis)).sum() > 0.1 * whole
    for order in ((0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)):
        assert np.abs(image - image.transpose(order)).sum() > 0.1 * whole


def test_axes_that_are_not_orthonormal_are_refused():
    with pytest.raises(RecordError, match="orthonormal"):
        Ellipsoid(centre_m=np.zeros(3), semi_axes_m=np.ones(3), axes=np.eye(3) * 1.1, density=1.0)
