"""Spokes and stacks of them: positions, echo times, orders, and what is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ultrahand.errors import InputError, RecordError
from ultrahand.recon.trajectories import (
    Design,
    GradientLimits,
    Prescription,
    design_cones,
    design_density_adapted,
    design_floret,
    design_radial_2d,
    design_radial_3d,
    design_spiral,
    design_stack_of_stars,
    design_twisted_projections,
    radial_2d,
)
from ultrahand.recon.trajectories.waveform import integrate, lobe

SPEC = Prescription(voxel_size_m=2e-3, fov_m=0.1, sample_time_s=4e-6)


@pytest.mark.parametrize("n_samples", [256, 257])
@pytest.mark.parametrize("order", ["uniform", "golden"])
def test_full_spokes_are_those_of_the_simple_generator(n_samples, order):
    design = design_radial_2d(SPEC, readout_s=n_samples * 4e-6, n_shots=9, order=order)
    expected = radial_2d(9, n_samples, SPEC.k_max_per_m, golden=order == "golden")
    np.testing.assert_allclose(design.k_per_m()[..., :2], expected, atol=1e-8)
    np.testing.assert_array_equal(design.k_per_m()[..., 2], 0)


@pytest.mark.parametrize("full", [True, False])
def test_even_spokes_are_a_nyquist_step_apart_at_the_edge(full):
    design = design_radial_2d(SPEC, readout_s=1.024e-3, full=full, order="uniform")
    ends = design.k_per_m()[:, -1]
    angle = np.angle(ends[:, 0] + 1j * ends[:, 1])
    turn = np.unique((np.diff(angle) % (2 * np.pi)).round(9))
    gap = SPEC.k_max_per_m * turn.max()
    assert (1 - 1 / design.n_shots) / SPEC.fov_m < gap <= 1 / SPEC.fov_m
    assert turn.max() * design.n_shots == pytest.approx(np.pi if full else 2 * np.pi)


def test_the_number_of_spokes_in_space():
    n = 4 * np.pi * 25**2
    assert design_radial_3d(SPEC, readout_s=1e-3).n_shots == np.ceil(n)
    half = design_radial_3d(SPEC, readout_s=1e-3, full=True, n_shots=3)
    assert (half.n_shots, half.n_nyquist) == (3, np.ceil(n / 2))


@pytest.mark.parametrize("nucleus", ["1H", "23Na"])
def test_spokes_from_the_centre_ramp_up_and_stay(nucleus):
    spec = replace(SPEC, nucleus=nucleus)
    design = design_radial_3d(spec, readout_s=1e-3, n_shots=1)
    gradient = np.linalg.norm(design.gradient_t_per_m()[0], axis=1)
    read = gradient[:101]
    n_ramp = int(np.argmax(read > read[-1] * (1 - 1e-9)))
    np.testing.assert_allclose(np.diff(read[: n_ramp + 1]), read[-1] / n_ramp, rtol=1e-9)
    np.testing.assert_allclose(read[n_ramp:], read[-1], rtol=1e-9)
    # One step fewer would be too steep, and the edge is reached on time.
    assert read[-1] / (n_ramp * 10e-6) <= 170 < read[-1] / ((n_ramp - 1) * 10e-6 or 1e-9)
    area = read[-1] * (1e-3 - n_ramp * 10e-6 / 2)
    assert spec.gamma_hz_per_t * area == pytest.approx(spec.k_max_per_m)


STACK = {"readout_s": 1.024e-3, "n_spokes": 3, "slab_m": 0.04}


@pytest.mark.parametrize("n_partitions", [1, 4, 5])
def test_stacks_share_an_angle_before_the_next(n_partitions):
    design = design_stack_of_stars(SPEC, n_partitions=n_partitions, **STACK)
    k = design.k_per_m().reshape(3, n_partitions, -1, 3)
    height = (np.arange(n_partitions) - n_partitions // 2) / 0.04
    for spokes, expected in zip(k, radial_2d(3, 256, SPEC.k_max_per_m, golden=True), strict=True):
        np.testing.assert_allclose(
            spokes[..., :2], np.broadcast_to(expected, spokes[..., :2].shape), atol=1e-8
        )
        np.testing.assert_allclose(
            spokes[..., 2], np.broadcast_to(height[:, None], spokes.shape[:2]), atol=1e-9
        )
    assert design.n_nyquist == np.ceil(np.pi * 25) * n_partitions


def test_partitions_may_start_at_the_centre():
    design = design_stack_of_stars(SPEC, n_partitions=6, partitions="centre_first", **STACK)
    assert design.pattern.tolist() == [3, 2, 4, 1, 5, 0] * 3


@pytest.mark.parametrize("area", [1e-9, 2e-6, 28.9e-6, 60e-6])
def test_lobes_have_their_area_and_are_as_short_as_can_be(area):
    limits = GradientLimits()
    areas = np.array([[area, 0, 0], [0, -0.6 * area, 0.8 * area], [0, 0, 0]])
    found = lobe(areas, limits)
    end_s = (found.shape[1] - 1) * 10e-6
    np.testing.assert_allclose(integrate(found, np.array([end_s]), 1.0)[:, 0], areas, atol=1e-18)
    peak = min(limits.amplitude_t_per_m, np.sqrt(area * limits.slew_t_per_m_per_s))
    least_s = area / peak + peak / limits.slew_t_per_m_per_s
    assert least_s - 1e-12 <= end_s < least_s + 4 * 10e-6


SHORT = {
    "full": lambda spec, t: design_radial_2d(spec, readout_s=t),
    "from the centre": lambda spec, t: design_radial_3d(spec, readout_s=t, n_shots=1),
    "density-adapted": lambda spec, t: design_density_adapted(spec, readout_s=t, n_shots=1),
    "twisted": lambda spec, t: design_twisted_projections(spec, readout_s=t, radial_fraction=0.9),
    "slowly twisted": lambda spec, t: design_twisted_projections(
        replace(spec, limits=GradientLimits(slew_t_per_m_per_s=20.0)), readout_s=t
    ),
    "floret": lambda spec, t: design_floret(spec, readout_s=t, n_shots=3),
    "cones": lambda spec, t: design_cones(spec, readout_s=t),
    "spiral": lambda spec, t: design_spiral(spec, n_interleaves=9, readout_s=t),
}


@pytest.mark.parametrize("dwell_s", [1e-6, 4e-6])
@pytest.mark.parametrize("make", SHORT.values(), ids=SHORT.keys())
def test_what_is_too_short_is_refused_with_what_is_not(make, dwell_s):
    """The time that the refusal names is enough, and a tenth less is not."""
    spec = replace(SPEC, sample_time_s=dwell_s, fov_m=0.2)
    with pytest.raises(
        InputError, match=r"readout_s: found 0\.04 ms, expected at least"
    ) as refused:
        make(spec, 40e-6)
    assert "read out longer" in refused.value.remedy or "interleaves" in refused.value.remedy
    named_s = 1e-3 * float(re.search(r"at least ([\d.]+) ms", refused.value.expected)[1])
    assert isinstance(make(spec, named_s * 1.001), Design)
    with pytest.raises(InputError, match="readout_s"):
        make(spec, named_s * 0.9)


def test_a_slow_receiver_slows_the_gradient():
    """1 / FOV from sample to sample, where the gradient limit would allow more."""
    limits = GradientLimits()
    slow = Prescription(voxel_size_m=2e-3, fov_m=0.2, sample_time_s=10e-6)
    assert slow.largest_gradient_t_per_m == pytest.approx(1 / (42.577478518e6 * 10e-6 * 0.2))
    assert replace(slow, sample_time_s=1e-6).largest_gradient_t_per_m == limits.amplitude_t_per_m


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"voxel_size_m": 0.0}, "voxel_size_m must be > 0"),
        ({"fov_m": 1e-3}, "fov_m must be larger"),
        ({"sample_time_s": np.nan}, "sample_time_s"),
        ({"nucleus": "sodium"}, "nucleus 'sodium' is unknown"),
    ],
)
def test_nonsense_is_refused(change, match):
    with pytest.raises(RecordError, match=match):
        replace(SPEC, **change)


def test_nonsense_options_are_refused():
    with pytest.raises(RecordError, match="slew_t_per_m_per_s must be > 0"):
        GradientLimits(slew_t_per_m_per_s=-1.0)
    with pytest.raises(RecordError, match="partitions 'last' is unknown"):
        design_stack_of_stars(SPEC, n_partitions=2, partitions="last", **STACK)
    with pytest.raises(RecordError, match="n_partitions"):
        design_stack_of_stars(SPEC, n_partitions=0, **STACK)
    with pytest.raises(RecordError, match="radial_fraction"):
        design_twisted_projections(SPEC, readout_s=4e-3, radial_fraction=1.0)
    with pytest.raises(RecordError, match="n_hubs"):
        design_floret(SPEC, readout_s=4e-3, n_hubs=4)
    with pytest.raises(RecordError, match="largest_elevation_rad"):
        design_floret(SPEC, readout_s=4e-3, largest_elevation_rad=2.0)
    with pytest.raises(RecordError, match="n_interleaves"):
        design_spiral(SPEC, n_interleaves=0)
    with pytest.raises(RecordError, match="fov_edge_m"):
        design_spiral(SPEC, n_interleaves=1, fov_edge_m=0.2)
    design = design_radial_3d(SPEC, readout_s=1e-3, n_shots=2)
    with pytest.raises(RecordError, match="pattern must name"):
        replace(design, pattern=np.array([0, 1]))
    with pytest.raises(RecordError, match="time_s"):
        replace(design, time_s=np.array([0.0, 1.0]))
    with pytest.raises(RecordError, match="frames"):
        replace(design, frames=np.eye(3)[None])
