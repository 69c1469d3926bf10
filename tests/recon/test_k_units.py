import numpy as np
import pytest

from ultrahand.errors import InputError
from ultrahand.phantoms import in_unit
from ultrahand.recon.k_units import KUnit, decide_unit, per_m
from ultrahand.records import EncodingSpace

SPACE = EncodingSpace(matrix=(48, 40, 32), fov_m=(0.2016, 0.168, 0.1344))  # 4.2 mm voxels


def edge_in(unit):
    nyquist = np.array(SPACE.matrix) / (2 * np.array(SPACE.fov_m))
    return np.abs(in_unit(nyquist[None], unit, np.array(SPACE.fov_m), np.array(SPACE.matrix)))[0]


@pytest.mark.parametrize("unit", KUnit)
@pytest.mark.parametrize("fraction", [0.96, 1.0, 1.04])
def test_each_unit_is_recognised_by_its_size(unit, fraction):
    assert decide_unit(fraction * edge_in(unit), SPACE, None)[0] is unit


@pytest.mark.parametrize("unit", KUnit)
def test_units_turn_back_into_cycles_per_metre(unit):
    """The phantom writes units by its own formulas."""
    k = np.array([[11.0, -7.0, 3.0]])
    stored = in_unit(k, unit, np.array(SPACE.fov_m), np.array(SPACE.matrix))
    np.testing.assert_allclose(stored * per_m(unit, SPACE), k, rtol=1e-12)


def test_a_declaration_wins():
    assert decide_unit(edge_in(KUnit.PER_M), SPACE, KUnit.PER_CM)[0] is KUnit.PER_CM


@pytest.mark.parametrize("unit", KUnit)
def test_a_trajectory_that_fills_half_the_matrix_is_refused_with_all_values(unit):
    with pytest.raises(InputError) as error:
        decide_unit(0.5 * edge_in(unit), SPACE, None)
    assert all(f"{other} " in str(error.value) for other in KUnit)


def test_two_units_that_fit_are_refused():
    millimetre = EncodingSpace(matrix=(64, 64, 1), fov_m=(0.064, 0.064, 0.005))
    with pytest.raises(InputError, match="2 fit"):
        decide_unit(np.array([0.5, 0.5]), millimetre, None)


@pytest.mark.parametrize("largest", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_zeros_and_nan_are_refused(largest):
    with pytest.raises(InputError):
        decide_unit(np.array(largest), SPACE, KUnit.PER_M)
