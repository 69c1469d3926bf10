"""Every problem at a tiny size, with the peers that are installed."""

import numpy as np
import pytest

from ultrahand.bench.catalogue import PROBLEMS
from ultrahand.bench.contest import run_problem
from ultrahand.bench.problem import OURS
from ultrahand.bench.readouts import whitened_samples
from ultrahand.phantoms import (
    CartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
)

LIMITS = {
    "normal-64": (1e-7, 5e-5),
    "forward-64": (1e-7, 5e-5),
    "adjoint-64": (1e-7, 5e-5),
    "cg-sense": (1e-6, 5e-4),
    "espirit": (1e-4, 0.05),
    "grappa-2x2": (1e-3, 0.1),
    "grappa-3x1": (1e-3, 0.1),
    "sodium": (1e-8, 1e-4),
    "wavelet-cs": (1e-3, 0.1),
    "dynamics-tv": (0.05, 0.6),
}
"""Least and greatest error of ours: float32 leaves some, more than the goals allow is a fault.
Maps and GRAPPA have the noise of their calibration; what a prior fills in is never exact."""
PEERS = {
    "sigpy": 0.05,  # its default kernel; maps of a few voxels
    "finufft": 1e-4,
    "mri-nufft": 1e-4,
    "bart": 0.1,
    "mrpro": 0.1,
    "pygrappa": 0.5,
}
"""Errors beyond these mean that a peer is called wrongly."""


HARD = ("dynamics-tv",)
"""Problems in which the priors of all of them leave as much."""
SLOW = ("forward-64", "adjoint-64", "sodium")
"""Most of whose time is the reference's."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] * (n in SLOW)) for n in LIMITS]
)
def test_problem(name):
    result = run_problem(PROBLEMS[name], name, size="tiny", threads=2)
    least, most = LIMITS[name]
    for row in result.rows:
        if row.engine == OURS:
            assert least < row.error < most
        else:
            assert row.error < (most if name in HARD else PEERS[row.engine])
        assert row.peak_mb > 1
    assert not [missing for missing in result.absent if missing.reason.startswith("failed")]
    assert len(result.goals) >= 1


def test_larger_sizes_are_the_same_problem():
    others = {name.replace("-96", "-64") for name in PROBLEMS if name.endswith("-96")}
    assert {*LIMITS} == {name for name in PROBLEMS if not name.endswith("-96")}
    assert others <= {*LIMITS}


def test_whitened_samples():
    """Noise alone, whitened: of variance 2 (1 a part) and without correlation."""
    rng = np.random.default_rng(0)
    noise = ThermalNoise(
        covariance=random_covariance(rng, 3, 1.0), n_readouts=64, n_samples=256, dwell_s=2e-6
    )
    fov = (0.2, 0.2, 0.005)
    scan = CartesianScan(matrix=(128, 128, 1), fov_m=fov, dimension=2, noise=noise)
    raw = simulate(five_fingers(fov), smooth_coils(3, fov), scan, rng)
    white = whitened_samples(raw)
    covariance = white @ white.conj().T / white.shape[1]
    # 16,384 samples of noise by a covariance of as many: five standard deviations are 5 %.
    assert np.abs(covariance - 2 * np.eye(3)).max() < 0.11
