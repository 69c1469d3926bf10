"""The encoding with a field map: against the exact sum, and on objects with closed forms."""

import numpy as np
import pytest

from laws import complex_normal
from reference.direct_sum import fourier_matrix
from ultrahand.errors import RecordError
from ultrahand.numerics.conjugate_gradient import conjugate_gradient
from ultrahand.phantoms.objects import GaussianBead, transform
from ultrahand.phantoms.sections import Slice
from ultrahand.physics.off_resonance import scale_field
from ultrahand.recon.nufft import plan_nufft
from ultrahand.recon.off_resonance import off_resonance
from ultrahand.recon.trajectories.prescription import Prescription
from ultrahand.recon.trajectories.spiral import design_spiral

VOXELS_M = (1e-3, 2e-3, 3e-3)


def exact_matrix(k, shape, voxels, time_s, f, r):
    """By definition: exp(-2 pi i k.r) exp((-R2* - 2 pi i f) t) / sqrt(voxels)."""
    rate = (-r - 2j * np.pi * f).ravel()
    return fourier_matrix(k, shape, voxels) * np.exp(np.multiply.outer(time_s, rate))


@pytest.mark.parametrize("error", [1e-2, 1e-4])
@pytest.mark.parametrize("readout_s", [5e-3, 20e-3])
@pytest.mark.parametrize("decay", [0.0, 400.0])
@pytest.mark.parametrize("shape", [(8, 7), (3, 6, 5), (1, 5, 4)])
def test_the_exact_sum_is_met_to_the_requested_error(shape, readout_s, decay, error, rng):
    voxels, start_s = VOXELS_M[: len(shape)], 1e-3
    k = rng.uniform(-0.5, 0.5, (150, len(shape))) / voxels
    time_s = start_s + np.sort(rng.uniform(0, readout_s, 150))
    f, r = rng.uniform(-150, 150, shape), rng.uniform(0, 1, shape) * decay
    matrix = exact_matrix(k, shape, voxels, time_s, f, r)
    base = plan_nufft(k, shape=shape, voxel_size_m=voxels, eps=1e-12, dtype=np.complex128)
    op = off_resonance(
        base, off_resonance_hz=f, r2star_per_s=r if decay else None, time_s=time_s, error=error
    )
    x, y = complex_normal(rng, shape), complex_normal(rng, 150)
    # Every voxel's wave is wrong by `error` of its size at the first time, so that their sum is
    # wrong by no more than the sum of these; random errors add up to much less.
    waves = np.abs(x) * np.exp(-r * start_s) / np.sqrt(x.size)
    rest = np.abs(op.forward(x) - matrix @ x.ravel())
    assert rest.max() <= error * waves.sum()
    assert np.linalg.norm(rest) <= error * np.linalg.norm(matrix @ x.ravel())
    adjoint = np.abs(op.adjoint(y).ravel() - matrix.conj().T @ y)
    bound = error * np.exp(-r.ravel() * start_s) / np.sqrt(x.size) * np.abs(y).sum()
    assert (adjoint <= bound).all()
    assert np.linalg.norm(rest) > 1e-3 * error * np.linalg.norm(x)  # it is no exact sum either


def test_a_batch_of_coils_is_each_coil(rng):
    shape, k = (5, 6), rng.uniform(-200, 200, (40, 2))
    base = plan_nufft(k, shape=shape, voxel_size_m=(1e-3, 1e-3))
    op = off_resonance(
        base, off_resonance_hz=rng.uniform(0, 90, shape), time_s=np.linspace(0, 9e-3, 40)
    )
    x = complex_normal(rng, (2, 3, *shape)).astype(np.complex64)
    y = op.forward(x)
    assert y.shape == (2, 3, 40)
    assert y.dtype == op.dtype == np.complex64
    np.testing.assert_array_equal(y[1, 2], op.forward(x[1, 2]))
    np.testing.assert_array_equal(op.adjoint(y)[0, 1], op.adjoint(y[0, 1]))


def test_a_higher_field_shows_a_point_too_far_along_the_readout():
    """Of f / (gamma G): with 1 / (N dwell) per voxel, f = 3 / (N dwell) is three voxels."""
    n, dwell_s, voxel_m = 32, 10e-6, 2e-3
    lines, samples = np.meshgrid(np.arange(n) - n // 2, np.arange(n) - n // 2, indexing="ij")
    k = np.stack([samples.ravel(), lines.ravel()], axis=1) / (n * voxel_m)
    time_s = (samples.ravel() + n // 2) * dwell_s
    f = np.full((n, n), 3 / (n * dwell_s))
    base = plan_nufft(k, shape=(n, n), voxel_size_m=(voxel_m, voxel_m), eps=1e-6)
    point = np.zeros((n, n), np.complex64)
    point[n // 2 + 4, n // 2 + 5] = 1
    seen = off_resonance(base, off_resonance_hz=f, time_s=time_s).forward(point)
    image = np.abs(base.adjoint(seen))
    assert np.unravel_index(image.argmax(), image.shape) == (n // 2 + 4, n // 2 + 5 + 3)
    # And the same by the closed form of a point in space, without the operator.
    r = np.array([5 * voxel_m, 4 * voxel_m])
    signal = np.exp(-2j * np.pi * (k @ r + f[0, 0] * time_s)) / n
    np.testing.assert_allclose(seen, signal, atol=2e-3 / n)


N, FOV_M = 48, 0.096


def spiral_scene(frequencies, nucleus="1H", readout_s=10e-3):
    """Three beads of one frequency each: trajectory, times, exact signal on and off resonance."""
    prescription = Prescription(
        voxel_size_m=FOV_M / N, fov_m=FOV_M, sample_time_s=8e-6, nucleus=nucleus
    )
    design = design_spiral(prescription, n_interleaves=8, readout_s=readout_s)
    k = design.k_per_m().reshape(-1, 3)
    time_s = np.tile(1e-3 + design.time_s, design.n_shots)
    where = Slice(position_m=np.zeros(3), read_dir=(1, 0, 0), phase_dir=(0, 1, 0), thickness_m=1.0)
    centres = np.array([[-22e-3, -10e-3, 0], [20e-3, -8e-3, 0], [0, 22e-3, 0]])
    signals = np.zeros((2, len(k)), np.complex128)
    for centre, f, density in zip(centres, frequencies, (1.0, 0.8, 1.2), strict=True):
        bead = GaussianBead(centre_m=centre, sigma_m=4e-3, density=density)
        form = transform(bead.section(where), k)
        signals += form * np.stack([np.ones(len(k)), np.exp(-2j * np.pi * f * time_s)])
    axis = (np.arange(N) - N // 2) * FOV_M / N
    y, x = np.meshgrid(axis, axis, indexing="ij")
    distance = [np.hypot(x - c[0], y - c[1]) for c in centres]
    field = np.array(frequencies)[np.argmin(distance, axis=0)]
    return k[:, :2], time_s, signals, field


def image_of(op, samples):
    rhs = op.adjoint(samples.astype(np.complex64))
    normal = lambda x: op.adjoint(op.forward(x))  # noqa: E731
    return conjugate_gradient(normal, rhs, tolerance=1e-3, max_iterations=25).value


def relative(found, truth):
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize(
    ("nucleus", "proton_hz"),
    [("1H", (-120.0, 150.0, 60.0)), ("23Na", (-480.0, 600.0, 240.0))],
)
def test_a_blurred_spiral_is_corrected_with_the_field_of_the_protons(nucleus, proton_hz):
    of_nucleus = scale_field(np.array(proton_hz), measured="1H", wanted=nucleus)
    k, time_s, (on, off), _ = spiral_scene(of_nucleus, nucleus)
    *_, proton_map = spiral_scene(proton_hz, nucleus)
    field = scale_field(proton_map, measured="1H", wanted=nucleus)
    base = plan_nufft(k, shape=(N, N), voxel_size_m=(FOV_M / N, FOV_M / N), eps=1e-5)
    op, wrong = (
        off_resonance(base, off_resonance_hz=sign * field, time_s=time_s, error=1e-3)
        for sign in (1, -1)
    )
    truth = image_of(base, on)
    # What lies nearer to another bead has the wrong frequency there: 15 mm from the middle, that
    # is exp(-15^2 / (2 4^2)) = 1e-3 of the peak; the operator and the solver add their 1e-3.
    assert relative(image_of(op, off), truth) < 0.015
    assert relative(image_of(base, off), truth) > 0.3
    assert relative(image_of(wrong, off), truth) > 0.5


def test_contradictions_are_refused():
    base = plan_nufft(np.zeros((4, 2)), shape=(3, 5), voxel_size_m=(1e-3, 1e-3))
    with pytest.raises(RecordError, match="shape of the image"):
        off_resonance(base, off_resonance_hz=np.zeros((5, 3)), time_s=np.zeros(4))
    with pytest.raises(RecordError, match="broadcast to the samples"):
        off_resonance(base, off_resonance_hz=np.zeros((3, 5)), time_s=np.zeros(3))
    with pytest.raises(RecordError, match="broadcast to the samples"):
        off_resonance(base, off_resonance_hz=np.zeros((3, 5)), time_s=np.zeros((1, 4)))
    op = off_resonance(base, off_resonance_hz=np.zeros((3, 5)), time_s=np.zeros(1))
    with pytest.raises(RecordError, match="expected an array of shape"):
        op.forward(np.ones((5, 3)))
    with pytest.raises(RecordError, match="expected an array of shape"):
        op.adjoint(np.ones(3))
