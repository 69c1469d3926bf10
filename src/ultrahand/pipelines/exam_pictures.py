"""What a report shows of one image: pictures, a volume for the viewer, noise in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ultrahand.pipelines.exam_frames import frame_labels, series_picture
from ultrahand.pipelines.exam_noise import LoadedImage, noise_facts, signal_of, volume_tables
from ultrahand.records.arrays import Bools
from ultrahand.report.content import Fact, Picture, Table, Volume
from ultrahand.report.cuts import Cut, signal_cut
from ultrahand.report.display import display_volume
from ultrahand.report.planes import brightest_frame, planes_of, planes_png

_HANGING: Final = "The patient's right is on the left; the letters are the patient's directions."
_UNKNOWN: Final = "The axes are those of the scan: where they lie in the patient is not known."
_WINDOW: Final = "Black is 0, or the least value; white is the 99.8th percentile and above."
_PART: Final = "part-"
"""What is in the name of every image that is no magnitude."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePart:
    """What a section shows of one image."""

    pictures: tuple[Picture, ...]
    volume: Volume | None
    noise: tuple[Fact, ...]
    tables: tuple[Table, ...]
    cut: Cut | None = None
    """Where the planes of a magnitude lie."""


def part_of(
    image: LoadedImage,
    *,
    title: str,
    draw: bool,
    limit_bytes: int | None,
    magnitude: Cut | None = None,
) -> ImagePart:
    """Return what a report shows of an image.

    Parameters
    ----------
    image
        The image; its volumes are read one at a time.
    title
        What it is; never anything that identifies a patient.
    draw
        Whether to make pictures, which needs matplotlib.
    limit_bytes
        Size of the volume for the viewer; None for none.
    magnitude
        Where the magnitude beside a phase, real or imaginary image is cut; None where there is none
        on its grid.
    """
    labels = frame_labels(image.sidecar, len(image.values))
    if _PART in image.name:  # phase, real or imaginary: brightness and signal have no meaning
        return ImagePart(
            pictures=(_planes(image, title, labels, 0, magnitude),) if draw else (),
            volume=None,
            noise=(),
            tables=(),
        )
    shown = brightest_frame(image.values)
    cut = signal_cut(image.values[shown], image.geometry)
    signal = signal_of(image)
    volume = None
    if limit_bytes is not None:
        volume = display_volume(
            image.values,
            image.geometry,
            name=title,
            unit=image.unit,
            limit_bytes=limit_bytes,
            frame_names=labels if len(labels) > 1 else (),
            image=image.name,
        )
    return ImagePart(
        pictures=_pictures(image, title, labels, shown, signal, cut) if draw else (),
        volume=volume,
        noise=noise_facts(image, signal, shown, labels),
        tables=volume_tables(image, signal, labels),
        cut=cut,
    )


def _pictures(
    image: LoadedImage,
    title: str,
    labels: tuple[str, ...],
    shown: int,
    signal: Bools,
    cut: Cut,
) -> tuple[Picture, ...]:
    planes = _planes(image, title, labels, shown, cut)
    return (planes,) if len(labels) == 1 else (planes, series_picture(image, title, labels, signal))


def _planes(
    image: LoadedImage, title: str, labels: tuple[str, ...], shown: int, cut: Cut | None
) -> Picture:
    """Return the planes of one volume; without a cut through the middle of its field of view."""
    many = len(labels) > 1
    which = f"{title}, {labels[shown]}" if many else title
    of_many = f", of volume {shown + 1} of {len(labels)}" if many else ""
    hanging = _HANGING if image.geometry.known else _UNKNOWN
    values = image.values[shown]
    z, y, x = (n // 2 for n in values.shape)
    middle = Cut(centre=(z, y, x), n_alike=0, towards="")
    planes = "three planes" if len(planes_of(values.shape)) > 1 else "one plane"
    return Picture(
        png=planes_png(values, image.geometry, unit=image.unit, title=which, cut=cut or middle),
        title=f"{which}: {planes}",
        caption=f"{planes.capitalize()} through the centre of {_object(cut)}{of_many}. "
        f"{hanging} {_WINDOW}",
    )


def _object(cut: Cut | None) -> str:
    """Say what the planes cut: with two hands in view, one of them."""
    if cut is None or cut.n_alike < 1:
        return "the field of view"
    if cut.n_alike < 2:
        return "the signal"
    side = f", that towards {cut.towards}" if cut.towards else ""
    return f"one of {cut.n_alike} separate objects{side}"
