"""Gradients that are late, in images of full spokes: found, undone and told."""

from dataclasses import replace

import numpy as np
import pytest

from making import planned
from ultrahand.errors import UsageError
from ultrahand.phantoms import (
    NonCartesianScan,
    ThermalNoise,
    five_fingers,
    random_covariance,
    simulate,
    smooth_coils,
)
from ultrahand.pipelines import Workspace, reconstruct_volume
from ultrahand.recon.trajectories import k_max_per_m, radial_2d, spiral_2d

N, FOV = 64, 0.128
SHIFT = (0.7, 0.3, 0.1)
"""Of read and phase gradient and between them, in samples."""


def late(k):
    """Return where spokes really are that are meant to be at k: the definition, written out."""
    step = np.linalg.norm(k[:, 1] - k[:, 0], axis=1)[:, None]
    direction = (k[:, -1] - k[:, 0]) / np.linalg.norm(k[:, -1] - k[:, 0], axis=1)[:, None]
    xx, yy, xy = SHIFT
    shift = np.stack(
        [
            xx * direction[:, 0] + xy * direction[:, 1],
            xy * direction[:, 0] + yy * direction[:, 1],
        ],
        axis=1,
    )
    return k + (step * shift)[:, None]


def measured(k_true, k_told, *, noise=True, **changes):
    """Simulate at some positions in closed form, and write down others."""
    fov = (FOV, FOV, 0.005)
    scan = {
        "matrix": (N, N, 1),
        "fov_m": fov,
        "dimension": 2,
        "k_per_m": k_true,
        "trajectory": "radial",
        **changes,
    }
    rng = np.random.default_rng(3)
    if noise:
        covariance = random_covariance(rng, 4, 2e-12)
        scan["noise"] = ThermalNoise(covariance=covariance, n_readouts=32, n_samples=256)
    raw = simulate(five_fingers(fov), smooth_coils(4, fov), NonCartesianScan(**scan), rng)
    source = raw.source
    told = iter(np.tile(k_told, (len(source.k) // len(k_told) + 1, 1, 1)).astype(np.float32))
    k = tuple(next(told) if np.size(mine) else mine for mine in source.k)
    return replace(raw, source=replace(source, k=k))


def image(raw, **options):
    plan = planned(raw, **options)
    workspace = Workspace()
    (series,) = plan.series
    made = reconstruct_volume(raw, plan, series, series.volumes[0], workspace)
    return made.parts["mag"].values, made, workspace


def error(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("method", ["gridding", "cg", "cs"])
@pytest.mark.parametrize("noise", [True, False], ids=["noise known", "noise unknown"])
def test_late_spokes_give_the_image_of_those_in_time(method, noise):
    nominal = radial_2d(120, 128, k_max_per_m(N, FOV), golden=True)
    actual = late(nominal)
    # The exact positions written down: the image that there is to make.
    right = measured(actual, actual, noise=noise)
    exact, _, _ = image(right, method=method, gradient_delays=False)
    raw = measured(actual, nominal, noise=noise)
    found, made, workspace = image(raw, method=method)
    left, as_asked, quiet = image(raw, method=method, gradient_delays=False)
    # Left as they are, late spokes cost 4 % (cg, cs) to 10 % of the image; undone, the least that
    # the standard errors leave.
    assert error(left, exact) > 0.04
    assert error(found, exact) < 0.01
    (note,) = [note for note in workspace.notes if note.field == "gradient delay"]
    words = note.found.replace(",", "").split()
    told = [float(word) for word in words if word.replace(".", "").lstrip("-").isdigit()]
    # Shift and standard error in turns: right within three of them, or a hundredth of a sample.
    for shift, value, sd in zip(SHIFT, told[::2], told[1::2], strict=True):
        assert abs(value - shift) <= max(3 * sd, 0.01)
    assert any("gradient delays corrected (RING)" in step for step in made.steps)
    assert not [note for note in quiet.notes if note.field == "gradient delay"]
    assert any("not estimated, as asked" in step for step in as_asked.steps)


def test_spokes_in_time_stay_where_they_are():
    k = radial_2d(120, 128, k_max_per_m(N, FOV), golden=True)
    raw = measured(k, k)
    found, made, workspace = image(raw, method="gridding")
    left, _, _ = image(raw, method="gridding", gradient_delays=False)
    np.testing.assert_array_equal(found, left)
    assert any("no gradient delay found" in step for step in made.steps)
    assert not workspace.notes


def test_what_is_no_spoke_is_left_without_a_word():
    k = spiral_2d(16, 400, k_max_per_m(N, FOV), turns=3)
    _, made, workspace = image(measured(k, k, trajectory="spiral"), method="gridding")
    assert not [step for step in made.steps if "delay" in step]
    assert not workspace.notes


def test_repetitions_share_one_estimate():
    nominal = radial_2d(60, 128, k_max_per_m(N, FOV), golden=True)
    raw = measured(late(nominal), nominal, repetitions=3)
    plan, workspace = planned(raw, method="gridding"), Workspace()
    made = [
        reconstruct_volume(raw, plan, series, volume, workspace)
        for series in plan.series
        for volume in series.volumes
    ]
    assert len(made) == 3
    assert len({step for volume in made for step in volume.steps if "RING" in step}) == 1
    assert len([note for note in workspace.notes if note.field == "gradient delay"]) == 1


def test_the_option_is_refused_where_there_are_no_spokes():
    k = radial_2d(60, 128, k_max_per_m(N, FOV), golden=True)
    with pytest.raises(UsageError, match="--gradient-delays has no part"):
        planned(measured(k, k), method="fft", gradient_delays=False)
