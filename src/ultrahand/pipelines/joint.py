"""Images that are made together and handed out one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ultrahand.records.arrays import Complex64, Float32


@dataclass(frozen=True, slots=True)
class JointImages:
    """All frames of a series."""

    images: Complex64
    """``(frames, z, y, x)``."""
    sigma: tuple[float, ...] | Float32
    """Noise of the real part in each frame, or in each of its voxels; empty where not known."""
    steps: tuple[str, ...]


@dataclass(slots=True)
class JointStore:
    """Holds one series at a time, until its last frame was taken."""

    held: dict[int, JointImages] = field(default_factory=dict)

    def get(self, number: int) -> JointImages | None:
        """Return what is held of a series."""
        return self.held.get(number)

    def put(self, number: int, made: JointImages) -> None:
        """Hold a series, and no other."""
        self.held.clear()
        self.held[number] = made

    def release(self) -> None:
        """Let go."""
        self.held.clear()
