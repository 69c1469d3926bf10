"""Field maps end to end: known fields with noise, real echoes, and their extension."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import InputError, RecordError
from ultrahand.recon.field_extension import extend
from ultrahand.recon.field_map import field_map

TIMES_S = np.array([2.0e-3, 4.2e-3, 7.3e-3])


def scene(shape=(6, 22, 25)):
    """An ellipsoid with a field of second order that wraps several times: field and density."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    field = 150 * (x**2 - y**2) + 300 * x * y + 90 * z + 40
    return field, np.where(x**2 + y**2 + z**2 < 0.8, 1.0 + 0.3 * x, 0.0)


def echoes_of(field, density, times, r2=60.0):
    t = np.reshape(times, (-1, 1, 1, 1))
    return density * np.exp(0.7j - r2 * t - 2j * np.pi * field * t)


@pytest.mark.parametrize("n_echoes", [2, 3])
@pytest.mark.parametrize("n_coils", [None, 5])
def test_a_known_field_comes_back_within_its_errors(n_coils, n_echoes, rng):
    field, density = scene()
    times = TIMES_S[:n_echoes]
    images = echoes_of(field, 60 * density, times)
    if n_coils:
        coils = complex_normal(rng, (n_coils, 1, 1, 1)) / np.sqrt(2 * n_coils)
        images = images[:, None] * coils / np.sqrt((np.abs(coils) ** 2).sum())
    found = field_map(images + complex_normal(rng, images.shape), times)
    body = density > 0
    # Signal is 30 times the noise or more; a magnitude of 5 or more of noise is rare, exp(-12.5).
    assert found.valid[body].all()
    assert not found.valid[~body].any()
    score = ((found.off_resonance_hz - field) / found.standard_error_hz)[body & found.valid]
    assert np.abs(score).max() < 6
    # Deviations of 1600 numbers' variance: 4 %; misfit above 1 can only widen the errors.
    assert 0.4 < score.var() < 1.15
    assert np.isnan(found.off_resonance_hz[~found.valid]).all()
    assert found.period_hz == pytest.approx(1 / 2.2e-3)


@pytest.mark.parametrize("n_coils", [1, 16, 64])
def test_noise_of_many_coils_is_no_signal(n_coils, rng):
    noise = complex_normal(rng, (3, n_coils, 4, 20, 25))
    assert not field_map(noise, TIMES_S).valid.any()
    # And is it close? A signal of twice the limit's power passes.
    limit = 2 * (np.sqrt(n_coils) + np.sqrt(3) + 3.5) ** 2
    signal = np.sqrt(2 * limit / (3 * n_coils))
    assert field_map(noise + signal, TIMES_S).valid.mean() > (0.5 if n_coils == 1 else 0.95)


def test_the_sign_is_that_of_the_encoding():
    """Phase falls with time where the field is high."""
    t = np.array([1e-3, 2e-3])
    images = np.ones((2, 1, 1, 1)) * 50 * np.exp(-2j * np.pi * 100.0 * t).reshape(2, 1, 1, 1)
    found = field_map(images, t)
    np.testing.assert_allclose(found.off_resonance_hz, 100.0, rtol=1e-9)


def test_to_and_fro_readouts_bend_the_map_unless_asked(rng):
    field, density = scene((4, 16, 21))
    times = 1e-3 + 1.5e-3 * np.arange(4)
    images = echoes_of(field, 80 * density, times)
    images[1::2] *= np.exp(1j * (0.4 + 0.09 * (np.arange(21) - 10)))
    images = images + complex_normal(rng, images.shape)
    body = density > 0
    error = {
        asked: np.abs(field_map(images, times, bipolar=asked, mask=body).off_resonance_hz - field)
        for asked in (True, False)
    }
    assert np.nanmax(error[True]) < 8
    assert np.nanmax(error[False]) > 20


def test_a_mask_and_no_signal_at_all():
    field, density = scene((3, 8, 9))
    images = echoes_of(field, 50 * density, TIMES_S)
    mask = np.zeros((3, 8, 9), bool)
    mask[1, 3:5, 3:6] = True
    found = field_map(images, TIMES_S, mask=mask)
    np.testing.assert_array_equal(found.valid, mask)
    nothing = field_map(np.zeros_like(images), TIMES_S)
    assert not nothing.valid.any()
    assert np.isnan(nothing.standard_error_hz).all()


def test_contradictions_are_refused():
    images = np.ones((2, 1, 3, 4), complex)
    with pytest.raises(RecordError, match="echoes, "):
        field_map(images[0], TIMES_S[:2])
    with pytest.raises(RecordError, match="finite"):
        field_map(images * np.nan, TIMES_S[:2])
    with pytest.raises(RecordError, match="mask"):
        field_map(images, TIMES_S[:2], mask=np.ones((3, 4), bool))
    with pytest.raises(InputError, match="echo times"):
        field_map(images, TIMES_S)
    with pytest.raises(InputError, match="bipolar"):
        field_map(images, TIMES_S[:2], bipolar=True)


def load(folder):
    """Complex echoes (echo, z, y, x)."""
    import nibabel as nib

    phase, size = (
        np.asarray(nib.load(folder / f"{name}.nii").dataobj, np.float64).transpose(3, 2, 1, 0)
        for name in ("Phase", "Mag")
    )
    # The file's phase has its own unit: its largest value is half a turn.
    return size * np.exp(1j * phase * np.pi / np.abs(phase).max())


def test_real_echoes_agree_with_each_other(real_data):
    """Neither truth nor echo times are known: with even ones the hertz are of an arbitrary unit."""
    images = load(real_data / "multiecho_gre_phase_small")
    noise, times = 0.02 * np.abs(images[0]).max(), np.array([4e-3, 8e-3, 12e-3])
    bright = np.abs(images).min(axis=0) > 5 * noise
    assert bright.mean() > 0.3
    first, later, whole = (
        field_map(images[echoes], times[echoes], noise_sd=noise, mask=bright)
        for echoes in (slice(2), slice(1, 3), slice(3))
    )
    both = (first.region == 0) & (later.region == 0)
    assert both.sum() > 0.95 * bright.sum()
    difference = (first.off_resonance_hz - later.off_resonance_hz)[both]
    turns = np.rint(difference / first.period_hz)
    # The same whole turns nearly everywhere, and then within a few errors.
    assert np.mean(turns == np.median(turns)) > 0.999
    errors = np.hypot(first.standard_error_hz, later.standard_error_hz)[both]
    assert np.median(np.abs(difference)) < 3 * np.median(errors)
    # No seam of half a period is left inside: one voxel in a thousand steps further than this.
    for axis in range(3):
        step = np.abs(np.diff(whole.off_resonance_hz, axis=axis))
        assert np.nanquantile(step, 0.999) < whole.period_hz / 4
    # With the map taken out, later echoes have the phase of the first.
    turn = np.exp(2j * np.pi * whole.off_resonance_hz * (times[2] - times[0]))
    left = np.angle(images[2] * turn * images[0].conj())[bright]
    assert np.mean(np.abs(left) < 1) > 0.98


@pytest.mark.parametrize("shape", [(9, 14, 11), (1, 8, 9), (7, 1, 1), (1, 1, 1), (12,)])
def test_an_extension_keeps_what_is_certain_and_stays_within_its_range(shape, rng):
    field = rng.uniform(-80, 120, shape)
    valid = rng.uniform(size=shape) < 0.3
    valid.flat[0] = True
    wide = extend(np.where(valid, field, np.nan), np.where(valid, 0.5, np.nan), valid)
    np.testing.assert_array_equal(wide[valid], field[valid])
    assert np.isfinite(wide).all()
    low, high = field[valid].min(), field[valid].max()
    assert low - 1e-9 <= wide.min() <= wide.max() <= high + 1e-9


def test_an_extension_of_a_plane_is_smooth():
    """Beyond the edge steps stay about those inside, 2; a fill of zeros would jump by 100."""
    y, x = np.meshgrid(np.arange(40.0), np.arange(40.0), indexing="ij")
    field, valid = 100 + 2 * x, np.hypot(x - 20, y - 20) < 12
    wide = extend(field, np.zeros_like(field), valid)
    assert max(np.abs(np.diff(wide, axis=axis)).max() for axis in (0, 1)) < 3


def test_uncertain_voxels_lean_on_their_neighbours(rng):
    field = np.full((16, 16), 30.0)
    error = np.full((16, 16), 20.0)
    noisy = field + 20 * rng.standard_normal((16, 16))
    wide = extend(noisy, error, np.ones((16, 16), bool), smoothing_hz=1.0)
    assert np.std(wide - 30) < 0.3 * np.std(noisy - 30)
    one = extend(noisy, np.full((16, 16), np.inf), np.ones((16, 16), bool))
    assert np.isfinite(one).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid": np.zeros(3, bool)}, "without valid"),
        ({"valid": np.ones(2, bool)}, "must agree"),
        ({"off_resonance_hz": np.array([1, np.nan, 2])}, "finite"),
        ({"standard_error_hz": np.array([1, -1, 1])}, "negative"),
        ({"smoothing_hz": 0.0}, "smoothing_hz"),
    ],
)
def test_maps_that_cannot_be_extended_are_refused(change, message):
    good = {"off_resonance_hz": np.zeros(3), "standard_error_hz": np.ones(3)}
    with pytest.raises(RecordError, match=message):
        extend(**{"valid": np.ones(3, bool), **good, **change})
