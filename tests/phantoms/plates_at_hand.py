"""Plates for the tests of the signal engines: random ones, and an ellipsoid made of them."""

import numpy as np

from ultrahand.phantoms.objects import Ellipsoid
from ultrahand.phantoms.plates import Plates, Terms
from ultrahand.phantoms.sections import Slice


def turned(rng):
    """Return axes in no special direction, as rows."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def random_plates(rng, n, frame, *, normals=(0, 1, 2, 3), extent_m=0.04, point_m=(0.0, 0.0, 0.0)):
    """Return plates normal to axes of a frame, or (3) to none, about a point."""
    spans = rng.uniform(-0.01, 0.01, (n, 2, 3))
    normal = np.arange(n) % len(normals)
    for plate, which in enumerate(np.array(normals)[normal]):
        if which < 3:
            spans[plate, :, which] = 0.0
    return Plates(
        centre_m=rng.uniform(-extent_m, extent_m, (n, 3)) @ frame + np.array(point_m),
        span_m=spans @ frame,
        weight_m=rng.uniform(2e-4, 1e-3, n),
    )


def random_terms(rng, n, n_plates, *, n_curves=0):
    """Return terms with a dozen decays; some plates carry several, some none."""
    return Terms(
        plate=rng.integers(0, n_plates, n),
        amplitude=rng.uniform(0.3, 1.5, n) * np.exp(1j * rng.uniform(-0.5, 0.5, n)),
        r2star_per_s=rng.choice(np.linspace(20.0, 1500.0, 12), n),
        off_resonance_hz=rng.normal(0.0, 200.0, n),
        curve=rng.integers(-1, n_curves, n) if n_curves else np.full(n, -1),
    )


def sliced_ellipsoid(item: Ellipsoid, normal, n):
    """Return an ellipsoid as n plates at Gauss-Legendre nodes along a normal."""
    normal = np.asarray(normal) / np.linalg.norm(normal)
    across = np.linalg.svd(normal[None])[2][1:]
    height = np.linalg.norm(item.axes * item.semi_axes_m[:, None] @ normal)
    nodes, weights = np.polynomial.legendre.leggauss(n)
    cuts = [
        item.section(
            Slice(
                position_m=item.centre_m + height * s * normal,
                read_dir=across[0],
                phase_dir=across[1],
                thickness_m=1.0,
            )
        )
        for s in nodes
    ]
    plates = Plates(
        centre_m=np.array([cut.centre_m for cut in cuts]),
        span_m=np.array([cut.span_m for cut in cuts]),
        weight_m=height * weights,
    )
    terms = Terms(
        plate=np.arange(n),
        amplitude=np.full(n, item.density),
        r2star_per_s=np.full(n, item.r2star_per_s),
        off_resonance_hz=np.full(n, item.off_resonance_hz),
    )
    return plates, terms
