"""How large a page may grow, and what gives way.

The rule: a page has at most `LIMIT_BYTES`. What is read (text, findings, tables of at most
`fragments.MAX_ROWS` rows) always stays. Pictures come next, in the order of the page, because they
stand for a series where the viewer cannot run; then the volumes of the viewer, in the same order.
One that does not fit any more is left out and its place says so. For this to be rare, volumes are
made to fit `VOLUMES_BYTES` together (`share_bytes`, `display.display_volume`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ultrahand.report.content import Report, Section

LIMIT_BYTES = 15_000_000
"""What mail systems commonly let pass with room for the 4/3 of the attachment's own base64."""
VOLUMES_BYTES = 5_000_000
"""All volumes together, compressed; base64 makes it 6.7 MB, half of what the viewer leaves."""
_MARKUP_BYTES = 2_000
"""More than the elements around one picture or volume take, descriptions not counted."""


def numbered(report: Report) -> list[tuple[str, Section]]:
    """Return the anchor of each section, series first, and the section."""
    series = [(f"series-{i}", s) for i, s in enumerate(report.sections, 1)]
    return series + [(f"result-{i}", s) for i, s in enumerate(report.results, 1)]


def picture_keys(anchor: str, section: Section) -> list[str]:
    """Return the anchors of a section's pictures."""
    return [f"{anchor}-picture-{i}" for i in range(1, len(section.pictures) + 1)]


def volume_key(anchor: str) -> str:
    """Return the anchor of a section's volume."""
    return f"{anchor}-volume"


def embedded(report: Report, room_bytes: int) -> frozenset[str]:
    """Return the anchors of the pictures and volumes that fit into what the text leaves.

    Parameters
    ----------
    report
        What the page shows.
    room_bytes
        `LIMIT_BYTES` less the page without pictures and volumes.
    """
    chosen = set()
    for key, size in [*_pictures(report), *_volumes(report)]:
        if size <= room_bytes:
            chosen.add(key)
            room_bytes -= size
    return frozenset(chosen)


def share_bytes(wanted: Sequence[int], total: int = VOLUMES_BYTES) -> list[int]:
    """Share room fairly: who wants less than an equal share leaves the rest to the others.

    Parameters
    ----------
    wanted
        Bytes that each would take at most, for example its number of voxels.
    total
        Bytes to share.

    Returns
    -------
    list of int
        Bytes for each, in the order given; their sum is not above `total`.
    """
    shares = [0] * len(wanted)
    smallest_first = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for done, i in enumerate(smallest_first):
        shares[i] = min(wanted[i], total // (len(wanted) - done))
        total -= shares[i]
    return shares


def _pictures(report: Report) -> Iterator[tuple[str, int]]:
    for anchor, section in numbered(report):
        for key, picture in zip(picture_keys(anchor, section), section.pictures, strict=True):
            # The description stands twice: beside the picture and in its stead.
            words = 12 * (len(picture.title) + len(picture.caption))
            yield key, _base64_bytes(picture.png) + words + _MARKUP_BYTES


def _volumes(report: Report) -> Iterator[tuple[str, int]]:
    for anchor, section in numbered(report):
        if section.volume is not None:
            volume = section.volume
            words = 12 * len(
                volume.name + 2 * volume.image + volume.note + volume.unit + "".join(volume.frames)
            )
            yield volume_key(anchor), _base64_bytes(volume.nifti_gz) + words + _MARKUP_BYTES


def _base64_bytes(data: bytes) -> int:
    return 4 * ((len(data) + 2) // 3)
