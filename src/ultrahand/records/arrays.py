"""Array types of the records, and the checks they share."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ultrahand.errors import RecordError

Real = NDArray[np.floating[Any]]
Complex = NDArray[np.complexfloating[Any, Any]]
Complex64 = NDArray[np.complex64]
Complex128 = NDArray[np.complex128]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Structured = NDArray[np.void]

_T = TypeVar("_T", bound=np.generic)


def read_only(array: NDArray[_T]) -> NDArray[_T]:
    """Return a view that cannot be written through; the caller's own array is untouched."""
    view = array.view()
    view.flags.writeable = False
    return view


def freeze(record: object, **fields: NDArray[Any]) -> None:
    """Store read-only arrays in a frozen dataclass, from its ``__post_init__``."""
    for name, array in fields.items():
        object.__setattr__(record, name, read_only(array))


def require(condition: bool, message: str) -> None:
    """Raise `RecordError` with the message unless the condition holds."""
    if not condition:
        raise RecordError(message)
