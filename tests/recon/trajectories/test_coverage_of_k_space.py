"""No place within k-space is farther from a sample than the design's Nyquist distance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from trajectory_designs import prescription
from ultrahand.recon.trajectories import (
    design_cones,
    design_radial_2d,
    design_radial_3d,
    design_spiral,
    design_stack_of_stars,
    design_twisted_projections,
)

STACK = {"n_partitions": 7, "slab_m": 0.1, "order": "uniform"}
IN_PLANE = {
    "radial": lambda p: design_radial_2d(p, readout_s=2e-3, order="uniform"),
    "from the centre": lambda p: design_radial_2d(p, readout_s=2e-3, order="uniform", full=False),
    "spiral": lambda p: design_spiral(p, n_interleaves=3),
    "spiral, one": lambda p: design_spiral(p, n_interleaves=1),
}
IN_SPACE = {
    "rings": lambda p: design_radial_3d(p, readout_s=2e-3, order="rings"),
    "full, rings": lambda p: design_radial_3d(p, readout_s=2e-3, order="rings", full=True),
    "cones": lambda p: design_cones(p, readout_s=1e-3),
    "cones, long": lambda p: design_cones(p, readout_s=4e-3),
}


def farthest(design, places):
    """The largest distance of places from samples, less what the distance of samples adds."""
    fine = replace(design, time_s=np.arange(design.time_s[0], design.time_s[-1], 2e-6))
    k = fine.k_per_m()
    step = np.linalg.norm(np.diff(k, axis=1), axis=2).max()
    distance = cKDTree(k.reshape(-1, 3)).query(places)[0].max()
    return np.sqrt(distance**2 - min(step / 2, distance) ** 2)


def in_ball(rng, edge, n=20_000):
    places = rng.uniform(-1, 1, (n, 3))
    return edge * 0.95 * places[np.linalg.norm(places, axis=1) < 1]


@pytest.mark.parametrize("make", IN_PLANE.values(), ids=IN_PLANE.keys())
def test_planes_are_covered(make, rng):
    """Half a Nyquist step from the middle of two neighbours."""
    asked = prescription("1H")
    places = in_ball(rng, asked.k_max_per_m) * [1, 1, 0]
    assert 0.8 < farthest(make(asked), places) / (0.5 / asked.fov_m) < 1.02


@pytest.mark.parametrize("fraction", [0.3, 0.6])
def test_space_is_covered_by_twisted_projections(fraction, rng):
    """At k = u k0 cones are u p Nyquist steps apart, shots on them 1 / u: most at u = 1, 1 / p."""
    asked = prescription("23Na")
    design = design_twisted_projections(asked, readout_s=6e-3, radial_fraction=fraction)
    expected = 0.5 * np.hypot(1, fraction) / asked.fov_m
    assert 0.8 < farthest(design, in_ball(rng, asked.k_max_per_m)) / expected < 1.02


def test_stacks_are_covered(rng):
    asked = prescription("1H")
    design = design_stack_of_stars(asked, readout_s=2e-3, **STACK)
    places = in_ball(rng, asked.k_max_per_m) * [1, 1, 0.25]
    assert 0.8 < farthest(design, places) / (np.sqrt(0.5) / asked.fov_m) < 1.02


@pytest.mark.parametrize("nucleus", ["1H", "23Na"])
@pytest.mark.parametrize("make", IN_SPACE.values(), ids=IN_SPACE.keys())
def test_space_is_covered(make, nucleus, rng):
    """Half a step along a meridian to the next cone and half a step on it."""
    asked = prescription(nucleus)
    places = in_ball(rng, asked.k_max_per_m)
    assert 0.8 < farthest(make(asked), places) / (np.sqrt(0.5) / asked.fov_m) < 1.02
