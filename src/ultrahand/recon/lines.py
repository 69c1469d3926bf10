"""Where each readout belongs in Cartesian k-space: its signed line indices and sample indices.

Line ``e`` of a counter has signed index ``e - center`` (encodingLimits); sample ``s`` of a readout
has ``s - center_sample``; index 0 is the centre of k-space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.errors import InputError
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.readouts import REVERSE_FLAG, has, name_readout

if TYPE_CHECKING:
    from ultrahand.records.arrays import Ints, Structured
    from ultrahand.records.header import Encoding, Header, Limit

_LIMIT_OF = {
    "kspace_encode_step_1": "kspace_encoding_step_1",
    "kspace_encode_step_2": "kspace_encoding_step_2",
}


@dataclass(frozen=True, slots=True)
class ReadoutClass:
    """Readouts of one shape: what to keep of each and where its first kept sample lies."""

    rows: Ints
    keep: slice
    """Samples left after discard_pre and discard_post."""
    reverse: bool
    k_first: int
    """Signed index of the first kept sample, after a reversed readout was turned round."""
    n_kept: int


def line_indices(
    readouts: Structured, rows: Ints, counter: str, encoding: Encoding, size: int
) -> tuple[Ints, list[Finding]]:
    """Return the signed line index of each row along one encoding step.

    Raises
    ------
    InputError
        A centre outside its own limits, or a line outside the encoded matrix.
    """
    lines = readouts[counter][rows].astype(np.int64)
    limit = encoding.limits.get(_LIMIT_OF[counter])
    center, findings = _center(lines, limit, size, counter)
    findings += _compare_limit(lines, limit, counter)
    k = lines - center
    # k = +N/2 is the same line of the grid as -N/2: allowed where the latter is not used as well.
    top = size // 2 if size % 2 == 0 and k.min() > -(size // 2) else (size - 1) // 2
    outside = (k < -(size // 2)) | (k > top)
    if outside.any():
        row = int(rows[np.argmax(outside)])
        raise InputError(
            f"{name_readout(readouts, row)}, {counter}",
            found=f"line {int(readouts[counter][row])} with centre {center} "
            f"({int(outside.sum())} such readouts)",
            expected=f"a line inside the encoded matrix of {size}",
            remedy="correct encodedSpace or encodingLimits in the header",
        )
    return k, findings


def _center(lines: Ints, limit: Limit | None, size: int, counter: str) -> tuple[int, list[Finding]]:
    """Find the line of k = 0: the header's centre, or the matrix's where it cannot be right."""
    middle = size // 2
    center = limit.center if limit else None
    if size == 1 and center in (None, 0):
        return int(lines.min()), []
    if center is None:
        found = "no centre in encodingLimits"
    elif center == 0 and int(lines.max()) > middle:
        found = f"centre 0, but lines up to {int(lines.max())}"
    else:
        low = limit.minimum if limit and limit.minimum is not None else 0
        high = limit.maximum if limit and limit.maximum is not None else size - 1
        if not low <= center <= max(high, int(lines.max())):
            raise InputError(
                f"encodingLimits {counter}",
                found=f"centre {center} outside {low} to {high}",
                expected="a centre inside its limits",
                remedy="correct encodingLimits in the header",
            )
        return center, []
    remedy = f"line {middle}, the middle of the encoded matrix, is taken as k = 0"
    return middle, [
        warning(
            f"encodingLimits {counter}", found=found, expected="the line of k = 0", remedy=remedy
        )
    ]


def _compare_limit(lines: Ints, limit: Limit | None, counter: str) -> list[Finding]:
    if limit is None or limit.minimum is None or limit.maximum is None:
        return []
    low, high = int(lines.min()), int(lines.max())
    if limit.minimum <= low and high <= limit.maximum:
        return []
    return [
        warning(
            f"encodingLimits {counter}",
            found=f"readouts from {low} to {high}",
            expected=f"{limit.minimum} to {limit.maximum} as the header says",
            remedy="the readouts decide",
        )
    ]


def readout_classes(
    readouts: Structured, rows: Ints, header: Header, size: int
) -> tuple[list[ReadoutClass], list[Finding]]:
    """Group readouts of equal shape and place their samples along the readout axis.

    A reversed readout's sample ``s`` lies at ``-(s - center_sample)``; in Siemens-converted data
    at ``-1 - (s - center_sample)`` (MRpro pull request 832).

    Parameters
    ----------
    readouts, rows
        The table, and the rows to group.
    header
        Tells the vendor.
    size
        Encoded matrix along the readout.

    Raises
    ------
    InputError
        Nothing left after the discards, a centre outside the readout, or more samples than the
        encoded matrix holds.
    """
    siemens = "siemens" in (header.vendor or "").lower()
    reverse = has(readouts["flags"][rows], REVERSE_FLAG)
    names = ("number_of_samples", "discard_pre", "discard_post", "center_sample")
    key = np.stack([readouts[n][rows] for n in names] + [reverse], axis=1)
    shapes, member = np.unique(key, axis=0, return_inverse=True)
    classes: list[ReadoutClass] = []
    findings: list[Finding] = []
    for number, shape in enumerate(shapes):
        mine = rows[member.reshape(-1) == number]
        samples, pre, post, center = (int(v) for v in shape[:4])
        kept = samples - pre - post
        where = name_readout(readouts, int(mine[0]))
        center = _sample_center(where, samples, pre, kept, center, size, findings)
        turned = bool(shape[4])
        k_first = -center
        if turned:
            k_first = -(kept - center) if siemens else -(kept - 1 - center)
        # The Siemens rule puts the first sample of an odd readout one beyond its matrix.
        spare = 1 if turned and siemens and size % 2 else 0
        if k_first < -(size // 2) - spare or k_first + kept - 1 > size // 2:
            raise InputError(
                f"{where}, center_sample",
                found=f"{kept} samples with the centre at {center}: k from {k_first} to "
                f"{k_first + kept - 1}",
                expected=f"k inside the encoded matrix of {size}",
                remedy="correct encodedSpace or center_sample",
            )
        if k_first < -(size // 2):
            findings.append(
                info(
                    "reversed readouts (flag 22)",
                    found=f"k from {k_first} in {len(mine)} readouts",
                    expected=f"k inside the encoded matrix of {size}",
                    remedy="the sample beyond is left out where the grid ends",
                )
            )
        classes.append(ReadoutClass(mine, slice(pre, samples - post), turned, k_first, kept))
    return classes, findings


def _sample_center(
    where: str,
    samples: int,
    pre: int,
    kept: int,
    center: int,
    size: int,
    findings: list[Finding],
) -> int:
    """Return the index of k = 0 among the kept samples."""
    if kept <= 0:
        raise InputError(
            f"{where}, discard_pre and discard_post",
            found=f"{samples - kept} of {samples} samples discarded",
            expected="at least one sample left",
            remedy="convert the measurement again",
        )
    if kept > size:
        raise InputError(
            f"{where}, number_of_samples",
            found=f"{kept} samples",
            expected=f"at most the encoded matrix of {size}",
            remedy="correct encodedSpace; oversampled readouts count there in full",
        )
    if center == 0 and pre == 0 and kept == size and size > 1:
        findings.append(
            warning(
                "center_sample",
                found="0 in full readouts",
                expected="the sample of k = 0",
                remedy=f"sample {size // 2}, the middle of the encoded matrix, is taken as k = 0",
            )
        )
        return size // 2
    if not 0 <= center - pre < kept:
        raise InputError(
            f"{where}, center_sample",
            found=f"{center} with {pre} of {samples} samples discarded in front",
            expected="a sample that is kept",
            remedy="convert the measurement again",
        )
    return center - pre


def kept_samples(table: Structured, rows: Ints) -> list[tuple[Ints, slice]]:
    """Group rows by their length and discards; give what is kept of each."""
    names = ("number_of_samples", "discard_pre", "discard_post")
    key = np.stack([table[name][rows] for name in names], axis=1)
    shapes, member = np.unique(key, axis=0, return_inverse=True)
    groups = []
    for number, (samples, pre, post) in enumerate(shapes):
        mine = rows[member.reshape(-1) == number]
        if samples - pre - post <= 0:
            raise InputError(
                f"{name_readout(table, int(mine[0]))}, discard_pre and discard_post",
                found=f"{pre + post} of {samples} samples discarded",
                expected="at least one sample left",
                remedy="convert the measurement again",
            )
        groups.append((mine, slice(int(pre), int(samples - post))))
    return groups
