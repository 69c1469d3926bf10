"""Transforms of lines side by side against numpy's, for lengths of every kind."""

import numpy as np
import pytest
from numba import njit

from laws import complex_normal
from ultrahand.kernels import ELEMENT, LANES, line_plan
from ultrahand.kernels._elements import turn
from ultrahand.kernels.lines import transform

LENGTHS = [*range(1, 12), 13, 15, 16, 30, 34, 49, 60, 97, 98, 120, 132, 143, 224, 272, 286, 300]
LENGTHS += [323, 600]
"""Each radix alone, beside others, and even ones at both ends; a radix without a butterfly alone,
in the middle and last."""

# Each of the log2(n) steps rounds its sums of two: single precision 6e-8, double 1.1e-16.
ROUNDING = {np.float32: 6e-8, np.float64: 1.2e-16}


def packed(lines, dtype):
    return np.stack([lines.real, lines.imag], axis=1).astype(dtype)


def elements(buffer):
    return buffer.reshape(-1, 2, LANES)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("read", ["all", "half", "some"])
def test_lines_are_transformed_and_back(read, n, dtype, rng):
    """From elements two apart to elements three apart; what is not read or written stays."""
    known = {"all": n, "half": -(-n // 2), "some": min(n, n // 2 + 1)}[read]
    lines = complex_normal(rng, (known, LANES)).astype(np.result_type(dtype, np.complex64))
    radices = line_plan(n, dtype)[0]
    assert np.prod(radices) == n
    # A radix without a butterfly is summed as it stands, so its rounding grows with its root.
    rounding = ROUNDING[dtype] * (2 + np.log2(n) + np.sqrt(max([0, *radices[radices > 8]])))
    for back, fft in ((0, np.fft.fft), (LANES, np.fft.ifft)):
        src, dst = (np.full(3 * (n + 1) * ELEMENT, np.nan, dtype) for _ in range(2))
        elements(src)[1 : 2 * known : 2] = packed(lines, dtype)
        kept = src.copy()
        a, b = (np.full(n * ELEMENT, np.nan, dtype) for _ in range(2))
        source, target = (src, 1, 2, known), (dst, 2, 3, known)
        transform(source, target, a, b, line_plan(n, dtype), back)
        np.testing.assert_array_equal(src, kept)
        found = elements(dst)[2 : 2 + 3 * known : 3].astype(np.float64)
        exact = fft(lines.astype(complex), n, axis=0)[:known] * (n if back else 1)
        error = np.linalg.norm(found[:, 0] + 1j * found[:, 1] - exact) / np.linalg.norm(exact)
        assert error <= rounding
        elements(dst)[2 : 2 + 3 * known : 3] = np.nan
        assert np.isnan(dst).all()


@pytest.mark.parametrize("padded", [True, False])
def test_radices_make_up_the_length(padded):
    for n in [*range(1, 300), 1024, 7 * 11 * 13, 17 * 19 * 8]:
        radices, factors, length, _ = line_plan(n, padded=padded)
        unusual = [r for r in radices if r not in (2, 3, 4, 5, 6, 7, 8, 10, 11, 13)]
        assert np.prod(radices, dtype=int) == n == length
        assert len(unusual) <= 1
        assert all(r % p for r in unusual for p in (2, 3, 5, 7, 11, 13))
        assert len(factors) == 2 * (n - 1 + max([1, *unusual]))


def test_an_identity_copies(rng):
    src = rng.standard_normal(3 * ELEMENT).astype(np.float32)
    dst, a, b = (np.zeros_like(src) for _ in range(3))
    transform((src, 0, 1, 3), (dst, 0, 1, 3), a, b, line_plan(3, identity=True), 0)
    np.testing.assert_array_equal(dst, src)


def test_lanes_and_elements_are_exchanged(rng):
    src = rng.standard_normal(3 * LANES * ELEMENT).astype(np.float32)
    dst = np.zeros_like(src)
    exchange(src, 1, 3, dst, 2, 2)
    before, after = elements(src)[1 : 1 + 3 * LANES : 3], elements(dst)[2 : 2 + 2 * LANES : 2]
    np.testing.assert_array_equal(after, before.transpose(2, 1, 0))


@njit
def exchange(src, at, stride, dst, to, spread):
    turn(src, at, stride, dst, to, spread)
