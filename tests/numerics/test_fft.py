"""The transforms by each engine: the defining sum, what is asked of an engine, and refusals."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from ultrahand.errors import UsageError
from ultrahand.numerics import fft

HAVE_MKL = all(importlib.util.find_spec(name) for name in ("mkl", "mkl_fft"))


@pytest.fixture(params=fft.ENGINES)
def engine(request, monkeypatch):
    if request.param == "mkl" and not HAVE_MKL:
        pytest.skip("mkl_fft and mkl-service are not installed: pip install 'ultrahand[mkl]'")
    monkeypatch.setenv(fft.VARIABLE, request.param)
    return request.param


def random(rng, shape, dtype):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


def dense(x, axes, sign):
    """The sum itself, axis by axis, in double precision."""
    for axis in axes:
        n = x.shape[axis]
        matrix = np.exp(sign * 2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
        x = np.moveaxis(np.tensordot(matrix, np.moveaxis(x, axis, 0), axes=1), 0, axis)
    return x


SHAPES = [((6, 8), None), ((3, 5, 7), (1, 2)), ((4, 6, 5), (0, 1)), ((2, 3, 4, 1), (1, 2, 3))]


@pytest.mark.parametrize(("shape", "axes"), SHAPES)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
def test_it_is_the_defining_sum_in_the_precision_given(engine, shape, axes, dtype, norm, rng):
    assert fft.engine() == engine
    x = random(rng, shape, dtype)
    over = range(len(shape)) if axes is None else axes
    n = np.prod([shape[a] for a in over])
    scale = {"ortho": (n**-0.5, n**-0.5), "backward": (1, 1 / n), "forward": (1 / n, 1)}[norm]
    for transform, sign, factor in ((fft.fftn, -1, scale[0]), (fft.ifftn, 1, scale[1])):
        expected = dense(x.astype(complex), over, sign) * factor
        found = transform(x.copy(), axes, norm=norm)
        assert found.dtype == dtype
        # A rounding error for each of some ten steps, of values of about the root of n; the sum in
        # double precision has its own.
        limit = 40 * np.finfo(dtype).eps * np.sqrt(n) * factor * np.abs(x).max()
        assert np.abs(found - expected).max() < limit


def test_threads_change_no_bit_and_the_argument_is_overwritten(engine, rng):
    x = random(rng, (5, 12, 10), np.complex64)
    made = [fft.fftn(x.copy(), (1, 2), workers=n) for n in (1, 2, 3, 8)]
    for other in made[1:]:
        np.testing.assert_array_equal(other, made[0])
    work = x.copy()
    assert np.shares_memory(fft.ifftn(work, (1, 2)), work)
    assert engine in fft.ENGINES


def test_arrays_that_are_no_block_of_memory_are_transformed_too(engine, rng):
    x = random(rng, (6, 10), np.complex64)
    expected = np.fft.fft2(x[:, ::2])
    np.testing.assert_allclose(fft.fftn(x[:, ::2].copy(order="F")), expected, atol=1e-4)
    assert engine in fft.engine_versions() or engine == "mkl"


def test_real_data_are_refused():
    with pytest.raises(Exception, match="must be complex"):
        fft.fftn(np.ones(4))


def test_an_engine_that_is_not_known_is_refused(monkeypatch):
    monkeypatch.setenv(fft.VARIABLE, "fftw")
    with pytest.raises(UsageError, match="'fftw': expected scipy or mkl"):
        fft.engine()


@pytest.mark.skipif(HAVE_MKL, reason="mkl_fft is installed")
def test_an_engine_that_is_not_installed_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setenv(fft.VARIABLE, "mkl")
    with pytest.raises(UsageError, match=r"pip install 'ultrahand\[mkl\]'"):
        fft.fftn(np.ones(4, np.complex64))


def test_the_command_refuses_before_any_work(tmp_path):
    command = [sys.executable, "-m", "ultrahand", "check", str(tmp_path / "none.h5")]
    made = subprocess.run(
        command,
        env=os.environ | {"ULTRAHAND_FFT": "fftw"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert "ULTRAHAND_FFT" in made.stderr
