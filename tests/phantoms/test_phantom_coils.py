import numpy as np
import pytest

from ultrahand.phantoms import (
    CartesianScan,
    Coils,
    GaussianBead,
    simulate,
    smooth_coils,
    transform,
    uniform_coil,
)

FOV_M = (0.2, 0.18, 0.24)


def points(n, extent=1.0):
    axes = [(np.arange(n) - n // 2) / n * length * extent for length in FOV_M]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def test_values_are_the_sum_of_the_waves(rng):
    coils = smooth_coils(3, FOV_M)
    r = rng.uniform(-0.1, 0.1, (4, 5, 3))
    waves = np.exp(2j * np.pi * np.einsum("abi,mi->abm", r, coils.waves_per_m))
    expected = np.einsum("cm,abm->cab", coils.weights, waves)
    np.testing.assert_allclose(coils.values(r), expected, atol=1e-12)


def test_a_coils_k_space_is_the_integral_of_value_times_sensitivity(rng):
    item = GaussianBead(centre_m=np.array([0.02, -0.01, 0.03]), sigma_m=0.008, density=1.3)
    coils = smooth_coils(4, FOV_M, centre_m=(0.01, 0.0, -0.02))
    step = 0.003
    side = item.centre_m[:, None] + (np.arange(47) - 23.2) * step
    r = np.stack(np.meshgrid(*side, indexing="ij"), axis=-1).reshape(-1, 3)
    seen = coils.values(r) * item.value(r)
    k = rng.uniform(-40, 40, (12, 3))
    numeric = seen @ np.exp(-2j * np.pi * r @ k.T) * step**3
    shifted = transform(item, k[:, None] - coils.waves_per_m)
    expected = np.einsum("cm,km->ck", coils.weights, shifted)
    # The grid reaches 8.6 sigma; its first alias, at 333 1/m, holds exp(-2 (pi 8e-3 290)^2) = 0.
    np.testing.assert_allclose(expected, numeric, rtol=0, atol=1e-12 * np.abs(numeric).max())


@pytest.mark.parametrize("n_coils", [1, 2, 8, 16])
def test_coils_are_smooth_distinct_and_complex(n_coils):
    values = smooth_coils(n_coils, FOV_M).values(points(20)).reshape(n_coils, -1)
    assert 0.5 < np.abs(values).max() < 1.5
    singular = np.linalg.svd(values, compute_uv=False)
    assert singular[-1] > 1e-4 * singular[0]
    turned = values * np.exp(-1j * np.angle(values.mean(axis=1, keepdims=True)))
    assert (np.abs(turned.imag).max(axis=1) > 0.1 * np.abs(turned).max(axis=1)).all()


def test_eight_coils_leave_no_dark_spot():
    values = smooth_coils(8, FOV_M).values(points(20))
    together = np.sqrt((np.abs(values) ** 2).sum(axis=0))
    assert together.min() > 0.4 * together.max()


def test_nothing_repeats_inside_the_field_of_view():
    values = smooth_coils(8, FOV_M).values(points(21, extent=21 / 20))
    left, right = values[:, 0], values[:, -1]
    assert np.abs(left - right).max() > 0.3 * np.abs(values).max()


def test_one_uniform_coil_sees_the_objects_alone(rng):
    item = GaussianBead(centre_m=np.array([0.02, -0.01, 0.03]), sigma_m=0.01, density=1.0)
    scan = CartesianScan(matrix=(6, 5, 4), fov_m=FOV_M, dimension=3)
    raw = simulate([item], uniform_coil(), scan, rng)
    row = np.flatnonzero(
        (raw.readouts["kspace_encode_step_1"] == 3) & (raw.readouts["kspace_encode_step_2"] == 0)
    )
    k = np.stack([(np.arange(6) - 3) / 0.2, np.full(6, 1 / 0.18), np.full(6, -2 / 0.24)], axis=1)
    expected = transform(item, k)
    np.testing.assert_allclose(raw.source.samples(row)[0, 0], expected, rtol=1e-5)


def test_weights_and_waves_must_agree():
    with pytest.raises(ValueError, match="waves_per_m"):
        Coils(waves_per_m=np.zeros((2, 3)), weights=np.ones((4, 3)))
