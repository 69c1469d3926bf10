"""Transforms of lines side by side against numpy's, for lengths of every kind."""

import numpy as np
import pytest

from laws import complex_normal
from ultrahand.kernels import ELEMENT, LANES, line_plan
from ultrahand.kernels.lines import transform

LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 30, 49, 97, 98, 120, 224, 600]
"""Each radix alone and beside others; a radix without a butterfly alone and last."""

# Each of the log2(n) steps rounds its sums of two: single precision 6e-8, double 1.1e-16.
ROUNDING = {np.float32: 6e-8, np.float64: 1.2e-16}


def packed(lines, dtype):
    return np.stack([lines.real, lines.imag], axis=1).astype(dtype).ravel()


def unpacked(buffer, n):
    parts = buffer[: n * ELEMENT].reshape(n, 2, LANES)
    return parts[:, 0] + 1j * parts[:, 1]


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("n", LENGTHS)
def test_lines_are_transformed_and_back(n, dtype, rng):
    lines = complex_normal(rng, (n, LANES)).astype(np.result_type(dtype, np.complex64))
    radices, twiddles = line_plan(n, dtype)
    assert np.prod(radices) == n
    # A radix without a butterfly is summed as it stands, so its rounding grows with its root.
    rounding = ROUNDING[dtype] * (2 + np.log2(n) + np.sqrt(max([0, *radices[radices > 8]])))
    for back, fft in ((0, np.fft.fft), (LANES, np.fft.ifft)):
        a, b = packed(lines, dtype), np.full(n * ELEMENT, np.nan, dtype)
        found, _ = transform(a, b, n, radices, twiddles, back)
        exact = fft(lines.astype(complex), axis=0) * (n if back else 1)
        error = np.linalg.norm(unpacked(found, n) - exact) / np.linalg.norm(exact)
        assert error <= rounding


def test_elements_beyond_the_length_stay_as_they_are(rng):
    buffer = rng.standard_normal(7 * ELEMENT).astype(np.float32)
    kept = buffer[5 * ELEMENT :].copy()
    transform(buffer, buffer.copy(), 5, *line_plan(5), 0)
    np.testing.assert_array_equal(buffer[5 * ELEMENT :], kept)
