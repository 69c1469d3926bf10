"""Where the voxels of an image lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrahand.records.arrays import Float64, freeze, require

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """The frame of an image.

    Voxel ``(i, j, k)`` along read, phase and slice lies at ``position_mm + read_dir * dx *
    (i - Nx // 2) + phase_dir * dy * (j - Ny // 2) + slice_dir * dz * (k - Nz // 2)`` in patient
    LPS millimetres. The three directions are taken as they are: scanners write left-handed
    frames too, so the determinant may have either sign.
    """

    shape: tuple[int, int, int]
    """Voxels ``(z, y, x)``: along slice, phase, read."""
    voxel_size_m: tuple[float, float, float]
    """Spacing ``(x, y, z)``: along read, phase, slice."""
    position_mm: Float64
    """Patient LPS position of voxel ``(Nx // 2, Ny // 2, Nz // 2)``, shape ``(3,)``."""
    read_dir: Float64
    phase_dir: Float64
    slice_dir: Float64
    known: bool
    """False where the file has no directions: the frame is then the identity, centred at 0."""

    def __post_init__(self) -> None:
        require(min(self.shape) >= 1, f"shape must be positive, got {self.shape}")
        require(min(self.voxel_size_m) > 0, f"voxel_size_m must be > 0, got {self.voxel_size_m}")
        vectors = {
            name: np.array(getattr(self, name), np.float64)
            for name in ("position_mm", "read_dir", "phase_dir", "slice_dir")
        }
        for name, vector in vectors.items():
            require(vector.shape == (3,), f"{name} must have shape (3,), got {vector.shape}")
            require(bool(np.isfinite(vector).all()), f"{name} must be finite, got {vector}")
        gram = np.stack([vectors[n] for n in ("read_dir", "phase_dir", "slice_dir")])
        require(
            bool(np.allclose(gram @ gram.T, np.eye(3), atol=1e-3)),
            f"directions must be orthonormal, got {gram.tolist()}",
        )
        freeze(self, **vectors)

    def lps_affine(self) -> Float64:
        """Return the 4 x 4 matrix from voxel ``(i, j, k)`` to patient LPS millimetres."""
        steps = np.stack([self.read_dir, self.phase_dir, self.slice_dir], axis=1)
        steps = steps * (np.array(self.voxel_size_m) * 1e3)
        centre = np.array([n // 2 for n in reversed(self.shape)], np.float64)
        affine = np.eye(4)
        affine[:3, :3] = steps
        affine[:3, 3] = self.position_mm - steps @ centre
        return affine

    def ras_affine(self) -> Float64:
        """Return the 4 x 4 matrix from voxel ``(i, j, k)`` to RAS millimetres, as in NIfTI."""
        return LPS_TO_RAS @ self.lps_affine()
