"""Objects with closed-form k-space, coils, and scans that measure them; no FFT takes part."""

from ultrahand.phantoms.cartesian import CartesianScan
from ultrahand.phantoms.coils import Coils, smooth_coils, uniform_coil
from ultrahand.phantoms.hand import five_fingers
from ultrahand.phantoms.noncartesian import NonCartesianScan, StoredUnit, in_unit
from ultrahand.phantoms.objects import Ellipsoid, GaussianBead, PhantomObject, transform, truth
from ultrahand.phantoms.sections import Ellipse, GaussianSlab, Slice
from ultrahand.phantoms.setting import geometry_of, slice_of
from ultrahand.phantoms.simulate import simulate
from ultrahand.phantoms.thermal import ThermalNoise, random_covariance

__all__ = [
    "CartesianScan",
    "Coils",
    "Ellipse",
    "Ellipsoid",
    "GaussianBead",
    "GaussianSlab",
    "NonCartesianScan",
    "PhantomObject",
    "Slice",
    "StoredUnit",
    "ThermalNoise",
    "five_fingers",
    "geometry_of",
    "in_unit",
    "random_covariance",
    "simulate",
    "slice_of",
    "smooth_coils",
    "transform",
    "truth",
    "uniform_coil",
]
