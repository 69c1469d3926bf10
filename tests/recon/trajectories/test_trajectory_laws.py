"""What every designed trajectory keeps, whatever its family and nucleus."""

from dataclasses import replace

import numpy as np
import pytest

from trajectory_designs import DESIGNS, prescription
from ultrahand.errors import InputError
from ultrahand.recon.trajectories import RASTER_S

ROUNDING = 1e-9


@pytest.fixture(scope="module", params=["1H", "23Na"])
def nucleus(request):
    return request.param


@pytest.fixture(scope="module", params=DESIGNS.values(), ids=DESIGNS.keys())
def member(request, nucleus):
    return request.param, request.param.make(prescription(nucleus))


def some(design, n=300):
    """Every pattern, and shots from first to last."""
    first = np.unique(design.pattern, return_index=True)[1]
    return np.union1d(first, np.linspace(0, design.n_shots - 1, n).astype(int))


def k_of(design, shots):
    return replace(design, pattern=design.pattern[shots], frames=design.frames[shots]).k_per_m()


def test_gradients_and_their_change_keep_the_limits(member):
    """From positions alone: between nodes k is a parabola, so differences are exact."""
    _, design = member
    n_nodes = design.pattern_gradient_t_per_m.shape[1]
    halves = 0.5 * RASTER_S * np.arange(2 * n_nodes - 1)
    k = k_of(replace(design, time_s=halves), some(design))
    k /= design.prescription.gamma_hz_per_t
    left, middle, right = k[:, :-2:2], k[:, 1::2], k[:, 2::2]
    gradient = (4 * middle - 3 * left - right) / RASTER_S
    slew = (left - 2 * middle + right) * (4 / RASTER_S**2)
    limits = design.prescription.limits
    for found, limit in (
        (gradient, limits.amplitude_t_per_m),
        (slew, limits.slew_t_per_m_per_s),
    ):
        assert np.abs(found).max() <= limit * (1 + ROUNDING)
        assert np.linalg.norm(found, axis=2).max() <= limit * (1 + ROUNDING)
    rounding = limits.amplitude_t_per_m * ROUNDING
    np.testing.assert_allclose(gradient[:, 0], 0, atol=rounding)
    np.testing.assert_allclose(gradient[:, -1] + slew[:, -1] * RASTER_S, 0, atol=rounding)


def test_samples_run_from_the_centre_to_the_edge(member):
    family, design = member
    k = k_of(design, some(design))
    in_plane = k - family.aside(design)[design.pattern[some(design)], None]
    radius = np.linalg.norm(in_plane, axis=2)
    edge = design.prescription.k_max_per_m
    centre = len(design.time_s) // 2 if family.full else 0
    np.testing.assert_allclose(radius[:, centre], 0, atol=edge * ROUNDING)
    assert radius.max() <= edge * (1 + ROUNDING)
    last_step = np.linalg.norm(np.diff(k, axis=1)[:, -1], axis=1)
    assert (edge - radius.max(axis=1) <= last_step * (1 + ROUNDING)).all()


def test_samples_are_one_dwell_time_and_at_most_one_nyquist_step_apart(member):
    _, design = member
    asked = design.prescription
    np.testing.assert_allclose(np.diff(design.time_s), asked.sample_time_s, rtol=1e-9)
    assert design.sample_time_s == asked.sample_time_s
    step = np.linalg.norm(np.diff(k_of(design, some(design)), axis=1), axis=2)
    assert step.max() <= (1 + ROUNDING) / asked.fov_m


def test_readouts_last_as_long_as_asked(member):
    """The last sample lies within a dwell time of the end, for whole and broken numbers of it."""
    family, design = member
    dwell_s = design.sample_time_s
    if family.readout_s is None:  # the shortest
        with pytest.raises(InputError, match="readout_s"):
            family.make(design.prescription, readout_s=design.time_s[-1] - dwell_s)
        return
    first_s = design.time_s[0]
    if family.full:
        assert len(design.time_s) == round(family.readout_s / dwell_s)
    else:
        assert first_s == 0
        assert 0 < family.readout_s - design.time_s[-1] <= dwell_s * (1 + ROUNDING)


def test_parts_of_a_design_are_those_of_the_whole(member):
    _, design = member
    whole = design.k_per_m()
    assert whole.shape == (design.n_shots, len(design.time_s), 3)
    part = design.k_per_m(slice(design.n_shots // 2, design.n_shots // 2 + 3))
    np.testing.assert_array_equal(part, whole[design.n_shots // 2 :][:3])
    assert not design.pattern_gradient_t_per_m.flags.writeable
