"""Where to cut a volume so that every plane holds signal: through one object, not between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrahand.records.arrays import Bools, Float32, Float64, Real
from ultrahand.records.geometry import Geometry
from ultrahand.report.drawing import LPS_LETTERS, extents_mm, value_window

_BLOCKS = 48
"""Blocks along an axis at most: noise is averaged away and a hand still has many."""
_DEPTH = 0.25
"""A block belongs to an object from this part of the typical weight on: noise floors are below."""
_ALIKE = 0.6
"""Objects from this part of the largest on are alike in size: two hands, but no vial and a hand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """Where the planes of a picture lie."""

    centre: tuple[int, int, int]
    """Voxel ``(z, y, x)``."""
    n_alike: int
    """Separate objects about as large as the one that is cut, itself counted; 0 without signal."""
    towards: str
    """Patient direction (``R``) in which it lies from the others; empty for one, or if unknown."""


def signal_cut(values: Real, geometry: Geometry) -> Cut:
    """Return the voxel nearest to the centre of one object of signal.

    Weights are values above 20 % of the top of `value_window`, cut there: a few bright vials, or
    vessels, must not draw the planes away from the rest. Objects are connected blocks of voxels; of
    those that are alike in size it is the one furthest to the patient's right (along read where
    directions are unknown), so that all series of an examination show the same hand.

    Parameters
    ----------
    values
        Real values, shape ``(z, y, x)``; NaN where nothing was measured.
    geometry
        Their frame.
    """
    weight = _weight(values)
    factors = [-(-n // _BLOCKS) for n in weight.shape]
    blocks = _block_means(weight, factors)
    objects = _objects(blocks)
    if not objects:
        z, y, x = (n // 2 for n in values.shape)
        return Cut(centre=(z, y, x), n_alike=0, towards="")
    places = [_centre(np.where(o, blocks, 0), factors, values.shape) for o in objects]
    left = [_leftness(place, geometry) for place in places]
    chosen = int(np.argmin(left))
    towards = _towards(places, chosen, geometry) if len(objects) > 1 else ""
    return Cut(centre=places[chosen], n_alike=len(objects), towards=towards)


def thinnest_axis(values: Real, geometry: Geometry) -> int:
    """Return the axis along which the signal is spread least, in millimetres."""
    profiles = _profiles(_weight(values))
    if profiles[0].sum() <= 0:
        return int(np.argmin(extents_mm(geometry)))
    spreads = []
    for profile, size_m in zip(profiles, geometry.voxel_size_m[::-1], strict=True):
        place = np.arange(len(profile)) * size_m
        mean = (profile * place).sum() / profile.sum()
        spreads.append(float((profile * (place - mean) ** 2).sum()))
    return int(np.argmin(spreads))


def _weight(values: Real) -> Float32:
    top = np.float32(value_window(values)[1])
    weight = np.clip(np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0), None, top)
    return np.maximum(weight - np.float32(0.2) * top, 0)


def _profiles(weight: Float32) -> list[Float64]:
    """Return the sums over the two other axes, along slice, phase and read."""
    return [weight.sum(axis=other, dtype=np.float64) for other in ((1, 2), (0, 2), (0, 1))]


def _block_means(weight: Float32, factors: list[int]) -> Float32:
    total, count = weight, np.ones((1, 1, 1), np.float32)
    for axis, factor in enumerate(factors):
        starts = np.arange(0, weight.shape[axis], factor)
        total = np.add.reduceat(total, starts, axis=axis)
        sizes = np.diff([*starts, weight.shape[axis]]).astype(np.float32)
        count = count * np.expand_dims(sizes, tuple(a for a in range(3) if a != axis))
    return (total / count).astype(np.float32)


def _objects(blocks: Float32) -> list[Bools]:
    """Return the largest connected object and those alike in size, each as its blocks."""
    from scipy.ndimage import label, uniform_filter

    total = float(blocks.sum(dtype=np.float64))
    if total <= 0:
        return []
    typical = float(np.square(blocks, dtype=np.float64).sum()) / total
    smooth = uniform_filter(blocks, 3, mode="constant")
    whole = smooth > min(_DEPTH * typical, 0.5 * float(smooth.max()))
    pieces, _ = label(whole)
    sizes = np.bincount(pieces.ravel())[1:]
    return [pieces == i + 1 for i in np.flatnonzero(sizes >= _ALIKE * sizes.max())]


def _centre(blocks: Float32, factors: list[int], shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the voxel at the centroid, each index moved to where the object is thick enough."""
    found = []
    for profile, factor, n in zip(_profiles(blocks), factors, shape, strict=True):
        places = np.minimum(np.arange(len(profile)) * factor + (factor - 1) / 2, n - 1)
        middle = float((profile * places).sum() / profile.sum())
        thick = np.flatnonzero(profile >= 0.5 * profile.max())
        if profile[min(round(middle) // factor, len(profile) - 1)] < 0.5 * profile.max():
            middle = float(places[thick[np.argmin(np.abs(places[thick] - middle))]])
        found.append(min(round(middle), n - 1))
    z, y, x = found
    return z, y, x


def _lps_mm(place: tuple[int, int, int], geometry: Geometry) -> Float64:
    steps = geometry.lps_affine()[:3, :3]
    return np.asarray(steps @ np.array(place[::-1], np.float64))


def _leftness(place: tuple[int, int, int], geometry: Geometry) -> float:
    return float(_lps_mm(place, geometry)[0])


def _towards(places: list[tuple[int, int, int]], chosen: int, geometry: Geometry) -> str:
    """Return the letter of the direction in which the chosen place lies from the mean of all."""
    if not geometry.known:
        return ""
    away = _lps_mm(places[chosen], geometry) - np.mean([_lps_mm(p, geometry) for p in places], 0)
    axis = int(np.argmax(np.abs(away)))
    return LPS_LETTERS[axis][int(away[axis] > 0)]
