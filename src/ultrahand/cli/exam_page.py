"""The page of an examination, from the files of its finished series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from ultrahand.pipelines.exam import Row, Status

if TYPE_CHECKING:
    from ultrahand.io.exam_file import Examination
    from ultrahand.pipelines.exam_images import SeriesPart
    from ultrahand.pipelines.exam_noise import LoadedImage
    from ultrahand.pipelines.exam_pictures import ImagePart

_IMAGE: Final = ".nii.gz"
_ERROR: Final = "_stderr.nii.gz"


@dataclass(frozen=True, slots=True)
class Source:
    """All that a report is made from."""

    exam: Examination
    rows: Sequence[Row]
    folder: Path
    exam_sha256: str
    matplotlib: str | None
    """Its version; None where it is not installed."""


def page_of(source: Source, scratch: Path) -> str:
    """Return the page, for the child that makes it: heavy packages are loaded here.

    Parameters
    ----------
    source
        What it is made from.
    scratch
        A folder that takes one image at a time, unpacked.
    """
    from ultrahand.pipelines.exam_report import report_of, section_of
    from ultrahand.report.content import Fact
    from ultrahand.report.page import render

    sections, sidecars = [], []
    shares = _shares(source)
    for row in source.rows:
        made = _read_series(source, row, shares.get(row.series, 0), scratch)
        sections.append(section_of(row, made, drawn=source.matplotlib is not None))
        if made is not None:
            sidecars.append(made.sidecar)
    provenance = [
        Fact(name="command", value="ultrahand exam"),
        Fact(name="exam.toml, sha256", value=source.exam_sha256),
        Fact(name="matplotlib", value=source.matplotlib or "not installed"),
    ]
    report = report_of(source.exam, source.rows, sections, sidecars, provenance=provenance)
    return render(report)


def _images(row: Row) -> list[str]:
    """Return the images of a series, magnitudes first, without their standard errors."""
    found = [p for p in row.outputs if p.endswith(_IMAGE) and not p.endswith(_ERROR)]
    return sorted(found, key=lambda path: "_part-" in path)  # else in their order


def _shares(source: Source) -> dict[str, int]:
    """Return how large the viewer's volume of each series may be."""
    from ultrahand.io.read_images import read_voxels
    from ultrahand.report.budget import share_bytes
    from ultrahand.report.display import MIN_BYTES

    wanted = {
        row.series: read_voxels(source.folder / _images(row)[0])
        for row in source.rows
        if row.status is Status.DONE and _images(row)
    }
    shares = share_bytes(list(wanted.values()))
    return {name: max(n, MIN_BYTES) for name, n in zip(wanted, shares, strict=True)}


def _read_series(source: Source, row: Row, limit_bytes: int, scratch: Path) -> SeriesPart | None:
    """Return what the page shows of a series; None where nothing was made."""
    from ultrahand.io.read_images import read_sidecar
    from ultrahand.pipelines.exam_images import SeriesPart
    from ultrahand.pipelines.exam_pictures import part_of
    from ultrahand.pipelines.exam_report import MAX_IMAGES
    from ultrahand.report.sidecar_facts import sidecar_findings

    paths = _images(row)
    if row.status is not Status.DONE or not paths:
        return None
    parts: list[ImagePart] = []
    shapes: list[tuple[int, ...]] = []
    names = _told_apart(paths)
    shown = list(zip(paths, names, strict=True))[:MAX_IMAGES]
    for number, image in enumerate(_loaded(source.folder, shown, scratch)):
        title = f"{row.series}, {image.name}" if image.name else row.series
        same_grid = bool(parts) and image.values.shape[1:] == shapes[0][1:]
        parts.append(
            part_of(
                image,
                title=title,
                draw=source.matplotlib is not None,
                limit_bytes=None if number else limit_bytes,
                magnitude=parts[0].cut if same_grid else None,
            )
        )
        shapes.append(image.values.shape)
    sidecars: list[Mapping[str, object]] = [read_sidecar(_sidecar(source.folder, p)) for p in paths]
    return SeriesPart(
        sidecar=sidecars[0],
        shape=shapes[0],
        n_images=len(paths),
        parts=tuple(parts),
        images=tuple(zip(names, sidecars, strict=True)),
        more_findings=tuple(f for sidecar in sidecars[1:] for f in sidecar_findings(sidecar)),
    )


def _sidecar(folder: Path, image: str) -> Path:
    return folder / f"{image.removesuffix(_IMAGE)}.json"


def _loaded(folder: Path, named: Sequence[tuple[str, str]], scratch: Path) -> Iterator[LoadedImage]:
    """Read images with their names one after the other; each takes the place of the one before."""
    from ultrahand.io.read_images import read_sidecar, unpack_series
    from ultrahand.pipelines.exam_noise import LoadedImage

    for path, name in named:
        values = unpack_series(folder / path, scratch / "values")
        error = folder / (path.removesuffix(_IMAGE) + _ERROR)
        yield LoadedImage(
            name=name,
            sidecar=read_sidecar(_sidecar(folder, path)),
            values=values,
            standard_error=unpack_series(error, scratch / "error") if error.is_file() else None,
            geometry=values.geometry,
        )
    for left in ("values", "error"):
        (scratch / left).unlink(missing_ok=True)


def _told_apart(paths: Sequence[str]) -> list[str]:
    """Return what names do not have in common: ``echo-2 part-phase``; none for one alone."""
    words = [PurePosixPath(path).name.removesuffix(_IMAGE).split("_") for path in paths]
    common = set(words[0]).intersection(*words[1:])
    plain = "magnitude" if len(paths) > 1 else ""
    return [" ".join(w for w in name if w not in common) or plain for name in words]
