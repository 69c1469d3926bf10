"""One line for every family of trajectories: a new one is one line more."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ultrahand.recon.trajectories import (
    Prescription,
    design_cones,
    design_density_adapted,
    design_floret,
    design_radial_2d,
    design_radial_3d,
    design_spiral,
    design_stack_of_stars,
    design_twisted_projections,
)

SLAB_M, N_PARTITIONS = 0.03, 5


@dataclass(frozen=True)
class Family:
    design: Callable
    readout_s: float | None
    options: dict
    full: bool = False

    def make(self, asked, **options):
        chosen = {"readout_s": self.readout_s} | self.options | options
        return self.design(asked, **chosen)

    def aside(self, design):
        """Where each pattern is moved to, away from the centre."""
        moved = np.zeros((len(design.pattern_gradient_t_per_m), 3))
        if self.design is design_stack_of_stars:
            moved[:, 2] = (np.arange(N_PARTITIONS) - N_PARTITIONS // 2) / SLAB_M
        return moved


def prescription(nucleus, **changes):
    """Coarse enough to be quick: the edge is 10 Nyquist steps from the centre."""
    asked = {"voxel_size_m": 5e-3, "fov_m": 0.1, "sample_time_s": 4e-6, "nucleus": nucleus}
    return Prescription(**(asked | changes))


STACK = {"n_partitions": N_PARTITIONS, "slab_m": SLAB_M}

DESIGNS = {
    "radial 2D": Family(design_radial_2d, 2e-3, {}, full=True),
    "radial 2D, odd": Family(design_radial_2d, 1.996e-3, {"order": "uniform"}, full=True),
    "radial 2D from the centre": Family(design_radial_2d, 2e-3, {"full": False}),
    "radial 3D": Family(design_radial_3d, 2e-3, {"full": True, "order": "rings"}, full=True),
    "radial 3D from the centre": Family(design_radial_3d, 2e-3, {}),
    "radial 3D, phyllotaxis": Family(design_radial_3d, 2.001e-3, {"order": "phyllotaxis"}),
    "radial 3D, one": Family(design_radial_3d, 2e-3, {"n_shots": 1}),
    "stack of stars": Family(design_stack_of_stars, 2e-3, STACK, full=True),
    "stack of stars, odd": Family(design_stack_of_stars, 1.996e-3, STACK, full=True),
    "density-adapted": Family(design_density_adapted, 4e-3, {}),
    "density-adapted, rings": Family(design_density_adapted, 1.001e-3, {"order": "rings"}),
    "twisted projections": Family(design_twisted_projections, 4e-3, {}),
    "twisted projections, p = 0.2": Family(
        design_twisted_projections, 8e-3, {"radial_fraction": 0.2}
    ),
    "twisted projections, p = 0.9": Family(
        design_twisted_projections, 4e-3, {"radial_fraction": 0.9}
    ),
    "FLORET": Family(design_floret, 2e-3, {}),
    "FLORET, one hub": Family(design_floret, 3.001e-3, {"n_hubs": 1, "n_shots": 7}),
    "cones": Family(design_cones, 2e-3, {}),
    "cones, long": Family(design_cones, 8e-3, {}),
    "spiral": Family(design_spiral, None, {"n_interleaves": 4}),
    "spiral, one": Family(design_spiral, None, {"n_interleaves": 1}),
    "spiral, variable": Family(design_spiral, 6.001e-3, {"n_interleaves": 2, "fov_edge_m": 0.05}),
}
