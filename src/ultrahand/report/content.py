"""What a report page shows: plain records that know nothing of HTML."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ultrahand.records.arrays import require
from ultrahand.records.findings import Finding

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GZIP_SIGNATURE = b"\x1f\x8b"
COLORMAPS = ("gray", "viridis", "inferno", "cividis")
"""Ordered in lightness: safe for the colour-blind and on paper. matplotlib and NiiVue have all."""
HANDS = ("left", "right", "both", "unknown")


class Status(enum.StrEnum):
    """What became of a series or of an expected result."""

    DONE = "done"
    FAILED = "failed"
    """It was tried; `Section.reason` says what stopped it."""
    MISSING = "missing"
    """It was expected and is not there: its input is missing, or it cannot be made yet."""
    SKIPPED = "skipped"
    """It was left out on purpose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One named value, as it is to be read."""

    name: str
    value: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A still picture. `title` and `caption` also describe it to who cannot see it."""

    png: bytes
    title: str
    caption: str

    def __post_init__(self) -> None:
        require(self.png.startswith(PNG_SIGNATURE), "a picture must be a PNG file")
        require(len(self.png) > 24, "the PNG file of a picture is cut short")

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height: bytes 16 to 24 of a PNG file (ISO/IEC 15948, 11.2.2)."""
        return int.from_bytes(self.png[16:20], "big"), int.from_bytes(self.png[20:24], "big")


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A volume, or a series of volumes, for the viewer: for looking, not for measuring."""

    nifti_gz: bytes
    name: str
    unit: str
    window: tuple[float, float]
    """Values shown darkest and brightest, in `unit`."""
    colormap: str = "gray"
    directions_known: bool = True
    """False where the axes are those of the scan, not of the patient: no letters are shown."""
    start_ras_mm: tuple[float, float, float] | None = None
    """Where the viewer begins, in the frame of the NIfTI file; None for the middle."""
    start_frame: int = 0
    frames: tuple[str, ...] = ()
    """What tells the frames apart (``12.5 s``); empty for one volume."""
    step: float = 0.0
    """Values are rounded to multiples of this; 0 where they are not rounded."""
    gap: float | None = None
    """The value that stands where nothing was measured; None where there is no such voxel."""
    clipped: tuple[float | None, float | None] = (None, None)
    """The values at which smaller and greater ones end; None where none were cut."""
    note: str = ""
    """How it differs from the image on disk: coarser, rounded, fewer frames."""
    image: str = ""
    """Which of several images of its section it is; empty where there is one."""

    def __post_init__(self) -> None:
        require(self.nifti_gz.startswith(GZIP_SIGNATURE), "a volume must be a gzipped NIfTI file")
        low, high = self.window
        require(low < high, f"window must rise, got {self.window}")
        n = max(len(self.frames), 1)
        require(0 <= self.start_frame < n, f"start_frame must be one of {n}")
        require(self.colormap in COLORMAPS, f"colormap must be one of {COLORMAPS}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of text under named columns; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        require(bool(self.columns), f"table {self.title!r} needs columns")
        for row in self.rows:
            require(
                len(row) == len(self.columns),
                f"table {self.title!r} has {len(self.columns)} columns and a row of {len(row)}",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A series of the examination, or a result that is expected of it."""

    title: str
    status: Status
    reason: str = ""
    """Why it is not done: what was found, what was expected, what to do."""
    summary: str = ""
    """One line for the overview: what it is and its most important number."""
    facts: tuple[Fact, ...] = ()
    findings: tuple[Finding, ...] = ()
    pictures: tuple[Picture, ...] = ()
    volume: Volume | None = None
    tables: tuple[Table, ...] = ()
    provenance: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        require(bool(self.title.strip()), "a section needs a title")
        object.__setattr__(self, "status", Status(self.status))
        require(
            self.status is Status.DONE or bool(self.reason.strip()),
            f"section {self.title!r} is {self.status}: it needs a reason",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that one page shows; pages travel, so never anything that identifies a patient."""

    title: str
    subtitle: str
    hand: str
    """``left``, ``right``, ``both`` or ``unknown``."""
    facts: tuple[Fact, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What concerns the examination as a whole; sections hold their own."""
    sections: tuple[Section, ...] = ()
    """One a series, in the order of the examination."""
    results: tuple[Section, ...] = ()
    """One a result that is expected of such an examination, made or not."""
    provenance: tuple[Fact, ...] = ()
    citations: tuple[str, ...] = ()
    """What to cite, as plain text."""

    def __post_init__(self) -> None:
        require(bool(self.title.strip()), "a report needs a title")
        require(self.hand in HANDS, f"hand must be one of {HANDS}, got {self.hand!r}")
