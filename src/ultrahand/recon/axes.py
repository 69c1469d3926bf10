"""From the encoded to the asked matrix, axis by axis: zero-fill k-space, crop the image."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.records.findings import Finding, warning

if TYPE_CHECKING:
    from ultrahand.records.arrays import Bools, Ints
    from ultrahand.records.header import Encoding

WHOLE_TOLERANCE = 0.05
"""How far a grid size may lie from a whole number (fields of view are printed with few digits)."""
AXIS_NAMES = ("read", "phase", "slice")


@dataclass(frozen=True, slots=True)
class Axis:
    """Sizes along one image axis.

    k-space of ``n_encoded`` lines is zero-filled (or cropped) to ``n_grid`` lines, which gives the
    asked voxel size over the encoded field of view; then ``n_image`` voxels around the centre are
    kept. Index ``n // 2`` is the origin at every stage.
    """

    n_encoded: int
    n_grid: int
    n_image: int
    voxel_m: float

    def grid_rows(self, k: Ints) -> Ints:
        """Return where lines of signed index ``k`` go on the grid, origin at index 0."""
        return np.asarray(k) % self.n_grid

    def on_grid(self, k: Ints) -> Bools:
        """Tell which signed line indices the grid holds (a smaller grid drops the outer ones).

        ``+N/2`` of an even grid is the line ``-N/2``; where both could come, it is dropped.
        """
        k = np.asarray(k)
        top = (self.n_grid - 1) // 2 if self.n_grid < self.n_encoded else self.n_grid // 2
        return (k >= -(self.n_grid // 2)) & (k <= top)

    def image_columns(self) -> Ints:
        """Return grid indices (origin at index 0) of the kept voxels, in image order."""
        return (np.arange(self.n_image) - self.n_image // 2) % self.n_grid


def runs_of(places: Ints) -> list[tuple[slice, slice]]:
    """Cut indices that rise by one, save for a wrap, into slices: copies of slices are fast.

    Returns
    -------
    list of (slice, slice)
        Of the sequence itself, and of the places it names.
    """
    cuts = np.flatnonzero(np.diff(places) != 1) + 1
    edges = [0, *cuts.tolist(), len(places)]
    return [
        (slice(a, b), slice(int(places[a]), int(places[b - 1]) + 1))
        for a, b in itertools.pairwise(edges)
        if b > a
    ]


def axes_of(encoding: Encoding, *, three_d: bool) -> tuple[tuple[Axis, Axis, Axis], list[Finding]]:
    """Plan the axes read, phase, slice of a Cartesian encoding.

    Parameters
    ----------
    encoding
        The header's encoded and recon space.
    three_d
        False for 2D: the slice axis is then one voxel as thick as the slice.
    """
    findings: list[Finding] = []
    encoded, recon = encoding.encoded, encoding.recon
    axes = [
        _axis(i, encoded.matrix[i], encoded.fov_m[i], recon.matrix[i], recon.fov_m[i], findings)
        for i in range(3 if three_d else 2)
    ]
    if not three_d:
        axes.append(Axis(1, 1, 1, slice_thickness_m(encoding)))
    return (axes[0], axes[1], axes[2]), findings


def slice_thickness_m(encoding: Encoding) -> float:
    """Thickness of a 2D slice; a z matrix above 1 is taken to divide the field of view."""
    return encoding.recon.fov_m[2] / encoding.recon.matrix[2]


def _axis(
    index: int,
    n_encoded: int,
    fov_encoded_m: float,
    n_recon: int,
    fov_recon_m: float,
    findings: list[Finding],
) -> Axis:
    name = AXIS_NAMES[index]
    n_grid = fov_encoded_m / (fov_recon_m / n_recon)
    whole = max(round(n_grid), 1)
    if abs(n_grid - whole) > WHOLE_TOLERANCE:
        whole = n_encoded
        findings.append(
            warning(
                f"reconSpace, {name}",
                found=f"{n_recon} voxels over {fov_recon_m * 1e3:g} mm, which would need "
                f"{n_grid:.3f} lines over the encoded {fov_encoded_m * 1e3:g} mm",
                expected="a voxel size that divides the encoded field of view",
                remedy="the encoded voxel size is kept",
            )
        )
    voxel_m = fov_encoded_m / whole
    n_image = max(round(fov_recon_m / voxel_m), 1)
    if n_image > whole:
        findings.append(
            warning(
                f"reconSpace, {name}",
                found=f"{fov_recon_m * 1e3:g} mm asked, {fov_encoded_m * 1e3:g} mm encoded",
                expected="at most the encoded field of view",
                remedy="the encoded field of view is kept",
            )
        )
    return Axis(n_encoded, whole, min(n_image, whole), voxel_m)
