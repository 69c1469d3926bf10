"""FINUFFT called by hand: planned once, single precision, all coils in one plan.

Its best settings here: upsampfac 2, which at eps 1e-5 is faster and more exact than 1.25.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ultrahand.bench.problem import Array, Call, Case

EPS = 1e-5


def normal_pair(case: Case) -> Call:
    """Image to samples and back, with the scale of ``A^H A`` for orthonormal A."""
    image = case["image"]
    there, back = (_plan(case, kind, image.shape, 1) for kind in (2, 1))
    scale = np.float32(1 / image.size)
    return lambda: back.execute(there.execute(image)) * scale


def forward(case: Case) -> Call:
    """All coils at once."""
    given = case["given"]
    plan = _plan(case, 2, tuple(case["shape"].tolist()), len(given))
    return lambda: plan.execute(given)


def adjoint(case: Case) -> Call:
    """All coils at once."""
    given = case["given"]
    plan = _plan(case, 1, tuple(case["shape"].tolist()), len(given))
    return lambda: plan.execute(given)


def _plan(case: Case, kind: Literal[1, 2], shape: tuple[int, ...], n_coils: int) -> Any:  # noqa: ANN401
    import finufft

    plan = finufft.Plan(
        kind,
        shape,
        n_trans=n_coils,
        eps=EPS,
        isign=1 if kind == 1 else -1,
        dtype="complex64",
        nthreads=case.threads,
        upsampfac=2.0,
    )
    plan.setpts(*radians(case["k"], shape))
    return plan


def radians(k_cycles: Array, shape: tuple[int, ...]) -> list[Array]:
    """Return float32 positions in radians a voxel, one array an axis."""
    return [
        np.ascontiguousarray(2 * np.pi * k_cycles[:, axis].astype(np.float64) / n, np.float32)
        for axis, n in enumerate(shape)
    ]
