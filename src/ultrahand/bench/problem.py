"""What a problem of the benchmark is: data, contestants, a measure of error and goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Size = Literal["full", "tiny"]
OURS: Final = "ultrahand"


class AbsentError(Exception):
    """A peer is not installed; the text says what is missing."""


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """The data of one problem, read when they are asked for."""

    folder: Path
    """Holds one ``.npy`` an array, and whatever files the problem made."""
    threads: int
    read: dict[str, Array] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Array:
        if name not in self.read:
            self.read[name] = np.load(self.folder / f"{name}.npy")
        return self.read[name]


Call = Callable[[], Any]
Prepare = Callable[[Case], Call]


@final
@dataclass(frozen=True, kw_only=True)
class Engine:
    """One contestant."""

    name: str
    prepare: Prepare
    """Imports, plans and returns the call to be timed; raises `AbsentError` or `ImportError`."""
    package: str
    """Distribution whose version is told, or ``bart``."""
    setting: str = ""
    """How it is called, in a few words."""
    in_commands: bool = False
    """All of its work is in other programs: theirs is the memory that counts."""


@final
@dataclass(frozen=True, kw_only=True)
class Goal:
    """How much faster ours shall be, at an error that is no worse."""

    peer: str
    ratio: float
    """The peer's warm seconds over ours."""
    error: float | str
    """What our error may be at most: a number, or the peer that must not be better."""
    seconds: float | None = None
    """Instead of a peer's: a time that ours is compared with."""


@final
@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem at one size."""

    name: str
    title: str
    make: Callable[[Size, Path, int], dict[str, Array]]
    """From size, folder and threads; deterministic. Truth is a closed form or made in float64."""
    judge: Callable[[Any, Case], float]
    """The error of a result."""
    error_name: str
    """What that error is."""
    engines: tuple[Engine, ...]
    """Ours first."""
    goals: tuple[Goal, ...]


def relative_error(found: Array, truth: Array) -> float:
    """Return the relative l2 error after the best complex scale, as scales of the peers differ.

    That ours has the scale that it states is for the tests to hold.
    """
    a = np.asarray(found).ravel().astype(np.complex128)
    b = np.asarray(truth).ravel().astype(np.complex128)
    if a.shape != b.shape:
        raise ValueError(f"a result of {a.size} numbers where {b.size} are expected")
    if not np.isfinite(a).all():
        return float("nan")
    scale = np.vdot(a, b) / max(np.vdot(a, a).real, np.finfo(np.float64).tiny)
    return float(np.linalg.norm(scale * a - b) / np.linalg.norm(b))
