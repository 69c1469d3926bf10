"""Which lines of a stack of plates the lines of a scan need, and what waves share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ultrahand.phantoms.plates import Plates, Terms
from ultrahand.records.arrays import Bools, Float64, Ints


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Lines along a stack's normal that lines of the scan need, and where these find samples."""

    at: Float64
    """Indices along the two other axes, shape ``(places, 2)``."""
    row: Ints
    """Number of the sample in a line of the scan, whose time holds; shape ``(places,)``."""
    line: Ints
    """Place of each sample, shape ``(lines, samples)`` or one that is broadcast to it."""
    n: Ints
    """Its number along the normal, likewise."""


def find_places(read: range, wanted: Ints, axis: int, index: range) -> Places:
    """Find the lines of a stack that lines of the scan need.

    Parameters
    ----------
    read
        Indices of a line's samples.
    wanted
        Indices of the scan's lines along phase and slice, shape ``(lines, 2)``.
    axis
        The plates' normal: 0 read, 1 phase, 2 slice.
    index
        The stack's own indices along it.
    """
    if axis == 0:
        line, n = np.arange(len(wanted))[:, None], np.arange(len(read))[None]
        return Places(at=wanted.astype(float), row=np.zeros(len(wanted), int), line=line, n=n)
    other, column = np.unique(wanted[:, 2 - axis], return_inverse=True)
    sample = np.arange(len(read))
    at = np.stack(np.meshgrid(np.array(read), other, indexing="ij"), axis=-1).reshape(-1, 2)
    return Places(
        at=at.astype(float),
        row=np.repeat(sample, len(other)),
        line=sample * len(other) + column[:, None],
        n=wanted[:, axis - 1, None] - index.start,
    )


def wave_classes(in_steps: Float64) -> list[Ints]:
    """Group waves that differ by whole steps of the grid.

    Parameters
    ----------
    in_steps
        Waves along the axes across a stack, in steps of the grid, shape ``(waves, 2)``.

    Returns
    -------
    list
        The numbers of the waves of each group.
    """
    rests = np.round(in_steps - np.floor(in_steps + 1e-9), 9)
    _, member = np.unique(rests, axis=0, return_inverse=True)
    return [np.flatnonzero(member.ravel() == number) for number in range(member.max() + 1)]


def distinct(at: Float64, row: Ints) -> tuple[Float64, Ints, Ints]:
    """Return the distinct ones among lines.

    Parameters
    ----------
    at
        In steps, shape ``(n, 2)``; nearer than 1e-9 is the same.
    row
        Lines of different rows are different, shape ``(n,)``.

    Returns
    -------
    at, row
        Those of the distinct lines.
    number
        Of each given line among them, shape ``(n,)``.
    """
    keys = np.column_stack([np.round(at, 9), row])
    _, chosen, found = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return at[chosen], row[chosen], found.ravel()


def subset(plates: Plates, terms: Terms, chosen: Bools) -> tuple[Plates, Terms]:
    """Return the plates that are `chosen`, ``(plates,)``, and their terms; curves are dropped."""
    mine = chosen[terms.plate]
    return (
        Plates(
            centre_m=plates.centre_m[chosen],
            span_m=plates.span_m[chosen],
            weight_m=plates.weight_m[chosen],
        ),
        Terms(
            plate=np.cumsum(chosen)[terms.plate[mine]] - 1,
            amplitude=terms.amplitude[mine],
            r2star_per_s=terms.r2star_per_s[mine],
            off_resonance_hz=terms.off_resonance_hz[mine],
        ),
    )
