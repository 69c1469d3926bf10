"""What iterative reconstructions solve, and what they have to say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.recon.cartesian_sense import worst_of
from ultrahand.records.findings import warning

if TYPE_CHECKING:
    from ultrahand.numerics.solution import Solution
    from ultrahand.pipelines.workspace import Workspace
    from ultrahand.recon._sigpy_apps import Measured
    from ultrahand.recon.normal import Spectra
    from ultrahand.recon.off_resonance import OffResonance
    from ultrahand.records.arrays import Complex64, Float32

NOISE_UNSURE: Final = 0.05
"""How far readings of the noise may miss its map, relative, before it is told."""
MAPS_GIVEN: Final = "coil sensitivities are taken as given"


@dataclass(frozen=True, slots=True)
class Problem:
    """The normal equations of one slice or slab, in units of noise."""

    rhs: Complex64
    """``(1, z, y, x)``."""
    spectra: Spectra
    maps: Complex64
    """``(channels, 1, z, y, x)``, ending where the object does."""
    soft: Float32
    """How much of each voxel the maps take, ``(z, y, x)``: see `map_grid.MapGrid`."""
    damping: float
    """One over the object's mean power."""
    scale: float
    """What the unit of noise is in that of the image."""
    steps: tuple[str, ...]
    whitening: Complex64
    """From channels to virtual ones of unit noise, ``(virtual, channels)``."""
    kept: tuple[slice, slice] = (slice(None), slice(None))
    """Voxels along z and y that were asked for."""
    draw: Callable[[np.random.Generator], Complex64] | None = None
    """Returns what noise alone adds to `rhs`."""
    encoding: OffResonance | None = None
    """What N is made of, where a field map makes it no convolution; `spectra` are without it."""
    measured: Measured | None = None
    """The samples themselves, where a solver of another package wants them."""

    def image_of(self, solution: Complex64) -> Complex64:
        """Return the image, ``(z, y, x)``, of a solution ``(1, z, y, x)``."""
        image: Complex64 = (solution[0] * self.soft * np.float32(self.scale))[self.kept]
        return np.ascontiguousarray(image)


def note_status(solutions: tuple[Solution, ...], workspace: Workspace) -> None:
    """Warn where conjugate gradients did not reach their tolerance: the image is returned."""
    worst = worst_of(solutions)
    if worst is not None:
        workspace.notes.append(
            warning(
                "conjugate gradients",
                found=f"{worst.status} after {worst.iterations} iterations, relative residual "
                f"{worst.residuals[-1]:.2g}",
                expected="a residual below the noise",
                remedy="the last iterate is written: expect left-over aliasing",
            )
        )


def note_noise(uncertainty: float, workspace: Workspace) -> None:
    """Warn where readings of the noise miss the map made of the others."""
    if uncertainty > NOISE_UNSURE:
        workspace.notes.append(
            warning(
                "standard error",
                found=f"readings of it miss its map by {uncertainty:.0%}",
                expected=f"at most {NOISE_UNSURE:.0%}",
                remedy="written as it is; small matrices, few spokes, and lines missing at one "
                "side of k-space cause this",
            )
        )
