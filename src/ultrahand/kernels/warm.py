"""Compile every kernel for the types it meets, before the first patient waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ultrahand.kernels._butterflies import LANES
from ultrahand.kernels._points import CELL, PAD
from ultrahand.kernels.adaptive import (
    combine,
    dominant_eigenvector,
    plane_covariances,
    walsh,
)
from ultrahand.kernels.chi import chi_sd
from ultrahand.kernels.descent import momentum_step, primal_step
from ultrahand.kernels.differences import ascend_gradient, gradient_sums, subtract_divergence
from ultrahand.kernels.espirit import espirit_maps
from ultrahand.kernels.grappa import fill_lattice, keep_acquired
from ultrahand.kernels.lines import ELEMENT, line_plan, transform_address
from ultrahand.kernels.mode_sums import interpolate_sums
from ultrahand.kernels.normal import coils_to_planes, planes_through_spectrum, planes_to_image
from ultrahand.kernels.plate_sums import spread_plates, sum_plates
from ultrahand.kernels.squares import add_squares
from ultrahand.kernels.steady import steady
from ultrahand.kernels.tensors import ascend_tensor, descend_field, tensor_sums
from ultrahand.kernels.tiles import interpolate, sort_points, spread
from ultrahand.kernels.unwrap import join_voxels
from ultrahand.kernels.wavelets import haar_down, haar_up, shrink_details, wavelet_lines


def _squares() -> None:
    add_squares(np.ones((2, 3), np.complex64), np.zeros(3, np.float32))


def _chi() -> None:
    magnitude, sigma, spline = np.ones(3, np.float32), np.ones(1, np.float32), np.ones((4, 5))
    chi_sd(magnitude, sigma, 2, spline, 0.5, magnitude.copy())


def _walsh() -> None:
    at, radius = np.array([0, 1]), np.array([1, 1, 1])
    walsh(_images(), at, at, at, radius, np.zeros((2, 2, 2, 3), np.complex64))


def _planes() -> None:
    plane_covariances(_images(), np.zeros((2, 3, 3), np.complex128))


def _dominant() -> None:
    dominant_eigenvector(np.eye(3, dtype=np.complex128), np.zeros(3, np.complex128))


def _combine() -> None:
    at, weights = np.array([0, 1]), np.ones((2, 2, 2, 3), np.complex64)
    combine(_images(), weights, at, at, at, _images()[0])


def _steady() -> None:
    weights, power = np.ones((2, 2, 2, 3), np.complex64), np.ones((2, 2, 2), np.float32)
    steady(weights, power, 1, np.ones(3, np.complex128), weights.copy())


def _sum_plates() -> None:
    at, one = np.zeros(1, np.int64), np.ones(1)
    terms = (at, one, one, at, one, at)
    k, table = np.ones((1, 3)), np.ones((40, 8))
    plates, offsets, out = np.ones((9, 1)), np.array([0, 1]), np.zeros((1, 1), np.complex128)
    sum_plates(k, one, at, k, plates, offsets, terms, one, np.ones((1, 1)), table, out)


def _spread_plates() -> None:
    lines, plates, one = np.ones((2, 1)), np.ones((6, 1)), np.ones((1, 1), np.complex128)
    runs, table, out = np.array([[0], [0], [0], [1]]), np.ones((40, 8)), one[None].copy()
    spread_plates(lines, runs[0], plates, one, one, runs, one[0], table, out)


def _interpolate() -> None:
    at, one = np.zeros(1, np.int64), np.ones((1, 1), np.complex64)
    grid, courses = np.ones((1, 1, 1, 2), np.float32), np.ones((1, 1), np.float32)
    interpolate_sums(np.zeros((1, 3)), grid, np.ones((4, 8)), at, at, courses, one, one.copy())


def _transform() -> None:
    transform_address(np.zeros(0, np.float32), np.zeros(1, np.int64))


def _coils_to_planes() -> None:
    coils_to_planes(_sets(), _sets(), line_plan(1), _planes_of_coils()[:2])


def _through_spectrum() -> None:
    spectra, plan = np.ones((1, 1, 1, 1, LANES), np.float32), line_plan(1)
    planes_through_spectrum((1, 1), plan, plan, spectra, _planes_of_coils())


def _to_image() -> None:
    planes_to_image(_sets(), line_plan(1), (*_planes_of_coils()[:2], _sets()))


def _espirit() -> None:
    turn, one = np.ones((1, 1), np.complex64), np.float32(2)
    blocks, start = np.ones((1, 1, ELEMENT), np.float32), np.ones((1, ELEMENT), np.float32)
    series, out = np.ones((1, 1, 1, 1), np.complex64), (_sets(), np.ones((1, 1, 1, 1), np.float32))
    espirit_maps(series, (turn, turn.copy()), blocks, start, turn[0], one, 1, out)


def _join() -> None:
    join_voxels(np.zeros(2), np.array([[0], [1]]), np.zeros((2, 2), np.int64))


def _fill_lattice() -> None:
    at = np.array([[0, 0, 1]])
    window, weights = (at, at, at[None]), np.ones((1, 1), np.complex64)
    one, wanted = np.ones((1, 1, 1), np.complex64), np.ones((1, 1, 1), np.bool_)
    out = (np.ones((1, 1, 1, 2), np.complex64), one, one.copy(), wanted)
    fill_lattice(at - at, 2, 1, np.zeros((1, 1, 2), np.bool_), window, weights, out)


def _keep_acquired() -> None:
    keep_acquired(_images(), np.ones((2, 2, 2), np.bool_), _images())


def _momentum() -> None:
    x, w, z = (np.ones(1, np.complex64) for _ in range(3))
    momentum_step(x, x, x, x, (np.float32(1),) * 6, (w, z, np.zeros((1, 4))))


def _primal() -> None:
    x, ahead, moved = (np.ones(1, np.complex64) for _ in range(3))
    primal_step(x, x, x, np.float32(1), np.float32(1), (ahead, moved, np.zeros((1, 3))))


def _ascend_gradient() -> None:
    x, field, one = _frames(), _frames()[None], np.float32(1)
    ascend_gradient(x, *_no_guide(), field, one, one, True, field.copy())


def _divergence() -> None:
    subtract_divergence(_frames()[None], *_no_guide(), _frames())


def _gradient_sums() -> None:
    field = _frames()[None]
    gradient_sums(_frames(), *_no_guide(), field, field, True, np.zeros((1, 2)))


def _ascend_tensor() -> None:
    field, one = _frames()[None], np.float32(1)
    ascend_tensor(field, *_no_guide()[:2], one, one, field.copy())


def _descend_field() -> None:
    p, q, v, ahead = (_frames()[None] for _ in range(4))
    descend_field(p, q, *_no_guide()[:2], np.float32(1), (v, ahead, np.zeros(1)))


def _tensor_sums() -> None:
    tensor_sums(_frames()[None], *_no_guide()[:2], _frames()[None], np.zeros((1, 2)))


def _haar_down() -> None:
    out = (_frames(), _frames(), np.zeros((1, 1, 1)))
    haar_down(_frames(), *_corner(), np.float32(1), out)


def _haar_up() -> None:
    haar_up(_frames(), *_corner(), _frames())


def _lines() -> None:
    wavelet_lines(np.ones((2, 2), np.float32), (1, 1, 1), 1, 0, True, _frames())


def _shrink_details() -> None:
    shrink_details((1, 1, 1), np.float32(1), (_frames(), np.zeros((1, 1, 1))))


def _frames() -> np.ndarray:
    return np.ones((1, 1, 1, 1), np.complex64)


def _sort_points() -> None:
    for dims in (2, 3):
        cells = 12 if dims == 3 else 1
        tile_of = (np.zeros(cells, np.int32), np.zeros(12, np.int32), np.zeros(12, np.int32))
        edges = (np.array([0, cells]), np.array([0, 12]), np.array([0, 12]))
        out = (np.zeros(1, np.int32), np.zeros(2, np.int64), *_points())
        sort_points(np.zeros((1, dims)), tile_of, edges, (3, 3 if dims == 3 else 1), out)


def _spread() -> None:
    spread(np.ones((1, 1), np.complex64), *_tiled(), np.zeros((1, 12, 12, 12), np.complex64))


def _interpolate_samples() -> None:
    interpolate(np.ones((1, 12, 12, 12), np.complex64), *_tiled(), np.zeros((1, 1), np.complex64))


def _points() -> tuple[np.ndarray, ...]:
    return np.zeros(1, np.int32), np.zeros((1, 3), np.int16), np.zeros((1, 3), np.float32)


def _tiled() -> tuple[Any, ...]:
    edges = np.array([0, 12])
    tiles = (np.array([0, 1]), edges, edges, edges)
    table = np.zeros(PAD, np.float32)
    buffers = (14**3 * CELL, CELL)
    return _points(), tiles, np.array([0]), np.array([[0, 1]]), table, (3, 3), buffers


def _no_guide() -> tuple[np.ndarray, ...]:
    return np.array([3]), np.ones(1, np.float32), np.zeros((0, 1), np.float32)


def _corner() -> tuple[tuple[bool, ...], tuple[int, ...]]:
    return (True,) * 3, (0,) * 3


def _planes_of_coils() -> tuple[np.ndarray, ...]:
    shapes = [(1, 1, 1, 1, 1, ELEMENT), (1, 4, LANES * ELEMENT), (1, 1, LANES, 1, ELEMENT)]
    return tuple(np.zeros(shape, np.float32) for shape in [*shapes, (1, ELEMENT)])


def _sets() -> np.ndarray:
    return np.ones((1, 1, 1, 1, 1), np.complex64)


def _images() -> np.ndarray:
    return np.ones((3, 2, 2, 2), np.complex64)


EXAMPLES: dict[str, Callable[[], None]] = {
    "add_squares": _squares,
    "chi_sd": _chi,
    "walsh": _walsh,
    "plane_covariances": _planes,
    "dominant_eigenvector": _dominant,
    "steady": _steady,
    "combine": _combine,
    "sum_plates": _sum_plates,
    "spread_plates": _spread_plates,
    "interpolate_sums": _interpolate,
    "sort_points": _sort_points,
    "spread": _spread,
    "interpolate": _interpolate_samples,
    "transform_address": _transform,
    "coils_to_planes": _coils_to_planes,
    "planes_through_spectrum": _through_spectrum,
    "planes_to_image": _to_image,
    "espirit_maps": _espirit,
    "join_voxels": _join,
    "fill_lattice": _fill_lattice,
    "keep_acquired": _keep_acquired,
    "momentum_step": _momentum,
    "primal_step": _primal,
    "ascend_gradient": _ascend_gradient,
    "subtract_divergence": _divergence,
    "gradient_sums": _gradient_sums,
    "ascend_tensor": _ascend_tensor,
    "descend_field": _descend_field,
    "tensor_sums": _tensor_sums,
    "haar_down": _haar_down,
    "haar_up": _haar_up,
    "wavelet_lines": _lines,
    "shrink_details": _shrink_details,
}
"""One line a kernel: a call with its real types on an array of a few numbers."""


def warm_up() -> dict[str, float]:
    """Run every kernel once and return the seconds each took (compiled or loaded)."""
    seconds = {}
    for name, example in EXAMPLES.items():
        start = time.perf_counter()
        example()
        seconds[name] = time.perf_counter() - start
    return seconds
