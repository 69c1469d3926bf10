"""Virtual coils: what they keep, what noise they have, how many there are."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.errors import InputError, RecordError
from ultrahand.recon.coil_compression import (
    coil_gram,
    coil_gram_along,
    compress,
    geometric_compression,
    svd_compression,
)


def mixed(rng, powers, coils, samples):
    """Return noise with as many orthogonal sources as powers, ``(1, coils, samples)``."""
    directions = np.linalg.qr(complex_normal(rng, (coils, coils)))[0][:, : len(powers)]
    sources = complex_normal(rng, (len(powers), samples)) * np.sqrt(np.array(powers) / 2)[:, None]
    data = directions @ sources + complex_normal(rng, (coils, samples))
    return data[None].astype(np.complex64), directions


def unitary(rng, n):
    return np.linalg.qr(complex_normal(rng, (n, n)))[0]


def test_rows_are_orthonormal_and_span_the_sources(rng):
    data, directions = mixed(rng, [500, 100, 40], 9, 4000)
    found = svd_compression(coil_gram(data), 4000)
    assert found.n_virtual == 3
    np.testing.assert_allclose(found.matrix @ found.matrix.conj().T, np.eye(3), atol=1e-6)
    seen = np.linalg.norm(found.matrix @ directions, axis=0)
    # The sine of the angle to a source of power s: sqrt(coils / samples (1 / s + 1 / s^2)) with s
    # in units of the noise, at most 0.011; the cosine falls short by half its square.
    assert (seen > 1 - 1e-3).all()
    assert found.kept > 0.99
    # Eigenvalues are source and noise: each the mean of 4000 squares, good to 1.6 %.
    np.testing.assert_allclose(found.eigenvalues[:3], [502, 102, 42], rtol=0.1)


@pytest.mark.parametrize("samples", [40, 300, 5000])
def test_noise_alone_makes_one_coil_of_which_nothing_is_signal(samples, rng):
    noise = complex_normal(rng, (1, 16, samples)).astype(np.complex64)
    # Fluctuations of the edge are of the order M^(-2/3): it is rarely crossed, and then by little.
    assert svd_compression(coil_gram(noise), samples).n_virtual == 1


def test_what_may_be_lost_is_counted_together(rng):
    """Three weak sources of 0.8 each: two of them are below the noise of one coil, 2, not three."""
    data, _ = mixed(rng, [300, 0.8, 0.8, 0.8], 8, 200_000)
    gram = coil_gram(data)
    assert svd_compression(gram, 200_000).n_virtual == 2
    assert svd_compression(gram, 200_000, lost=1.5).n_virtual == 1
    assert svd_compression(gram, 200_000, lost=0.0).n_virtual == 4
    assert svd_compression(gram, 200_000, virtual=7).n_virtual == 7


def test_blocks_add_up(rng):
    data = complex_normal(rng, (10, 5, 12)).astype(np.complex64)
    whole, along = coil_gram(data), coil_gram_along(data)
    np.testing.assert_allclose(coil_gram(data[:3]) + coil_gram(data[3:]), whole, rtol=1e-12)
    parts = coil_gram_along(data[:3]) + coil_gram_along(data[3:])
    np.testing.assert_allclose(parts, along, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(along.sum(axis=0), whole, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("kind", ["svd", "geometric"])
def test_noise_stays_white(kind, rng):
    """Unit variance in each part and no correlation, also between positions."""
    data = complex_normal(rng, (60, 6, 7)) * np.arange(1, 7)[:, None] ** 2
    data = data.astype(np.complex64)
    if kind == "svd":
        found = svd_compression(coil_gram(data), 420, virtual=3)
    else:
        found = geometric_compression(coil_gram_along(data), 60, virtual=3)
    noise = complex_normal(rng, (20_000, 6, 7)).astype(np.complex64)
    out = compress(noise, found).reshape(20_000, 21)
    parts = np.concatenate([out.real, out.imag], axis=1).astype(float)
    # A covariance of 20000 draws scatters by 1 / 141 and on the diagonal by 1 / 100: five of them.
    np.testing.assert_allclose(parts.T @ parts / 20_000, np.eye(42), atol=0.05)


def test_the_phase_does_not_depend_on_that_of_the_data(rng):
    data, _ = mixed(rng, [500, 100], 6, 3000)
    one = svd_compression(coil_gram(data), 3000, virtual=2).matrix
    other = svd_compression(coil_gram(data * np.complex64(1j)), 3000, virtual=2).matrix
    np.testing.assert_allclose(other, one, atol=1e-5)
    for row in one:
        first = np.flatnonzero(np.abs(row) >= np.abs(row).max() / 2)[0]
        assert row[first].real > 0
        assert abs(row[first].imag) < 1e-6


def test_geometric_compression_follows_coils_that_turn_along_the_readout(rng):
    """Two sources turn slowly through a space of eight: at each position two coils hold all, where
    one matrix for all positions needs many.
    """
    n_x, coils, lines = 40, 8, 300
    generator = complex_normal(rng, (coils, coils))
    generator = (generator - generator.conj().T) / 20
    values, vectors = np.linalg.eigh(1j * generator)
    base = unitary(rng, coils)[:, :2]
    turn = [(vectors * np.exp(-1j * values * x)) @ vectors.conj().T @ base for x in range(n_x)]
    directions = np.array(turn)
    sources = complex_normal(rng, (lines, 2, n_x)) * np.array([20, 8])[:, None]
    clean = np.einsum("xcs,lsx->lcx", directions, sources)
    data = (clean + complex_normal(rng, clean.shape)).astype(np.complex64)
    found = geometric_compression(coil_gram_along(data), lines)
    assert found.n_virtual == 2
    assert svd_compression(coil_gram(data), lines * n_x).n_virtual > 3
    kept = np.linalg.norm(compress(clean.astype(np.complex64), found)) / np.linalg.norm(clean)
    assert kept > 0.999
    steps = np.linalg.norm(np.diff(found.matrix, axis=0), axis=(1, 2))
    true = np.linalg.norm(np.diff(directions, axis=0), axis=(1, 2))
    # Aligned, a matrix moves no faster than the sources do, but for the noise of its estimate.
    assert steps.max() < 1.5 * true.max()


def test_virtual_coils_pass_a_gap_without_signal(rng):
    n_x, coils, lines = 30, 6, 100
    direction = unitary(rng, coils)[:, :2]
    strength = np.where(abs(np.arange(n_x) - 15) < 5, 0, 30)
    clean = np.einsum("cs,lsx->lcx", direction, complex_normal(rng, (lines, 2, n_x)) * strength)
    data = (clean + complex_normal(rng, clean.shape)).astype(np.complex64)
    found = geometric_compression(coil_gram_along(data), lines, virtual=2)
    for x in range(n_x):
        cosines = np.linalg.svd(found.matrix[x] @ direction, compute_uv=False)
        # Noise turns the rows a little at each of nine positions; chance would give 0.3 or so.
        assert cosines.min() > (0.7 if strength[x] == 0 else 0.99)
    across = found.matrix[10] @ found.matrix[20].conj().T
    assert np.linalg.norm(across - np.eye(2)) < 0.5


def test_coils_that_are_off_are_never_made(rng):
    data, _ = mixed(rng, [500, 100], 6, 3000)
    wide = np.zeros((1, 9, 3000), np.complex64)
    wide[:, [0, 2, 3, 5, 6, 8]] = data
    found = svd_compression(coil_gram(wide), 3000)
    assert found.n_virtual == 2
    assert np.abs(found.matrix[:, [1, 4, 7]]).max() < 1e-6


def test_one_coil_stays_itself(rng):
    data = complex_normal(rng, (3, 1, 5)).astype(np.complex64)
    for found in (
        svd_compression(coil_gram(data), 15),
        geometric_compression(coil_gram_along(data), 3),
    ):
        np.testing.assert_allclose(compress(data, found), data, rtol=1e-6)


def test_bad_input_is_refused(rng):
    data = complex_normal(rng, (3, 4, 5)).astype(np.complex64)
    gram = coil_gram(data)
    with pytest.raises(InputError, match="NaN"):
        svd_compression(gram * np.nan, 15)
    for options in ({"virtual": 0}, {"virtual": 5}, {"lost": -1.0}):
        with pytest.raises(RecordError):
            svd_compression(gram, 15, **options)
    with pytest.raises(RecordError, match=r"\(x, coils, coils\)"):
        geometric_compression(gram, 15)
    with pytest.raises(RecordError, match="does not fit"):
        compress(data[:, :3], svd_compression(gram, 15))
    with pytest.raises(RecordError, match="does not fit"):
        compress(data[:, :, :4], geometric_compression(coil_gram_along(data), 3))
