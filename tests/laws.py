"""Laws that every member of a family keeps, and the table of members.

A new operator is one line in `OPERATORS`.
"""

import numpy as np

from ultrahand.recon._sigpy import SigpyNufft
from ultrahand.recon.nufft import plan_nufft
from ultrahand.recon.off_resonance import off_resonance


def complex_normal(rng, shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def check_adjoint(op, rng, rtol):
    """<A x, y> == <x, A^H y>, with shapes checked first: vdot would hide a wrong one."""
    x, y = complex_normal(rng, op.domain), complex_normal(rng, op.codomain)
    ax, aty = op.forward(x), op.adjoint(y)
    assert ax.shape == op.codomain
    assert aty.shape == op.domain
    scale = np.linalg.norm(ax) * np.linalg.norm(y)
    assert abs(np.vdot(y, ax) - np.vdot(aty, x)) <= rtol * scale


def check_linear(op, rng, rtol):
    """A(a x + b y) == a A x + b A y, both ways."""
    a, b = complex_normal(rng, 2)
    for apply, shape in ((op.forward, op.domain), (op.adjoint, op.codomain)):
        x, y = complex_normal(rng, shape), complex_normal(rng, shape)
        expected = a * apply(x) + b * apply(y)
        error = np.linalg.norm(apply(a * x + b * y) - expected)
        assert error <= rtol * np.linalg.norm(expected)


def check_pure(op, rng):
    """Arguments stay as they were, results are new arrays, and a second call gives the same."""
    for apply, shape in ((op.forward, op.domain), (op.adjoint, op.codomain)):
        for dtype in (np.complex64, np.complex128):
            x = complex_normal(rng, shape).astype(dtype)
            before = x.copy()
            first = apply(x)
            kept = first.copy()
            first *= 2  # were the result a buffer of the operator, the next would show it
            assert not np.shares_memory(first, x)
            np.testing.assert_array_equal(x, before)
            np.testing.assert_array_equal(apply(x), kept)


def _points(shape, voxel_size_m, n):
    k = np.random.default_rng(len(shape)).uniform(-0.5, 0.5, (n, len(shape)))
    return k / np.array(voxel_size_m)


def _nufft(shape, voxel_size_m, **options):
    k = _points(shape, voxel_size_m, 211)
    return plan_nufft(k, shape=shape, voxel_size_m=voxel_size_m, **options)


def _sigpy(shape, voxel_size_m, **options):
    k = _points(shape, voxel_size_m, 53)
    return SigpyNufft(k_per_m=k, shape=shape, voxel_size_m=voxel_size_m, **options)


def _off_resonance(shape, voxel_size_m, *, decay=False, **options):
    base = _nufft(shape, voxel_size_m, **options)
    rng = np.random.default_rng(7)
    return off_resonance(
        base,
        off_resonance_hz=rng.uniform(-100, 150, shape),
        r2star_per_s=rng.uniform(0, 200, shape) if decay else None,
        time_s=np.linspace(1e-3, 9e-3, 211),
    )


YX, ZYX = ((7, 8), (1e-3, 2e-3)), ((5, 6, 9), (1e-3, 2e-3, 3e-3))

# Both directions of a NUFFT use the same kernel, so that the laws hold to rounding, not to eps.
# Sums of up to a few hundred terms: 1e-13 in double and 1e-5 in single precision.
OPERATORS = {
    "nufft 2D double": (lambda: _nufft(*YX, dtype=np.complex128), 1e-13),
    "nufft 3D double": (lambda: _nufft(*ZYX, dtype=np.complex128), 1e-13),
    "nufft 3D single": (lambda: _nufft(*ZYX, eps=1e-3), 1e-5),
    "off-resonance 2D": (lambda: _off_resonance(*YX, dtype=np.complex128), 1e-13),
    "off-resonance and decay 3D": (lambda: _off_resonance(*ZYX, decay=True, eps=1e-3), 1e-5),
    "sigpy 2D": (lambda: _sigpy(*YX), 1e-5),
    "sigpy 3D wide": (lambda: _sigpy(*ZYX, oversampling=2, width=6), 1e-5),
}
