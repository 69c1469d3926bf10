"""Leading axes of an argument are a batch, to which an operator is applied one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ultrahand.records.arrays import Complex, require


def as_batch(
    array: Complex, core: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Any, tuple[int, ...]]:
    """Return ``(batch, *core)``, contiguous and of a dtype, and the leading axes that there were.

    Raises
    ------
    ultrahand.errors.RecordError
        If the last axes are not `core`.
    """
    array = np.asarray(array)
    leading = array.ndim - len(core)
    require(
        leading >= 0 and array.shape[leading:] == core,
        f"expected an array of shape (..., {', '.join(map(str, core))}), got {array.shape}",
    )
    batch = array.shape[:leading]
    return np.ascontiguousarray(array, dtype).reshape(math.prod(batch), *core), batch
