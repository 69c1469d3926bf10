"""MRI-NUFFT's finufft backend with its default options, the operator made once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ultrahand.bench.problem import Call, Case


def forward(case: Case) -> Call:
    """All coils in one call."""
    operator, given = _operator(case), case["given"]
    return lambda: operator.op(given)


def adjoint(case: Case) -> Call:
    """All coils in one call."""
    operator, given = _operator(case), case["given"]
    return lambda: operator.adj_op(given)


def _operator(case: Case) -> Any:  # noqa: ANN401
    import mrinufft

    shape = tuple(case["shape"].tolist())
    positions = (case["k"] / np.array(shape)).astype(np.float32)
    return mrinufft.get_operator("finufft")(positions, shape, n_coils=len(case["given"]))
