"""Sort imaging readouts into volumes and volumes into output files.

Encodings, slices, contrasts, cardiac phases, repetitions and sets are kept apart, and frames where
a continuous acquisition is cut into them; averages are merged; segments only say when a line was
taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.readouts import Kind, kinds_of, name_readout

if TYPE_CHECKING:
    from ultrahand.records.arrays import Ints, Structured

ENTITY_OF: Final = MappingProxyType(
    {"contrast": "echo", "phase": "phase", "repetition": "rep", "set": "set"}
)
"""Counter of the standard to the entity in a file's name."""
FRAME: Final = "frame"
"""Counter and entity of frames: the standard has none, they are cut by time."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Readouts of one 3D volume or one stack of 2D slices."""

    encoding: int
    counters: Mapping[str, int]
    """Values of the counters in `ENTITY_OF`, and of `FRAME` where the volume is one."""
    slices: Mapping[int, Ints]
    """Slice counter to the rows of that slice (2D) or slab (3D)."""

    @property
    def rows(self) -> Ints:
        """All rows, in the order of the slices."""
        return np.concatenate(list(self.slices.values()))


@dataclass(frozen=True, slots=True)
class Series:
    """Volumes that go into one output file."""

    entities: Mapping[str, int]
    """Entity to its one-based index, as in the file's name."""
    frame_axis: str | None
    """Entity that varies along the fourth axis."""
    volumes: tuple[Volume, ...] = field(default_factory=tuple)


def imaging_rows(readouts: Structured) -> Ints:
    """Return the rows of imaging readouts.

    Raises
    ------
    InputError
        There are none.
    """
    rows = np.flatnonzero(kinds_of(readouts["flags"]) == Kind.IMAGING)
    if not rows.size:
        raise InputError(
            "imaging readouts",
            found=f"none among {len(readouts)} readouts",
            expected="at least one",
            remedy="give the file of the measurement itself, not of its noise scan",
        )
    return rows


def volumes_of(readouts: Structured, rows: Ints) -> list[Volume]:
    """Group rows by encoding, contrast, phase, repetition and set, then by slice.

    Raises
    ------
    InputError
        Readouts of one encoding differ in their number of channels.
    """
    names = ("encoding_space_ref", *ENTITY_OF)
    keys = np.stack([readouts[name][rows] for name in names], axis=1)
    unique, member = np.unique(keys, axis=0, return_inverse=True)
    member = member.reshape(-1)
    _check_channels(readouts, rows)
    order = np.argsort(member, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(member[order])) + 1)
    return [
        Volume(
            encoding=int(key[0]),
            counters=MappingProxyType(
                {name: int(value) for name, value in zip(ENTITY_OF, key[1:], strict=True)}
            ),
            slices=_by_slice(readouts, rows[group]),
        )
        for key, group in zip(unique, groups, strict=True)
    ]


def split_frames(volumes: list[Volume], frame_of: Ints) -> list[Volume]:
    """Cut volumes into frames.

    Parameters
    ----------
    volumes
        As `volumes_of` returns them.
    frame_of
        Frame of every readout of the table, shape ``(readouts,)``, from 0.
    """
    return [
        Volume(
            encoding=volume.encoding,
            counters=MappingProxyType({**volume.counters, FRAME: int(frame)}),
            slices=MappingProxyType(
                {
                    number: rows[frame_of[rows] == frame]
                    for number, rows in volume.slices.items()
                    if (frame_of[rows] == frame).any()
                }
            ),
        )
        for volume in volumes
        for frame in np.unique(frame_of[volume.rows])
    ]


def series_of(volumes: list[Volume], split_slices: Mapping[int, bool]) -> list[Series]:
    """Decide which volumes share a file.

    One varying counter becomes the fourth axis; with more than one each combination is a file, but
    frames are the fourth axis always.
    Several encodings, and slabs or slices that form no stack, are files of their own.

    Parameters
    ----------
    volumes
        As `volumes_of` returns them.
    split_slices
        Encoding to whether each of its slices is a slab of its own.
    """
    encodings = sorted({volume.encoding for volume in volumes})
    series: list[Series] = []
    for encoding in encodings:
        mine = [volume for volume in volumes if volume.encoding == encoding]
        slabs = sorted({s for v in mine for s in v.slices}) if split_slices[encoding] else [None]
        for slab in slabs:
            entities = {"enc": encoding + 1} if len(encodings) > 1 else {}
            if slab is not None and len(slabs) > 1:
                entities["slab"] = slab + 1
            chosen = [_only_slab(volume, slab) for volume in mine]
            series += _split_counters([v for v in chosen if v.slices], entities)
    return series


def _only_slab(volume: Volume, slab: int | None) -> Volume:
    if slab is None:
        return volume
    kept = {slab: volume.slices[slab]} if slab in volume.slices else {}
    return Volume(volume.encoding, volume.counters, MappingProxyType(kept))


def _split_counters(volumes: list[Volume], entities: dict[str, int]) -> list[Series]:
    varying = [n for n in volumes[0].counters if len({v.counters[n] for v in volumes}) > 1]
    axis = varying[0] if len(varying) == 1 else FRAME if FRAME in varying else None
    named = [name for name in varying if name != axis]
    groups: dict[tuple[int, ...], list[Volume]] = {}
    for volume in volumes:
        groups.setdefault(tuple(volume.counters[name] for name in named), []).append(volume)
    entity_of = {**ENTITY_OF, FRAME: FRAME}
    return [
        Series(
            MappingProxyType(
                entities
                | {entity_of[name]: value + 1 for name, value in zip(named, key, strict=True)}
            ),
            entity_of[axis] if axis else None,
            tuple(group),
        )
        for key, group in groups.items()
    ]


def _by_slice(readouts: Structured, rows: Ints) -> Mapping[int, Ints]:
    slices = readouts["slice"][rows]
    return MappingProxyType({int(s): rows[slices == s] for s in np.unique(slices)})


def _check_channels(readouts: Structured, rows: Ints) -> None:
    channels = readouts["active_channels"][rows]
    for encoding in np.unique(readouts["encoding_space_ref"][rows]):
        mine = readouts["encoding_space_ref"][rows] == encoding
        values, counts = np.unique(channels[mine], return_counts=True)
        if len(values) > 1:
            usual = int(values[np.argmax(counts)])
            row = int(rows[mine & (channels != usual)][0])
            raise InputError(
                f"{name_readout(readouts, row)}, active_channels",
                found=", ".join(
                    f"{n} readouts of {v} channels" for v, n in zip(values, counts, strict=True)
                ),
                expected=f"{usual} channels in every imaging readout of encoding {encoding}",
                remedy="the file mixes measurements; convert them apart",
            )
