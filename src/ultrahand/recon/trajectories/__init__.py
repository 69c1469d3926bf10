"""Trajectories: positions for simulations, and designs within the limits of the gradients."""

from ultrahand.recon.trajectories.cones import design_cones
from ultrahand.recon.trajectories.density_adapted import design_density_adapted
from ultrahand.recon.trajectories.design import Design
from ultrahand.recon.trajectories.floret import design_floret
from ultrahand.recon.trajectories.prescription import RASTER_S, GradientLimits, Prescription
from ultrahand.recon.trajectories.radial import (
    design_radial_2d,
    design_radial_3d,
    k_max_per_m,
    radial_2d,
    radial_3d,
)
from ultrahand.recon.trajectories.spiral import design_spiral, spiral_2d
from ultrahand.recon.trajectories.stack_of_stars import design_stack_of_stars
from ultrahand.recon.trajectories.twisted_projections import design_twisted_projections

__all__ = [
    "RASTER_S",
    "Design",
    "GradientLimits",
    "Prescription",
    "design_cones",
    "design_density_adapted",
    "design_floret",
    "design_radial_2d",
    "design_radial_3d",
    "design_spiral",
    "design_stack_of_stars",
    "design_twisted_projections",
    "k_max_per_m",
    "radial_2d",
    "radial_3d",
    "spiral_2d",
]
