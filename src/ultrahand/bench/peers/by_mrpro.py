"""MRpro: conjugate gradients on its Toeplitz form of the Fourier operator."""

from __future__ import annotations

from ultrahand.bench.problem import Array, Call, Case


def radial_sense(case: Case) -> Call:
    """Make the operators in each call, as ours does."""
    import torch
    from mrpro.algorithms.optimizers import cg
    from mrpro.data import KTrajectory, SpatialDimension
    from mrpro.operators import FourierOp, SensitivityOp

    torch.set_num_threads(case.threads)
    k = torch.from_numpy(case["k"])[None, None, None]
    y = torch.from_numpy(case["y"])[None, :, None]
    maps = torch.from_numpy(case["maps"])[None, :, None]
    n = maps.shape[-1]
    matrix = SpatialDimension(1, n, n)

    def call() -> Array:
        positions = KTrajectory(kz=torch.zeros(1, 1, 1, 1, 1), ky=k[..., 0], kx=k[..., 1])
        fourier = FourierOp(recon_matrix=matrix, encoding_matrix=matrix, traj=positions)
        encoding = fourier @ SensitivityOp(maps)
        (rhs,) = encoding.adjoint(y)
        found = cg(encoding.gram, rhs, max_iterations=10, tolerance=0)
        image = found[0] if isinstance(found, tuple) else found
        return image.numpy().reshape(n, n)

    return call
